//! A dataset over a log whose disk loses power: does its table have each event once, whatever was under way?
//!
//! One run is one simulated disk and several lives on it, each of which ends when the power is cut: while files, manifests
//! or metadata are written, while the pointer is committed, in a compaction (small files are merged all the time), while
//! old snapshots go, or in recovery itself. At the end the table's files are read and compared with the log.
//!
//! Of three runs one is of a rollup of few ids, so that rows stand for many events and files have equal ones, and one of a
//! dataset with a key, whose rows take each other's places and are deleted. Of four runs two have the table's files in a
//! bucket, which keeps what it has taken whatever happens to the log. Each life spreads and sorts rows in a way of its own.

#![allow(clippy::unwrap_used, missing_docs, reason = "a tool for developers")]

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use futures::FutureExt;
use headwater_base::{Limits, ManualClock, Micros, Name, Problem};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::resource::Resource;
use headwater_lake::feed::{self, Setup};
use headwater_lake::figures::Figures;
use headwater_lake::files::{Buckets, Files};
use headwater_lake::kinds::dataset;
use headwater_lake::layout::Layout;
use headwater_lake::tables::{POINTER, Tables};
use headwater_log::cursor::{Cursor, Pulled};
use headwater_log::park::{self, StopSignal};
use headwater_log::{Append, Commit, EmbeddedLog, Log, LogError, StreamConfig, View, append_durable};
use headwater_store::disk::Disk;
use headwater_testkit::FaultyDisk;
use headwater_wire::batch::{Builder, Compression};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::sync::Notify;

const LOCATION: &str = "file:///data/lake/datasets/t";
const IN_BUCKET: &str = "s3://acme/p/t/1";
/// Lives of one run, each of which ends with a cut.
const LIVES: u64 = 4;
/// Ways to spread rows over files.
const SPREADS: usize = 4;
/// Keys of one partition, in a run of a dataset with a key.
const KEYS: i64 = 50;
/// What takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run found.
#[derive(Debug, Default)]
pub struct Verdict {
    pub cuts: u64,
    pub acked: u64,
    /// Acknowledged events that are not in the table, and events of the log that are not.
    pub lost: u64,
    /// Events in rows and dead letters beyond those of the log's events.
    pub doubled: u64,
    /// What else is not as it should be.
    pub wrong: Vec<String>,
}

/// A log with the streams `in` and `t.dead`, and tables on the same disk.
struct House {
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
    tables: Arc<Tables>,
    location: &'static str,
}

/// Buckets that are all one store.
fn buckets(store: &Arc<dyn ObjectStore>) -> Buckets {
    let spec =
        json!({"bucket": "acme", "prefix": "p", "accessKeyId": {"secret": "id"}, "secretAccessKey": {"secret": "key"}});
    let resource = json!({"apiVersion": "headwater.dev/v1", "kind": "Bucket", "metadata": {"name": "b"}, "spec": spec});
    let resource: Arc<Resource> = Arc::new(serde_json::from_value(resource).unwrap());
    let store = store.clone();
    Buckets::new(Arc::new(move || vec![resource.clone()]), Arc::new(move |_| Ok(store.clone())), None)
}

/// What the dataset of a run does with events.
#[derive(Clone, Copy, PartialEq)]
enum Makes {
    /// A row of each.
    Rows,
    /// Rows that stand for many.
    Rollup,
    /// The last of each key.
    Last,
}

struct Dataset {
    stop: StopSignal,
    figures: Arc<Figures>,
    thread: JoinHandle<Result<(), Problem>>,
}

impl House {
    fn on(disk: &FaultyDisk, bucket: Option<&Arc<dyn ObjectStore>>) -> Self {
        let clock = Arc::new(ManualClock::at(Micros::from_millis(1_700_000_000_000)));
        let (limits, at) = (Arc::new(Limits::default()), clock.clone());
        let options = headwater_testkit::options(1 << 20);
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let log = EmbeddedLog::open_with(disk.clone(), Path::new("/data"), limits, at, options).unwrap();
        let files = Files::with_buckets(disk, bucket.map_or_else(Buckets::none, buckets));
        let tables = Arc::new(Tables::new(log.clone(), files));
        Self { log, clock, tables, location: if bucket.is_some() { IN_BUCKET } else { LOCATION } }
    }

    /// Ends, once the last thread has let go of the log.
    fn end(self) {
        let log = Arc::downgrade(&self.log);
        drop(self);
        until("somebody still holds the log", || log.strong_count() == 0);
    }

    fn stream(&self, name: &str, partitions: u32) {
        let config = StreamConfig { partitions, ..default_config(&Limits::default()) };
        wait(self.log.create(Name::new(name).unwrap(), config, Vec::new())).unwrap();
    }

