//! Ingests over the real log; what the statement finds is settable.

use std::path::Path;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use headwater_base::ManualClock;
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::sql::{Answer, Column, Relation, RunningQuery};
use headwater_kernel::unit::{Task, Unit as _};
use headwater_log::cursor::{Cursor, Pulled};
use headwater_log::{EmbeddedLog, StreamConfig};
use headwater_store::disk::MemoryDisk;
use parking_lot::Mutex;
use serde_json::json;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A relation of `n` and `name`, as an engine would answer for it.
#[derive(Default)]
struct Relational {
    rows: Mutex<Vec<(Option<i64>, String)>>,
    asked: Mutex<Vec<String>>,
    /// The type of `n`, if it is no `bigint`.
    kind: Mutex<Option<&'static str>>,
    /// How many rows come before the answer ends with a problem.
    ends: Mutex<Option<(usize, &'static str)>>,
}

impl Sql for Relational {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Answer, Problem>> {
        self.asked.lock().push(question.text.clone());
        let since = question.text.split(">= ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<i64>().ok());
        let mut rows = self.rows.lock().clone();
        if question.text.contains("WHERE") {
            rows.retain(|(n, _)| n.is_some_and(|n| since.is_none_or(|since| n >= since)));
            rows.sort_by_key(|(n, _)| *n);
        }
        let (most, end) = self.ends.lock().take_if(|_| !question.text.contains("LIMIT 0")).unwrap_or((usize::MAX, ""));
        let lines = rows.into_iter().take(most).map(|(n, name)| format!("{}\n", json!({"n": n, "name": name})));
        let mut chunks: Vec<Result<Bytes, Problem>> = lines.map(|line| Ok(Bytes::from(line))).collect();
        if !end.is_empty() {
            chunks.push(Err(Problem::new(end, "it ends here")));
        }
        let kind = self.kind.lock().unwrap_or("bigint").to_owned();
        let columns = vec![Column { name: "n".to_owned(), kind }];
        futures::future::ready(Ok(Answer { columns, body: Box::pin(futures::stream::iter(chunks)) })).boxed()
    }

    fn relations(&self, _: Principal) -> BoxFuture<'_, Result<Vec<Relation>, Problem>> {
        futures::future::ready(Ok(Vec::new())).boxed()
    }

    fn queries(&self, _: &Principal) -> Vec<RunningQuery> {
        Vec::new()
    }

