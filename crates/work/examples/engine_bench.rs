//! How fast the engine is on a real disk: `engine_bench [external|internal|transitions|map|recovery] ...`, one line of
//! JSON each.
//!
//! `external`: 64 clients, executions of five calls to an HTTP server in this process. `internal`: 64 clients, executions of five internal tasks. `transitions`: executions of a hundred Pass states.
//! `map`: a distributed Map over N items with one Pass each. `recovery`: N open executions with ten timers each.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a tool for developers")]

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_base::{Limits, Name, Problem};
use headwater_kernel::SystemClock;
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::workflows::{ExecutionState, StartExecution, Workflows};
use headwater_kernel::port::{Context, Secrets};
use headwater_log::{EmbeddedLog, Log};
use headwater_work::Engine;
use headwater_work::engine::{Parts, Unknown, Workflow};
use headwater_work::tasks::{Services, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// That of the `headwater` program, so that what is measured here is what a node takes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: usize = 64;

struct NoSecrets;

impl Secrets for NoSecrets {
    fn read(&self, _: &str) -> Result<Bytes, Problem> {
        Err(Problem::new("HW-KERNEL-018", "there are no secrets here"))
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = |default: u64| arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(default);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let figures = match arguments.first().map(String::as_str) {
        Some("external") => runtime.block_on(async {
            let url = server().await;
            executions("external", &external(&url), 5, count(1_000)).await
        }),
        Some("internal") => runtime.block_on(executions("internal", &internal(), 5, count(4_000))),
        Some("transitions") => runtime.block_on(executions("transitions", &passes(), 100, count(4_000))),
        Some("map") => runtime.block_on(map(count(1_000_000))),
        Some("recovery") => runtime.block_on(recovery(count(100_000))),
        _ => json!({"usage": "engine_bench external|internal|transitions|map|recovery [COUNT]"}),
    };
    println!("{figures}");
}

/// An HTTP server that answers everything with an empty object.
async fn server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut seen, mut part) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = socket.read(&mut part).await {
                    seen.extend_from_slice(&part[..read]);
                    // Its requests have no bodies.
                    while let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                        seen.drain(..end + 4);
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                        if socket.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    url
}

fn external(url: &str) -> Value {
    tasks(&json!({"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "ResultPath": null,
        "Parameters": {"ApiEndpoint": url, "Method": "GET"}}))
}

fn internal() -> Value {
    tasks(&json!({"Type": "Task", "Resource": "arn:headwater:work:::stream:publish", "ResultPath": null,
        "Parameters": {"Stream": "out", "Key": "k", "Value": {"step": 1}}}))
}

/// Five states like this one.
fn tasks(state: &Value) -> Value {
    let states: serde_json::Map<String, Value> = (0..5)
        .map(|at| {
            let mut state = state.clone();
            let next = if at == 4 {
                ("End".to_owned(), json!(true))
            } else {
                ("Next".to_owned(), json!(format!("S{}", at + 1)))
            };
            state.as_object_mut().unwrap().insert(next.0, next.1);
            (format!("S{at}"), state)
        })
        .collect();
    json!({"StartAt": "S0", "States": states})
}

fn passes() -> Value {
    let states: serde_json::Map<String, Value> = (0..100)
        .map(|at| {
            let state = if at == 99 {
                json!({"Type": "Pass", "End": true})
            } else {
                json!({"Type": "Pass", "Next": format!("S{}", at + 1)})
            };
            (format!("S{at}"), state)
        })
        .collect();
    json!({"StartAt": "S0", "States": states})
}

async fn open(folder: &Path) -> (Engine, Arc<EmbeddedLog>, Duration) {
    let begun = Instant::now();
    let clock = Arc::new(SystemClock::new());
    let log = EmbeddedLog::open(folder, Arc::default(), clock.clone()).unwrap();
    let shared: Arc<dyn Log> = log.clone();
    if log.stream("out").is_none() {
        log.create(Name::new("out").unwrap(), default_config(&Limits::default()), Vec::new()).await.unwrap();
    }
    let context = Context {
        folder: folder.to_owned(),
        secrets: Arc::new(NoSecrets),
        tables: None,
        log: Some(Arc::clone(&shared)),
    };
    let parts = Parts {
        services: Services::new(context, Settings { private_addresses: true, ..Settings::default() }).unwrap(),
        log: shared,
        clock,
        node_limits: Arc::new(Limits::default()),
        limits: headwater_work::Limits::default(),
        handle: tokio::runtime::Handle::current(),
        secret: [1; 32],
        tasks_in_flight: NonZeroUsize::MIN.saturating_add(63),
    };
    let engine = Engine::open(parts).await.unwrap();
    (engine, log, begun.elapsed())
}

async fn register(engine: &Engine, name: &str, definition: &Value) {
    engine.register(Workflow::new(name, 1, &definition.to_string(), false, Unknown::Retry, 86_400)).await.unwrap();
}

fn request(workflow: &str, name: String, input: String) -> StartExecution {
    StartExecution {
        workflow: workflow.to_owned(),
        name: Some(name),
        input: Some(Bytes::from(input)),
        ..StartExecution::default()
    }
}

fn syncs(log: &EmbeddedLog) -> f64 {
    figure(log, "wal_syncs_total")
}

fn figure(log: &EmbeddedLog, name: &str) -> f64 {
    log.figures().iter().find(|(one, _)| *one == name).map_or(0.0, |(_, value)| *value)
}

async fn executions(what: &str, definition: &Value, steps: u64, count: u64) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (engine, log, _) = open(folder.path()).await;
    register(&engine, "w", definition).await;
    // One after the other: latency and syncs.
    let before = syncs(&log);
    let mut took = Vec::new();
    for at in 0..200 {
        let begun = Instant::now();
        let view = engine.start(request("w", format!("one{at}"), "{}".to_owned())).await.unwrap();
        let view = engine.wait(&view.id, Duration::from_secs(20)).await.unwrap();
        assert_eq!(view.state, ExecutionState::Succeeded);
        took.push(begun.elapsed());
    }
    took.sort();
    let syncs_each = (syncs(&log) - before) / 200.0;
    let (begun, before) = (Instant::now(), syncs(&log));
    let each = count / CLIENTS as u64;
    let clients = (0..CLIENTS).map(|client| {
        let engine = engine.clone();
        tokio::spawn(async move {
            for at in 0..each {
                let view = engine.start(request("w", format!("c{client}-{at}"), "{}".to_owned())).await.unwrap();
                let view = engine.wait(&view.id, Duration::from_secs(20)).await.unwrap();
                assert_eq!(view.state, ExecutionState::Succeeded);
            }
        })
    });
    futures::future::join_all(clients).await;
    let seconds = begun.elapsed().as_secs_f64();
    let done = each * CLIENTS as u64;
    let many = syncs(&log) - before;
    engine.close().await;
    json!({
        "bench": what, "executions": done, "steps_each": steps, "seconds": seconds,
        "steps_per_s": (done * steps) as f64 / seconds, "executions_per_s": done as f64 / seconds,
        "p50_ms": took[took.len() / 2].as_secs_f64() * 1e3, "syncs_each_at_concurrency_1": syncs_each,
        "syncs_at_64_clients": many,
    })
}

