//! Events of a pipe that go to its target as one array.

use std::time::Duration;

use headwater_kernel::port::outlet::Answer;
use serde_json::{Value, json};

use super::bench::{Bench, Outside};

/// A pipe that sends arrays of numbers to a destination.
fn pipe(batch: &Value) -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "target": {"type": "destination", "destination": "out", "input": {"path": "$.n"}},
        "batch": batch,
    })
}

fn events(numbers: std::ops::RangeInclusive<u32>) -> Vec<Value> {
    numbers.map(|n| json!({"n": n, "note": "not sent"})).collect()
}

fn came(bench: &Bench) -> Vec<Value> {
    bench.outside.came.lock().iter().map(|(_, value)| value.clone()).collect()
}

#[test]
fn events_wait_for_one_another_until_they_are_enough_or_the_window_ends() {
    let bench = Bench::new();
    bench.stream("in");
    let unit = bench.start("Pipe", "together", pipe(&json!({"size": 3, "window": "10s"})));
    let delivered = || bench.figure("pipe/together", "delivered_total");
    assert!(bench.send("in", &events(1..=2)));
    bench.until("two wait", || bench.figure("pipe/together", "pending_deliveries") == 2);
    assert!(bench.send("in", &events(3..=4)));
    // Time stands still: three are enough, and the fourth waits.
    bench.until("three are delivered", || delivered() == 3);
    assert_eq!(came(&bench), [json!([1, 2, 3])]);
    bench.until_ticking(Duration::from_secs(1), "the window has ended", || delivered() == 4);
    assert_eq!(came(&bench), [json!([1, 2, 3]), json!([4])]);
    bench.stop(&unit);
}

#[test]
fn an_array_is_tried_again_as_it_was_and_taken_apart_where_it_is_refused() {
    let bench = Bench::new();
    bench.stream("in");
    let unit = bench.start("Pipe", "together", pipe(&json!({"size": 4})));
    let taken = || Ok(Answer::default());
    bench.outside.answer(vec![
        Outside::refuse(503, true),
        taken(),
        Outside::refuse(413, false),
        taken(),
        Outside::refuse(400, false),
        taken(),
    ]);
    let delivered = || bench.figure("pipe/together", "delivered_total");
    assert!(bench.send("in", &events(1..=3)));
    bench.until_ticking(Duration::from_millis(100), "all are delivered", || delivered() == 3);
    let first = bench.outside.came.lock().clone();
    assert_eq!((&first[0], first.len()), (&first[1], 2), "the same events under the same key");
    assert_eq!(first[0].1, json!([1, 2, 3]));
    assert!(bench.send("in", &events(4..=6)));
    let letter = bench.wait_for("together.dead", 1).remove(0);
    assert_eq!((&letter["code"], &letter["status"]), (&json!("HW-BUS-011"), &json!(400)));
    bench.until("the others are delivered", || delivered() == 5);
    assert_eq!(came(&bench)[2..], [json!([4, 5, 6]), json!([4]), json!([5]), json!([6])]);
    bench.stop(&unit);
}

#[test]
fn what_the_enrichment_answers_goes_on_in_one_array() {
    let bench = Bench::new();
    bench.stream("in");
    let mut spec = pipe(&json!({"size": 3}));
    spec["enrichment"] = json!({"type": "destination", "destination": "out", "input": {"path": "$.n"}, "batch": 2});
    spec["target"]["input"] = json!({"path": "$.a"});
    let unit = bench.start("Pipe", "together", spec);
    let answer = |body: Value| Ok(Answer { body: Some(body.to_string().into()), ..Answer::default() });
    // Two requests ask for the three, and one array takes them on.
    bench.outside.answer(vec![
        answer(json!([{"a": "one"}, {"a": "two"}])),
        answer(json!([{"a": "three"}])),
        answer(json!({})),
    ]);
    assert!(bench.send("in", &events(1..=3)));
    bench.until("all are delivered", || bench.figure("pipe/together", "delivered_total") == 3);
    assert_eq!(came(&bench), [json!([1, 2]), json!([3]), json!(["one", "two", "three"])]);
    bench.stop(&unit);
}
