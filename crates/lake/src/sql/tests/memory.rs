//! What does not fit into the memory of queries: what goes to files, and what is refused.

use headwater_base::Limits;
use headwater_kernel::port::Sql as _;
use headwater_kernel::port::sql::{Format, Question};
use serde_json::json;

use super::House;

/// Whoever asks for a column in two orders gets both, from however many threads.
#[test]
fn lists_are_in_the_order_that_was_asked_for() {
    let house = House::new(Limits::default());
    let both = "array_agg(n ORDER BY n DESC), array_agg(n ORDER BY n), array_agg(n ORDER BY m), array_agg(DISTINCT n ORDER BY n)";
    let values = "(SELECT value % 2 AS kind, value AS n, 10 - value AS m FROM generate_series(1, 5))";
    assert_eq!(
        house.rows(&format!("SELECT kind, {both} FROM {values} GROUP BY 1 ORDER BY 1")),
        json!([[0, [4, 2], [2, 4], [4, 2], [2, 4]], [1, [5, 3, 1], [1, 3, 5], [5, 3, 1], [1, 3, 5]]])
    );
    let all = json!([[[5, 4, 3, 2, 1], [1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [1, 2, 3, 4, 5]]]);
    assert_eq!(house.rows(&format!("SELECT {both} FROM {values}")), all);
    // Of values that come in an order already, and in its reverse.
    for order in ["n", "n DESC"] {
        assert_eq!(house.rows(&format!("SELECT {both} FROM (SELECT * FROM {values} ORDER BY {order} LIMIT 5)")), all);
    }
    let running =
        "SELECT array_agg(n) OVER (ORDER BY n DESC) FROM (SELECT * FROM {values} ORDER BY n LIMIT 5) ORDER BY n";
    assert_eq!(
        house.rows(&running.replace("{values}", values)),
        json!([[[5, 4, 3, 2, 1]], [[5, 4, 3, 2]], [[5, 4, 3]], [[5, 4]], [[5]]])
    );
}

/// Whatever the strings lie in, and however the list is made.
#[test]
fn one_list_without_groups_is_held_to_the_memory_of_queries_while_others_are_answered() {
    let limits = Limits { sql_memory_bytes: 8 << 20, sql_spill_bytes: 1 << 20, ..Limits::default() };
    let house = House::new(limits);
    let question = |text: &str| Question { text: text.to_owned(), ..Question::default() };
    for kind in ["Utf8", "Utf8View"] {
        let values = format!(
            "(SELECT arrow_cast(repeat(CAST(value AS text), 100), '{kind}') AS v FROM generate_series(1, 200000))"
        );
        for list in ["array_agg(v)", "array_agg(DISTINCT v)", "array_agg(v ORDER BY v)", "string_agg(v, ',')"] {
            let statement = format!("SELECT {list} FROM {values}");
            let others = async {
                for _ in 0..5 {
                    house.engine.ask(question("SELECT 1")).await.map(drop).unwrap();
                }
            };
            let large = house.engine.ask(question(&statement));
            let (large, ()) = house.runtime.block_on(async { tokio::join!(large, others) });
            let problem = large.map(drop).expect_err(&statement);
            assert_eq!(problem.code, "HW-LAKE-043", "{list} of {kind}: {problem}");
        }
    }
    drop(house);
    let house = House::new(Limits::default());
    assert_eq!(
        house.rows("SELECT array_agg(value ORDER BY value DESC) FROM generate_series(1, 3)"),
        json!([[[3, 2, 1]]])
    );
    let text = "SELECT string_agg(CAST(value AS text), '+' ORDER BY value) FROM generate_series(1, 3)";
    assert_eq!(house.rows(text), json!([["1+2+3"]]));
    let groups = "SELECT value % 2, array_agg(value ORDER BY value) FROM generate_series(1, 4) GROUP BY 1 ORDER BY 1";
    assert_eq!(house.rows(groups), json!([[0, [2, 4]], [1, [1, 3]]]));
    let plain = "SELECT cardinality(array_agg(value)), cardinality(array_agg(DISTINCT value % 5)) FROM generate_series(1, 1000)";
    assert_eq!(house.rows(plain), json!([[1_000, 5]]));
}

/// Whoever sorts, groups or joins gets the whole answer, as long as there may be files.
#[test]
fn what_is_sorted_grouped_and_joined_beyond_the_memory_goes_to_files() {
    let limits = Limits { sql_memory_bytes: 24 << 20, ..Limits::default() };
    let numbers = "generate_series(1, 1000000)";
    let sorted = format!(
        "SELECT count(*), sum(n) FROM (
             SELECT value AS n, row_number() OVER (ORDER BY value * 7919 % 1000003) AS place FROM {numbers}
         ) WHERE place % 1000 = 0"
    );
    let mut values: Vec<i64> = (1..=1_000_000).collect();
    values.sort_by_key(|value| value * 7_919 % 1_000_003);
    let sum: i64 = values.iter().skip(999).step_by(1_000).sum();
    // A million numbers in 500,009 groups, 18 of which have one of them and the others two.
    let grouped = format!(
        "SELECT count(*), sum(c), max(c) FROM (
             SELECT value * 7919 % 500009 AS k, count(*) AS c FROM {numbers} GROUP BY 1
         )"
    );
    let joined = format!("SELECT count(*) FROM {} JOIN {} USING (t)", texts("a", 1), texts("b", 0));
    let cases = [
        (&sorted, "SortExec", json!([[1_000, sum]])),
        (&grouped, "AggregateExec", json!([[500_009, 1_000_000, 2]])),
        (&joined, "GraceJoinExec", json!([[100_000]])),
    ];
    let house = House::new(limits.clone());
    for (statement, operator, rows) in cases {
        assert_eq!(house.rows(statement), rows, "{statement}");
        let plan = house.text(&format!("EXPLAIN ANALYZE {statement}"), Format::Csv).unwrap();
        let mut steps = plan.lines().filter(|line| line.trim_start().starts_with(operator));
        let wrote = |line: &str| line.contains("spill_count=") && !line.contains("spill_count=0,");
        assert!(steps.any(wrote), "no {operator} has written files: {plan}");
    }
    drop(house);
    let house = House::new(Limits { sql_spill_bytes: 0, ..limits });
    for statement in [&sorted, &grouped, &joined] {
        assert_eq!(house.problem(statement).code, "HW-LAKE-043", "{statement}");
    }
}

