//! Statements over a kernel with a log on a real disk: rows, errors, bounds.

mod policies;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::DataType;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use futures::TryStreamExt as _;
use headwater_base::{Limits, Micros, Name, Principal, Problem};
use headwater_kernel::port::forecast::Ahead;
use headwater_kernel::port::sql::{Format, Question};
use headwater_kernel::port::{Sql as _, Tables as _};
use headwater_kernel::{ApplyOptions, Kernel, Registry, Setup, SystemClock};
use headwater_log::outbox::Outbox;
use headwater_log::{Commit, EmbeddedLog, Log};
use headwater_store::disk::RealDisk;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::*;
use crate::testing::now;
use crate::{Datasets, LakeCatalog, Parts};

mod cursors;
mod dependencies;
mod described;
mod doubles;
mod finds;
mod keyed;
mod letters;
mod lists;
mod memory;
mod messages;
mod once;
mod postgres;
mod queries;
mod rollup;
mod shop;
mod states;
mod together;
mod views;

/// A stream of two partitions, a table, and two datasets of the stream: one makes a snapshot every tenth of a second, the other
/// one in an hour.
const RESOURCES: &str = "\
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: orders.raw}
spec: {partitions: 2}
---
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: kinds}
spec: {}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: orders}
spec:
  stream: orders.raw
  snapshotInterval: 100ms
  columns:
    - {name: n, type: int, required: true}
    - {name: kind, type: string}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: slow}
spec:
  stream: orders.raw
  snapshotInterval: 1h
  columns:
    - {name: n, type: int, required: true}
";

/// A node's log, kernel and datasets, and an engine over them.
struct House {
    runtime: Runtime,
    log: Arc<EmbeddedLog>,
    kernel: Arc<Kernel>,
    datasets: Datasets,
    engine: Engine,
    _folder: tempfile::TempDir,
}

const ORDERS: &str = r#"streams."orders.raw""#;

/// What comes next is what came last.
fn persistence(mut values: Vec<(Micros, f64)>, ahead: usize) -> Result<Vec<Ahead>, Problem> {
    assert_ne!(ahead, 13, "a bug, made by a test");
    values.sort_by_key(|(time, _)| *time);
    let Some((last, predicted)) = values.last().copied().filter(|_| values.len() > 1) else {
        return Err(Problem::new("HW-WATCH-030", "there are too few"));
    };
    let ahead = (1_i64..).take(ahead);
    Ok(ahead.map(|n| Ahead { time: Micros(last.0 + n), predicted, half: (n == 1).then_some(0.5) }).collect())
}

async fn apply(kernel: &Arc<Kernel>, resources: &str) {
    let drafts = kernel.registry().read("r.yaml", resources.as_bytes(), kernel.limits()).unwrap();
    kernel.apply(drafts, &ApplyOptions::default()).await.unwrap();
}

impl House {
    fn new(limits: Limits) -> Self {
        let runtime = Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (limits, clock) = (Arc::new(limits), Arc::new(SystemClock::new()));
        let log = EmbeddedLog::open(folder.path(), limits.clone(), clock.clone()).unwrap();
        let setup = Setup {
            log: log.clone(),
            folder: folder.path().to_owned(),
            clock: clock.clone(),
            limits: limits.clone(),
            registry: Registry::new(&[
                crate::kinds::dataset::KIND,
                crate::kinds::external_table::KIND,
                crate::kinds::row_policy::KIND,
            ]),
            seed: 1,
        };
        let (kernel, datasets, engine) = runtime.block_on(async {
            let kernel = Kernel::open(setup).await.unwrap();
            let datasets = Datasets::new(Parts {
                log: kernel.log().clone(),
                disk: Arc::new(RealDisk),
                folder: folder.path().to_owned(),
                clock,
                limits: limits.clone(),
            });
            kernel.start(vec![datasets.unit_kind()]);
            apply(&kernel, RESOURCES).await;
            let ids = ["Stream/orders.raw", "Table/kinds", "Dataset/orders", "Dataset/slow"].map(str::to_owned);
            assert_eq!(kernel.settled(&ids, Duration::from_secs(20)).await, []);
            let catalog = LakeCatalog::new(datasets.clone(), Arc::new(Vec::new));
            let sources = Sources::new(kernel.clone(), catalog, persistence);
            let engine = Engine::new(sources, folder.path().join("sql"));
            (kernel, datasets, engine)
        });
        Self { runtime, log, kernel, datasets, engine, _folder: folder }
    }

