use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use headwater_base::{Limits, ManualClock, Micros, Name, Problem};
use headwater_kernel::kinds::stream::default_config;
use headwater_log::cursor::{Cursor, Pulled};
use headwater_log::park::{self, StopSignal};
use headwater_log::{Append, Commit, EmbeddedLog, Log, View};
use headwater_store::disk::{Disk, MemoryDisk};
use headwater_testkit::FaultyDisk;
use headwater_wire::batch::{Builder, Compression};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Setup, run};
use crate::commit::Version;
use crate::figures::Figures;
use crate::files::{Files, path_of};
use crate::kinds::dataset;
use crate::layout::Layout;
use crate::positions::{Positions, SUMMARY_KEY};
use crate::tables::{POINTER, Tables};
use crate::testing::{LOCATION, ids, now, spec};

mod bucket;
mod keyed;
mod letters;
mod rollup;

fn columns() -> Value {
    json!([{"name": "id", "type": "int", "required": true}, {"name": "offset", "type": "long", "path": "$offset"}])
}

/// A log with the streams `in` and `t.dead`, and tables on the same disk.
struct Bench {
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
    tables: Arc<Tables>,
}

/// A dataset that runs.
struct Running {
    stop: StopSignal,
    figures: Arc<Figures>,
    thread: JoinHandle<Result<(), Problem>>,
}

impl Running {
    fn stop(self) -> Result<(), Problem> {
        self.stop.set();
        self.thread.join().unwrap()
    }
}

impl Bench {
    fn on(disk: Arc<dyn Disk>) -> Self {
        let clock = Arc::new(ManualClock::at(Micros::from_millis(1_700_000_000_000)));
        let (limits, at) = (Arc::new(Limits::default()), clock.clone());
        let options = headwater_testkit::options(1 << 20);
        let log = EmbeddedLog::open_with(disk.clone(), Path::new("/data"), limits, at, options).unwrap();
        let tables = Arc::new(Tables::new(log.clone(), Files::new(disk)));
        Self { log, clock, tables }
    }

    fn new() -> Self {
        Self::with_streams(Arc::new(MemoryDisk::default()))
    }

    fn with_streams(disk: Arc<dyn Disk>) -> Self {
        let bench = Self::on(disk);
        bench.stream("in", 2);
        bench.stream("t.dead", 1);
        bench
    }

    fn stream(&self, name: &str, partitions: u32) {
        let config = headwater_log::StreamConfig { partitions, ..default_config(&Limits::default()) };
        self.wait(self.log.create(Name::new(name).unwrap(), config, Vec::new())).unwrap();
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        park::wait(future, &StopSignal::default()).unwrap()
    }

    /// Sends events to a partition; whether they are durable.
    fn send(&self, partition: u32, events: &[Value]) -> bool {
        let mut builder = Builder::new(Compression::None);
        for event in events {
            builder.push(1_000, None, Some(event.to_string().as_bytes()), &[]);
        }
        let batches: BytesMut = builder.finish();
        let append = Append { stream: Name::new("in").unwrap(), partition, batches };
        let sent = self.log.append(&mut Commit { appends: vec![append], ..Commit::default() });
        sent.is_ok_and(|ticket| self.wait(self.log.durable(ticket.sequence)).is_ok())
    }

