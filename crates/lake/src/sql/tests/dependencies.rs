//! What a subquery groups by is unique in it, and nothing else: statements over subqueries against the same statements over
//! the subqueries' rows, written out.

use super::views::view;
use super::*;

/// Relations in which `g` is unique.
const UNIQUE: [&str; 4] = [
    "SELECT n AS g FROM orders GROUP BY n",
    "SELECT DISTINCT n AS g FROM slow",
    r#"SELECT CAST(value->>'n' AS bigint) AS g FROM streams."orders.raw" GROUP BY 1"#,
    "SELECT a.n AS g FROM orders a JOIN slow b ON a.n = b.n GROUP BY a.n",
];

/// What is computed of it, and is not.
const COMPUTED: [&str; 2] = ["g % 3", "0"];

/// Relations of `x` and `k` in which the engine is wrong about one of them in other ways.
const OTHERS: [&str; 6] = [
    "SELECT n % 3 AS x, n AS k FROM orders GROUP BY n",
    "SELECT n % 3 AS x, row_number() OVER (ORDER BY n) AS k FROM orders",
    "SELECT g AS x, unnest(make_array(g, g + 1, g)) AS k FROM (SELECT n % 3 AS g FROM orders GROUP BY 1) AS s",
    "SELECT a.n AS x, b.n % 3 AS k FROM (SELECT n, count(*) AS c FROM orders GROUP BY n) a
        JOIN slow b ON a.n % 2 = b.n % 2 GROUP BY a.n, b.n % 3",
    "SELECT DISTINCT ON (g) g % 3 AS x, g AS k FROM (SELECT n AS g FROM orders GROUP BY n) AS s ORDER BY g",
    "SELECT * FROM shop.remainders",
];

/// What is asked of a relation of `x` and `k`.
const ASKED: [&str; 13] = [
    "SELECT DISTINCT x FROM ({}) AS r ORDER BY x",
    "SELECT DISTINCT k FROM ({}) AS r ORDER BY k",
    "SELECT DISTINCT x + 1 AS y FROM ({}) AS r ORDER BY y",
    "SELECT DISTINCT x, k FROM ({}) AS r ORDER BY k, x",
    "SELECT x, count(*) FROM ({}) AS r GROUP BY x ORDER BY x",
    "SELECT x, k, count(*) FROM ({}) AS r GROUP BY x, k ORDER BY x, k",
    "SELECT count(DISTINCT x), count(DISTINCT k) FROM ({}) AS r",
    "SELECT x, k FROM ({}) AS r ORDER BY x, k DESC",
    "SELECT x, k, sum(k) OVER (ORDER BY x) AS total FROM ({}) AS r ORDER BY x, k",
    "SELECT a.x, count(*) FROM ({}) AS a JOIN ({}) AS b ON a.x = b.x GROUP BY a.x ORDER BY a.x",
    "SELECT DISTINCT a.k FROM ({}) AS a JOIN ({}) AS b ON a.k % 2 = b.k % 2 ORDER BY a.k",
    "WITH r AS ({}) SELECT x, max(k) FROM r GROUP BY x ORDER BY x",
    "SELECT a.x, (SELECT max(b.k) FROM ({}) AS b WHERE b.x = a.x) AS most
        FROM (SELECT DISTINCT x FROM ({}) AS r) AS a ORDER BY a.x",
];

fn relations() -> Vec<String> {
    let mut all: Vec<String> = OTHERS.map(str::to_owned).into();
    for unique in UNIQUE {
        for computed in COMPUTED {
            all.push(format!("SELECT {computed} AS x, g AS k FROM ({unique}) AS s"));
            all.push(format!("SELECT g AS k, {computed} AS x FROM ({unique}) AS s"));
        }
    }
    all
}

/// The rows of a relation, of which nothing is known.
fn written(house: &House, relation: &str) -> String {
    let rows = house.rows(&format!("SELECT x, k FROM ({relation}) AS r"));
    let rows = rows.as_array().unwrap().iter().map(|row| format!("({}, {})", row[0], row[1]));
    format!("SELECT * FROM (VALUES {}) AS v(x, k)", rows.collect::<Vec<_>>().join(", "))
}

#[test]
fn nothing_is_unique_but_what_is_grouped_by() {
    let house = House::new(Limits::default());
    house.append(0, 12);
    let remainders = "SELECT n % 3 AS x, n AS k FROM datasets.orders GROUP BY n";
    house.shop(&[view("remainders", &[], &[("ansi", remainders)])]);
    for relation in relations() {
        let written = written(&house, &relation);
        for asked in ASKED {
            let (statement, expected) = (asked.replace("{}", &relation), asked.replace("{}", &written));
            assert_eq!(house.rows(&statement), house.rows(&expected), "{statement}");
        }
    }
}

/// The sums of a window over groups: rows that are equal in what it is ordered by have one.
#[test]
fn what_is_grouped_by_behind_a_join_is_not_unique_by_a_part_of_it() {
    let house = House::new(Limits::default());
    house.append(0, 12);
    let running = "SELECT a.n, b.n % 3, sum(count(*)) OVER (ORDER BY a.n) FROM (SELECT n FROM orders GROUP BY n) a
        JOIN slow b ON a.n % 2 = b.n % 2 GROUP BY a.n, b.n % 3 ORDER BY 1, 2";
    let expected: Value = (0..12).flat_map(|n| (0..3).map(move |rest| json!([n, rest, (n + 1) * 6]))).collect();
    assert_eq!(house.rows(running), expected);
}

/// A window has brought the rows into the order of their number already.
#[test]
fn rows_with_as_many_others_are_in_the_order_that_is_asked_for() {
    let house = House::new(Limits::default());
    house.append(0, 200);
    let totals =
        "SELECT count(*) AS c, n % 50 AS k, sum(count(*)) OVER (ORDER BY count(*)) FROM orders GROUP BY n % 50";
    let expected: Value = (0..50).map(|k| json!([4, k, 200])).collect();
    assert_eq!(house.rows(&format!("{totals} ORDER BY c, k")), expected);
    let first = house.rows(&format!("{totals} ORDER BY c, k DESC LIMIT 3"));
    assert_eq!(first, json!([[4, 49, 200], [4, 48, 200], [4, 47, 200]]));
}

/// Each has an order of its own, which the join does not need.
#[test]
fn what_is_made_with_distinct_on_is_joined() {
    let house = House::new(Limits::default());
    house.append(0, 100);
    let of = |order: &str| {
        format!("(SELECT DISTINCT ON (n % 10) n % 10 AS k, n AS m FROM orders ORDER BY n % 10, n {order})")
    };
    let joined = format!("SELECT a.k, a.m, b.m FROM {} a JOIN {} b ON a.k = b.k ORDER BY 1", of(""), of("DESC"));
    let expected: Value = (0..10).map(|k| json!([k, k, 90 + k])).collect();
    assert_eq!(house.rows(&joined), expected);
    let computed = format!("SELECT count(*) FROM {} a JOIN {} b ON a.m % 2 = b.m % 2", of(""), of("DESC"));
    assert_eq!(house.rows(&computed), json!([[50]]));
}
