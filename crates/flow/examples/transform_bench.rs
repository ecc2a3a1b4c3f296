//! Measures the anonymise program on 1.2 KB marketplace events: the lazy path against parsing and writing everything.
//! One thread; prints one JSON object. `cargo run --release -p headwater-flow --example transform_bench -- [SECONDS]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_base::{Micros, Place, Problem};
use headwater_flow::doc::Doc;
use headwater_flow::program::{Compiler, Env, Meta};
use headwater_kernel::port::Secrets;
use rand::{RngExt, SeedableRng};

const ANONYMISE: &str = r#"
.ip_token = token(.ip, "visitors", period: "month")
.ip_net = truncate_ip(.ip)
.email_token = token(.props.email, "visitors")
.visitor = token(.device_id, "visitors", period: "month")
.agent = user_agent(.ua)
del(.ip)
del(.ua)
del(.device_id)
del(.props.email)
del(.props.phone)
.page_path = del(.page.path)
.schema = 2
if .listing.price == null { .listing.price = 0 }
"#;

struct OneSecret;

impl Secrets for OneSecret {
    fn read(&self, _: &str) -> Result<Bytes, Problem> {
        Ok(Bytes::from_static(b"correct horse battery staple"))
    }
}

fn main() {
    let seconds: f64 = std::env::args().nth(1).map_or(3.0, |text| text.parse().expect("seconds"));
    let events = events(2_000);
    let bytes: usize = events.iter().map(Bytes::len).sum();
    let compiler = Compiler::new(Arc::new(OneSecret));
    let program = compiler.program(ANONYMISE, &Place { path: "bench".into(), line: 1, column: 1 }).expect("program");
    let mut env = Env::new();
    env.set(&Meta {
        stream: "clicks.raw",
        partition: 3,
        offset: 17,
        ingested: Micros(1_795_000_000_000_000),
        time: Some(Micros(1_795_000_000_000_000)),
        now: Micros(1_795_000_000_000_000),
    });

    let mut full_env = Env::new();
    let open = measure(seconds / 4.0, &events, |event| drop(std::hint::black_box(Doc::new(event.clone()).unwrap())));
    let lazy = measure(seconds, &events, |event| {
        let mut doc = Doc::new(event.clone()).expect("an object");
        program.run(&mut doc, &mut env).expect("runs");
        std::hint::black_box(doc.encode());
    });
    let full = measure(seconds, &events, |event| {
        std::hint::black_box(program.run_in_full(event, &mut full_env).expect("runs"));
    });
    let mut parts = serde_json::Map::new();
    for line in ANONYMISE.lines().filter(|line| !line.is_empty()) {
        let one = compiler.program(line, &Place { path: "bench".into(), line: 1, column: 1 }).expect("program");
        let cost = measure(seconds / 10.0, &events, |event| {
            let mut doc = Doc::new(event.clone()).expect("an object");
            one.run(&mut doc, &mut env).expect("runs");
            std::hint::black_box(&doc);
        });
        parts.insert(line.to_owned(), ((cost - open) * 1e6).into());
    }
    let sonic = measure(seconds / 4.0, &events, |event| {
        let part = |path: &[&str]| sonic_rs::get(&event[..], path).is_ok();
        std::hint::black_box((part(&["ip"]), part(&["props", "email"]), part(&["page", "path"])));
    });
    println!(
        "{}",
        serde_json::json!({
            "event_bytes": bytes / events.len(),
            "lazy_us": lazy * 1e6, "lazy_events_per_second": 1.0 / lazy,
            "full_us": full * 1e6, "full_events_per_second": 1.0 / full,
            "ratio": full / lazy,
            "check_and_index_us": open * 1e6,
            "sonic_three_gets_us": sonic * 1e6,
            "statements_us": parts,
        })
    );
}

/// CPU seconds per event, so that a busy neighbour does not count: the median of five rounds.
fn measure(seconds: f64, events: &[Bytes], mut one: impl FnMut(&Bytes)) -> f64 {
    let mut rounds: Vec<f64> = (0..5)
        .map(|_| {
            let (start, cpu, mut count) = (Instant::now(), cpu_seconds(), 0_u64);
            while start.elapsed() < Duration::from_secs_f64(seconds / 5.0) {
                for event in events {
                    one(event);
                }
                count += events.len() as u64;
            }
            (cpu_seconds() - cpu) / count as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[2]
}

/// Time this thread has been running, from the scheduler.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

/// Marketplace events with a common first level and nested parts that differ by kind.
fn events(count: usize) -> Vec<Bytes> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let agents = [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.3 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
        "python-requests/2.32.3",
    ];
    (0..count)
        .map(|n| {
            let kind = ["view", "search", "like", "order", "sign_in"][rng.random_range(0..5)];
            let event = serde_json::json!({
                "id": format!("01J{:022}", n),
                "time": format!("2026-11-23T09:{:02}:{:02}.{:03}Z", n / 60 % 60, n % 60, rng.random_range(0..1000)),
                "kind": kind,
                "source": "app.ios",
                "user_id": format!("u{:07}", rng.random_range(0..1_000_000)),
                "session": format!("{:032x}", rng.random::<u128>()),
                "device_id": format!("{:032x}", rng.random::<u128>()),
                "ip": format!("{}.{}.{}.{}", rng.random_range(1..223), rng.random_range(0..255), rng.random_range(0..255), rng.random_range(1..255)),
                "ua": agents[rng.random_range(0..3)],
                "locale": "en_US", "tz_offset": -480, "app_version": "8.91.2",
                "page": {"path": format!("/listing/{}", rng.random_range(0..200_000)), "referrer": "https://www.example.com/feed?tab=new", "title": "Vintage denim jacket – M"},
                "listing": {"id": format!("l{:06}", rng.random_range(0..200_000)), "seller": format!("u{:07}", rng.random_range(0..1_000_000)), "price": rng.random_range(500..20_000) as f64 / 100.0,
                    "brand": "Levi's", "category": ["women", "jackets", "denim"], "size": "M", "condition": "used_good", "likes": 42, "images": ["a1.jpg", "a2.jpg", "a3.jpg"]},
                "props": {"position": 7, "query": "denim jacket", "email": format!("user{n}@example.com"), "phone": "+1 555 0100", "experiment": {"ranker": "b", "layout": "grid3"},
                    "tags": ["autumn", "sale", "free-shipping"], "viewport": {"w": 390, "h": 844}, "dwell_ms": rng.random_range(100..60_000)},
                "context": {"campaign": {"source": "newsletter", "medium": "email", "name": "autumn-drop-2026"}, "screen": "ListingDetail", "network": "wifi", "os": "iOS 19.3", "device": "iPhone17,2"},
                "flags": {"new_user": false, "logged_in": true, "consent": ["analytics", "ads"]}
            });
            Bytes::from(serde_json::to_vec(&event).unwrap())
        })
        .collect()
}
