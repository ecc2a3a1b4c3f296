//! Joins, groups and orders by what `->` and `->>` find in documents; what `->` finds has no order.

use super::*;

/// The keys of events, and the events.
const EVENTS: &str = r#"(SELECT value AS v, key AS k FROM streams."orders.raw")"#;

#[test]
fn documents_are_joined_by_what_is_found_in_them() {
    let house = House::new(Limits::default());
    house.append(0, 4);
    let joined = |how: &str, on: &str| {
        house.rows(&format!("SELECT l.k AS a, r.k AS b FROM {EVENTS} l {how} {EVENTS} r ON {on} ORDER BY a, b"))
    };
    let alike = json!([
        ["k0", "k0"],
        ["k0", "k2"],
        ["k1", "k1"],
        ["k1", "k3"],
        ["k2", "k0"],
        ["k2", "k2"],
        ["k3", "k1"],
        ["k3", "k3"]
    ]);
    for arrow in ["->", "->>"] {
        let on = |name: &str| format!("l.v{arrow}'{name}' = r.v{arrow}'{name}'");
        assert_eq!(joined("JOIN", &on("kind")), alike, "{arrow}");
        assert_eq!(joined("JOIN", &on("none")), json!([]), "{arrow}: nothing is not equal to nothing");
        let alone = json!([["k0", null], ["k1", null], ["k2", null], ["k3", null]]);
        assert_eq!(joined("LEFT JOIN", &on("none")), alone, "{arrow}");
    }
}

#[test]
fn groups_by_what_is_found_go_by_its_value() {
    let house = House::new(Limits::default());
    house.append(0, 3);
    for (arrow, deep) in [("->", json!([0])), ("->>", json!("[0]"))] {
        let groups =
            format!("SELECT v{arrow}'kind' AS kind, count(*) AS n FROM {EVENTS} e GROUP BY v{arrow}'kind' ORDER BY n");
        assert_eq!(house.rows(&groups), json!([["odd", 1], ["even", 2]]));
        let distinct = format!("SELECT count(*) AS n FROM (SELECT DISTINCT v{arrow}'kind' AS kind FROM {EVENTS} e) d");
        assert_eq!(house.rows(&distinct), json!([[2]]));
        let first = format!("SELECT v->'of'{arrow}'deep' AS deep FROM {EVENTS} e ORDER BY v->>'n' LIMIT 1");
        assert_eq!(house.rows(&first), json!([[deep]]));
    }
    let distinct = format!("SELECT DISTINCT v->>'kind' AS kind FROM {EVENTS} e ORDER BY kind");
    assert_eq!(house.rows(&distinct), json!([["even"], ["odd"]]));
}

/// Its types would come before its values: 10 before 9.5, and nothing first.
#[test]
fn what_is_found_as_json_is_put_into_no_order() {
    let house = House::new(Limits::default());
    house.append(0, 11);
    for (what, statement, place) in [
        ("min", "SELECT\n min(v->'n') AS n FROM events", Some((2, 6))),
        ("max", "SELECT v->'kind' AS kind, max(v->'n') AS n FROM events GROUP BY v->'kind'", None),
        ("max", "SELECT max(v->'n') OVER (PARTITION BY k) AS n FROM events", None),
        ("min", "SELECT k FROM events GROUP BY k HAVING min(v->'n') IS NOT NULL", None),
        ("min", "SELECT 1 WHERE EXISTS (SELECT min(v->'n') FROM events)", None),
        ("ORDER BY", "SELECT k FROM events ORDER BY\n v->'none' LIMIT 1", Some((2, 2))),
        ("ORDER BY", "SELECT\n v->'n' AS n FROM events ORDER BY n", Some((2, 2))),
        ("ORDER BY", "SELECT DISTINCT v->'kind' AS kind FROM events ORDER BY kind DESC", None),
        ("ORDER BY", "SELECT row_number() OVER (ORDER BY v->'n') AS n FROM events", None),
        ("ORDER BY", "SELECT array_agg(k ORDER BY v->'n') AS k FROM events", None),
        ("ORDER BY", "EXPLAIN SELECT k FROM events ORDER BY v->'n'", None),
    ] {
        let problem = house.problem(&statement.replace("events", &format!("{EVENTS} e")));
        assert_eq!(problem.code, "HW-LAKE-041", "{statement}");
        assert!(problem.title.contains(&format!("JSON has no order, and `{what}` needs one")), "{}", problem.title);
        assert!(problem.help.is_some_and(|help| help.contains("->>")), "{statement}");
        let at = problem.place.map(|place| (place.line, place.column));
        assert!(place.is_none() || at == place, "{statement}: {at:?}");
    }
    let number = "(v->>'n')::double precision";
    let least = format!("SELECT min({number}) AS least, max({number}) AS greatest FROM {EVENTS} e");
    assert_eq!(house.rows(&least), json!([[0.0, 10.0]]));
    let last = format!("SELECT k FROM {EVENTS} e ORDER BY {number} DESC LIMIT 2");
    assert_eq!(house.rows(&last), json!([["k10"], ["k9"]]), "a number comes by its value");
    let cast = format!("SELECT k FROM {EVENTS} e ORDER BY (v->'n')::bigint DESC LIMIT 2");
    assert_eq!(house.rows(&cast), json!([["k10"], ["k9"]]), "what is no JSON any more has an order");
}