    /// Appends orders `from..to`, durable; order n is of n * 10 ms.
    fn append(&self, from: i64, to: i64) {
        self.send((from..to).map(|n| (n, if n % 2 == 0 { "even" } else { "odd" })));
    }

    /// Appends orders of these numbers and kinds, durable.
    fn send<'a>(&self, orders: impl Iterator<Item = (i64, &'a str)>) {
        let mut outbox = Outbox::open(&*self.log, &[Name::new("orders.raw").unwrap()]).unwrap();
        for (n, kind) in orders {
            let value = json!({"n": n, "kind": kind, "of": {"deep": [n]}}).to_string();
            outbox.put(0, n * 10, Some(format!("k{n}").as_bytes()), Some(value.as_bytes()), &[]).unwrap();
        }
        let ticket = self.log.append(&mut Commit { appends: outbox.take(), ..Commit::default() }).unwrap();
        self.runtime.block_on(self.log.durable(ticket.sequence)).unwrap();
    }

    fn text(&self, statement: &str, format: Format) -> Result<String, Problem> {
        self.text_for(&Principal::default(), statement, format)
    }

    fn text_for(&self, who: &Principal, statement: &str, format: Format) -> Result<String, Problem> {
        let (text, principal) = (statement.to_owned(), who.clone());
        let question = Question { text, format, rows_max: None, principal, ..Question::default() };
        self.runtime.block_on(async {
            let body: Vec<bytes::Bytes> = self.engine.ask(question).await?.body.try_collect().await?;
            Ok(String::from_utf8(body.concat()).unwrap())
        })
    }

    /// Gives statements of `who` the function `buggy()`, which panics as soon as it is called.
    fn with_bug(&self, who: &Principal) {
        let bug = |_: &[ColumnarValue]| -> Result<ColumnarValue, DataFusionError> { panic!("a bug, made by a test") };
        let buggy = create_udf("buggy", Vec::new(), DataType::Int64, Volatility::Immutable, Arc::new(bug));
        let running = self.runtime.block_on(self.engine.running()).unwrap();
        running.context(who).unwrap().register_udf(buggy);
    }

    fn rows(&self, statement: &str) -> Value {
        let text = self.text(statement, Format::Json).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["rows"].clone()
    }

    fn problem(&self, statement: &str) -> Problem {
        self.text(statement, Format::Json).expect_err(statement)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.engine.close();
        self.runtime.block_on(self.kernel.stop());
        self.log.close().unwrap();
    }
}

#[test]
fn an_event_is_found_as_soon_as_it_is_acknowledged() {
    let house = House::new(Limits::default());
    assert_eq!(house.rows(&format!("SELECT count(*) FROM {ORDERS}")), json!([[0]]));
    for round in 0..10 {
        house.append(round * 100, round * 100 + 100);
        assert_eq!(house.rows(&format!("SELECT count(*) FROM {ORDERS}")), json!([[(round + 1) * 100]]));
    }
    let kinds = format!(
        "SELECT value->>'kind' AS kind, count(*), sum(CAST(value->>'n' AS bigint)) FROM {ORDERS} GROUP BY 1 ORDER BY 1"
    );
    assert_eq!(house.rows(&kinds), json!([["even", 500, 249_500], ["odd", 500, 250_000]]));
    let deep = format!("SELECT key, value->'of'->'deep'->>0 FROM {ORDERS} WHERE value->>'n' = '7'");
    assert_eq!(house.rows(&deep), json!([["k7", "7"]]));
}

/// Half an answer does not look like a whole one.
#[test]
fn a_query_that_meets_a_bug_ends_with_a_problem() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    let problem = house.problem(&format!("SELECT forecast(time, 1, 13) FROM {ORDERS}"));
    assert_eq!(problem.code, "HW-KERNEL-043");
    assert!(problem.title.contains("a bug, made by a test"), "{problem}");
    assert_eq!(house.rows(&format!("SELECT count(*) FROM {ORDERS}")), json!([[10]]));
}

