//! Rows that clients fetch later: cursors, and portals of the extended protocol.

use headwater_base::{Limits, Principal};
use headwater_kernel::port::Sql as _;

use super::House;
use super::postgres::{Connected, answered, message};
use super::queries::{listed, none};

const SORTED: &str = "SELECT value FROM generate_series(1, 1000000) ORDER BY value % 7, value";

fn rows(values: &[i64]) -> Result<Vec<Vec<String>>, String> {
    Ok(values.iter().map(|value| vec![value.to_string()]).collect())
}

/// Its turn is the only one that there is.
#[test]
fn a_cursor_holds_its_turn_until_it_ends() {
    let house = House::new(Limits { sql_queries: 1, ..Limits::default() });
    let client = Connected::new(&house);
    assert_eq!(client.rows("BEGIN"), rows(&[]));
    assert_eq!(client.rows(&format!("DECLARE sorted CURSOR FOR {SORTED}")), rows(&[]));
    assert_eq!(client.rows("FETCH 2 FROM sorted"), rows(&[7, 14]));
    assert_eq!(client.rows("FETCH NEXT FROM sorted"), rows(&[21]));
    let one = client.runtime.block_on(listed(&house));
    assert!(one.text.starts_with("DECLARE sorted"), "{}", one.text);
    assert!(one.memory_bytes.is_some_and(|bytes| bytes > 0), "what is sorted is counted for it");
    house.engine.cancel(one.id, &Principal::default()).unwrap();
    client.runtime.block_on(none(&house));
    assert_eq!(client.rows("FETCH 2 FROM sorted").unwrap_err(), "the query was cancelled by `admin`");
    assert_eq!(client.rows("ROLLBACK"), rows(&[]));
    assert_eq!(client.rows("FETCH 2 FROM sorted").unwrap_err(), "cursor `sorted` does not exist");
    assert_eq!(client.rows("SELECT 1"), rows(&[1]));
    client.end();
}

#[test]
fn a_cursor_that_nobody_fetches_from_ends_at_its_time() {
    let house = House::new(Limits { sql_queries: 1, sql_seconds: 3, ..Limits::default() });
    let client = Connected::new(&house);
    assert_eq!(client.rows(&format!("DECLARE sorted CURSOR FOR {SORTED}")), rows(&[]));
    client.runtime.block_on(none(&house));
    assert!(client.rows("FETCH ALL FROM sorted").unwrap_err().starts_with("the query was ended after 3 s"));
    assert_eq!(client.rows("SELECT 1"), rows(&[1]));
    client.end();
}

#[test]
fn rows_are_fetched_as_they_are_asked_for() {
    let house = House::new(Limits::default());
    let client = Connected::new(&house);
    let begun = "BEGIN; DECLARE five CURSOR FOR SELECT value FROM generate_series(1, 5); FETCH 2 FROM five";
    assert_eq!(client.rows(begun), rows(&[1, 2]));
    // No room is made for as many as are named.
    assert_eq!(client.rows("FETCH 1 FROM five; FETCH 9000000000000000000 FROM five"), rows(&[3, 4, 5]));
    assert_eq!(client.rows("FETCH NEXT FROM five; CLOSE five"), rows(&[]));
    client.runtime.block_on(none(&house));
    assert_eq!(client.rows("CLOSE five").unwrap_err(), "cursor `five` does not exist");
    assert_eq!(client.rows("ROLLBACK"), rows(&[]));
    client.end();
}

#[test]
fn a_cursor_ends_with_its_transaction_unless_it_is_held() {
    let house = House::new(Limits::default());
    let client = Connected::new(&house);
    let declared = "DECLARE one CURSOR FOR SELECT 1; DECLARE two CURSOR WITH HOLD FOR SELECT 2";
    assert_eq!(client.rows(&format!("BEGIN; {declared}")), rows(&[]));
    assert_eq!(client.rows("COMMIT"), rows(&[]));
    assert_eq!(client.rows("FETCH NEXT FROM one").unwrap_err(), "cursor `one` does not exist");
    assert_eq!(client.rows("FETCH NEXT FROM two"), rows(&[2]));
    let again = client.rows("DECLARE two CURSOR FOR SELECT 2").unwrap_err();
    assert_eq!(again, "cursor `two` already exists");
    assert_eq!(client.rows("CLOSE ALL"), rows(&[]));
    client.runtime.block_on(none(&house));
    client.end();
}

