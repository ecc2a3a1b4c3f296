//! `headwater delete`: deletes resources with what they own.

use std::path::PathBuf;
use std::process::ExitCode;

use headwater_base::Limits;
use reqwest::Method;

use super::get::named;
use super::{Context, Done, files};
use crate::node::registry;
use crate::output;

/// Flags of `delete`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one, or its kind with names behind it
    #[arg(value_name = "KIND/NAME", required_unless_present = "files")]
    what: Option<String>,
    /// Further names of the kind, or further `KIND/NAME`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Delete what these files hold
    #[arg(short, long = "file", value_name = "FILE|DIR|-", conflicts_with = "what")]
    files: Vec<PathBuf>,
    /// Delete resources that name it as well
    #[arg(long)]
    cascade: bool,
    /// Delete it although others name it
    #[arg(long)]
    force: bool,
    /// Say what would go and delete nothing
    #[arg(long)]
    dry_run: bool,
}

/// Deletes resources.
///
/// # Errors
/// `HW-KERNEL-012`, `HW-KERNEL-013` when others name it.
pub async fn run(args: Args, context: &Context) -> Done {
    let mut targets: Vec<(String, String)> = Vec::new();
    if let Some(what) = &args.what {
        targets = named(what, &args.names)?;
    }
    let registry = registry();
    for file in files::read(&args.files)? {
        for draft in registry.read(&file.name, file.text.as_bytes(), &Limits::default())? {
            let plural = registry.kind(&draft.kind).map_or_else(String::new, |kind| kind.plural.to_owned());
            targets.push((plural, draft.name.to_string()));
        }
    }
    if !args.files.is_empty() {
        // What is written last names what is written first.
        targets.reverse();
    }
    let flags = [("cascade", args.cascade), ("force", args.force), ("dry-run", args.dry_run)];
    let flags: Vec<(&str, &str)> = flags.iter().filter(|(_, on)| *on).map(|(name, _)| (*name, "true")).collect();
    // What a dry run would have deleted before does not stand in the way of what comes behind it.
    let mut gone: Vec<String> = Vec::new();
    let client = context.client()?;
    let mut problems = Vec::new();
    for (kind, name) in targets {
        let before = gone.join(",");
        let mut query = flags.clone();
        if args.dry_run {
            query.push(("gone", &before));
        }
        let answer = match client.json(Method::DELETE, &["v1", &kind, &name], &query, None).await {
            Ok(answer) => answer,
            Err(more) => {
                problems.extend(more.0);
                continue;
            }
        };
        for id in answer["deleted"].as_array().into_iter().flatten().filter_map(|id| id.as_str()) {
            let (kind, name) = id.split_once('/').unwrap_or(("", id));
            let suffix = if args.dry_run { " (dry run)" } else { "" };
            output::line(format!("{}/{name} deleted{suffix}", kind.to_lowercase()))?;
            gone.push(id.to_owned());
        }
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
}