/// A snapshot may come at any moment of a query: there is never an event missing or there twice.
#[test]
fn a_dataset_has_each_event_once_in_its_snapshots_or_behind_them() {
    let house = House::new(Limits::default());
    let tables = house.datasets.tables();
    let snapshots = || {
        let space = crate::kinds::dataset::space("orders");
        let version = now(tables.version(&space, crate::tables::POINTER, headwater_log::View::Durable)).unwrap();
        version.map_or(0, |version| version.metadata.snapshots().count())
    };
    let (begin, mut sent) = (Instant::now(), 0);
    while snapshots() < 5 {
        assert!(begin.elapsed() < Duration::from_secs(60), "five snapshots");
        house.append(sent, sent + 50);
        sent += 50;
        let sum = sent * (sent - 1) / 2;
        assert_eq!(house.rows("SELECT count(*), sum(n), count(DISTINCT n) FROM orders"), json!([[sent, sum, sent]]));
    }
    let half = json!([["even", sent / 2], ["odd", sent / 2]]);
    assert_eq!(house.rows("SELECT kind, count(*) FROM orders GROUP BY 1 ORDER BY 1"), half);
    assert_eq!(house.rows("SELECT n, kind FROM orders WHERE n = 7"), json!([[7, "odd"]]));
}

/// Its rows are in files under several partition specs, in memory and in the log.
#[test]
fn a_dataset_that_is_spread_otherwise_has_each_event_once() {
    let house = House::new(Limits::default());
    let space = crate::kinds::dataset::space("orders");
    let version = || now(house.datasets.tables().version(&space, crate::tables::POINTER, headwater_log::View::Durable));
    let dataset = RESOURCES.split("---\n").find(|it| it.contains("name: orders}")).unwrap();
    let mut sent = 0;
    for (partition, id) in [("[]", 0), ("[{column: kind}]", 1), ("[{column: n, transform: 'bucket[4]'}]", 2), ("[]", 0)]
    {
        let resource = format!("{dataset}  partition: {partition}\n");
        house.runtime.block_on(apply(&house.kernel, &resource));
        house.append(sent, sent + 100);
        sent += 100;
        let begin = Instant::now();
        loop {
            let sum = sent * (sent - 1) / 2;
            assert_eq!(
                house.rows("SELECT count(*), sum(n), count(DISTINCT n) FROM orders"),
                json!([[sent, sum, sent]])
            );
            let half = json!([[sent / 2]]);
            assert_eq!(house.rows("SELECT count(*) FROM orders WHERE kind = 'odd'"), half, "{partition}");
            assert_eq!(house.rows("SELECT kind FROM orders WHERE n = 7"), json!([["odd"]]), "{partition}");
            let metadata = version().unwrap().map(|version| version.metadata);
            let total = metadata.as_ref().and_then(|it| it.current_snapshot()).map(|snapshot| {
                snapshot.summary().additional_properties.get("total-records").cloned().unwrap_or_default()
            });
            if metadata.is_some_and(|it| it.default_partition_spec_id() == id) && total == Some(sent.to_string()) {
                break;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "a snapshot under {partition}");
        }
    }
}

/// What the dataset's thread has read is not read again.
#[test]
fn rows_that_no_snapshot_has_come_from_memory() {
    let house = House::new(Limits::default());
    let tail = || house.datasets.tables().tail("slow").unwrap();
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::yield_now();
        }
    };
    // The first events after a pause are in a snapshot at once.
    house.append(0, 10);
    let space = crate::kinds::dataset::space("slow");
    let tables = house.datasets.tables();
    let version = || now(tables.version(&space, crate::tables::POINTER, headwater_log::View::Durable));
    until("the first snapshot", &|| version().unwrap().is_some_and(|it| it.metadata.snapshots().count() == 1));
    house.append(10, 1_000);
    until("the rest in memory", &|| tail().batches().iter().map(|it| it.num_rows()).sum::<usize>() == 990);
    assert_eq!(house.rows("SELECT count(*), sum(n), min(n), max(n) FROM slow"), json!([[1_000, 499_500, 0, 999]]));
    let plan = |house: &House| house.text("EXPLAIN FORMAT INDENT SELECT n FROM slow WHERE n > 3", Format::Csv).unwrap();
    assert!(plan(&house).contains(".parquet") && plan(&house).contains("partition_sizes"), "{}", plan(&house));
    assert!(!plan(&house).contains("StreamingTable"), "{}", plan(&house));
}

