//! SQL as its users ask it: the command line, psql, drivers.

use std::process::Command;

use e2e::{Node, client, json, note_skip, output, root};
use serde_json::json;

use super::HEADWATER;

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
";

/// A node with the orders `0..1000` and a table of their two kinds.
fn node() -> Node {
    let node = Node::start(HEADWATER).unwrap();
    node.headwater(&["apply", "-f", "-"], RESOURCES).unwrap();
    let orders: String = (0..1_000)
        .map(|n| {
            format!("{}\n", json!({"n": n, "kind": if n % 2 == 0 { "even" } else { "odd" }, "id": format!("k{n}")}))
        })
        .collect();
    node.headwater(&["produce", "orders.raw", "--key", ".id"], &orders).unwrap();
    for (kind, name) in [("even", "Gerade"), ("odd", "Ungerade")] {
        node.headwater(&["table", "put", "kinds", kind], &json!({ "name": name }).to_string()).unwrap();
    }
    node
}

const JOIN: &str = r#"
    SELECT k.value->>'name' AS name, count(*) AS orders, sum(CAST(o.value->>'n' AS bigint)) AS total
    FROM streams."orders.raw" o JOIN tables.kinds k ON k.key = o.value->>'kind'
    GROUP BY 1 ORDER BY 1"#;

