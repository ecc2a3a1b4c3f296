//! Messages of PostgreSQL's protocol as no driver sends them.

use std::time::{Duration, Instant};

use headwater_base::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use super::House;
use super::postgres::{Connected, answered, message};
use super::queries::{ENDLESS, listed};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

/// What a connection is told that begins with these bytes and sends no more.
fn told(connected: &Connected, bytes: &[u8]) -> String {
    connected.runtime.block_on(async {
        let mut socket = TcpStream::connect(("127.0.0.1", connected.port)).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut told = Vec::new();
        socket.read_to_end(&mut told).await.unwrap();
        String::from_utf8_lossy(&told).into_owned()
    })
}

#[track_caller]
fn is_dismissal(told: &str, fact: &str) {
    for part in ["FATAL", "08P01", "HW-LAKE-104", fact] {
        assert!(told.contains(part), "{part}: {told:?}");
    }
}

/// Nobody waits for what is not sent.
#[test]
fn a_client_that_has_not_begun_says_little() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    for (begin, said) in [
        ([0x40, 0, 0, 0].as_slice(), "1073741824 bytes; it may have 8 to 10000"),
        ([0, 0, 0x27, 0x11].as_slice(), "10001 bytes"),
        ([0, 0, 0, 7].as_slice(), "7 bytes"),
        ([0xff; 4].as_slice(), "-1 bytes"),
        (b"GET / HTTP/1.1\r\n\r\n".as_slice(), "1195725856 bytes"),
        ([SSL_REQUEST.as_slice(), [0x40, 0, 0, 0].as_slice()].concat().as_slice(), "1073741824 bytes"),
    ] {
        is_dismissal(&told(&connected, begin), said);
    }
    // TLS would read nothing that is not encrypted.
    connected.runtime.block_on(async {
        let mut socket = TcpStream::connect(("127.0.0.1", connected.port)).await.unwrap();
        socket.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]).await.unwrap();
        let mut told = Vec::new();
        // It ends with an error where the node has not read all of it.
        let _ = socket.read_to_end(&mut told).await;
        assert_eq!(told, b"");
    });
    connected.end();
}

#[test]
fn a_message_is_as_long_as_it_may_be_and_no_longer() {
    let house = House::new(Limits { sql_message_bytes: 65_536, ..Limits::default() });
    let connected = Connected::new(&house);
    // Its length counts itself, and a zero ends the statement.
    let padded = |bytes: usize| format!("SELECT 'still there' AS a --{}\0", "x".repeat(bytes - 4 - 29));
    let longest = message(b'Q', padded(65_536).as_bytes());
    let told = answered(&connected, &[longest.clone(), longest]);
    assert_eq!(String::from_utf8_lossy(&told).matches("still there").count(), 2);
    for (header, said) in [
        ([b'Q', 0, 1, 0, 1], "a message of type `Q` says that it has 65537 bytes; it may have 4 to 65536"),
        ([b'B', 0x40, 0, 0, 0], "1073741824 bytes"),
        ([b'P', 0x80, 0, 0, 0], "-2147483648 bytes"),
        ([b'Q', 0, 0, 0, 3], "3 bytes"),
        ([b'S', 0, 0, 0x27, 0x11], "10001 bytes; it may have 4 to 10000"),
    ] {
        let told = answered(&connected, &[header.to_vec()]);
        is_dismissal(&String::from_utf8_lossy(&told), said);
    }
    connected.end();
}

/// A driver that is in the middle of what it sends.
#[test]
fn a_driver_is_told_why_it_is_dismissed() {
    let house = House::new(Limits { sql_message_bytes: 65_536, ..Limits::default() });
    let connected = Connected::new(&house);
    let long = format!("SELECT '{}'", "x".repeat(1 << 20));
    connected.runtime.block_on(async {
        let error = connected.client.simple_query(&long).await.err().unwrap();
        let told = error.as_db_error().unwrap();
        assert_eq!((told.severity(), told.code().code()), ("FATAL", "08P01"));
        assert!(told.detail().unwrap().contains("HW-LAKE-104"), "{told:?}");
        assert!(connected.client.simple_query("SELECT 1").await.is_err());
    });
    connected.end();
}

#[test]
fn a_message_that_is_none_ends_its_connection() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    for (broken, said) in [
        // Five parameters, none of which is there.
        (message(b'B', b"\0\0\0\0\0\x05"), "a message of type `B` cannot be read"),
        (message(b'P', b"\0SELECT 1\0\0\x01"), "a message of type `P` cannot be read"),
        (message(b'?', b""), "a message of type `?` cannot be read"),
    ] {
        let told = answered(&connected, &[broken, message(b'Q', b"SELECT 'still there'\0")]);
        let told = String::from_utf8_lossy(&told);
        is_dismissal(&told, said);
        assert!(!told.contains("still there"), "{told:?}");
    }
    assert_eq!(connected.rows("SELECT 1").unwrap(), [["1"]]);
    connected.end();
}

