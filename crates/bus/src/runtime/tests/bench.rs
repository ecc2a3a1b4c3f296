//! A node's worth of surroundings for rules: a log, tables, a clock that is moved, and an outside that can be told what
//! to answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use headwater_base::{Clock, Limits, ManualClock, Micros, Name, Problem};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::bus::BusEvent;
use headwater_kernel::port::outlet::{Answer, NotTaken, Outgoing, Outlet};
use headwater_kernel::port::tables::{Change, Page, Query, Tell, TransactError, Transacted, Write, Written};
use headwater_kernel::port::{Bus, Context, Document, Enrich, Json, Reconcile, Tables};
use headwater_kernel::reconcile::Observed;
use headwater_kernel::resource::{API_VERSION, Metadata, Resource, Status};
use headwater_kernel::unit::Unit;
use headwater_kernel::{Registry, audit};
use headwater_log::park::{self, StopSignal};
use headwater_log::{Append, Commit, Delta, EmbeddedLog, Log, LogError, View};
use headwater_store::disk::{Disk, MemoryDisk};
use headwater_wire::batch::{self, Builder, Compression};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::kinds::{archive, pipe, report, rule, schedule};
use crate::runtime::buses::{Buses, Parts};
use headwater_testkit::FaultyDisk;

/// 2026-01-01T00:00:00Z.
pub const START: Micros = Micros(1_767_225_600_000_000);

type Resources = Arc<Mutex<BTreeMap<String, Arc<Resource>>>>;

pub struct Bench {
    pub log: Arc<dyn Log>,
    pub clock: Arc<ManualClock>,
    pub buses: Buses,
    pub runtime: Runtime,
    pub outside: Arc<Outside>,
    pub retired: Arc<Mutex<Vec<String>>>,
    resources: Resources,
}

/// A record as a consumer sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub key: Option<String>,
    pub value: Value,
    pub headers: BTreeMap<String, String>,
}

/// The outside: remembers what came, and answers as it was told, the last answer for ever.
#[derive(Default)]
pub struct Outside {
    pub came: Mutex<Vec<(String, Value)>>,
    answers: Mutex<Vec<Result<Answer, NotTaken>>>,
}

impl Outside {
    pub fn answer(&self, answers: Vec<Result<Answer, NotTaken>>) {
        *self.answers.lock() = answers;
    }

    pub fn refuse(status: u16, again: bool) -> Result<Answer, NotTaken> {
        Err(NotTaken { reason: format!("answered {status}"), status: Some(status), again, ..NotTaken::default() })
    }
}

struct Door(Arc<Outside>);

impl Outside {
    /// Remembers what came and gives the next answer.
    fn take(&self, key: &str, came: Value) -> Result<Answer, NotTaken> {
        self.came.lock().push((key.to_owned(), came));
        let mut answers = self.answers.lock();
        match answers.len() {
            0 => Ok(Answer::default()),
            1 => answers[0].clone(),
            _ => answers.remove(0),
        }
    }

    /// As a pipeline: one that takes nothing just now does not run.
    fn ask(&self, pipeline: &str, came: Value) -> Result<Json, Problem> {
        self.take(pipeline, came)
            .map(|answer| answer.body.unwrap_or_default())
            .map_err(|refused| Problem::new(if refused.again { "HW-FLOW-046" } else { "HW-FLOW-121" }, refused.reason))
    }
}

impl Outlet for Door {
    fn send<'a>(&'a self, outgoing: Outgoing<'a>) -> BoxFuture<'a, Result<Answer, NotTaken>> {
        Box::pin(async move {
            let came: Value = serde_json::from_slice(outgoing.body).unwrap();
            assert_ne!(came, "bug", "a bug, made by a test");
            self.0.take(outgoing.key, came)
        })
    }
}

impl Reconcile for Door {
    fn reconcile<'a>(
        &'a self,
        pipeline: &'a str,
        from: Micros,
        to: Micros,
        repair: bool,
    ) -> BoxFuture<'a, Result<Value, Problem>> {
        let span = json!({"from": from.to_string(), "to": to.to_string(), "repair": repair});
        let answer = self.0.ask(pipeline, span).map(|_| json!({"repaired": 0}));
        Box::pin(async { answer })
    }
}

