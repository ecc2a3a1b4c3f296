//! What clients of PostgreSQL's protocol ask and end.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures::StreamExt as _;
use headwater_base::{Limits, Principal};
use headwater_kernel::port::catalog::TableChange;
use headwater_kernel::port::sql::{RunningQuery, Via};
use headwater_kernel::port::{Catalog as _, Sql as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::queries::{ENDLESS, listed, none};
use super::views::view;
use super::{House, ORDERS};
use crate::sql::postgres::serve;

/// A client of a house's engine.
pub(super) struct Connected {
    pub(super) runtime: Runtime,
    pub(super) client: Client,
    pub(super) port: u16,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl Connected {
    pub(super) fn new(house: &House) -> Self {
        let runtime = Runtime::new().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (client, served, port) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let served = tokio::spawn(serve(listener, house.engine.clone(), stopped));
            let place = format!("host=127.0.0.1 port={port} user=asha dbname=headwater");
            let (client, connection) = tokio_postgres::connect(&place, NoTls).await.unwrap();
            tokio::spawn(connection);
            (client, served, port)
        });
        Self { runtime, client, port, stop, served }
    }

    /// The rows of a statement, or what the client is told instead.
    pub(super) fn rows(&self, statement: &str) -> Result<Vec<Vec<String>>, String> {
        let told = self.runtime.block_on(self.client.simple_query(statement));
        let told =
            told.map_err(|error| error.as_db_error().map_or_else(|| error.to_string(), |it| it.message().to_owned()));
        let rows = told?.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL").to_owned()).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    pub(super) fn end(self) {
        drop(self.client);
        self.stop.send(true).unwrap();
        self.runtime.block_on(self.served).unwrap();
    }
}

/// The only statement that runs, once it is planned and its memory counted.
async fn under_way(house: &House) -> RunningQuery {
    let begun = Instant::now();
    loop {
        let one = listed(house).await;
        if one.memory_bytes.is_some() {
            return one;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "its memory is counted");
        tokio::task::yield_now().await;
    }
}

/// By the key of its backend, as drivers do it, and by others.
#[test]
fn a_query_is_ended_by_its_client_and_by_others() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let client = &connected.client;
    connected.runtime.block_on(async {
        let token = client.cancel_token();
        let by_key = async {
            let one = listed(&house).await;
            assert_eq!((one.via, one.principal.as_str()), (Via::Postgres, "asha"));
            token.cancel_query(NoTls).await.unwrap();
        };
        let (answer, ()) = tokio::join!(client.simple_query(ENDLESS), by_key);
        let error = answer.err().unwrap();
        let told = error.as_db_error().unwrap();
        assert_eq!((told.code().code(), told.message()), ("57014", "the query was cancelled by its own client"));
        none(&house).await;
        // In the extended protocol, and by somebody else.
        let by_number = async {
            let one = under_way(&house).await;
            house.engine.cancel(one.id, &Principal::new("asha").unwrap()).unwrap();
        };
        let (answer, ()) = tokio::join!(client.query(ENDLESS, &[]), by_number);
        let error = answer.err().unwrap();
        assert_eq!(error.as_db_error().unwrap().message(), "the query was cancelled by `asha`");
        assert_eq!(client.query_one("SELECT 1 AS one", &[]).await.unwrap().get::<_, i64>(0), 1);
        none(&house).await;
    });
    connected.end();
}

/// In both protocols, and before anything of it is parsed.
#[test]
fn a_chain_that_is_too_long_is_told_and_the_connection_goes_on() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let chain = format!("SELECT 1{}", " OR b".repeat(100_000));
    let told = connected.rows(&chain).unwrap_err();
    assert_eq!(told, "the statement has a chain of more than 4000 operators and keywords");
    let prepared = connected.runtime.block_on(connected.client.prepare(&chain));
    assert_eq!(prepared.err().unwrap().as_db_error().unwrap().code().code(), "42601");
    assert_eq!(connected.rows("SELECT 1").unwrap(), [["1"]]);
    connected.end();
}

