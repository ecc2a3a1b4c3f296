//! `cargo xtask crash lake`: does a dataset's table have each event of its stream once?
//!
//! `--mode kill`: the real binary, killed with `kill -9` while events come in, snapshots are made ten times a second, small
//! files are merged and old snapshots go. After the last start pyiceberg reads the table, and its count and sum are
//! compared with the log's; whatever was acknowledged has to be in the log.
//! `--mode powercut`: the same on a simulated disk (`crates/lake/examples/lake_crash`), which no program outside can read:
//! the table's manifests are read by the node's own code there, and its Parquet by the crate.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Mode, Options, figures, mixed};
use crate::node::{self, Node};
use crate::process::{read, root, target};
use crate::setup::{self, Needs};

/// Kills on one data folder.
const KILLS_PER_FOLDER: u64 = 10;
/// Events of one request.
const EVENTS: u64 = 20;
/// What takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(60);

const RESOURCES: &str = "
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: sales.raw}
spec: {partitions: 2}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: sales}
spec:
  stream: sales.raw
  snapshotInterval: 100ms
  fileSize: 64KiB
  snapshots: 3
  columns:
    - {name: n, type: long, required: true}
";

pub(super) fn execute(options: &Options) -> Result<Value> {
    match options.mode {
        Mode::Kill => kill(options),
        Mode::Powercut => {
            let words = [options.seed.to_string(), options.runs.to_string()];
            figures(Command::new(node::example("dev", "lake_crash")?).args(words))
        }
    }
}

fn kill(options: &Options) -> Result<Value> {
    setup::prepare(Needs::DataAndClients)?;
    let binary = node::build("dev")?;
    let start = Instant::now();
    let (mut runs, mut acked, mut rows, mut lost, mut doubled, mut failed) = (0, 0, 0, 0, 0, Vec::new());
    let mut seed = options.seed;
    while runs < options.runs {
        let kills = KILLS_PER_FOLDER.min(options.runs - runs);
        match one_folder(&binary, seed, kills) {
            Ok(found) => {
                acked += found.acked;
                rows += found.rows;
                lost += found.lost;
                doubled += found.doubled;
                eprintln!(
                    "seed {seed}: {kills} kills, {} acknowledged, {} rows, {} lost, {} doubled",
                    found.acked, found.rows, found.lost, found.doubled
                );
                if found.lost + found.doubled > 0 {
                    failed.push(json!({"seed": seed, "lost": found.lost, "doubled": found.doubled}));
                }
            }
            Err(error) => failed.push(json!({"seed": seed, "said": format!("{error:#}")})),
        }
        runs += kills;
        seed += 1;
    }
    Ok(json!({
        "mode": "kill", "runs": runs, "seed": options.seed, "acked": acked, "rows": rows, "lost": lost,
        "doubled": doubled, "wrong": 0, "seconds": start.elapsed().as_secs(), "failed": failed,
    }))
}

#[derive(Default)]
struct Found {
    acked: u64,
    rows: u64,
    lost: u64,
    doubled: u64,
}

/// Several kills on one data folder, and what is there after the last.
fn one_folder(binary: &Path, seed: u64, kills: u64) -> Result<Found> {
    let folder = target().join("crash").join("lake").join("data");
    let _ = std::fs::remove_dir_all(&folder);
    let (mut acked, mut next) = (BTreeSet::new(), 0);
    for kill in 0..kills {
        let (node, _) = Node::start(binary, &folder, None)?;
        if kill == 0 {
            let applied = node.post("/v1/apply", "application/yaml", RESOURCES)?;
            if applied.0 != 200 {
                bail!("the resources were not applied: {}", applied.1);
            }
        }
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    let numbers = next..next + EVENTS;
                    next = numbers.end;
                    let body: String = numbers.clone().map(|n| format!("{{\"n\":{n}}}\n")).collect();
                    let sent = node.post("/v1/streams/sales.raw/events", "application/x-ndjson", &body);
                    if sent.is_ok_and(|(status, _)| status == 200) {
                        acked.extend(numbers);
                    }
                }
            });
            std::thread::sleep(Duration::from_millis(300 + mixed(seed, kill) % 1_500));
            over.store(true, Ordering::Release);
            node.kill();
            let _ = sending.join();
        });
    }
    let (node, _) = Node::start(binary, &folder, None)?;
    let begun = Instant::now();
    let lag = || -> Result<bool> {
        let (_, told) = node.get("/v1/datasets/sales/table")?;
        Ok(serde_json::from_str::<Value>(&told)?["lag"] == 0)
    };
    while !lag().unwrap_or(false) {
        if begun.elapsed() > PATIENCE {
            bail!("the table does not catch up within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let query = json!({"query": "SELECT CAST(value->>'n' AS bigint) AS n FROM streams.\"sales.raw\"", "format": "csv"});
    let (status, logged) = node.post("/v1/sql", "application/json", &query.to_string())?;
    if status != 200 {
        bail!("the log cannot be read: {logged}");
    }
    let logged: Vec<u64> = logged.lines().skip(1).filter_map(|line| line.parse().ok()).collect();
    let script = root().join("tests/clients/lake.py");
    let mut python = Command::new(setup::clients_folder().join("lake/bin/python"));
    let seen = read(python.arg(script).args(["read", &node.http(), "datasets.sales", "n"]))?;
    let seen: Value = serde_json::from_str(seen.trim()).context("what pyiceberg and DuckDB see")?;
    node.stop()?;

    let there: BTreeSet<u64> = logged.iter().copied().collect();
    let (count, sum) = (logged.len() as u64, logged.iter().sum::<u64>());
    let mut found = Found { acked: acked.len() as u64, rows: count, ..Found::default() };
    found.lost += acked.difference(&there).count() as u64;
    for reader in ["pyiceberg", "duckdb", "scan", "node"] {
        let rows = seen[reader]["count"].as_u64().unwrap_or_default();
        found.lost += count.saturating_sub(rows);
        found.doubled += rows.saturating_sub(count);
        if rows == count && seen[reader]["sum"] != sum {
            bail!("{reader} sees {count} rows, but not those of the log: {} is not {sum}", seen[reader]["sum"]);
        }
    }
    Ok(found)
}
