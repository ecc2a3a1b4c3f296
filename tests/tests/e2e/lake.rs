//! Datasets, as Iceberg's own readers see them.

use std::process::Command;

use e2e::{Node, client, json, output, root, until};
use serde_json::{Value, json};

use super::HEADWATER;

/// The Python with pyiceberg and DuckDB.
const PYTHON: &str = "lake/bin/python";

const DATASET: &str = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: orders}
spec:
  stream: orders
  snapshotInterval: 200ms
  snapshots: 5
  columns:
    - {name: id, type: int, required: true}
    - {name: at, type: timestamp}
    - name: who
      type: struct
      fields:
        - {name: id, type: long}
    - {name: tags, type: list, items: {type: string}}
    - {name: offset, type: long, path: $offset}
  partition:
    - {column: at, transform: day}
  sort:
    - {column: id}
";

fn apply(node: &Node, yaml: &str) -> String {
    let file = node.data().join("../dataset.yaml");
    std::fs::write(&file, yaml).unwrap();
    node.headwater(&["apply", "-f", file.to_str().unwrap()], "").unwrap()
}

/// Publishes orders; the answer says that they are durable.
fn publish(node: &Node, ids: std::ops::Range<i64>) {
    let events: Vec<Value> = ids
        .map(|id| {
            let at = format!("2026-11-{:02}T12:00:00Z", id % 3 + 1);
            json!({"id": id, "at": at, "who": {"id": id, "name": format!("n{id}")}, "tags": ["a", "b"], "note": "x"})
        })
        .collect();
    let (status, body) = node.post("/v1/streams/orders/events", &Value::from(events)).unwrap();
    assert_eq!(status, 200, "{body}");
}

fn described(node: &Node) -> Value {
    let (status, body) = node.get("/v1/datasets/orders/table").unwrap();
    if status == 200 { json(&body).unwrap() } else { Value::Null }
}

/// Waits until the table has the orders `0..count`, and has every reader say so.
fn every_reader_sees(node: &Node, python: &std::path::Path, count: i64, column: &str) -> Value {
    until(&format!("{count} rows"), || described(node)["rows"] == count).unwrap();
    let script = root().join("tests/clients/lake.py");
    let words = ["read", &node.http(), "datasets.orders", column];
    let seen = json(&output(Command::new(python).arg(script).args(words), "").unwrap()).unwrap();
    let sum = if column == "id" { (0..count).sum::<i64>() } else { seen["pyiceberg"]["sum"].as_i64().unwrap() };
    for reader in ["pyiceberg", "duckdb", "scan", "node"] {
        assert_eq!(seen[reader]["count"], count, "{reader}: {seen}");
        assert_eq!(seen[reader]["sum"], sum, "{reader}: {seen}");
    }
    assert_eq!(seen["pyiceberg"]["snapshot"], described(node)["snapshot"]);
    seen
}

