//! `headwater delete`: deletes resources with what they own.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use headwater_base::{Limits, Problem};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::get::text;
use super::words::{self, Targets, named};
use super::{Context, Done, execution, files, group, query, replay};
use crate::client::Client;
use crate::node::registry;
use crate::output;
use crate::problems::Problems;

/// The codes of what is not there: of resources, and of consumer groups.
const NOT_FOUND: [&str; 2] = ["HW-KERNEL-012", "HW-API-023"];

/// Flags of `delete`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  headwater delete stream/orders pipeline/enrich
  headwater delete pipelines -l team=checkout --dry-run
  headwater delete -f resources/ --made
  headwater delete group/billing")]
pub struct Args {
    /// Which one, or its kind with names behind it; `group/NAME` for a consumer group; with labels, kinds such as
    /// `streams,tables`, or `all`
    #[arg(value_name = "KIND[/NAME]", required_unless_present_any = ["files", "selector"])]
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
    /// Delete streams as well, with their events, that the node made for it and that nothing else names
    #[arg(long)]
    made: bool,
    /// Take what is not there as deleted
    #[arg(long)]
    ignore_not_found: bool,
    /// Say what would go and delete nothing
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    /// The names of consumer groups, where these are what is to be deleted.
    fn groups(&self) -> Result<Option<Vec<String>>, Problem> {
        let Some(what) = &self.what else { return Ok(None) };
        let Some(names) = words::beyond(what, &self.names, &group::WORDS) else { return Ok(None) };
        let flags = [
            ("--selector", self.selector.is_some()),
            ("--cascade", self.cascade),
            ("--force", self.force),
            ("--made", self.made),
        ];
        match flags.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => Err(words::for_resources(flag, what)),
            None if names.is_empty() => Err(group::nameless(what)),
            None => Ok(Some(names)),
        }
    }

    /// Refuses what is no resource and has an end of another kind.
    fn refuse_what_is_stopped(&self) -> Result<(), Problem> {
        let Some(what) = &self.what else { return Ok(()) };
        let word = what.split('/').next().unwrap_or_default();
        if !execution::WORDS.contains(&word) && !replay::WORDS.contains(&word) && !query::WORDS.contains(&word) {
            return Ok(());
        }
        let fact = format!("`{}` is no resource and cannot be deleted", what.escape_debug());
        let help = "`headwater stop` ends `execution/WORKFLOW/NAME`, `replay/NAME` or `query/ID`";
        Err(Problem::new("HW-CLI-024", fact).help(help))
    }
}

/// Deletes resources, or consumer groups.
///
/// # Errors
/// `HW-KERNEL-012`, `HW-KERNEL-013` when others name it; `HW-API-023` and `HW-API-116` for a group that is not there or
/// has members; `HW-CLI-023` for labels of nothing, `HW-CLI-024` for what is stopped.
pub async fn run(args: Args, context: &Context) -> Done {
    args.refuse_what_is_stopped()?;
    let groups = args.groups()?;
    let client = context.client()?;
    let mut targets: Vec<Target> = match (&args.what, &args.selector) {
        _ if groups.is_some() => groups.into_iter().flatten().map(Target::group).collect(),
        (Some(what), Some(selector)) => labelled(&client, what, &args.names, selector).await?,
        (Some(what), None) => named(what, &args.names)?.into_iter().map(Target::any).collect(),
        (None, Some(selector)) => return Err(words::kindless("delete", selector).into()),
        (None, None) => Vec::new(),
    };
    let registry = registry();
    for file in files::read(&args.files)? {
        for draft in registry.read(&file.name, file.text.as_bytes(), &Limits::default())? {
            let plural = registry.kind(&draft.kind).map_or_else(String::new, |kind| kind.plural.to_owned());
            targets.push(Target::any((plural, draft.name.to_string())));
        }
    }
    if !args.files.is_empty() {
        if targets.is_empty() {
            return Err(files::nothing().into());
        }
        // What is written last names what is written first, mostly.
        targets.reverse();
    }
    let Args { cascade, force, made, ignore_not_found, dry_run, .. } = args;
    all(client, targets, How { cascade, force, made, ignore_not_found, dry_run }).await
}

