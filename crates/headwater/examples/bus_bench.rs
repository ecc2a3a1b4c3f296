//! Measures rules and pipes through a node: events at a set rate, or as fast as they are taken, and a Kafka consumer at
//! each target. Prints one JSON object.
//! `cargo run --release -p headwater --example bus_bench -- PORT_OFFSET PART PHASE EVENTS_PER_SECOND EVENTS RULES`, with a
//! node there.
//!
//! Parts: `rules` (RULES rules of eight forms on one bus, of which eight take an event, each to a stream of its own) and
//! `pipe` (the changes of a table, half of which pass a filter, in a new shape to a stream). Phases, in this order:
//! `prepare`, `paced`, `burst`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use headwater::solution::clickstream::feed::{self, Pace};
use headwater::solution::clickstream::live::Latency;
use headwater::solution::node::Node;
use headwater::solution::reader;
use headwater_kernel::port::solutions::File;
use headwater_wire::batch::{Compression, Record};
use serde_json::{Value, json};

/// Forms of rules, and rules that take an event.
const FORMS: u64 = 8;
/// Documents of the table.
const DOCUMENTS: u64 = 10_000;
/// What does not come for so long never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Clone, Copy)]
enum Part {
    Rules { groups: u64 },
    Pipe,
}

/// A consumer of one stream.
struct Consumer {
    node: Node,
    stream: String,
    /// By partition: the next offset.
    next: Vec<i64>,
    /// Records that have to come.
    expected: u64,
    /// When the event was meant to be sent of which a record came, in milliseconds since 1970.
    sent: fn(&Record) -> i64,
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [offset, part, phase, numbers @ ..] = &words[..] else { panic!("{}", usage()) };
    let numbers: Vec<u64> = numbers.iter().map(|text| text.parse().expect("a number")).collect();
    let [rate, events, rules] = numbers[..] else { panic!("{}", usage()) };
    let node = Node::local(offset.parse().expect("an offset")).expect("a node");
    let part = match part.as_str() {
        "rules" => Part::Rules { groups: (rules / FORMS).max(1) },
        "pipe" => Part::Pipe,
        other => panic!("there is no part `{other}`"),
    };
    let figures = match phase.as_str() {
        "prepare" => prepare(&node, part).await,
        "paced" => load(&node, part, Some(rate), events).await,
        "burst" => load(&node, part, None, events).await,
        other => panic!("there is no phase `{other}`"),
    };
    println!("{figures}");
}

fn usage() -> &'static str {
    "PORT_OFFSET PART PHASE EVENTS_PER_SECOND EVENTS RULES"
}

/// Applies the part's resources and waits until they run.
async fn prepare(node: &Node, part: Part) -> Value {
    let (resources, plural) = match part {
        Part::Rules { groups } => (rules(groups), "rules"),
        Part::Pipe => (pipe(), "pipes"),
    };
    // JSON is YAML, and a file has its bounds.
    let file = |(number, resources): (usize, &[Value])| {
        let text = resources.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n");
        File { name: format!("bench-{number}.yaml"), text }
    };
    let files: Vec<File> = resources.chunks(200).enumerate().map(file).collect();
    let start = Instant::now();
    node.apply(&files).await.expect("applied");
    node.all_ready(plural, PATIENCE * 3).await.expect("ready");
    json!({"events": 0, "seconds": start.elapsed().as_secs_f64()})
}

/// Sends events and reads what comes of them to the last.
async fn load(node: &Node, part: Part, rate: Option<u64>, events: u64) -> Value {
    let (source, consumers) = match part {
        Part::Rules { .. } => {
            let mut all = Vec::new();
            for form in 0..FORMS {
                all.push(Consumer::at_end(node, &target(form), events, |record| record.timestamp).await);
            }
            ("bus.bench", all)
        }
        Part::Pipe => {
            ("table.bench.docs", vec![Consumer::at_end(node, "bench.piped", events.div_ceil(2), sent_in).await])
        }
    };
    let start = Instant::now();
    let reading: Vec<_> = consumers.into_iter().map(|consumer| tokio::spawn(consumer.read())).collect();
    let mut number = 0;
    let next = |time_ms: i64, value: &mut Vec<u8>| {
        let (key, text) = match part {
            Part::Rules { groups } => order(number, groups),
            Part::Pipe => document(number, time_ms),
        };
        number += 1;
        value.clear();
        value.extend_from_slice(text.as_bytes());
        key
    };
    let pace = Pace { per_second: rate, records: events, in_flight: 64, compression: Compression::None };
    let fed = feed::feed_records(node, source, next, &pace, |_| ()).await.expect("fed");
    let mut readable = histogram();
    for one in reading {
        readable.add(one.await.expect("a consumer")).expect("the same bounds");
    }
    json!({
        "events": fed.records, "records": readable.len(), "seconds": start.elapsed().as_secs_f64(),
        "sender_behind_ms": fed.behind.as_secs_f64() * 1e3,
        "ack": Latency::of(&fed.acks), "readable": Latency::of(&readable),
    })
}

impl Consumer {
    /// A consumer of what comes from now on.
    async fn at_end(node: &Node, stream: &str, expected: u64, sent: fn(&Record) -> i64) -> Self {
        let mut client = node.connect().await.expect("a connection");
        let partitions = client.partitions(stream).await.expect("a stream");
        let next = client.offsets(stream, partitions, -1).await.expect("offsets");
        Self { node: node.clone(), stream: stream.to_owned(), next, expected, sent }
    }