#[test]
fn outside_readers_see_each_event_once_after_every_kind_of_commit() {
    let Some(python) = client("outside readers of datasets", PYTHON) else { return };
    let mut node = Node::start(HEADWATER).unwrap();
    assert_eq!(apply(&node, DATASET), "dataset/orders created\n");
    publish(&node, 0..100);
    let seen = every_reader_sees(&node, &python, 100, "id");
    assert_eq!(seen["namespaces"], json!(["datasets"]));
    publish(&node, 100..150);
    node.kill_and_restart().unwrap();
    every_reader_sees(&node, &python, 150, "id");

    let wider = DATASET.replace("{name: id, type: int", "{name: id, type: long").replace(
        "        - {name: id, type: long}\n",
        "        - {name: id, type: long}\n        - {name: name, type: string}\n",
    );
    let wider = wider.replace("    - {name: offset", "    - {name: note, type: json}\n    - {name: offset");
    assert_eq!(apply(&node, &wider), "dataset/orders configured\n");
    publish(&node, 150..200);
    let seen = every_reader_sees(&node, &python, 200, "id");
    let columns: Vec<&str> = seen["columns"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(columns[0], "id: long");
    assert_eq!(*columns.last().unwrap(), "note: string");
    let refused = node.run(&["apply", "-f", node.data().join("../dataset.yaml").to_str().unwrap()]).unwrap();
    assert!(refused.status.success());
    std::fs::write(node.data().join("../narrow.yaml"), DATASET).unwrap();
    let refused = node.run(&["apply", "-f", node.data().join("../narrow.yaml").to_str().unwrap()]).unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("error[HW-LAKE-002]: `id` cannot change from long to int"), "{told}");

    // So many snapshots that the first ones go, with an event that does not fit between.
    for at in 0..8 {
        publish(&node, 200 + at * 10..210 + at * 10);
        until("the snapshot", || described(&node)["rows"] == 210 + at * 10).unwrap();
    }
    let (status, _) = node.post("/v1/streams/orders/events", &json!({"id": "no number"})).unwrap();
    assert_eq!(status, 200);
    let letter = node.headwater(&["tail", "orders.dead", "--from", "earliest", "--follow", "-n", "1"], "").unwrap();
    assert!(letter.contains("`id` is a string, not a whole number of 64 bits"), "{letter}");
    every_reader_sees(&node, &python, 280, "id");
    assert!(described(&node)["snapshots"].as_u64().unwrap() <= 5);

    let script = root().join("tests/clients/lake.py");
    let wrote =
        output(Command::new(&python).arg(&script).args(["write", &node.http(), "datasets.orders"]), "").unwrap();
    let wrote = json(&wrote).unwrap();
    for reader in ["pyiceberg", "duckdb", "node"] {
        assert_eq!((&wrote[reader]["count"], &wrote[reader]["sum"]), (&json!(2), &json!(42)), "{reader}: {wrote}");
    }
    every_reader_sees(&node, &python, 280, "id");

    let shown = node.headwater(&["get", "datasets"], "").unwrap();
    assert!(shown.contains("ROWS") && shown.contains("280"), "{shown}");
    let shown = node.headwater(&["describe", "dataset/orders"], "").unwrap();
    assert!(shown.contains("  rows: 280\n") && shown.contains("file://"), "{shown}");
    let deleted = node.headwater(&["delete", "dataset/orders"], "").unwrap();
    assert!(deleted.contains("dataset/orders deleted"), "{deleted}");
    until("the files are gone", || !node.data().join("lake/datasets/orders").exists()).unwrap();
}

/// Whatever writes letters: here the schema of a stream and the dataset of another one.
const REFUSED: &str = "\
---
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: parcels}
spec:
  schema: {onMismatch: dead-letter, deadLetter: orders.dead, json: {type: object, required: [weight]}}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: refused}
spec:
  letters: orders.dead
  snapshotInterval: 200ms
  partition: [{column: time, transform: day}]
";

#[test]
fn outside_readers_see_what_did_not_fit_with_reason_place_and_data() {
    let Some(python) = client("outside readers of dead letters", PYTHON) else { return };
    let mut node = Node::start(HEADWATER).unwrap();
    apply(&node, &format!("{DATASET}{REFUSED}"));
    publish(&node, 0..10);
    let post = |node: &Node, stream: &str, event: &Value| {
        node.post(&format!("/v1/streams/{stream}/events"), &json!([event])).unwrap().0
    };
    assert_eq!(post(&node, "orders", &json!({"id": "secret"})), 200);
    until("the stream of the letters is there", || post(&node, "parcels", &json!({"name": "p"})) == 200).unwrap();
    node.kill_and_restart().unwrap();
    assert_eq!(post(&node, "orders", &json!({"id": 10, "at": "soon"})), 200);
    let rows = |node: &Node| {
        let (status, body) = node.get("/v1/datasets/refused/table").unwrap();
        if status == 200 { json(&body).unwrap()["rows"].as_i64() } else { None }
    };
    until("each letter is a row", || rows(&node) == Some(3)).unwrap();
    for (condition, count) in [
        ("code = 'HW-LAKE-010' AND dataset = 'orders' AND stream = 'orders'", 2),
        ("code = 'HW-API-015' AND stream = 'parcels' AND dataset IS NULL", 1),
        ("data = '{\"id\":\"secret\"}'", 1),
    ] {
        every_reader_counts(&node, &python, "datasets.refused", condition, count);
    }
    let ask = "SELECT r.data->>'at' FROM refused r JOIN streams.orders o ON o.partition = r.partition AND o.\"offset\" = r.\"offset\" \
        WHERE r.reason LIKE '`at`%' AND o.value = r.data";
    assert_eq!(node.headwater(&["sql", "-o", "csv", ask], "").unwrap().lines().last(), Some("soon"));
}