/// A driver that asks for all rows gets the first one before the last one is known.
#[test]
fn rows_go_out_as_they_come() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    connected.runtime.block_on(async {
        let token = connected.client.cancel_token();
        let endless = "SELECT a.value FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
        let mut rows = Box::pin(connected.client.query_raw(endless, Vec::<String>::new()).await.unwrap());
        assert!(rows.next().await.unwrap().is_ok());
        token.cancel_query(NoTls).await.unwrap();
        let mut last = rows.next().await.unwrap();
        while last.is_ok() {
            last = rows.next().await.unwrap();
        }
        assert_eq!(last.err().unwrap().as_db_error().unwrap().code().code(), "57014");
        none(&house).await;
        let many = connected.client.query("SELECT value FROM generate_series(1, 100000)", &[]).await.unwrap();
        assert_eq!(many.len(), 100_000);
        let prepared = connected.client.prepare("SELECT 1 AS one WHERE false").await.unwrap();
        assert_eq!(connected.client.query(&prepared, &[]).await.unwrap().len(), 0);
    });
    connected.end();
}

/// A client that asks for no more rows holds no turn behind its end, and no memory.
#[test]
fn rows_that_nobody_fetches_are_ended_as_well() {
    let house = House::new(Limits::default());
    let mut connected = Connected::new(&house);
    let Connected { runtime, client, .. } = &mut connected;
    runtime.block_on(async {
        let transaction = client.transaction().await.unwrap();
        let sorted = "SELECT value FROM generate_series(1, 1000000) ORDER BY value % 7, value";
        let portal = transaction.bind(sorted, &[]).await.unwrap();
        assert_eq!(transaction.query_portal(&portal, 2).await.unwrap().len(), 2);
        let context = house.engine.running().await.unwrap().context(&Principal::default()).unwrap();
        let memory = Arc::clone(&context.runtime_env().memory_pool);
        assert!(memory.reserved() > 0, "what is sorted waits for its reader");
        let one = listed(&house).await;
        house.engine.cancel(one.id, &Principal::default()).unwrap();
        none(&house).await;
        let begun = Instant::now();
        while memory.reserved() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "the memory is given back");
            tokio::task::yield_now().await;
        }
        let error = transaction.query_portal(&portal, 2).await.err().unwrap();
        assert_eq!(error.as_db_error().unwrap().message(), "the query was cancelled by `admin`");
    });
    connected.end();
}

/// A portal that waits for its reader is not what its client means while a statement of his waits for its turn.
#[test]
fn what_waits_for_its_turn_is_ended_and_not_what_waits_for_its_reader() {
    let house = House::new(Limits { sql_queries: 1, ..Limits::default() });
    let mut connected = Connected::new(&house);
    let Connected { runtime, client, .. } = &mut connected;
    runtime.block_on(async {
        let token = client.cancel_token();
        let transaction = client.transaction().await.unwrap();
        let portal = transaction.bind("SELECT value FROM generate_series(1, 1000000)", &[]).await.unwrap();
        assert_eq!(transaction.query_portal(&portal, 2).await.unwrap().len(), 2);
        let fetched = listed(&house).await.id;
        let by_key = async {
            let begun = Instant::now();
            while !house.engine.0.queries.has_waiting() {
                assert!(begun.elapsed() < Duration::from_secs(30), "the next one waits");
                tokio::task::yield_now().await;
            }
            token.cancel_query(NoTls).await.unwrap();
        };
        let (answer, ()) = tokio::join!(transaction.simple_query("SELECT 1"), by_key);
        assert_eq!(answer.err().unwrap().as_db_error().unwrap().code().code(), "57014");
        assert_eq!(listed(&house).await.id, fetched);
    });
    connected.end();
}

