//! `cargo xtask crash lake --mode powercut`: `lake_crash SEED RUNS`. Prints one line of JSON.

#![allow(clippy::print_stdout, reason = "a tool for developers")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use serde_json::json;

mod harness;

fn main() {
    let words: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let (seed, runs) = (words.first().copied().unwrap_or(1), words.get(1).copied().unwrap_or(100));
    let begun = Instant::now();
    let (mut cuts, mut acked, mut lost, mut doubled, mut wrong, mut failed) = (0, 0, 0, 0, 0, Vec::new());
    for seed in seed..seed + runs {
        let Ok(verdict) = catch_unwind(AssertUnwindSafe(|| harness::run(seed))) else {
            failed.push(json!({"seed": seed, "said": "it did not come to its end"}));
            continue;
        };
        (cuts, acked) = (cuts + verdict.cuts, acked + verdict.acked);
        (lost, doubled, wrong) = (lost + verdict.lost, doubled + verdict.doubled, wrong + verdict.wrong.len());
        if verdict.lost + verdict.doubled > 0 || !verdict.wrong.is_empty() {
            failed
                .push(json!({"seed": seed, "lost": verdict.lost, "doubled": verdict.doubled, "wrong": verdict.wrong}));
        }
    }
    println!(
        "{}",
        json!({
            "mode": "powercut", "runs": runs, "seed": seed, "cuts": cuts, "acked": acked, "lost": lost,
            "doubled": doubled, "wrong": wrong, "seconds": begun.elapsed().as_secs(), "failed": failed,
        })
    );
}