#[test]
fn a_connection_has_so_many_open_and_no_more() {
    let house = House::new(Limits::default());
    let mut connected = Connected::new(&house);
    let many: Vec<String> = (0..65).map(|n| format!("DECLARE c{n} CURSOR FOR SELECT {n}")).collect();
    let refused = connected.rows(&many.join("; ")).unwrap_err();
    assert_eq!(refused, "the connection has 64 cursors open, which is the limit");
    assert_eq!(connected.rows("CLOSE ALL"), rows(&[]));
    let Connected { runtime, client, .. } = &mut connected;
    runtime.block_on(async {
        let transaction = client.transaction().await.unwrap();
        let statement = transaction.prepare(SORTED).await.unwrap();
        let mut portals = Vec::new();
        for _ in 0..64 {
            portals.push(transaction.bind(&statement, &[]).await.unwrap());
        }
        let refused = transaction.bind(&statement, &[]).await.err().unwrap();
        let told = refused.as_db_error().unwrap();
        assert_eq!(
            (told.code().code(), told.message()),
            ("53400", "the connection has 64 portals open, which is the limit")
        );
        transaction.rollback().await.unwrap();
        drop(portals);
        // As many rows as a client can name, and portals end with their transaction.
        let transaction = client.transaction().await.unwrap();
        let portal = transaction.bind("SELECT value FROM generate_series(1, 3)", &[]).await.unwrap();
        assert_eq!(transaction.query_portal(&portal, i32::MAX).await.unwrap().len(), 3);
        let sorted = transaction.bind(SORTED, &[]).await.unwrap();
        assert_eq!(transaction.query_portal(&sorted, 2).await.unwrap().len(), 2);
        listed(&house).await;
        transaction.commit().await.unwrap();
        none(&house).await;
    });
    connected.end();
}

/// In the words of the protocol and in SQL's; a portal without a name is made from a statement as well.
#[test]
fn a_statement_that_is_closed_closes_its_portals() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let named = |kind: u8, name: &str| message(kind, format!("S{name}\0").as_bytes());
    let parse = |name: &str, number: i32| {
        message(b'P', format!("{name}\0SELECT value FROM generate_series({number}, {number})\0\0\0").as_bytes())
    };
    let bind = |portal: &str, name: &str| message(b'B', format!("{portal}\0{name}\0\0\0\0\0\0\0").as_bytes());
    let execute = |portal: &str| message(b'E', format!("{portal}\0\0\0\0\0").as_bytes());
    let sync = message(b'S', b"");
    let open = [
        message(b'Q', b"BEGIN\0"),
        parse("one", 11_111),
        parse("two", 22_222),
        bind("first", "one"),
        bind("", "one"),
        bind("second", "two"),
    ];
    let ends = [named(b'C', "one"), message(b'Q', b"DEALLOCATE one\0")];
    for (ended, portal, is_there) in [
        (None, "first", true),
        (None, "", true),
        (Some(&ends[0]), "first", false),
        (Some(&ends[0]), "", false),
        (Some(&ends[1]), "first", false),
        (Some(&ends[0]), "second", true),
        (Some(&ends[1]), "second", true),
    ] {
        let all = open.iter().chain(ended).cloned().chain([execute(portal), sync.clone()]).collect::<Vec<_>>();
        let told = answered(&connected, &all);
        let told = String::from_utf8_lossy(&told);
        let has_row = told.contains("11111") || told.contains("22222");
        assert_eq!((has_row, told.contains("34000")), (is_there, !is_there), "{ended:?} `{portal}`: {told:?}");
    }
    connected.end();
}