    /// Sends events by key, durable when it returns; null has no value.
    fn send(&self, partition: u32, events: &[(String, Value)]) -> Result<(), LogError> {
        let mut builder = Builder::new(Compression::None);
        for (key, event) in events {
            let value = (!event.is_null()).then(|| event.to_string());
            builder.push(1_000, Some(key.as_bytes()), value.as_ref().map(String::as_bytes), &[]);
        }
        let append = Append { stream: Name::new("in").unwrap(), partition, batches: builder.finish() };
        let mut commit = Commit { appends: vec![append], ..Commit::default() };
        wait(append_durable(&*self.log, &mut commit)).map(drop)
    }

    /// A dataset that spreads rows in one of [`SPREADS`] ways.
    fn start(&self, makes: Makes, spread: usize) -> Dataset {
        let wake = Arc::new(Notify::new());
        let (stop, figures) = (StopSignal::waking(wake.clone()), Arc::new(Figures::default()));
        let mut spec = match makes {
            Makes::Rollup => json!({"stream": "in", "columns": [{"name": "id", "type": "int", "required": true},
                    {"name": "at", "type": "timestamp", "path": "$time"}],
                "rollup": {"time": {"column": "at", "grain": "minute"}, "dimensions": ["id"],
                    "metrics": [{"name": "events", "type": "count"}]}}),
            Makes::Rows => json!({"stream": "in", "columns": [{"name": "id", "type": "int", "required": true}]}),
            Makes::Last => json!({"stream": "in", "key": ["key"], "columns": [
                {"name": "key", "type": "string", "path": "$key", "required": true},
                {"name": "id", "type": "int", "required": true}]}),
        };
        let part = |transform: &str| json!([{"column": "id", "transform": transform}]);
        let spreads: [Value; SPREADS] = [json!([]), part("bucket[3]"), part("truncate[1000]"), part("bucket[2]")];
        spec["partition"] = spreads[spread].clone();
        if spread > 0 {
            let order = if spread == 1 { "desc" } else { "asc" };
            spec["sort"] = json!([{"column": "id", "order": order}]);
        }
        let setup = Setup {
            name: Name::new("t").unwrap(),
            stream: Name::new("in").unwrap(),
            dead: Some(Name::new("t.dead").unwrap()),
            layout: Layout::of(&serde_json::from_value(spec).unwrap()).unwrap(),
            interval: Duration::from_millis(1),
            file_bytes: 1 << 16,
            snapshots: 2,
            epoch: 0,
            location: self.location.to_owned(),
            tables: self.tables.clone(),
            clock: self.clock.clone(),
            limits: Arc::new(Limits::default()),
            figures: figures.clone(),
            wake,
            stop: stop.clone(),
        };
        Dataset { stop, figures, thread: std::thread::spawn(move || feed::run(&setup)) }
    }

    /// The keys and values of all durable records of a partition.
    fn records(&self, stream: &str, partition: u32) -> Vec<(String, Value)> {
        let name = Name::new(stream).unwrap();
        let end = self.log.ends(&name, partition).unwrap().durable;
        let mut cursor = Cursor::new(name, partition, 0, 1 << 20);
        let mut found = Vec::new();
        while cursor.next() < end {
            let Pulled::Record(record) = cursor.pull(&*self.log, |_| None).unwrap() else { break };
            let key = record.key.map(|key| String::from_utf8(key.to_vec()).unwrap()).unwrap_or_default();
            found.push((key, record.value.map_or(Value::Null, |value| serde_json::from_slice(&value).unwrap())));
        }
        found
    }

    /// The ids of the events that the table's rows stand for, with their keys if they have one, and how many files those
    /// are in.
    fn rows(&self) -> (Vec<(String, i64)>, usize) {
        let Some(version) = wait(self.tables.version(&dataset::space("t"), POINTER, View::Durable)).unwrap() else {
            return (Vec::new(), 0);
        };
        let files = self.tables.files();
        let live = version.live(files).now_or_never().unwrap().unwrap();
        let mut ids = Vec::new();
        for entry in &live {
            let bytes = wait(files.read(entry.file_path())).unwrap();
            for batch in ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap() {
                let batch = batch.unwrap();
                let events = batch.column_by_name("events").map(|events| events.as_primitive::<Int64Type>());
                let keys = batch.column_by_name("key").map(|keys| keys.as_string::<i32>());
                for (row, id) in batch["id"].as_primitive::<Int32Type>().values().iter().enumerate() {
                    let count = events.map_or(1, |events| events.value(row));
                    let key = keys.map_or_else(String::new, |keys| keys.value(row).to_owned());
                    ids.extend((0..count).map(|_| (key.clone(), i64::from(*id))));
                }
            }
        }
        (ids, live.len())
    }
}

