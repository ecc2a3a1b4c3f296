//! A node's worth of surroundings for one pipeline.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use headwater_base::{Clock, Limits, ManualClock, Micros, Name, Problem};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::{Cause, Context, Json, Lookup, LookupError, LookupKind};
use headwater_kernel::unit::Unit;
use headwater_log::{Append, Cleanup, Commit, EmbeddedLog, Log, StreamConfig, View};
use headwater_testkit::{FaultyDisk, memory_log};
use headwater_wire::batch::{self, Builder, Compression};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::compile::{Plan, compile};
use crate::program::Compiler;
use crate::runtime::park;
use crate::runtime::pipelines::Pipelines;
use crate::spec::PipelineSpec;

/// 2026-01-01T00:00:00Z.
pub const START: Micros = Micros(1_767_225_600_000_000);

pub struct Bench {
    pub log: Arc<dyn Log>,
    pub clock: Arc<ManualClock>,
    pub pipelines: Pipelines,
    pub runtime: Runtime,
}

/// A record as a consumer sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub partition: u32,
    pub offset: i64,
    pub key: Option<String>,
    pub value: Option<Value>,
}

impl Bench {
    pub fn new() -> Self {
        Self::over(memory_log().0)
    }

    pub fn over(log: Arc<dyn Log>) -> Self {
        Self::within(log, Limits::default())
    }

    pub fn within(log: Arc<dyn Log>, limits: Limits) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let context = Context { log: Some(Arc::clone(&log)), ..Context::without_node(".") };
        let pipelines = Pipelines::new(
            Arc::clone(&log),
            clock.clone(),
            Arc::new(limits),
            context,
            LOOKUPS,
            runtime.handle().clone(),
        );
        Self { log, clock, pipelines, runtime }
    }

    /// Over the real log on a disk that can lose its power.
    pub fn on(disk: &FaultyDisk) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(START));
        let options = headwater_testkit::options(1 << 20);
        let limits = Arc::new(Limits::default());
        Self::over(EmbeddedLog::open_with(Arc::new(disk.clone()), Path::new("/data"), limits, clock, options).unwrap())
    }

    pub fn stream(&self, name: &str, partitions: u32) {
        self.create(name, StreamConfig { partitions, ..default_config(&Limits::default()) });
    }

    pub fn table(&self, name: &str) {
        let config = StreamConfig { partitions: 1, cleanup: Cleanup::Compact, ..default_config(&Limits::default()) };
        self.create(&format!("table.{name}"), config);
    }

    pub fn create(&self, name: &str, config: StreamConfig) {
        self.runtime.block_on(self.log.create(Name::new(name).unwrap(), config, Vec::new())).unwrap();
    }

    /// Makes the streams a plan writes.
    pub fn plan(&self, name: &str, spec: Value) -> Plan {
        let spec: PipelineSpec = serde_json::from_value(spec).unwrap();
        let plan = compile(&Name::new(name).unwrap(), &spec, &Compiler::for_check())
            .unwrap_or_else(|faults| panic!("{faults:#?}"));
        for stream in &plan.streams {
            if self.log.stream(stream.as_str()).is_none() {
                self.stream(stream.as_str(), 1);
            }
        }
        plan
    }

    pub fn start(&self, name: &str, spec: Value) -> Arc<dyn Unit> {
        self.try_start(name, spec, 0).unwrap()
    }

    pub fn try_start(&self, name: &str, spec: Value, epoch: u64) -> Result<Arc<dyn Unit>, Problem> {
        let plan = self.plan(name, spec);
        self.runtime.block_on(self.pipelines.start(plan, epoch))
    }

    pub fn stop(&self, unit: &Arc<dyn Unit>) {
        self.runtime.block_on(unit.stop());
    }

    /// Appends one batch.
    pub fn send(&self, stream: &str, partition: u32, records: &[(Option<&str>, &str)]) {
        let records: Vec<_> = records.iter().map(|(key, value)| (*key, Some(value.as_bytes()))).collect();
        self.send_bytes(stream, partition, &records);
    }

    /// Appends one batch of anything.
    pub fn send_bytes(&self, stream: &str, partition: u32, records: &[(Option<&str>, Option<&[u8]>)]) {
        let mut builder = Builder::new(Compression::Lz4);
        for (key, value) in records {
            builder.push(START.millis(), key.map(str::as_bytes), *value, &[]);
        }
        let append = Append { stream: Name::new(stream).unwrap(), partition, batches: builder.finish() };
        self.log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
    }

    /// Sends events and waits for the disk. False once the power is off.
    pub fn send_durably(&self, stream: &str, partition: u32, events: &[String]) -> bool {
        let mut builder = Builder::new(Compression::None);
        for event in events {
            builder.push(START.millis(), None, Some(event.as_bytes()), &[]);
        }
        let append = Append { stream: Name::new(stream).unwrap(), partition, batches: builder.finish() };
        let Ok(ticket) = self.log.append(&mut Commit { appends: vec![append], ..Commit::default() }) else {
            return false;
        };
        let durable = park::wait(self.log.durable(ticket.sequence), &park::StopSignal::default());
        durable.is_some_and(|synced| synced.is_ok())
    }

    /// All durable records of a stream.
    pub fn read(&self, stream: &str) -> Vec<Seen> {
        let name = Name::new(stream).unwrap();
        let Some(found) = self.log.stream(stream) else { return Vec::new() };
        let mut seen = Vec::new();
        for partition in 0..found.config.partitions {
            let fetched = self.log.read(&name, partition, 0, usize::MAX, View::Durable).unwrap();
            for part in fetched.batches.each() {
                let (_, batch) = part.unwrap();
                for record in batch::records(&batch, 1 << 30).unwrap() {
                    let record = record.unwrap();
                    seen.push(Seen {
                        partition,
                        offset: record.offset,
                        key: record.key.map(|key| String::from_utf8(key.into()).unwrap()),
                        value: record.value.map(|value| serde_json::from_slice(&value).unwrap()),
                    });
                }
            }
        }
        seen
    }

    /// What the durable records of a stream's first partition say of their chains.
    pub fn hops(&self, stream: &str) -> Vec<Option<u32>> {
        let fetched = self.log.read(&Name::new(stream).unwrap(), 0, 0, usize::MAX, View::Durable).unwrap();
        let mut hops = Vec::new();
        for part in fetched.batches.each() {
            let (_, batch) = part.unwrap();
            let records = batch::records(&batch, 1 << 30).unwrap();
            hops.extend(records.map(|record| Cause::of(&record.unwrap()).map(|cause| cause.hops)));
        }
        hops
    }

    /// Waits until a stream has so many records, and gives them.
    pub fn wait_for(&self, stream: &str, count: usize) -> Vec<Seen> {
        self.until(&format!("{count} records in `{stream}`"), || self.read(stream).len() >= count);
        let seen = self.read(stream);
        assert_eq!(seen.len(), count, "{stream}: {seen:#?}");
        seen
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        let notify = Notify::new();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "never came: {what}");
            park::nap(&notify, Duration::from_millis(2));
        }
    }

    /// What a step has counted: (name, value), without the estimate of its time.
    pub fn step(&self, pipeline: &str, step: &str) -> Vec<(&'static str, f64)> {
        let all = self.pipelines.step_figures();
        let own = all.into_iter().find(|((of, id), _)| of == pipeline && id == step);
        let counts = own.map(|(_, figures)| figures).unwrap_or_default().into_iter();
        counts.filter(|(name, value)| *name != "seconds_total" && *value > 0.0).collect()
    }

    /// Records that a pipeline wrote to a stream.
    pub fn written(&self, pipeline: &str, stream: &str) -> u64 {
        let all = self.pipelines.written_figures();
        all.into_iter().find(|((of, to), _)| of == pipeline && to == stream).map_or(0, |(_, records)| records)
    }

    pub fn figure(&self, pipeline: &str, name: &str) -> f64 {
        let all = self.pipelines.figures();
        let figures =
            all.iter().find(|(known, _)| known == pipeline).map(|(_, figures)| figures.clone()).unwrap_or_default();
        figures.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, value)| *value)
    }
}

