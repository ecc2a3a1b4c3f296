//! Produce from librdkafka's performance tool: 1 KB records to 8 partitions, acks=all, and every acknowledgement behind
//! the sync of its bytes.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, fresh, idle, rounded, spread};
use crate::conformance::librdkafka;
use crate::node::Node;
use crate::process::{read, target};
use crate::setup::{self, Needs};

const RECORD_BYTES: u64 = 1_024;
/// Records of one run: two gigabytes.
const RECORDS: u64 = 2_000_000;
const STREAM: &str = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: bench}\nspec: {partitions: 8}\n";

pub(super) fn measure(options: &Options, _: &Machine) -> Result<Value> {
    setup::prepare(Needs::Conformance)?;
    let examples = librdkafka::prepare(&target().join("conformance/librdkafka"))?.with_file_name("examples");
    read(Command::new("make").arg("rdkafka_performance").current_dir(&examples))?;
    let binary = options.binary()?;
    let (ready, rss) = idle::starts(&binary, options.runs)?;
    let (mut rates, mut costs, mut client_costs, mut peaks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let gigabytes = (RECORDS * RECORD_BYTES) as f64 / 1e9;
    for _ in 0..options.runs {
        let data = fresh("log")?;
        let (node, _) = Node::start(&binary, &data, None)?;
        let stream = data.with_extension("yaml");
        std::fs::write(&stream, STREAM)?;
        read(Command::new(&binary).args(["apply", "--server", &node.http(), "--file"]).arg(&stream))?;
        let before = (node.cpu_seconds()?, children_cpu_seconds()?);
        let output = read(
            Command::new(examples.join("rdkafka_performance"))
                .args(["-P", "-t", "bench", "-b", &node.kafka(), "-a", "all", "-q"])
                .args(["-s", &RECORD_BYTES.to_string(), "-c", &RECORDS.to_string()])
                .args(["-X", "queue.buffering.max.messages=200000", "-X", "linger.ms=5"]),
        )?;
        rates.push(megabytes_per_second(&output)?);
        costs.push(rounded((node.cpu_seconds()? - before.0) / gigabytes));
        client_costs.push(rounded((children_cpu_seconds()? - before.1) / gigabytes));
        peaks.push(rounded(node.memory_bytes("VmHWM")? as f64 / 1_048_576.0));
        node.stop()?;
    }
    Ok(json!({
        "bench": "log",
        "record_bytes": RECORD_BYTES, "records": RECORDS, "partitions": 8, "acks": "all",
        "megabytes_per_second": spread(rates),
        "node_cpu_seconds_per_gb": spread(costs),
        "client_cpu_seconds_per_gb": spread(client_costs),
        "peak_rss_mib": spread(peaks),
        "goals": idle::goals(&ready, &rss),
        "ready_ms": spread(ready), "idle_rss_mib": spread(rss),
    }))
}

/// The tool's last summary: `% 2000000 messages produced (…), 2000000 delivered (offset 1, 0 failed) in 9000ms: …`.
fn megabytes_per_second(output: &str) -> Result<f64> {
    let summary = output.lines().rev().find(|line| line.contains(" delivered ")).context("no summary of the tool")?;
    let number = |before: &str, after: &str| -> Result<u64> {
        let text = summary.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(text, _)| text);
        text.and_then(|text| text.trim().parse().ok()).with_context(|| format!("an unknown summary: {summary}"))
    };
    let (delivered, millis) = (number("bytes), ", " delivered")?, number(" in ", "ms")?);
    if delivered != RECORDS {
        bail!("only {delivered} records were delivered: {summary}");
    }
    Ok(rounded((delivered * RECORD_BYTES) as f64 / 1e3 / millis as f64))
}

/// CPU seconds of our children that have ended (proc_pid_stat(5), fields 16 and 17).
fn children_cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(13) + ticks(14)) / 100.0)
}