/// What is prepared is planned, which is done for as many at a time as are answered.
#[test]
fn a_statement_is_prepared_in_its_turn() {
    let house = House::new(Limits { sql_queries: 1, ..Limits::default() });
    let mut connected = Connected::new(&house);
    let Connected { runtime, client, .. } = &mut connected;
    runtime.block_on(async {
        let token = client.cancel_token();
        let transaction = client.transaction().await.unwrap();
        let portal = transaction.bind("SELECT value FROM generate_series(1, 1000000)", &[]).await.unwrap();
        assert_eq!(transaction.query_portal(&portal, 2).await.unwrap().len(), 2);
        let by_key = async {
            let begun = Instant::now();
            while !house.engine.0.queries.has_waiting() {
                assert!(begun.elapsed() < Duration::from_secs(30), "the next one waits");
                tokio::task::yield_now().await;
            }
            token.cancel_query(NoTls).await.unwrap();
        };
        let (prepared, ()) = tokio::join!(transaction.prepare("SELECT 1"), by_key);
        assert_eq!(prepared.err().unwrap().as_db_error().unwrap().code().code(), "57014");
    });
    connected.end();
}

/// As it is over HTTP.
#[test]
fn the_memory_of_a_query_is_counted_for_it() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let client = &connected.client;
    connected.runtime.block_on(async {
        let counted = || async {
            under_way(&house).await;
            client.cancel_token().cancel_query(NoTls).await.unwrap();
        };
        let (simple, ()) = tokio::join!(client.simple_query(ENDLESS), counted());
        assert!(simple.is_err());
        none(&house).await;
        let (extended, ()) = tokio::join!(client.query(ENDLESS, &[]), counted());
        assert!(extended.is_err());
        none(&house).await;
    });
    connected.end();
}

/// A `numeric` in the protocol's binary format: how many digits to the base of 10,000, the power of the first, the sign,
/// the digits behind the point, the digits.
struct Sent(Vec<u16>);

impl<'a> FromSql<'a> for Sent {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(bytes.chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect()))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }
}

#[test]
fn decimals_are_sent_with_all_their_digits() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let statement = "SELECT CAST('-12345678901234567890123456789012345678' AS decimal(38, 0)) AS long,
        arrow_cast('123456789012345678901234567890123456789012.05', 'Decimal256(50, 2)') AS longer,
        CAST(NULL AS decimal(38, 4)) AS none";
    let shown = ["-12345678901234567890123456789012345678", "123456789012345678901234567890123456789012.05", "NULL"];
    assert_eq!(connected.rows(statement).unwrap(), [shown]);
    let row = connected.runtime.block_on(connected.client.query_one(statement, &[])).unwrap();
    let long = [10, 9, 0x4000, 0, 12, 3_456, 7_890, 1_234, 5_678, 9_012, 3_456, 7_890, 1_234, 5_678];
    assert_eq!(row.get::<_, Sent>(0).0, long);
    let longer = [12, 10, 0, 2, 12, 3_456, 7_890, 1_234, 5_678, 9_012, 3_456, 7_890, 1_234, 5_678, 9_012, 500];
    assert_eq!(row.get::<_, Sent>(1).0, longer);
    assert!(row.get::<_, Option<Sent>>(2).is_none());
    let doubled = "SELECT CAST($1 AS bigint) * CAST('0.5' AS decimal(38, 1)) AS half";
    let row = connected.runtime.block_on(connected.client.query_one(doubled, &[&3_i64])).unwrap();
    assert_eq!(row.columns()[0].type_(), &Type::NUMERIC);
    connected.end();
}

/// In words that only PostgreSQL's own tables know.
#[test]
fn what_tools_ask_before_they_show_a_database_is_answered() {
    let house = House::new(Limits::default());
    house.append(0, 1_000);
    let connected = Connected::new(&house);
    let version = "SELECT current_setting('server_version_num')::int/100 as version";
    assert_eq!(connected.rows(version).unwrap(), [["1600"]]);
    let keys = r#"SELECT result."COLUMN_NAME", result."KEY_SEQ" FROM (
        SELECT a.attname AS "COLUMN_NAME", (information_schema._pg_expandarray(i.indkey)).n AS "KEY_SEQ"
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) WHERE i.indisprimary
      ) result ORDER BY result."KEY_SEQ""#;
    assert_eq!(connected.rows(keys).unwrap(), Vec::<Vec<String>>::new());
    let groups = format!(
        "SELECT floor(extract(epoch from time)/5)*5 AS \"time\", count(*) AS value FROM {ORDERS}
         WHERE time BETWEEN '1970-01-01T00:00:00Z' AND '1970-01-01T00:00:09.5Z' GROUP BY 1 ORDER BY 1"
    );
    let counts: Vec<String> = connected.rows(&groups).unwrap().into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(counts, ["500", "451"]);
    assert!(connected.rows("SELECT nothing").unwrap_err().contains("nothing"));
    connected.end();
}

