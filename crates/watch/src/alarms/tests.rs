//! Alarms over the real log; the chart is settable.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use headwater_base::{Limits, ManualClock};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::charts::{Beside, Ready, Wanted};
use headwater_kernel::port::sql::Answer;
use headwater_log::cursor::{Cursor, Pulled};
use headwater_log::{EmbeddedLog, StreamConfig};
use headwater_store::disk::MemoryDisk;

use super::*;

const MINUTE: i64 = 60_000_000;

/// Answers every chart with what was set last.
#[derive(Default)]
struct Settable {
    answer: Mutex<Option<Value>>,
    defaults: Mutex<BTreeMap<String, Vec<Value>>>,
    asked: Mutex<Vec<(Whose, String, Choice)>>,
}

impl Charts for Settable {
    fn defaults(&self, _: &Whose) -> Result<BTreeMap<String, Vec<Value>>, Problem> {
        Ok(self.defaults.lock().clone())
    }

    fn draw<'a>(&'a self, of: &'a Whose, chart: &'a str, choice: &'a Choice) -> BoxFuture<'a, Result<Drawn, Problem>> {
        self.asked.lock().push((of.clone(), chart.to_owned(), choice.clone()));
        let answer = self.answer.lock().clone();
        let drawn = answer.map(|answer| {
            let body = futures::stream::iter([Ok(Bytes::from(answer.to_string()))]);
            let answer = Answer { columns: Vec::new(), body: Box::pin(body) };
            Drawn { query: String::new(), grain: None, axes: 1, answer, totals: Vec::new(), before: None }
        });
        futures::future::ready(drawn.ok_or_else(|| Problem::new("HW-LAKE-048", "too slow"))).boxed()
    }

    fn draw_together(&self, _: &Whose, _: Vec<Wanted>) -> Result<BoxStream<'static, Ready>, Problem> {
        Err(Problem::new("HW-LAKE-071", "alarms ask one chart at a time"))
    }

    fn values<'a>(
        &'a self,
        _: &'a Whose,
        _: &'a str,
        _: &'a str,
        _: &'a Choice,
    ) -> BoxFuture<'a, Result<Drawn, Problem>> {
        futures::future::ready(Err(Problem::new("HW-LAKE-071", "none"))).boxed()
    }
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    inner: Arc<Inner>,
    charts: Arc<Settable>,
    clock: Arc<ManualClock>,
    spec: AlarmSpec,
}