#[test]
fn a_table_is_asked_by_key_and_as_a_whole() {
    let house = House::new(Limits::default());
    let name = Name::new("kinds").unwrap();
    for (key, value) in [("even", json!({"name": "Gerade"})), ("odd", json!({"name": "Ungerade"}))] {
        let value = Some(value.to_string().into());
        house.runtime.block_on(house.kernel.tables().put(&name, key, value, None)).unwrap();
    }
    assert_eq!(
        house.rows("SELECT key, value->>'name' FROM tables.kinds ORDER BY key"),
        json!([["even", "Gerade"], ["odd", "Ungerade"]])
    );
    assert_eq!(house.rows("SELECT value->>'name' FROM tables.kinds WHERE key = 'odd'"), json!([["Ungerade"]]));
    assert_eq!(house.rows("SELECT value->>'name' FROM tables.kinds WHERE key = 'none'"), json!([]));
    let plan = house.text("EXPLAIN SELECT * FROM tables.kinds WHERE key = 'odd'", Format::Csv).unwrap();
    assert!(plan.contains("partial_filters=[tables.kinds.key = "), "{plan}");
}

#[test]
fn a_time_in_the_filter_moves_the_beginning_and_changes_no_answer() {
    let house = House::new(Limits::default());
    house.append(0, 1_000);
    let count = |filter: &str| house.rows(&format!("SELECT count(*) FROM {ORDERS} WHERE {filter}"));
    assert_eq!(count("time >= to_timestamp('1970-01-01T00:00:05Z')"), json!([[500]]));
    assert_eq!(count("time > to_timestamp('1970-01-01T00:00:05Z')"), json!([[499]]));
    assert_eq!(count("to_timestamp('1970-01-01T00:00:09.990Z') <= time"), json!([[1]]));
    assert_eq!(count("time > to_timestamp('1970-01-01T00:00:10Z')"), json!([[0]]));
    assert_eq!(count("time = to_timestamp('1970-01-01T00:00:05Z')"), json!([[1]]));
    let plan = house.text(
        &format!("EXPLAIN SELECT count(*) FROM {ORDERS} WHERE time >= TIMESTAMP '1970-01-01T00:00:09Z'"),
        Format::Csv,
    );
    assert!(plan.unwrap().contains("partial_filters=["), "the scan is told of the time");
}

