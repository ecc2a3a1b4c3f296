//! How long a log with much state takes to open after a stop without a checkpoint: snapshot, then the write-ahead log's
//! tail. Usage: recovery_bench FOLDER [STATE_MB] [TAIL_MB]. Prints one line of JSON.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement ends where something is not as expected")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use headwater_base::{Limits, ManualClock};
use headwater_log::embedded::Options;
use headwater_log::{Commit, Delta, EmbeddedLog, Log, LogError, View};
use headwater_store::disk::RealDisk;

const KEY_BYTES: usize = 16;
const VALUE_BYTES: usize = 184;
const DELTAS: u64 = 1_000;

fn open(folder: &Path) -> Arc<EmbeddedLog> {
    let options = Options { maintain_ms: None, ..Options::default() };
    let clock = Arc::new(ManualClock::default());
    EmbeddedLog::open_with(Arc::new(RealDisk), folder, Arc::new(Limits::default()), clock, options).unwrap()
}

/// Seconds of CPU of this process (proc_pid_stat(5), fields 14 and 15).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn key(number: u64) -> Bytes {
    Bytes::from(format!("{number:0KEY_BYTES$}"))
}

/// Commits `bytes` of state, from key `first` on; answers the next key.
fn fill(log: &EmbeddedLog, runtime: &tokio::runtime::Runtime, first: u64, bytes: u64) -> u64 {
    let value = Bytes::from(vec![7; VALUE_BYTES]);
    let last = first + bytes / (KEY_BYTES + VALUE_BYTES) as u64;
    let mut next = first;
    while next < last {
        let delta = |number| Delta { key: key(number), value: Some(value.clone()) };
        let deltas = (next..next + DELTAS).map(delta).collect();
        let mut commit = Commit { deltas: vec![(Arc::from("state"), deltas)], ..Commit::default() };
        let ticket = loop {
            match log.append(&mut commit) {
                Err(LogError::Full(_)) => runtime.block_on(log.room(&[])),
                ticket => break ticket.unwrap(),
            }
        };
        next += DELTAS;
        if next.is_multiple_of(100 * DELTAS) {
            runtime.block_on(log.durable(ticket.sequence)).unwrap();
        }
    }
    next
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let Some(folder) = words.get(1).map(Path::new) else {
        println!("usage: recovery_bench FOLDER [STATE_MB] [TAIL_MB]");
        return;
    };
    let number = |at: usize, usual: u64| words.get(at).map_or(usual, |word| word.parse().unwrap());
    let (state_mb, tail_mb) = (number(2, 1_024), number(3, 100));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = open(folder);
    let mut next = 0;
    for _ in 0..state_mb.div_ceil(64) {
        next = fill(&log, &runtime, next, 64 << 20);
        log.maintain_now().unwrap();
    }
    let next = fill(&log, &runtime, next, tail_mb << 20);
    let last = log.append(&mut Commit { deltas: vec![(Arc::from("end"), Vec::new())], ..Commit::default() }).unwrap();
    runtime.block_on(log.durable(last.sequence)).unwrap();
    drop(log);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let log = open(folder);
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    assert!(log.get("state", &key(next - 1), View::Durable).is_some());
    let figure =
        |wanted: &str| log.figures().into_iter().find(|(name, _)| *name == wanted).map_or(0.0, |(_, value)| value);
    println!(
        "{{\"bench\":\"recovery\",\"state_entries\":{},\"state_bytes\":{},\"tail_mb\":{tail_mb},\"open_seconds\":{seconds:.2},\"open_cpu_seconds\":{cpu:.2}}}",
        figure("state_entries"),
        figure("state_bytes"),
    );
}