/// In the extended protocol; rows to copy mean nothing where nobody has asked for any.
#[test]
fn what_stands_between_an_error_and_its_sync_is_passed_over() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let told = answered(
        &connected,
        &[
            message(b'P', b"\0SELECT nothing FROM nowhere\0\0\0"),
            message(b'B', b"\0\0\0\0\0\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'Q', b"SELECT 'passed over'\0"),
            message(b'd', b"1\n"),
            message(b'S', b""),
            message(b'd', b"1\n"),
            message(b'c', b""),
            message(b'H', b""),
            message(b'Q', b"SELECT 'still there'\0"),
        ],
    );
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("HW-LAKE-041") && told.contains("still there"), "{told:?}");
    assert!(!told.contains("passed over"), "{told:?}");
    connected.end();
}

/// Encryption is refused, and a client goes on without; what it sends comes in pieces.
#[test]
fn a_client_that_asks_for_encryption_goes_on_without() {
    let house = House::new(Limits::default());
    let connected = Connected::new(&house);
    let begin = message(0, &[[0, 3, 0, 0].as_slice(), b"user\0asha\0\0".as_slice()].concat());
    let after = [message(b'Q', b"SELECT 'still there'\0"), message(b'X', b"")].concat();
    let rest = [&begin[1..], after.as_slice()].concat();
    let both = [SSL_REQUEST, GSS_REQUEST];
    for asked in [&both[..1], &both[1..], &both[..], [GSS_REQUEST, SSL_REQUEST].as_slice()] {
        connected.runtime.block_on(async {
            let mut socket = TcpStream::connect(("127.0.0.1", connected.port)).await.unwrap();
            socket.set_nodelay(true).unwrap();
            for request in asked {
                socket.write_all(request).await.unwrap();
                assert_eq!(socket.read_u8().await.unwrap(), b'N');
            }
            for byte in &rest {
                socket.write_all(&[*byte]).await.unwrap();
            }
            let mut told = Vec::new();
            socket.read_to_end(&mut told).await.unwrap();
            assert!(String::from_utf8_lossy(&told).contains("still there"));
        });
    }
    connected.end();
}

/// It is told so as PostgreSQL tells it, whatever it begins with, and may still end what another one runs.
#[test]
fn a_client_more_than_there_may_be_is_told_so() {
    let house = House::new(Limits { sql_connections: 2, ..Limits::default() });
    let connected = Connected::new(&house);
    let place = format!("host=127.0.0.1 port={} user=asha", connected.port);
    let connect = || connected.runtime.block_on(tokio_postgres::connect(&place, NoTls));
    let (second, connection) = connect().unwrap();
    connected.runtime.spawn(connection);
    let refused = connect().err().unwrap();
    let refused = refused.as_db_error().unwrap();
    assert_eq!((refused.severity(), refused.code().code()), ("FATAL", "53300"));
    assert_eq!(refused.message(), "2 clients are connected already, which is the limit");
    assert_eq!(refused.detail(), Some("HW-LAKE-110"));
    let begin = message(0, &[[0, 3, 0, 0].as_slice(), b"user\0asha\0\0".as_slice()].concat());
    let refused = told(&connected, &[SSL_REQUEST.as_slice(), &begin[1..]].concat());
    assert!(refused.starts_with('N') && refused.contains("53300"), "{refused:?}");
    is_dismissal(&told(&connected, &[0x40, 0, 0, 0]), "1073741824 bytes");
    connected.runtime.block_on(async {
        let token = connected.client.cancel_token();
        let by_key = async {
            listed(&house).await;
            token.cancel_query(NoTls).await.unwrap();
        };
        let (answer, ()) = tokio::join!(connected.client.simple_query(ENDLESS), by_key);
        assert_eq!(answer.err().unwrap().as_db_error().unwrap().code().code(), "57014");
    });
    // The place of one that goes is somebody else's.
    drop(second);
    let begun = Instant::now();
    while connect().is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "a place is given back");
    }
    connected.end();
}

