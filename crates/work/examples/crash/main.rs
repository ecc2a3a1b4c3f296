//! `cargo xtask crash workflows`: is every started execution carried to its end, and does every internal effect count
//! once?
//!
//! `powercut SEED RUNS`: the engine on a simulated disk that loses what was not synced. `kill SEED RUNS`: the engine in
//! a process of its own on a real disk, killed with `kill -9`; `child FOLDER FIRST` is that process, which prints the
//! number of each start that was acknowledged, and `stopped` with that of each stop. At the end of a run the engine is
//! opened once more, everything runs to its end, and what is there is compared with what was promised ([`check`]).
//! Prints one line of JSON.
//!
//! What executions do stands in [`house`]. Most publish a record, wait on a timer, have a child publish another and
//! wait for it, and publish a third; every fifth of them has a payload that is a blob wherever it goes. One of sixteen
//! is a distributed Map over items that are a blob together, and most of those are stopped while they run. One run of
//! three has a [`past`]: long executions whose history is worth carrying forward. History and blobs are collected all
//! the time.
//!
//! Lost: acknowledged and not ended well. Doubled: a record, or a result in files, that is there twice. Wrong: a
//! record, an input, an output, a result or a piece of history that is missing or another.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater_base::{Clock, ManualClock, Micros};
use headwater_kernel::SystemClock;
use headwater_log::EmbeddedLog;
use headwater_log::embedded::Options;
use headwater_store::disk::{Disk, RealDisk};
use headwater_testkit::FaultyDisk;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

mod check;
mod house;
mod load;
mod past;

use check::Verdict;
use house::House;
use load::{AT_ONCE, Promised, Told};

/// Lives of one run, each of which ends badly.
const LIVES: u64 = 4;
/// One of so many runs has a past.
const RUNS_PER_PAST: u64 = 3;
/// Of so many runs some have to have everything that is judged.
const TELLING: u64 = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match arguments.first().map(String::as_str) {
        Some("child") => runtime.block_on(child(Path::new(&arguments[1]), number(2))),
        Some(mode @ ("powercut" | "kill")) => {
            let (seed, runs, begun) = (number(1), number(2), Instant::now());
            let (mut all, mut failed) = (Verdict::default(), Vec::new());
            for seed in seed..seed + runs {
                let done = match mode {
                    "powercut" => runtime.block_on(powercut(seed, &mut all)),
                    _ => runtime.block_on(kill(seed, &mut all)),
                };
                let notes = std::mem::take(&mut all.notes);
                if let Err(fault) = done {
                    failed.push(json!({"seed": seed, "fault": fault, "where": notes}));
                } else if !notes.is_empty() {
                    failed.push(json!({"seed": seed, "where": notes}));
                }
                eprintln!("seed {seed}: {} acknowledged, {} ended, {} cuts", all.acked, all.ended, all.cuts);
            }
            // Zeros say nothing of what did not happen.
            for (count, what) in [
                (all.stopped, "Map Run was stopped"),
                (all.carried, "history was carried forward"),
                (all.large, "payload was large"),
            ] {
                if runs >= TELLING && count == 0 {
                    failed.push(json!({"fault": format!("no {what} in {runs} runs")}));
                }
            }
            println!("{}", figures(mode, seed, runs, begun.elapsed(), &all, &failed));
        }
        _ => eprintln!("usage: crash powercut|kill SEED RUNS"),
    }
}

fn figures(mode: &str, seed: u64, runs: u64, took: Duration, all: &Verdict, failed: &[Value]) -> Value {
    json!({
        "mode": mode, "runs": runs, "seed": seed, "acked": all.acked, "ended": all.ended, "cuts": all.cuts,
        "stopped": all.stopped, "carried": all.carried, "large": all.large, "lost": all.lost,
        "doubled": all.doubled, "wrong": all.wrong, "seconds": took.as_secs(), "failed": failed,
    })
}