/// Whether a statement is planned as it was written or as PostgreSQL's own tables need it.
#[test]
fn a_computed_column_is_not_unique_for_clients_either() {
    let house = House::new(Limits::default());
    house.append(0, 12);
    let connected = Connected::new(&house);
    let relation = "(SELECT n % 3 AS x, n AS k FROM orders GROUP BY n) AS r";
    for otherwise in ["true", "'pg_' = 'pg_'"] {
        let distinct = format!("SELECT DISTINCT x FROM {relation} WHERE {otherwise} ORDER BY x");
        assert_eq!(connected.rows(&distinct).unwrap(), [["0"], ["1"], ["2"]]);
        let grouped = format!("SELECT x, count(*) FROM {relation} WHERE {otherwise} GROUP BY x ORDER BY x");
        assert_eq!(connected.rows(&grouped).unwrap(), [["0", "4"], ["1", "4"], ["2", "4"]]);
        let prepared = connected.runtime.block_on(connected.client.query(&distinct, &[])).unwrap();
        assert_eq!(prepared.len(), 3);
    }
    connected.end();
}

/// Of each family of types one that a column can have.
const TYPES: [&str; 32] = [
    "Boolean",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float16",
    "Float32",
    "Float64",
    "Decimal32(5, 1)",
    "Decimal128(10, 2)",
    "Decimal256(50, 4)",
    "Decimal128(5, -2)",
    "Utf8",
    "LargeUtf8",
    "Utf8View",
    "Binary",
    "FixedSizeBinary(3)",
    "Date32",
    "Time64(Microsecond)",
    "Timestamp(Microsecond, None)",
    r#"Timestamp(Microsecond, Some("+00:00"))"#,
    "Duration(Microsecond)",
    "Interval(MonthDayNano)",
    "Dictionary(Int32, Utf8)",
    "List(Int64)",
    "LargeList(Utf8)",
    r#"List(Timestamp(Microsecond, Some("+00:00")))"#,
    "List(List(Int64))",
];

/// What tools read before they ask is what they get.
#[test]
fn columns_have_the_types_that_they_are_sent_as() {
    let house = House::new(Limits::default());
    let cast = |(at, kind): (usize, &&str)| format!("arrow_cast(NULL, '{kind}') AS c{at}");
    let columns: Vec<String> = TYPES.iter().enumerate().map(cast).collect();
    let types =
        format!("SELECT {}, named_struct('a', 1) AS s, make_array(named_struct('a', 1)) AS l", columns.join(", "));
    house.shop(&[view("types", &[], &[("ansi", &types)])]);
    let connected = Connected::new(&house);
    let told = |name: &str, what: &str| {
        connected.rows(&format!(
            "SELECT {what} FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
             WHERE c.relname = '{name}' ORDER BY a.attnum"
        ))
    };
    for (place, name) in
        [("shop.types", "types"), ("tables.kinds", "kinds"), ("orders", "orders"), (ORDERS, "orders.raw")]
    {
        let statement = format!("SELECT * FROM {place}");
        let prepared = connected.runtime.block_on(connected.client.prepare(&statement)).unwrap();
        let sent = prepared.columns().iter().map(|column| {
            vec![column.name().to_owned(), column.type_().oid().to_string(), column.type_modifier().to_string()]
        });
        let told = told(name, "a.attname, a.atttypid, a.atttypmod").unwrap();
        assert_eq!(told, sent.collect::<Vec<_>>(), "{place}");
    }
    let shown = told("types", "a.attname, format_type(a.atttypid, a.atttypmod)").unwrap();
    for (column, kind) in [
        ("c13", "numeric(10,2)"),
        ("c24", "timestamp with time zone"),
        ("c28", "bigint[]"),
        ("s", "json"),
        ("l", "json"),
    ] {
        assert!(shown.contains(&vec![column.to_owned(), kind.to_owned()]), "{column}: {shown:?}");
    }
    connected.end();
}

