//! `cargo xtask crash`: does what was acknowledged survive, and does everything count once?
//!
//! `--mode kill`: the real binary under the solution's traffic (idempotent producers with acks=all, pipelines with lookups,
//! sessions and aggregates) is killed with `kill -9` at moments that follow from the seed, and started again on the same
//! data; at the end events, sessions and bans are compared with what really happened. Files are small, so that new
//! segments, checkpoints and compaction happen all the time.
//! `--mode powercut`: the log on a simulated disk that drops what was not synced and tears what was under way
//! (`headwater_testkit::crash`); and as many runs of a pipeline with lookups, sessions, windows and late events on such
//! a disk, compared with a naive computation (`crates/flow/examples/sessions.rs`).
//!
//! Both tell what was lost, what was doubled, and how many sessions were compared and were wrong.
//! `lake`: both modes for a dataset's table (`xtask/src/crash/lake.rs`).
//! `rules`: both modes for a whole node with rules, pipes, a workflow, dead letters and archives that are replayed
//! (`xtask/src/crash/rules.rs`).
//! `workflows`: both modes for the workflow engine (`crates/work/examples/crash`): executions with internal tasks, timers
//! and children, Map Runs that are stopped, large payloads and history that is carried forward, all brought to their end
//! after the last crash and compared with what was promised.
//!
//! One run is one kill, or one simulated disk with the several cuts of its lives; of rules it is one cut. Anything that is
//! not as it was promised makes the command fail.

mod lake;
mod lives;
mod rules;

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::node;
use crate::setup::{self, Needs};

/// Kills under one load, on one data folder.
const KILLS_PER_LOAD: u64 = 20;

/// What is crashed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// The log with pipelines.
    #[default]
    Node,
    /// A dataset's table.
    Lake,
    /// A node with rules, pipes, a workflow, dead letters and archives that are replayed.
    Rules,
    /// The workflow engine.
    Workflows,
}

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
    /// What is crashed
    #[arg(value_enum, default_value_t)]
    what: What,
    /// What happens to the node
    #[arg(long, value_enum)]
    mode: Mode,
    /// How many runs
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Seed of the first run; what follows has the next ones
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Records sent for each kill of `node`
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(60..))]
    records: u64,
    /// Switch every sync of the simulated disk of `node` off, which must make the command fail
    #[arg(long)]
    without_sync: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Crashes nodes.
///
/// # Errors
/// When anything was lost, doubled or wrong, or when not all runs were made; the output says what.
pub fn execute(options: &Options) -> Result<()> {
    if options.without_sync && (options.what, options.mode) != (What::Node, Mode::Powercut) {
        bail!("`--without-sync` goes with `node --mode powercut` alone");
    }
    let summary = match (options.what, options.mode) {
        (What::Workflows, _) => workflows(options)?,
        (What::Lake, _) => lake::execute(options)?,
        (What::Rules, _) => rules::execute(options)?,
        (What::Node, Mode::Kill) => kill(options)?,
        (What::Node, Mode::Powercut) => powercut(options)?,
    };
    if options.json {
        println!("{summary}");
    } else {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    }
    let failed = summary["failed"].as_array().map_or(0, Vec::len);
    let broken = ["lost", "doubled", "wrong"].iter().any(|field| summary[*field] != 0);
    if summary["runs"] != options.runs {
        bail!("{} of {} runs were made", summary["runs"], options.runs);
    }
    if failed > 0 || broken {
        bail!("{failed} seeds failed");
    }
    Ok(())
}

