//! Measures writes with conditions on one table over HTTP: clients that each send their next write when the one before is
//! durable, for a set time. Prints one JSON object.
//! `cargo run --release -p headwater --example tables_bench -- PORT_OFFSET PART CLIENTS SECONDS`, with a node there.
//!
//! Parts, each with documents of its own: `counters-hot` (all clients add to one document), `counters-spread` (to ten
//! thousand), `compare-hot` (all clients read one document and write it over the version they read; who comes too late
//! reads again), `compare-spread` (each client has its own hundred), `transactions` (25 counters with a condition in each
//! request). At the end all documents are read: whatever the part, their numbers have to add up to what was acknowledged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "features_bench/web.rs"]
mod web;

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use headwater::solution::clickstream::live::Latency;
use headwater::solution::node::Node;
use headwater_kernel::port::solutions::File;
use serde_json::{Value, json};
use web::Web;

const RESOURCES: &str = "
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: bench.counted}
spec: {description: What tables_bench writes.}
";
const TABLE: &str = "bench.counted";
/// Documents that `counters-spread` and `transactions` write.
const DOCUMENTS: u64 = 10_000;
/// Documents of each client of `compare-spread`.
const OWN: u64 = 100;
/// Writes of one transaction.
const WRITES: u64 = 25;
const JSON: &str = "content-type: application/json\r\n";
/// What a table needs to be there.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
enum Part {
    Counters { spread: bool },
    Compare { spread: bool },
    Transactions,
}

/// What a client saw.
struct Seen {
    /// From a request to its answer, for writes that were made.
    times: Histogram<u64>,
    writes: u64,
    /// Writes that came too late.
    conflicts: u64,
    /// Writes that the node could not take at that moment.
    refused: u64,
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [offset, name, clients, seconds] = &words[..] else { panic!("PORT_OFFSET PART CLIENTS SECONDS") };
    let part = match name.as_str() {
        "counters-hot" => Part::Counters { spread: false },
        "counters-spread" => Part::Counters { spread: true },
        "compare-hot" => Part::Compare { spread: false },
        "compare-spread" => Part::Compare { spread: true },
        "transactions" => Part::Transactions,
        other => panic!("there is no part `{other}`"),
    };
    let clients: u64 = clients.parse().expect("a number of clients");
    let time = Duration::from_secs(seconds.parse().expect("seconds"));
    let node = Node::local(offset.parse().expect("an offset")).expect("a node");
    node.apply(&[File { name: "bench.yaml".into(), text: RESOURCES.into() }]).await.expect("applied");
    node.all_ready("tables", PATIENCE).await.expect("ready");
    let address = node.web.server().trim_start_matches("http://").to_owned();

    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let (address, name) = (address.clone(), name.clone());
            tokio::spawn(async move {
                let web = Web::connect(&address).await;
                Client { web, name, number: client, draws: client }.run(part, start + time).await
            })
        })
        .collect();
    let mut all = Seen::none();
    for task in tasks {
        let seen = task.await.expect("a client");
        all.times.add(seen.times).expect("the same bounds");
        all.writes += seen.writes;
        all.conflicts += seen.conflicts;
        all.refused += seen.refused;
    }
    let took = start.elapsed().as_secs_f64();
    let (mut web, ended) = (Web::connect(&address).await, Instant::now());
    loop {
        // Lists come from the view, which may be a moment behind.
        let counted = count(&mut web, name).await;
        if counted == all.writes {
            break;
        }
        assert!(ended.elapsed() < PATIENCE, "{} writes were acknowledged, {counted} are there", all.writes);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "{}",
        json!({
            "part": name, "clients": clients, "seconds": took, "writes": all.writes, "conflicts": all.conflicts,
            "refused": all.refused, "writes_per_second": all.writes as f64 / took, "request": Latency::of(&all.times),
        })
    );
}

/// One connection that writes.
struct Client {
    web: Web,
    name: String,
    number: u64,
    draws: u64,
}

