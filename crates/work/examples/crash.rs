//! `cargo xtask crash workflows`: is every started execution carried to its end, and does every internal effect count
//! once?
//!
//! `powercut SEED RUNS`: the engine on a simulated disk that loses what was not synced. `kill SEED RUNS`: the engine in a
//! process of its own on a real disk, killed with `kill -9`; `child FOLDER FIRST SMALL` is that process, which prints the
//! number of each start that was acknowledged. At the end of a run the engine is opened once more, everything runs to its
//! end, and what is there is compared with what was promised. Prints one line of JSON.
//!
//! An execution publishes a record, waits on a timer, has a child publish another and waits for it, and publishes a
//! third. The input of every fifth is a blob, which has to be there in full at the end, after blobs that nobody points
//! to were collected. Lost: acknowledged and not ended well. Doubled: a record that is there twice; wrong: a record or an input that is missing.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a tool for developers")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_base::{Clock, Limits, ManualClock, Micros, Name, Problem};
use headwater_kernel::SystemClock;
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::workflows::{ExecutionState, StartExecution, Workflows};
use headwater_kernel::port::{Context, Secrets};
use headwater_log::embedded::Options;
use headwater_log::{EmbeddedLog, Log, View};
use headwater_store::blobs::Blobs;
use headwater_store::disk::{Disk, RealDisk};
use headwater_testkit::FaultyDisk;
use headwater_wire::batch;
use headwater_work::Engine;
use headwater_work::engine::{Parts, Unknown, Workflow};
use headwater_work::tasks::{Services, Settings};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const OUT: &str = "out";
/// Lives of one run, each of which ends badly.
const LIVES: u64 = 4;
/// Executions begun at once.
const AT_ONCE: usize = 16;

#[derive(Default)]
struct Verdict {
    acked: u64,
    ended: u64,
    lost: u64,
    doubled: u64,
    wrong: u64,
    cuts: u64,
    failed: Vec<Value>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match arguments.first().map(String::as_str) {
        Some("child") => runtime.block_on(child(Path::new(&arguments[1]), number(2))),
        Some(mode @ ("powercut" | "kill")) => {
            let (seed, runs, begun) = (number(1), number(2), Instant::now());
            let mut all = Verdict::default();
            for seed in seed..seed + runs {
                let before = (all.lost, all.doubled, all.wrong);
                let done = match mode {
                    "powercut" => runtime.block_on(powercut(seed, &mut all)),
                    _ => runtime.block_on(kill(seed, &mut all)),
                };
                if let Err(fault) = done {
                    all.failed.push(json!({"seed": seed, "fault": fault}));
                } else if before != (all.lost, all.doubled, all.wrong) {
                    all.failed.push(json!({"seed": seed}));
                }
                eprintln!("seed {seed}: {} acknowledged, {} ended, {} cuts", all.acked, all.ended, all.cuts);
            }
            println!(
                "{}",
                json!({
                    "mode": mode, "runs": runs, "seed": seed, "acked": all.acked, "ended": all.ended,
                    "cuts": all.cuts, "lost": all.lost, "doubled": all.doubled, "wrong": all.wrong,
                    "seconds": begun.elapsed().as_secs(), "failed": all.failed,
                })
            );
        }
        _ => eprintln!("usage: crash powercut|kill SEED RUNS"),
    }
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn read(&self, _: &str) -> Result<Bytes, Problem> {
        Err(Problem::new("HW-KERNEL-018", "there are no secrets here"))
    }
}

fn publish(step: &str, next: &Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "arn:headwater:work:::stream:publish", "ResultPath": null,
        "Parameters": {"Stream": OUT, "Value": {"id.$": "$.id", "step": step}}});
    let more = next.as_object().cloned().unwrap_or_default();
    state.as_object_mut().unwrap().extend(more);
    state
}