/// Numbers from `first` to 100,000, each with a text of its own: more than the memory that these tests leave for queries.
pub(super) fn texts(name: &str, first: u32) -> String {
    format!("(SELECT value AS n, repeat(CAST(value AS text), 80) AS t FROM generate_series({first}, 100000)) {name}")
}

/// What is on one side only is found there, and nowhere else, whatever the bucket.
#[test]
fn joins_of_every_kind_go_to_files() {
    let house = House::new(Limits { sql_memory_bytes: 24 << 20, ..Limits::default() });
    let (a, b) = (texts("a", 1), texts("b", 1));
    // 50,001 to 150,000.
    let b = format!("(SELECT n + 50000 AS n, repeat(CAST(n + 50000 AS text), 80) AS t FROM {b}) b");
    for (statement, row) in [
        (format!("SELECT count(*), count(b.t) FROM {a} LEFT JOIN {b} ON a.t = b.t"), json!([100_000, 50_000])),
        (format!("SELECT count(*), count(a.t) FROM {a} RIGHT JOIN {b} ON a.t = b.t"), json!([100_000, 50_000])),
        (
            format!("SELECT count(*), count(a.t), count(b.t) FROM {a} FULL JOIN {b} ON a.t = b.t"),
            json!([150_000, 100_000, 100_000]),
        ),
        (format!("SELECT count(*) FROM {a} JOIN {b} ON a.t = b.t AND a.n + b.n > 150000"), json!([25_000])),
        (
            format!("SELECT count(*), count(b.t) FROM {a} LEFT JOIN {b} ON a.t = b.t AND a.n + b.n > 150000"),
            json!([100_000, 25_000]),
        ),
        (format!("SELECT count(*), min(n) FROM {a} WHERE t IN (SELECT t FROM {b})"), json!([50_000, 50_001])),
        (
            format!("SELECT count(*), max(n) FROM {a} WHERE NOT EXISTS (SELECT 1 FROM {b} WHERE a.t = b.t)"),
            json!([50_000, 50_000]),
        ),
        (format!("SELECT a.n FROM {a} JOIN {b} USING (t) ORDER BY a.n LIMIT 1 OFFSET 9"), json!([50_010])),
    ] {
        assert_eq!(house.rows(&statement), json!([row]), "{statement}");
    }
    let small = "SELECT count(*) FROM generate_series(1, 9) a JOIN generate_series(5, 20) b USING (value)";
    assert_eq!(house.rows(small), json!([[5]]));
    let plan = house.text(&format!("EXPLAIN ANALYZE {small}"), Format::Csv).unwrap();
    assert!(plan.contains("HashJoinExec") && !plan.contains("GraceJoinExec"), "what fits needs no files: {plan}");
    // Whether there is a null decides over all rows of the other side.
    let nulls = format!("SELECT count(*) FROM {a} WHERE nullif(t, '') NOT IN (SELECT nullif(t, '') FROM {b})");
    assert_eq!(house.problem(&nulls).code, "HW-LAKE-043");
}

