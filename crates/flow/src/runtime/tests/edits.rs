//! A stateful pipeline that is edited goes on with its state by step id, as far as that fits.

use headwater_base::{Micros, Name};
use serde_json::{Value, json};

use super::bench::{Bench, START, values};

fn spec() -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "0s", "lateness": "1m", "ahead": "3650d"},
        "steps": [
            {"id": "rates", "type": "aggregate", "key": ".user", "windows": ["1h"], "measures": {"events": {"count": true}}, "into": ".rates"},
            {"id": "visits", "type": "session", "key": ".user", "gap": "30s", "output": {"stream": "visits"}},
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
    })
}

/// Runs the spec over one event of `u`, and answers how many `rates` has counted.
fn step(bench: &Bench, spec: &Value, epoch: u64, seconds: i64) -> Value {
    let before = bench.read("out").len();
    let unit = bench.try_start("p", spec.clone(), epoch).unwrap();
    bench.send("in", 0, &[(None, &event("u", seconds))]);
    let out = values(&bench.wait_for("out", before + 1));
    bench.stop(&unit);
    out[before]["rates"]["events_1h"].clone()
}

fn event(user: &str, seconds: i64) -> String {
    json!({"user": user, "time": Micros(START.0 + seconds * 1_000_000).to_string()}).to_string()
}

fn without_rates() -> Value {
    let mut spec = spec();
    spec["steps"].as_array_mut().unwrap().remove(0);
    spec
}

/// The visits that are given out once event time has passed them.
fn visits(bench: &Bench, spec: &Value, epoch: u64) -> Vec<Value> {
    let unit = bench.try_start("p", spec.clone(), epoch).unwrap();
    bench.send("in", 0, &[(None, &event("end", 3_000))]);
    let visits = values(&bench.wait_for("visits", 1));
    bench.stop(&unit);
    visits
}

#[test]
fn steps_around_a_stateful_one_may_come_go_and_change() {
    let bench = Bench::new();
    bench.stream("in", 1);
    assert_eq!(step(&bench, &spec(), 0, 0), json!(1));
    let mut changed = spec();
    let steps = changed["steps"].as_array_mut().unwrap();
    steps.insert(0, json!({"id": "keep", "type": "filter", "when": "exists(.user)"}));
    steps.swap(1, 2);
    steps.push(json!({"id": "once", "type": "dedupe", "key": ".time", "within": "1h"}));
    changed["time"]["lateness"] = json!("2m");
    changed["outputs"][0]["when"] = json!(".user != \"end\"");
    assert_eq!(step(&bench, &changed, 0, 10), json!(2));
    assert_eq!(step(&bench, &spec(), 0, 20), json!(3));
    assert_eq!(visits(&bench, &changed, 0)[0]["events"], json!(3), "one visit through three specs");
}

#[test]
fn a_step_that_goes_takes_its_state_along() {
    let bench = Bench::new();
    bench.stream("in", 1);
    assert_eq!(step(&bench, &spec(), 0, 0), json!(1));
    assert_eq!(step(&bench, &without_rates(), 0, 10), Value::Null);
    assert_eq!(step(&bench, &spec(), 0, 20), json!(1), "it begins anew");
    assert_eq!(visits(&bench, &spec(), 0)[0]["events"], json!(3), "and the other has gone on");
}

#[test]
fn a_reset_empties_every_step_once() {
    let bench = Bench::new();
    bench.stream("in", 1);
    assert_eq!(step(&bench, &spec(), 0, 0), json!(1));
    assert_eq!(step(&bench, &spec(), 1, 10), json!(1));
    assert_eq!(step(&bench, &spec(), 1, 20), json!(2), "a restart is no reset");
    assert_eq!(visits(&bench, &spec(), 1)[0]["events"], json!(2));
}

#[test]
fn another_source_is_refused_until_a_reset() {
    let bench = Bench::new();
    bench.stream("in", 1);
    bench.stream("other", 1);
    assert_eq!(step(&bench, &spec(), 0, 0), json!(1));
    let mut changed = spec();
    changed["source"]["stream"] = json!("other");
    let problem = bench.try_start("p", changed.clone(), 0).err().expect("refused");
    assert_eq!(problem.code, "HW-FLOW-020");
    assert!(problem.help.unwrap().contains("--reset-state"));
    let unit = bench.try_start("p", changed, 1).unwrap();
    bench.send("other", 0, &[(None, &event("u", 5))]);
    assert_eq!(values(&bench.wait_for("out", 2))[1]["rates"]["events_1h"], json!(1));
    bench.stop(&unit);
}

#[test]
fn a_stream_made_anew_under_the_name_of_the_input_is_read_from_its_beginning() {
    let bench = Bench::new();
    bench.stream("in", 2);
    assert_eq!(step(&bench, &spec(), 0, 0), json!(1));
    assert_eq!(step(&bench, &spec(), 0, 10), json!(2));
    bench.runtime.block_on(bench.log.delete(&Name::new("in").unwrap())).unwrap();
    bench.stream("in", 1);
    let mut latest = spec();
    latest["source"]["start"] = json!("latest");
    bench.send("in", 0, &[(None, &event("u", 20))]);
    let unit = bench.start("p", latest);
    assert_eq!(values(&bench.wait_for("out", 3))[2]["rates"]["events_1h"], json!(3));
    // The partition that is gone does not hold event time back.
    bench.send("in", 0, &[(None, &event("end", 3_000))]);
    assert_eq!(values(&bench.wait_for("visits", 1))[0]["events"], json!(3));
    bench.stop(&unit);
}
