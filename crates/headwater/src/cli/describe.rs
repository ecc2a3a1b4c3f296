//! `headwater describe`: a resource with its status, its history from the audit stream, and what its stream holds.

use std::process::ExitCode;

use reqwest::Method;
use serde_json::Value;

use super::get::{one, text};
use super::{Context, Done};
use crate::output::{self, yaml};

/// Changes shown, the newest ones.
const CHANGES_MAX: usize = 10;

/// Flags of `describe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which one
    #[arg(value_name = "KIND/NAME")]
    what: String,
}

/// Describes a resource.
///
/// # Errors
/// As `get`.
pub async fn run(args: Args, context: &Context) -> Done {
    let client = context.client()?;
    let (kind, name) = one(&args.what)?;
    let resource = client.get(&["v1", &kind, &name], &[]).await?;
    output::line(yaml::write(&resource).trim_end())?;
    if kind == "streams" {
        let partitions = client.get(&["v1", "streams", &name, "partitions"], &[]).await?;
        output::line("partitions:")?;
        for row in partitions["partitions"].as_array().into_iter().flatten() {
            output::line(format!(
                "- {{partition: {}, start: {}, end: {}, records: {}}}",
                row["partition"], row["start"], row["end"], row["records"]
            ))?;
        }
    }
    let query = [("from", "-500")];
    let response = client.open(Method::GET, &["v1", "streams", "headwater.audit", "events"], &query, None).await?;
    let audit = response.text().await.map_err(|error| client.broke_off(&error))?;
    let id = format!("{}/{name}", text(&resource, "/kind"));
    let changes: Vec<Value> = audit
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|row: &Value| row["key"] == id.as_str())
        .collect();
    output::line("changes:")?;
    for row in changes.iter().rev().take(CHANGES_MAX).rev() {
        let (time, verb, outcome) = (text(row, "/value/time"), text(row, "/value/verb"), text(row, "/value/outcome"));
        output::line(format!("- {time} {verb}: {outcome} (generation {})", text(row, "/value/generation")))?;
    }
    Ok(ExitCode::SUCCESS)
}
