//! The states by which clients of PostgreSQL's protocol tell errors apart.

use headwater_base::Limits;

use super::House;
use super::postgres::{Connected, answered, message};

/// In both protocols.
#[test]
fn errors_have_the_states_of_postgresql() {
    let house = House::new(Limits::default());
    house.append(0, 4);
    let connected = Connected::new(&house);
    let state = |error: tokio_postgres::Error| error.as_db_error().unwrap().code().code().to_owned();
    for (statement, expected) in [
        ("SELEC 1", "42601"),
        ("SELECT (1", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT * FROM nowhere.at_all", "42P01"),
        ("SELECT nothing FROM orders", "42703"),
        ("SELECT n FROM orders a JOIN orders b ON a.n = b.n", "42702"),
        ("SELECT nothing_of_the_kind(n) FROM orders", "42883"),
        (r#"SELECT min(value->'n') FROM streams."orders.raw""#, "42883"),
        (r#"SELECT key FROM streams."orders.raw" ORDER BY value->'n' LIMIT 1"#, "42883"),
        ("SELECT kind, n FROM orders GROUP BY kind", "42803"),
        ("SELECT CAST('one' AS int) FROM orders", "22P02"),
        ("SELECT CAST('99999999999' AS int) FROM orders", "22003"),
        ("SELECT CAST('1.5' AS int) FROM orders", "22P02"),
        ("SELECT CAST('12''34' AS int) FROM orders", "22P02"),
        ("SELECT 1 / (n - n) FROM orders", "22012"),
        ("INSERT INTO orders VALUES (1, 'x')", "25006"),
        ("UPDATE orders SET n = 1", "25006"),
        ("DELETE FROM orders", "25006"),
        ("CREATE TABLE t (a int)", "25006"),
        ("DROP TABLE orders", "25006"),
        ("SELECT n INTO kept FROM orders", "25006"),
        ("LISTEN orders", "0A000"),
        ("SET datafusion.execution.batch_size = 1", "0A000"),
        ("FETCH 1 FROM nothing", "34000"),
    ] {
        let told = connected.runtime.block_on(connected.client.simple_query(statement)).err();
        assert_eq!(told.map(state).as_deref(), Some(expected), "{statement}");
        let told = connected.runtime.block_on(connected.client.query(statement, &[])).err();
        assert_eq!(told.map(state).as_deref(), Some(expected), "{statement}, prepared");
    }
    connected.end();
}

/// What drivers do not send.
#[test]
fn what_a_connection_does_not_have_has_a_state_as_well() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    for (messages, code, state, fact) in [
        (vec![message(b'E', b"gone\0\0\0\0\0")], "HW-LAKE-097", "34000", "portal `gone` does not exist"),
        (vec![message(b'E', b"\0\0\0\0\0")], "HW-LAKE-097", "34000", "portal `` does not exist"),
        (
            vec![message(b'B', b"\0gone\0\0\0\0\0\0\0")],
            "HW-LAKE-112",
            "26000",
            "prepared statement `gone` does not exist",
        ),
        (vec![message(b'D', b"Sgone\0")], "HW-LAKE-112", "26000", "prepared statement `gone` does not exist"),
    ] {
        let messages = [messages, vec![message(b'S', b""), message(b'Q', b"SELECT 'still there'\0")]].concat();
        let told = answered(&connected, &messages);
        let told = String::from_utf8_lossy(&told);
        for part in [code, state, fact, "still there"] {
            assert!(told.contains(part), "{part}: {told:?}");
        }
    }
    connected.end();
}

/// What nobody else has in memory for it is not said again either.
#[test]
fn a_long_name_is_not_told_whole() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let long = "gone".repeat(25_000);
    for asked in [
        message(b'B', format!("\0{long}\0\0\0\0\0\0\0").as_bytes()),
        message(b'Q', format!("FETCH 1 FROM {long}\0").as_bytes()),
        message(b'Q', format!("CLOSE {long}\0").as_bytes()),
    ] {
        let told = answered(&connected, &[asked, message(b'S', b"")]);
        let text = String::from_utf8_lossy(&told);
        assert!(text.contains("gonegone") && told.len() < 4_000, "{} bytes: {:?}", told.len(), text.get(..200));
    }
    connected.end();
}

/// Of the extended protocol's parameters, as text.
#[test]
fn a_number_as_text_is_out_of_range_or_none() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    for (kind, value, state) in [
        ("smallint", "32768", "22003"),
        ("int", "2147483648", "22003"),
        ("int", "-2147483649", "22003"),
        ("bigint", "9223372036854775808", "22003"),
        ("bigint", "99999999999999999999999999999999999999999999", "22003"),
        ("bigint", "-99999999999999999999999999999999999999999999", "22003"),
        ("bigint", "12e", "22P02"),
        ("bigint", "", "22P02"),
    ] {
        let parse = message(b'P', format!("\0SELECT CAST($1 AS {kind}) AS it\0\0\0").as_bytes());
        let length = u32::try_from(value.len()).unwrap().to_be_bytes();
        let bind = [b"\0\0\0\0\0\x01".as_slice(), length.as_slice(), value.as_bytes(), b"\0\0".as_slice()].concat();
        let told =
            answered(&connected, &[parse, message(b'B', &bind), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")]);
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains(&format!("C{state}\0")), "{kind} {value}: {told:?}");
    }
    connected.end();
}
