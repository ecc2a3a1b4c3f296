//! `headwater apply`: makes resources be as files say.

use std::path::PathBuf;
use std::process::ExitCode;

use headwater_base::Problem;
use reqwest::Method;
use serde_json::{Value, json};

use super::get::text;
use super::{Context, Done, files};
use crate::output::{self, Column, Format};

/// Flags of `apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  headwater apply -f resources/ --dry-run
  headwater get stream/orders -o yaml | sed 's/partitions: 4/partitions: 8/' | headwater apply -f -")]
pub struct Args {
    /// A file, a folder with everything below it, or `-` for standard input
    #[arg(short, long = "file", required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// Say what would happen and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Let a pipeline start with an empty state where its new spec does not fit the old one
    #[arg(long)]
    reset_state: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// Applies files.
///
/// # Errors
/// What is wrong with the files, all of it.
pub async fn run(args: Args, context: &Context) -> Done {
    let files = files::read(&args.files)?;
    let mut query = Vec::new();
    if args.dry_run {
        query.push(("dry-run", "true"));
    }
    if args.reset_state {
        query.push(("reset-state", "true"));
    }
    let report = context
        .client()?
        .json(Method::POST, &["v1", "apply"], &query, Some(("application/json", files::body(&files))))
        .await?;
    if report["resources"].as_array().is_some_and(Vec::is_empty) {
        return Err(files::nothing().into());
    }
    show(&report, args.dry_run, args.output)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows what an apply did, or would do.
///
/// # Errors
/// `HW-CLI-007` when stdout cannot be written.
pub fn show(report: &Value, dry_run: bool, format: Format) -> Result<(), Problem> {
    const COLUMNS: &[Column] = &[
        Column::new("KIND", |row| text(row, "/kind")),
        Column::new("NAME", |row| text(row, "/name")),
        Column::new("OUTCOME", |row| text(row, "/outcome")),
        Column::new("GENERATION", |row| text(row, "/generation")),
    ];
    let warnings: Vec<Problem> = serde_json::from_value(report["warnings"].clone()).unwrap_or_default();
    output::warn(&warnings);
    let resources = report["resources"].as_array().into_iter().flatten();
    if !matches!(format, Format::Table) {
        let row = |applied: &Value| json!({ "kind": applied["kind"], "name": applied["name"], "outcome": applied["outcome"], "generation": applied["generation"] });
        return output::print(&resources.map(row).collect::<Vec<_>>(), COLUMNS, format, false);
    }
    let suffix = if dry_run { " (dry run)" } else { "" };
    for applied in resources {
        output::line(format!("{} {}{suffix}", output::name(applied), text(applied, "/outcome")))?;
    }
    if dry_run {
        for action in report["actions"].as_array().into_iter().flatten() {
            let detail = text(action, "/detail");
            let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
            output::note(format!("would {} {}{detail}", text(action, "/verb"), text(action, "/object")));
        }
    }
    Ok(())
}