/// Whoever lists tables is told of those that can be read.
#[test]
fn a_table_that_cannot_be_read_hides_no_other() {
    let house = House::new(Limits::default());
    let catalog = &house.engine.0.sources.catalog;
    let id = json!({"id": 1, "name": "id", "type": "long", "required": false});
    let table = json!({"name": "broken", "schema": {"type": "struct", "schema-id": 0, "fields": [id]}});
    let request = json!({"updates": [
        {"action": "add-snapshot", "snapshot": {"snapshot-id": 1, "sequence-number": 1,
            "timestamp-ms": 4_000_000_000_000_i64, "manifest-list": "file:///nowhere/list.avro",
            "summary": {"operation": "append"}, "schema-id": 0}},
        {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 1},
    ]});
    house.runtime.block_on(async {
        catalog.create_namespace("shop", Value::Null).await.unwrap();
        catalog.create("shop", table).await.unwrap();
        let change = TableChange { namespace: "shop".to_owned(), table: "broken".to_owned(), request };
        catalog.commit(vec![change]).await.unwrap();
    });
    let connected = Connected::new(&house);
    assert!(connected.rows("SELECT * FROM shop.broken").is_err());
    let columns = "SELECT a.attname FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relname = 'orders'";
    assert!(connected.rows(columns).unwrap().contains(&vec!["kind".to_owned()]));
    connected.end();
}

/// What plays PostgreSQL's own tables asks the catalogs that it stands in.
#[test]
fn the_catalogs_of_a_session_go_with_it() {
    let house = House::new(Limits::default());
    let catalogs = house.runtime.block_on(async {
        let running = house.engine.running().await.unwrap();
        let context = running.context(&Principal::default()).unwrap();
        Arc::downgrade(context.state().catalog_list())
    });
    assert!(catalogs.upgrade().is_some());
    drop(house);
    assert!(catalogs.upgrade().is_none());
}

/// What keeps cursors would carry it out, and gather its rows first.
#[test]
fn a_cursor_is_over_a_query_and_nothing_else() {
    let house = House::new(Limits::default());
    let client = Connected::new(&house);
    let refused = client.rows("DECLARE kept CURSOR FOR SELECT value INTO kept FROM generate_series(1, 3)").unwrap_err();
    assert!(refused.contains("INTO"), "{refused}");
    assert_eq!(client.rows("DECLARE read CURSOR FOR SELECT value FROM generate_series(1, 3)"), Ok(Vec::new()));
    // What is rewritten for PostgreSQL's sake is carried out by others.
    for other in ["SELECT 'pg_' AS a INTO kept", "EXPLAIN ANALYZE SELECT 'pg_' AS a INTO kept"] {
        let refused = client.rows(other).unwrap_err();
        assert!(refused.contains("INTO"), "{refused}");
    }
    client.end();
}

