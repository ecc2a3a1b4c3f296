//! Files that others write, as events of a stream: NDJSON and Parquet, at once and with the next run, each row once.

use std::path::Path;
use std::process::Command;

use e2e::{Node, client, json, output, until};
use serde_json::json;

use super::HEADWATER;

/// Orders of these numbers as a Parquet file, which DuckDB writes.
fn parquet(python: &Path, file: &Path, from: u32, to: u32) {
    let statement = format!(
        "COPY (SELECT n AS id, TIMESTAMP '2026-01-01' + to_seconds(n) AS at, CAST(n * 0.01 AS DECIMAL(12, 2)) AS amount, \
         struct_pack(name := 'n' || n) AS who FROM range({from}, {to}) t(n)) TO '{}' (FORMAT parquet)",
        file.display()
    );
    output(Command::new(python).args(["-c", "import duckdb, sys; duckdb.sql(sys.argv[1])", &statement]), "").unwrap();
}

/// Clicks of these numbers as lines of JSON.
fn ndjson(file: &Path, from: u32, to: u32) {
    let line = |n: u32| format!("{}\n", json!({"id": n, "who": {"name": format!("n{n}")}, "tags": ["a", "b"]}));
    std::fs::write(file, (from..to).map(line).collect::<String>()).unwrap();
}

/// Applies an ingest of `external.NAME` to a stream of that name.
fn ingest(node: &Node, name: &str, watermark: &str, schedule: &str) {
    let text = format!(
        "apiVersion: headwater.dev/v1\nkind: Ingest\nmetadata: {{name: {name}}}\nspec:\n  from: external.{name}\n  \
         stream: {name}\n  schedule: {schedule}\n  watermark: {{column: {watermark}}}\n  key: [id]\n"
    );
    node.headwater(&["apply", "-f", "-"], &text).unwrap();
}

fn says(node: &Node, name: &str, words: &str) {
    let described = || node.headwater(&["describe", &format!("ingest/{name}")], "").unwrap();
    until(&format!("{words} of {name}"), || described().contains(words)).unwrap();
}

#[test]
fn rows_of_files_become_events_once_and_those_of_later_files_with_the_next_run() {
    let Some(python) = client("rows_of_files_become_events_once", "lake/bin/python") else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    parquet(&python, &at("orders-1.parquet"), 1, 1_001);
    ndjson(&at("clicks-1.ndjson"), 1, 1_001);
    let mut node = Node::start(HEADWATER).unwrap();
    let kinds = [("orders", "parquet", "at"), ("clicks", "ndjson", "id")];
    for (name, ending, watermark) in kinds {
        let path = at(&format!("{name}-*.{ending}")).display().to_string();
        let table = json!({"apiVersion": "headwater.dev/v1", "kind": "ExternalTable", "metadata": {"name": name},
            "spec": {"path": path}});
        node.headwater(&["apply", "-f", "-"], &table.to_string()).unwrap();
        ingest(&node, name, watermark, "rate(1 day)");
    }
    for (name, ..) in kinds {
        says(&node, name, "1000 rows in 1 runs");
    }

    // What was the newest row is read again, and written no second time, by whoever comes after a kill.
    node.kill_and_restart().unwrap();
    parquet(&python, &at("orders-2.parquet"), 1_001, 1_501);
    ndjson(&at("clicks-2.ndjson"), 1_001, 1_501);
    let soon = output(Command::new("date").args(["-u", "-d", "1 second", "+%Y-%m-%dT%H:%M:%S"]), "").unwrap();
    for (name, _, watermark) in kinds {
        ingest(&node, name, watermark, &format!("at({})", soon.trim()));
    }
    for (name, ..) in kinds {
        says(&node, name, "1500 rows in 2 runs");
        let counted = format!("SELECT count(*) AS n, count(DISTINCT key) AS keys FROM streams.{name}");
        let counted = json(&node.headwater(&["sql", "-o", "ndjson", &counted], "").unwrap()).unwrap();
        assert_eq!(counted, json!({"n": 1_500, "keys": 1_500}), "{name}");
    }
    let csv = |statement: &str| node.headwater(&["sql", "-o", "csv", statement], "").unwrap();
    assert_eq!(
        csv("SELECT sum(CAST(value->>'amount' AS decimal(12,2))) AS total FROM streams.orders"),
        "total\n11257.50\n"
    );
    for (name, more, tag) in [("orders", "value->>'amount'", "12.34"), ("clicks", "value->'tags'->>1", "b")] {
        let one =
            format!("SELECT value->'who'->>'name' AS name, {more} AS more FROM streams.{name} WHERE key = '1234'");
        assert_eq!(csv(&one), format!("name,more\nn1234,{tag}\n"));
    }
}