pub fn values(seen: &[Seen]) -> Vec<Value> {
    seen.iter().map(|seen| seen.value.clone().unwrap_or(Value::Null)).collect()
}

/// Lookups of the tests, by what their `type` says.
pub const LOOKUPS: &[LookupKind] = &[
    LookupKind { name: "file", schema: || Value::Null, check: |_| Ok(()), build: |_, _| Ok(Arc::new(Echo)) },
    LookupKind {
        name: "http",
        schema: || Value::Null,
        check: |_| Ok(()),
        build: |spec, _| Ok(Arc::new(Gate::of(spec))),
    },
];

/// Knows every key at once.
struct Echo;

impl Lookup for Echo {
    fn at_once(&self, key: &str) -> Option<Result<Option<Json>, LookupError>> {
        Some(Ok(Some(Json::from(format!("{{\"of\":\"{key}\"}}")))))
    }

    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Json>, LookupError>> {
        Box::pin(async { Ok(None) })
    }
}

/// Answers when the test says so.
#[derive(Clone)]
pub struct Gate(
    Arc<(parking_lot::Mutex<std::collections::HashMap<String, Result<Option<Json>, LookupError>>>, Notify)>,
);

static GATES: parking_lot::Mutex<Vec<(String, Gate)>> = parking_lot::Mutex::new(Vec::new());

impl Gate {
    /// The gate that specs name by `gate`.
    pub fn named(name: &str) -> Self {
        let mut gates = GATES.lock();
        if let Some((_, gate)) = gates.iter().find(|(known, _)| known == name) {
            return gate.clone();
        }
        let gate = Self(Arc::default());
        gates.push((name.to_owned(), gate.clone()));
        gate
    }

    fn of(spec: &Value) -> Self {
        Self::named(spec["gate"].as_str().unwrap())
    }

    pub fn answer(&self, key: &str, answer: Result<Option<&str>, LookupError>) {
        self.0.0.lock().insert(key.to_owned(), answer.map(|json| json.map(|json| Json::from(json.to_owned()))));
        self.0.1.notify_waiters();
    }
}

impl Lookup for Gate {
    fn at_once(&self, _: &str) -> Option<Result<Option<Json>, LookupError>> {
        None
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Json>, LookupError>> {
        Box::pin(async move {
            loop {
                let waits = self.0.1.notified();
                if let Some(answer) = self.0.0.lock().get(key).cloned() {
                    return answer;
                }
                waits.await;
            }
        })
    }
}
