//! Windowed values of many keys under load: how soon after its moment an event can be read as a feature, and how long
//! reading takes.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, at_most, fresh, rounded};
use crate::node::Node;
use crate::process::read;

const RATE: u64 = 20_000;
const SECONDS: u64 = 60;

pub(super) fn measure(options: &Options, machine: &Machine) -> Result<Value> {
    let (binary, example) = (options.binary()?, options.example("features_bench")?);
    let (node, _) = Node::start(&binary, &fresh("features")?, None)?;
    let (rate, seconds) = (options.rate.unwrap_or(RATE), options.seconds.unwrap_or(SECONDS));
    let before = node.cpu_seconds()?;
    let words = [node.offset.to_string(), rate.to_string(), seconds.to_string()];
    let output = read(Command::new(example).args(words))?;
    let seen: Value = serde_json::from_str(output.trim()).context("the example's figures")?;
    let cpu = node.cpu_seconds()? - before;
    let peak_rss = node.memory_bytes("VmHWM")?;
    node.stop()?;
    let p99 = |what: &str| seen[what]["p99_ms"].as_f64().unwrap_or(f64::INFINITY);
    Ok(json!({
        "bench": "features",
        "seen": seen,
        "node": {
            "cpu_seconds": rounded(cpu),
            "events_per_cpu_second": (seen["records"].as_f64().unwrap_or_default() / cpu.max(0.01)).round(),
            "peak_rss_bytes": peak_rss,
        },
        "goals": {
            "readable_p99_ms": at_most(p99("readable"), 40.0 + machine.fsync_p99_ms),
            "read_p99_ms": at_most(p99("read"), 1.0),
        },
    }))
}