fn kill(options: &Options) -> Result<Value> {
    setup::prepare(Needs::Data)?;
    let binary = node::build("dev")?;
    let start = Instant::now();
    let (mut runs, mut events, mut sessions, mut slowest_restart_ms) = (0, 0, 0, 0);
    let [mut lost, mut doubled, mut sessions_wrong, mut wrong] = [0; 4];
    let mut failed = Vec::new();
    let mut seed = options.seed;
    while runs < options.runs {
        let kills = KILLS_PER_LOAD.min(options.runs - runs);
        let output = Command::new(&binary)
            .args(["solution", "test", "clickstream", "--json", "--seed", &seed.to_string()])
            .args(["--records", &(kills * options.records).to_string(), "--kills", &kills.to_string()])
            .env("HEADWATER_SMALL_LOG", "1")
            .output()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let restarts: Vec<u64> =
            verdict["restarts_ms"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let sum = |fields: &[&str]| fields.iter().filter_map(|field| verdict[*field].as_u64()).sum::<u64>();
        runs += kills;
        events += sum(&["events"]);
        sessions += sum(&["sessions"]);
        lost += sum(&["lost"]);
        doubled += sum(&["doubled"]);
        sessions_wrong += sum(&["sessions_wrong"]);
        wrong += sum(&["sessions_wrong", "wrongly_late"]);
        slowest_restart_ms = restarts.iter().copied().fold(slowest_restart_ms, u64::max);
        eprintln!(
            "seed {seed}: {} kills, {} events, {} lost, {} doubled, {} sessions wrong of {}",
            restarts.len(),
            verdict["events"],
            verdict["lost"],
            verdict["doubled"],
            verdict["sessions_wrong"],
            verdict["sessions"],
        );
        let all = verdict["failures"].as_array().is_some_and(Vec::is_empty) && restarts.len() as u64 == kills;
        if !all || !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            failed.push(json!({ "seed": seed, "failures": verdict["failures"], "said": said }));
        }
        seed += 1;
    }
    Ok(json!({
        "mode": "kill", "runs": runs, "seed": options.seed, "events": events, "sessions": sessions, "lost": lost,
        "doubled": doubled, "wrong": wrong, "sessions_wrong": sessions_wrong, "slowest_restart_ms": slowest_restart_ms,
        "seconds": start.elapsed().as_secs(), "failed": failed,
    }))
}

fn workflows(options: &Options) -> Result<Value> {
    let mode = if options.mode == Mode::Kill { "kill" } else { "powercut" };
    let words = [mode.to_owned(), options.seed.to_string(), options.runs.to_string()];
    figures(Command::new(node::example("dev", "crash")?).args(words))
}

fn powercut(options: &Options) -> Result<Value> {
    let words = [options.seed.to_string(), options.runs.to_string()];
    let mut command = Command::new(node::example("dev", "powercut")?);
    command.args(&words);
    if options.without_sync {
        return figures(command.arg("--without-sync"));
    }
    let of_log = figures(&mut command)?;
    let of_sessions = figures(Command::new(node::example("dev", "sessions")?).args(&words))?;
    Ok(with_sessions(of_log, &of_sessions))
}

/// The figures of the log's runs with those of the pipeline's runs beside them. As many runs were made as of either.
fn with_sessions(mut of_log: Value, of_sessions: &Value) -> Value {
    let of = |figures: &Value, name: &str| figures[name].as_u64().unwrap_or_default();
    of_log["runs"] = json!(of(&of_log, "runs").min(of(of_sessions, "runs")));
    for name in ["acked", "lost", "doubled"] {
        of_log[name] = json!(of(&of_log, name) + of(of_sessions, name));
    }
    let sessions_wrong = of(of_sessions, "sessions_wrong");
    of_log["wrong"] = json!(of(&of_log, "wrong") + sessions_wrong);
    of_log["sessions"] = json!(of(of_sessions, "sessions"));
    of_log["sessions_wrong"] = json!(sessions_wrong);
    of_log["late"] = json!(of(of_sessions, "late"));
    let both = [&of_log, of_sessions].into_iter().filter_map(|figures| figures["failed"].as_array()).flatten();
    of_log["failed"] = both.cloned().collect();
    let seconds = [&of_log, of_sessions].into_iter().filter_map(|figures| figures["seconds"].as_f64()).sum::<f64>();
    of_log["seconds"] = json!(seconds);
    of_log
}

/// Runs what prints figures. Its exit code says nothing that its figures do not, but figures there must be.
fn figures(command: &mut Command) -> Result<Value> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start the runs")?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).with_context(|| format!("the runs ended with {} and no figures", output.status))
}

/// A number that follows from the seed and looks like any other (splitmix64).
fn mixed(seed: u64, step: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(1_000).wrapping_add(step).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
