//! Rules and pipes through the whole node (`crates/headwater/examples/bus_bench.rs`): from the moment at which an event was
//! meant to be sent until a Kafka consumer has what came of it, at a set rate; and how many events each second, as fast as
//! they can be sent. Each part of each run has a node of its own, so that one's memory is not another's.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, fresh, rounded, spread};
use crate::node::Node;
use crate::process::read;

/// The example's parts.
const PARTS: [&str; 2] = ["rules", "pipe"];
/// Events each second while latency is measured.
const RATE: u64 = 1_000;
/// Seconds of that.
const SECONDS: u64 = 20;
/// Events that are sent as fast as they are taken.
const BURST: u64 = 50_000;
/// Rules, of which eight take an event.
const RULES: u64 = 1_000;

/// The figures of a part, one for each run.
#[derive(Default)]
struct Part {
    p50: Vec<f64>,
    p99: Vec<f64>,
    behind: Vec<f64>,
    paced_cpu: Vec<f64>,
    rates: Vec<f64>,
    records: Vec<f64>,
    burst_cpu: Vec<f64>,
    peaks: Vec<f64>,
    ready: Vec<f64>,
}

pub(super) fn measure(options: &Options, _: &Machine) -> Result<Value> {
    let (binary, example) = (options.binary()?, options.example("bus_bench")?);
    let (rate, seconds) = (options.rate.unwrap_or(RATE), options.seconds.unwrap_or(SECONDS));
    let mut parts: [Part; PARTS.len()] = Default::default();
    for _ in 0..options.runs {
        for (name, part) in PARTS.into_iter().zip(&mut parts) {
            let (node, _) = Node::start(&binary, &fresh("bus")?, None)?;
            part.run(name, &node, &example, (rate, seconds))?;
            node.stop()?;
        }
    }
    let mut result = json!({"bench": "bus", "rules": RULES, "rate": rate, "seconds": seconds, "burst_events": BURST});
    for (name, part) in PARTS.into_iter().zip(parts) {
        result[name] = json!({
            "set_up_seconds": spread(part.ready),
            "paced": {
                "readable_p50_ms": spread(part.p50),
                "readable_p99_ms": spread(part.p99),
                "sender_behind_ms": spread(part.behind),
                "events_per_cpu_second": spread(part.paced_cpu),
            },
            "burst": {
                "events_per_second": spread(part.rates),
                "records_per_second": spread(part.records),
                "events_per_cpu_second": spread(part.burst_cpu),
            },
            "peak_rss_mib": spread(part.peaks),
        });
    }
    Ok(result)
}

impl Part {
    fn run(&mut self, name: &str, node: &Node, example: &Path, (rate, seconds): (u64, u64)) -> Result<()> {
        // What was seen, and events for each second of CPU that the node used meanwhile.
        let load = |what: &str, rate: u64, events: u64| -> Result<(Value, f64)> {
            let numbers = [rate, events, RULES].map(|number| number.to_string());
            let before = node.cpu_seconds()?;
            let output =
                read(Command::new(example).args([node.offset.to_string().as_str(), name, what]).args(numbers))?;
            let cpu = node.cpu_seconds()? - before;
            let seen: Value = serde_json::from_str(output.trim()).context("the example's figures")?;
            let events = figure(&seen["events"]);
            Ok((seen, (events / cpu.max(0.01)).round()))
        };
        let (set_up, _) = load("prepare", 0, 0)?;
        self.ready.push(rounded(figure(&set_up["seconds"])));
        let (paced, per_cpu_second) = load("paced", rate, rate * seconds)?;
        self.p50.push(rounded(figure(&paced["readable"]["p50_ms"])));
        self.p99.push(rounded(figure(&paced["readable"]["p99_ms"])));
        self.behind.push(rounded(figure(&paced["sender_behind_ms"])));
        self.paced_cpu.push(per_cpu_second);
        let (burst, per_cpu_second) = load("burst", 0, BURST)?;
        let took = figure(&burst["seconds"]).max(0.001);
        self.rates.push((figure(&burst["events"]) / took).round());
        self.records.push((figure(&burst["records"]) / took).round());
        self.burst_cpu.push(per_cpu_second);
        self.peaks.push(rounded(node.memory_bytes("VmHWM")? as f64 / 1_048_576.0));
        Ok(())
    }
}

fn figure(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}
