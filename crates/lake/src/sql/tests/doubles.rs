//! Columns of one name, over every border.

use super::postgres::Connected;
use super::*;

/// The columns and rows of a statement over HTTP.
fn told(house: &House, statement: &str) -> (Vec<String>, Value) {
    let text = house.text(statement, Format::Json).unwrap_or_else(|problem| panic!("{statement}: {problem}"));
    let told: Value = serde_json::from_str(&text).unwrap();
    let names = told["columns"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned());
    (names.collect(), told["rows"].clone())
}

#[test]
fn what_is_selected_twice_is_there_twice() {
    let house = House::new(Limits::default());
    house.append(0, 4);
    let connected = Connected::new(&house);
    for (statement, columns, named, rows) in [
        ("SELECT 1, 1", "Int64(1) 1:1", "?column? ?column?", json!([[1, 1]])),
        ("SELECT n, n FROM orders WHERE n = 3", "n n:1", "n n", json!([[3, 3]])),
        ("SELECT n, o.n, orders.n FROM orders AS o, orders WHERE o.n = 3 AND orders.n = 2", "", "", json!(null)),
        ("SELECT o.n, N, \"n\" FROM orders AS o WHERE n = 3", "n n:1 n:2", "n n n", json!([[3, 3, 3]])),
        ("SELECT count(*), count(*) FROM orders", "count(*) count(*):1", "count count", json!([[4, 4]])),
        ("SELECT sum(n), SUM(n) FROM orders", "sum(orders.n) sum(n):1", "sum sum", json!([[6, 6]])),
        (
            "SELECT *, n FROM (SELECT n, kind FROM orders) AS orders WHERE n = 3",
            "n kind n:1",
            "n kind n",
            json!([[3, "odd", 3]]),
        ),
        (
            "SELECT o.*, o.n, kind FROM (SELECT n, kind FROM orders) AS o WHERE n = 3",
            "n kind n:1 kind:1",
            "n kind n kind",
            json!([[3, "odd", 3, "odd"]]),
        ),
        (
            "SELECT *, * FROM (SELECT n, kind FROM orders) AS o WHERE n = 3",
            "n kind n:1 kind:1",
            "n kind n kind",
            json!([[3, "odd", 3, "odd"]]),
        ),
        (
            "SELECT *, *, * FROM (SELECT n FROM orders) AS o ORDER BY n DESC LIMIT 1",
            "n n:1 n:2",
            "n n n",
            json!([[3, 3, 3]]),
        ),
        (
            "SELECT count(*), *, * FROM (SELECT 5 AS five) AS o GROUP BY five",
            "count(*) five five:1",
            "count five five",
            json!([[1, 5, 5]]),
        ),
        (
            "SELECT o.*, n + 1 AS n, *, 7 FROM (SELECT n, kind FROM orders) AS o WHERE o.n = 3",
            "n kind n:1 n:2 kind:1 Int64(7)",
            "n kind n n kind ?column?",
            json!([[3, "odd", 4, 3, "odd", 7]]),
        ),
        (
            "SELECT b.*, *, b.* FROM (SELECT n FROM orders) AS a JOIN (SELECT 3 AS n, 5 AS five) AS b ON a.n = b.n",
            "n five n:1 n:2 five:1 n:3 five:2",
            "n five n n five n five",
            json!([[3, 5, 3, 3, 5, 3, 5]]),
        ),
        (
            "WITH o AS (SELECT n, kind FROM orders) SELECT *, * FROM o JOIN (SELECT max(n) AS n FROM o) AS p USING (n)",
            "n kind n:1 kind:1",
            "n kind n kind",
            json!([[3, "odd", 3, "odd"]]),
        ),
        ("SELECT n, n + 1 AS n FROM orders WHERE orders.n = 3", "n n:1", "n n", json!([[3, 4]])),
        (
            "SELECT *, n + 1 AS n, 'x' AS kind FROM (SELECT n, kind FROM orders) AS o WHERE o.n = 3",
            "n kind n:1 kind:1",
            "n kind n kind",
            json!([[3, "odd", 4, "x"]]),
        ),
        (
            "SELECT kind, kind, count(*) FROM orders GROUP BY kind, 2 ORDER BY kind",
            "kind kind:1 count(*)",
            "kind kind count",
            json!([["even", "even", 2], ["odd", "odd", 2]]),
        ),
        ("SELECT 1, 1 UNION ALL SELECT 2, 2 ORDER BY 1", "Int64(1) 1:1", "?column? ?column?", json!([[1, 1], [2, 2]])),
        (
            "SELECT DISTINCT kind, kind FROM orders ORDER BY kind",
            "kind kind:1",
            "kind kind",
            json!([["even", "even"], ["odd", "odd"]]),
        ),
        (
            "SELECT kind, count(*) AS kind FROM orders GROUP BY kind HAVING max(n) > 1 ORDER BY max(n)",
            "kind kind:1",
            "kind kind",
            json!([["even", 2], ["odd", 2]]),
        ),
        ("SELECT 1 AS a, 2 AS \"a:1\"", "a a:1", "a a:1", json!([[1, 2]])),
        ("SELECT 1 AS Ä, 2 AS ä, 3, 3", "Ä ä Int64(3) 3:1", "Ä ä ?column? ?column?", json!([[1, 2, 3, 3]])),
        (
            "SELECT row_number() OVER (ORDER BY n) AS r, n, n FROM orders ORDER BY n DESC LIMIT 1",
            "r n n:1",
            "r n n",
            json!([[4, 3, 3]]),
        ),
    ] {
        if rows.is_null() {
            // Which of two is meant is nobody's guess.
            assert_eq!(house.problem(statement).code, "HW-LAKE-041", "{statement}");
            continue;
        }
        let words = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(told(&house, statement), (words(columns), rows.clone()), "{statement}");
        let row = connected.runtime.block_on(connected.client.query(statement, &[])).unwrap().remove(0);
        let names: Vec<&str> = row.columns().iter().map(|column| column.name()).collect();
        assert_eq!(names.join(" "), named, "{statement}");
        assert_eq!(connected.rows(statement).unwrap().len(), rows.as_array().unwrap().len(), "{statement}");
    }
    connected.end();
}