#[test]
fn a_stream_and_a_table_are_joined_on_the_command_line() {
    let node = node();
    assert_eq!(
        node.headwater(&["sql", JOIN], "").unwrap(),
        "name       orders   total\nGerade     500      249500\nUngerade   500      250000\n"
    );
    assert_eq!(
        node.headwater(&["sql", "-o", "csv"], JOIN).unwrap(),
        "name,orders,total\nGerade,500,249500\nUngerade,500,250000\n"
    );
    let first = node.headwater(&["sql", "-n", "1", "-o", "ndjson", JOIN], "").unwrap();
    assert_eq!(json(&first).unwrap(), json!({"name": "Gerade", "orders": 500, "total": 249_500}));
    for explain in ["EXPLAIN", "EXPLAIN ANALYZE"] {
        let plan = node.headwater(&["sql", &format!("{explain} {JOIN}")], "").unwrap();
        assert!(plan.lines().any(|line| line.trim_start().starts_with("HashJoinExec")), "{plan}");
    }
    let (status, said) = node.post("/v1/sql", &json!({"query": "SELECT (1 +\n 2"})).unwrap();
    let said = json(&said).unwrap();
    assert_eq!((status, &said["code"]), (400, &json!("HW-LAKE-040")), "{said}");
    let (_, relations) = node.get("/v1/sql/relations").unwrap();
    assert!(relations.contains(r#""name":"kinds""#), "{relations}");
}

#[test]
fn psql_lists_and_asks() {
    if Command::new("psql").arg("--version").output().is_err() {
        return note_skip("psql_lists_and_asks", "psql is not there; `cargo xtask test` installs it");
    }
    let node = node();
    let psql = |words: &[&str]| {
        let port = node.postgres().to_string();
        let place = ["-X", "-h", "127.0.0.1", "-p", &port, "-U", "me", "-d", "headwater", "-v", "ON_ERROR_STOP=1"];
        output(Command::new("psql").args(place).args(words), "").unwrap()
    };
    assert_eq!(psql(&["-A", "-t", "-c", JOIN]), "Gerade|500|249500\nUngerade|500|250000\n");
    let listed = psql(&["-c", r"\d streams.*"]);
    assert!(listed.contains("orders.raw") && listed.contains("bigint"), "{listed}");
    let listed = psql(&["-c", r"\dt tables.*"]);
    assert!(listed.contains("kinds"), "{listed}");
    // Of what PostgreSQL has another type for, that; of structs and maps JSON; of what it has none for, text.
    for (value, shown) in [
        ("make_array(make_array(1, 2), make_array(3))", "[[1, 2], [3]]"),
        ("arrow_cast(make_array(1, 2), 'LargeList(Int64)')", "{1,2}"),
        ("arrow_cast(make_array(1, 2), 'FixedSizeList(2, Int64)')", "{1,2}"),
        ("arrow_cast(make_array(make_array(1)), 'LargeList(List(Int64))')", "[[1]]"),
        ("map(make_array('a'), make_array(1))", r#"{"a":1}"#),
        ("map(make_array(1), make_array('a'))", "{1: a}"),
        ("named_struct('x', make_array(make_array(1)), 'y', CAST(NULL AS text))", r#"{"x":[[1]],"y":null}"#),
        ("make_array(named_struct('x', 'a'))", r#"[{"x":"a"}]"#),
        ("arrow_cast(1.5, 'Float16')", "1.5"),
        ("arrow_cast(arrow_cast('ab', 'Binary'), 'FixedSizeBinary(2)')", "\\x6162"),
        ("arrow_cast(1, 'Decimal256(40, 2)')", "1.00"),
        ("CAST('12345678901234567890123456789012345678' AS decimal(38, 0))", "12345678901234567890123456789012345678"),
        ("NULL", ""),
    ] {
        assert_eq!(psql(&["-A", "-t", "-c", &format!("SELECT {value} AS it")]), format!("{shown}\n"), "{value}");
    }
}

#[test]
fn drivers_ask_prepare_and_are_told_why_not() {
    let Some(python) = client("drivers_ask_prepare_and_are_told_why_not", "lake/bin/python") else { return };
    let node = node();
    let script = root().join("tests/clients/sql.py");
    let said = output(Command::new(python).arg(script).args([&node.postgres().to_string(), &node.http()]), "").unwrap();
    let said: Vec<_> = said.lines().map(|line| json(line).unwrap()).collect();
    assert_eq!(said[0]["count"], 1_000, "{said:?}");
    assert_eq!(said[0]["sum"], 499_500);
    assert_eq!(said[0]["rows"], 1_000);
    assert!(said[0]["one"][0].as_str().is_some_and(|key| key.starts_with('k')), "{said:?}");
    assert_eq!((&said[0]["subqueries"], &said[0]["bound"]), (&json!([1, 1]), &json!("57014")));
    let wide = "-1234567890123456789012345678901234567.5";
    assert_eq!(said[0]["decimals"], json!([wide, wide]), "as text and in binary");
    assert_eq!(said[0]["states"], json!(["42601", "42703", "25006", "25006"]));
    assert_eq!((&said[1]["count"], &said[1]["sum"]), (&json!(1_000), &json!(499_500)));
    assert_eq!(said[1]["counts"], json!([1_000, 1_001]), "a prepared statement sees what came after it");
    assert_eq!(said[1]["keys"].as_array().map(Vec::len), Some(3));
    assert!(said[1]["names"].to_string().contains("orders.raw"), "{said:?}");
}

#[test]
fn users_of_postgres_are_under_row_policies() {
    let Some(python) = client("users_of_postgres_are_under_row_policies", "lake/bin/python") else { return };
    let node = node();
    let policy = "\
apiVersion: headwater.dev/v1
kind: RowPolicy
metadata: {name: even}
spec: {principals: [asha], relations: ['streams.\"orders.raw\"'], filter: value->>'kind' = 'even'}
";
    node.headwater(&["apply", "-f", "-"], policy).unwrap();
    let script = root().join("tests/clients/policies.py");
    let said = output(Command::new(python).arg(script).arg(node.postgres().to_string()), "").unwrap();
    let (all, some) = (json!([1_000, "odd", "admin"]), json!([500, "even", "asha"]));
    assert_eq!(
        json(&said).unwrap(),
        json!({
            "seen": {"admin": [all, all, all], "asha": [some, some, some], "admin again": [all, all, all]},
            "hidden": ["done", "42P01"], "still": [500, "asha"],
            "become": ["done", "done", "done", "done"],
            "engine": ["0A000", "0A000", "0A000", "done", "done", "done"], "hour": 0,
            "listed": [["streams", "orders.raw"]],
        })
    );
}

/// Tables that a client of the catalog wrote, asked here: TPC-H's joins, subqueries and exact decimals.
fn tpch_is_answered_as_by_duckdb(test: &str, scale: &str, orders: u64, lines: u64) {
    let Some(python) = client(test, "lake/bin/python") else { return };
    let node = Node::start(HEADWATER).unwrap();
    let script = root().join("tests/clients/tpch.py");
    let words = ["check", &node.http(), scale, &node.postgres().to_string()];
    let said = json(&output(Command::new(&python).arg(script).args(words), "").unwrap()).unwrap();
    assert_eq!(said, json!({"lineitem": lines, "queries": 22, "wrong": {}}));
    let (status, told) =
        node.post("/v1/sql", &json!({"query": "SELECT count(*), min(o_orderkey) FROM tpch.orders"})).unwrap();
    assert_eq!((status, &json(&told).unwrap()["rows"]), (200, &json!([[orders, 1]])));
}

#[test]
fn the_answers_to_tpch_are_those_of_duckdb() {
    tpch_is_answered_as_by_duckdb("the_answers_to_tpch_are_those_of_duckdb", "0.01", 15_000, 60_175);
}

/// At the smaller scale six of the eight tables are one batch of rows each; here it is three.
#[test]
fn the_answers_to_ten_times_as_much_of_tpch_are_those_of_duckdb() {
    tpch_is_answered_as_by_duckdb(
        "the_answers_to_ten_times_as_much_of_tpch_are_those_of_duckdb",
        "0.1",
        150_000,
        600_572,
    );
}

#[test]
fn jdbc_lists_prepares_and_reads_in_portions() {
    let Some(driver) = client("jdbc_lists_prepares_and_reads_in_portions", "jdbc") else { return };
    let node = node();
    let latest = "\
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: latest}
spec:
  stream: orders.raw
  key: [kind, id]
  columns:
    - {name: n, type: long}
    - {name: id, type: string, required: true}
    - {name: kind, type: string, required: true}
";
    node.headwater(&["apply", "-f", "-"], latest).unwrap();
    let path = format!("{}/*", driver.display());
    let source = root().join("tests/clients/jdbc/Ask.java");
    let words = [&node.postgres().to_string(), &node.http()];
    let said = output(Command::new("java").args(["-cp", &path]).arg(source).args(words), "").unwrap();
    assert_eq!(
        json(&said).unwrap(),
        json!({
            "about": {
                "schemas": ["streams", "tables"],
                "columns": ["partition", "offset", "time", "key", "value"],
                "kinds": ["int4", "int8", "timestamptz", "text", "text"],
                "types": ["bool", "int8", "text", "timestamptz"],
                "keys": [], "primary": ["kind", "id"], "primaries": ["latest_pkey", "latest_pkey"], "indexes": [], "imported": [], "exported": [],
            },
            "series": [1_001, 1_001, 1_001],
            "tables": ["kinds"], "counts": [1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_001], "rows": 1_001,
            "values": "1234567890.25 7 true x null 2026-11-29", "state": "42703",
        })
    );
}
