//! Events per second of CPU of this crate and of the `quamina` crate, on the same rules and the same events of about 900
//! bytes, in turns: `cargo run --release -p headwater-pattern --example peers -- [SECONDS] [RULES...]`. With `ALONE`
//! in the environment only this crate runs, on mixed rules.
//!
//! Rules are a mix of ten kinds, as many of each; about one rule of each kind matches each event whatever their number,
//! so that the answer does not grow with the rules. Both sides must find the same number of rules. Medians of rounds.
//! (`anything-but` stands behind an exact field because quamina 0.7.0 panics once 256 rules start with different ones.)

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::{Duration, Instant};

use headwater_pattern::{Pattern, RuleSet, Scratch};

const ROUNDS: usize = 5;

/// The same sequence in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

const SOURCES: usize = 20;
const TYPES: usize = 50;

fn rule(number: usize) -> String {
    let (kind, id) = (number % 10, number / 10);
    let source = format!("shop.source-{}", id % SOURCES);
    let other = (id + 1) % TYPES;
    match kind {
        0 => format!(r#"{{"source": ["{source}"], "detail": {{"user": {{"id": ["u-{id:06}"]}}}}}}"#),
        1 => format!(
            r#"{{"detail-type": ["Type {}", "Type {other}"], "detail": {{"order": {{"id": ["o-{id:06}", "o-x{id}"]}}}}}}"#,
            id % TYPES
        ),
        2 => format!(r#"{{"detail": {{"request": {{"path": [{{"prefix": "/tenants/t-{id:06}/"}}]}}}}}}"#),
        3 => format!(r#"{{"detail": {{"file": [{{"suffix": "-{id:06}.csv.gz"}}]}}}}"#),
        4 => {
            format!(r#"{{"detail": {{"request": {{"referrer": [{{"wildcard": "campaign-{id:06}/*/landing"}}]}}}}}}"#)
        }
        5 => format!(r#"{{"detail": {{"user": {{"name": [{{"equals-ignore-case": "JANE DOE {id:06}"}}]}}}}}}"#),
        6 => format!(
            r#"{{"source": ["{source}"], "detail": {{"amount": [{{"numeric": [">=", {}, "<", {}]}}]}}}}"#,
            id * 10,
            id * 10 + 10
        ),
        7 => format!(
            r#"{{"detail": {{"tenant": ["tenant-{id:06}"], "verdict": [{{"anything-but": ["closed", "lost-{}"]}}]}}}}"#,
            id % 7
        ),
        8 => format!(r#"{{"detail": {{"session": ["s-{id:06}"], "error": [{{"exists": false}}]}}}}"#),
        _ => format!(
            r#"{{"detail": {{"request": {{"ip": [{{"cidr": "{}.{}.{}.0/24"}}]}}}}}}"#,
            10 + id / 65_536,
            id / 256 % 256,
            id % 256
        ),
    }
}

fn event(rules: usize, chance: &mut Chance) -> String {
    let mut id = || chance.below((rules / 10).max(1));
    let (one, block, money) = (id(), id(), id());
    format!(
        concat!(
            r#"{{"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "Type {}", "source": "shop.source-{}", "#,
            r#""account": "111122223333", "time": "2026-11-22T18:43:48Z", "region": "eu-central-1", "#,
            r#""resources": ["arn:aws:shop:eu-central-1:111122223333:order/o-{:06}", "arn:aws:shop:eu-central-1:111122223333:user/u-{:06}"], "#,
            r#""detail": {{"tenant": "tenant-{:06}", "verdict": "paid", "session": "s-{:06}", "amount": {}.25, "currency": "EUR", "#,
            r#""file": "exports/2026/11/22/orders-{:06}.csv.gz", "user": {{"id": "u-{:06}", "name": "Jane Doe {:06}", "email": "jane@example.org", "#,
            r#""roles": ["buyer", "reviewer"]}}, "order": {{"id": "o-{:06}", "items": 3, "lines": [{{"sku": "sku-1", "count": 1}}, {{"sku": "sku-2", "count": 2}}]}}, "#,
            r#""request": {{"ip": "{}.{}.{}.17", "path": "/tenants/t-{:06}/orders/list", "method": "GET", "#,
            r#""referrer": "campaign-{:06}/news.example.org/landing", "agent": "Mozilla/5.0 (X11; Linux x86_64)"}}}}}}"#
        ),
        one % TYPES,
        one % SOURCES,
        one,
        one,
        id(),
        id(),
        money * 10 + 3,
        id(),
        one,
        id(),
        one,
        10 + block / 65_536,
        block / 256 % 256,
        block % 256,
        id(),
        id(),
    )
}

/// Time this thread has been given, so that other work on the machine counts less.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// Rounds of contenders in turns: events for each second of CPU, and rules found, of each.
fn duel(name: &str, seconds: f64, events: &[String], contenders: &mut [(&str, &mut dyn FnMut(&[u8]) -> usize)]) {
    let mut rates = vec![Vec::new(); contenders.len()];
    let mut found = vec![0; contenders.len()];
    for round in 0..ROUNDS {
        for (at, (_, matches)) in contenders.iter_mut().enumerate() {
            if round == 0 {
                found[at] = events.iter().map(|event| matches(event.as_bytes())).sum();
            }
            let (wall, start, mut count) = (Instant::now(), cpu_time(), 0);
            while wall.elapsed() < Duration::from_secs_f64(seconds / ROUNDS as f64) {
                for event in events.iter().cycle().skip(count % events.len()).take(50) {
                    std::hint::black_box(matches(event.as_bytes()));
                }
                count += 50;
            }
            rates[at].push(count as f64 / (cpu_time() - start).as_secs_f64());
        }
    }
    let bytes = events.iter().map(String::len).sum::<usize>() / events.len();
    let mut line = format!("{name:<28} {bytes:>5} B");
    let mut medians = Vec::new();
    for (at, (who, _)) in contenders.iter().enumerate() {
        rates[at].sort_by(f64::total_cmp);
        let median = rates[at][ROUNDS / 2];
        medians.push(median);
        line += &format!("  {who} {median:>9.0}/s ({} found)", found[at]);
    }
    if let [ours, theirs] = medians[..] {
        line += &format!("  ratio {:.2}", ours / theirs);
    }
    println!("{line}");
}

fn main() {
    let arguments: Vec<f64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let seconds = arguments.first().copied().unwrap_or(2.0);
    let sizes: Vec<usize> = arguments.iter().skip(1).map(|size| *size as usize).collect();
    let alone = std::env::var_os("ALONE").is_some();
    let sizes = if sizes.is_empty() { vec![100, 1_000, 10_000, 100_000] } else { sizes };
    for size in sizes {
        mixed(size, seconds, alone);
    }
    if alone {
        return;
    }
    let stars: Vec<String> = (0..100).map(|id| format!(r#"{{"wildcard": "*/orders/{id}*x*"}}"#)).collect();
    wildcards(
        "100 wildcards, one pattern",
        &[format!(r#"{{"detail": {{"request": {{"path": [{}]}}}}}}"#, stars.join(","))],
        seconds,
    );
    let stars: Vec<String> = (0..100)
        .map(|id| format!(r#"{{"detail": {{"request": {{"path": [{{"wildcard": "*/*o*{id}"}}]}}}}}}"#))
        .collect();
    wildcards("100 wildcards, 100 patterns", &stars, seconds);
}

fn mixed(size: usize, seconds: f64, alone: bool) {
    let rules: Vec<String> = (0..size).map(rule).collect();
    let start = Instant::now();
    let patterns: Vec<Pattern> = rules.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    let parsed = start.elapsed();
    let set = RuleSet::build(&patterns).unwrap();
    println!("{size} rules: parsed in {parsed:.0?}, built in {:.0?}", start.elapsed() - parsed);
    let start = Instant::now();
    let mut peer = peer();
    for (number, text) in rules.iter().enumerate().filter(|_| !alone) {
        peer.add_pattern(number, text).unwrap();
    }
    println!("{size} rules: added to quamina in {:.0?}", start.elapsed());
    let mut chance = Chance(7);
    let events: Vec<String> = (0..1_000).map(|_| event(size, &mut chance)).collect();
    let mut scratch = Scratch::default();
    let mut ours = |event: &[u8]| set.matches(event, &mut scratch).unwrap().len();
    let mut theirs = |event: &[u8]| peer.matches_for_event(event).unwrap().len();
    if alone {
        return duel(&format!("{size} mixed rules"), seconds, &events, &mut [("headwater", &mut ours)]);
    }
    duel(&format!("{size} mixed rules"), seconds, &events, &mut [("headwater", &mut ours), ("quamina", &mut theirs)]);
}

fn wildcards(name: &str, rules: &[String], seconds: f64) {
    let patterns: Vec<Pattern> = rules.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    let set = RuleSet::build(&patterns).unwrap();
    let mut peer = peer();
    for (number, text) in rules.iter().enumerate() {
        peer.add_pattern(number, text).unwrap();
    }
    let mut chance = Chance(7);
    let events: Vec<String> = (0..1_000).map(|_| event(10_000, &mut chance)).collect();
    let mut scratch = Scratch::default();
    let mut ours = |event: &[u8]| set.matches(event, &mut scratch).unwrap().len();
    let mut theirs = |event: &[u8]| peer.matches_for_event(event).unwrap().len();
    duel(name, seconds, &events, &mut [("headwater", &mut ours), ("quamina", &mut theirs)]);
}

fn peer() -> quamina::Quamina<usize> {
    quamina::QuaminaBuilder::new().with_arena_byte_budget(4 << 30).build().unwrap()
}
