//! The lake: TPC-H beside DuckDB over the same Parquet files, what a row policy costs, how soon SQL sees an event while
//! others come in and TPC-H's queries run beside, and what rows that are in no snapshot yet cost a query.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::probe::Machine;
use super::{Options, at_most, fresh, rounded};
use crate::node::Node;
use crate::process::{read, root};
use crate::setup::{self, Needs};

const RATE: u64 = 20_000;
const SECONDS: u64 = 90;
/// Scale of the tables whose queries run beside the events.
const BESIDE: &str = "0.1";

pub(super) fn measure(options: &Options, machine: &Machine) -> Result<Value> {
    setup::prepare(Needs::DataAndClients)?;
    let binary = options.binary()?;
    let example = options.example("lake_bench")?;
    let (node, _) = Node::start(&binary, &fresh("lake")?, None)?;
    let large = tpch(&node, "1", options.runs)?;
    let policy = told(&node, ["policy", &options.runs.to_string()])?;
    node.stop()?;

    let (node, _) = Node::start(&binary, &fresh("lake")?, None)?;
    let small = tpch(&node, BESIDE, options.runs)?;
    let (rate, seconds) = (options.rate.unwrap_or(RATE), options.seconds.unwrap_or(SECONDS));
    let mut beside = client(&node, "loop", "3600").stdout(Stdio::null()).spawn().context("the loop of TPC-H")?;
    let words = [node.offset.to_string(), rate.to_string(), seconds.to_string()];
    let seen = read(Command::new(example).args(words));
    beside.kill()?;
    beside.wait()?;
    let seen: Value = serde_json::from_str(seen?.trim()).context("the example's figures")?;
    node.stop()?;
    let figure = |value: &Value| value.as_f64().unwrap_or(f64::INFINITY);
    let snapshots = figure(&seen["snapshots"]) / (seconds as f64 / 60.0).ceil();
    Ok(json!({
        "bench": "lake",
        "goals": {
            "visible_p99_ms": at_most(figure(&seen["visible"]["p99_ms"]), 100.0 + machine.fsync_p99_ms),
            "snapshots_a_minute": at_most(snapshots, 1.0),
            "union_ratio": at_most(figure(&seen["union"]["ratio"]), 1.15),
            "policy_ratio": at_most(figure(&policy["geomean"]), 1.05),
            "tpch_0_1_ratio": at_most(figure(&small["geomean"]), 1.25),
            "tpch_1_ratio": at_most(figure(&large["geomean"]), 1.25),
            "tpch_1_peak_rss_bytes": at_most(figure(&large["peak_rss_bytes"]), 1e9),
        },
        "seen": seen,
        "policy": policy,
        "tpch": {"0.1": small, "1": large},
    }))
}

/// Loads TPC-H's tables and times its queries.
fn tpch(node: &Node, scale: &str, runs: usize) -> Result<Value> {
    told(node, ["load", scale])?;
    let mut figures = told(node, ["time", &runs.to_string()])?;
    if let Some(fields) = figures.as_object_mut() {
        fields.insert("peak_rss_bytes".to_owned(), json!(node.memory_bytes("VmHWM")?));
        fields.insert("cpu_seconds".to_owned(), json!(rounded(node.cpu_seconds()?)));
    }
    Ok(figures)
}

/// What the client measured.
fn told(node: &Node, [what, number]: [&str; 2]) -> Result<Value> {
    let output = read(&mut client(node, what, number))?;
    serde_json::from_str(output.trim()).context("the client's figures")
}

fn client(node: &Node, what: &str, number: &str) -> Command {
    let mut command = Command::new(setup::clients_folder().join("lake/bin/python"));
    command.arg(root().join("tests/clients/tpch.py")).args([what, &node.http(), number]);
    command
}
