//! The anonymise program on one core, beside the same program over a full parse and a full encode.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, at_least, spread};
use crate::process::read;

/// Seconds of one run.
const SECONDS: u64 = 8;

pub(super) fn measure(options: &Options, _: &Machine) -> Result<Value> {
    let example = options.example("transform_bench")?;
    let (mut lazy, mut full, mut ratio, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), Value::Null);
    for _ in 0..options.runs {
        let output = read(Command::new(&example).arg(SECONDS.to_string()))?;
        let run: Value = serde_json::from_str(output.trim()).context("the example's figures")?;
        let number = |name: &str| run[name].as_f64().unwrap_or_default();
        lazy.push(number("lazy_events_per_second").round());
        full.push(number("full_events_per_second").round());
        ratio.push(super::rounded(number("ratio")));
        bytes = run["event_bytes"].clone();
    }
    let middle = spread(lazy.clone());
    Ok(json!({
        "bench": "transform",
        "event_bytes": bytes,
        "events_per_cpu_second": middle,
        "full_parse_events_per_cpu_second": spread(full),
        "ratio_to_full_parse": spread(ratio),
        "goals": {"events_per_cpu_second": at_least(middle["median"].as_f64().unwrap_or_default(), 100_000.0)},
    }))
}