async fn engine(
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    (disk, folder): (Arc<dyn Disk>, &Path),
    secret: u8,
) -> Result<Engine, Problem> {
    if log.stream(OUT).is_none() {
        let created = log.create(Name::new(OUT)?, default_config(&Limits::default()), Vec::new()).await;
        created.map_err(|error| Problem::new("HW-WORK-034", error.to_string()))?;
    }
    let context = Context {
        folder: std::env::temp_dir().join("headwater-crash"),
        secrets: Arc::new(NoSecrets),
        tables: None,
        log: Some(Arc::clone(&log)),
    };
    let blobs = Blobs::open(disk, folder.join("blobs"));
    let blobs = blobs.map_err(|error| Problem::new("HW-WORK-051", error.to_string()))?;
    let parts = Parts {
        services: Services { blobs: Some(Arc::new(blobs)), ..Services::new(context, Settings::default())? },
        log,
        clock,
        node_limits: Arc::new(Limits::default()),
        limits: headwater_work::Limits::default(),
        handle: tokio::runtime::Handle::current(),
        secret: [secret; 32],
        tasks_in_flight: NonZeroUsize::MIN.saturating_add(63),
    };
    let engine = Engine::open(parts).await?;
    let child = json!({"StartAt": "C", "States": {"C": publish("child", &json!({"Next": "W"})),
        "W": {"Type": "Wait", "Seconds": 1, "End": true}}});
    let parent = json!({"StartAt": "A", "States": {
        "A": publish("first", &json!({"Next": "W"})),
        "W": {"Type": "Wait", "Seconds": 1, "Next": "S"},
        "S": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "ResultPath": null,
            "Parameters": {"StateMachineArn": "child", "Input.$": "$"}, "Next": "Z"},
        "Z": publish("last", &json!({"End": true}))}});
    for (name, definition) in [("child", child), ("parent", parent)] {
        let workflow = Workflow::new(name, 1, &definition.to_string(), false, Unknown::Retry, 86_400);
        if let Err(problem) = engine.register(workflow).await {
            // Its threads hold the log, for whose end the next life waits.
            engine.close().await;
            return Err(problem);
        }
    }
    Ok(engine)
}

fn input(number: u64) -> Bytes {
    let padding = if number.is_multiple_of(5) { number.to_string().repeat(20_000) } else { String::new() };
    Bytes::from(json!({"id": number, "padding": padding}).to_string())
}

async fn start(engine: &Engine, number: u64) -> bool {
    let request = StartExecution {
        workflow: "parent".to_owned(),
        name: Some(format!("n{number}")),
        input: Some(input(number)),
        ..StartExecution::default()
    };
    engine.start(request).await.is_ok()
}

/// Starts executions until one is refused or `count` are. Answers the next number.
async fn load(engine: &Engine, mut next: u64, count: u64, mut acked: impl FnMut(u64)) -> u64 {
    let end = next + count;
    while next < end {
        let numbers: Vec<u64> = (next..next + AT_ONCE as u64).collect();
        next += AT_ONCE as u64;
        let started = futures::future::join_all(numbers.iter().map(|number| start(engine, *number))).await;
        let mut all = true;
        for (number, good) in numbers.iter().zip(started) {
            if good {
                acked(*number);
            }
            all &= good;
        }
        if !all {
            break;
        }
    }
    next
}

/// Lets everything run to its end, and compares.
async fn compare(
    engine: &Engine,
    log: &dyn Log,
    acked: &BTreeSet<u64>,
    next: u64,
    verdict: &mut Verdict,
) -> Result<(), String> {
    for _ in 0..3 {
        engine.collect().await.map_err(|problem| problem.to_string())?;
    }
    let mut ended = BTreeSet::new();
    for number in 0..next {
        let id = format!("parent/n{number}");
        match engine.wait(&id, Duration::from_secs(60)).await {
            Ok(view) if view.state == ExecutionState::Succeeded => {
                ended.insert(number);
                verdict.wrong += u64::from(view.input != Some(input(number)));
            }
            Ok(view) => return Err(format!("{view:?}")),
            Err(_) if acked.contains(&number) => verdict.lost += 1,
            // It was never promised.
            Err(_) => {}
        }
    }
    let mut seen: BTreeMap<(u64, String), u64> = BTreeMap::new();
    let name = Name::new(OUT).unwrap();
    for partition in 0..log.stream(OUT).map_or(0, |stream| stream.config.partitions) {
        let mut from = 0;
        loop {
            let fetched =
                log.read(&name, partition, from, 1 << 20, View::Durable).map_err(|error| error.to_string())?;
            if fetched.batches.is_empty() {
                break;
            }
            for found in batch::split(&fetched.batches) {
                let (header, range) = found.map_err(|error| error.to_string())?;
                from = header.last_offset() + 1;
                for record in batch::records(&fetched.batches.slice(range), 1 << 24).unwrap() {
                    let value: Value = serde_json::from_slice(&record.unwrap().value.unwrap()).unwrap();
                    let key = (value["id"].as_u64().unwrap(), value["step"].as_str().unwrap().to_owned());
                    *seen.entry(key).or_default() += 1;
                }
            }
        }
    }
    verdict.doubled += seen.values().filter(|count| **count > 1).count() as u64;
    for number in &ended {
        let missing =
            ["first", "child", "last"].iter().filter(|step| !seen.contains_key(&(*number, (**step).to_owned())));
        verdict.wrong += missing.count() as u64;
    }
    verdict.wrong += seen.keys().filter(|(number, _)| !ended.contains(number)).count() as u64;
    verdict.acked += acked.len() as u64;
    verdict.ended += ended.len() as u64;
    Ok(())
}