/// A constant, which is made when the statement is planned, or for rows.
#[test]
fn what_a_function_makes_of_little_is_held_to_the_memory_of_queries() {
    let house = House::new(Limits::default());
    house.append(0, 10);
    let long = "repeat(kind, 100000)";
    for large in [
        "repeat('x', 1000000000)".to_owned(),
        "repeat(kind, 1000000000)".to_owned(),
        // It would stand in each row of a batch.
        "concat(repeat('x', 1000000), kind)".to_owned(),
        "lpad('x', 2000000000)".to_owned(),
        "lpad(kind, 2000000000)".to_owned(),
        "rpad(kind, 2000000000, '.')".to_owned(),
        "array_repeat(n, 1000000000000)".to_owned(),
        "array_repeat(1, 1000000000)".to_owned(),
        "array_resize(make_array(n), 1000000000)".to_owned(),
        "range(1, 10000000000)".to_owned(),
        "generate_series(n, 10000000000, 2)".to_owned(),
        "range(TIMESTAMP '2020-01-01', TIMESTAMP '2030-01-01', INTERVAL '1 microsecond')".to_owned(),
        format!("replace({long}, 'd', {long})"),
        format!("regexp_replace({long}, 'd', {long}, 'g')"),
        format!("array_to_string(range(1, 100000), {long})"),
    ] {
        let problem = house.problem(&format!("SELECT {large} AS large FROM orders"));
        assert_eq!(problem.code, "HW-LAKE-043", "{large}: {problem}");
    }
    // A list of numbers is there once.
    assert_eq!(
        house.rows("SELECT sum(n) FROM (SELECT unnest(generate_series(1, 100000)) AS n)"),
        json!([[5_000_050_000_i64]])
    );
    let small =
        "SELECT lpad('x', 3, '.'), repeat('ab', 2), replace('aba', 'a', 'cc'), array_repeat('a', 2), range(1, 4),
        array_to_string(make_array(1, 2), '-'), regexp_replace('abc', 'b', 'x'), array_resize(make_array(1), 2, 0),
        list_repeat(1, 2), cardinality(range(DATE '2026-01-01', DATE '2026-02-01', INTERVAL '1 day'))";
    assert_eq!(
        house.rows(small),
        json!([["..x", "abab", "ccbcc", ["a", "a"], [1, 2, 3], "1-2", "axc", [1, 0], [1, 1], 31]])
    );
}
