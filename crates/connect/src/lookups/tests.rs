use std::io::{Read, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Micros, Name, Problem};
use headwater_kernel::port::tables::{Page, Query, Tell, TransactError, Transacted, Write, Written};
use headwater_kernel::port::{Context, Document, Json, Lookup, LookupError, Secrets, Tables};
use headwater_log::Commit;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::LOOKUPS;

struct Vault;

impl Secrets for Vault {
    fn read(&self, _: &str) -> Result<Bytes, Problem> {
        Ok(Bytes::from_static(b"Bearer hush\n"))
    }
}

struct OneTable;

impl Tables for OneTable {
    fn get(&self, table: &str, key: &str) -> Result<Option<Document>, Problem> {
        let value = Bytes::from_static(b"{\"name\":\"Ann\"}");
        let document = || Document { key: key.to_owned(), version: 1, updated: Micros(0), value };
        Ok((table == "users" && key == "u1").then(document))
    }

    fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<Document>, Problem> {
        Ok(Vec::new())
    }

    fn put<'a>(
        &'a self,
        _: &'a Name,
        _: &'a str,
        _: Option<Json>,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<u64, Problem>> {
        Box::pin(std::future::ready(Ok(0)))
    }

    fn transact_telling(&self, _: &[Write], _: &mut Commit, _: &mut Tell<'_>) -> Result<Transacted, TransactError> {
        Err(TransactError::Full)
    }

    fn write<'a>(&'a self, _: &'a [Write]) -> BoxFuture<'a, Result<Vec<Written>, TransactError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn query(&self, _: &str, _: &Query) -> Result<Page, Problem> {
        Ok(Page::default())
    }

    fn generation(&self, _: &str) -> u64 {
        0
    }

    fn key_field(&self, _: &str) -> Result<Option<String>, Problem> {
        Ok(None)
    }
}

fn context(folder: &Path) -> Context {
    Context { folder: folder.to_owned(), secrets: Arc::new(Vault), tables: None, log: None }
}

fn build(spec: Value, context: &Context) -> Result<Arc<dyn Lookup>, Problem> {
    let kind = LOOKUPS.iter().find(|kind| kind.name == spec["type"]).unwrap();
    (kind.build)(&spec, context)
}

fn refused(spec: Value, context: &Context) -> Problem {
    build(spec, context).err().unwrap()
}

fn at_once(lookup: &Arc<dyn Lookup>, key: &str) -> Option<Value> {
    lookup.at_once(key).unwrap().unwrap().map(|json| serde_json::from_slice(&json).unwrap())
}

#[test]
fn options_are_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let problem = refused(json!({"type": "table", "tabel": "users"}), &context);
    assert_eq!(problem.code, "HW-CONNECT-101");
    assert!(problem.help.unwrap().contains("did you mean `table`?"));
    assert!(refused(json!({"type": "table"}), &context).title.contains("`table` is missing"));
    assert_eq!(refused(json!({"type": "latest", "stream": "prices"}), &context).code, "HW-CONNECT-108");
    for kind in LOOKUPS {
        assert_eq!((kind.schema)()["properties"]["type"]["const"], kind.name);
        let unknown = (kind.check)(&json!({"type": kind.name, "nothing": 1})).unwrap_err();
        assert_eq!(unknown.code, "HW-CONNECT-101", "{}", kind.name);
    }
}

