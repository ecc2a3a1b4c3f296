//! `cargo xtask bench workflows`: what the workflow engine does on this disk (`crates/work/examples/engine_bench.rs`), how
//! soon a launch has its price, and Restate beside it: five durable HTTP calls in each execution, 64 at once, in turns.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, at_least, at_most, pricing, spread};
use crate::process::{read, root, target};
use crate::setup;

/// A figure, the limit that it is held against, and how.
type Goal = (&'static str, f64, fn(f64, f64) -> Value);

/// What is measured: the example's word, and its goals.
const PARTS: [(&str, &[Goal]); 5] = [
    ("external", &[("syncs_each_at_concurrency_1", 6.0, at_most)]),
    ("internal", &[("steps_per_s", 10_000.0, at_least)]),
    ("transitions", &[("steps_per_s", 100_000.0, at_least)]),
    ("map", &[("seconds", 60.0, at_most), ("resident_peak_mib", 300.0, at_most)]),
    ("recovery", &[("seconds", 10.0, at_most)]),
];

/// Executions of one turn beside Restate.
const EXECUTIONS: &str = "1000";
/// How much faster than Restate it should be.
const TIMES: f64 = 10.0;

/// Measures part after part, each in a process of its own, so that one's memory is not another's.
pub(super) fn measure(options: &Options, _: &Machine) -> Result<Value> {
    let program = options.example("engine_bench")?;
    let folder = target().join("bench");
    let mut result = json!({});
    for (part, goals) in PARTS {
        let output =
            Command::new(&program).arg(part).env("TMPDIR", &folder).output().context("cannot start the bench")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut figures: Value = serde_json::from_str(text.trim()).with_context(|| {
            format!("`{part}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
        })?;
        // A figure that is not there reaches nothing.
        let judged: Value = goals
            .iter()
            .map(|(figure, limit, judge)| {
                let goal = judge(figures[*figure].as_f64().unwrap_or(f64::NAN), *limit);
                ((*figure).to_owned(), goal)
            })
            .collect();
        figures["goals"] = judged;
        result[part] = figures;
    }
    result["pricing"] = pricing::measure(options)?;
    result["restate"] = beside_restate(&program, &folder, options.runs)?;
    Ok(result)
}

/// Durable steps each second, ours and Restate's.
fn beside_restate(program: &Path, folder: &Path, runs: usize) -> Result<Value> {
    let peer = setup::peer("restate", &root().join("crates/work/examples/restate"), "peer.mjs")?;
    let steps = |command: &mut Command| -> Result<f64> {
        let output = read(command.env("TMPDIR", folder).stderr(Stdio::null()))?;
        let last = output.lines().last().unwrap_or_default();
        let figures: Value = serde_json::from_str(last).context("the figures of one turn")?;
        figures["steps_per_s"].as_f64().context("no steps each second")
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ours.push(steps(Command::new(program).args(["external", EXECUTIONS]))?);
        let words = [EXECUTIONS, "64"];
        let within = peer.parent().unwrap_or(&peer);
        theirs.push(steps(Command::new("node").arg(&peer).args(words).current_dir(within))?);
    }
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(json!({
        "steps_per_s": spread(ours), "restate_steps_per_s": spread(theirs), "ratio": spread(ratios),
        "goal": at_least(least, TIMES),
    }))
}
