//! Pipelines and what they ask: a model over HTTP, and a file that is damaged.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use super::verbs::comes_true;
use super::{Node, text};

/// A model that answers with what it was asked, and is ill where that is about eve. Answers its address.
fn model() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/judge", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut reader = BufReader::new(socket.try_clone().unwrap());
            let lines = reader.by_ref().lines().map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let bytes = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            let mut asked = vec![0; bytes];
            reader.read_exact(&mut asked).unwrap();
            let asked: Value = serde_json::from_slice(&asked).unwrap();
            let status = if asked["who"] == "eve" { "503 X" } else { "200 OK" };
            let answer = json!({"line": head[0], "asked": asked}).to_string();
            let length = answer.len();
            write!(socket, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}")
                .unwrap();
        }
    });
    url
}

#[test]
fn events_over_http_are_scored_by_a_model_and_go_on_where_it_is_ill() {
    let node = Node::start();
    let resources = format!(
        "\
apiVersion: headwater.dev/v1
kind: Stream
metadata: {{name: payments}}
spec: {{partitions: 1}}
---
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {{name: judge}}
spec:
  source: {{type: http, stream: payments}}
  steps:
    - id: model
      type: score
      url: \"{}\"
      fields: {{amount: .payment.amount, who: .user}}
      into: .risk
      timeout: 30s
      retries: 0
  outputs:
    - {{type: stream, stream: payments.judged}}
",
        model()
    );
    node.write("r.yaml", &resources);
    let applied = node.run(&["apply", "-f", "r.yaml"]);
    assert!(applied.status.success(), "{}", text(&applied));
    let events = "{\"id\":\"1\",\"user\":\"ann\",\"payment\":{\"amount\":7.5}}\n{\"id\":\"2\",\"user\":\"eve\"}\n";
    // `POST /v1/streams/payments/events`
    assert!(node.fed(&["produce", "payments"], events).status.success());
    let judged = node.run(&["tail", "payments.judged", "--from", "earliest", "-f", "-n", "2"]);
    let mut judged: Vec<Value> =
        String::from_utf8_lossy(&judged.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    judged.sort_by_key(|event| event["id"].to_string());
    let line = "POST /judge HTTP/1.1";
    assert_eq!(
        judged,
        [
            json!({"id": "1", "user": "ann", "payment": {"amount": 7.5}, "enrichment": {"status": "ok"},
                "risk": {"line": line, "asked": {"amount": 7.5, "who": "ann"}}}),
            json!({"id": "2", "user": "eve", "enrichment": {"status": "failed", "failed": ["model"]}}),
        ]
    );
}

/// In MaxMind's format 2.0: addresses whose first bit is set are in Oslo.
fn places() -> Vec<u8> {
    let mut file = vec![0, 0, 1, 0, 0, 17];
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(b"\xe1\x44city\x44Oslo");
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com\xe9");
    file.extend_from_slice(b"\x5bbinary_format_major_version\xa1\x02\x5bbinary_format_minor_version\xa0");
    file.extend_from_slice(b"\x4bbuild_epoch\x01\x02\x01\x4aip_version\xa1\x04\x4anode_count\xc1\x01");
    file.extend_from_slice(b"\x4brecord_size\xa1\x18\x4ddatabase_type\x44Test\x4bdescription\xe0\x49languages\x00\x04");
    file
}

#[test]
fn a_damaged_address_database_is_named_and_costs_no_event() {
    let node = Node::start();
    let database = node.folder.path().join("headwater-data/places.mmdb");
    std::fs::write(&database, &places()[..60]).unwrap();
    let resources = "\
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: visits}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: locate}
spec:
  source: {type: stream, stream: visits}
  steps:
    - {id: place, type: lookup, lookup: {type: mmdb, file: places.mmdb}, key: .ip, into: .place}
  outputs:
    - {type: stream, stream: visits.located}
";
    node.write("r.yaml", resources);
    assert!(node.run(&["apply", "-f", "r.yaml"]).status.success());
    assert!(node.fed(&["produce", "visits"], "{\"ip\":\"203.0.113.9\"}\n{\"ip\":\"8.8.8.8\"}\n").status.success());
    let says_so = || {
        let told = text(&node.run(&["describe", "pipeline/locate"]));
        told.contains("HW-CONNECT-104: not a readable address database")
    };
    assert!(comes_true(says_so));
    // Once it is whole, the pipeline goes on by itself, where it was.
    std::fs::write(&database, places()).unwrap();
    let located = node.run(&["tail", "visits.located", "--from", "earliest", "-f", "-n", "2"]);
    let places: Vec<Value> = String::from_utf8_lossy(&located.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["place"].take())
        .collect();
    assert_eq!(places, [json!({"city": "Oslo"}), Value::Null]);
}