#[test]
fn a_spec_is_checked_without_its_file_secret_or_node() {
    let check = |spec: Value| {
        let kind = LOOKUPS.iter().find(|kind| kind.name == spec["type"]).unwrap();
        (kind.check)(&spec).err().map(|problem| problem.code)
    };
    let fine = [
        json!({"type": "mmdb", "file": "nowhere.mmdb"}),
        json!({"type": "file", "path": "nowhere.csv", "key": "k"}),
        json!({"type": "ranges", "file": "nowhere.csv", "columns": ["asn"]}),
        json!({"type": "latest", "stream": "prices"}),
        json!({"type": "http", "url": "http://x/{key}", "headers": {"authorization": {"secret": "nobody"}}}),
    ];
    for spec in fine {
        assert_eq!(check(spec.clone()), None, "{spec}");
    }
    let wrong = [
        (json!({"type": "table", "table": "no name"}), "HW-BASE-001"),
        (json!({"type": "file", "path": "x", "key": "k", "format": "xml"}), "HW-CONNECT-101"),
        (json!({"type": "http", "url": "http://x/"}), "HW-CONNECT-105"),
        (json!({"type": "score", "url": "x"}), "HW-CONNECT-105"),
        (json!({"type": "http", "url": "http://x/{key}", "headers": {"a b": "c"}}), "HW-CONNECT-106"),
        (json!({"type": "http", "url": "http://x/{key}", "headers": {"a": "b\nc"}}), "HW-CONNECT-106"),
        (json!({"type": "http", "url": "http://x/{key}", "headers": {"a": {"secrets": "c"}}}), "HW-CONNECT-106"),
    ];
    for (spec, code) in wrong {
        assert_eq!(check(spec.clone()).as_deref(), Some(code), "{spec}");
    }
}

#[test]
fn tables_are_asked_or_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut context = context(folder.path());
    std::fs::write(folder.path().join("users.ndjson"), "{\"key\":\"u2\",\"name\":\"Bo\"}\n\n{\"key\":7}\n").unwrap();
    let from_file = build(json!({"type": "table", "table": "users"}), &context).unwrap();
    assert_eq!(at_once(&from_file, "u2").unwrap()["name"], "Bo");
    assert!(!from_file.writes_json(), "what a file holds has to be looked at");
    assert_eq!((at_once(&from_file, "7"), at_once(&from_file, "u1")), (Some(json!({"key": 7})), None));
    assert_eq!(at_once(&build(json!({"type": "table", "table": "bans"}), &context).unwrap(), "x"), None);
    context.tables = Some(Arc::new(OneTable));
    let asked = build(json!({"type": "table", "table": "users"}), &context).unwrap();
    assert_eq!((at_once(&asked, "u1"), at_once(&asked, "u2")), (Some(json!({"name": "Ann"})), None));
}

#[test]
fn files_are_read_by_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("n.csv", "network,owner\n203.0.113.0,\"Acme, Inc\"\n198.51.100.0,Zed\n203.0.113.0,Last\n");
    let rows = build(json!({"type": "file", "path": "n.csv", "key": "network"}), &context).unwrap();
    assert_eq!(at_once(&rows, "203.0.113.0"), Some(json!({"network": "203.0.113.0", "owner": "Last"})));
    assert_eq!(at_once(&rows, "none"), None);
    let problem = refused(json!({"type": "file", "path": "n.csv", "key": "net"}), &context);
    assert!(problem.help.unwrap().contains("`network`, `owner`"));
    write("bad.csv", "a,b\n1,2\n1,2,3\n");
    let problem = refused(json!({"type": "file", "path": "bad.csv", "key": "a"}), &context);
    assert_eq!((problem.code.as_str(), problem.place.unwrap().line), ("HW-CONNECT-103", 3));
    write("twice.csv", "a,b,a\n1,2,3\n");
    assert_eq!(refused(json!({"type": "file", "path": "twice.csv", "key": "b"}), &context).code, "HW-CONNECT-123");
    write("bad.ndjson", "{\"id\":1}\n{\"id\":");
    let problem = refused(json!({"type": "file", "path": "bad.ndjson", "key": "id"}), &context);
    assert_eq!((problem.code.as_str(), problem.place.unwrap().line), ("HW-CONNECT-103", 2));
    assert_eq!(refused(json!({"type": "file", "path": "none.csv", "key": "a"}), &context).code, "HW-CONNECT-102");
}