#[test]
fn answers_come_in_the_form_that_was_asked_for() {
    let house = House::new(Limits::default());
    let two = "SELECT * FROM (VALUES (1, 'a,b', true), (NULL, 'x', false)) AS t(number, words, sure)";
    assert_eq!(
        house.text(two, Format::Json).unwrap(),
        r#"{"columns":[{"name":"number","type":"bigint"},{"name":"words","type":"text"},{"name":"sure","type":"boolean"}],"rows":[[1,"a,b",true],[null,"x",false]]}"#
    );
    assert_eq!(
        house.text(two, Format::Ndjson).unwrap(),
        "{\"number\":1,\"words\":\"a,b\",\"sure\":true}\n{\"number\":null,\"words\":\"x\",\"sure\":false}\n"
    );
    assert_eq!(house.text(two, Format::Csv).unwrap(), "number,words,sure\n1,\"a,b\",true\n,x,false\n");
    let none = format!("{two} WHERE number > 5");
    assert_eq!(house.text(&none, Format::Csv).unwrap(), "number,words,sure\n");
    assert!(house.text(&none, Format::Json).unwrap().ends_with(r#""rows":[]}"#));
    assert_eq!(house.text(&none, Format::Ndjson).unwrap(), "");
}

/// In JSON lists, structs and what `->` finds are what they are; in CSV they are texts of it.
#[test]
fn what_is_nested_is_json_in_every_answer() {
    let house = House::new(Limits::default());
    house.append(7, 8);
    let statement = format!(
        "SELECT value->'kind' AS k, value->'of' AS o, value->'none' AS x, make_array(1, NULL) AS l,
             named_struct('a', key, 'b', make_array(1)) AS s FROM {ORDERS}"
    );
    assert_eq!(house.rows(&statement), json!([["odd", {"deep": [7]}, null, [1, null], {"a": "k7", "b": [1]}]]));
    let line = house.text(&statement, Format::Ndjson).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap(),
        json!({"k": "odd", "o": {"deep": [7]}, "x": null, "l": [1, null], "s": {"a": "k7", "b": [1]}})
    );
    assert_eq!(
        house.text(&statement, Format::Csv).unwrap(),
        "k,o,x,l,s\n\"\"\"odd\"\"\",\"{\"\"deep\"\":[7]}\",,\"[1,null]\",\"{\"\"a\"\":\"\"k7\"\",\"\"b\"\":[1]}\"\n"
    );
    assert_eq!(house.text(&format!("{statement} WHERE key = 'none'"), Format::Csv).unwrap(), "k,o,x,l,s\n");
}

/// The second answer is the first one's bytes while nothing has changed, and only then.
#[test]
fn an_answer_is_kept_until_an_event_comes() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    let kept = || house.engine.0.cache.len();
    let ask = |statement: &str| house.text(statement, Format::Json).unwrap();
    for (at, from) in [(1, "slow"), (2, ORDERS)] {
        let statement = format!("SELECT count(*) AS c FROM {from}");
        // A dataset is at one position as soon as its first snapshot is made.
        let begun = Instant::now();
        while kept() < at {
            assert!(begun.elapsed() < Duration::from_secs(60), "the answer over {from} is kept");
            assert!(ask(&statement).ends_with("[[10]]}"));
        }
        assert!(ask(&statement).ends_with("[[10]]}"));
    }
    let before = kept();
    for unsettled in
        ["SELECT now(), count(*) FROM slow", "SELECT count(*) FROM tables.kinds", "EXPLAIN SELECT n FROM slow"]
    {
        ask(unsettled);
    }
    assert_eq!(kept(), before);
    house.append(10, 11);
    assert!(ask("SELECT count(*) AS c FROM slow").ends_with("[[11]]}"));
    assert!(ask(&format!("SELECT count(*) AS c FROM {ORDERS}")).ends_with("[[11]]}"));
}

#[test]
fn files_of_others_are_joined_as_they_are_now() {
    let house = House::new(Limits::default());
    house.append(0, 4);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("kinds-1.csv", "kind;code;price\neven;007;1.50\n");
    let resource = |name: &str, spec: &Value| {
        let text = json!({"apiVersion": "headwater.dev/v1", "kind": "ExternalTable", "metadata": {"name": name}, "spec": spec});
        house.runtime.block_on(apply(&house.kernel, &text.to_string()));
    };
    let path = |name: &str| folder.path().join(name).display().to_string();
    resource(
        "kinds",
        &json!({
            "path": path("kinds-*.csv"), "delimiter": ";", "types": {"code": "text", "price": "decimal(5,2)"},
        }),
    );
    let join = "SELECT o.n, k.code, k.price FROM orders o JOIN external.kinds k USING (kind) ORDER BY n";
    assert_eq!(house.rows(join), json!([[0, "007", 1.5], [2, "007", 1.5]]));
    write("kinds-2.csv", "kind;code;price\n\"odd\";008;2.25\n");
    assert_eq!(house.rows(join).as_array().unwrap().len(), 4, "a file that came later");
    write("events.ndjson", "{\"n\": 1, \"of\": {\"deep\": true}}\n{\"n\": 2}\n");
    resource("events", &json!({ "path": path("events.ndjson") }));
    assert_eq!(house.rows("SELECT n, \"of\"['deep'] FROM external.events ORDER BY n"), json!([[1, true], [2, null]]));
    write("events.ndjson", "{\"n\": 1}\nthis is none\n");
    assert_eq!(house.problem("SELECT sum(n) FROM external.events").code, "HW-LAKE-055");
    resource("absent", &json!({ "path": path("absent.parquet") }));
    assert_eq!(house.problem("SELECT * FROM external.absent").code, "HW-LAKE-055");
    assert_eq!(house.rows("SELECT count(*) FROM orders"), json!([[4]]), "the others are answered");
}

