//! Measures the lake: how soon after its moment an event is seen by SQL while it comes in at a set rate, and what a query
//! costs when a twentieth of its rows is in no snapshot yet. Prints one JSON object.
//! `cargo run --release -p headwater --example lake_bench -- PORT_OFFSET EVENTS_PER_SECOND SECONDS`, with a node there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use headwater::solution::clickstream::live::Latency;
use headwater::solution::node::{Node, wall_ms};
use headwater_kernel::port::solutions::File;
use headwater_wire::batch::{Builder, Compression};
use reqwest::Method;
use serde_json::{Value, json};

/// A dataset whose events have no two alike.
const RESOURCES: &str = "
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: bench.sales}
spec: {partitions: 4, retention: {time: 1h}}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: sales}
spec:
  stream: bench.sales
  snapshotInterval: 60s
  columns:
    - {name: n, type: long, required: true}
    - {name: at, type: timestamp}
    - {name: lane, type: int, path: $partition}
    - {name: country, type: string}
    - {name: route, type: int}
    - {name: amount, type: decimal, precision: 12, scale: 2}
";
const LANES: u64 = 4;
/// Events are sent so often.
const TICK: Duration = Duration::from_millis(5);
/// What is asked of the whole table.
const QUERIES: [&str; 4] = [
    "SELECT count(*), sum(amount) FROM sales WHERE route < 900",
    "SELECT country, count(*), sum(amount), avg(route) FROM sales GROUP BY country ORDER BY country",
    "SELECT route, sum(amount) AS total FROM sales GROUP BY route ORDER BY total DESC, route LIMIT 10",
    "SELECT date_trunc('minute', at) AS minute, max(amount) FROM sales WHERE country = 'IN' GROUP BY 1 ORDER BY 1",
];
/// Each query is asked so often; the fastest counts.
const ROUNDS: usize = 9;

#[tokio::main]
async fn main() {
    let arguments: Vec<u64> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let [offset, rate, seconds] = arguments[..] else { panic!("PORT_OFFSET EVENTS_PER_SECOND SECONDS") };
    let node = Node::local(u16::try_from(offset).expect("an offset")).expect("a node");
    node.apply(&[File { name: "bench.yaml".into(), text: RESOURCES.into() }]).await.expect("applied");
    let records = rate * seconds;

    let (start, done) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let feeding = tokio::spawn(feed(node.clone(), 0..records, Some(rate), start, done.clone()));
    let visible = watch(&node, start, rate, &done).await;
    feeding.await.expect("fed");
    let snapshots = described(&node).await["snapshots"].as_u64();

    // Ninety-five parts in files and five behind them, against all of them in files.
    settled(&node, records).await;
    feed(node.clone(), records..records + records / 19, None, Instant::now(), done).await;
    let rows = |answer: &Value| answer["rows"][0][0].as_u64();
    assert_eq!(rows(&ask(&node, "SELECT count(*) FROM sales").await), Some(records + records / 19));
    let (hot, in_snapshots) = (timed(&node).await, described(&node).await["rows"].as_u64());
    settled(&node, records + records / 19).await;
    let cold = timed(&node).await;
    let ratio = |(hot, cold): (&f64, &f64)| hot / cold;
    let ratios: Vec<f64> = hot.iter().zip(&cold).map(ratio).collect();
    println!(
        "{}",
        json!({
            "rate": rate, "records": records, "visible": Latency::of(&visible), "snapshots": snapshots,
            "union": {
                "rows": records + records / 19, "rows_in_snapshots_before": in_snapshots,
                "hot_ms": hot, "cold_ms": cold, "ratio": geomean(&ratios), "ratios": ratios,
            },
        })
    );
}