    /// Reads until all has come.
    async fn read(mut self) -> Histogram<u64> {
        let (mut times, mut newest) = (histogram(), Instant::now());
        let mut client = self.node.connect().await.expect("a connection");
        while times.len() < self.expected {
            let from: Vec<(u32, i64)> = (0..).zip(self.next.iter().copied()).collect();
            for fetched in client.fetch(&self.stream, &from, 250).await.expect("fetched") {
                let place = &mut self.next[fetched.partition as usize];
                let (now, sent) = (wall_micros(), self.sent);
                let mut each = |record: Record| {
                    let took = u64::try_from(now - sent(&record) * 1_000).unwrap_or(0);
                    times.saturating_record(took.max(1));
                    newest = Instant::now();
                };
                *place = reader::records(&fetched.batches, *place, &mut each).expect("records");
            }
            let missing = self.expected.saturating_sub(times.len());
            assert!(newest.elapsed() < PATIENCE, "{missing} records of `{}` never came", self.stream);
        }
        times
    }
}

/// The streams of a bus, and rules of all forms for each group of events.
fn rules(groups: u64) -> Vec<Value> {
    let hour = json!({"partitions": 1, "retention": {"time": "1h"}});
    let mut all = vec![resource("Stream", "bus.bench", hour.clone())];
    all.extend((0..FORMS).map(|form| resource("Stream", &target(form), hour.clone())));
    for group in 0..groups {
        for form in 0..FORMS {
            let stream = target(form);
            // One goes on as it came, the next in a shape of its own.
            let to = if form % 2 == 0 {
                json!({"type": "stream", "stream": stream})
            } else {
                let variables = json!({"order": "$.detail.order", "total": "$.detail.total"});
                let template = r#"{"order": <order>, "total": <total>}"#;
                let input = json!({"template": template, "variables": variables});
                json!({"type": "stream", "stream": stream, "key": "$.detail.order", "input": input})
            };
            let spec = json!({
                "source": "bus.bench", "pattern": pattern(form, group), "targets": [to], "deadLetter": "bench.dead",
            });
            all.push(resource("Rule", &format!("bench-{group}-{form}"), spec));
        }
    }
    all
}

/// A pattern that takes the events of one group.
fn pattern(form: u64, group: u64) -> Value {
    match form {
        0 => json!({"detail": {"group": [group]}}),
        1 => json!({"source": [format!("bench.shop-{group}")]}),
        2 => json!({
            "source": [{"equals-ignore-case": format!("BENCH.SHOP-{group}")}], "detail-type": ["OrderPlaced"],
        }),
        3 => json!({"detail": {"group": [{"numeric": [">=", group, "<", group + 1]}]}}),
        4 => json!({"detail": {"shop": [{"prefix": format!("shop-{group}-")}]}}),
        5 => json!({"detail": {"shop": [{"suffix": format!("-{group}-main")}]}}),
        6 => json!({"detail": {"shop": [{"wildcard": format!("shop-{group}-*")}]}}),
        _ => json!({
            "detail": {"group": [group], "total": [{"numeric": [">", 0]}], "refund": [{"exists": false}]},
        }),
    }
}

/// A table with changes, and a pipe from them.
fn pipe() -> Vec<Value> {
    let table = json!({"changes": {"images": "newImage", "retention": "1h"}});
    let stream = json!({"partitions": 1, "retention": {"time": "1h"}});
    let variables = json!({"run": "$.dynamodb.NewImage.run.S", "sent": "$.dynamodb.NewImage.sent.N"});
    let input = json!({"template": r#"{"run": <run>, "sent": <sent>}"#, "variables": variables});
    let spec = json!({
        "source": {"type": "table", "table": "bench.docs", "shape": "dynamodb"},
        "filter": [{"dynamodb": {"NewImage": {"status": {"S": ["COMPLETE"]}}}}],
        "target": {"type": "stream", "stream": "bench.piped", "input": input},
    });
    vec![
        resource("Table", "bench.docs", table),
        resource("Stream", "bench.piped", stream),
        resource("Pipe", "bench-pipe", spec),
    ]
}

fn resource(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "headwater.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// The stream to which rules of a form write.
fn target(form: u64) -> String {
    format!("bench.matched-{form}")
}

/// An event of a bus with its key.
fn order(number: u64, groups: u64) -> (String, String) {
    let (group, total) = (number % groups, number % 900 + 1);
    let key = format!("o-{number}");
    let text = format!(
        r#"{{"id":"{key}","source":"bench.shop-{group}","detail-type":"OrderPlaced","detail":{{"order":"{key}","group":{group},"shop":"shop-{group}-main","total":{total},"currency":"CHF","customer":{{"id":"c-{total}","country":"CH"}},"lines":[{{"sku":"a-1","count":1}},{{"sku":"b-2","count":3}}]}}}}"#
    );
    (key, text)
}

/// A document of the table with its key. Every other one passes the filter.
fn document(number: u64, time_ms: i64) -> (String, String) {
    let status = if number.is_multiple_of(2) { "COMPLETE" } else { "RUNNING" };
    let key = format!("r-{}", number % DOCUMENTS);
    let text = format!(r#"{{"run":"{key}","status":"{status}","sent":{time_ms},"launch":{number},"owner":"bench"}}"#);
    (key, text)
}

/// The moment that stands in what the pipe writes; DynamoDB's numbers are texts.
fn sent_in(record: &Record) -> i64 {
    let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default()).expect("JSON");
    value["sent"].as_str().and_then(|text| text.parse().ok()).or_else(|| value["sent"].as_i64()).expect("a moment")
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds")
}

fn wall_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
