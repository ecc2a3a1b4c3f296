//! A pipeline with sessions through power cuts: `sessions FIRST_SEED RUNS`. What `cargo xtask crash --mode powercut` runs
//! beside the log's clients. Each run is one seed of the oracle of this crate's tests: the real log on a simulated disk
//! that loses its power three times, and at the end every event, window and session against a naive computation over the
//! input that is there. Prints one line of JSON; what else is not as it has to be is a panic on standard error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers, and tests of the crate"
)]

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

// The two modules are the crate's own, and name its parts as `crate::…`.
use headwater_flow::{compile, program, runtime, spec};
use serde_json::json;

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../src/runtime/tests/bench.rs"]
mod bench;
#[path = "../src/runtime/tests/oracle.rs"]
mod oracle;

/// A run takes about a second; one that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(180);

fn main() {
    let mut words = std::env::args().skip(1);
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
    let (Some(first), Some(runs)) = (number(), number()) else {
        eprintln!("usage: sessions FIRST_SEED RUNS");
        std::process::exit(2);
    };
    let start = Instant::now();
    let (mut done, mut failed) = (0_u64, Vec::new());
    let [mut acked, mut lost, mut doubled, mut late, mut sessions, mut wrong] = [0; 6];
    for seed in first..first.saturating_add(runs) {
        let (sender, ended) = channel();
        std::thread::spawn(move || sender.send(oracle::trial(seed)));
        match ended.recv_timeout(PATIENCE) {
            Ok(told) => {
                acked += told.acked;
                lost += told.lost;
                doubled += told.doubled;
                late += told.late;
                sessions += told.sessions;
                wrong += told.wrong.len();
                if told.lost + told.doubled + told.wrong.len() > 0 {
                    failed.push(json!({ "seed": seed, "sessions": told.wrong }));
                }
                done += 1;
            }
            Err(RecvTimeoutError::Disconnected) => {
                failed.push(json!({ "seed": seed, "sessions": "a panic; see standard error" }));
                done += 1;
            }
            Err(RecvTimeoutError::Timeout) => {
                failed.push(json!({ "seed": seed, "sessions": "it hangs" }));
                break;
            }
        }
    }
    // Zeros say nothing of what did not happen.
    if acked == 0 || sessions == 0 {
        failed.push(json!({ "sessions": "there were none" }));
    }
    let seconds = start.elapsed().as_secs();
    println!(
        "{}",
        json!({
            "runs": done, "seed": first, "acked": acked, "lost": lost, "doubled": doubled, "late": late,
            "sessions": sessions, "sessions_wrong": wrong, "seconds": seconds, "failed": failed,
        })
    );
}
