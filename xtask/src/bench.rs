//! `cargo xtask bench`: the figures of docs/benchmarks.md. Nothing is judged here, only measured.
//!
//! Every result carries the machine's load average and an fsync probe taken at the same time, because on a shared machine
//! a latency means nothing without them; CPU-seconds and ratios travel better.

mod probe;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::node::{self, Node};
use crate::process::{cargo, read, target};
use crate::setup::{self, Needs};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// The whole solution at the peak of article 02, then faster.
    Clickstream,
    /// A node doing nothing: how fast it is ready, how little memory it takes.
    Idle,
    /// The anonymise program on one core.
    Transform,
}

/// How it is measured.
#[derive(Args)]
pub struct Options {
    /// What to measure
    #[arg(value_enum)]
    name: Name,
    /// Print JSON only
    #[arg(long)]
    json: bool,
    /// Ten minutes instead of one
    #[arg(long)]
    long: bool,
    /// Events each second
    #[arg(long, default_value_t = 27_800)]
    rate: u64,
    /// Seconds; overrides `--long`
    #[arg(long)]
    seconds: Option<u64>,
    /// Users that are imported first
    #[arg(long, default_value_t = 1_000_000)]
    users: u32,
    /// Cargo profile of the binary
    #[arg(long, default_value = "release")]
    profile: String,
}

/// Measures.
///
/// # Errors
/// When something does not run; a bad figure is not an error.
pub fn execute(options: &Options) -> Result<()> {
    let before = probe::load_average();
    let fsync = probe::fsync(&target().join("bench"))?;
    let mut result = match options.name {
        Name::Clickstream => clickstream(options)?,
        Name::Idle => idle(options)?,
        Name::Transform => transform()?,
    };
    if let Some(fields) = result.as_object_mut() {
        fields.insert("profile".to_owned(), json!(options.profile));
        fields.insert("load_average".to_owned(), json!({"before": before, "after": probe::load_average()}));
        fields.insert(
            "fsync_probe_ms".to_owned(),
            json!({"before": fsync, "after": probe::fsync(&target().join("bench"))?}),
        );
    }
    if options.json {
        println!("{result}")
    } else {
        println!("{result:#}")
    }
    Ok(())
}

fn clickstream(options: &Options) -> Result<Value> {
    setup::prepare(Needs::Data)?;
    let binary = node::build(&options.profile)?;
    let data = fresh("clickstream")?;
    let seconds = options.seconds.unwrap_or(if options.long { 600 } else { 60 });
    let (node, ready) = Node::start(&binary, &data, None)?;
    let cpu_before = node.cpu_seconds()?;
    // The import is not part of what is measured: a short feed carries it.
    feed(&binary, &node, options.users, 100, 2)?;
    let cpu_imported = node.cpu_seconds()?;
    let seen = feed(&binary, &node, 0, options.rate, seconds)?;
    let cpu = node.cpu_seconds()? - cpu_imported;
    let events = seen["records"].as_f64().unwrap_or_default();
    let result = json!({
        "bench": "clickstream",
        "seconds": seconds,
        "seen": seen,
        "node": {
            "ready_ms": ready.as_millis() as u64,
            "import_cpu_seconds": cpu_imported - cpu_before,
            "cpu_seconds": cpu,
            "events_per_cpu_second": (events / cpu.max(0.01)).round(),
            "peak_rss_bytes": node.memory_bytes("VmHWM")?,
        },
    });
    node.stop()?;
    Ok(result)
}

fn feed(binary: &Path, node: &Node, users: u32, rate: u64, seconds: u64) -> Result<Value> {
    let mut command = Command::new(binary);
    command
        .args(["solution", "feed", "clickstream", "--json"])
        .args(["--users", &users.to_string(), "--rate", &rate.to_string(), "--for", &format!("{seconds}s")])
        .args(["--port-offset", &node.offset.to_string(), "--catalogue-port", "0"])
        .env("HEADWATER_DATA", &node.data);
    let output = read(&mut command)?;
    serde_json::from_str(output.trim()).context("the feed's figures")
}

fn idle(options: &Options) -> Result<Value> {
    let binary = node::build(&options.profile)?;
    let mut ready = Vec::new();
    let mut rss = 0;
    for _ in 0..5 {
        let (node, took) = Node::start(&binary, &fresh("idle")?, None)?;
        ready.push(took.as_millis() as u64);
        std::thread::sleep(Duration::from_secs(1));
        rss = node.memory_bytes("VmRSS")?.max(rss);
        node.stop()?;
    }
    ready.sort_unstable();
    Ok(json!({"bench": "idle", "ready_ms": {"median": ready.get(2), "worst": ready.last()}, "rss_bytes": rss}))
}

fn transform() -> Result<Value> {
    let words =
        ["run", "--locked", "--release", "--quiet", "--package", "headwater-flow", "--example", "transform_bench"];
    let output = read(cargo().args(words))?;
    Ok(json!({"bench": "transform", "output": output.lines().collect::<Vec<_>>()}))
}

/// An empty data folder.
fn fresh(name: &str) -> Result<PathBuf> {
    let folder = target().join("bench").join(name).join("data");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
