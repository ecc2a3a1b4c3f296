//! An engine over a log in memory that can be opened again.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Limits, ManualClock, Name, Problem};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::workflows::{ExecutionView, StartExecution, Workflows};
use headwater_kernel::port::{Context, Enrich, FunctionKind, Json, Secrets, Tables};
use headwater_log::embedded::Options;
use headwater_log::{Commit, Delta, EmbeddedLog, Log, View};
use headwater_testkit::FaultyDisk;
use serde_json::Value;
use tokio::sync::Notify;

use crate::engine::{Engine, Parts, Unknown, Workflow, rows};
use crate::tasks::{Services, Settings};

/// See the file's head.
pub(super) struct Rig {
    pub(super) log: Arc<EmbeddedLog>,
    pub(super) clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    engine: Option<Engine>,
    limits: Limits,
    /// Bounds of definitions and executions, from the next start on.
    pub(super) bounds: crate::Limits,
    /// Tables, where a test has them.
    pub(super) tables: Option<Arc<dyn Tables>>,
    /// What the task `pipeline:enrich` calls.
    pub(super) pipelines: Arc<Pipelines>,
    known: parking_lot::Mutex<BTreeMap<String, Workflow>>,
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn read(&self, _: &str) -> Result<Bytes, Problem> {
        Err(Problem::new("HW-KERNEL-018", "there are no secrets here"))
    }
}

/// External tasks under way at once.
pub(super) const TASKS_AT_ONCE: usize = 64;

/// A JSON value as a port's.
pub(super) fn input(value: &Value) -> Json {
    Json::from(value.to_string())
}

/// Pipelines that give each event back, unless they are stuck: then the answer does not come before they are freed.
#[derive(Default)]
pub(super) struct Pipelines {
    pub(super) calls: AtomicUsize,
    pub(super) stuck: AtomicBool,
    freed: Notify,
}

impl Pipelines {
    /// Lets all answers come.
    pub(super) fn free(&self) {
        self.stuck.store(false, Ordering::SeqCst);
        self.freed.notify_waiters();
    }
}

impl Enrich for Pipelines {
    fn enrich<'a>(&'a self, _: &'a str, event: Json) -> BoxFuture<'a, Result<Json, Problem>> {
        // Looked at before the call is counted: whoever has seen it counted may let the next ones go.
        let is_stuck = self.stuck.load(Ordering::SeqCst);
        let freed = self.freed.notified();
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if is_stuck {
                freed.await;
            }
            Ok(event)
        })
    }
}