impl Dataset {
    fn stop(self) -> Result<(), Problem> {
        self.stop.set();
        self.thread.join().unwrap()
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    park::wait(future, &StopSignal::default()).unwrap()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        park::nap(&Notify::new(), Duration::from_millis(1));
    }
}

/// How many of these are not there.
fn missing<T: Clone + Eq + Hash>(these: &[T], from: &[T]) -> u64 {
    let mut there: HashMap<T, i64> = HashMap::new();
    from.iter().for_each(|one| *there.entry(one.clone()).or_default() += 1);
    let is_missing = |one: &&T| {
        let count = there.entry((*one).clone()).or_default();
        *count -= 1;
        *count < 0
    };
    these.iter().filter(is_missing).count() as u64
}

/// The events that the rows of a table are to stand for.
fn wanted(makes: Makes, sent: &[(String, Value)]) -> Vec<(String, i64)> {
    let fit = sent.iter().filter(|(_, event)| event["id"].is_i64() || event.is_null());
    let fit = fit.map(|(key, event)| (key.clone(), event["id"].as_i64()));
    if makes != Makes::Last {
        return fit.filter_map(|(_, id)| Some((String::new(), id?))).collect();
    }
    let mut last: BTreeMap<String, Option<i64>> = BTreeMap::new();
    last.extend(fit);
    last.into_iter().filter_map(|(key, id)| Some((key, id?))).collect()
}

/// Several lives on one disk, and what is there after the last of them.
pub fn run(seed: u64) -> Verdict {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let makes = [Makes::Rows, Makes::Rollup, Makes::Last][(seed % 3) as usize];
    let id = |number: i64| if makes == Makes::Rollup { number % 50 } else { number };
    let (disk, mut verdict) = (FaultyDisk::default(), Verdict::default());
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let bucket = (seed % 4 >= 2).then_some(&store);
    let house = House::on(&disk, bucket);
    house.stream("in", 2);
    house.stream("t.dead", 1);
    house.end();
    let (mut next, mut acked) = (0, Vec::new());
    for cut in 0..LIVES {
        let house = House::on(&disk, bucket);
        let dataset = house.start(makes, rng.random_range(0..SPREADS));
        disk.cut_after(rng.random_range(5..150));
        let refused = loop {
            let (count, partition) = (rng.random_range(1..40), rng.random_range(0..2));
            let key = |number: i64| format!("{partition}-{}", number * 7 % KEYS);
            let mut events: Vec<_> = (next..next + count).map(|n| (key(n), json!({ "id": id(n) }))).collect();
            events.push((key(next), json!({"id": format!("no {next}")})));
            if makes == Makes::Last && rng.random_bool(0.5) {
                events.extend((0..3).map(|at| (key(next + count + at), Value::Null)));
            }
            if let Err(error) = house.send(partition, &events) {
                break error;
            }
            acked.extend((next..next + count).map(id));
            next += count;
            house.clock.advance(Duration::from_millis(5));
            if rng.random_bool(0.5) {
                park::nap(&Notify::new(), Duration::from_millis(1));
            }
        };
        next += 1_000;
        if !disk.is_off() {
            verdict.wrong.push(format!("cut {cut}: the power is on, and the log says: {refused}"));
        }
        let _ = dataset.stop();
        house.end();
        disk.power_on(seed * 10 + cut);
        verdict.cuts += 1;
    }
    verdict.acked = acked.len() as u64;

    let house = House::on(&disk, bucket);
    let dataset = house.start(makes, rng.random_range(0..SPREADS));
    let all = [house.records("in", 0), house.records("in", 1)].concat();
    let sent: Vec<i64> = all.iter().filter_map(|(_, event)| event["id"].as_i64()).collect();
    let wanted = wanted(makes, &all);
    until("all of the input is in the table", || {
        house.clock.advance(Duration::from_millis(5));
        dataset.figures.lag() == 0 && missing(&wanted, &house.rows().0) == 0
    });
    if let Err(problem) = dataset.stop() {
        verdict.wrong.push(problem.to_string());
    }
    let (rows, files) = house.rows();
    verdict.lost = missing(&wanted, &rows) + missing(&acked, &sent);
    let letters = house.records("t.dead", 0).len();
    let refused = all.iter().filter(|(_, event)| event["id"].is_string()).count();
    verdict.doubled = missing(&rows, &wanted) + letters.saturating_sub(refused) as u64;
    if letters < refused {
        verdict.wrong.push(format!("{letters} dead letters of {refused} events that do not fit"));
    }
    let there = wait(house.tables.files().list(house.location)).unwrap();
    let there = there.iter().filter(|location| location.ends_with(".parquet")).count();
    if there < files {
        verdict.wrong.push(format!("{there} files on the disk, {files} in the table"));
    }
    house.end();
    verdict
}
