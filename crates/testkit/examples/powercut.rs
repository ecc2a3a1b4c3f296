//! Cuts the power of the log again and again: `powercut FIRST_SEED RUNS [--without-sync] [--save FOLDER]`. What
//! `cargo xtask crash --mode powercut` runs. Prints one line of JSON; fails unless every promise of every run was kept.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks on its standard streams")]

use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use headwater_testkit::crash::{Manner, Report, powercut_run};

/// A run takes a tenth of a second; one that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
    let (Some(first), Some(runs)) = (number(), number()) else {
        eprintln!("usage: powercut FIRST_SEED RUNS [--without-sync] [--save FOLDER]");
        return ExitCode::from(2);
    };
    let mut manner = Manner::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--without-sync" => manner.without_sync = true,
            "--save" => manner.save = words.next().map(Into::into),
            other => {
                eprintln!("unknown word `{other}`");
                return ExitCode::from(2);
            }
        }
    }
    let start = Instant::now();
    let mut sum = Report::default();
    let mut failed = Vec::new();
    let mut done = 0;
    for seed in first..first.saturating_add(runs) {
        let (sender, ended) = channel();
        let manner = manner.clone();
        std::thread::spawn(move || sender.send(powercut_run(seed, &manner)));
        let Ok(report) = ended.recv_timeout(PATIENCE) else {
            eprintln!("seed {seed}: hangs");
            failed.push(seed);
            break;
        };
        if !report.is_clean() {
            eprintln!("seed {seed}: {:?}", report.faults);
            failed.push(seed);
        }
        done += 1;
        sum.add(report);
    }
    println!(
        "{{\"mode\":\"powercut\",\"runs\":{done},\"seed\":{first},\"cuts\":{},\"acked\":{},\"lost\":{},\"doubled\":{},\"wrong\":{},\"seconds\":{:.1},\"cut_at\":{},\"failed\":{failed:?}}}",
        sum.cuts,
        sum.acked,
        sum.lost,
        sum.doubled,
        sum.wrong,
        start.elapsed().as_secs_f64(),
        format!("{:?}", sum.cut_at).replace(", ", ","),
    );
    if failed.is_empty() && done == runs && sum.acked > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