/// A function that gives back what it gets, unless that asks for a bug.
fn bug(event: &Value) -> Result<Value, Problem> {
    assert_ne!(event["bug"], true, "a bug, made by a test");
    Ok(event.clone())
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::within(Limits::default()).await
    }

    pub(super) async fn within(limits: Limits) -> Self {
        Self::on_log(headwater_testkit::memory_log(), limits).await
    }

    /// Over a log on a disk that the test has in its hands.
    pub(super) async fn on(disk: &headwater_testkit::FaultyDisk) -> Self {
        let log = headwater_testkit::log_on(Arc::new(disk.clone()), Limits::default());
        Self::on_log(log, Limits::default()).await
    }

    async fn on_log((log, clock): (Arc<EmbeddedLog>, Arc<ManualClock>), limits: Limits) -> Self {
        let mut rig = Self {
            log,
            clock,
            folder: tempfile::tempdir().unwrap(),
            engine: None,
            limits,
            bounds: crate::Limits::default(),
            tables: None,
            pipelines: Arc::default(),
            known: parking_lot::Mutex::default(),
        };
        rig.engine = Some(rig.open().await);
        rig
    }

    /// Over a disk whose power a test cuts.
    pub(super) async fn over(disk: &FaultyDisk) -> Self {
        let mut rig = Self::new().await;
        rig.begin_over(disk).await;
        rig
    }

    /// Ends a life by a power cut and begins the next with what `seed` leaves on the disk.
    pub(super) async fn power_cut(&mut self, disk: &FaultyDisk, seed: u64) {
        disk.cut();
        self.engine().close().await;
        self.engine = None;
        // What is left of this life must not reach into the next.
        let log = std::mem::replace(&mut self.log, headwater_testkit::memory_log().0);
        self.until(|| Arc::strong_count(&log) == 1).await;
        drop(log);
        disk.power_on(seed);
        self.begin_over(disk).await;
    }

    async fn begin_over(&mut self, disk: &FaultyDisk) {
        if let Some(engine) = self.engine.take() {
            engine.close().await;
        }
        let options =
            Options { wal_segment_bytes: 1 << 20, maintain_ms: None, fatal: Arc::new(|_| ()), ..Options::default() };
        let disk = Arc::new(disk.clone());
        let opened = EmbeddedLog::open_with(disk, "/data", Arc::default(), self.clock.clone(), options);
        self.log = opened.unwrap();
        self.begin().await;
    }

    /// Opens an engine over the log, which gets to know the workflows there are.
    async fn begin(&mut self) {
        let engine = self.open().await;
        let known: Vec<Workflow> = self.known.lock().values().cloned().collect();
        for workflow in known {
            engine.register(workflow).await.unwrap();
        }
        self.engine = Some(engine);
    }

    async fn open(&self) -> Engine {
        let log: Arc<dyn Log> = self.log.clone();
        let parts = Parts {
            services: self.services(&log),
            log,
            clock: self.clock.clone(),
            node_limits: Arc::new(self.limits.clone()),
            limits: self.bounds.clone(),
            handle: tokio::runtime::Handle::current(),
            secret: [7; 32],
            tasks_in_flight: NonZeroUsize::new(TASKS_AT_ONCE).unwrap(),
        };
        Engine::open(parts).await.unwrap()
    }

    fn services(&self, log: &Arc<dyn Log>) -> Services {
        let (folder, tables) = (self.folder.path().to_owned(), self.tables.clone());
        let context = Context { folder, secrets: Arc::new(NoSecrets), tables, log: Some(Arc::clone(log)) };
        let functions = vec![FunctionKind { name: "bug", call: bug }];
        let enrich: Arc<dyn Enrich> = self.pipelines.clone();
        Services { functions, enrich: Some(enrich), ..Services::new(context, Settings::default()).unwrap() }
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Stops the engine and opens another one over the same log.
    pub(super) async fn restart(&mut self) {
        self.engine().close().await;
        self.begin().await;
    }

    pub(super) async fn workflow(&self, name: &str, definition: &Value) {
        self.version(name, 1, definition, Unknown::Retry).await;
    }

    pub(super) async fn version(&self, name: &str, version: u64, definition: &Value, unknown: Unknown) {
        self.register(Workflow::new(name, version, &definition.to_string(), false, unknown, 30 * 86_400)).await;
    }

    pub(super) async fn aliased(&self, name: &str, version: u64, definition: &Value, aliases: crate::alias::Aliases) {
        let text = definition.to_string();
        let workflow = Workflow::new(name, version, &text, false, Unknown::Retry, 30 * 86_400);
        self.register(Workflow { aliases, ..workflow }).await;
    }

    pub(super) async fn express(&self, name: &str, definition: &Value) {
        self.register(Workflow::new(name, 1, &definition.to_string(), true, Unknown::Retry, 86_400)).await;
    }

    async fn register(&self, workflow: Workflow) {
        self.known.lock().insert(workflow.name.clone(), workflow.clone());
        self.engine().register(workflow).await.unwrap();
    }

    pub(super) async fn stream(&self, name: &str) {
        let config = default_config(&Limits::default());
        self.log.create(Name::new(name).unwrap(), config, Vec::new()).await.unwrap();
    }

    pub(super) async fn start(
        &self,
        workflow: &str,
        name: Option<&str>,
        value: Value,
    ) -> Result<ExecutionView, Problem> {
        let request = StartExecution {
            workflow: workflow.to_owned(),
            name: name.map(str::to_owned),
            input: Some(input(&value)),
            ..StartExecution::default()
        };
        self.engine().start(request).await
    }

    pub(super) async fn end(&self, id: &str) -> ExecutionView {
        let view = self.engine().wait(id, super::LONG).await.unwrap();
        assert!(view.stopped.is_some(), "{view:?}");
        view
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Waits for a condition that other threads bring about.
    pub(super) async fn until(&self, condition: impl Fn() -> bool) {
        let wait = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(super::LONG, wait).await.unwrap();
    }

    pub(super) fn kinds(&self, id: &str) -> Vec<String> {
        let history = self.engine().history(id, 0, 1_000, false).unwrap_or_default();
        history.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// A figure of the engine, by its name without `hw_work_`.
    pub(super) fn figure(&self, name: &str) -> f64 {
        self.engine().figures().into_iter().find(|(one, _)| *one == name).unwrap().1
    }

    /// Records of a stream.
    pub(super) fn records(&self, stream: &str) -> i64 {
        let name = Name::new(stream).unwrap();
        let partitions = self.log.stream(stream).unwrap().config.partitions;
        (0..partitions).map(|partition| self.log.ends(&name, partition).unwrap().durable).sum()
    }

    /// Bytes of a stream's batches, as the log has them.
    pub(super) fn batch_bytes(&self, stream: &str) -> usize {
        let name = Name::new(stream).unwrap();
        let mut bytes = 0;
        for partition in 0..self.log.stream(stream).unwrap().config.partitions {
            bytes += self.log.read(&name, partition, 0, 10 << 20, View::Durable).unwrap().batches.bytes();
        }
        bytes
    }

    /// The statuses told of an execution on the bus.
    pub(super) fn told(&self, id: &str) -> Vec<String> {
        self.news(id).iter().map(|news| news["status"].as_str().unwrap().to_owned()).collect()
    }

    /// What is told of an execution on the bus.
    pub(super) fn news(&self, id: &str) -> Vec<Value> {
        let name = Name::new("bus.default").unwrap();
        let partitions = self.log.stream(name.as_str()).unwrap().config.partitions;
        let mut news = Vec::new();
        for partition in 0..partitions {
            let fetched = self.log.read(&name, partition, 0, 10 << 20, View::Durable).unwrap();
            for found in fetched.batches.each() {
                let (_, batch) = found.unwrap();
                let records = headwater_wire::batch::records(&batch, 1 << 20).unwrap();
                let records = records.map(Result::unwrap).filter(|record| record.key.as_deref() == Some(id.as_bytes()));
                news.extend(records.map(|record| serde_json::from_slice::<Value>(&record.value.unwrap()).unwrap()));
            }
        }
        news
    }

    /// Rows of all shards.
    pub(super) fn rows(&self) -> usize {
        let mut count = 0;
        for shard in 0..rows::SHARDS {
            self.log.for_each(&rows::space_of(shard), &mut |_, _| count += 1);
        }
        count
    }

    /// Rows of one kind.
    pub(super) fn rows_of(&self, tag: rows::Tag) -> Vec<(usize, Bytes, Bytes)> {
        let mut found = Vec::new();
        for shard in 0..rows::SHARDS {
            self.log.for_each(&rows::space_of(shard), &mut |row, value| {
                if rows::split(row).is_some_and(|(_, one, _)| one == tag as u8) {
                    found.push((shard, Bytes::copy_from_slice(row), Bytes::copy_from_slice(value)));
                }
            });
        }
        found
    }

    /// Writes a row behind the engine's back.
    pub(super) async fn put_row(&self, shard: usize, row: Bytes, value: Bytes) {
        let deltas = vec![(Arc::from(rows::space_of(shard)), vec![Delta { key: row, value: Some(value) }])];
        let ticket = self.log.append(&mut Commit { deltas, ..Commit::default() }).unwrap();
        self.log.durable(ticket.sequence).await.unwrap();
    }

    /// Bytes of the rows of all shards.
    pub(super) fn bytes(&self) -> usize {
        let mut bytes = 0;
        for shard in 0..rows::SHARDS {
            self.log.for_each(&rows::space_of(shard), &mut |row, value| bytes += row.len() + value.len());
        }
        bytes
    }

    /// Blobs on the disk.
    pub(super) fn blobs(&self) -> usize {
        let folders = std::fs::read_dir(self.folder.path().join("blobs")).unwrap().map(|entry| entry.unwrap());
        let folders = folders.filter(|entry| entry.file_name().len() == 2);
        folders.map(|entry| std::fs::read_dir(entry.path()).unwrap().count()).sum()
    }

    /// Executions that have ended and are kept.
    pub(super) fn ended(&self) -> usize {
        let query = headwater_kernel::port::workflows::ExecutionQuery { count: 1_000, ..Default::default() };
        self.engine().list(&query).unwrap().0.iter().filter(|view| view.stopped.is_some()).count()
    }

    /// Records of a stream that can still be read.
    pub(super) fn records_kept(&self, stream: &str) -> i64 {
        let name = Name::new(stream).unwrap();
        let partitions = self.log.stream(stream).unwrap().config.partitions;
        let ends = (0..partitions).map(|partition| self.log.ends(&name, partition).unwrap());
        ends.map(|ends| ends.durable - ends.start).sum()
    }

    /// Where the blobs are, among other things.
    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}