    fn start(&self, change: impl FnOnce(&mut Setup)) -> Running {
        let wake = Arc::new(Notify::new());
        let (stop, figures) = (StopSignal::waking(wake.clone()), Arc::new(Figures::default()));
        let mut setup = Setup {
            name: Name::new("t").unwrap(),
            stream: Name::new("in").unwrap(),
            dead: Some(Name::new("t.dead").unwrap()),
            layout: Layout::of(&spec(json!({"stream": "in", "columns": columns()}))).unwrap(),
            interval: Duration::from_secs(60),
            file_bytes: 1 << 20,
            snapshots: 100,
            epoch: 0,
            location: LOCATION.to_owned(),
            tables: self.tables.clone(),
            clock: self.clock.clone(),
            limits: Arc::new(Limits::default()),
            figures: figures.clone(),
            wake,
            stop: stop.clone(),
        };
        change(&mut setup);
        Running { stop, figures, thread: std::thread::spawn(move || run(&setup)) }
    }

    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
            park::nap(&Notify::new(), Duration::from_millis(1));
        }
    }

    /// As [`Self::until`], while time goes by.
    fn in_time(&self, what: &str, holds: impl Fn() -> bool) {
        self.until(what, || {
            self.clock.advance(Duration::from_secs(1));
            holds()
        });
    }

    fn version(&self) -> Option<Version> {
        now(self.tables.version(&dataset::space("t"), POINTER, View::Durable)).unwrap()
    }

    fn ids(&self) -> Vec<i64> {
        self.version().map(|version| ids(self.tables.files(), &version)).unwrap_or_default()
    }

    fn snapshots(&self) -> usize {
        self.version().map_or(0, |version| version.metadata.snapshots().len())
    }

    fn positions(&self) -> BTreeMap<u32, [i64; 2]> {
        positions_of(&self.version().unwrap()).unwrap()
    }

    /// Lets a snapshot's time come.
    fn minute(&self) {
        self.clock.advance(Duration::from_secs(61));
    }

    /// The values of all durable records of a partition.
    fn records(&self, stream: &str, partition: u32) -> Vec<Value> {
        let name = Name::new(stream).unwrap();
        let end = self.log.ends(&name, partition).unwrap().durable;
        let mut cursor = Cursor::new(name, partition, 0, 1 << 20);
        let mut found = Vec::new();
        while cursor.next() < end {
            let Pulled::Record(record) = cursor.pull(&*self.log, |_| None).unwrap() else { break };
            found.push(serde_json::from_slice(&record.value.unwrap()).unwrap());
        }
        found
    }

    fn letters(&self) -> Vec<Value> {
        self.records("t.dead", 0)
    }
}

/// Which events the newest snapshot of a table has.
fn positions_of(version: &Version) -> Option<BTreeMap<u32, [i64; 2]>> {
    let summary = version.metadata.current_snapshot()?.summary();
    Some(Positions::decode(&summary.additional_properties[SUMMARY_KEY]).unwrap().partitions)
}

fn events(ids: std::ops::Range<i64>) -> Vec<Value> {
    ids.map(|id| json!({"id": id})).collect()
}

#[test]
fn each_event_is_a_row_once_and_the_snapshot_says_which() {
    let bench = Bench::new();
    bench.send(0, &events(0..10));
    bench.send(1, &events(10..15));
    let dataset = bench.start(|_| ());
    bench.until("the first snapshot", || bench.ids().len() == 15);
    assert_eq!(bench.positions(), [(0, [0, 10]), (1, [0, 5])].into());
    bench.send(0, &events(15..20));
    bench.until("the events are seen", || dataset.figures.lag() == 5);
    assert_eq!(bench.snapshots(), 1, "one snapshot in a minute");
    bench.minute();
    bench.until("the next snapshot", || bench.ids() == (0..20).collect::<Vec<_>>());
    assert_eq!(bench.positions(), [(0, [10, 15]), (1, [5, 5])].into());
    bench.send(1, &events(20..22));
    dataset.stop().unwrap();
    let dataset = bench.start(|_| ());
    bench.in_time("the rest", || bench.ids() == (0..22).collect::<Vec<_>>());
    assert_eq!(bench.snapshots(), 3);
    bench.until("nothing is left", || dataset.figures.lag() == 0);
    dataset.stop().unwrap();
}

#[test]
fn many_events_become_several_files_of_one_snapshot() {
    let bench = Bench::new();
    (0..40).for_each(|at| assert!(bench.send(0, &events(at * 100..at * 100 + 100))));
    let dataset = bench.start(|setup| setup.file_bytes = 8 * 1024);
    bench.until("all is there", || bench.ids().len() == 4_000);
    assert_eq!(bench.snapshots(), 1);
    assert!(now(bench.version().unwrap().live(bench.tables.files())).unwrap().len() > 4);
    dataset.stop().unwrap();
}