/// It holds what others wait for. Between messages everybody may be silent.
#[test]
fn a_client_that_stops_in_the_middle_of_a_message_is_dismissed() {
    let house = House::new(Limits { sql_client_bytes: 200_000, sql_stalled_ms: 500, ..Limits::default() });
    let connected = Connected::new(&house);
    let begin = message(0, &[[0, 3, 0, 0].as_slice(), b"user\0asha\0\0".as_slice()].concat());
    let large = |bytes: usize| message(b'P', format!("\0SELECT 1 --{}\0\0\0", "x".repeat(bytes)).as_bytes());
    let value = "x".repeat(150_000);
    for (bytes, sent) in [
        // Of its length, of what there is room for, and of what is passed over.
        (150_000, 3),
        (150_000, 140_000),
        (300_000, 250_000),
    ] {
        let told = connected.runtime.block_on(async {
            let mut socket = TcpStream::connect(("127.0.0.1", connected.port)).await.unwrap();
            socket.write_all(&[&begin[1..], &large(bytes)[..sent]].concat()).await.unwrap();
            let mut told = Vec::new();
            let end = tokio::time::timeout(Duration::from_secs(30), socket.read_to_end(&mut told)).await;
            end.expect("it is not waited for").unwrap();
            String::from_utf8_lossy(&told).into_owned()
        });
        dismissed(&connected, &told, &value);
    }
    connected.end();
}

/// Holds that a client was told why it was dismissed, and that what it held is there for others, one of whom has been silent
/// all the while.
fn dismissed(connected: &Connected, told: &str, value: &str) {
    for part in ["SFATAL\0", "C08006\0", "HW-LAKE-109"] {
        assert!(told.contains(part), "{part}: {told:?}");
    }
    let row = connected
        .runtime
        .block_on(async { connected.client.query_one("SELECT CAST($1 AS varchar) AS it", &[&value]).await.unwrap() });
    assert_eq!(row.get::<_, &str>(0), value);
}

/// It pauses for less than it may, and again and again.
#[test]
fn a_client_whose_message_would_never_end_is_dismissed() {
    let limits = Limits {
        sql_client_bytes: 200_000,
        sql_stalled_ms: 2_000,
        // What has come gives it no more time.
        sql_message_bytes_per_s: 1 << 40,
        ..Limits::default()
    };
    let house = House::new(limits);
    let connected = Connected::new(&house);
    let begin = message(0, &[[0, 3, 0, 0].as_slice(), b"user\0asha\0\0".as_slice()].concat());
    let value = "x".repeat(150_000);
    // Of what there is room for, and of what is passed over.
    for (bytes, sent) in [(150_000, 100_000), (300_000, 250_000)] {
        let large = message(b'P', format!("\0SELECT 1 --{}\0\0\0", "x".repeat(bytes)).as_bytes());
        let (first, rest) = large.split_at(sent);
        let told = connected.runtime.block_on(async {
            let mut socket = TcpStream::connect(("127.0.0.1", connected.port)).await.unwrap();
            socket.write_all(&[&begin[1..], first].concat()).await.unwrap();
            let (mut told, mut rest, begun) = (Vec::<u8>::new(), rest.chunks(1), Instant::now());
            while begun.elapsed() < Duration::from_secs(30) {
                match tokio::time::timeout(Duration::from_millis(50), socket.read_buf(&mut told)).await {
                    Ok(Ok(1..)) => {}
                    Ok(_) => break,
                    // Where it has been dismissed meanwhile, that is what it reads next.
                    Err(_) => _ = socket.write_all(rest.next().unwrap()).await,
                }
            }
            String::from_utf8_lossy(&told).into_owned()
        });
        dismissed(&connected, &told, &value);
    }
    connected.end();
}

/// A connection that keeps a portal named `held`, of the statement `one` with that value.
async fn holding(connected: &Connected, value: &[u8]) -> TcpStream {
    let begin = message(0, &[[0, 3, 0, 0].as_slice(), b"user\0asha\0\0".as_slice()].concat());
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    let bind = [b"held\0one\0\0\0\0\x01".as_slice(), length.as_slice(), value, b"\0\0".as_slice()].concat();
    let messages = [
        message(b'Q', b"BEGIN\0"),
        message(b'P', b"one\0SELECT CAST($1 AS varchar) AS it\0\0\0"),
        message(b'B', &bind),
        message(b'H', b""),
    ];
    let mut socket = TcpStream::connect(("127.0.0.1", connected.port)).await.unwrap();
    socket.write_all(&[&begin[1..], messages.concat().as_slice()].concat()).await.unwrap();
    let (bound, mut told) = (message(b'2', b""), Vec::new());
    while !told.windows(bound.len()).any(|one| one == bound) {
        assert!(socket.read_buf(&mut told).await.unwrap() > 0, "{}", String::from_utf8_lossy(&told));
    }
    socket
}

