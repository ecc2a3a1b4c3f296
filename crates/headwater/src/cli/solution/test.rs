//! `headwater solution test`: generated traffic through the solution's pipelines, compared with what really happened.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::Done;
use crate::output::{self, Column, Format};
use crate::problems::Problems;
use crate::solution::package;
use crate::solution::trial::{self, Options, Verdict};

/// Flags of `solution test`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The solution
    name: String,
    /// Seed of the traffic
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Records to send
    #[arg(long, default_value_t = 60_000)]
    records: u64,
    /// How often the node is killed meanwhile
    #[arg(long, default_value_t = 0)]
    kills: u32,
    /// Write what really happened to this file, one JSON object on each line
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("CHECK", |row| row["name"].as_str().unwrap_or_default().to_owned()),
    Column::new("FOUND", |row| row["found"].as_str().unwrap_or_default().to_owned()),
    Column::new("MUST BE", |row| row["must"].as_str().unwrap_or_default().to_owned()),
    Column::new("RESULT", |row| if row["holds"] == true { "ok" } else { "FAILED" }.to_owned()),
];

/// Tries the solution; exit code 1 when something is not as it was.
///
/// # Errors
/// What the node has to say.
pub(super) async fn run(args: Args) -> Done {
    let package = package::find(&args.name)?;
    let options = Options { seed: args.seed, records: args.records, kills: args.kills, truth: args.truth };
    let bar = super::bar(args.records);
    let verdict = trial::run(&package, &options, |step, sent| {
        bar.set_message(step);
        bar.set_position(sent);
    })
    .await;
    bar.finish_and_clear();
    let verdict = verdict?;
    if args.json {
        output::line(json!(verdict))?
    } else {
        show(&verdict)?
    }
    for failure in &verdict.failures {
        output::note(format!("failed: {failure}"));
    }
    Ok(if verdict.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(verdict: &Verdict) -> Result<(), Problems> {
    let rules: Vec<Value> = verdict.rules.iter().map(|rule| json!(rule)).collect();
    output::print(&rules, COLUMNS, Format::Table, false)?;
    let Verdict { seed, records, sessions, bans, attackers, attackers_among_people, caught, .. } = verdict;
    output::line(format!(
        "\nseed {seed}: {records} records, {sessions} sessions, {bans} bans, {} of them wrong; {caught} of {attackers} \
         attackers caught, {attackers_among_people} of whom hid among people; {} people banned; {} s",
        verdict.wrong_bans.len(),
        verdict.people_banned,
        verdict.seconds
    ))?;
    for wrong in &verdict.wrong_bans {
        output::line(format!("wrongly banned: {wrong}"))?;
    }
    if !verdict.missed.is_empty() {
        output::line(format!("not caught: {}", verdict.missed.join(", ")))?;
    }
    Ok(())
}
