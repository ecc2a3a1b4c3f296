//! `headwater apply`: makes resources be as files say.

use std::path::PathBuf;
use std::process::ExitCode;

use reqwest::Method;
use serde_json::Value;

use super::{Context, Done, files};
use crate::output;

/// Flags of `apply`.
#[derive(Debug, clap::Args)]
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
    let suffix = if args.dry_run { " (dry run)" } else { "" };
    for applied in report["resources"].as_array().into_iter().flatten() {
        output::line(format!("{} {}{suffix}", object(applied), applied["outcome"].as_str().unwrap_or_default()))?;
    }
    if args.dry_run {
        for action in report["actions"].as_array().into_iter().flatten() {
            let text = |key: &str| action[key].as_str().unwrap_or_default();
            let detail = if text("detail").is_empty() { String::new() } else { format!(" ({})", text("detail")) };
            output::note(format!("would {} {}{detail}", text("verb"), text("object")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `stream/orders`.
pub fn object(applied: &Value) -> String {
    let text = |key: &str| applied[key].as_str().unwrap_or_default();
    format!("{}/{}", text("kind").to_lowercase(), text("name"))
}
