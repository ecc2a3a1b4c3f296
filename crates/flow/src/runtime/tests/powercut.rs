//! The real log on a disk that loses its power: after each cut every event that is in the input has come out once, and
//! the running values have counted it once.

use std::collections::{BTreeMap, BTreeSet};

use headwater_base::Micros;
use headwater_testkit::FaultyDisk;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::bench::{Bench, START, values};

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