#[test]
fn rows_beyond_the_bound_in_memory_are_files_before_their_snapshot_is_due() {
    let bench = Bench::new();
    bench.send(0, &events(0..3));
    let dataset = bench.start(|setup| setup.limits = Arc::new(Limits { lake_tail_bytes: 1, ..Limits::default() }));
    bench.until("the first snapshot", || bench.ids().len() == 3);
    bench.send(0, &events(3..50));
    bench.until("the events are seen", || dataset.figures.lag() == 47);
    let tail = bench.tables.tail("t").unwrap();
    bench.until("all of them are in files", || tail.bytes() == 0 && !tail.files().is_empty());
    assert_eq!(bench.snapshots(), 1, "the next one is not due");
    bench.minute();
    bench.until("the next snapshot", || bench.ids() == (0..50).collect::<Vec<_>>());
    assert_eq!(bench.snapshots(), 2);
    dataset.stop().unwrap();
}

#[test]
fn small_files_are_merged_and_the_positions_stay() {
    let bench = Bench::new();
    let dataset = bench.start(|setup| setup.snapshots = 2);
    for at in 0..20 {
        bench.send(0, &events(at..at + 1));
        bench.minute();
        bench.until("the row is there", || {
            // A compaction takes a turn.
            bench.clock.advance(Duration::from_secs(5));
            bench.ids().len() as i64 == at + 1
        });
    }
    assert_eq!(bench.ids(), (0..20).collect::<Vec<_>>());
    assert_eq!(bench.positions()[&0][1], 20);
    let live = now(bench.version().unwrap().live(bench.tables.files())).unwrap().len();
    assert!(live < 10, "{live} files");
    dataset.stop().unwrap();
    let there = now(bench.tables.files().list(LOCATION)).unwrap();
    let there = there.iter().filter(|it| it.ends_with(".parquet")).count();
    assert!(there < 20, "{there} files are on the disk");
}

#[test]
fn what_does_not_fit_is_a_dead_letter_once() {
    let bench = Bench::new();
    bench.send(0, &[json!({"id": "secret"}), json!({"id": 1}), json!({})]);
    let dataset = bench.start(|_| ());
    bench.until("the snapshot", || bench.ids() == [1]);
    let letters = bench.letters();
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0]["reason"], "`id` is a string, not a whole number of 32 bits");
    assert_eq!(letters[0]["code"], "HW-LAKE-010");
    assert_eq!(letters[0]["position"], json!({"stream": "in", "partition": 0, "offset": 0}));
    assert_eq!(letters[0]["data"], r#"{"id":"secret"}"#);
    // So many that they do not wait for a snapshot: the same events are read again after a restart.
    let wide = "x".repeat(200);
    let bad: Vec<Value> = (0..1_500).map(|_| json!({"id": wide})).collect();
    assert!(bench.send(0, &bad));
    bench.until("they do not wait", || bench.letters().len() > 100);
    assert_eq!(bench.snapshots(), 1);
    dataset.stop().unwrap();
    let dataset = bench.start(|_| ());
    bench.in_time("the next snapshot", || bench.snapshots() == 2);
    assert_eq!(bench.letters().len(), 1_502);
    dataset.stop().unwrap();
}

#[test]
fn columns_that_come_later_are_in_later_rows() {
    let bench = Bench::new();
    bench.send(0, &events(0..3));
    let dataset = bench.start(|_| ());
    bench.until("the first snapshot", || bench.ids().len() == 3);
    dataset.stop().unwrap();
    let wider = json!([{"name": "id", "type": "long"}, {"name": "offset", "type": "long", "path": "$offset"},
        {"name": "who", "type": "struct", "fields": [{"name": "name", "type": "string"}]}]);
    let layout = Layout::of(&spec(json!({"stream": "in", "columns": wider}))).unwrap();
    let dataset = bench.start(|setup| setup.layout = layout);
    bench.send(0, &[json!({"id": 1_i64 << 40, "who": {"name": "a"}})]);
    bench.in_time("the row is there", || bench.ids() == [0, 1, 2, 1 << 40]);
    assert_eq!(bench.version().unwrap().metadata.current_schema().highest_field_id(), 4);
    dataset.stop().unwrap();
    let narrower = bench.start(|_| ());
    assert_eq!(narrower.thread.join().unwrap().unwrap_err().code, "HW-LAKE-002");
}

