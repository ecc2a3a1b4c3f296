//! What clients of PostgreSQL's protocol are told of the columns of an answer.

use headwater_base::Limits;
use headwater_kernel::port::Catalog as _;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::postgres::Connected;
use super::views::view;
use super::{House, ORDERS};

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

/// A statement reads what is there when it is carried out, in the columns that its client was told.
#[test]
fn a_prepared_statement_keeps_its_columns_or_is_refused() {
    let house = House::new(Limits::default());
    let one = |sql: &str| view("one", &[], &[("ansi", sql)]);
    house.shop(&[one("SELECT 1 AS a, 'x' AS b")]);
    let connected = Connected::new(&house);
    let prepared = connected.runtime.block_on(connected.client.prepare("SELECT * FROM shop.one")).unwrap();
    let catalog = &house.engine.0.sources.catalog;
    let again = |sql: &str| {
        house.runtime.block_on(async {
            catalog.drop_view("shop", "one").await.unwrap();
            catalog.create_view("shop", one(sql)).await.unwrap();
        });
        connected.runtime.block_on(connected.client.query_one(&prepared, &[]))
    };
    let row = again("SELECT 2 AS a, 'y' AS b").unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (2, "y"));
    for changed in ["SELECT 'one' AS a, 'x' AS b", "SELECT 1 AS a", "SELECT 1 AS a, 'x' AS b, 2 AS c"] {
        let error = again(changed).err().unwrap();
        let told = error.as_db_error().unwrap();
        let words = "cached plan must not change result type";
        assert_eq!((told.code().code(), told.message()), ("0A000", words), "{changed}");
    }
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
    house.append(7, 8);
    let found = format!("SELECT value->'kind' AS k, value->'of' AS o, value->'none' AS x FROM {ORDERS}");
    assert_eq!(connected.rows(&found).unwrap(), [["\"odd\"", r#"{"deep":[7]}"#, "NULL"]]);
    connected.end();
}

/// As tools ask for them; the same types as those of an answer.
#[test]
fn the_types_of_columns_have_the_words_of_the_standard() {
    let house = House::new(Limits::default());
    let columns = [
        ("true", "boolean bool NULL NULL NULL NULL"),
        ("arrow_cast(1, 'Int16')", "smallint int2 16 2 0 NULL"),
        ("arrow_cast(1, 'UInt16')", "integer int4 32 2 0 NULL"),
        ("1", "bigint int8 64 2 0 NULL"),
        ("arrow_cast(1, 'UInt64')", "numeric numeric NULL 10 NULL NULL"),
        ("CAST(1 AS real)", "real float4 24 2 NULL NULL"),
        ("CAST(1 AS double precision)", "double precision float8 53 2 NULL NULL"),
        ("CAST(1 AS decimal(10, 2))", "numeric numeric 10 10 2 NULL"),
        ("arrow_cast(1, 'Decimal256(50, 4)')", "numeric numeric 50 10 4 NULL"),
        ("'x'", "text text NULL NULL NULL NULL"),
        ("arrow_cast('x', 'Utf8View')", "text text NULL NULL NULL NULL"),
        ("arrow_cast('x', 'Binary')", "bytea bytea NULL NULL NULL NULL"),
        ("CAST('2026-11-29' AS date)", "date date NULL NULL NULL 0"),
        ("CAST('12:00:00' AS time)", "time without time zone time NULL NULL NULL 6"),
        ("arrow_cast(0, 'Timestamp(Microsecond, None)')", "timestamp without time zone timestamp NULL NULL NULL 6"),
        (
            r#"arrow_cast(0, 'Timestamp(Microsecond, Some("+00:00"))')"#,
            "timestamp with time zone timestamptz NULL NULL NULL 6",
        ),
        ("INTERVAL '1 day'", "interval interval NULL NULL NULL 6"),
        ("make_array(1)", "ARRAY _int8 NULL NULL NULL NULL"),
        ("named_struct('a', 1)", "json json NULL NULL NULL NULL"),
    ];
    let selected: Vec<String> =
        columns.iter().enumerate().map(|(at, (value, _))| format!("{value} AS c{at}")).collect();
    house.shop(&[view("types", &[], &[("ansi", &format!("SELECT {}", selected.join(", ")))])]);
    let connected = Connected::new(&house);
    let asked = "SELECT data_type, udt_name, numeric_precision, numeric_precision_radix, numeric_scale,
        datetime_precision FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 'types'
        ORDER BY ordinal_position";
    let told: Vec<String> = connected.rows(asked).unwrap().into_iter().map(|row| row.join(" ")).collect();
    assert_eq!(told, columns.map(|(_, words)| words.to_owned()));
    let own = "SELECT column_name, ordinal_position, data_type, character_octet_length
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'orders' ORDER BY 2";
    let text = ["kind", "2", "text", "1073741824"];
    assert_eq!(connected.rows(own).unwrap(), [["n", "1", "integer", "NULL"], text]);
    connected.end();
}