#[test]
fn errors_have_a_code_and_a_place() {
    let house = House::new(Limits::default());
    let syntax = house.problem("SELECT *\n  FROM x WHERE )");
    assert_eq!(syntax.code, "HW-LAKE-040");
    assert_eq!(syntax.place.map(|place| (place.line, place.column)).map(|(line, _)| line), Some(2));
    let unknown = house.problem(&format!("SELECT partition,\n  colour FROM {ORDERS}"));
    assert_eq!(unknown.code, "HW-LAKE-041");
    assert_eq!(unknown.place.map(|place| (place.line, place.column)), Some((2, 3)));
    assert_eq!(house.problem("SELECT * FROM nowhere").code, "HW-LAKE-041");
    assert_eq!(house.problem("SELECT 1/0").code, "HW-LAKE-044");
    for statement in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "DROP TABLE t",
        "INSERT INTO t VALUES (1)",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
    ] {
        let problem = house.problem(statement);
        assert!(matches!(problem.code.as_str(), "HW-LAKE-042" | "HW-LAKE-041"), "{statement}: {problem}");
    }
}

/// What a chain becomes is dropped link by link, and a stack has an end.
#[test]
fn a_chain_has_a_bound_and_ends_nobody() {
    let house = House::new(Limits::default());
    let chain = |links: usize| format!("SELECT 1{}", " + 1".repeat(links));
    assert_eq!(house.rows(&chain(500)), json!([[501]]));
    assert_eq!(house.problem(&chain(100_000)).code, "HW-LAKE-040");
}

#[test]
fn a_query_ends_at_its_bounds_while_others_are_answered() {
    let limits = Limits { sql_seconds: 1, sql_memory_bytes: 8 << 20, sql_spill_bytes: 1 << 20, ..Limits::default() };
    let house = House::new(limits.clone());
    let endless = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let runaway = house.engine.ask(Question { text: endless.to_owned(), ..Question::default() });
    let others = async {
        let question = Question { text: "SELECT 1".to_owned(), ..Question::default() };
        house.engine.ask(question).await.map(drop)
    };
    let (runaway, others) = house.runtime.block_on(async { tokio::join!(runaway, others) });
    assert_eq!(runaway.err().map(|problem| problem.code).as_deref(), Some("HW-LAKE-048"));
    others.unwrap();
    drop(house);
    let house = House::new(Limits { sql_seconds: 300, ..limits });
    let large =
        "SELECT count(*) FROM (SELECT DISTINCT repeat(CAST(value AS text), 100) FROM generate_series(1, 300000))";
    assert_eq!(house.problem(large).code, "HW-LAKE-043");
}

/// As many run as may; others wait for their turn, and not for ever.
#[test]
fn a_query_that_gets_no_turn_is_refused() {
    let mut house = House::new(Limits { sql_queries: 1, ..Limits::default() });
    Arc::get_mut(&mut house.engine.0).unwrap().turn_max = Duration::from_millis(50);
    let turn = Arc::clone(&house.engine.0.turns).try_acquire_owned().unwrap();
    assert_eq!(house.problem("SELECT 1").code, "HW-LAKE-046");
    drop(turn);
    assert_eq!(house.rows("SELECT 1"), json!([[1]]));
}