/// Sends events in their order, lane by lane, each lane acknowledged; with a rate, at the moment of each.
async fn feed(node: Node, numbers: std::ops::Range<u64>, rate: Option<u64>, start: Instant, done: Arc<AtomicBool>) {
    let (mut sender, mut receiver) = node.connect().await.expect("a connection").split();
    let (sent, mut waiting) = tokio::sync::mpsc::channel(64);
    let acked = tokio::spawn(async move {
        while waiting.recv().await.is_some() {
            receiver.produced().await.expect("produced");
        }
    });
    let (first, mut next) = (numbers.start, numbers.start);
    while next < numbers.end {
        let until = match rate {
            Some(rate) => {
                tokio::time::sleep(TICK).await;
                let elapsed = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
                first + elapsed * rate / 1_000_000
            }
            None => next + 1_000,
        };
        let mut lanes: Vec<Builder> = (0..LANES).map(|_| Builder::new(Compression::None)).collect();
        for number in next..until.min(numbers.end) {
            let lane = usize::try_from(number % LANES).unwrap_or(0);
            lanes[lane].push(wall_ms(), None, Some(event(number).as_bytes()), &[]);
        }
        next = until.min(numbers.end);
        let batches: Vec<_> =
            (0..).zip(lanes).filter(|(_, lane)| !lane.is_empty()).map(|(n, lane)| (n, lane.finish())).collect();
        if !batches.is_empty() {
            sender.produce("bench.sales", &batches).await.expect("sent");
            sent.send(()).await.expect("a receiver");
        }
    }
    drop(sent);
    acked.await.expect("all acknowledged");
    done.store(true, Ordering::Release);
}

fn event(number: u64) -> String {
    const COUNTRIES: [&str; 5] = ["IN", "ID", "CO", "PE", "SG"];
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let country = COUNTRIES[usize::try_from(mixed % 5).unwrap_or(0)];
    let (route, cents) = (mixed % 1_000, mixed % 99_991);
    let at = wall_ms();
    format!(
        r#"{{"n":{number},"at":{at},"country":"{country}","route":{route},"amount":"{}.{:02}"}}"#,
        cents / 100,
        cents % 100
    )
}

/// Asks for the newest event of each lane, again and again: from the moment at which an event was meant to be sent until
/// an answer that has it is there.
async fn watch(node: &Node, start: Instant, rate: u64, done: &AtomicBool) -> Histogram<u64> {
    let mut times = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds");
    let mut seen = [0_u64; LANES as usize];
    loop {
        let over = done.load(Ordering::Acquire);
        let least = seen.iter().min().copied().unwrap_or(0);
        let answer = ask(node, &format!("SELECT lane, max(n) FROM sales WHERE n >= {least} GROUP BY lane")).await;
        let now = start.elapsed();
        for row in answer["rows"].as_array().into_iter().flatten() {
            let (Some(lane), Some(newest)) = (row[0].as_u64(), row[1].as_u64()) else { continue };
            let seen = &mut seen[usize::try_from(lane).expect("a lane")];
            // Numbers of a lane are `LANES` apart.
            let new = (*seen..=newest).filter(|number| number % LANES == lane);
            for number in new.filter(|number| *number > *seen || *seen == 0) {
                let intended = Duration::from_micros(number * 1_000_000 / rate);
                let micros = now.saturating_sub(intended).as_micros();
                times.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
            }
            *seen = newest;
        }
        if over {
            return times;
        }
    }
}

async fn timed(node: &Node) -> Vec<f64> {
    let mut best = Vec::new();
    for query in QUERIES {
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            // No two alike: an answer that is kept says nothing of a query.
            let query = format!("{query} -- {round} at {}", wall_ms());
            let begun = Instant::now();
            ask(node, &query).await;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        best.push(times.into_iter().fold(f64::INFINITY, f64::min));
    }
    best
}

/// Waits until so many rows are in snapshots.
async fn settled(node: &Node, rows: u64) {
    let begun = Instant::now();
    while described(node).await["rows"].as_u64() != Some(rows) {
        assert!(begun.elapsed() < Duration::from_secs(200), "{rows} rows in snapshots");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn described(node: &Node) -> Value {
    node.web.get(&["v1", "datasets", "sales", "table"], &[]).await.unwrap_or(Value::Null)
}

async fn ask(node: &Node, query: &str) -> Value {
    let body = json!({ "query": query }).to_string().into_bytes();
    let asked = node.web.json(Method::POST, &["v1", "sql"], &[], Some(("application/json", body))).await;
    asked.unwrap_or_else(|problems| panic!("{query}: {problems:?}"))
}

fn geomean(figures: &[f64]) -> f64 {
    (figures.iter().map(|figure| figure.ln()).sum::<f64>() / figures.len() as f64).exp()
}
