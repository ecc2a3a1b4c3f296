//! Joins, groups and orders by what `->` and `->>` find in documents.

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
fn groups_and_orders_by_what_is_found_go_by_its_value() {
    let house = House::new(Limits::default());
    house.append(0, 3);
    for (arrow, deep) in [("->", json!([0])), ("->>", json!("[0]"))] {
        let groups =
            format!("SELECT v{arrow}'kind' AS kind, count(*) AS n FROM {EVENTS} e GROUP BY v{arrow}'kind' ORDER BY n");
        assert_eq!(house.rows(&groups), json!([["odd", 1], ["even", 2]]));
        let distinct = format!("SELECT DISTINCT v{arrow}'kind' AS kind FROM {EVENTS} e ORDER BY kind");
        assert_eq!(house.rows(&distinct), json!([["even"], ["odd"]]));
        let first = format!("SELECT v->'of'{arrow}'deep' AS deep FROM {EVENTS} e ORDER BY v{arrow}'n' LIMIT 1");
        assert_eq!(house.rows(&first), json!([[deep]]));
    }
}
