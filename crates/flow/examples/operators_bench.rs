//! What the operators cost on one core: nanoseconds per event, bytes per key.
//!
//! `cargo run --release -p headwater-flow --example operators_bench [EVENTS]`
//!
//! The state is a hash map in memory, so that lookups cost what they do in a pipeline. Keys are skewed: a tenth of them
//! gets most of the events. The generator's own time is measured and taken off.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::time::{Duration, Instant};

use ahash::AHashMap;
use bytes::Bytes;
use headwater_base::Micros;
use headwater_flow::operators::{
    self, Advance, Aggregate, AggregateConfig, Emit, Input, Kind, Measure, Operator, SessionConfig, Sessions, State,
    WindowConfig, Windows,
};

const MINUTE: Duration = Duration::from_secs(60);
const START: i64 = 1_700_000_000_000_000;

#[derive(Default)]
struct Map(AHashMap<Vec<u8>, Bytes>);

impl State for Map {
    fn look(&self, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        seen(self.0.get(key).map(|value| &**value));
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        let value = Bytes::copy_from_slice(value);
        match self.0.get_mut(key) {
            Some(old) => *old = value,
            None => drop(self.0.insert(key.to_vec(), value)),
        }
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.remove(key);
    }

    fn for_part(&self, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        // It has one.
        if part == 0 {
            self.0.iter().for_each(|(key, value)| each(key, value));
        }
    }
}

/// Processor time of this thread, so that other work on the machine does not count; wall time where Linux does not tell.
struct Stopwatch(Option<Duration>, Instant);

impl Stopwatch {
    fn processor() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    }

    fn start() -> Self {
        Self(Self::processor(), Instant::now())
    }

    fn elapsed(&self) -> Duration {
        match (self.0, Self::processor()) {
            (Some(began), Some(now)) => now.saturating_sub(began),
            _ => self.1.elapsed(),
        }
    }
}

/// xorshift64*: repeatable, and cheap beside what is measured.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Small numbers far more often than large ones.
    fn skewed(&mut self, bound: u64) -> u64 {
        let share = self.below(1 << 32) as f64 / 4_294_967_296.0;
        (share * share * share * bound as f64) as u64
    }
}

/// One generated event.
struct Event {
    key: [u8; 16],
    time: Micros,
    offset: i64,
    seed: u64,
}

fn events(count: u64, keys: u64, per_second: u64) -> impl Iterator<Item = Event> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..count).map(move |n| {
        let mut key = *b"user-00000000000";
        key[8..].copy_from_slice(&random.skewed(keys).to_be_bytes());
        // Up to two seconds out of order.
        let time = START + (n * 1_000_000 / per_second) as i64 - random.below(2_000_000) as i64;
        Event { key, time: Micros(time), offset: n as i64, seed: random.next() }
    })
}

/// Runs `each` over the events and prints the cost, less what generating costs.
fn measure(name: &str, count: u64, keys: u64, per_second: u64, mut each: impl FnMut(&mut Map, Event)) {
    let idle = Stopwatch::start();
    let sum = events(count, keys, per_second).fold(0, |sum, event| sum ^ event.seed ^ event.time.0 as u64);
    std::hint::black_box(sum);
    let idle = idle.elapsed();
    let mut state = Map::default();
    let began = Stopwatch::start();
    events(count, keys, per_second).for_each(|event| each(&mut state, event));
    let nanos = began.elapsed().saturating_sub(idle).as_nanos() as f64 / count as f64;
    let mut sizes: Vec<usize> = state.0.values().map(Bytes::len).collect();
    sizes.sort_unstable();
    let at = |share: f64| {
        sizes.get(((sizes.len() as f64 * share) as usize).min(sizes.len().saturating_sub(1))).copied().unwrap_or(0)
    };
    let mean = sizes.iter().sum::<usize>() as f64 / sizes.len().max(1) as f64;
    println!(
        "{name:44} {nanos:8.0} ns/event   {:8} keys   bytes/key mean {mean:6.0} p50 {:5} p99 {:5} max {:6}",
        sizes.len(),
        at(0.5),
        at(0.99),
        at(1.0),
    );
}

fn windows() -> Vec<(String, Duration)> {
    [("1m", 1), ("10m", 10), ("1h", 60), ("24h", 1_440)]
        .map(|(name, minutes)| (name.to_owned(), minutes * MINUTE))
        .into()
}

