//! A forecast on the real log: what it writes is what the core tells of the same records, whatever happens meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use headwater_base::{Limits, ManualClock, Micros, Name, Problem};
use headwater_kernel::kinds::stream::default_config;
use headwater_log::cursor::{Cursor, Pulled};
use headwater_log::park::{self, StopSignal};
use headwater_log::{Append, Commit, EmbeddedLog, Log, StreamConfig};
use headwater_store::disk::{Disk, MemoryDisk};
use headwater_testkit::FaultyDisk;
use headwater_wire::batch::{Builder, Compression};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tokio::sync::Notify;

use super::{Setup, run};
use crate::figures::Figures;
use crate::shape::Missing;
use crate::testing::{HOUR, Nature, START, hourly, reader, record, series, told};

struct Bench {
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
}

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

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn shape() -> crate::shape::Shape {
    // Small seasons, so that a test of few records sees forecasts and verdicts.
    crate::shape::Shape { seasons: vec![4, 8], cycles: 8, horizon: 3, missing: Missing::Zero, ..hourly() }
}

impl Bench {
    fn on(disk: Arc<dyn Disk>) -> Self {
        let clock = Arc::new(ManualClock::at(Micros(START + 365 * 24 * HOUR)));
        let (limits, at) = (Arc::new(Limits::default()), clock.clone());
        let options = headwater_testkit::options(1 << 20);
        let log = EmbeddedLog::open_with(disk, Path::new("/data"), limits, at, options).unwrap();
        Self { log, clock }
    }

    fn new() -> Self {
        let bench = Self::on(Arc::new(MemoryDisk::default()));
        bench.streams();
        bench
    }

    fn streams(&self) {
        for stream in ["in", "f.forecasts", "f.verdicts", "f.dead"] {
            let config = StreamConfig { partitions: 1, ..default_config(&Limits::default()) };
            self.wait(self.log.create(name(stream), config, Vec::new())).unwrap();
        }
    }