/// A resource to delete, or a consumer group.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// The plural of its kind.
    kind: String,
    name: String,
    /// The version that is meant; None for whatever is there.
    #[serde(rename = "resourceVersion", skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

impl Target {
    /// Whatever is there by this plural and name.
    pub fn any((kind, name): (String, String)) -> Self {
        Self { kind, name, version: None }
    }

    fn group(name: String) -> Self {
        Self::any((group::PLURAL.to_owned(), name))
    }
}

/// How resources are deleted.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// With what names them.
    pub cascade: bool,
    /// Although others name them.
    pub force: bool,
    /// With streams that the node made for them and that nothing else names.
    pub made: bool,
    /// What is not there counts as deleted.
    pub ignore_not_found: bool,
    /// Not at all: it is only said what would go.
    pub dry_run: bool,
}

impl How {
    /// As the node is asked.
    fn flags(self) -> Vec<(&'static str, &'static str)> {
        let flags = [("dry-run", self.dry_run), ("cascade", self.cascade), ("force", self.force), ("made", self.made)];
        flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "true")).collect()
    }
}

/// Deletes what the node can delete of these, in the order in which it does; or says what that is. What goes besides them
/// with `made` is told beforehand, and nothing goes where not all of it can.
///
/// # Errors
/// As [`run`].
pub async fn all(client: Client, targets: Vec<Target>, how: How) -> Done {
    if targets.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if how.made && !how.dry_run {
        foretell(&client, &targets, how).await?;
    }
    let (ids, problems) = ask(&client, &targets, how).await?;
    for id in &ids {
        let (kind, name) = id.split_once('/').unwrap_or(("", id));
        let suffix = if how.dry_run { " (dry run)" } else { "" };
        output::line(format!("{}/{name} deleted{suffix}", kind.to_lowercase()))?;
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
}

/// Says which streams go that nobody has named here: their events are lost with them.
async fn foretell(client: &Client, targets: &[Target], how: How) -> Result<(), Problems> {
    let (ids, problems) = ask(client, targets, How { dry_run: true, ..how }).await?;
    if !problems.is_empty() {
        return Err(problems.into());
    }
    let named: HashSet<&str> =
        targets.iter().filter(|target| target.kind == "streams").map(|target| target.name.as_str()).collect();
    let streams = ids.iter().filter_map(|id| id.strip_prefix("Stream/")).filter(|name| !named.contains(name));
    let streams: Vec<String> = streams.map(|name| format!("`stream/{name}`")).collect();
    if !streams.is_empty() {
        output::note(format!("with all their events go as well: {}", streams.join(", ")));
    }
    Ok(())
}

/// The ids of all that goes, or would go, and why others stay. Asked at once: the node looks at all of them together.
async fn ask(client: &Client, targets: &[Target], how: How) -> Result<(Vec<String>, Vec<Problem>), Problems> {
    let body = json!({ "resources": targets }).to_string().into_bytes();
    let answer = client.json(Method::POST, &["v1", "delete"], &how.flags(), Some(("application/json", body))).await?;
    let Report { deleted, refused } = serde_json::from_value(answer).map_err(|error| client.no_json(&error))?;
    let mut problems: Vec<Problem> = refused.into_iter().map(|refusal| refusal.problem).collect();
    problems.retain(|problem| !(how.ignore_not_found && NOT_FOUND.contains(&problem.code.as_str())));
    Ok((deleted, problems))
}

/// What the node says of deletions.
#[derive(Debug, Deserialize)]
struct Report {
    deleted: Vec<String>,
    refused: Vec<Refusal>,
}

/// What it says of one that it refuses.
#[derive(Debug, Deserialize)]
struct Refusal {
    problem: Problem,
}

/// The resources of some kinds that have these labels.
async fn labelled(client: &Client, what: &str, names: &[String], selector: &str) -> Result<Vec<Target>, Problems> {
    // No labels are had by everything, which nobody means to delete by a variable that is empty.
    if selector.chars().all(|letter| letter == ',' || letter.is_whitespace()) {
        return Err(Problem::new("HW-CLI-010", "`--selector` names no label")
            .help("name the resources, or write labels such as `team=checkout`")
            .into());
    }
    let Targets::Kinds(kinds) = words::targets(what, names)? else {
        return Err(words::beside_names(selector).into());
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