/// Has every reader count the rows that meet a condition.
fn every_reader_counts(node: &Node, python: &std::path::Path, table: &str, condition: &str, count: i64) {
    let script = root().join("tests/clients/lake.py");
    let words = ["filter", &node.http(), table, condition];
    let seen = json(&output(Command::new(python).arg(script).args(words), "").unwrap()).unwrap();
    assert_eq!(seen, json!({"pyiceberg": count, "duckdb": count, "node": count}), "{condition}");
}

#[test]
fn outside_readers_see_each_row_of_a_table_that_is_spread_otherwise() {
    let Some(python) = client("outside readers of datasets", PYTHON) else { return };
    let mut node = Node::start(HEADWATER).unwrap();
    let day = "  partition:\n    - {column: at, transform: day}\n  sort:\n    - {column: id}\n";
    let others = [
        day.to_owned(),
        String::new(),
        "  partition:\n    - {column: id, transform: 'bucket[2]'}\n    - {column: at, transform: month}\n".to_owned(),
        format!("{day}    - {{column: at, order: desc}}\n"),
        "  partition:\n    - {column: id, transform: 'truncate[50]'}\n".to_owned(),
    ];
    let mut sent = 0;
    let check = |node: &Node, sent: i64| {
        every_reader_sees(node, &python, sent, "id");
        every_reader_counts(node, &python, "datasets.orders", "id >= 10 AND id < 40", 30);
        let later = (0..sent).filter(|id| id % 3 > 0).count() as i64;
        every_reader_counts(node, &python, "datasets.orders", "\"at\" >= '2026-11-02T00:00:00+00:00'", later);
    };
    for other in &others {
        let (before, is_first) = (described(&node)["snapshot"].as_i64(), sent == 0);
        let said = if is_first { "created" } else { "configured" };
        assert_eq!(apply(&node, &DATASET.replace(day, other)), format!("dataset/orders {said}\n"));
        let changed = || described(&node)["snapshot"].as_i64().is_some_and(|now| Some(now) != before);
        until("the table has changed", || is_first || changed()).unwrap();
        publish(&node, sent..sent + 40);
        sent += 40;
        check(&node, sent);
    }
    node.kill_and_restart().unwrap();
    // So many snapshots that small files are merged.
    for _ in 0..40 {
        publish(&node, sent..sent + 2);
        sent += 2;
        until("the snapshot", || described(&node)["rows"] == sent).unwrap();
    }
    check(&node, sent);
    assert!(described(&node)["files"].as_i64().unwrap() < 45, "{}", described(&node));
}

