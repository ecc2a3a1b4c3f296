//! `cargo xtask crash`: does what was acknowledged survive, and does everything count once?
//!
//! `--mode kill`: the real binary under the solution's traffic is killed with `kill -9` at moments that follow from the
//! run's seed, and started again; at the end events, sessions and bans are compared with what really happened.
//! `--mode powercut`: the log on a simulated disk that drops every unsynced write and tears the last sector.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::node;
use crate::process::{cargo, read, run};
use crate::setup::{self, Needs};

/// What happens to the node.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// `kill -9` of the process.
    Kill,
    /// The machine loses power.
    Powercut,
}

/// Which crashes, and how many.
#[derive(Args)]
pub struct Options {
    /// What happens to the node
    #[arg(long, value_enum)]
    mode: Mode,
    /// How many runs
    #[arg(long, default_value_t = 20)]
    runs: u64,
    /// Seed of the first run; each further run has the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kills in each run
    #[arg(long, default_value_t = 3)]
    kills: u32,
    /// Records in each run
    #[arg(long, default_value_t = 20_000)]
    records: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Crashes nodes.
///
/// # Errors
/// When anything was lost or doubled; the output says what.
pub fn execute(options: &Options) -> Result<()> {
    match options.mode {
        Mode::Kill => kill(options),
        Mode::Powercut => powercut(options),
    }
}

fn kill(options: &Options) -> Result<()> {
    setup::prepare(Needs::Data)?;
    let binary = node::build("dev")?;
    let start = Instant::now();
    let mut sums = [0_u64; 4];
    let mut slowest_restart_ms = 0;
    let mut failed = Vec::new();
    for seed in options.seed..options.seed + options.runs {
        let output = Command::new(&binary)
            .args(["solution", "test", "clickstream", "--json", "--seed", &seed.to_string()])
            .args(["--records", &options.records.to_string(), "--kills", &options.kills.to_string()])
            .output()?;
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        if verdict.is_null() {
            failed.push(json!({"seed": seed, "failures": [String::from_utf8_lossy(&output.stderr)]}));
            continue;
        }
        for (sum, field) in sums.iter_mut().zip(["lost", "doubled", "sessions_wrong", "events"]) {
            *sum += verdict[field].as_u64().unwrap_or_default();
        }
        let restarts = verdict["restarts_ms"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        slowest_restart_ms = restarts.fold(slowest_restart_ms, u64::max);
        let broken = ["lost", "doubled", "sessions_wrong", "personal"].iter().any(|field| verdict[*field] != 0);
        if broken {
            failed.push(json!({"seed": seed, "failures": verdict["failures"]}));
        }
        if !options.json {
            eprintln!(
                "seed {seed}: {} events, {} lost, {} doubled, {} sessions wrong",
                verdict["events"], verdict["lost"], verdict["doubled"], verdict["sessions_wrong"]
            );
        }
    }
    let [lost, doubled, sessions_wrong, events] = sums;
    let summary = json!({
        "mode": "kill", "runs": options.runs, "kills": options.runs * u64::from(options.kills), "events": events,
        "lost": lost, "doubled": doubled, "sessions_wrong": sessions_wrong, "slowest_restart_ms": slowest_restart_ms,
        "seconds": start.elapsed().as_secs(), "failed": failed,
    });
    println!("{summary}");
    if failed.is_empty() { Ok(()) } else { bail!("{} of {} runs failed", failed.len(), options.runs) }
}

/// The simulated disk lives in the log's own tests; this sets how many runs they make.
fn powercut(options: &Options) -> Result<()> {
    let mut test = cargo();
    test.args(["test", "--locked", "--package", "headwater-log", "powercut", "--", "--nocapture"])
        .env("HEADWATER_CRASH_RUNS", options.runs.to_string())
        .env("HEADWATER_CRASH_SEED", options.seed.to_string());
    if !options.json {
        return run(&mut test);
    }
    let output = read(&mut test)?;
    let lines: Vec<&str> = output.lines().filter(|line| line.starts_with('{')).collect();
    println!("{}", lines.join("\n"));
    Ok(())
}