fn aggregate(measures: Vec<Measure>, values: u64, shown: bool) -> impl FnMut(&mut Map, Event) {
    let mut operator = Aggregate::new(AggregateConfig { windows: windows(), all: None, measures }).unwrap();
    let mut out = Vec::new();
    move |state, event| {
        out.clear();
        let failed = if event.seed.is_multiple_of(7) { Input::Unit } else { Input::Skip };
        let value = (event.seed >> 20) % values;
        let inputs = [Input::Unit, failed, Input::Int((event.seed % 10_000) as i64), Input::Int(value as i64)];
        operator.event(state, &event.key, event.time, (0, event.offset), &inputs, shown.then_some(&mut out)).unwrap();
        if event.offset % 1_000 == 0 {
            operator.advance(state, Micros(event.time.0 - 5_000_000)).unwrap();
        }
        std::hint::black_box(&out);
    }
}

fn rates() -> Vec<Measure> {
    vec![
        Measure::new("events", Kind::Count),
        Measure::new("failures", Kind::Count),
        Measure::new("spend", Kind::Sum),
        Measure::new("devices", Kind::Distinct),
    ]
}

fn keyed(mut operator: impl Operator, lateness: i64) -> impl FnMut(&mut Map, Event) {
    let mut out = Vec::new();
    let pages = ["/", "/search", "/listing", "/listing/photos", "/cart", "/checkout", "/profile", "/help"];
    move |state, event| {
        let page = Input::Text(pages[(event.seed % 8) as usize]);
        let bought = if event.seed % 8 == 5 { Input::Unit } else { Input::Skip };
        let inputs = [Input::Unit, bought, Input::Int((event.seed % 10_000) as i64), page];
        let (time, position) = (event.time, (0, event.offset));
        let taken = operators::Event { key: &event.key, time, position, hops: 0, inputs: &inputs };
        operator.event(state, &taken, &mut out).unwrap();
        if event.offset % 1_000 == 0 {
            while operator.advance(state, Micros(event.time.0 - lateness), &mut out).unwrap() == Advance::More {}
            std::hint::black_box(&out);
            out.clear();
        }
    }
}

fn sessions(path_max: Option<usize>) -> Sessions {
    let measures = rates()[..3].to_vec();
    Sessions::new(SessionConfig { gap: 30 * MINUTE, lateness: MINUTE, measures, path_max, emit: Emit::Close }).unwrap()
}

fn tumbling(every: u32) -> Windows {
    let measures = rates()[..3].to_vec();
    let (size, every) = (MINUTE, Duration::from_secs(u64::from(every)));
    Windows::new(WindowConfig { size, every, lateness: MINUTE, measures }).unwrap()
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(2_000_000);
    println!("four windows (1m 10m 1h 24h):");
    measure("  aggregate, 3 measures, 500k keys", count, 500_000, 28_000, aggregate(rates()[..3].to_vec(), 3, true));
    measure("  aggregate, 4 measures, 500k keys", count, 500_000, 28_000, aggregate(rates(), 3, true));
    measure("  aggregate, 4 measures, 1k keys over 2 days", count, 1_000, 12, aggregate(rates(), 3, true));
    measure("  the same, without the values of each event", count, 1_000, 12, aggregate(rates(), 3, false));
    measure("  aggregate, 20k values of 20 keys", count / 4, 20, 500, aggregate(rates(), 20_000, true));
    println!("reading:");
    read(count / 4);
    println!("windows of event time:");
    measure("  session 30m, 3 measures, no path", count, 500_000, 28_000, keyed(sessions(None), 5_000_000));
    measure("  session 30m, 3 measures, path of 50", count, 500_000, 28_000, keyed(sessions(Some(50)), 5_000_000));
    measure("  session 30m, path of 50, 1k busy keys", count, 1_000, 2_000, keyed(sessions(Some(50)), 5_000_000));
    measure("  tumbling 1m, 3 measures, 5k keys", count, 5_000, 28_000, keyed(tumbling(60), 5_000_000));
    measure("  sliding 1m every 10s, 3 measures, 5k keys", count, 5_000, 28_000, keyed(tumbling(10), 5_000_000));
}

fn read(count: u64) {
    let mut operator = Aggregate::new(AggregateConfig { windows: windows(), all: None, measures: rates() }).unwrap();
    let mut state = Map::default();
    let mut out = Vec::new();
    for event in events(count, 1_000, 12) {
        let inputs = [Input::Unit, Input::Skip, Input::Int(1), Input::Int((event.seed % 3) as i64)];
        operator.event(&mut state, &event.key, event.time, (0, event.offset), &inputs, None).unwrap();
    }
    let shape = operator.shape();
    let at = Micros(START + (count * 1_000_000 / 12) as i64);
    let began = Stopwatch::start();
    const ROUNDS: usize = 100;
    for _ in 0..ROUNDS {
        for value in state.0.values() {
            out.clear();
            shape.render(value, at, &mut out).unwrap();
            std::hint::black_box(&out);
        }
    }
    println!(
        "  features of a busy key as JSON                {:8.0} ns",
        began.elapsed().as_nanos() as f64 / (ROUNDS * state.0.len()) as f64
    );
}
