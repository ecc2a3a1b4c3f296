//! Pipelines that are asked or recomputed: what becomes of it when they do not run just now, or never take an event.

use std::time::Duration;

use headwater_kernel::port::outlet::Answer;
use headwater_testkit::FaultyDisk;
use serde_json::{Value, json};

use super::bench::{Bench, Outside};

fn answer(body: &Value) -> Answer {
    Answer { body: Some(body.to_string().into()), ..Answer::default() }
}

#[test]
fn a_pipe_asks_a_pipeline_again_that_does_not_run_and_gives_up_what_it_never_takes() {
    let bench = Bench::new();
    for stream in ["in", "out"] {
        bench.stream(stream);
    }
    bench.outside.answer(vec![
        Outside::refuse(503, true),
        Ok(answer(&json!({"n": 1, "more": true}))),
        Outside::refuse(400, false),
        Ok(Answer { body: Some("no JSON".into()), ..Answer::default() }),
        Ok(answer(&json!({"n": 4}))),
    ]);
    let unit = bench.start(
        "Pipe",
        "asking",
        json!({
            "source": {"type": "stream", "stream": "in"},
            "enrichment": {"type": "pipeline", "pipeline": "p", "input": {"path": "$.n"}},
            "target": {"type": "stream", "stream": "out"},
        }),
    );
    for n in 1..=4 {
        assert!(bench.send("in", &[json!({"n": n, "note": "not asked for"})]));
        bench.until_ticking(Duration::from_millis(100), "it has been dealt with", || {
            let ends = ["delivered_total", "dead_letters_total"].map(|name| bench.figure("pipe/asking", name));
            ends.iter().sum::<u64>() == n
        });
    }
    assert_eq!(bench.wait_for("out", 2), [json!({"n": 1, "more": true}), json!({"n": 4})]);
    let letters = bench.wait_for("asking.dead", 2);
    assert_eq!([&letters[0]["code"], &letters[1]["code"]], ["HW-FLOW-121", "HW-BUS-011"]);
    assert_eq!(letters[1]["reason"], "the answer to the enrichment is no JSON");
    let came: Vec<(String, Value)> = bench.outside.came.lock().clone();
    let asked = |n: u32| ("p".to_owned(), json!(n));
    assert_eq!(came, [asked(1), asked(1), asked(2), asked(3), asked(4)]);
    bench.stop(&unit);
}

/// A pipe that asks a destination for up to four events at once.
fn together(delivery: &Value) -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "enrichment": {"type": "destination", "destination": "out", "input": {"path": "$.n"}, "batch": 4, "delivery": delivery},
        "target": {"type": "stream", "stream": "answers"},
    })
}

#[test]
fn a_pipe_asks_for_several_at_once_and_each_goes_on_with_its_own_answer() {
    let bench = Bench::new();
    for stream in ["in", "answers"] {
        bench.stream(stream);
    }
    let unit = bench.start("Pipe", "asking", together(&json!({})));
    bench.outside.answer(vec![
        Outside::refuse(503, true),
        Ok(answer(&json!([{"a": 1}, {"a": 2}, {"a": 3}]))),
        Outside::refuse(400, false),
        Ok(answer(&json!([{"a": 4}]))),
        Outside::refuse(400, false),
        Ok(answer(&json!({"no": "array"}))),
    ]);
    assert!(bench.send("in", &[json!({"n": 1}), json!({"n": 2}), json!({"n": 3})]));
    bench.until_ticking(Duration::from_secs(2), "three answers", || bench.read("answers").len() == 3);
    assert_eq!(bench.wait_for("answers", 3), [json!({"a": 1}), json!({"a": 2}), json!({"a": 3})]);
    let of_first = bench.outside.came.lock().len();
    // Together they are refused, by themselves one is taken.
    assert!(bench.send("in", &[json!({"n": 4}), json!({"n": 5}), json!({"n": 6})]));
    let letters = bench.wait_for("asking.dead", 2);
    assert_eq!([&letters[0]["code"], &letters[1]["code"]], ["HW-BUS-011", "HW-BUS-011"]);
    assert_eq!(letters[1]["reason"], "the answer to the enrichment of 1 events is no array of as many");
    assert_eq!(bench.wait_for("answers", 4)[3], json!({"a": 4}));
    let came: Vec<Value> = bench.outside.came.lock()[of_first..].iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(came, [json!([4, 5, 6]), json!([4]), json!([5]), json!([6])]);
    bench.stop(&unit);
}

