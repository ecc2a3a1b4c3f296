//! Writes with conditions on one table (`crates/headwater/examples/tables_bench.rs`): counters, and documents that are
//! written over the version that was read, each on one hot key and on many, and transactions of several counters. Clients
//! ask over HTTP and wait for each answer, so a time is that of a request, not that of a plan.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, fresh, rounded, spread};
use crate::node::Node;
use crate::process::read;

/// The example's parts.
const PARTS: [&str; 5] = ["counters-hot", "counters-spread", "compare-hot", "compare-spread", "transactions"];
/// Clients that write at once.
const CLIENTS: u64 = 64;
/// Seconds of each part.
const SECONDS: u64 = 10;

/// The figures of a part, one for each run.
#[derive(Default)]
struct Part {
    rates: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    conflicts: Vec<f64>,
    refused: Vec<f64>,
    per_cpu_second: Vec<f64>,
}

pub(super) fn measure(options: &Options, _: &Machine) -> Result<Value> {
    let (binary, example) = (options.binary()?, options.example("tables_bench")?);
    let seconds = options.seconds.unwrap_or(SECONDS);
    let mut parts: [Part; PARTS.len()] = Default::default();
    let mut peaks = Vec::new();
    for _ in 0..options.runs {
        let (node, _) = Node::start(&binary, &fresh("tables")?, None)?;
        for (name, part) in PARTS.into_iter().zip(&mut parts) {
            let before = node.cpu_seconds()?;
            let words = [node.offset.to_string(), name.to_owned(), CLIENTS.to_string(), seconds.to_string()];
            let output = read(Command::new(&example).args(words))?;
            let cpu = node.cpu_seconds()? - before;
            let seen: Value = serde_json::from_str(output.trim()).context("the example's figures")?;
            let figure = |value: &Value| value.as_f64().unwrap_or_default();
            part.rates.push(figure(&seen["writes_per_second"]).round());
            part.p50.push(rounded(figure(&seen["request"]["p50_ms"])));
            part.p99.push(rounded(figure(&seen["request"]["p99_ms"])));
            part.conflicts.push(figure(&seen["conflicts"]));
            part.refused.push(figure(&seen["refused"]));
            part.per_cpu_second.push((figure(&seen["writes"]) / cpu.max(0.01)).round());
        }
        peaks.push(rounded(node.memory_bytes("VmHWM")? as f64 / 1_048_576.0));
        node.stop()?;
    }
    let mut result = json!({
        "bench": "tables", "clients": CLIENTS, "seconds": seconds, "peak_rss_mib": spread(peaks),
    });
    for (name, part) in PARTS.into_iter().zip(parts) {
        result[name] = json!({
            "writes_per_second": spread(part.rates),
            "request_p50_ms": spread(part.p50),
            "request_p99_ms": spread(part.p99),
            "conflicts": spread(part.conflicts),
            "refused": spread(part.refused),
            "writes_per_cpu_second": spread(part.per_cpu_second),
        });
    }
    Ok(result)
}