impl Enrich for Door {
    fn enrich<'a>(&'a self, pipeline: &'a str, event: Json) -> BoxFuture<'a, Result<Json, Problem>> {
        Box::pin(async move { self.0.ask(pipeline, serde_json::from_slice(&event).unwrap()) })
    }
}

/// Documents as records of `table.<name>`; one with `refuse` in it is refused, one with `bug` meets one, and one with
/// `break off` does so once it is written; one with `behind` waits for ever for its table.
struct Documents(Arc<dyn Log>);

impl Tables for Documents {
    fn get(&self, _: &str, _: &str) -> Result<Option<Document>, Problem> {
        Ok(None)
    }

    fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<Document>, Problem> {
        Ok(Vec::new())
    }

    fn put<'a>(
        &'a self,
        _: &'a Name,
        _: &'a str,
        _: Option<bytes::Bytes>,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<u64, Problem>> {
        Box::pin(async { Ok(1) })
    }

    fn key_field(&self, _: &str) -> Result<Option<String>, Problem> {
        Ok(None)
    }

    fn generation(&self, _: &str) -> u64 {
        0
    }

    fn transact_telling(
        &self,
        writes: &[Write],
        also: &mut Commit,
        _: &mut Tell<'_>,
    ) -> Result<Transacted, TransactError> {
        let (mut appends, mut breaks_off) = (Vec::new(), false);
        for write in writes {
            let Change::Put(document) = &write.change else { panic!("{write:?}") };
            let text = String::from_utf8_lossy(document);
            assert!(!text.contains("bug"), "a bug, made by a test");
            if text.contains("behind") {
                return Err(TransactError::Behind(write.table.clone()));
            }
            breaks_off |= text.contains("break off");
            if text.contains("refuse") {
                return Err(TransactError::Problem(Problem::new("HW-KERNEL-020", "the document does not fit")));
            }
            let cause = write.cause.as_ref().unwrap();
            let hops = cause.hops.to_string();
            let headers = [("ce_causationid", cause.id.as_bytes()), ("ce_hops", hops.as_bytes())];
            let mut builder = Builder::new(Compression::None);
            builder.push(START.millis(), Some(write.key.as_bytes()), Some(document), &headers);
            let stream = Name::new(&format!("table.{}", write.table)).unwrap();
            appends.push(Append { stream, partition: 0, batches: builder.finish() });
        }
        also.appends.append(&mut appends);
        let ticket = self.0.append(also)?;
        assert!(!breaks_off, "a bug behind the append, made by a test");
        Ok(Transacted { ticket, written: Vec::new() })
    }

