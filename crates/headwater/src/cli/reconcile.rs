//! `headwater reconcile`: compares what a pipeline said with a recomputation in batch, and repairs the difference.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use super::words::name_of;
use super::{Context, Done};
use crate::output::{self, Column, Format};

/// Flags of `reconcile`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pipeline, by its name or as `pipeline/NAME`
    #[arg(value_name = "pipeline/NAME")]
    pipeline: String,
    /// First event time, such as 2026-11-23T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// First event time behind the span
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Write what is missing or wrong
    #[arg(long)]
    repair: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Format,
}

const COLUMNS: &[Column] = &[
    Column::new("STREAM", |row| row["stream"].as_str().unwrap_or_default().to_owned()),
    Column::new("COMPARED", |row| row["compared"].to_string()),
    Column::new("MISSING", |row| row["missing"].to_string()),
    Column::new("WRONG", |row| row["wrong"].to_string()),
    Column::new("EXTRA", |row| row["extra"].to_string()),
];

/// Compares; exit code 1 when there are differences that were not repaired.
///
/// # Errors
/// `HW-FLOW-046` for no such pipeline, `HW-CLI-010` for what is none.
pub async fn run(args: Args, context: &Context) -> Done {
    let mut query: Vec<(&str, &str)> = args.from.iter().map(|from| ("from", from.as_str())).collect();
    query.extend(args.to.iter().map(|to| ("to", to.as_str())));
    if args.repair {
        query.push(("repair", "true"));
    }
    let path = ["v1", "pipelines", name_of("Pipeline", &args.pipeline)?, "reconcile"];
    let client = context.client()?;
    let waiting = waiting();
    let report = client.json(Method::POST, &path, &query, None).await;
    waiting.finish_and_clear();
    let report = report?;
    let mut rows: Vec<Value> = Vec::new();
    for (stream, differences) in report["streams"].as_object().into_iter().flatten() {
        let mut row = differences.clone();
        if let Some(members) = row.as_object_mut() {
            members.insert("stream".to_owned(), Value::from(stream.as_str()));
        }
        rows.push(row);
    }
    let (differences, left) = differences(&report);
    output::print_as("stream", &rows, COLUMNS, args.output, false)?;
    output::note(format!(
        "{} events read, {differences} differences, {} repaired",
        report["events"], report["repaired"]
    ));
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How many differences a report tells of, and how many of them stay: a stream may not take what repairs it.
fn differences(report: &Value) -> (u64, u64) {
    let streams = report["streams"].as_object().into_iter().flatten();
    let counts = streams.flat_map(|(_, of)| ["missing", "wrong", "extra"].map(|kind| of[kind].as_u64().unwrap_or(0)));
    let all: u64 = counts.sum();
    (all, all.saturating_sub(report["repaired"].as_u64().unwrap_or(0)))
}

/// For how long it has gone on, on stderr and only on a terminal: the node says nothing before it is through.
fn waiting() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let bar = match ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.set_message("recomputing");
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_could_not_be_repaired_is_left() {
        let out = json!({"compared": 9, "missing": 1, "wrong": 2, "extra": 0});
        let report = |repaired: u64| json!({"streams": {"out": out, "rows": {"extra": 3}}, "repaired": repaired});
        assert_eq!([0, 5, 6].map(|repaired| differences(&report(repaired))), [(6, 6), (6, 1), (6, 0)]);
        assert_eq!(differences(&json!({"streams": {"out": {"compared": 4}}, "repaired": 0})), (0, 0));
    }
}