async fn powercut(seed: u64, verdict: &mut Verdict) -> Result<(), String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let disk = FaultyDisk::default();
    let clock = Arc::new(ManualClock::at(Micros::from_millis(1_700_000_000_000)));
    let open = || {
        let options = headwater_testkit::options(1 << 20);
        let disk = Arc::new(disk.clone());
        let opened = EmbeddedLog::open_with(disk, Path::new("/data"), Arc::default(), clock.clone(), options);
        opened.map_err(|problem| problem.to_string())
    };
    let place = || (Arc::new(disk.clone()) as Arc<dyn Disk>, Path::new("/data"));
    let (mut acked, mut next) = (BTreeSet::new(), 0);
    let stop = Arc::new(AtomicBool::new(false));
    let (ticking, hand) = (stop.clone(), clock.clone());
    let ticker = tokio::spawn(async move {
        while !ticking.load(Ordering::Relaxed) {
            hand.advance(Duration::from_millis(100));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    for life in 0..LIVES {
        let log = open()?;
        disk.cut_after(rng.random_range(20..400));
        if let Ok(engine) = engine(log.clone(), clock.clone(), place(), u8::try_from(life).unwrap_or(0)).await {
            next = load(&engine, next, 2_000, |number| {
                acked.insert(number);
            })
            .await;
            engine.close().await;
        }
        disk.cut();
        verdict.cuts += 1;
        // What is left of this life must not reach into the next.
        while Arc::strong_count(&log) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(log);
        if rng.random_bool(0.2) { disk.power_on_whole() } else { disk.power_on(rng.random()) }
    }
    let log = open()?;
    let engine = engine(log.clone(), clock.clone(), place(), 99).await.map_err(|problem| problem.to_string())?;
    let compared = compare(&engine, &*log, &acked, next, verdict).await;
    engine.close().await;
    stop.store(true, Ordering::Relaxed);
    let _ = ticker.await;
    compared
}

fn real(folder: &Path) -> Result<Arc<EmbeddedLog>, String> {
    let options = Options::small();
    let opened = EmbeddedLog::open_with(
        Arc::new(RealDisk),
        folder.to_owned(),
        Arc::default(),
        Arc::new(SystemClock::new()),
        options,
    );
    opened.map_err(|problem| problem.to_string())
}

/// The process that is killed.
async fn child(folder: &Path, first: u64) {
    let log = real(folder).unwrap();
    let engine = engine(log, Arc::new(SystemClock::new()), (Arc::new(RealDisk), folder), 7).await.unwrap();
    load(&engine, first, u64::MAX / 2, |number| {
        println!("{number}");
        let _ = std::io::stdout().flush();
    })
    .await;
}

async fn kill(seed: u64, verdict: &mut Verdict) -> Result<(), String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let (mut acked, mut next) = (BTreeSet::new(), 0);
    for _ in 0..LIVES {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["child", &folder.path().to_string_lossy(), &next.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let goal = rng.random_range(1..400);
        for _ in 0..goal {
            let Some(Ok(line)) = lines.next() else { break };
            acked.extend(line.parse::<u64>());
        }
        process.kill().map_err(|error| error.to_string())?;
        process.wait().map_err(|error| error.to_string())?;
        acked.extend(lines.map_while(Result::ok).filter_map(|line| line.parse::<u64>().ok()));
        verdict.cuts += 1;
        next = acked.last().map_or(0, |last| last + 1 + AT_ONCE as u64);
    }
    let log = real(folder.path())?;
    let place: (Arc<dyn Disk>, &Path) = (Arc::new(RealDisk), folder.path());
    let opened = engine(log.clone(), Arc::new(SystemClock::new()), place, 9).await;
    let engine = opened.map_err(|problem| problem.to_string())?;
    let compared = compare(&engine, &*log, &acked, next, verdict).await;
    engine.close().await;
    compared
}
