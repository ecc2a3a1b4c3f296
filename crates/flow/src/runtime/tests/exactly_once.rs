//! A pipeline that is stopped and started at any moment gives the same as one that never stops.

use std::collections::BTreeMap;

use headwater_base::Micros;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::bench::{Bench, START};

fn spec() -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "20s", "lateness": "10m", "ahead": "3650d"},
        "key": ".user",
        "steps": [
            {"id": "more", "type": "lookup", "lookup": {"type": "file"}, "key": ".user", "into": ".more"},
            {"id": "rates", "type": "aggregate", "key": ".user", "windows": ["1m", "1h"],
             "measures": {"events": {"count": true}, "spend": {"sum": ".n"}}, "into": ".rates"},
            {"id": "sessions", "type": "session", "key": ".user", "gap": "30s", "measures": {"spend": {"sum": ".n"}}, "output": {"stream": "sessions"}},
            {"id": "minutes", "type": "window", "size": "1m", "measures": {"events": {"count": true}}, "output": {"stream": "minutes"}},
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
    })
}

/// What a consumer that upserts by key ends up with; outputs are compared record by record.
fn outcome(bench: &Bench) -> (Vec<Value>, BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let upserted = |stream: &str| {
        let mut rows = BTreeMap::new();
        for seen in bench.read(stream) {
            let key = seen.key.unwrap();
            match seen.value {
                Some(mut value) => {
                    value.as_object_mut().unwrap().shift_remove("revision");
                    rows.insert(key, value)
                }
                None => rows.remove(&key),
            };
        }
        rows
    };
    let out = bench.read("out").into_iter().map(|seen| seen.value.unwrap()).collect();
    (out, upserted("sessions"), upserted("minutes"))
}

fn run(batches: &[Vec<String>], stops: &[bool]) -> (Vec<Value>, BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let bench = Bench::new();
    bench.stream("in", 1);
    let mut unit = bench.start("p", spec());
    for (index, batch) in batches.iter().enumerate() {
        let records: Vec<(Option<&str>, &str)> = batch.iter().map(|event| (None, event.as_str())).collect();
        bench.send("in", 0, &records);
        if stops.get(index).copied().unwrap_or(false) {
            // Wherever the thread happens to be: before, in or behind this batch.
            bench.stop(&unit);
            unit = bench.start("p", spec());
        }
    }
    let end = json!({"user": "end", "n": 0, "time": Micros(START.0 + 86_400_000_000).to_string()}).to_string();
    bench.send("in", 0, &[(None, &end)]);
    let events: usize = batches.iter().map(Vec::len).sum();
    bench.wait_for("out", events + 1);
    bench.until("all is read", || bench.figure("p", "lag_events") == 0.0);
    bench.stop(&unit);
    outcome(&bench)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_restart_at_any_moment_changes_nothing(
        batches in proptest::collection::vec(proptest::collection::vec((0..4_u8, 0..600_i64, 0..9_i64), 1..40), 1..8),
        stops in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let mut clock = 0;
        let batches: Vec<Vec<String>> = batches
            .into_iter()
            .map(|batch| {
                batch.into_iter().map(|(user, step, n)| {
                    // Up to 20 s out of order, never late.
                    clock += step / 20;
                    let time = Micros(START.0 + (clock - step % 20) * 1_000_000);
                    json!({"user": format!("u{user}"), "n": n, "time": time.to_string()}).to_string()
                }).collect()
            })
            .collect();
        let straight = run(&batches, &[]);
        prop_assert!(!straight.1.is_empty() && !straight.2.is_empty());
        prop_assert_eq!(run(&batches, &stops), straight);
    }
}