struct Watching {
    task: Arc<Task>,
    figures: Arc<Figures>,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Micros(1_000 * MINUTE + 5)));
        let options = headwater_testkit::options(1 << 20);
        let (disk, limits) = (Arc::new(MemoryDisk::default()), Arc::new(Limits::default()));
        let log = EmbeddedLog::open_with(disk, Path::new("/data"), limits, clock.clone(), options).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let config = StreamConfig { partitions: 1, ..default_config(&Limits::default()) };
        runtime.block_on(log.create(name("low.alerts"), config, Vec::new())).unwrap();
        let charts = Arc::new(Settable::default());
        let site = Site::at(([127, 0, 0, 1], 8080).into());
        let inner = Inner { log, clock: clock.clone(), charts: charts.clone(), site, running: Roster::default() };
        let spec = json!({
            "dashboard": "sales", "chart": "course", "measure": "revenue", "filters": {"country": ["CH", null]},
            "last": "1h", "below": 100, "sustain": 2, "principal": "asha",
        });
        Self { runtime, inner: Arc::new(inner), charts, clock, spec: serde_json::from_value(spec).unwrap() }
    }

    fn start(&self) -> Watching {
        let figures = Arc::new(Figures::default());
        let begin = Life::begin(Arc::clone(&self.inner), name("low"), self.spec.clone(), Arc::clone(&figures));
        self.runtime.block_on(async {
            let life = begin.await.unwrap();
            Watching { task: Task::spawn("low", |stop| life.run(stop)), figures }
        })
    }

    fn set(&self, rows: Value) {
        let columns = json!([{"name": "city"}, {"name": "orders"}, {"name": "revenue"}]);
        *self.charts.answer.lock() = Some(json!({ "columns": columns, "rows": rows }));
    }

    /// Lets a minute begin, and its look be over.
    fn minute(&self, watching: &Watching) {
        let count = |figures: &Figures| figures.looks.load(Ordering::SeqCst);
        let before = count(&watching.figures);
        let over = || count(&watching.figures) > before && watching.figures.last.lock().is_some();
        self.runtime.block_on(async {
            *watching.figures.last.lock() = None;
            self.clock.advance(Duration::from_secs(60));
            let patience = tokio::time::timeout(Duration::from_secs(60), async {
                while !over() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            patience.await.unwrap();
        });
    }

    fn alerts(&self, count: usize) -> Vec<Value> {
        let alerts = name("low.alerts");
        let durable = || usize::try_from(self.inner.log.ends(&alerts, 0).unwrap().durable).unwrap();
        self.runtime.block_on(async {
            let patience = tokio::time::timeout(Duration::from_secs(60), async {
                while durable() < count {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            patience.await.unwrap();
        });
        let mut cursor = Cursor::new(alerts, 0, 0, 1 << 20);
        let mut found = Vec::new();
        while let Pulled::Record(record) = cursor.pull(&*self.inner.log, |_| None).unwrap() {
            found.push(serde_json::from_slice(&record.value.unwrap()).unwrap());
        }
        found
    }

    fn stop(&self, watching: &Watching) {
        self.runtime.block_on(watching.task.stop());
    }
}

#[test]
fn an_alarm_is_told_of_once_with_what_it_looked_at() {
    let bench = Bench::new();
    let first = bench.start();
    bench.set(json!([["Bern", 3, 120.0], ["Basel", 1, "90.50"]]));
    bench.minute(&first);
    assert_eq!(bench.alerts(0), Vec::<Value>::new(), "two in succession");
    bench.minute(&first);
    let alerts = bench.alerts(1);
    let page = "/console/dashboards/sales?f.country=%5B%22CH%22%2Cnull%5D&t=1h";
    assert_eq!(
        alerts[0],
        json!({
            "alarm": "low", "state": "raised", "time": "1970-01-01T16:42:00.000005Z", "value": 90.5, "below": 100.0,
            "above": null, "dashboard": "sales", "chart": "course", "measure": "revenue",
            "filters": {"country": ["CH", null]}, "principal": "asha",
            "rows": [{"city": "Basel", "orders": 1, "revenue": "90.50"}],
            "page": page,
            "link": format!("http://127.0.0.1:8080{page}"),
            "subject": "Alarm low: 90.5",
            "text": format!(
                "chart course of sales: the value is 90.5, it should be 100 or more.\nPage: http://127.0.0.1:8080{page}"
            ),
        })
    );
    let (of, chart, choice) = bench.charts.asked.lock()[0].clone();
    assert_eq!((of, chart.as_str(), choice.reader.as_str()), (Whose::Named("sales".to_owned()), "course", "asha"));
    assert_eq!(choice.beside, Beside::Nothing);
    // It stands so for the next life, which says nothing anew.
    bench.stop(&first);
    let second = bench.start();
    assert_eq!(second.figures.raised.load(Ordering::SeqCst), 1);
    bench.minute(&second);
    *bench.charts.answer.lock() = None;
    bench.minute(&second);
    assert_eq!(second.figures.failures.load(Ordering::SeqCst), 1);
    bench.set(json!([["Bern", 3, null]]));
    bench.minute(&second);
    assert_eq!(bench.alerts(1).len(), 1, "neither a fault nor nothing is a value");
    bench.set(json!([["Bern", 3, 100]]));
    bench.minute(&second);
    let alerts = bench.alerts(2);
    assert_eq!((&alerts[1]["state"], &alerts[1]["rows"]), (&json!("cleared"), &json!([])));
    bench.stop(&second);
}

#[test]
fn an_alarm_looks_at_what_its_link_shows() {
    let mut bench = Bench::new();
    bench.spec.sustain = 1;
    *bench.charts.defaults.lock() = [("country", vec![json!("DE")]), ("city", vec![json!("Bern")])]
        .map(|(id, values)| (id.to_owned(), values))
        .into();
    let watching = bench.start();
    bench.set(json!([["Bern", 3, 1.0]]));
    bench.minute(&watching);
    let alert = bench.alerts(1).remove(0);
    assert_eq!(alert["filters"], json!({"country": ["CH", null], "city": ["Bern"]}), "its own come first");
    let page = "/console/dashboards/sales?f.city=%5B%22Bern%22%5D&f.country=%5B%22CH%22%2Cnull%5D&t=1h";
    assert_eq!(alert["page"], page);
    assert_eq!(json!(bench.charts.asked.lock()[0].2.filters), alert["filters"]);
    bench.stop(&watching);
}

#[test]
fn whoever_was_shut_out_tells_nothing() {
    let bench = Bench::new();
    bench.set(json!([["Bern", 3, 1.0]]));
    let first = bench.start();
    bench.minute(&first);
    let second = bench.start();
    bench.minute(&second);
    let ended = bench.runtime.block_on(first.task.finished());
    assert_eq!(ended.unwrap_err().code, "HW-WATCH-022");
    bench.minute(&second);
    assert_eq!(bench.alerts(1).len(), 1);
    bench.stop(&second);
}
