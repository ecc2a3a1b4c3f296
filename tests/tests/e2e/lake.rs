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