#[test]
fn a_column_that_only_older_files_stand_against_stops_no_rows() {
    let bench = Bench::new();
    let bucket = json!([{"column": "id", "transform": "bucket[4]"}]);
    let mut clash = columns();
    clash.as_array_mut().unwrap().push(json!({"name": "id_bucket", "type": "int"}));
    let lives = [(columns(), bucket), (columns(), json!([])), (clash, json!([])), (columns(), json!([]))];
    for (sent, (columns, partition)) in (0_i64..).step_by(10).zip(lives) {
        let is_clash = columns.as_array().unwrap().len() == 3;
        let of = json!({"stream": "in", "columns": columns, "partition": partition});
        let dataset = bench.start(|setup| setup.layout = Layout::of(&spec(of)).unwrap());
        bench.send(0, &events(sent..sent + 10));
        bench.in_time("the rows are there", || bench.ids() == (0..sent + 10).collect::<Vec<_>>());
        let refused = dataset.figures.refused().map(|problem| problem.code);
        assert_eq!(refused.as_deref(), is_clash.then_some("HW-LAKE-064"));
        dataset.stop().unwrap();
        assert!(bench.version().unwrap().metadata.current_schema().field_id_by_name("id_bucket").is_none());
    }
}

#[test]
fn a_table_that_is_spread_otherwise_keeps_its_rows() {
    let bench = Bench::new();
    bench.send(0, &events(0..10));
    let dataset = bench.start(|_| ());
    bench.until("the first snapshot", || bench.ids().len() == 10);
    dataset.stop().unwrap();
    for (partition, sent) in [("bucket[4]", 10), ("truncate[100]", 20), ("bucket[4]", 30)] {
        let of = json!({"stream": "in", "columns": columns(), "sort": [{"column": "id", "order": "desc"}],
            "partition": [{"column": "id", "transform": partition}]});
        let dataset = bench.start(|setup| setup.layout = Layout::of(&spec(of)).unwrap());
        bench.send(1, &events(sent..sent + 10));
        bench.in_time("the rows are there", || bench.ids() == (0..sent + 10).collect::<Vec<_>>());
        dataset.stop().unwrap();
        let metadata = bench.version().unwrap().metadata;
        assert_eq!(metadata.default_partition_spec().fields()[0].transform.to_string(), partition);
        assert_eq!(metadata.default_sort_order_id(), 1);
    }
    let metadata = bench.version().unwrap().metadata;
    assert_eq!((metadata.partition_specs_iter().len(), metadata.default_partition_spec_id()), (3, 1));
}

#[test]
fn offsets_of_another_stream_are_not_taken_for_those_of_the_old_one() {
    let bench = Bench::new();
    bench.send(0, &events(0..3));
    let dataset = bench.start(|_| ());
    bench.until("the first snapshot", || bench.ids().len() == 3);
    bench.wait(bench.log.delete(&Name::new("in").unwrap())).unwrap();
    bench.stream("in", 2);
    bench.send(0, &events(7..9));
    assert_eq!(dataset.thread.join().unwrap().unwrap_err().code, "HW-LAKE-020");
    let again = bench.start(|_| ());
    assert_eq!(again.thread.join().unwrap().unwrap_err().code, "HW-LAKE-020");
    assert_eq!(bench.ids(), [0, 1, 2]);
    let anew = bench.start(|setup| setup.epoch = 1);
    let epoch = |version: &Version| version.metadata.properties()["headwater.epoch"].clone();
    bench.until("the table is built anew", || epoch(&bench.version().unwrap()) == "1");
    bench.until("the rows are there", || bench.ids() == [7, 8]);
    anew.stop().unwrap();
    let files = now(bench.tables.files().list(LOCATION)).unwrap();
    assert_eq!(files.iter().filter(|it| it.ends_with(".parquet")).count(), 1, "the old rows are gone: {files:?}");
}