/// A small database in MaxMind's format 2.0: 203.0.113.0/24 -> {"city": "Oslo", "location": {"lat": 59.5}, "region": ""}.
fn database() -> Vec<u8> {
    let text = |text: &str, out: &mut Vec<u8>| {
        out.push(0x40 | text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    };
    let mut tree = Vec::new();
    let address = u32::from_be_bytes([203, 0, 113, 0]);
    let nodes = 24_u32;
    for bit in 0..nodes {
        let next = if bit + 1 == nodes { nodes + 16 } else { bit + 1 };
        let one = address >> (31 - bit) & 1 == 1;
        for record in [if one { nodes } else { next }, if one { next } else { nodes }] {
            tree.extend_from_slice(&record.to_be_bytes()[1..]);
        }
    }
    let mut data = vec![0xE3];
    text("city", &mut data);
    text("Oslo", &mut data);
    text("location", &mut data);
    data.push(0xE1);
    text("lat", &mut data);
    data.push(0x68);
    data.extend_from_slice(&59.5_f64.to_be_bytes());
    text("region", &mut data);
    text("", &mut data);
    let mut file = tree;
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(&data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    file.push(0xE9);
    let number = |name: &str, kind: u8, bytes: &[u8], out: &mut Vec<u8>| {
        text(name, out);
        match kind {
            0 => out.push(0xA0 | bytes.len() as u8),
            1 => out.push(0xC0 | bytes.len() as u8),
            _ => out.extend_from_slice(&[bytes.len() as u8, 2]),
        }
        out.extend_from_slice(bytes);
    };
    number("binary_format_major_version", 0, &[2], &mut file);
    number("binary_format_minor_version", 0, &[0], &mut file);
    number("build_epoch", 2, &[1], &mut file);
    number("ip_version", 0, &[4], &mut file);
    number("node_count", 1, &[nodes as u8], &mut file);
    number("record_size", 0, &[24], &mut file);
    text("database_type", &mut file);
    text("Test", &mut file);
    text("description", &mut file);
    file.push(0xE0);
    text("languages", &mut file);
    file.extend_from_slice(&[0, 4]);
    file
}

#[test]
fn address_databases_answer_and_pick_fields() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    std::fs::write(folder.path().join("geo.mmdb"), database()).unwrap();
    let whole = build(json!({"type": "mmdb", "file": "geo.mmdb"}), &context).unwrap();
    for _ in 0..2 {
        let record = json!({"city": "Oslo", "location": {"lat": 59.5}, "region": ""});
        assert_eq!(at_once(&whole, "203.0.113.9"), Some(record));
    }
    assert_eq!(at_once(&whole, "::ffff:203.0.113.9").unwrap()["city"], "Oslo");
    assert!(whole.writes_json());
    assert_eq!((at_once(&whole, "198.51.100.1"), at_once(&whole, "2001:db8::1")), (None, None));
    assert!(matches!(whole.at_once("not an address"), Some(Err(LookupError::Rejected(_)))));
    let picked = json!({"type": "mmdb", "file": "geo.mmdb", "fields": {"town": "city", "lat": ".location.lat", "zip": "postal.code", "area": "region"}});
    assert_eq!(at_once(&build(picked, &context).unwrap(), "203.0.113.9"), Some(json!({"town": "Oslo", "lat": 59.5})));
    std::fs::write(folder.path().join("cut.mmdb"), &database()[..100]).unwrap();
    assert_eq!(refused(json!({"type": "mmdb", "file": "cut.mmdb"}), &context).code, "HW-CONNECT-104");
}

#[test]
fn a_flood_of_records_drives_out_none_that_is_asked_for() {
    use super::mmdb::{TEXTS_MAX, Texts};
    let texts = Texts::default();
    let text = |n: usize| Bytes::from(n.to_string());
    let busy = 0..100;
    busy.clone().for_each(|n| texts.put(n, text(n)));
    for n in 1_000..4 * TEXTS_MAX {
        texts.put(n, text(n));
        // Each of the busy ones is asked for within a hundred others.
        assert_eq!(texts.get(n % 100), Some(text(n % 100)), "behind {n} others");
    }
    assert!((TEXTS_MAX / 2..=TEXTS_MAX).contains(&texts.len()), "{} texts", texts.len());
    assert_eq!(texts.get(1_000), None);
}

#[test]
fn a_record_is_as_deep_as_its_innermost_value() {
    let nested =
        |depth| (0..depth).fold(json!(1), |inside, n| if n % 2 == 0 { json!([inside]) } else { json!({"a": inside}) });
    for (depth, max, expected) in [(0, 0, false), (1, 0, true), (64, 64, false), (65, 64, true)] {
        assert_eq!(super::mmdb::is_deeper(&nested(depth), max), expected, "{depth} of {max}");
    }
}

#[test]
fn an_address_is_found_in_its_range() {
    let folder = tempfile::tempdir().unwrap();
    let context = context(folder.path());
    let ranges = |text: &str, columns: Value| {
        std::fs::write(folder.path().join("asn.csv"), text).unwrap();
        build(json!({"type": "ranges", "file": "asn.csv", "columns": columns}), &context)
    };
    let text = "192.0.2.0,192.0.2.255,64500,\"Example, Inc.\"\n\
                2001:db8::,2001:db8:ffff::,64502,\n\
                10.0.0.0,10.255.255.255,64501,Whole\n\
                10.1.0.0,10.1.0.255,64503,Part\n";
    let both = ranges(text, json!(["asn", "name"])).unwrap();
    let cases = [
        ("192.0.2.0", json!({"asn": "64500", "name": "Example, Inc."})),
        ("192.0.2.255", json!({"asn": "64500", "name": "Example, Inc."})),
        ("::ffff:192.0.2.9", json!({"asn": "64500", "name": "Example, Inc."})),
        ("2001:db8::1", json!({"asn": "64502"})),
        ("10.1.0.7", json!({"asn": "64503", "name": "Part"})),
        ("10.0.9.9", json!({"asn": "64501", "name": "Whole"})),
    ];
    for (key, expected) in cases {
        assert_eq!(at_once(&both, key), Some(expected), "{key}");
    }
    for unknown in ["192.0.1.255", "192.0.3.0", "9.255.255.255", "2001:db9::", "::", "255.255.255.255"] {
        assert_eq!(at_once(&both, unknown), None, "{unknown}");
    }
    assert!(matches!(both.at_once("somewhere"), Some(Err(LookupError::Rejected(_)))));
    assert_eq!(at_once(&ranges(text, json!(["_", "name"])).unwrap(), "10.1.0.7"), Some(json!({"name": "Part"})));

    for broken in ["10.0.0.9,10.0.0.1,1", "10.0.0.0,2001:db8::,1", "10.0.0.0/8,1", "\n\"1"] {
        let problem = ranges(&format!("192.0.2.0,192.0.2.255,1\n{broken}\n"), json!(["asn"])).err().unwrap();
        assert_eq!(problem.code, "HW-CONNECT-103", "{broken}: {problem}");
    }
    assert_eq!(ranges("", json!([])).err().unwrap().code, "HW-CONNECT-101");
}

proptest! {
    #[test]
    fn a_damaged_address_database_never_ends_the_process(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = database();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(database) = super::mmdb::Mmdb::open(bytes, Vec::new()) {
            for key in ["203.0.113.9", "198.51.100.1", "0.0.0.0", "255.255.255.255", "2001:db8::1"] {
                drop(database.find(key));
            }
        }
    }
}

/// Answers each request by its path and keeps what was asked.
fn server(answer: fn(&str) -> String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = Vec::new();
            let mut buffer = [0; 4_096];
            loop {
                let count = stream.read(&mut buffer).unwrap_or(0);
                request.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let length = text
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split('\r').next()?.parse().ok())
                    .unwrap_or(0);
                if count == 0 || text.find("\r\n\r\n").is_some_and(|end| request.len() >= end + 4 + length) {
                    break;
                }
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            kept.lock().unwrap().push(request);
            drop(stream.write_all(answer(&path).as_bytes()));
        }
    });
    (address, asked)
}

