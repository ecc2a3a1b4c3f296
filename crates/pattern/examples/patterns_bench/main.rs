//! Measures matching with 10,000 mixed rules on events of about 900 bytes, in one engine for each start of the program:
//! `cargo run --release -p headwater-pattern --example patterns_bench -- WHAT [SECONDS] [RULES] [FILE]` prints one JSON
//! object. WHAT is `headwater` or `quamina` (a crate that does the same), `every` (events that find a rule of every
//! kind, whatever the number of rules), `wildcards` (one pattern with 100 of them), or `text`, which writes the rules to
//! FILE and the events beside it for an engine in another language. FILE of an engine gets the rules that each event
//! found, so that engines can be held against each other.
//!
//! Rules and events are the same in every run and on every machine; `workload` says what they are.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod workload;

use std::path::Path;
use std::time::{Duration, Instant};

use headwater_pattern::{Pattern, RuleSet, Scratch};
use serde_json::{Value, json};

const ROUNDS: usize = 5;
const EVENTS: usize = 2_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize| arguments.get(at).map(String::as_str);
    let what = word(0).unwrap_or("headwater");
    let seconds: f64 = word(1).map_or(2.0, |text| text.parse().unwrap());
    let rules: usize = word(2).map_or(10_000, |text| text.parse().unwrap());
    let file = word(3).map(Path::new);
    let events = if what == "every" { workload::events(EVENTS, rules) } else { workload::stream(EVENTS) };
    let figures = match what {
        "text" => text(rules, &events, file.unwrap()),
        "quamina" => quamina(seconds, rules, &events, file),
        "wildcards" => headwater(seconds, &[workload::wildcards()], &events, file),
        _ => headwater(seconds, &workload::rules(rules).map(|rule| rule.text).collect::<Vec<_>>(), &events, file),
    };
    println!("{figures}");
}

fn headwater(seconds: f64, rules: &[String], events: &[String], file: Option<&Path>) -> Value {
    let start = Instant::now();
    let patterns: Vec<Pattern> = rules.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    let set = RuleSet::build(&patterns).unwrap();
    let built = start.elapsed();
    let mut scratch = Scratch::default();
    let found: Vec<Vec<u32>> =
        events.iter().map(|event| set.matches(event.as_bytes(), &mut scratch).unwrap().to_vec()).collect();
    let rate = rate(seconds, events, |event| set.matches(event, &mut scratch).unwrap().len());
    figures(rate, built, events, &found, file)
}

fn quamina(seconds: f64, rules: usize, events: &[String], file: Option<&Path>) -> Value {
    let start = Instant::now();
    let mut set = quamina::QuaminaBuilder::new().with_arena_byte_budget(4 << 30).build().unwrap();
    for (number, rule) in (0_u32..).zip(workload::rules(rules)) {
        // It has no `$or`; several patterns of one name are the same.
        rule.ways.iter().for_each(|way| set.add_pattern(number, way).unwrap());
    }
    let built = start.elapsed();
    let mut found: Vec<Vec<u32>> =
        events.iter().map(|event| set.matches_for_event(event.as_bytes()).unwrap().to_vec()).collect();
    found.iter_mut().for_each(|rules| rules.sort_unstable());
    found.iter_mut().for_each(Vec::dedup);
    let rate = rate(seconds, events, |event| set.matches_for_event(event).unwrap().len());
    figures(rate, built, events, &found, file)
}

fn figures(rate: f64, built: Duration, events: &[String], found: &[Vec<u32>], file: Option<&Path>) -> Value {
    if let Some(file) = file {
        let line = |rules: &Vec<u32>| rules.iter().map(u32::to_string).collect::<Vec<_>>().join(" ") + "\n";
        std::fs::write(file, found.iter().map(line).collect::<String>()).unwrap();
    }
    let mean = |sum: usize| sum as f64 / events.len() as f64;
    json!({
        "events_per_cpu_second": rate.round(),
        "event_bytes": mean(events.iter().map(String::len).sum()).round(),
        "rules_found_per_event": mean(found.iter().map(Vec::len).sum()),
        "build_ms": built.as_millis() as u64,
    })
}

fn text(rules: usize, events: &[String], file: &Path) -> Value {
    let lines = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| text + "\n").collect::<String>();
    std::fs::write(file, lines(&mut workload::rules(rules).map(|rule| rule.text))).unwrap();
    std::fs::write(file.with_file_name("events.txt"), lines(&mut events.iter().cloned())).unwrap();
    json!({"rules": rules, "events": events.len()})
}

/// Events for each second that this thread has been given: the median of some rounds.
fn rate(seconds: f64, events: &[String], mut one: impl FnMut(&[u8]) -> usize) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (start, cpu, mut count) = (Instant::now(), cpu_time(), 0);
            while start.elapsed() < Duration::from_secs_f64(seconds / ROUNDS as f64) {
                for event in events {
                    std::hint::black_box(one(event.as_bytes()));
                }
                count += events.len();
            }
            count as f64 / (cpu_time() - cpu).as_secs_f64()
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