/// What clients do to a catalog beside reading and writing: names, properties, transactions that make a table, views.
#[test]
fn clients_manage_tables_and_views_of_their_own() {
    let Some(python) = client("clients of the catalog", PYTHON) else { return };
    let mut node = Node::start(HEADWATER).unwrap();
    apply(&node, DATASET);
    publish(&node, 0..100);
    until("100 rows", || described(&node)["rows"] == 100).unwrap();
    let script = root().join("tests/clients/lake.py");
    let run = |words: &[&str]| output(Command::new(&python).arg(&script).args(words), "").unwrap();
    run(&["manage", &node.http(), "datasets.orders"]);
    node.kill_and_restart().unwrap();
    run(&["kept", &node.http()]);
    every_reader_sees(&node, &python, 100, "id");
}

const LAST: &str = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: prices}
spec:
  stream: prices
  snapshotInterval: 200ms
  snapshots: 5
  key: [sku]
  columns:
    - {name: sku, type: string, path: $key, required: true}
    - {name: id, type: long, required: true}
    - {name: kind, type: string}
  partition:
    - {column: sku, transform: 'bucket[4]'}
---
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: shops}
spec: {}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: shops}
spec:
  table: shops
  snapshotInterval: 200ms
  columns:
    - {name: name, type: string, path: $key, required: true}
    - {name: id, type: long}
";

/// Waits until a table has so many rows with such a sum, and has every reader say so.
fn every_reader_sums(node: &Node, python: &std::path::Path, name: &str, count: i64, sum: i64) {
    let script = root().join("tests/clients/lake.py");
    let table = format!("datasets.{name}");
    let read = || {
        json(&output(Command::new(python).arg(&script).args(["read", &node.http(), &table, "id"]), "").unwrap())
            .unwrap()
    };
    let says = |seen: &Value| seen["count"] == count && seen["sum"] == sum;
    let mut seen = Value::Null;
    until(&format!("{count} rows of {name}"), || {
        let (status, body) = node.get(&format!("/v1/datasets/{name}/table")).unwrap();
        if status != 200 || json(&body).unwrap()["rows"] != count {
            return false;
        }
        // They are asked one after the other, and a commit may come between.
        seen = read();
        ["pyiceberg", "duckdb", "scan", "node"].iter().all(|reader| says(&seen[*reader]))
    })
    .map_err(|error| format!("{error:?}: {seen}"))
    .unwrap();
}

#[test]
fn outside_readers_see_the_last_row_of_each_key() {
    let Some(python) = client("outside readers of datasets with a key", PYTHON) else { return };
    let mut node = Node::start(HEADWATER).unwrap();
    apply(&node, LAST);
    let put = |node: &Node, skus: std::ops::Range<i64>, id: i64| {
        let events: Vec<Value> =
            skus.map(|sku| json!({"sku": format!("s{sku}"), "id": id + sku, "kind": "x"})).collect();
        let (status, body) = node.post("/v1/streams/prices/events?key=.sku", &Value::from(events)).unwrap();
        assert_eq!(status, 200, "{body}");
    };
    let sum = |skus: std::ops::Range<i64>, id: i64| skus.map(|sku| id + sku).sum::<i64>();
    put(&node, 0..100, 0);
    every_reader_sums(&node, &python, "prices", 100, sum(0..100, 0));
    put(&node, 50..120, 1_000);
    every_reader_sums(&node, &python, "prices", 120, sum(0..50, 0) + sum(50..120, 1_000));
    // Keys that change are found in files of the partition before.
    apply(&node, &LAST.replace("bucket[4]", "bucket[3]"));
    put(&node, 0..10, 5_000);
    node.kill_and_restart().unwrap();
    every_reader_sums(&node, &python, "prices", 120, sum(0..10, 5_000) + sum(10..50, 0) + sum(50..120, 1_000));

    for (name, id) in [("a", 1), ("b", 20), ("c", 300), ("b", 4_000)] {
        node.headwater(&["table", "put", "shops", name, &json!({ "id": id }).to_string()], "").unwrap();
    }
    every_reader_sums(&node, &python, "shops", 3, 4_301);
    node.headwater(&["table", "delete", "shops", "c"], "").unwrap();
    every_reader_sums(&node, &python, "shops", 2, 4_001);
}