fn reply(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn web_apis_are_asked_and_their_statuses_told_apart() {
    let (address, asked) = server(|path| match path {
        "/l/a%2Fb%20%C3%A9?v=1" => reply("200 OK", "{\"price\":5}"),
        "/l/none?v=1" => reply("404 Not Found", ""),
        "/l/busy?v=1" => reply("503 Busy", ""),
        "/l/slow?v=1" => reply("429 Too Many Requests", ""),
        "/l/odd?v=1" => reply("400 Bad Request", ""),
        "/l/text?v=1" => reply("200 OK", "hello"),
        "/l/large?v=1" => reply("200 OK", &format!("\"{}\"", "x".repeat(300 * 1024))),
        "/l/moved?v=1" => {
            "HTTP/1.1 302 Found\r\nlocation: /l/none?v=1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
        }
        "/l/away?v=1" => {
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                .to_owned()
        }
        _ => reply("500 Oops", ""),
    });
    let folder = tempfile::tempdir().unwrap();
    let spec = json!({"type": "http", "url": format!("{address}/l/{{key}}?v=1"), "headers": {"Authorization": {"secret": "api"}, "X-Team": "flow"}});
    let http = build(spec, &context(folder.path())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |key: &str| runtime.block_on(http.get(key));
    assert_eq!(http.at_once("a"), None);
    assert_eq!(ask("a/b é"), Ok(Some(Bytes::from_static(b"{\"price\":5}"))));
    let request = asked.lock().unwrap().first().unwrap().to_lowercase();
    assert!(request.contains("authorization: bearer hush\r\n") && request.contains("x-team: flow\r\n"), "{request}");
    assert_eq!((ask("none"), ask("moved")), (Ok(None), Ok(None)));
    for key in ["busy", "slow", "other"] {
        assert!(matches!(ask(key), Err(LookupError::Unavailable(_))), "{key}");
    }
    for key in ["odd", "text", "large", "away", "..", "."] {
        assert!(matches!(ask(key), Err(LookupError::Rejected(_))), "{key}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let spec = json!({"type": "http", "url": format!("http://{closed}/secret-path/{{key}}")});
    let gone = build(spec, &context(folder.path())).unwrap();
    let error = runtime.block_on(gone.get("k")).unwrap_err();
    assert!(matches!(&error, LookupError::Unavailable(text) if !text.contains("secret-path")), "{error}");
}

#[test]
fn a_model_gets_a_post() {
    let (address, asked) = server(|_| reply("200 OK", "{\"score\":0.9}"));
    let folder = tempfile::tempdir().unwrap();
    let model = build(json!({"type": "score", "url": format!("{address}/predict")}), &context(folder.path())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(model.get("{\"n\":1}")), Ok(Some(Bytes::from_static(b"{\"score\":0.9}"))));
    let request = asked.lock().unwrap().first().unwrap().clone();
    assert!(request.starts_with("POST /predict ") && request.ends_with("\r\n\r\n{\"n\":1}"), "{request}");
}

#[test]
fn an_address_is_checked_before_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    for url in [
        "ftp://h/{key}",
        "file:///etc/{key}",
        "http://{key}/x",
        "http://h:80{key}/",
        "http://h/x",
        "http://u:p@h/{key}",
        "h/{key}",
    ] {
        let problem = refused(json!({"type": "http", "url": url}), &context(folder.path()));
        assert_eq!(problem.code, "HW-CONNECT-105", "{url}");
        assert!(!problem.to_string().contains("u:p"));
    }
}
