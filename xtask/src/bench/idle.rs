//! A node on an empty folder: how soon it is ready, and what it takes while nobody asks for anything.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, at_most, fresh, spread};
use crate::node::Node;

pub(super) fn measure(options: &Options, _: &Machine) -> Result<Value> {
    let binary = options.binary()?;
    let (ready, rss) = starts(&binary, options.runs)?;
    let goals = goals(&ready, &rss);
    Ok(json!({"bench": "idle", "ready_ms": spread(ready), "rss_mib": spread(rss), "goals": goals}))
}

/// Milliseconds until ready and MiB a second later, of several starts on empty folders.
pub(super) fn starts(binary: &std::path::Path, runs: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut ready, mut rss) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let (node, took) = Node::start(binary, &fresh("idle")?, None)?;
        ready.push(super::rounded(took.as_secs_f64() * 1_000.0));
        std::thread::sleep(Duration::from_secs(1));
        rss.push(super::rounded(node.memory_bytes("VmRSS")? as f64 / 1_048_576.0));
        node.stop()?;
    }
    Ok((ready, rss))
}

/// What the issue wants of a start, worst run.
pub(super) fn goals(ready: &[f64], rss: &[f64]) -> Value {
    let worst = |figures: &[f64]| figures.iter().copied().fold(0.0, f64::max);
    json!({"worst_ready_ms": at_most(worst(ready), 300.0), "worst_idle_rss_mib": at_most(worst(rss), 40.0)})
}