    fn cancel(&self, _: u64, _: &Principal) -> Result<(), Problem> {
        Ok(())
    }
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
    sql: Arc<Relational>,
    limits: Limits,
    epoch: u64,
    spec: IngestSpec,
}

struct Ingesting {
    task: Arc<Task>,
    figures: Arc<Figures>,
}

impl Bench {
    fn new(more: Value) -> Self {
        let clock = Arc::new(ManualClock::at(Micros(1_000_000_000_000)));
        let options = headwater_testkit::options(1 << 20);
        let (disk, limits) = (Arc::new(MemoryDisk::default()), Arc::new(Limits::default()));
        let log = EmbeddedLog::open_with(disk, Path::new("/data"), limits, clock.clone(), options).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let config = StreamConfig { partitions: 1, ..default_config(&Limits::default()) };
        runtime.block_on(log.create(Name::new("s").unwrap(), config, Vec::new())).unwrap();
        let mut spec = json!({"from": "external.t", "stream": "s", "schedule": "rate(1 minute)"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let spec = serde_json::from_value(spec).unwrap();
        let limits = Limits::default();
        Self { runtime, log, clock, sql: Arc::new(Relational::default()), limits, epoch: 0, spec }
    }

    fn rows(&self, rows: &[(i64, &str)]) {
        self.sql.rows.lock().extend(rows.iter().map(|(n, name)| (Some(*n), (*name).to_owned())));
    }

    fn start(&self) -> Ingesting {
        let figures = Arc::new(Figures::default());
        let setup = Setup {
            name: Name::new("i").unwrap(),
            spec: self.spec.clone(),
            calendar: self.spec.calendar(Micros(1_000_000_000_000)).unwrap(),
            reader: Principal::default(),
            epoch: self.epoch,
            log: self.log.clone(),
            clock: self.clock.clone(),
            limits: Arc::new(self.limits.clone()),
            sql: self.sql.clone(),
            figures: figures.clone(),
        };
        self.runtime.block_on(async {
            let life = Life::begin(setup).await.unwrap();
            Ingesting { task: Task::spawn("i", |stop| life.run(stop)), figures }
        })
    }

    /// Waits until a life has ended so many runs, well or not.
    fn ran(&self, ingesting: &Ingesting, count: u64) {
        let [(_, runs), (_, failures), ..] = ingesting.figures.list();
        let mut ended = runs + failures;
        self.runtime.block_on(async {
            let patience = tokio::time::timeout(MINUTE, async {
                while ended < count {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    let [(_, runs), (_, failures), ..] = ingesting.figures.list();
                    ended = runs + failures;
                }
            });
            patience.await.unwrap();
        });
        assert_eq!(ended, count);
    }

    fn stop(&self, ingesting: &Ingesting) {
        self.runtime.block_on(ingesting.task.stop());
    }

    /// Key and name of each event.
    fn events(&self) -> Vec<String> {
        let mut cursor = Cursor::new(Name::new("s").unwrap(), 0, 0, 1 << 20);
        let mut found = Vec::new();
        while let Pulled::Record(record) = cursor.pull(&*self.log, |_| None).unwrap() {
            let value: Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
            let key = record.key.map(|key| format!("{}:", String::from_utf8_lossy(&key))).unwrap_or_default();
            found.push(format!("{key}{}", value["name"].as_str().unwrap()));
        }
        found
    }

    fn told(ingesting: &Ingesting) -> String {
        ingesting.figures.told().unwrap().unwrap_or_else(|fault| format!("failed: {fault}"))
    }
}

#[test]
fn rows_above_the_watermark_come_once() {
    let bench = Bench::new(json!({"watermark": {"column": "n"}, "key": ["n"]}));
    bench.rows(&[(2, "b"), (1, "a"), (2, "c")]);
    bench.sql.rows.lock().push((None, "none".to_owned()));
    let first = bench.start();
    bench.ran(&first, 1);
    assert_eq!(bench.events(), ["1:a", "2:b", "2:c"]);
    bench.stop(&first);
    // A row that has the newest watermark, one of equal text, and one that is late.
    bench.rows(&[(2, "d"), (2, "c"), (1, "late"), (3, "e")]);
    let second = bench.start();
    assert!(Bench::told(&second).contains("3 rows in 1 runs"), "{}", Bench::told(&second));
    bench.clock.advance(10 * MINUTE);
    bench.ran(&second, 1);
    assert_eq!(bench.events(), ["1:a", "2:b", "2:c", "2:d", "2:c", "3:e"]);
    assert_eq!(bench.sql.asked.lock().last().unwrap(), "SELECT * FROM external.t WHERE \"n\" >= 2 ORDER BY \"n\"");
    bench.clock.advance(MINUTE);
    bench.ran(&second, 2);
    assert_eq!(bench.events().len(), 6, "nothing is new");
    assert!(Bench::told(&second).contains("6 rows in 3 runs"), "{}", Bench::told(&second));
    bench.stop(&second);
}

#[test]
fn a_type_without_order_is_told_before_the_first_row_and_asked_for_again() {
    let bench = Bench::new(json!({"watermark": {"column": "n"}}));
    bench.rows(&[(1, "a")]);
    *bench.sql.kind.lock() = Some("double");
    let ingesting = bench.start();
    bench.ran(&ingesting, 1);
    assert!(Bench::told(&ingesting).contains("HW-LAKE-082"), "{}", Bench::told(&ingesting));
    assert_eq!(bench.events(), Vec::<String>::new());
    *bench.sql.kind.lock() = None;
    bench.clock.advance(RETRY_MIN);
    bench.ran(&ingesting, 2);
    assert_eq!(bench.events(), ["a"]);
    bench.stop(&ingesting);
}

#[test]
fn a_first_run_begins_where_it_is_told() {
    let bench = Bench::new(json!({"watermark": {"column": "n", "start": 2}}));
    bench.rows(&[(1, "a"), (2, "b"), (3, "c")]);
    let ingesting = bench.start();
    bench.ran(&ingesting, 1);
    assert_eq!(bench.events(), ["b", "c"]);
    bench.stop(&ingesting);
}

#[test]
fn a_run_that_is_cut_leaves_out_what_it_has_written() {
    for more in [json!({}), json!({"watermark": {"column": "n"}})] {
        let bench = Bench::new(more.clone());
        let rows: Vec<(i64, String)> = (0..5_000).map(|n| (n / 1_000, format!("r{n}"))).collect();
        bench.rows(&rows.iter().map(|(n, name)| (*n, name.as_str())).collect::<Vec<_>>());
        *bench.sql.ends.lock() = Some((4_500, "HW-LAKE-056"));
        let first = bench.start();
        bench.ran(&first, 1);
        assert_eq!(bench.events().len(), 4_000, "whole commits: {more}");
        assert!(Bench::told(&first).contains("HW-LAKE-056"));
        bench.stop(&first);
        // The next life goes on with the run, before its time; and a statement that is too slow is only asked again.
        *bench.sql.ends.lock() = Some((4_700, "HW-LAKE-048"));
        let second = bench.start();
        bench.ran(&second, 1);
        let events = bench.events();
        assert_eq!(events, rows.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>(), "{more}");
        bench.stop(&second);
    }
}

#[test]
fn a_run_that_failed_is_tried_again_ever_later() {
    let bench = Bench::new(json!({"key": ["name"]}));
    bench.rows(&[(1, "a")]);
    *bench.sql.ends.lock() = Some((0, "HW-LAKE-057"));
    let ingesting = bench.start();
    bench.ran(&ingesting, 1);
    assert!(bench.runtime.block_on(async { ingesting.task.finished().now_or_never() }).is_none());
    *bench.sql.ends.lock() = Some((1, "HW-LAKE-057"));
    bench.clock.advance(RETRY_MIN);
    bench.ran(&ingesting, 2);
    assert_eq!(bench.events(), Vec::<String>::new());
    bench.clock.advance(RETRY_MIN);
    bench.clock.advance(RETRY_MIN);
    bench.ran(&ingesting, 3);
    assert_eq!(bench.events(), ["a:a"]);
    bench.stop(&ingesting);
}

#[test]
fn a_full_load_writes_every_row_at_each_time() {
    let mut bench = Bench::new(json!({}));
    bench.rows(&[(1, "a"), (1, "a")]);
    let ingesting = bench.start();
    bench.ran(&ingesting, 1);
    bench.clock.advance(MINUTE);
    bench.ran(&ingesting, 2);
    assert_eq!(bench.events(), ["a"; 4]);
    bench.stop(&ingesting);
    bench.epoch = 1;
    let anew = bench.start();
    bench.ran(&anew, 1);
    assert_eq!(bench.events(), ["a"; 6], "a new beginning");
    assert!(Bench::told(&anew).contains("2 rows in 1 runs"));
    bench.stop(&anew);
}

#[test]
fn a_run_at_its_bound_fails_and_loses_nothing() {
    for (more, hint) in [(json!({}), "watermark"), (json!({"watermark": {"column": "n"}}), "tells rows apart")] {
        let bench = Bench { limits: Limits { ingest_rows: 2, ..Limits::default() }, ..Bench::new(more) };
        bench.rows(&[(1, "a"), (1, "b"), (1, "c")]);
        let ingesting = bench.start();
        bench.ran(&ingesting, 1);
        let told = Bench::told(&ingesting);
        assert!(told.contains("HW-LAKE-083") && told.contains(hint), "{told}");
        bench.stop(&ingesting);
    }
}