/// As PostgreSQL has it; the difference of two times is what Grafana and others take it of.
#[test]
fn seconds_of_a_duration_have_their_fractions() {
    let house = House::new(Limits::default());
    house.append(0, 2);
    for (given, seconds) in [
        ("extract(epoch FROM TIMESTAMP '2026-01-02T00:00:00.25' - TIMESTAMP '2026-01-01T00:00:00')", json!(86_400.25)),
        ("date_part('epoch', arrow_cast(1500, 'Duration(Millisecond)'))", json!(1.5)),
        ("date_part('EPOCH', arrow_cast(-1, 'Duration(Nanosecond)'))", json!(-1e-9)),
        ("extract(epoch FROM arrow_cast(NULL, 'Duration(Microsecond)'))", Value::Null),
        ("extract(epoch FROM INTERVAL '1.5 seconds')", json!(1.5)),
        ("extract(epoch FROM TIMESTAMP '1970-01-01T00:00:01.5')", json!(1.5)),
        ("extract(year FROM DATE '2026-11-29')", json!(2026)),
    ] {
        assert_eq!(house.rows(&format!("SELECT {given}")), json!([[seconds]]), "{given}");
    }
    let rows = format!("SELECT extract(epoch FROM max(time) - min(time)) FROM {ORDERS}");
    assert_eq!(house.rows(&rows), json!([[0.01]]));
    let minutes = format!("SELECT floor(extract(epoch FROM time) / 60) * 60 AS t, count(*) FROM {ORDERS} GROUP BY 1");
    assert_eq!(house.rows(&minutes), json!([[0.0, 2]]));
}

/// The values of each group, from whatever thread they come, in one forecast.
#[test]
fn a_series_is_told_ahead() {
    let house = House::new(Limits::default());
    house.append(0, 1_000);
    let told = format!(
        "SELECT kind, f['time'] AS at, f['predicted'] AS p, f['lower'] AS l FROM (
             SELECT value->>'kind' AS kind, unnest(forecast(time, CAST(value->>'n' AS int), 2)) AS f FROM {ORDERS} GROUP BY 1
         ) ORDER BY 1, 2"
    );
    let rows = house.rows(&told);
    let of = |row: usize| (rows[row][0].clone(), rows[row][2].clone(), rows[row][3].clone());
    assert_eq!(rows.as_array().unwrap().len(), 4);
    assert_eq!(of(0), (json!("even"), json!(998.0), json!(997.5)));
    assert_eq!(of(3), (json!("odd"), json!(999.0), Value::Null));
    assert_eq!(rows[3][1], json!("1970-01-01T00:00:09.990002Z"));
    let few = format!("SELECT forecast(time, 1, 5) FROM {ORDERS} WHERE key = 'k1'");
    assert_eq!(house.problem(&few).code, "HW-WATCH-030");
    assert_eq!(house.rows(&format!("SELECT forecast(time, 1, 5) FROM {ORDERS} WHERE key = 'none'")), json!([[null]]));
}

/// A join that makes rows without end reads nothing meanwhile.
#[test]
fn a_query_that_nobody_waits_for_gives_its_threads_back() {
    let house = House::new(Limits::default());
    let endless = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let question = Question { text: endless.to_owned(), ..Question::default() };
    let patience = house.runtime.block_on(async {
        tokio::time::timeout(Duration::from_millis(300), house.engine.ask(question)).await.map(drop)
    });
    assert!(patience.is_err(), "nobody has that much patience");
    let running = house.engine.0.running.get().unwrap();
    let begun = Instant::now();
    while running.handle.metrics().num_alive_tasks() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the query goes on");
        std::thread::yield_now();
    }
}

#[test]
fn what_can_be_asked_is_listed() {
    let house = House::new(Limits::default());
    let relations = house.runtime.block_on(house.engine.relations(Principal::default())).unwrap();
    let named = |schema: &str, name: &str| relations.iter().find(|one| one.schema == schema && one.name == name);
    let columns = |schema: &str, name: &str| -> Vec<String> {
        let columns = &named(schema, name).unwrap().columns;
        columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect()
    };
    assert_eq!(columns("public", "orders"), ["n integer", "kind text"]);
    assert_eq!(columns("tables", "kinds"), ["key text", "version bigint", "updated timestamptz", "value text"]);
    assert_eq!(named("streams", "orders.raw").unwrap().columns.len(), 5);
    let shown =
        house.rows("SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = 'public'");
    assert_eq!(shown, json!([["public", "orders"], ["public", "slow"]]));
}

#[test]
fn a_query_that_finds_the_disk_full_says_so() {
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    let spilled = datafusion::common::DataFusionError::IoError(full());
    assert_eq!(super::fault::problem(&spilled).code, "HW-LAKE-069");
    let within = super::fault::guarded("t", datafusion::common::DataFusionError::External(Box::new(full())));
    assert!(headwater_store::disk::full_behind(&within).is_some(), "it says nothing of rows");
}
