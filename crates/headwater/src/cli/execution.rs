//! Executions on the command line: listing, describing with a timeline, history, `stop` and `redrive`.

use std::process::ExitCode;

use headwater_base::{Micros, Problem};
use reqwest::Method;
use serde_json::{Value, json};

use super::get::text;
use super::words::for_executions;
use super::{Context, Done, query, replay};
use crate::client::Client;
use crate::output::{self, Column, Format, yaml};
use crate::problems::Problems;

/// Words that mean executions, which are no resources.
pub const WORDS: [&str; 4] = ["executions", "execution", "exec", "ex"];

/// Executions that are asked for at once.
const PAGE: u64 = 1_000;

/// Events that are asked for at once, and that `describe` shows.
const EVENTS_MAX: &str = "1000";

/// The columns of executions.
pub const COLUMNS: &[Column] = &[
    Column::new("ID", |row| text(row, "/id")),
    Column::new("STATE", |row| text(row, "/state")),
    Column::new("STARTED", |row| text(row, "/started")),
    Column::new("TOOK", took),
    Column::wide("VERSION", |row| text(row, "/version")),
    Column::wide("ERROR", |row| text(row, "/error")),
    Column::wide("CAUSE", |row| text(row, "/cause")),
];

/// Flags of `history`, `stop` and `redrive`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The execution
    #[arg(value_name = "execution/WORKFLOW/NAME")]
    execution: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

/// Flags of `stop`.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// `execution/WORKFLOW/NAME`, `replay/NAME` or `query/ID`
    #[arg(value_name = "KIND/NAME")]
    what: String,
    /// The error an execution ends with
    #[arg(long, value_name = "NAME")]
    error: Option<String>,
    /// Why an execution ends
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
}