async fn map(items: u64) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (engine, log, _) = open(folder.path()).await;
    // The items come from inside the execution here, in as many lists as a payload holds.
    let list = 40_000_u64;
    let run = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ResultPath": null,
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}}}});
    register(&engine, "m", &run).await;
    let begun = Instant::now();
    for at in 0..items.div_ceil(list) {
        let numbers: Vec<u64> = (0..list.min(items - at * list)).collect();
        // Text alone, since what a client makes it of is not the engine's.
        let input = serde_json::to_string(&numbers).unwrap();
        drop(numbers);
        let view = engine.start(request("m", format!("m{at}"), input)).await.unwrap();
        let view = engine.wait(&view.id, Duration::from_secs(600)).await.unwrap();
        assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
    }
    let seconds = begun.elapsed().as_secs_f64();
    let stream = Name::new("headwater.work.items").unwrap();
    let durable: i64 = (0..4).map(|partition| log.ends(&stream, partition).map_or(0, |ends| ends.durable)).sum();
    let (peak, now) = (peak_mib(), memory_mib("VmRSS"));
    let figures = json!({
        "bench": "map", "items": items, "results_durable": durable, "seconds": seconds,
        "items_per_s": items as f64 / seconds, "resident_peak_mib": peak, "resident_mib": now,
        "state_keys": figure(&log, "state_entries"), "state_bytes": figure(&log, "state_bytes"),
        "batches_in_memory_bytes": figure(&log, "tail_cache_bytes"),
        "appended_bytes": figure(&log, "appended_bytes_total"),
    });
    engine.close().await;
    figures
}

async fn recovery(count: u64) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (engine, log, _) = open(folder.path()).await;
    let branch = |at: usize| json!({"StartAt": format!("W{at}"), "States": {format!("W{at}"): {"Type": "Wait", "Seconds": 86_400, "End": true}}});
    let branches: Vec<Value> = (0..10).map(branch).collect();
    register(
        &engine,
        "p",
        &json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": branches}}}),
    )
    .await;
    let begun = Instant::now();
    let each = count / CLIENTS as u64;
    let clients = (0..CLIENTS).map(|client| {
        let engine = engine.clone();
        tokio::spawn(async move {
            for at in 0..each {
                engine.start(request("p", format!("{client}-{at}"), "{}".to_owned())).await.unwrap();
            }
        })
    });
    futures::future::join_all(clients).await;
    let filled = begun.elapsed();
    engine.close().await;
    drop(engine);
    drop(log);
    let (engine, _log, took) = open(folder.path()).await;
    let running =
        engine.figures().iter().find(|(name, _)| *name == "executions_running").map_or(0.0, |(_, value)| *value);
    let timers = engine.figures().iter().find(|(name, _)| *name == "timers").map_or(0.0, |(_, value)| *value);
    engine.close().await;
    json!({"bench": "recovery", "executions": running, "timers": timers, "fill_seconds": filled.as_secs_f64(),
        "seconds": took.as_secs_f64(), "resident_peak_mib": peak_mib()})
}

fn peak_mib() -> u64 {
    memory_mib("VmHWM")
}

/// A line of what the system says of this process.
fn memory_mib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
