//! Tables of a real PostgreSQL server: in statements, and as events of a stream.

use std::process::{Command, Stdio};

use e2e::postgres::{PASSWORD, Postgres};
use e2e::{Node, json, until};
use serde_json::json;

use super::HEADWATER;

/// A table with a column of every type, whose rows have usual values, the outermost ones, and none.
const TYPES: &str = r#"
CREATE TYPE mood AS ENUM ('calm', 'loud');
CREATE DOMAIN percent AS numeric(5, 2);
CREATE TABLE "Types" (
    n int PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, price numeric(12, 2), wide numeric(38, 10),
    free numeric, t text, v varchar(20), c char(4), u uuid, j json, jb jsonb, d date, ts timestamp, tz timestamptz,
    raw bytea, m mood, p percent, a int[], span interval, ip inet
);
INSERT INTO "Types" VALUES
    (1, true, 7, 70000, 7000000000, 0.5, 0.1, 12.34, 1234567890123456789012345678.0123456789, 1.5, 'a "b", ü', 'v', 'ab',
     'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": 1}', '{"b":  [2]}', '2024-02-29', '2026-01-02 03:04:05.678901',
     '2026-01-02 03:04:05.678901+02', '\x00ff', 'calm', 99.5, '{1,2,NULL}', '1 day 02:00', '10.0.0.1'),
    (2, false, -32768, -2147483648, -9223372036854775808, -1.25, -1e300, -9999999999.99, -0.0000000001,
     -123456789012345678901234567890123456789012345.5, '', '', '', '00000000-0000-0000-0000-000000000000', '[]', 'null',
     '0001-01-01', '0001-01-01', '9999-12-31 23:59:59.999999Z', '', 'loud', -0.01, '{}', '-1 year', '::1'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL),
    (4, true, 0, 0, 0, 0, 0, 0.00, 0, 0, 'o''k\', 'x', 'abcd', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '1', '1',
     '1999-12-31', '1999-12-31 23:59:59.999999', '2000-01-01Z', '\x0a', 'calm', 0, '{}', '0', '0.0.0.0/0');
"#;

/// What applies a table of the server as `external.NAME`, with the password in a file.
fn resource(node: &Node, postgres: &Postgres, name: &str, more: &serde_json::Value) -> String {
    let secret = node.data().join("../password");
    if !secret.exists() {
        std::fs::write(&secret, PASSWORD).unwrap();
        std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let secret = json!({"apiVersion": "headwater.dev/v1", "kind": "Secret", "metadata": {"name": "shop"},
            "spec": {"from": {"file": secret.canonicalize().unwrap().display().to_string()}}});
        node.headwater(&["apply", "-f", "-"], &secret.to_string()).unwrap();
    }
    let mut spec = json!({"host": "127.0.0.1", "port": postgres.port(), "database": "postgres", "user": "postgres",
        "password": {"secret": "shop"}, "table": name});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let name = name.to_lowercase();
    let table = json!({"apiVersion": "headwater.dev/v1", "kind": "ExternalTable", "metadata": {"name": name},
        "spec": {"postgres": spec}});
    node.headwater(&["apply", "-f", "-"], &table.to_string()).unwrap()
}

fn csv(node: &Node, statement: &str) -> String {
    node.headwater(&["sql", "-o", "csv", statement], "").unwrap()
}

/// What a statement is refused with.
fn refusal(node: &Node, statement: &str) -> String {
    let refused = node.run(&["sql", statement]).unwrap();
    assert!(!refused.status.success());
    String::from_utf8(refused.stderr).unwrap()
}

#[test]
fn every_type_comes_as_it_is() {
    let Some(postgres) = Postgres::start("every_type_comes_as_it_is", false).unwrap() else { return };
    postgres.psql(TYPES).unwrap();
    let node = Node::start(HEADWATER).unwrap();
    resource(&node, &postgres, "Types", &json!({}));
    // Each column as text, made of it by the server and by the node alike.
    let same = [
        "n", "b", "i2", "i4", "i8", "free", "t", "v", "u", "j", "jb", "m", "p", "a", "span", "ip", "price", "wide", "d",
    ];
    let list = same.map(|column| format!("{column}::text AS as_{column}")).join(", ");
    let there = postgres.psql(&format!("COPY (SELECT {list} FROM \"Types\" ORDER BY n) TO STDOUT WITH CSV")).unwrap();
    let here = csv(&node, &format!("SELECT {list} FROM external.types ORDER BY n"));
    let here = here.split_once('\n').unwrap().1;
    // A text without characters is in quotes there.
    assert_eq!(here.replace("\"\"", ""), there.replace("\"\"", ""));
    assert_eq!(csv(&node, "SELECT n FROM external.types WHERE t = ''"), "n\n2\n");
    // What both write in their own ways: as numbers that are exact.
    let there = postgres
        .psql("SELECT (extract(epoch FROM ts) * 1000000)::bigint, (extract(epoch FROM tz) * 1000000)::bigint, encode(raw, 'hex'), f4::text, f8::text, length(c), octet_length(c) FROM \"Types\" ORDER BY n")
        .unwrap();
    let here = csv(
        &node,
        "SELECT arrow_cast(ts, 'Int64'), arrow_cast(tz, 'Int64'), encode(raw, 'hex'), f4, f8, length(rtrim(c)), octet_length(c) FROM external.types ORDER BY n",
    );
    let rows = |text: &str, between: char| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split(between).map(str::to_owned).collect()).collect()
    };
    let (there, here) = (rows(&there, '|'), rows(here.split_once('\n').unwrap().1, ','));
    for (there, here) in there.iter().zip(&here) {
        for (at, (there, here)) in there.iter().zip(here).enumerate() {
            match (at, there.parse::<f64>(), here.parse::<f64>()) {
                (3 | 4, Ok(there), Ok(here)) => assert_eq!(there, here),
                _ => assert_eq!(there, here, "column {at}"),
            }
        }
    }
    assert_eq!(here.len(), 4);
}