impl Client {
    async fn run(mut self, part: Part, until: Instant) -> Seen {
        let mut seen = Seen::none();
        while Instant::now() < until {
            match part {
                Part::Counters { spread } => self.add(spread, &mut seen).await,
                Part::Compare { spread } => self.compare(spread, &mut seen).await,
                Part::Transactions => self.transact(&mut seen).await,
            }
        }
        seen
    }

    /// A number below `below` that looks like any other (splitmix64).
    fn draw(&mut self, below: u64) -> u64 {
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.draws;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    /// One more for a counter.
    async fn add(&mut self, spread: bool, seen: &mut Seen) {
        let key = if spread { self.draw(DOCUMENTS) } else { 0 };
        let path = self.path(key);
        let body = r#"{"update":"ADD n :one","values":{":one":1}}"#;
        let begun = Instant::now();
        let answer = self.web.ask("PATCH", &path, JSON, body).await;
        seen.record(begun, 1, &answer);
    }

    /// Reads a document and writes one that is one more, if nobody was faster.
    async fn compare(&mut self, spread: bool, seen: &mut Seen) {
        let key = if spread { self.number * OWN + self.draw(OWN) } else { 0 };
        let path = self.path(key);
        let body = match self.web.ask("GET", &path, "", "").await {
            (200, text) => {
                let document: Value = serde_json::from_str(&text).expect("a document");
                let was = document["n"].as_u64().expect("a number");
                json!({"update": "SET n = :is", "condition": "n = :was", "values": {":was": was, ":is": was + 1}})
            }
            (404, _) => json!({"update": "SET n = :is", "condition": "attribute_not_exists(n)", "values": {":is": 1}}),
            (status, text) => panic!("{status}: {text}"),
        };
        let body = body.to_string();
        let begun = Instant::now();
        let answer = self.web.ask("PATCH", &path, JSON, &body).await;
        seen.record(begun, 1, &answer);
    }

    /// Counters of different documents, each under a condition that always holds.
    async fn transact(&mut self, seen: &mut Seen) {
        let first = self.draw(DOCUMENTS - WRITES);
        let writes: Vec<Value> = (first..first + WRITES)
            .map(|key| {
                json!({
                    "table": TABLE, "key": self.key(key), "update": "ADD n :one",
                    "condition": "attribute_not_exists(n) OR n < :most", "values": {":one": 1, ":most": 1_000_000_000},
                })
            })
            .collect();
        let body = json!({ "writes": writes }).to_string();
        let begun = Instant::now();
        let answer = self.web.ask("POST", "/v1/transactions", JSON, &body).await;
        seen.record(begun, WRITES, &answer);
    }

    fn key(&self, number: u64) -> String {
        format!("{}-{number:06}", self.name)
    }

    fn path(&self, number: u64) -> String {
        format!("/v1/tables/{TABLE}/documents/{}", self.key(number))
    }
}

impl Seen {
    fn none() -> Self {
        Self { times: histogram(), writes: 0, conflicts: 0, refused: 0 }
    }

    fn record(&mut self, begun: Instant, writes: u64, (status, text): &(u16, String)) {
        match status {
            200 | 201 => {
                self.times.saturating_record(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
                self.writes += writes;
            }
            412 => self.conflicts += 1,
            503 => self.refused += 1,
            _ => panic!("{status}: {text}"),
        }
    }
}

/// What the documents of a part add up to.
async fn count(web: &mut Web, part: &str) -> u64 {
    let (mut sum, mut after) = (0, String::new());
    loop {
        let path = format!("/v1/tables/{TABLE}/documents?max=1000&from={part}-&to={part}-999999{after}");
        let (status, text) = web.ask("GET", &path, "", "").await;
        assert_eq!(status, 200, "{text}");
        let page: Value = serde_json::from_str(&text).expect("a page");
        let documents = page["documents"].as_array().expect("documents");
        sum += documents.iter().filter_map(|document| document["value"]["n"].as_u64()).sum::<u64>();
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return sum,
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds")
}
