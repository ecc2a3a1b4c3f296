//! `headwater top`: how fast each pipeline goes, how far behind it is, and what the process takes.
//!
//! Rates are differences of two scrapes of `/metrics`. What it is NOT: a monitor; that is what `/metrics` is for.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Context, Done};
use crate::client::Client;
use crate::output::{self, Column, Format};
use crate::problems::Problems;

/// Flags of `top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds between the two looks that a rate is made of
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Go on until interrupted
    #[arg(short, long)]
    watch: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

const COLUMNS: &[Column] = &[
    Column::new("PIPELINE", |row| row["name"].as_str().unwrap_or_default().to_owned()),
    Column::new("EVENTS/S", |row| rate(row, "eventsPerSecond")),
    Column::new("OUT/S", |row| rate(row, "outputsPerSecond")),
    Column::new("BEHIND", |row| row["behind"].to_string()),
    Column::new("WAITING", |row| row["waiting"].to_string()),
    Column::new("DEAD", |row| row["dead"].to_string()),
    Column::new("LATE", |row| row["late"].to_string()),
    Column::wide("EVENTS", |row| row["events"].to_string()),
    Column::wide("FAILED", |row| row["failed"].to_string()),
];

fn rate(row: &Value, key: &str) -> String {
    format!("{:.0}", row[key].as_f64().unwrap_or(0.0))
}

/// Shows figures.
///
/// # Errors
/// `HW-CLI-001` when no node answers.
pub async fn run(args: Args, context: &Context) -> Done {
    let client = context.client()?;
    let (mut before, mut at) = (scrape(&client).await?, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_secs(args.interval)).await;
        let (now, then) = (scrape(&client).await?, Instant::now());
        let seconds = then.duration_since(at).as_secs_f64();
        let rows = rows(&before, &now, seconds);
        if matches!(args.output, Format::Table | Format::Wide) {
            let process = |name: &str| now.get(&(format!("hw_process_{name}"), String::new())).copied().unwrap_or(0.0);
            let used = process("cpu_seconds_total")
                - before.get(&("hw_process_cpu_seconds_total".to_owned(), String::new())).copied().unwrap_or(0.0);
            output::note(format!(
                "node: {:.0} % of a CPU, {:.0} MiB resident, {:.0} MiB at most",
                100.0 * used / seconds,
                process("resident_bytes") / 1_048_576.0,
                process("resident_peak_bytes") / 1_048_576.0,
            ));
        }
        if rows.is_empty() && matches!(args.output, Format::Table | Format::Wide) {
            output::note("no pipelines");
        } else {
            output::print_as("pipeline", &rows, COLUMNS, args.output, false)?;
        }
        if !args.watch {
            return Ok(ExitCode::SUCCESS);
        }
        (before, at) = (now, then);
    }
}

/// Figures by name and pipeline (empty for figures that are not of one pipeline alone).
type Figures = BTreeMap<(String, String), f64>;

async fn scrape(client: &Client) -> Result<Figures, Problems> {
    let response = client.open(Method::GET, &["metrics"], &[], None).await?;
    Ok(parse(&response.text().await.map_err(|error| client.broke_off(&error))?))
}

/// Reads figures without labels and those whose only label is a pipeline.
fn parse(text: &str) -> Figures {
    let line = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        let (name, pipeline) = match name.split_once('{') {
            Some((name, labels)) => (name, labels.strip_prefix("pipeline=\"")?.strip_suffix("\"}")?),
            None => (name, ""),
        };
        (!pipeline.contains('"')).then_some(())?;
        Some(((name.to_owned(), pipeline.to_owned()), value.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect()
}

fn rows(before: &Figures, now: &Figures, seconds: f64) -> Vec<Value> {
    let pipelines = now.keys().filter(|(name, _)| name == "hw_flow_events_total").map(|(_, pipeline)| pipeline);
    let row = |pipeline: &String| {
        let of = |figures: &Figures, name: &str| {
            figures.get(&(format!("hw_flow_{name}"), pipeline.clone())).copied().unwrap_or(0.0)
        };
        // A pipeline that was started anew counts from zero again.
        let rate = |name: &str| (of(now, name) - of(before, name)).max(0.0) / seconds;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts are whole and never negative"
        )]
        let count = |name: &str| of(now, name) as u64;
        json!({
            "name": pipeline,
            "eventsPerSecond": rate("events_total"),
            "outputsPerSecond": rate("outputs_total"),
            "behind": count("lag_events"),
            "waiting": count("waiting_events"),
            "dead": count("dead_letters_total"),
            "late": count("late_total"),
            "events": count("events_total"),
            "failed": count("lookups_failed_total"),
        })
    };
    pipelines.map(row).collect()
}

#[cfg(test)]
mod tests;