/// What is held is given back in whatever way it ends, and who is refused goes on.
#[test]
fn what_clients_send_and_keep_has_one_bound_for_all() {
    let house = House::new(Limits { sql_client_bytes: 200_000, ..Limits::default() });
    let connected = Connected::new(&house);
    let client = &connected.client;
    let value = "x".repeat(150_000);
    let ask = async || client.query_one("SELECT CAST($1 AS varchar) AS it", &[&value]).await;
    connected.runtime.block_on(async {
        for end in [
            Some(message(b'C', b"Pheld\0")),
            Some(message(b'C', b"Sone\0")),
            Some(message(b'Q', b"ROLLBACK\0")),
            Some(message(b'Q', b"DISCARD ALL\0")),
            Some(message(b'B', b"held\0one\0\0\0\0\x01\xff\xff\xff\xff\0\0")),
            Some(message(b'?', b"")),
            None,
        ] {
            let mut other = holding(&connected, value.as_bytes()).await;
            for refused in [ask().await.err(), client.simple_query(&format!("SELECT 1 --{value}")).await.err()] {
                let refused = refused.unwrap();
                let told = refused.as_db_error().unwrap();
                assert_eq!((told.severity(), told.code().code()), ("ERROR", "53200"), "{end:?}");
                assert_eq!(told.detail(), Some("HW-LAKE-111"));
                client.simple_query("SELECT 1").await.unwrap();
            }
            let kept = match &end {
                Some(end) => {
                    other.write_all(end).await.unwrap();
                    Some(other)
                }
                None => {
                    drop(other);
                    None
                }
            };
            let begun = Instant::now();
            let row = loop {
                match ask().await {
                    Ok(row) => break row,
                    Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{end:?}: {error}"),
                }
            };
            assert_eq!(row.get::<_, &str>(0), value);
            drop(kept);
        }
    });
    connected.end();
}

/// Names, and places of values that are null.
#[test]
fn what_is_kept_counts_whatever_it_is() {
    let house = House::new(Limits { sql_client_bytes: 200_000, ..Limits::default() });
    let connected = Connected::new(&house);
    let statement = |name: &str| message(b'P', format!("{name}\0SELECT 1\0\0\0").as_bytes());
    let nulls = |portal: &str, count: u16| {
        let values = vec![0xff; usize::from(count) * 4];
        let begin = format!("{portal}\0one\0\0\0");
        message(
            b'B',
            &[begin.as_bytes(), count.to_be_bytes().as_slice(), values.as_slice(), b"\0\0".as_slice()].concat(),
        )
    };
    let prepared = |name: &str, text: &str| message(b'P', format!("{name}\0{text}\0\0\0").as_bytes());
    let portal = |number: i32| message(b'B', format!("{number}\0\0\0\0\0\0\0\0").as_bytes());
    let columns: Vec<String> = (0..3_000).map(|number| format!("1 AS a{number}")).collect();
    let named = (0..15).map(|number| statement(&format!("{number}{}", "n".repeat(15_000))));
    let portals = (0..3).map(|number| nulls(&format!("p{number}"), 3_900));
    let portal_names = (0..15).map(|number| nulls(&format!("{number}{}", "n".repeat(15_000)), 0));
    for all in [
        named.collect::<Vec<_>>(),
        [statement("one")].into_iter().chain(portals).collect(),
        [statement("one")].into_iter().chain(portal_names).collect(),
        // A large message, which takes more to keep than to read.
        vec![statement("one"), nulls("p", 40_000)],
        // What is kept whole counts for what is made of it.
        (0..3)
            .map(|number| prepared(&format!("{number}"), &format!("SET search_path = '{}'", "n".repeat(900))))
            .collect(),
        vec![prepared("wide", &format!("SELECT {}", columns.join(", ")))],
        // A statement is kept as long as its portals.
        (0..3)
            .flat_map(|number| [prepared("", &format!("SELECT 1 --{}", "n".repeat(90_000))), portal(number)])
            .collect(),
    ] {
        let told = answered(&connected, &[all, vec![message(b'S', b"")]].concat());
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains("C53200\0") && told.contains("HW-LAKE-111"), "{told:?}");
    }
    connected.end();
}

/// What a statement is planned as goes with that, and is there again when it is carried out.
#[test]
fn plans_of_prepared_statements_are_not_kept() {
    let house = House::new(Limits { sql_client_bytes: 200_000, ..Limits::default() });
    let connected = Connected::new(&house);
    let sum = format!("SELECT {}", ["1"; 500].join(" + "));
    let many = (0..12).map(|number| message(b'P', format!("s{number}\0{sum}\0\0\0").as_bytes()));
    let last = [message(b'B', b"\0s11\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")];
    let told = answered(&connected, &many.chain(last).collect::<Vec<_>>());
    let has = |row: &[u8]| told.windows(row.len()).filter(|one| *one == row).count();
    assert_eq!(has(&message(b'1', b"")), 12);
    assert_eq!(has(&message(b'D', b"\0\x01\0\0\0\x03500")), 1, "{}", String::from_utf8_lossy(&told));
    connected.end();
}