    fn write<'a>(&'a self, _: &'a [Write]) -> BoxFuture<'a, Result<Vec<Written>, TransactError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn settled<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(std::future::pending())
    }

    fn query(&self, table: &str, _: &Query) -> Result<Page, Problem> {
        Err(Problem::new("HW-KERNEL-019", format!("queries of `{table}` are not served here")))
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::open(Arc::new(MemoryDisk::default()), 8 << 20)
    }

    /// Over the real log on a disk that can lose its power.
    pub fn on(disk: &FaultyDisk) -> Self {
        Self::open(Arc::new(disk.clone()), 1 << 20)
    }

    fn open(disk: Arc<dyn Disk>, wal_segment_bytes: u64) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let options = headwater_testkit::options(wal_segment_bytes);
        let limits = Arc::new(Limits::default());
        let at: Arc<dyn Clock> = clock.clone();
        let log = EmbeddedLog::open_with(disk, Path::new("/data"), limits, at, options).unwrap();
        Self::over(log, clock)
    }

    pub fn over(log: Arc<dyn Log>, clock: Arc<ManualClock>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let resources: Resources = Arc::default();
        let outside: Arc<Outside> = Arc::default();
        let retired: Arc<Mutex<Vec<String>>> = Arc::default();
        let find = {
            let resources = Arc::clone(&resources);
            Arc::new(move |kind: &str, name: &str| resources.lock().get(&format!("{kind}/{name}")).cloned())
        };
        let retire = {
            let retired = Arc::clone(&retired);
            Arc::new(move |kind: &'static str, name: String| retired.lock().push(format!("{kind}/{name}")))
        };
        for name in [audit::STREAM, "headwater.nothing"] {
            if log.stream(name).is_none() {
                let config = audit::config(&Limits::default());
                runtime.block_on(log.create(Name::new(name).unwrap(), config, Vec::new())).unwrap();
            }
        }
        let parts = Parts {
            log: Arc::clone(&log),
            tables: Arc::new(Documents(Arc::clone(&log))),
            clock: clock.clone(),
            limits: Arc::new(Limits::default()),
            context: Context { log: Some(Arc::clone(&log)), ..Context::without_node(".") },
            build: |_, _| Err(Problem::new("HW-CONNECT-110", "no destination is built here")),
            enrich: Some(Arc::new(Door(Arc::clone(&outside)))),
            reconcile: Some(Arc::new(Door(Arc::clone(&outside)))),
            find,
            retire: Some(retire),
            seed: 7,
        };
        let buses = runtime.block_on(Buses::open(parts)).unwrap();
        buses.station("out", Arc::new(Door(Arc::clone(&outside))));
        Self { log, clock, buses, runtime, outside, retired, resources }
    }

    /// A resource, with the streams it makes. Answers every problem it has.
    pub fn resource(&self, kind: &str, name: &str, spec: Value) -> Arc<Resource> {
        let registry = Registry::new(&[rule::KIND, pipe::KIND, schedule::KIND, archive::KIND, report::KIND]);
        let text = json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec});
        let draft = registry.read_value(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let row = registry.kind(kind).unwrap();
        let resource = self.keep(kind, name, draft.spec.clone(), (row.effective)(&draft.spec, None));
        for object in (row.reconcile)(&resource, &Observed::default()).streams {
            if self.log.stream(object.name.as_str()).is_none() {
                self.runtime.block_on(self.log.create(object.name, object.config, object.extra)).unwrap();
            }
        }
        resource
    }

    /// A resource of a kind that other crates have.
    pub fn put_resource(&self, kind: &str, name: &str, spec: Value) {
        self.keep(kind, name, spec.clone(), spec);
    }

    fn keep(&self, kind: &str, name: &str, spec: Value, effective: Value) -> Arc<Resource> {
        let resource = Arc::new(Resource {
            api_version: API_VERSION.to_owned(),
            kind: kind.to_owned(),
            metadata: Metadata {
                name: Name::new(name).unwrap(),
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                generation: 1,
                version: 1,
                uid: format!("{kind}-{name}"),
                created: START,
                state_epoch: 0,
                deleting: None,
                deleting_made: false,
            },
            spec,
            effective,
            status: Status::default(),
        });
        self.resources.lock().insert(resource.id(), Arc::clone(&resource));
        resource
    }

    pub fn stream(&self, name: &str) {
        if self.log.stream(name).is_none() {
            let config = default_config(&Limits::default());
            let config = headwater_log::StreamConfig { partitions: 1, ..config };
            self.runtime.block_on(self.log.create(Name::new(name).unwrap(), config, Vec::new())).unwrap();
        }
    }

    pub fn start(&self, kind: &str, name: &str, spec: Value) -> Arc<dyn Unit> {
        let resource = self.resource(kind, name, spec);
        self.runtime.block_on(self.buses.subscribe(&resource)).unwrap()
    }

    pub fn stop(&self, unit: &Arc<dyn Unit>) {
        self.runtime.block_on(unit.stop());
    }

    /// Puts an event on the default bus.
    pub fn put(&self, source: &str, kind: &str, detail: Value) -> String {
        let event = BusEvent {
            id: String::new(),
            source: source.to_owned(),
            kind: kind.to_owned(),
            time: None,
            resources: Vec::new(),
            detail: bytes::Bytes::from(detail.to_string()),
            cause: None,
        };
        let bus = Name::new("default").unwrap();
        self.runtime.block_on(self.buses.put(&bus, vec![event])).unwrap().remove(0).unwrap()
    }

    /// Appends plain JSON and waits for the disk. False once the power is off.
    pub fn send(&self, stream: &str, events: &[Value]) -> bool {
        let mut builder = Builder::new(Compression::None);
        for event in events {
            builder.push(START.millis(), None, Some(event.to_string().as_bytes()), &[]);
        }
        let append = Append { stream: Name::new(stream).unwrap(), partition: 0, batches: builder.finish() };
        let mut commit = Commit { appends: vec![append], ..Commit::default() };
        let ticket = loop {
            match self.log.append(&mut commit) {
                Ok(ticket) => break ticket,
                Err(LogError::Full(_)) => {
                    park::wait(self.log.room(&commit.streams()), &StopSignal::default()).unwrap_or_default();
                }
                Err(_) => return false,
            }
        };
        park::wait(self.log.durable(ticket.sequence), &StopSignal::default()).is_some_and(|synced| synced.is_ok())
    }

    /// All durable records of a stream.
    pub fn read(&self, stream: &str) -> Vec<Seen> {
        let name = Name::new(stream).unwrap();
        let Some(found) = self.log.stream(stream) else { return Vec::new() };
        let text = |bytes: &bytes::Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let mut seen = Vec::new();
        for partition in 0..found.config.partitions {
            let mut next = 0;
            // What lies in files and what is in memory are told one after the other.
            loop {
                let fetched = self.log.read(&name, partition, next, usize::MAX, View::Durable).unwrap();
                if fetched.batches.is_empty() {
                    break;
                }
                for part in fetched.batches.each() {
                    let (header, batch) = part.unwrap();
                    next = header.last_offset() + 1;
                    for record in batch::records(&batch, 1 << 30).unwrap() {
                        let record = record.unwrap();
                        let headers =
                            record.headers.iter().map(|(name, value)| (text(name), text(value.as_ref().unwrap())));
                        seen.push(Seen {
                            key: record.key.as_ref().map(text),
                            value: serde_json::from_slice(&record.value.unwrap()).unwrap(),
                            headers: headers.collect(),
                        });
                    }
                }
            }
        }
        seen
    }

    /// Writes to the log until the disk refuses, in the end in small pieces.
    pub fn fill(&self) {
        self.fill_by(&[100_000, 100]);
    }

    /// Writes to the log until the disk refuses, in pieces of these sizes, one after the other.
    pub fn fill_by(&self, sizes: &[usize]) {
        for &bytes in sizes {
            for number in 0_u64.. {
                assert!(number < 100_000, "the disk is full");
                let value = Some(Json::from(vec![7; bytes]));
                let delta = Delta { key: Json::copy_from_slice(&number.to_le_bytes()), value };
                let mut commit = Commit { deltas: vec![(Arc::from("filler"), vec![delta])], ..Commit::default() };
                match self.log.append(&mut commit) {
                    Ok(ticket) => self.runtime.block_on(self.log.durable(ticket.sequence)).unwrap(),
                    Err(LogError::Full(_)) => self.runtime.block_on(self.log.room(&[])),
                    Err(LogError::Disk(_)) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    /// Waits until a stream has so many records, and gives their values.
    pub fn wait_for(&self, stream: &str, count: usize) -> Vec<Value> {
        self.until(&format!("{count} records in `{stream}`"), || self.read(stream).len() >= count);
        let seen = self.read(stream);
        assert_eq!(seen.len(), count, "{stream}: {seen:#?}");
        seen.into_iter().map(|seen| seen.value).collect()
    }

    /// Waits until something holds; the clock moves on meanwhile by `tick` each time it is looked at.
    pub fn until_ticking(&self, tick: Duration, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        let notify = Notify::new();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "never came: {what}");
            self.clock.advance(tick);
            park::nap(&notify, Duration::from_millis(2));
        }
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, holds: impl Fn() -> bool) {
        self.until_ticking(Duration::ZERO, what, holds);
    }

    pub fn figure(&self, id: &str, name: &str) -> u64 {
        let all = self.buses.figures();
        let figures = all.iter().find(|(known, _)| known == id).map(|(_, figures)| *figures);
        figures
            .and_then(|figures| figures.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
            .unwrap_or(0)
    }
}