/// In PostgreSQL's units, for a connection or for a transaction of it.
#[test]
fn the_time_of_statements_is_set_and_shown_as_postgresql_does() {
    let house = House::new(Limits::default());
    let client = Connected::new(&house);
    let shown = || client.rows("SHOW statement_timeout").unwrap().concat().concat();
    assert_eq!(shown(), "0");
    for (set, expected) in [
        ("SET statement_timeout = '5min'", "5min"),
        ("SET statement_timeout TO 1500", "1500ms"),
        ("SET SESSION statement_timeout = '2 s'", "2s"),
        ("SET statement_timeout TO DEFAULT", "0"),
        ("SET statement_timeout = '90s'", "90s"),
    ] {
        assert_eq!(client.rows(set), Ok(Vec::new()), "{set}");
        assert_eq!(shown(), expected, "{set}");
    }
    let refused = client.runtime.block_on(client.client.simple_query("SET statement_timeout = 'soon'")).err().unwrap();
    assert_eq!(refused.as_db_error().unwrap().code().code(), "22023");
    assert!(client.rows("SET statement_timeout = -1").unwrap_err().contains("outside the valid range"));
    assert_eq!(shown(), "90s");
    for (statement, expected) in [
        ("SET LOCAL statement_timeout = '1h'", "90s"),
        ("BEGIN", "90s"),
        ("SET LOCAL statement_timeout = '1h'", "1h"),
        ("COMMIT", "90s"),
        ("BEGIN", "90s"),
        ("ROLLBACK", "90s"),
        ("RESET statement_timeout", "0"),
        ("SET statement_timeout = '30ms'", "30ms"),
    ] {
        assert_eq!(client.rows(statement), Ok(Vec::new()), "{statement}");
        assert_eq!(shown(), expected, "{statement}");
    }
    assert_eq!(client.rows(ENDLESS).unwrap_err(), "the query was ended after 0.03 s, which is the limit");
    assert_eq!(client.rows("DISCARD PLANS"), Ok(Vec::new()));
    assert_eq!(shown(), "30ms");
    assert_eq!(client.rows("DISCARD ALL"), Ok(Vec::new()));
    assert_eq!(shown(), "0");
    client.end();
}

/// Whatever it is that is said in it, and in both protocols.
#[test]
fn a_transaction_that_has_failed_takes_nothing_but_its_end() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let code = |statement: &str| {
        let told = connected.runtime.block_on(connected.client.simple_query(statement));
        told.err().map(|error| error.as_db_error().unwrap().code().code().to_owned())
    };
    assert_eq!((code("BEGIN"), code("SELECT nothing").is_some()), (None, true));
    for ignored in ["SELECT 1", "SHOW statement_timeout", "BEGIN", "SELECT 'pg_'"] {
        assert_eq!(code(ignored).as_deref(), Some("25P02"), "{ignored}");
    }
    let prepared = connected.runtime.block_on(connected.client.query("SELECT 1", &[])).err().unwrap();
    assert_eq!(prepared.as_db_error().unwrap().code().code(), "25P02");
    assert_eq!((code("ROLLBACK"), code("SELECT 1")), (None, None));
    connected.end();
}

#[test]
fn a_statement_that_meets_a_bug_ends_no_connection() {
    let house = House::new(Limits::default());
    house.with_bug(&Principal::new("asha").unwrap());
    let client = Connected::new(&house);
    let told = client.rows("SELECT buggy()").unwrap_err();
    assert!(told.ends_with("a bug, made by a test"), "{told}");
    assert_eq!(client.rows("SELECT 1"), Ok(vec![vec!["1".to_owned()]]));
    client.end();
}

/// A message of the protocol.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [[kind].as_slice(), length.as_slice(), body].concat()
}

/// What the node answers to messages of a connection of its own.
pub(super) fn answered(connected: &Connected, messages: &[Vec<u8>]) -> Vec<u8> {
    connected.runtime.block_on(async {
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", connected.port)).await.unwrap();
        let begin = message(0, &[[0, 3, 0, 0].as_slice(), b"user\0asha\0\0".as_slice()].concat());
        let all = [&begin[1..], messages.concat().as_slice(), message(b'X', b"").as_slice()].concat();
        socket.write_all(&all).await.unwrap();
        let mut told = Vec::new();
        socket.read_to_end(&mut told).await.unwrap();
        told
    })
}

/// More formats than columns, which no driver sends, and then a statement as if nothing had been.
#[test]
fn a_portal_that_does_not_fit_its_statement_ends_no_connection() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let statements = [
        message(b'P', b"\0SELECT 1\0\0\0"),
        message(b'B', b"\0\0\0\0\0\0\0\x02\0\x01\0\x01"),
        message(b'E', b"\0\0\0\0\0"),
        message(b'S', b""),
        message(b'Q', b"SELECT 'still there'\0"),
    ];
    let told = answered(&connected, &statements);
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("08P01") && told.contains("HW-LAKE-101") && told.contains("still there"), "{told:?}");
    connected.end();
}