#[test]
fn a_full_disk_ends_a_life_with_a_code_and_the_next_one_catches_up() {
    let disk = FaultyDisk::default();
    let bench = Bench::with_streams(Arc::new(disk.clone()));
    bench.send(0, &events(0..3));
    let dataset = bench.start(|_| ());
    bench.until("the first snapshot", || bench.ids().len() == 3);
    let files = || now(bench.tables.files().list(LOCATION)).unwrap().len();
    let before = files();
    disk.set_full(true);
    assert!(bench.send(0, &events(3..6)), "the log has its space already");
    bench.in_time("the snapshot fails", || dataset.thread.is_finished());
    let problem = dataset.thread.join().unwrap().unwrap_err();
    assert_eq!(problem.code, "HW-LAKE-068", "{problem}");
    assert_eq!(bench.ids(), [0, 1, 2]);
    assert_eq!(files(), before, "no part of a file stays");
    disk.set_full(false);
    let dataset = bench.start(|_| ());
    bench.in_time("the rest", || bench.ids() == (0..6).collect::<Vec<_>>());
    dataset.stop().unwrap();
}

#[test]
fn a_lost_manifest_ends_a_life_with_a_code_and_the_next_one_catches_up_once_it_is_back() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let bench = Bench::with_streams(Arc::clone(&disk));
    bench.send(0, &events(0..3));
    let dataset = bench.start(|_| ());
    bench.until("the first snapshot", || bench.ids().len() == 3);
    dataset.stop().unwrap();
    let (files, version) = (bench.tables.files(), bench.version().unwrap());
    let list = version.metadata.current_snapshot().unwrap().manifest_list().to_owned();
    let manifest = now(version.manifests(files)).unwrap()[0].manifest_path.clone();
    bench.send(0, &events(3..6));
    let there = || now(files.list(LOCATION)).unwrap().into_iter().collect::<BTreeSet<_>>();
    let before = there();
    for location in [list, manifest] {
        let whole = now(files.read(&location)).unwrap();
        for damage in ["is gone", "is empty"] {
            match damage {
                "is gone" => disk.remove(&path_of(&location)).unwrap(),
                _ => now(files.write(&location, Bytes::new())).unwrap(),
            }
            let life = bench.start(|_| ());
            bench.in_time("it ends", || life.thread.is_finished());
            assert_eq!(life.thread.join().unwrap().unwrap_err().code, "HW-LAKE-021", "{location} {damage}");
        }
        now(files.write(&location, whole)).unwrap();
        assert_eq!((bench.snapshots(), there()), (1, before.clone()), "nothing has come or gone");
    }
    let dataset = bench.start(|_| ());
    bench.in_time("the rest", || bench.ids() == (0..6).collect::<Vec<_>>());
    dataset.stop().unwrap();
}

#[test]
fn a_life_that_was_shut_out_writes_nothing_more() {
    let bench = Bench::new();
    let first = bench.start(|_| ());
    bench.send(0, &events(0..3));
    bench.until("the first snapshot", || bench.ids().len() == 3);
    bench.wait(bench.log.fence(&Name::new("dataset.t").unwrap())).unwrap();
    bench.send(0, &events(3..6));
    bench.in_time("it is shut out", || first.thread.is_finished());
    assert_eq!(first.thread.join().unwrap().unwrap_err().code, "HW-LAKE-023");
    assert_eq!(bench.ids(), [0, 1, 2]);
    let second = bench.start(|_| ());
    bench.in_time("the rest", || bench.ids() == (0..6).collect::<Vec<_>>());
    second.stop().unwrap();
}
