//! `headwater delete`: deletes resources with what they own.

use std::path::PathBuf;
use std::process::ExitCode;

use headwater_base::{Limits, Problem};

use super::get::{self, Targets, named, text};
use super::{Context, Done, files};
use crate::client::Client;
use crate::node::registry;
use crate::output;
use crate::problems::Problems;

/// Flags of `delete`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one, or its kind with names behind it; with labels, kinds such as `streams,tables`, or `all`
    #[arg(value_name = "KIND[/NAME]", required_unless_present = "files")]
    what: Option<String>,
    /// Further names of the kind, or further `KIND/NAME`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Delete what these files hold
    #[arg(short, long = "file", value_name = "FILE|DIR|-", conflicts_with = "what")]
    files: Vec<PathBuf>,
    /// Delete those with these labels, such as `team=checkout,env!=test`
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "files")]
    selector: Option<String>,
    /// Delete resources that name it as well
    #[arg(long)]
    cascade: bool,
    /// Delete it although others name it
    #[arg(long)]
    force: bool,
    /// Take what is not there as deleted
    #[arg(long)]
    ignore_not_found: bool,
    /// Say what would go and delete nothing
    #[arg(long)]
    dry_run: bool,
}

/// Deletes resources.
///
/// # Errors
/// `HW-KERNEL-012`, `HW-KERNEL-013` when others name it.
pub async fn run(args: Args, context: &Context) -> Done {
    let client = context.client()?;
    let mut targets: Vec<Target> = match (&args.what, &args.selector) {
        (Some(what), Some(selector)) => labelled(&client, what, &args.names, selector).await?,
        (Some(what), None) => named(what, &args.names)?.into_iter().map(Target::any).collect(),
        (None, _) => Vec::new(),
    };
    let registry = registry();
    for file in files::read(&args.files)? {
        for draft in registry.read(&file.name, file.text.as_bytes(), &Limits::default())? {
            let plural = registry.kind(&draft.kind).map_or_else(String::new, |kind| kind.plural.to_owned());
            targets.push(Target::any((plural, draft.name.to_string())));
        }
    }
    if !args.files.is_empty() {
        // What is written last names what is written first, mostly.
        targets.reverse();
    }
    let Args { cascade, force, ignore_not_found, dry_run, .. } = args;
    all(client, targets, How { cascade, force, ignore_not_found, dry_run }).await
}

/// A resource to delete.
#[derive(Clone, Debug)]
pub struct Target {
    /// The plural of its kind.
    kind: String,
    name: String,
    /// The version that is meant; None for whatever is there.
    version: Option<u64>,
}

impl Target {
    /// Whatever is there by this plural and name.
    pub fn any((kind, name): (String, String)) -> Self {
        Self { kind, name, version: None }
    }
}

/// How resources are deleted.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// With what names them.
    pub cascade: bool,
    /// Although others name them.
    pub force: bool,
    /// What is not there counts as deleted.
    pub ignore_not_found: bool,
    /// Not at all: it is only said what would go.
    pub dry_run: bool,
}

/// Deletes resources, in an order in which none stands in another's way.
///
/// # Errors
/// As [`run`].
pub async fn all(client: Client, mut targets: Vec<Target>, how: How) -> Done {
    let registry = registry();
    let mut deleter = Deleter { client, how, gone: Vec::new() };
    let mut problems = Vec::new();
    // A stream that goes before what writes to it is made anew by the next event.
    targets.sort_by_key(|target| matches!(target.kind.as_str(), "streams" | "tables"));
    // What others among these name waits for them; in which order files come is their writer's matter.
    loop {
        let (before, mut waiting) = (targets.len(), Vec::new());
        problems.clear();
        for target in targets {
            let id = registry
                .find(&target.kind)
                .map_or_else(|_| String::new(), |kind| format!("{}/{}", kind.name, target.name));
            if deleter.gone.contains(&id) {
                continue;
            }
            if let Err(more) = deleter.delete(&target).await {
                problems.extend(more.0);
                waiting.push(target);
            }
        }
        if waiting.is_empty() || waiting.len() == before {
            break;
        }
        targets = waiting;
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
}

/// The resources of some kinds that have these labels.
async fn labelled(client: &Client, what: &str, names: &[String], selector: &str) -> Result<Vec<Target>, Problems> {
    let wrong = |fact: String, help: &str| Problems::from(Problem::new("HW-CLI-010", fact).help(help));
    // No labels are had by everything, which nobody means to delete by a variable that is empty.
    if selector.chars().all(|letter| letter == ',' || letter.is_whitespace()) {
        return Err(wrong("`--selector` names no label".to_owned(), "name the resources, or write labels"));
    }
    let Targets::Kinds(kinds) = get::targets(what, names)? else {
        let fact = format!("`--selector {selector}` stands beside names");
        return Err(wrong(fact, "leave the names or the labels out"));
    };
    let registry = registry();
    let mut targets = Vec::new();
    for kind in &kinds {
        let list = client.get(&["v1", kind], &[("selector", selector)]).await?;
        for row in list["items"].as_array().into_iter().flatten() {
            let kind = registry.find(&text(row, "/kind"))?.plural.to_owned();
            // One that has lost the labels since, or was made anew, is another one than was asked for.
            let version = row["metadata"]["resourceVersion"].as_u64();
            targets.push(Target { kind, name: text(row, "/metadata/name"), version });
        }
    }
    if targets.is_empty() {
        output::note("no resources");
    }
    Ok(targets)
}

/// Deletes one resource after the other.
struct Deleter {
    client: Client,
    how: How,
    /// Ids of what is gone, and what a dry run would have deleted.
    gone: Vec<String>,
}

impl Deleter {
    async fn delete(&mut self, Target { kind, name, version }: &Target) -> Result<(), Problems> {
        let How { cascade, force, ignore_not_found, dry_run } = self.how;
        let flags = [("cascade", cascade), ("force", force), ("dry-run", dry_run)];
        let mut query: Vec<(&str, &str)> =
            flags.iter().filter(|(_, on)| *on).map(|(name, _)| (*name, "true")).collect();
        // What a dry run would have deleted before does not stand in the way of what comes behind it.
        let before = self.gone.join(",");
        if dry_run {
            query.push(("gone", &before));
        }
        let answer = match self.client.delete(&["v1", kind, name], &query, *version).await {
            Ok(answer) => answer,
            Err(problems) if ignore_not_found && problems.0.iter().all(|problem| problem.code == "HW-KERNEL-012") => {
                return Ok(());
            }
            Err(problems) => return Err(problems),
        };
        for id in answer["deleted"].as_array().into_iter().flatten().filter_map(|id| id.as_str()) {
            let (kind, name) = id.split_once('/').unwrap_or(("", id));
            let suffix = if dry_run { " (dry run)" } else { "" };
            output::line(format!("{}/{name} deleted{suffix}", kind.to_lowercase()))?;
            self.gone.push(id.to_owned());
        }
        Ok(())
    }
}
