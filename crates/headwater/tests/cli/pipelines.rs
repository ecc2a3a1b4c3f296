//! A pipeline that is fed over HTTP and asks a model over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

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