#[test]
fn a_portal_without_a_name_ends_with_its_transaction_and_no_earlier() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let next = message(b'E', b"\0\0\0\0\x01");
    let sync = message(b'S', b"");
    let statements = [
        message(b'Q', b"BEGIN\0"),
        message(b'P', b"\0SELECT value FROM generate_series(1, 9)\0\0\0"),
        message(b'B', b"\0\0\0\0\0\0\0\0"),
        next.clone(),
        sync.clone(),
        next.clone(),
        sync.clone(),
        message(b'Q', b"COMMIT\0"),
        next,
        sync,
    ];
    let told = answered(&connected, &statements);
    let has = |row: &[u8]| told.windows(row.len()).any(|one| one == row);
    assert!(has(&message(b'D', b"\0\x01\0\0\0\x011")) && has(&message(b'D', b"\0\x01\0\0\0\x012")), "{told:?}");
    assert!(!has(&message(b'D', b"\0\x01\0\0\0\x013")), "it is gone");
    connected.end();
}

/// A parameter's bytes, whatever its type; none for a null.
#[derive(Debug)]
struct Raw(Option<&'static [u8]>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(bytes) = self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[test]
fn parameters_keep_their_values_and_their_places() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let ask = |kind: Type, one: Option<&'static [u8]>| {
        let statement = "SELECT CAST($1 AS varchar) AS one, CAST($2 AS varchar) AS two";
        let row = connected.runtime.block_on(async {
            let prepared = connected.client.prepare_typed(statement, &[kind, Type::VARCHAR]).await.unwrap();
            connected.client.query_one(&prepared, &[&Raw(one), &Raw(Some(b"two".as_slice()))]).await
        });
        row.map(|row| (row.get::<_, Option<String>>(0), row.get::<_, Option<String>>(1)))
            .map_err(|error| error.as_db_error().unwrap().code().code().to_owned())
    };
    let two = Some("two".to_owned());
    let id = b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
    for (kind, sent, read) in [
        (Type::UUID, id.as_slice(), "01234567-89ab-cdef-0123-456789abcdef"),
        (Type::JSON, br#"{"a":1}"#.as_slice(), r#"{"a":1}"#),
        (Type::JSONB, b"\x01{\"a\":1}".as_slice(), r#"{"a":1}"#),
        (Type::BPCHAR, b"{a}".as_slice(), "{a}"),
    ] {
        assert_eq!(ask(kind.clone(), Some(sent)), Ok((Some(read.to_owned()), two.clone())), "{kind}");
    }
    for kind in [Type::UUID, Type::JSON, Type::JSONB, Type::BPCHAR, Type::UNKNOWN] {
        assert_eq!(ask(kind.clone(), None), Ok((None, two.clone())), "{kind}");
    }
    for (kind, sent) in [(Type::UUID, b"short".as_slice()), (Type::JSONB, b"{}".as_slice())] {
        assert_eq!(ask(kind.clone(), Some(sent)), Err("22P03".to_owned()), "{kind}");
    }
    connected.end();
}

/// What the type of a parameter does not hold is compared as what it is, or refused.
#[test]
fn parameters_are_neither_rounded_nor_cut() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let ask = |statement: &str, kind: Type, value: &'static [u8]| {
        let row = connected.runtime.block_on(async {
            let prepared = connected.client.prepare_typed(statement, &[kind]).await.unwrap();
            connected.client.query_one(&prepared, &[&Raw(Some(value))]).await
        });
        row.map(|row| row.get::<_, String>(0)).map_err(|error| error.as_db_error().unwrap().code().code().to_owned())
    };
    let compared =
        "SELECT CAST(price = $1 AS varchar) AS it FROM (SELECT CAST('1.26' AS decimal(10, 2)) AS price) AS p";
    let cast = |kind: &str| format!("SELECT CAST(CAST($1 AS {kind}) AS varchar) AS it");
    let (bigint, int, date) = (cast("bigint"), cast("int"), cast("date"));
    let (large, infinite) = (b"\0\0\0\x01\x2a\x05\xf2\0".as_slice(), b"\x7f\xff\xff\xff\xff\xff\xff\xff".as_slice());
    for (statement, kind, value, expected) in [
        (compared, Type::NUMERIC, b"\0\x02\0\0\0\0\0\x02\0\x01\x0a\x28".as_slice(), Ok("true")),
        (compared, Type::NUMERIC, b"\0\x02\0\0\0\0\0\x03\0\x01\x09\xf6".as_slice(), Ok("false")),
        (bigint.as_str(), Type::NUMERIC, b"\0\x02\0\0\0\0\0\x01\0\x01\x13\x88".as_slice(), Err("22003")),
        (bigint.as_str(), Type::INT4, b"\xff\xff\xff\xff".as_slice(), Ok("-1")),
        (int.as_str(), Type::INT8, large, Err("22003")),
        (bigint.as_str(), Type::INT8, large, Ok("5000000000")),
        (date.as_str(), Type::DATE, b"\x7f\xff\xff\xff".as_slice(), Err("22008")),
        ("SELECT CAST($1 AS varchar) AS it", Type::TIMESTAMPTZ, infinite, Err("22008")),
        ("SELECT CAST($1 AS varchar) AS it", Type::INT4, b"\0".as_slice(), Err("22P03")),
        ("SELECT CAST($1 AS varchar) AS it", Type::INET, b"\x02\x20\0\x04\x0a\0\0\x01".as_slice(), Err("0A000")),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(ask(statement, kind.clone(), value), expected, "{statement} {kind}");
    }
    connected.end();
}