/// Lists executions, the newest first: all of them, or `limit` at most.
///
/// # Errors
/// What the node says.
pub async fn list(context: &Context, limit: Option<u64>, format: Format) -> Done {
    let client = context.client()?;
    let (mut rows, mut after): (Vec<Value>, Option<String>) = (Vec::new(), None);
    loop {
        let left = limit.map_or(PAGE, |limit| limit.saturating_sub(rows.len() as u64).min(PAGE));
        let max = left.to_string();
        let mut query = vec![("max", max.as_str())];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let mut page = client.get(&["v1", "executions"], &query).await?;
        rows.extend(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() || limit.is_some_and(|limit| rows.len() as u64 >= limit) {
            break;
        }
    }
    if rows.is_empty() && matches!(format, Format::Table | Format::Wide) {
        output::note("no executions");
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&rows, COLUMNS, format, false)?;
    if after.is_some() {
        output::note("there are older ones");
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows executions as rows.
///
/// # Errors
/// `HW-WORK-030` for what there is not; what there is of several is shown all the same.
pub async fn get(context: &Context, ids: &[String], format: Format) -> Done {
    let client = context.client()?;
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for id in ids {
        match one(&client, id).await {
            Ok(row) => rows.push(row),
            Err(more) => problems.extend(more.0),
        }
    }
    if !rows.is_empty() {
        output::print(&rows, COLUMNS, format, ids.len() == 1)?;
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
}

/// Describes an execution: what it began with, what it came to, and what happened when; `before` stands above it.
///
/// # Errors
/// `HW-WORK-030`.
pub async fn describe(client: &Client, id: &str, before: &str) -> Result<(), Problems> {
    let view = one(client, id).await?;
    output::line(format!("{before}{}", yaml::write(&view).trim_end()))?;
    let (workflow, name) = split(id)?;
    let path = ["v1", "executions", workflow, name, "history"];
    let history = client.get(&path, &[("max", EVENTS_MAX)]).await?;
    let start = Micros::parse_rfc3339(&text(&view, "/started"));
    output::line("timeline:")?;
    let events = history["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    for event in events {
        output::line(format!("- {}", moment(event, start)))?;
    }
    if events.len().to_string() == EVENTS_MAX {
        output::note(format!("`headwater history execution/{workflow}/{name}` shows what came after these events"));
    }
    Ok(())
}

/// One event as a line: how long after the start, what, and of which state.
fn moment(event: &Value, start: Option<Micros>) -> String {
    let at = event["timestamp"].as_f64().unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a time are far below 2^53")]
    let after = start.map_or(0.0, |start| (at - start.millis() as f64 / 1e3).max(0.0));
    let kind = text(event, "/type");
    let details = event.as_object().into_iter().flatten().find(|(name, _)| name.ends_with("EventDetails"));
    let mut about = Vec::new();
    if let Some((_, details)) = details {
        for field in ["name", "resourceType", "resource", "index", "error", "cause", "mapRunArn"] {
            let shown = text(details, &format!("/{field}"));
            if !shown.is_empty() {
                about.push(shown);
            }
        }
    }
    format!("{after:>9.3}s  {kind:<24} {}", about.join(" ")).trim_end().to_owned()
}

/// Prints the events of an execution.
///
/// # Errors
/// `HW-WORK-030`, `HW-WORK-036`.
pub async fn history(args: Args, context: &Context) -> Done {
    let (workflow, name) = split(&args.execution)?;
    let client = context.client()?;
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let after = rows.last().map_or(0, |event| event["id"].as_u64().unwrap_or(0)).to_string();
        let path = ["v1", "executions", workflow, name, "history"];
        let page = client.get(&path, &[("after", &after), ("max", EVENTS_MAX)]).await?;
        let events = page["events"].as_array().cloned().unwrap_or_default();
        if events.is_empty() {
            break;
        }
        rows.extend(events);
    }
    let columns = [
        Column::new("EVENT", |row| text(row, "/id")),
        Column::new("AFTER", |row| text(row, "/previousEventId")),
        Column::new("WHAT", |row| moment(row, None)),
    ];
    output::print_as("event", &rows, &columns, args.output, false)?;
    Ok(ExitCode::SUCCESS)
}

/// Ends an execution as aborted, a replay early, or a query.
///
/// # Errors
/// `HW-WORK-006` when it has ended, and as [`replay::stop`] and [`query::stop`].
pub async fn stop(args: StopArgs, context: &Context) -> Done {
    let is_other = |(word, _): (&str, &str)| replay::WORDS.contains(&word) || query::WORDS.contains(&word);
    if args.what.split_once('/').is_some_and(is_other) {
        let flags = [("--error", args.error.is_some()), ("--cause", args.cause.is_some())];
        if let Some((flag, _)) = flags.iter().find(|(_, is_given)| *is_given) {
            return Err(for_executions(flag, &args.what).into());
        }
    }
    match args.what.split_once('/') {
        Some((word, name)) if replay::WORDS.contains(&word) => return replay::stop(name, context).await,
        Some((word, id)) if query::WORDS.contains(&word) => return query::stop(id, context).await,
        _ => {}
    }
    let (workflow, name) = split(&args.what)?;
    let body = json!({"error": args.error, "cause": args.cause}).to_string().into_bytes();
    let path = ["v1", "executions", workflow, name, "stop"];
    context.client()?.json(Method::POST, &path, &[], Some(("application/json", body))).await?;
    output::line(format!("execution/{workflow}/{name} stopped"))?;
    Ok(ExitCode::SUCCESS)
}

/// Takes up an execution that did not succeed.
///
/// # Errors
/// `HW-WORK-007` when there is nothing to take up.
pub async fn redrive(args: Args, context: &Context) -> Done {
    let (workflow, name) = split(&args.execution)?;
    let path = ["v1", "executions", workflow, name, "redrive"];
    context.client()?.json(Method::POST, &path, &[], None).await?;
    output::line(format!("execution/{workflow}/{name} redriven"))?;
    Ok(ExitCode::SUCCESS)
}

async fn one(client: &Client, id: &str) -> Result<Value, Problems> {
    let (workflow, name) = split(id)?;
    client.get(&["v1", "executions", workflow, name], &[]).await
}

/// Workflow and name of `[execution/]WORKFLOW/NAME`.
fn split(id: &str) -> Result<(&str, &str), Problem> {
    let id = WORDS.iter().find_map(|word| id.strip_prefix(word)?.strip_prefix('/')).unwrap_or(id);
    id.split_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(|| {
        Problem::new("HW-CLI-010", format!("`{id}` names no execution"))
            .help("write `execution/WORKFLOW/NAME`; `headwater get executions` lists them")
    })
}

fn took(row: &Value) -> String {
    let time = |pointer: &str| Micros::parse_rfc3339(&text(row, pointer));
    let (Some(started), Some(stopped)) = (time("/started"), time("/stopped")) else { return String::new() };
    let took = stopped.since(started);
    if took.as_secs() >= 60 { format!("{}s", took.as_secs()) } else { format!("{}ms", took.as_millis()) }
}
