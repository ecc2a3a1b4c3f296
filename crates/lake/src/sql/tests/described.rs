//! What clients of PostgreSQL's protocol are told of the columns of an answer.

use headwater_base::Limits;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::House;
use super::postgres::Connected;

/// The names of a statement's columns, in both protocols.
fn named(connected: &Connected, statement: &str) -> Vec<String> {
    connected.runtime.block_on(async {
        let prepared = connected.client.prepare(statement).await.unwrap();
        let names: Vec<String> = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
        let told = connected.client.simple_query(statement).await.unwrap();
        let row = told.into_iter().find_map(|one| match one {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let simple: Vec<String> = row.unwrap().columns().iter().map(|column| column.name().to_owned()).collect();
        assert_eq!(simple, names, "{statement}");
        names
    })
}

#[test]
fn columns_without_a_name_are_called_as_postgresql_calls_them() {
    let house = House::new(Limits::default());
    house.append(0, 12);
    let connected = Connected::new(&house);
    for (statement, names) in [
        ("SELECT count(*), count(n), 1, '1'::int, max(n) AS most FROM orders", "count count ?column? int4 most"),
        ("SELECT CASE WHEN n > 1 THEN 2 END, * FROM (SELECT n, kind FROM orders) AS o LIMIT 1", "case n kind"),
        ("SELECT a.\"Sum\" FROM (SELECT sum(n) AS \"Sum\" FROM orders) AS a", "Sum"),
        ("SELECT max(n) FROM orders UNION ALL SELECT 1", "max"),
    ] {
        assert_eq!(named(&connected, statement).join(" "), names, "{statement}");
    }
    // Within a statement they have no other names than before.
    let within = "SELECT \"count(*)\" FROM (SELECT count(*) FROM orders)";
    assert_eq!(connected.rows(within).unwrap(), [["12"]]);
    connected.rows("DECLARE counted CURSOR WITH HOLD FOR SELECT count(*), 1 FROM orders").unwrap();
    let fetched = connected.runtime.block_on(connected.client.simple_query("FETCH ALL FROM counted")).unwrap();
    let names = fetched.iter().find_map(|one| match one {
        SimpleQueryMessage::Row(row) => Some(row.columns().iter().map(|it| it.name().to_owned()).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(names.unwrap(), ["count", "?column?"]);
    connected.end();
}

#[test]
fn structs_and_maps_are_sent_as_json() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    for (value, json) in [
        ("named_struct('a', 1, 'b', 'x\"y')", r#"{"a":1,"b":"x\"y"}"#),
        ("map(make_array('a'), make_array(1.5))", r#"{"a":1.5}"#),
        ("make_array(named_struct('a', make_array(1, 2)))", r#"[{"a":[1,2]}]"#),
    ] {
        let statement = format!("SELECT {value} AS it");
        assert_eq!(connected.rows(&statement).unwrap(), [[json]], "{value}");
        let prepared = connected.runtime.block_on(connected.client.prepare(&statement)).unwrap();
        assert_eq!(prepared.columns()[0].type_(), &Type::JSON, "{value}");
    }
    let none = "SELECT CASE WHEN value > 1 THEN named_struct('a', value) END AS it FROM generate_series(1, 2)";
    assert_eq!(connected.rows(none).unwrap(), [["NULL"], [r#"{"a":2}"#]]);
    connected.end();
}
