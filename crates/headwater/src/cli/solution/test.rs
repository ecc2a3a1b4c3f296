//! `headwater solution test`: whether a solution does what it promises, compared with what is known by another route.

use std::path::PathBuf;
use std::process::ExitCode;

use headwater_base::Problem;
use serde_json::{Value, json};

use crate::cli::Done;
use crate::output::{self, Column, Format};
use crate::solution::clickstream::trial;
use crate::solution::outcome::Outcome;
use crate::solution::{package, sales_insights, workflow_cost};

/// Flags of `solution test`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The solution
    pub(super) name: String,
    /// Seed of what is generated
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much to generate: records of traffic [default: 60000], or runs beside the real ones [default: 40]
    #[arg(long)]
    records: Option<u64>,
    /// How often the node is killed meanwhile
    #[arg(long, default_value_t = 0)]
    kills: u32,
    /// Write what really happened to this file, one JSON object on each line
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Test with the sales of this CSV file instead of generated ones (sales-insights)
    #[arg(long, value_name = "FILE", requires = "windows")]
    input: Option<PathBuf>,
    /// The windows labelled in that file, in the form of the Numenta Anomaly Benchmark
    #[arg(long, value_name = "FILE", requires = "input")]
    windows: Option<PathBuf>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("CHECK", |row| row["name"].as_str().unwrap_or_default().to_owned()),
    Column::new("FOUND", |row| row["found"].as_str().unwrap_or_default().to_owned()),
    Column::new("MUST BE", |row| row["must"].as_str().unwrap_or_default().to_owned()),
    Column::new("RESULT", |row| if row["holds"] == true { "ok" } else { "FAILED" }.to_owned()),
];

impl Args {
    /// Refuses flags that the test of this solution has no use for.
    fn refuse(&self, given: &[(&str, bool)]) -> Result<(), Problem> {
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => {
                Err(Problem::new("HW-CLI-208", format!("the test of `{}` has no use for `{flag}`", self.name)))
            }
            None => Ok(()),
        }
    }
}

/// Traffic through the pipelines of clickstream.
///
/// # Errors
/// What the node has to say.
pub(super) async fn clickstream(args: Args) -> Done {
    args.refuse(&[("--input", args.input.is_some())])?;
    let package = package::find(&args.name)?;
    let records = args.records.unwrap_or(60_000);
    let options = trial::Options { seed: args.seed, records, kills: args.kills, truth: args.truth };
    let bar = super::bar(records);
    let verdict = trial::run(&package, &options, |step, sent| {
        bar.set_message(step);
        bar.set_position(sent);
    })
    .await;
    bar.finish_and_clear();
    show(&verdict?.outcome(), args.json)
}

/// Runs through the pricing of workflow-cost.
///
/// # Errors
/// What cannot be read or priced.
pub(super) async fn workflow_cost(args: Args) -> Done {
    args.refuse(&[("--kills", args.kills > 0), ("--input", args.input.is_some())])?;
    let package = package::find(&args.name)?;
    let options =
        workflow_cost::trial::Options { seed: args.seed, generated: args.records.unwrap_or(40), truth: args.truth };
    show(&workflow_cost::trial::run(&package, &options)?, args.json)
}

/// Sales through the forecast of sales-insights.
///
/// # Errors
/// What cannot be read, and what the node has to say.
pub(super) async fn sales_insights(args: Args) -> Done {
    let unused =
        [("--kills", args.kills > 0), ("--records", args.records.is_some()), ("--truth", args.truth.is_some())];
    args.refuse(&unused)?;
    let package = package::find(&args.name)?;
    let options = sales_insights::trial::Options { seed: args.seed, given: args.input.zip(args.windows) };
    let bar = super::bar(0);
    let outcome = sales_insights::trial::run(&package, &options, |step, sent| {
        bar.set_message(step);
        bar.set_position(sent);
    })
    .await;
    bar.finish_and_clear();
    show(&outcome?, args.json)
}

/// Prints an outcome; exit code 1 when something is not as it must be.
fn show(outcome: &Outcome, as_json: bool) -> Done {
    if as_json {
        output::line(&outcome.figures)?;
    } else {
        let rules: Vec<Value> = outcome.rules.iter().map(|rule| json!(rule)).collect();
        output::print(&rules, COLUMNS, Format::Table, false)?;
        for line in std::iter::once("").chain(outcome.summary.iter().map(String::as_str)) {
            output::line(line)?;
        }
    }
    for failure in &outcome.failures {
        output::note(format!("failed: {failure}"));
    }
    Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
