//! `headwater describe`: a resource with its status, its history from the audit stream, and what its stream holds.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::{Value, json};

use super::get::text;
use super::words::{beyond, named};
use super::{Context, Done, execution, group, query, replay};
use crate::client::Client;
use crate::output::{self, Format, yaml};
use crate::problems::Problems;

/// Changes shown, the newest ones.
const CHANGES_MAX: usize = 10;

/// Events of the audit stream that are read at first; of many others' changes more are, in growing parts.
const AUDIT_PART: u64 = 500;

/// Events of the audit stream that are read at most.
const AUDIT_MAX: u64 = 50_000;

/// Flags of `describe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one, or its kind with names behind it
    #[arg(value_name = "KIND[/NAME]")]
    what: String,
    /// Further names of the kind, or further `KIND/NAME`
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Describes resources.
///
/// # Errors
/// As `get`; what there is of several names is described all the same.
pub async fn run(args: Args, context: &Context) -> Done {
    if let Some(names) = beyond(&args.what, &args.names, &replay::WORDS) {
        return replay::get(context, &names, Format::Yaml).await;
    }
    if let Some(ids) = beyond(&args.what, &args.names, &query::WORDS) {
        return query::get(context, &ids, Format::Yaml).await;
    }
    if let Some(names) = beyond(&args.what, &args.names, &group::WORDS) {
        return group::get(context, &names, Format::Yaml).await;
    }
    let client = context.client()?;
    let (mut before, mut problems) = ("", Vec::new());
    if let Some(ids) = beyond(&args.what, &args.names, &execution::WORDS).filter(|ids| !ids.is_empty()) {
        for id in &ids {
            match execution::describe(&client, id, before).await {
                Ok(()) => before = "---\n",
                Err(more) => problems.extend(more.0),
            }
        }
    } else {
        for (kind, name) in &named(&args.what, &args.names)? {
            match describe(&client, kind, name, before).await {
                Ok(()) => before = "---\n",
                Err(more) => problems.extend(more.0),
            }
        }
    }
    if problems.is_empty() { Ok(ExitCode::SUCCESS) } else { Err(problems.into()) }
}

async fn describe(client: &Client, kind: &str, name: &str, before: &str) -> Result<(), Problems> {
    let resource = client.get(&["v1", kind, name], &[]).await?;
    output::line(format!("{before}{}", yaml::write(&resource).trim_end()))?;
    if kind == "streams" {
        let partitions = client.get(&["v1", "streams", name, "partitions"], &[]).await?;
        output::line("partitions:")?;
        for row in partitions["partitions"].as_array().into_iter().flatten() {
            output::line(format!(
                "- {{partition: {}, start: {}, end: {}, records: {}}}",
                row["partition"], row["start"], row["end"], row["records"]
            ))?;
        }
    }
    if kind == "datasets" {
        // A dataset that could not be started has no table yet, and its status says why.
        let table = client.get(&["v1", "datasets", name, "table"], &[]).await.unwrap_or_default();
        output::line(yaml::write(&json!({ "table": table })).trim_end())?;
    }
    if kind == "pipelines" {
        steps(client, name).await?;
    }
    let changes = changes(client, &format!("{}/{name}", text(&resource, "/kind"))).await?;
    // YAML's empty list, so that the whole output stays YAML.
    output::line(if changes.is_empty() { "changes: []" } else { "changes:" })?;
    for row in &changes {
        output::line(format!(
            "- {{time: {}, verb: {}, outcome: {}, generation: {}}}",
            text(row, "/value/time"),
            text(row, "/value/verb"),
            text(row, "/value/outcome"),
            text(row, "/value/generation")
        ))?;
    }
    Ok(())
}

/// What each step of a pipeline has counted since it was started; nothing of one that does not run, whose status says
/// why.
async fn steps(client: &Client, name: &str) -> Result<(), Problems> {
    let figures = client.get(&["v1", "pipelines", name, "figures"], &[]).await.unwrap_or_default();
    let rows = |list: &str| figures[list].as_array().cloned().unwrap_or_default();
    if !figures["watermark"].is_null() {
        output::line(format!("watermark: {}", text(&figures, "/watermark")))?;
    }
    for (list, rows) in [("steps", rows("steps")), ("written", rows("written"))] {
        if !rows.is_empty() {
            output::line(format!("{list}:"))?;
        }
        for row in &rows {
            // Flow style: one step, one line.
            let fields = row.as_object().into_iter().flatten();
            let fields: Vec<String> = fields.map(|(name, value)| format!("{name}: {value}")).collect();
            output::line(format!("- {{{}}}", fields.join(", ")))?;
        }
    }
    Ok(())
}

/// The newest changes of a resource, from the end of the audit stream backwards: until there are enough of them, or the
/// one that made the resource, or [`AUDIT_MAX`] events are read, which is said.
async fn changes(client: &Client, id: &str) -> Result<Vec<Value>, Problems> {
    let ends = client.get(&["v1", "streams", "headwater.audit", "partitions"], &[]).await?;
    let end = |name: &str| ends["partitions"][0][name].as_u64().unwrap_or(0);
    let (start, last) = (end("start"), end("end"));
    let first_read = start.max(last.saturating_sub(AUDIT_MAX));
    let (mut to, mut part) = (last, AUDIT_PART);
    let mut changes: Vec<Value> = Vec::new();
    while to > first_read {
        let from = to.saturating_sub(part).max(first_read);
        let (first, count) = (from.to_string(), (to - from).to_string());
        let query = [("from", first.as_str()), ("max", count.as_str())];
        let path = ["v1", "streams", "headwater.audit", "events"];
        let response = client.open(Method::GET, &path, &query, None).await?;
        let audit = response.text().await.map_err(|error| client.broke_off(&error))?;
        let rows = audit.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut found: Vec<Value> = rows.filter(|row: &Value| row["key"] == id).collect();
        found.append(&mut changes);
        changes = found;
        (to, part) = (from, part * 4);
        if changes.len() >= CHANGES_MAX || changes.iter().any(|row| row["value"]["outcome"] == "created") {
            to = start;
        }
    }
    if to > start {
        output::note(format!("earlier changes may be behind the last {} audit events, which were read", last - to));
    }
    changes.drain(..changes.len().saturating_sub(CHANGES_MAX));
    Ok(changes)
}
