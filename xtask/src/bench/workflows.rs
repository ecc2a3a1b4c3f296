//! `cargo xtask bench workflows`: what the workflow engine does on this disk (`crates/work/examples/engine_bench.rs`).

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Options;
use super::probe::Machine;
use crate::process::target;

/// What is measured: the example's word, the figure and its goal.
const PARTS: [(&str, &str, f64, bool); 5] = [
    ("external", "syncs_each_at_concurrency_1", 6.0, false),
    ("internal", "steps_per_s", 10_000.0, true),
    ("transitions", "steps_per_s", 100_000.0, true),
    ("map", "seconds", 60.0, false),
    ("recovery", "seconds", 10.0, false),
];

/// Measures part after part, each in a process of its own, so that one's memory is not another's.
pub(super) fn measure(options: &Options, _: &Machine) -> Result<Value> {
    let program = options.example("headwater-work", "engine_bench")?;
    let folder = target().join("bench");
    let mut result = json!({});
    for (part, figure, goal, least) in PARTS {
        let output =
            Command::new(&program).arg(part).env("TMPDIR", &folder).output().context("cannot start the bench")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut figures: Value = serde_json::from_str(text.trim()).with_context(|| {
            format!("`{part}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
        })?;
        let reached = figures[figure].as_f64().unwrap_or(0.0);
        let met = if least { reached >= goal } else { reached <= goal };
        figures["goal"] = json!({"of": figure, "is": goal, "met": met});
        result[part] = figures;
    }
    Ok(result)
}