async fn powercut(seed: u64, verdict: &mut Verdict) -> Result<(), String> {
    let disk = FaultyDisk::default();
    let clock = Arc::new(ManualClock::at(Micros::from_millis(1_700_000_000_000)));
    let stop = Arc::new(AtomicBool::new(false));
    let (ticking, hand) = (stop.clone(), clock.clone());
    let ticker = tokio::spawn(async move {
        while !ticking.load(Ordering::Relaxed) {
            hand.advance(Duration::from_millis(100));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let done = cut_again_and_again(seed, &disk, &clock, verdict).await;
    stop.store(true, Ordering::Relaxed);
    let _ = ticker.await;
    done
}

async fn cut_again_and_again(
    seed: u64,
    disk: &FaultyDisk,
    clock: &Arc<ManualClock>,
    verdict: &mut Verdict,
) -> Result<(), String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let open_log = || {
        let options = headwater_testkit::options(1 << 20);
        let disk = Arc::new(disk.clone());
        let opened = EmbeddedLog::open_with(disk, Path::new("/data"), Arc::default(), clock.clone(), options);
        opened.map_err(|problem| problem.to_string())
    };
    let mut promised = Promised { past: seed.is_multiple_of(RUNS_PER_PAST), ..Promised::default() };
    if promised.past {
        let log = open_log()?;
        let house = simulated_house(&log, disk, clock, 50).await?;
        let begun = past::begin(&house).await;
        house.close().await;
        let_go(log).await;
        begun?;
    }
    for life in 0..LIVES {
        let log = open_log()?;
        disk.cut_after(rng.random_range(20..400));
        if let Ok(house) = simulated_house(&log, disk, clock, life).await {
            let beside = load::beside(&house);
            let next = promised.next;
            let next = load::load(&house.engine, next, 2_000, |told| promised.take(told)).await;
            promised.next = next;
            beside.iter().for_each(|task| task.abort());
            house.close().await;
            futures::future::join_all(beside).await;
        }
        disk.cut();
        verdict.cuts += 1;
        let_go(log).await;
        if rng.random_bool(0.2) { disk.power_on_whole() } else { disk.power_on(rng.random()) }
    }
    let log = open_log()?;
    let house = simulated_house(&log, disk, clock, 99).await?;
    let compared = check::compare(&house, &promised, verdict).await;
    house.close().await;
    compared
}

async fn simulated_house(
    log: &Arc<EmbeddedLog>,
    disk: &FaultyDisk,
    clock: &Arc<ManualClock>,
    secret: u64,
) -> Result<House, String> {
    let (disk, clock): (Arc<dyn Disk>, Arc<dyn Clock>) = (Arc::new(disk.clone()), Arc::clone(clock) as Arc<dyn Clock>);
    House::open(log, clock, disk, Path::new("/data"), secret).await.map_err(|problem| problem.to_string())
}

/// What is left of a life must not reach into the next.
async fn let_go(log: Arc<EmbeddedLog>) {
    while Arc::strong_count(&log) > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn real(folder: &Path) -> Result<Arc<EmbeddedLog>, String> {
    let (disk, clock) = (Arc::new(RealDisk), Arc::new(SystemClock::new()));
    let opened = EmbeddedLog::open_with(disk, folder.to_owned(), Arc::default(), clock, Options::small());
    opened.map_err(|problem| problem.to_string())
}

async fn real_house(log: &Arc<EmbeddedLog>, folder: &Path, secret: u64) -> Result<House, String> {
    let (disk, clock): (Arc<dyn Disk>, Arc<dyn Clock>) = (Arc::new(RealDisk), Arc::new(SystemClock::new()));
    House::open(log, clock, disk, folder, secret).await.map_err(|problem| problem.to_string())
}

/// The process that is killed.
async fn child(folder: &Path, first: u64) {
    let log = real(folder).unwrap();
    // What ids are made of: those of one life must not come again in the next.
    let house = real_house(&log, folder, u64::from(std::process::id())).await.unwrap();
    let _beside = load::beside(&house);
    load::load(&house.engine, first, u64::MAX / 2, |told| {
        match told {
            Told::Started(number) => println!("{number}"),
            Told::Stopped(number) => println!("stopped {number}"),
        }
        let _ = std::io::stdout().flush();
    })
    .await;
}

async fn kill(seed: u64, verdict: &mut Verdict) -> Result<(), String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut promised = Promised { past: seed.is_multiple_of(RUNS_PER_PAST), ..Promised::default() };
    if promised.past {
        let log = real(folder.path())?;
        let house = real_house(&log, folder.path(), 5).await?;
        let begun = past::begin(&house).await;
        house.close().await;
        let_go(log).await;
        begun?;
    }
    for _ in 0..LIVES {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["child", &folder.path().to_string_lossy(), &promised.next.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let goal = rng.random_range(1..400);
        for _ in 0..goal {
            let Some(Ok(line)) = lines.next() else { break };
            promised.read(&line);
        }
        process.kill().map_err(|error| error.to_string())?;
        process.wait().map_err(|error| error.to_string())?;
        lines.map_while(Result::ok).for_each(|line| promised.read(&line));
        verdict.cuts += 1;
        promised.next = promised.started.last().map_or(0, |last| last + 1 + AT_ONCE);
    }
    let log = real(folder.path())?;
    let house = real_house(&log, folder.path(), 9).await?;
    let compared = check::compare(&house, &promised, verdict).await;
    house.close().await;
    compared
}