    /// Ends, once the last thread has let go of the log.
    fn end(self) {
        let log = Arc::downgrade(&self.log);
        drop(self);
        let begun = Instant::now();
        while log.strong_count() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "somebody still holds the log");
            park::nap(&Notify::new(), Duration::from_millis(1));
        }
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        park::wait(future, &StopSignal::default()).unwrap()
    }

    /// Sends records; whether they are durable.
    fn send(&self, records: &[String]) -> bool {
        let mut builder = Builder::new(Compression::None);
        records.iter().for_each(|record| builder.push(1_000, None, Some(record.as_bytes()), &[]));
        let batches: BytesMut = builder.finish();
        let append = Append { stream: name("in"), partition: 0, batches };
        let sent = self.log.append(&mut Commit { appends: vec![append], ..Commit::default() });
        sent.is_ok_and(|ticket| self.wait(self.log.durable(ticket.sequence)).is_ok())
    }

    fn start(&self, change: impl FnOnce(&mut Setup)) -> Running {
        let wake = Arc::new(Notify::new());
        let (stop, figures) = (StopSignal::waking(wake.clone()), Arc::new(Figures::default()));
        let mut setup = Setup {
            name: name("f"),
            stream: name("in"),
            outputs: ["f.forecasts", "f.verdicts", "f.dead"].map(name),
            shape: Arc::new(shape()),
            coming: Arc::default(),
            reader: reader(),
            cohorts: 10,
            ahead: Duration::from_secs(3_600),
            epoch: 0,
            log: self.log.clone(),
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

    /// The durable records of a stream.
    fn texts(&self, stream: &str) -> Vec<String> {
        let stream = name(stream);
        let end = self.log.ends(&stream, 0).unwrap().durable;
        let mut cursor = Cursor::new(stream, 0, 0, 1 << 20);
        let mut found = Vec::new();
        while cursor.next() < end {
            let Pulled::Record(record) = cursor.pull(&*self.log, |_| None).unwrap() else { break };
            found.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
        }
        found
    }

    fn values(&self, stream: &str) -> Vec<Value> {
        self.texts(stream).iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    /// Both outputs are what the core tells of the input.
    fn agrees(&self) -> bool {
        let told = told(&shape(), &self.texts("in"), usize::MAX);
        let (verdicts, forecasts): (Vec<_>, Vec<_>) = told.into_iter().partition(|told| told.get("actual").is_some());
        self.values("f.verdicts") == verdicts && self.values("f.forecasts") == forecasts
    }
}

/// Records of three cohorts, one of which pauses now and then.
fn records(hours: std::ops::Range<usize>) -> Vec<String> {
    let natures = [("a", Nature::Counts), ("b", Nature::Wild), ("c", Nature::Few)];
    let series = natures.map(|(who, nature)| (who, series(nature, 1).0));
    let mut all = Vec::new();
    for hour in hours {
        for (who, values) in &series {
            if *who != "c" || hour % 5 != 0 {
                all.push(record(who, i64::try_from(hour).unwrap(), values[hour]));
            }
        }
    }
    all
}

#[test]
fn verdicts_and_forecasts_are_what_the_core_tells_over_restarts() {
    let bench = Bench::new();
    let mut from = 0;
    for hours in [40, 3, 1, 60] {
        let running = bench.start(|_| ());
        bench.send(&records(from..from + hours));
        from += hours;
        bench.until("it agrees", || bench.agrees());
        bench.until("nothing is left", || running.figures.lag.load(Ordering::Relaxed) == 0);
        running.stop().unwrap();
    }
    let judged = bench.values("f.verdicts").iter().filter(|verdict| !verdict["score"].is_null()).count();
    assert!(judged > 100, "{judged}");
}

#[test]
fn what_is_refused_is_a_letter_with_its_reason_and_place() {
    let bench = Bench::new();
    let running = bench.start(|setup| setup.cohorts = 1);
    bench.send(&[record("a", 0, 1.0), "{\"who\": \"a\"}".to_owned(), record("b", 0, 1.0), record("a", 1, 2.0)]);
    bench.until("the letters", || bench.texts("f.dead").len() == 2);
    running.stop().unwrap();
    let letters = bench.values("f.dead");
    assert_eq!(letters[0]["reason"], "its time is missing or is no RFC 3339 time");
    assert_eq!(letters[0]["position"], serde_json::json!({"stream": "in", "partition": 0, "offset": 1}));
    assert_eq!((&letters[0]["code"], &letters[0]["forecast"]), (&"HW-WATCH-010".into(), &"f".into()));
    assert_eq!(letters[1]["reason"], "it would be a cohort more than the 1 there can be");
}

#[test]
fn another_stream_of_the_same_name_is_not_taken_for_it_until_the_user_says_so() {
    let bench = Bench::new();
    let running = bench.start(|_| ());
    bench.send(&records(0..10));
    bench.until("it agrees", || bench.agrees());
    running.stop().unwrap();
    bench.wait(bench.log.delete(&name("in"))).unwrap();
    let config = StreamConfig { partitions: 1, ..default_config(&Limits::default()) };
    bench.wait(bench.log.create(name("in"), config, Vec::new())).unwrap();
    assert_eq!(bench.start(|_| ()).thread.join().unwrap().unwrap_err().code, "HW-WATCH-020");
    let before = bench.texts("f.verdicts").len();
    let running = bench.start(|setup| setup.epoch = 1);
    bench.send(&records(0..10));
    bench.until("it begins anew", || bench.texts("f.verdicts").len() == 2 * before);
    running.stop().unwrap();
}

#[test]
fn a_second_owner_shuts_out_the_first() {
    let bench = Bench::new();
    let first = bench.start(|_| ());
    bench.send(&records(0..2));
    bench.until("it agrees", || bench.agrees());
    let second = bench.start(|_| ());
    bench.until("the second has begun", || {
        bench.log.figures().iter().any(|_| second.figures.lag.load(Ordering::Relaxed) == 0)
    });
    bench.send(&records(2..12));
    bench.until("it agrees", || bench.agrees());
    second.stop().unwrap();
    let ended = first.stop();
    assert!(ended.is_ok() || ended.unwrap_err().code == "HW-WATCH-022");
}

#[test]
fn a_power_cut_at_any_moment_loses_and_doubles_nothing() {
    for seed in 0..8_u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let disk = FaultyDisk::default();
        let bench = Bench::on(Arc::new(disk.clone()));
        bench.streams();
        bench.end();
        let mut from = 0;
        for cut in 0..3 {
            let bench = Bench::on(Arc::new(disk.clone()));
            let running = bench.start(|_| ());
            disk.cut_after(rng.random_range(1..60));
            for _ in 0..200 {
                let hours = rng.random_range(1..5);
                let sent = bench.send(&records(from..from + hours));
                from += hours;
                if !sent {
                    break;
                }
            }
            assert!(disk.is_off(), "seed {seed}, cut {cut}: the power stayed on");
            let _ = running.stop();
            bench.end();
            disk.power_on(seed * 10 + cut);
        }
        let bench = Bench::on(Arc::new(disk.clone()));
        let running = bench.start(|_| ());
        bench.until("it agrees", || bench.agrees());
        running.stop().unwrap();
        bench.end();
    }
}
