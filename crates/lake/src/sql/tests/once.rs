//! Statements that say the same twice.

use super::*;

/// In how many places of its plan a statement reads what is computed once.
fn places(house: &House, statement: &str) -> usize {
    house.text(&format!("EXPLAIN FORMAT INDENT {statement}"), Format::Csv).unwrap().matches("OnceExec").count()
}

#[test]
fn an_aggregate_that_is_there_twice_is_computed_once() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    let sums = "WITH sums AS (SELECT kind, sum(n) AS s FROM orders GROUP BY kind)";
    for (rest, rows) in [
        ("SELECT kind, s FROM sums WHERE s = (SELECT max(s) FROM sums)", json!([["odd", 25]])),
        (
            "SELECT a.kind, a.s + b.s FROM sums a JOIN sums b ON a.kind = b.kind ORDER BY 1",
            json!([["even", 40], ["odd", 50]]),
        ),
        (
            "SELECT kind, s FROM sums UNION ALL SELECT kind, s FROM sums ORDER BY 1",
            json!([["even", 20], ["even", 20], ["odd", 25], ["odd", 25]]),
        ),
    ] {
        let statement = format!("{sums} {rest}");
        assert_eq!(places(&house, &statement), 2, "{statement}");
        assert_eq!(house.rows(&statement), rows, "{statement}");
    }
}

/// What stands within an aggregate that is read is not there a second time.
#[test]
fn an_aggregate_within_another_is_computed_once_with_those_beside_it() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    let with =
        "WITH sums AS (SELECT kind, sum(n) AS s FROM orders GROUP BY kind), top AS (SELECT max(s) AS m FROM sums)";
    for (rest, times, rows) in [
        ("SELECT b.m + c.m FROM top b CROSS JOIN top c", 2, json!([[50]])),
        // Beside `top` as well, and in both places of that.
        (
            "SELECT a.kind, a.s, b.m + c.m FROM sums a CROSS JOIN top b CROSS JOIN top c ORDER BY 1",
            5,
            json!([["even", 20, 50], ["odd", 25, 50]]),
        ),
    ] {
        let statement = format!("{with} {rest}");
        assert_eq!(places(&house, &statement), times, "{statement}");
        assert_eq!(house.rows(&statement), rows, "{statement}");
    }
}

#[test]
fn what_may_be_another_the_next_time_is_computed_where_it_stands() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    let twice = "SELECT count(*) FROM sums a JOIN sums b ON a.kind = b.kind WHERE";
    for statement in [
        format!("WITH sums AS (SELECT kind, sum(n + random()) AS s FROM orders GROUP BY kind) {twice} a.s < b.s + 100"),
        format!(
            "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3),
            sums AS (SELECT kind, sum(n) AS s FROM orders GROUP BY kind) {twice} a.s + (SELECT max(n) FROM t) < b.s + 9"
        ),
    ] {
        assert_eq!(places(&house, &statement), 0, "{statement}");
        assert_eq!(house.rows(&statement), json!([[2]]), "{statement}");
    }
}