/// A client reads values by the types that it was told when it prepared the statement.
#[test]
fn an_answer_has_the_columns_that_its_client_was_told() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let ask = |number: f64| {
        connected.runtime.block_on(async {
            let sum = "SELECT CAST(1 AS real) + $1 AS it";
            let prepared = connected.client.prepare_typed(sum, &[Type::FLOAT8]).await.unwrap();
            assert_eq!(*prepared.columns()[0].type_(), Type::FLOAT4);
            connected.client.query_one(&prepared, &[&number]).await
        })
    };
    assert_eq!(ask(0.5).unwrap().get::<_, f32>(0), 1.5);
    // No narrow float is that.
    let error = ask(0.1).err().unwrap();
    let told = error.as_db_error().unwrap();
    assert_eq!(told.code().code(), "0A000");
    assert!(told.detail().unwrap().contains("HW-LAKE-050"), "{told:?}");
    connected.end();
}

/// Nothing wraps around, whichever way it goes.
#[test]
fn long_intervals_are_sent_as_they_are_or_refused() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let code = |statement: &str| {
        let told = connected.runtime.block_on(connected.client.simple_query(statement));
        told.err().map(|error| error.as_db_error().unwrap().code().code().to_owned())
    };
    let shown = "SELECT INTERVAL '2000 years 400000 days' AS it, arrow_cast(9000000000, 'Duration(Second)') AS long";
    assert_eq!(connected.rows(shown).unwrap(), [["2000 years 400000 days", "2500000:00:00"]]);
    let far = "SELECT arrow_cast(9000000000000000000, 'Duration(Second)') AS it";
    assert_eq!(code(far).as_deref(), Some("22008"));
    assert_eq!(code("SELECT arrow_cast(9000000000000000000, 'Duration(Millisecond)') AS it").as_deref(), Some("22008"));
    let listed = |seconds: &str| format!("SELECT make_array(arrow_cast({seconds}, 'Duration(Second)')) AS it");
    assert_eq!(code(&listed("9000000000000000000")).as_deref(), Some("22008"));
    assert_eq!(code(&listed("9000000000")), None);
    assert!(code("SELECT INTERVAL '3000000 hours' AS it").is_some_and(|code| code.starts_with("22")));
    connected.end();
}

#[test]
fn an_interval_that_is_null_is_sent_as_null() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let none = "SELECT CASE WHEN value > 1 THEN INTERVAL '1 day' END AS it FROM generate_series(1, 1)";
    assert_eq!(connected.rows(none).unwrap(), [["NULL"]]);
    connected.end();
}