#[test]
fn of_a_refused_batch_no_more_are_asked_for_once_one_is_not_answered() {
    let bench = Bench::new();
    for stream in ["in", "answers"] {
        bench.stream(stream);
    }
    let unit = bench.start("Pipe", "asking", together(&json!({})));
    bench.outside.answer(vec![
        Outside::refuse(400, false),
        Outside::refuse(503, true),
        Ok(answer(&json!([{"a": 2}, {"a": 3}]))),
        Ok(answer(&json!([{"a": 1}]))),
    ]);
    assert!(bench.send("in", &[json!({"n": 1}), json!({"n": 2}), json!({"n": 3})]));
    // Time stands still: the one that nobody answered is not due again before.
    assert_eq!(bench.wait_for("answers", 2), [json!({"a": 2}), json!({"a": 3})]);
    bench.until_ticking(Duration::from_secs(2), "three answers", || bench.read("answers").len() == 3);
    assert_eq!(bench.wait_for("answers", 3)[2], json!({"a": 1}));
    let came: Vec<Value> = bench.outside.came.lock().iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(came, [json!([1, 2, 3]), json!([1]), json!([2, 3]), json!([1])]);
    // Who was not asked for has not been tried.
    assert_eq!(bench.figure("pipe/asking", "retries_total"), 1);
    bench.stop(&unit);
}

#[test]
fn events_of_one_order_are_never_asked_for_together() {
    let bench = Bench::new();
    for stream in ["in", "answers"] {
        bench.stream(stream);
    }
    let unit = bench.start("Pipe", "asking", together(&json!({"orderBy": "$.user"})));
    bench.outside.answer(vec![Ok(answer(&json!(["1", "3"]))), Ok(answer(&json!(["2"])))]);
    let events = [(1, "a"), (2, "a"), (3, "b")].map(|(n, user)| json!({"n": n, "user": user}));
    assert!(bench.send("in", &events));
    assert_eq!(bench.wait_for("answers", 3), [json!("1"), json!("3"), json!("2")]);
    let came: Vec<Value> = bench.outside.came.lock().iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(came, [json!([1, 3]), json!([2])]);
    bench.stop(&unit);
}

#[test]
fn a_span_before_the_event_is_recomputed_until_it_is() {
    let bench = Bench::new();
    bench.stream("in");
    bench.outside.answer(vec![Outside::refuse(503, true), Outside::refuse(400, false), Ok(Answer::default())]);
    let targets = json!([{"type": "reconcile", "pipeline": "p", "span": "2h", "delay": "15m", "repair": false}]);
    let spec = json!({"source": "in", "pattern": {"n": [{"exists": true}]}, "targets": targets});
    let unit = bench.start("Rule", "tidy", spec);
    assert!(bench.send("in", &[json!({"n": 1})]));
    bench.until_ticking(Duration::from_millis(100), "it is done", || bench.figure("rule/tidy", "delivered_total") == 1);
    // The event's own time is the beginning of 2026, however late it is recomputed.
    let span = json!({"from": "2025-12-31T21:45:00Z", "to": "2025-12-31T23:45:00Z", "repair": false});
    assert_eq!(*bench.outside.came.lock(), vec![("p".to_owned(), span); 3]);
    assert_eq!(bench.figure("rule/tidy", "retries_total"), 2);
    bench.stop(&unit);
}

#[test]
fn what_was_delivered_while_the_disk_is_full_is_not_delivered_again() {
    let disk = FaultyDisk::default();
    let bench = Bench::on(&disk);
    bench.stream("in");
    bench.outside.answer(vec![Outside::refuse(503, true), Ok(Answer::default()), Ok(Answer::default())]);
    let targets = json!([{"type": "reconcile", "pipeline": "p", "span": "2h", "delay": "15m", "repair": false}]);
    let spec = json!({"source": "in", "pattern": {"n": [{"exists": true}]}, "targets": targets});
    let unit = bench.start("Rule", "tidy", spec);
    assert!(bench.send("in", &[json!({"n": 1})]));
    let came = || bench.outside.came.lock().len();
    let waits =
        || bench.figure("rule/tidy", "retries_total") == 1 && bench.figure("rule/tidy", "pending_deliveries") == 1;
    bench.until("it waits for its next try", waits);
    disk.set_full(true);
    bench.fill();
    bench.until_ticking(Duration::from_secs(60), "it is delivered", || came() == 2);
    disk.set_full(false);
    bench.until("there is room", || bench.send("in", &[json!({"n": 2})]));
    bench.until_ticking(Duration::from_secs(60), "the next one is delivered", || came() > 2);
    assert_eq!(came(), 3);
    bench.stop(&unit);
}