#[test]
fn a_table_is_joined_and_the_server_does_what_it_can() {
    let Some(postgres) = Postgres::start("a_table_is_joined_and_the_server_does_what_it_can", false).unwrap() else {
        return;
    };
    postgres
        .psql(
            "CREATE TABLE customers (id int PRIMARY KEY, name text, country char(2), since date);
             INSERT INTO customers SELECT n, 'c' || n, CASE n % 2 WHEN 0 THEN 'CH' ELSE 'IN' END, '2020-01-01'::date + n
             FROM generate_series(1, 20000) n;
             CREATE TABLE odd (n int, at timestamp); INSERT INTO odd VALUES (1, 'infinity'), (2, '2026-01-01');
             CREATE ROLE nobody LOGIN PASSWORD 'other';
             CREATE VIEW slow AS SELECT 1 AS n, (SELECT 'x'::text FROM pg_sleep(600)) AS slept;",
        )
        .unwrap();
    let node = Node::start(HEADWATER).unwrap();
    for name in ["customers", "odd", "slow"] {
        resource(&node, &postgres, name, &json!({}));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countries.csv");
    std::fs::write(&file, "code,country\nCH,Switzerland\nIN,India\n").unwrap();
    let more = format!(
        "apiVersion: headwater.dev/v1\nkind: ExternalTable\nmetadata: {{name: countries}}\nspec: {{path: {}}}\n---\n\
         apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {{name: orders}}\nspec: {{}}\n---\n\
         apiVersion: headwater.dev/v1\nkind: Dataset\nmetadata: {{name: orders}}\nspec:\n  stream: orders\n  columns: [{{name: customer, type: int}}]\n",
        file.display()
    );
    node.headwater(&["apply", "-f", "-"], &more).unwrap();
    let orders: String = (1..=100).map(|n| format!("{}\n", json!({"customer": n}))).collect();
    node.headwater(&["produce", "orders"], &orders).unwrap();
    let join = "SELECT k.country, count(*) AS orders FROM orders o JOIN external.customers c ON c.id = o.customer \
                JOIN external.countries k ON k.code = c.country GROUP BY 1 ORDER BY 1";
    assert_eq!(csv(&node, join), "country,orders\nIndia,50\nSwitzerland,50\n");
    assert_eq!(
        csv(&node, "SELECT count(*) AS n, count(DISTINCT name) AS names FROM external.customers"),
        "n,names\n20000,20000\n"
    );

    // What the server is asked.
    let explained = |statement: &str| {
        let plan = csv(&node, &format!("EXPLAIN {statement}")).replace("\"\"", "\"");
        let from = plan.find("statement=").unwrap_or_else(|| panic!("{plan}"));
        plan[from + 10..].lines().next().unwrap().trim_end_matches('"').to_owned()
    };
    assert_eq!(
        explained("SELECT name FROM external.customers WHERE id > 5 AND since >= DATE '2024-01-01' LIMIT 3"),
        "SELECT \"name\" FROM \"public\".\"customers\" WHERE (\"id\" > 5) AND (\"since\" >= '2024-01-01'::date) LIMIT 3"
    );
    let text = explained("SELECT id FROM external.customers WHERE name = 'c7' AND upper(country) = 'CH' LIMIT 3");
    assert_eq!(text, "SELECT \"id\", \"name\", \"country\" FROM \"public\".\"customers\" WHERE (\"name\" = 'c7')");
    assert_eq!(csv(&node, "SELECT id FROM external.customers WHERE name = 'c7'"), "id\n7\n");
    assert_eq!(csv(&node, "SELECT id FROM external.customers WHERE since = '2020-01-08'"), "id\n7\n");

    // What goes wrong has a code, and never a password.
    assert!(refusal(&node, "SELECT * FROM external.odd").contains("HW-LAKE-059"));
    assert_eq!(csv(&node, "SELECT n FROM external.odd WHERE at < '2100-01-01'"), "n\n2\n");
    postgres.psql("DROP TABLE odd").unwrap();
    assert!(refusal(&node, "SELECT n FROM external.odd").contains("HW-LAKE-058"));
    for (more, code) in [
        (json!({"user": "nobody"}), "HW-LAKE-057"),
        (json!({"user": "nobody", "password": null}), "HW-LAKE-057"),
        (json!({"database": "absent"}), "HW-LAKE-057"),
        (json!({"port": 1}), "HW-LAKE-056"),
        (json!({"tls": "verify"}), "HW-LAKE-056"),
    ] {
        resource(&node, &postgres, "customers", &more);
        let said = refusal(&node, "SELECT * FROM external.customers");
        assert!(said.contains(code) && !said.contains(PASSWORD), "{more}: {said}");
    }

    // Whoever leaves ends the query at the server.
    let asked = json!({"query": "SELECT count(slept) FROM external.slow"}).to_string();
    let address = format!("{}/v1/sql", node.http());
    let mut client = Command::new("curl")
        .args(["-s", "-X", "POST", &address, "-H", "content-type: application/json", "-d", &asked])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let active = || {
        let about = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headwater' AND state = 'active'";
        postgres.psql(about).unwrap().trim().to_owned()
    };
    until("the server works", || active() == "1").unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    until("the server rests", || active() == "0").unwrap();
}

#[test]
fn a_server_s_certificate_is_looked_at() {
    let Some(postgres) = Postgres::start("a_server_s_certificate_is_looked_at", true).unwrap() else { return };
    postgres.psql("CREATE TABLE t AS SELECT 7 AS n").unwrap();
    let node = Node::start(HEADWATER).unwrap();
    let authority = postgres.authority().display().to_string();
    resource(&node, &postgres, "t", &json!({"host": "localhost", "tls": "verify", "authorities": authority}));
    assert_eq!(csv(&node, "SELECT n FROM external.t"), "n\n7\n");
    for unknown in [
        json!({"host": "localhost", "tls": "verify"}),
        json!({"host": "127.0.0.1", "tls": "verify", "authorities": authority}),
    ] {
        resource(&node, &postgres, "t", &unknown);
        let said = refusal(&node, "SELECT n FROM external.t");
        assert!(said.contains("HW-LAKE-056") && said.contains("certificate"), "{unknown}: {said}");
    }
}

#[test]
fn rows_become_events_once_whenever_the_node_dies() {
    let Some(postgres) = Postgres::start("rows_become_events_once_whenever_the_node_dies", false).unwrap() else {
        return;
    };
    postgres
        .psql(
            "CREATE TABLE orders (id int PRIMARY KEY, amount numeric(12, 2), at timestamptz);
             INSERT INTO orders SELECT n, n / 100.0, '2026-01-01Z'::timestamptz + (n / 1000) * interval '1 second'
             FROM generate_series(1, 60000) n;
             CREATE TABLE rates (code text PRIMARY KEY, rate numeric(8, 4)); INSERT INTO rates VALUES ('CHF', 0.93), ('INR', 0.0112);",
        )
        .unwrap();
    let mut node = Node::start(HEADWATER).unwrap();
    for name in ["orders", "rates"] {
        resource(&node, &postgres, name, &json!({}));
    }
    let ingest = |name: &str, more: &str| {
        let text = format!(
            "apiVersion: headwater.dev/v1\nkind: Ingest\nmetadata: {{name: {name}}}\nspec:\n  from: external.{name}\n  stream: {name}\n  {more}\n"
        );
        node.headwater(&["apply", "-f", "-"], &text).unwrap();
    };
    ingest("orders", "schedule: rate(1 minute)\n  watermark: {column: at}\n  key: [id]");
    let rates = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: rates}\nspec: {cleanup: compact}\n";
    node.headwater(&["apply", "-f", "-"], rates).unwrap();
    ingest("rates", "schedule: rate(1 day)\n  key: [code]");
    let counted = "SELECT count(*) AS n, count(DISTINCT key) AS keys, sum(CAST(value->>'amount' AS decimal(12,2))) AS total FROM streams.orders";
    let count = |node: &Node| json(&node.headwater(&["sql", "-o", "ndjson", counted], "").unwrap()).unwrap();
    // Killed in the middle of the load, several times.
    for part in [1, 10_000, 30_000] {
        until("some rows are there", || count(&node)["n"].as_i64().unwrap() >= part).unwrap();
        node.kill_and_restart().unwrap();
    }
    until("all rows are there", || count(&node)["n"].as_i64().unwrap() >= 60_000).unwrap();
    assert_eq!(count(&node), json!({"n": 60_000, "keys": 60_000, "total": 18_000_300.0}));
    let rates = "SELECT key, CAST(value->>'rate' AS decimal(8,4)) AS rate FROM streams.rates ORDER BY key";
    until("the rates are there", || csv(&node, rates) == "key,rate\nCHF,0.9300\nINR,0.0112\n").unwrap();
    let described = || node.headwater(&["describe", "ingest/orders"], "").unwrap();
    until("the run is over", || described().contains("60000 rows in 1 runs")).unwrap();
    assert!(described().contains("the next one is due at"), "{}", described());
}
