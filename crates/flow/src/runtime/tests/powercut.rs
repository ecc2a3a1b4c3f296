//! The real log on a disk that loses its power: after each cut every event that is in the input has come out once, and
//! the running values have counted it once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headwater_base::Micros;
use headwater_testkit::FaultyDisk;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::bench::{Bench, Gate, START, values};

fn spec() -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "ahead": "3650d"},
        "steps": [{"id": "rates", "type": "aggregate", "key": ".user", "windows": ["1d"], "measures": {"events": {"count": true}}, "into": ".rates"}],
        "outputs": [{"type": "stream", "stream": "out", "key": ".user"}],
    })
}

fn events(from: u64, count: u64) -> Vec<String> {
    let event = |id: u64| {
        let time = Micros(START.0 + i64::try_from(id).unwrap() * 1_000).to_string();
        json!({"id": id, "user": format!("u{}", id % 3), "time": time}).to_string()
    };
    (from..from + count).map(event).collect()
}

#[test]
fn a_power_cut_at_any_moment_loses_and_doubles_nothing() {
    for seed in 0..8_u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let disk = FaultyDisk::default();
        let mut acked: BTreeSet<u64> = BTreeSet::new();
        let mut next = 0;
        let bench = Bench::on(&disk);
        bench.stream("in", 1);
        let _ = bench.plan("p", spec());
        drop(bench);
        for cut in 0..3 {
            let bench = Bench::on(&disk);
            let unit = bench.start("p", spec());
            disk.cut_after(rng.random_range(1..60));
            for _ in 0..200 {
                let count = rng.random_range(1..20);
                if !bench.send_durably("in", 0, &events(next, count)) {
                    next += count;
                    break;
                }
                acked.extend(next..next + count);
                next += count;
            }
            assert!(disk.is_off(), "seed {seed}, cut {cut}: the power stayed on");
            bench.stop(&unit);
            drop((unit, bench));
            disk.power_on(seed * 10 + cut);
        }
        let bench = Bench::on(&disk);
        let unit = bench.start("p", spec());
        let ids = |stream: &str| -> Vec<u64> {
            values(&bench.read(stream)).iter().map(|value| value["id"].as_u64().unwrap()).collect()
        };
        let there = ids("in");
        bench.until("all of the input has come out", || bench.read("out").len() >= there.len());
        bench.stop(&unit);
        assert_eq!(ids("out"), there, "seed {seed}: once each, in order");
        let kept: BTreeSet<u64> = there.iter().copied().collect();
        assert!(acked.is_subset(&kept), "seed {seed}: acknowledged events are there");
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        for event in values(&bench.read("out")) {
            let count = counted.entry(event["user"].as_str().unwrap().to_owned()).or_default();
            *count += 1;
            assert_eq!(event["rates"]["events_1d"], json!(*count), "seed {seed}: each event counts once");
        }
    }
}

#[test]
fn what_is_too_much_for_one_commit_goes_into_several() {
    let disk = FaultyDisk::default();
    let bench = Bench::on(&disk);
    bench.stream("in", 1);
    let text = "x".repeat(1_000);
    for from in (0..600).step_by(200) {
        let events: Vec<_> = (from..from + 200).map(|id| json!({"id": id, "text": text}).to_string()).collect();
        assert!(bench.send_durably("in", 0, &events));
    }
    let unit = bench.start(
        "p",
        json!({
            "source": {"type": "stream", "stream": "in"},
            "steps": [{"id": "grow", "type": "transform", "program": ".more = [.text, .text, .text]"}],
            "outputs": [{"type": "stream", "stream": "out"}],
        }),
    );
    bench.until("all of the input has come out", || bench.read("out").len() >= 600);
    bench.stop(&unit);
    let ids: Vec<_> = values(&bench.read("out")).iter().map(|value| value["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (0..600).collect::<Vec<u64>>());
}

fn owing(gate: &str) -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "steps": [{"id": "more", "type": "lookup", "lookup": {"type": "http", "gate": gate}, "key": ".id", "into": ".more",
                   "wait": "1s", "timeout": "10m", "retries": 0, "cache": {"negative_ttl": "0s"}}],
        "outputs": [{"type": "stream", "stream": "out"}],
        "retry": {"stream": "retry", "delay": "1s", "attempts": 1_000},
        "errors": {"stream": "dead"},
    })
}

#[test]
fn a_second_revision_that_is_owed_comes_once_wherever_the_power_goes() {
    for seed in 0..6_u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let gate = format!("owing-{seed}");
        let (spec, gate) = (owing(&gate), Gate::named(&gate));
        let disk = FaultyDisk::default();
        let bench = Bench::on(&disk);
        bench.stream("in", 1);
        let _ = bench.plan("p", spec.clone());
        drop(bench);
        let (mut next, mut slow) = (0, Vec::new());
        for cut in 0..3 {
            let bench = Bench::on(&disk);
            let unit = bench.start("p", spec.clone());
            disk.cut_after(rng.random_range(5..80));
            while !disk.is_off() {
                let count = rng.random_range(1..6);
                let batch = events(next, count);
                // Some answers are there at once, others while the event waits, is kept or is on the retry stream.
                let (there, later): (Vec<u64>, Vec<u64>) =
                    (next..next + count).partition(|_| rng.random_range(0..3) == 0);
                there.iter().for_each(|id| gate.answer(&id.to_string(), Ok(Some("1"))));
                slow.extend(later);
                next += count;
                bench.send_durably("in", 0, &batch);
                bench.clock.advance(Duration::from_millis(rng.random_range(0..700)));
                while slow.len() > 4 {
                    let id = slow.swap_remove(rng.random_range(0..slow.len()));
                    gate.answer(&id.to_string(), Ok(Some("1")));
                }
            }
            bench.stop(&unit);
            drop((unit, bench));
            disk.power_on(seed * 10 + cut);
        }
        let bench = Bench::on(&disk);
        let unit = bench.start("p", spec);
        slow.iter().for_each(|id| gate.answer(&id.to_string(), Ok(Some("1"))));
        let there: BTreeSet<u64> =
            values(&bench.read("in")).iter().map(|event| event["id"].as_u64().unwrap()).collect();
        bench.until("every event has come out, and once more where it failed", || {
            bench.clock.advance(Duration::from_millis(100));
            let out = values(&bench.read("out"));
            let failed = out.iter().filter(|event| event["enrichment"]["status"] == "failed").count();
            let again = out.iter().filter(|event| event["revision"] == 2).count();
            again == failed && out.len() == there.len() + again
        });
        bench.stop(&unit);
        let mut seen: BTreeMap<(u64, u64), Value> = BTreeMap::new();
        for event in values(&bench.read("out")) {
            let place = (event["id"].as_u64().unwrap(), event["revision"].as_u64().unwrap_or(1));
            assert!(seen.insert(place, event).is_none(), "seed {seed}: {place:?} comes once");
        }
        for id in &there {
            let failed = seen[&(*id, 1)]["enrichment"]["status"] == "failed";
            let again = seen.get(&(*id, 2));
            assert_eq!(again.is_some(), failed, "seed {seed}: {id}");
            assert!(again.is_none_or(|event| event["more"] == 1), "seed {seed}: {again:?}");
        }
        assert_eq!(bench.read("dead"), [], "seed {seed}");
    }
}