/// Where others name columns, nobody is given another one than was meant.
#[test]
fn within_a_statement_columns_of_one_name_say_the_same() {
    let house = House::new(Limits::default());
    house.append(0, 4);
    for (statement, rows) in [
        ("SELECT n FROM (SELECT n, n FROM orders) AS o WHERE n = 3", json!([[3]])),
        ("SELECT n FROM (SELECT *, n FROM orders) AS o WHERE n = 3", json!([[3]])),
        ("SELECT count(*) FROM (SELECT 1, 1 FROM orders) AS o", json!([[4]])),
        (
            "WITH o AS (SELECT kind, kind, n FROM orders) SELECT kind, max(n) FROM o GROUP BY kind ORDER BY 1",
            json!([["even", 2], ["odd", 3]]),
        ),
        ("SELECT count(*) FROM (SELECT * FROM orders a JOIN orders b ON a.n = b.n) AS o", json!([[4]])),
        (
            "SELECT 1, 1, o.n FROM (SELECT b.*, a.n FROM orders a JOIN (SELECT 5 AS five) b ON true) AS o WHERE o.n = 3",
            json!([[1, 1, 3]]),
        ),
    ] {
        assert_eq!(told(&house, statement).1, rows, "{statement}");
    }
    for statement in [
        // In PostgreSQL `k` would be ambiguous.
        "SELECT k FROM (SELECT n AS k, n + 1 AS k FROM orders) AS o",
        "SELECT n AS k, n + 1 AS k FROM orders ORDER BY k",
        "SELECT n AS k, n + 1 AS k FROM orders ORDER BY (k)",
        "SELECT n AS k, n + 1 AS k FROM orders ORDER BY 0 - k",
        "SELECT kind AS k, count(*) AS k FROM orders GROUP BY k",
        "SELECT max(n) AS k, min(n) AS k FROM orders GROUP BY kind HAVING k > 2",
        "SELECT n FROM (SELECT *, n + 1 AS n FROM orders) AS o",
        "SELECT n FROM (SELECT *, * FROM orders) AS o",
        "SELECT *, n + 1 AS n FROM orders ORDER BY n",
        "SELECT n FROM orders a JOIN orders b ON a.n = b.n",
    ] {
        assert_eq!(house.problem(statement).code, "HW-LAKE-041", "{statement}");
    }
}

/// An answer has as many columns as PostgreSQL's have, 1,664, and no more.
#[test]
fn stars_are_spelled_out_up_to_a_bound() {
    let house = House::new(Limits::default());
    house.append(0, 1);
    let stars = |count: usize| format!("SELECT {}* FROM (SELECT n, kind FROM orders) AS o", "*, ".repeat(count - 1));
    assert_eq!(house.rows(&stars(50))[0].as_array().map(Vec::len), Some(100));
    assert_eq!(house.problem(&stars(833)).code, "HW-LAKE-041");
}

/// A cursor, what is explained and what is bound say it as well.
#[test]
fn what_carries_a_statement_takes_columns_of_one_name() {
    let house = House::new(Limits::default());
    house.append(0, 4);
    let connected = Connected::new(&house);
    connected.rows("DECLARE twice CURSOR WITH HOLD FOR SELECT n, n FROM orders ORDER BY n").unwrap();
    assert_eq!(connected.rows("FETCH 1 FROM twice").unwrap(), [["0", "0"]]);
    let bound = "SELECT n, n FROM orders WHERE n = CAST($1 AS bigint)";
    let row = connected.runtime.block_on(connected.client.query_one(bound, &[&2_i64])).unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (2, 2));
    for how in ["", "VERBOSE ", "ANALYZE ", "FORMAT TREE "] {
        let explained = format!("EXPLAIN {how}SELECT n, n FROM orders");
        let plan = house.text(&explained, Format::Csv).unwrap();
        let simple = connected.rows(&explained).unwrap();
        let prepared = connected.runtime.block_on(connected.client.query(&explained, &[])).unwrap();
        let prepared: Vec<Vec<String>> = prepared.iter().map(|row| vec![row.get(0), row.get(1)]).collect();
        for rows in [simple, prepared] {
            let says = rows.iter().any(|row| row[1].contains("n:1"));
            assert_eq!((rows.is_empty(), says), (false, plan.contains("n:1")), "{explained}: {rows:?}");
        }
    }
    for twice in ["EXPLAIN SELECT n, n FROM orders", "EXPLAIN SELECT *, * FROM orders"] {
        assert!(house.text(twice, Format::Csv).unwrap().contains("n:1"), "{twice}");
    }
    for (refused, state) in
        [("EXPLAIN SELECT nothing FROM orders", "42703"), ("EXPLAIN SELECT n INTO k FROM orders", "25006")]
    {
        let error = connected.runtime.block_on(connected.client.simple_query(refused)).err().unwrap();
        assert_eq!(error.as_db_error().unwrap().code().code(), state, "{refused}");
    }
    let joined = "SELECT * FROM (SELECT a.n, b.n, a.kind FROM orders a JOIN orders b ON a.n = b.n WHERE a.n = 1) AS o";
    let row = connected.runtime.block_on(connected.client.query_one(joined, &[])).unwrap();
    assert_eq!(row.columns().iter().map(|it| it.name()).collect::<Vec<_>>(), ["n", "n", "kind"]);
    connected.end();
}
