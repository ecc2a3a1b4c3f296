//! The real log on a disk that loses its power: after each cut every event that is in the input has come out of each
//! rule once, and every delivery that was owed has been made at least once. An event that meets a bug is one dead letter of
//! the rule that met it.

use std::collections::BTreeSet;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use headwater_log::{Log, park};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::bench::Bench;
use headwater_testkit::FaultyDisk;

const RULES: [&str; 3] = ["one", "two", "three"];

fn rule(stream: &str) -> Value {
    json!({"source": "in", "start": "earliest", "pattern": {"id": [{"exists": true}]}, "targets": [
        {"type": "stream", "stream": stream},
        {"type": "destination", "destination": "out", "input": {"path": "$.id"}},
    ]})
}

/// A rule whose table meets a bug with some of the events.
const DOCS: &str = "docs";

fn docs() -> Value {
    json!({"source": "in", "start": "earliest", "pattern": {"id": [{"exists": true}]}, "targets": [
        {"type": "table", "table": "docs", "key": "$.key"},
    ]})
}

fn is_bad(id: u64) -> bool {
    id % 13 == 5
}

fn event(id: u64) -> Value {
    json!({"id": id, "key": format!("k{id}"), "note": if is_bad(id) { "bug" } else { "" }})
}

/// The number of the event that a letter is of.
fn of_letter(letter: &Value) -> u64 {
    let event: Value = serde_json::from_str(letter["data"].as_str().unwrap()).unwrap();
    event["id"].as_u64().unwrap()
}

/// Waits until the last thread has let go of a log.
pub fn until_gone(log: &Weak<dyn Log>) {
    let begun = Instant::now();
    while log.strong_count() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "somebody still holds the log");
        park::nap(&Notify::new(), Duration::from_millis(1));
    }
}

fn ids(values: &[Value]) -> Vec<u64> {
    values.iter().map(|value| value["id"].as_u64().unwrap()).collect()
}

#[test]
fn a_power_cut_at_any_moment_loses_and_doubles_nothing() {
    for seed in 0..6_u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let disk = FaultyDisk::default();
        let mut delivered: BTreeSet<(String, u64)> = BTreeSet::new();
        let mut acked: BTreeSet<u64> = BTreeSet::new();
        let mut next = 0;
        let bench = Bench::on(&disk);
        bench.stream("in");
        for name in RULES {
            bench.resource("Rule", name, rule(name));
        }
        bench.stream("table.docs");
        bench.resource("Rule", DOCS, docs());
        let log = Arc::downgrade(&bench.log);
        drop(bench);
        until_gone(&log);
        let heard = |bench: &Bench, delivered: &mut BTreeSet<(String, u64)>| {
            for (key, value) in bench.outside.came.lock().iter() {
                delivered.insert((key.clone(), value.as_u64().unwrap()));
            }
        };
        for cut in 0..3 {
            let bench = Bench::on(&disk);
            // Some of the rules run from the start, the others come while it goes on.
            let early = rng.random_range(0..RULES.len());
            let mut units: Vec<_> = RULES[..early].iter().map(|name| bench.start("Rule", name, rule(name))).collect();
            units.push(bench.start("Rule", DOCS, docs()));
            disk.cut_after(rng.random_range(5..120));
            for round in 0..400 {
                if round == 3 {
                    for name in &RULES[early..] {
                        let resource = bench.resource("Rule", name, rule(name));
                        units.extend(bench.runtime.block_on(bench.buses.subscribe(&resource)));
                    }
                }
                let count = rng.random_range(1..20);
                let events: Vec<Value> = (next..next + count).map(event).collect();
                next += count;
                if !bench.send("in", &events) {
                    break;
                }
                acked.extend(next - count..next);
            }
            assert!(disk.is_off(), "seed {seed}, cut {cut}: the power stayed on");
            units.iter().for_each(|unit| bench.stop(unit));
            heard(&bench, &mut delivered);
            let log = Arc::downgrade(&bench.log);
            drop((units, bench));
            until_gone(&log);
            disk.power_on(seed * 10 + cut);
        }
        let bench = Bench::on(&disk);
        let mut units: Vec<_> = RULES.iter().map(|name| bench.start("Rule", name, rule(name))).collect();
        units.push(bench.start("Rule", DOCS, docs()));
        let there: Vec<u64> = ids(&bench.read("in").into_iter().map(|seen| seen.value).collect::<Vec<_>>());
        for name in RULES {
            bench.until("all of the input has come out", || bench.read(name).len() >= there.len());
            bench.until("all is delivered", || bench.figure(&format!("rule/{name}"), "pending_deliveries") == 0);
        }
        let all = RULES.iter().chain([&DOCS]);
        bench.until("all is kept or given up", || {
            bench.read("table.docs").len() + bench.read("docs.dead").len() >= there.len()
        });
        bench.until("all is read", || all.clone().all(|name| bench.figure(&format!("rule/{name}"), "lag_events") == 0));
        units.iter().for_each(|unit| bench.stop(unit));
        heard(&bench, &mut delivered);
        for name in RULES {
            let out = ids(&bench.read(name).into_iter().map(|seen| seen.value).collect::<Vec<_>>());
            let mut sorted = out.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, there, "seed {seed}: `{name}` once each");
            let owed: BTreeSet<u64> = there.iter().copied().collect();
            let made: BTreeSet<u64> = delivered
                .iter()
                .filter(|(key, _)| key.starts_with(&format!("rule.{name}.")))
                .map(|(_, id)| *id)
                .collect();
            assert!(owed.is_subset(&made), "seed {seed}: `{name}` has not delivered {:?}", owed.difference(&made));
            assert!(bench.read(&format!("{name}.dead")).is_empty());
        }
        let mut documents: Vec<u64> =
            bench.read("table.docs").iter().map(|seen| seen.key.as_ref().unwrap()[1..].parse().unwrap()).collect();
        let mut letters: Vec<u64> = bench.read("docs.dead").iter().map(|seen| of_letter(&seen.value)).collect();
        documents.sort_unstable();
        letters.sort_unstable();
        let (bad, good): (Vec<u64>, Vec<u64>) = there.iter().partition(|id| is_bad(**id));
        assert_eq!((documents, letters), (good, bad), "seed {seed}: each is a document or a letter, once");
        let kept: BTreeSet<u64> = there.iter().copied().collect();
        assert!(acked.is_subset(&kept), "seed {seed}: acknowledged events are there");
    }
}
