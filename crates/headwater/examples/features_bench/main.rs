//! Measures features: marketplace events at a set rate into a pipeline of two aggregates with four windows each; how soon
//! after its moment an event can be read over HTTP, and how long a read takes. Who sends, who probes and who reads have
//! threads of their own. Prints one JSON object.
//! `cargo run --release -p headwater --example features_bench -- PORT_OFFSET EVENTS_PER_SECOND SECONDS`, with a node there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod web;

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use headwater::solution::clickstream::feed::{self, Pace};
use headwater::solution::clickstream::live::Latency;
use headwater::solution::clickstream::traffic::{Traffic, World};
use headwater::solution::client::Client;
use headwater::solution::node::{Node, wall_ms};
use headwater_base::Micros;
use headwater_base::partition::partition_of;
use headwater_kernel::port::solutions::File;
use headwater_wire::batch::{Builder, Compression};
use web::Web;

const RESOURCES: &str = r#"
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: bench.events}
spec: {partitions: 4, retention: {time: 1h}}
---
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: bench.features}
spec: {partitions: 4, retention: {time: 1h}}
---
apiVersion: headwater.dev/v1
kind: Pipeline
metadata: {name: bench-features}
spec:
  source: {type: stream, stream: bench.events}
  time: {field: .time, disorder: 5s, lateness: 1m}
  steps:
    - id: user
      type: aggregate
      key: .user_id
      windows: [1m, 10m, 1h, 24h]
      measures:
        events: {count: true}
        spend: {sum: .price, where: '.kind == "order"'}
        seen: {last: .listing_id, n: 5}
      entity: user
      output: {stream: bench.features}
    - id: listing
      type: aggregate
      key: .listing_id
      windows: [1m, 10m, 1h, 24h]
      measures:
        events: {count: true}
        orders: {count: true, where: '.kind == "order"'}
      entity: listing
      output: {stream: bench.features}
    # Nothing is written of the events themselves.
    - {id: none, type: filter, when: 'false'}
  outputs:
    - {type: stream, stream: bench.features}
"#;

/// Probes each second: events of a user of their own that are read until they are there.
const PROBES: u64 = 50;
/// Reads each second of anybody's features.
const READS: u64 = 500;
/// An event that is not there by then never will be.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let arguments: Vec<u64> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let [offset, rate, seconds] = arguments[..] else { panic!("PORT_OFFSET EVENTS_PER_SECOND SECONDS") };
    let node = Node::local(u16::try_from(offset).expect("an offset")).expect("a node");
    node.apply(&[File { name: "bench.yaml".into(), text: RESOURCES.into() }]).await.expect("applied");
    node.pipelines_ready(Duration::from_secs(60)).await.expect("ready");
    let address = node.web.server().trim_start_matches("http://").to_owned();

    let world = World::full(1, rate, wall_ms());
    let users = u64::from(world.users);
    let mut traffic = Traffic::new(world);
    let pace = Pace { per_second: Some(rate), records: rate * seconds, in_flight: 64, compression: Compression::None };
    let time = Duration::from_secs(seconds);
    let (prober, of_prober) = (node.clone(), address.clone());
    let readable = alone(move || async move { probe(&prober, &of_prober, time).await });
    let read = alone(move || async move { reads(&address, time, users).await });
    let fed = feed::feed(&node, "bench.events", &mut traffic, &pace, |_| ()).await.expect("fed");
    let (readable, read) = (readable.join().expect("probed"), read.join().expect("read"));
    println!(
        "{}",
        serde_json::json!({
            "rate": rate, "records": fed.records, "seconds": fed.took.as_secs_f64(),
            "sender_behind_ms": fed.behind.as_secs_f64() * 1e3,
            "ack": Latency::of(&fed.acks), "readable": Latency::of(&readable), "read": Latency::of(&read),
            "reads_per_second": READS, "probes_per_second": PROBES,
        })
    );
}

/// Runs a client on a thread and a runtime of its own: making events takes the generator up to milliseconds at a stretch,
/// and an answer that lies in the socket meanwhile is none that the node was slow with.
fn alone<F>(client: impl FnOnce() -> F + Send + 'static) -> JoinHandle<F::Output>
where
    F: Future,
    F::Output: Send + 'static,
{
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(client())
    })
}

/// From the moment at which an event was meant to be sent until its user's features hold it.
async fn probe(node: &Node, address: &str, time: Duration) -> Histogram<u64> {
    let mut waiting = Vec::new();
    let (start, mut client) = (Instant::now(), node.connect().await.expect("a connection"));
    for number in 0..time.as_secs() * PROBES {
        let intended = start + Duration::from_micros(number * 1_000_000 / PROBES);
        tokio::time::sleep_until(intended.into()).await;
        let user = format!("probe-{number}");
        send(&mut client, &user).await;
        let mut web = Web::connect(address).await;
        waiting.push(tokio::spawn(async move {
            while web.ask("GET", &format!("/v1/features/user/{user}"), "", "").await.0 != 200 {
                assert!(intended.elapsed() < PATIENCE, "{user} never came");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            intended.elapsed()
        }));
    }
    let mut times = histogram();
    for one in waiting {
        record(&mut times, one.await.expect("a time"));
    }
    times
}

/// Sends a user's event and does not wait for longer than its acknowledgement.
async fn send(client: &mut Client, user: &str) {
    let time = Micros::from_millis(wall_ms());
    let value = format!(r#"{{"id":"{user}","time":"{time}","kind":"view","user_id":"{user}","listing_id":"l0"}}"#);
    let mut batch = Builder::new(Compression::None);
    batch.push(wall_ms(), Some(user.as_bytes()), Some(value.as_bytes()), &[]);
    client.produce("bench.events", &[(partition_of(user.as_bytes(), 4), batch.finish())]).await.expect("produced");
}

/// From the moment at which a read was meant to be sent until its answer, over users of all kinds.
async fn reads(address: &str, time: Duration, users: u64) -> Histogram<u64> {
    let mut times = histogram();
    let (start, mut web) = (Instant::now(), Web::connect(address).await);
    for number in 0..time.as_secs() * READS {
        let intended = start + Duration::from_micros(number * 1_000_000 / READS);
        // What the answer before this one made late counts; that our own timer ticks in milliseconds does not.
        let from = if Instant::now() < intended {
            tokio::time::sleep_until(intended.into()).await;
            Instant::now()
        } else {
            intended
        };
        web.ask("GET", &format!("/v1/features/user/u{:07}", number * number % users), "", "").await;
        record(&mut times, from.elapsed());
    }
    times
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds")
}

fn record(times: &mut Histogram<u64>, time: Duration) {
    times.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}
