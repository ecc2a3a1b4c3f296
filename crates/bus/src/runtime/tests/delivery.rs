//! Deliveries outside: tried again, given up, in order, and never in anybody's way.

use std::time::Duration;

use bytes::Bytes;
use headwater_base::Micros;
use headwater_kernel::port::Outlets;
use headwater_kernel::port::outlet::{Answer, NotTaken, Outgoing};
use serde_json::{Value, json};

use super::bench::{Bench, Outside};

fn rule(delivery: Value) -> Value {
    json!({"source": "in", "pattern": {"n": [{"exists": true}]},
           "targets": [{"type": "destination", "destination": "out", "input": {"path": "$.n"}, "delivery": delivery}]})
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.stream("in");
    bench
}

#[test]
fn only_what_another_try_may_help_is_tried_again() {
    let bench = bench();
    let unit = bench.start("Rule", "send", rule(json!({"concurrency": 1})));
    bench.outside.answer(vec![Outside::refuse(503, true), Outside::refuse(400, false), Ok(Answer::default())]);
    assert!(bench.send("in", &[json!({"n": 1}), json!({"n": 2})]));
    bench.until_ticking(Duration::from_millis(100), "both are done", || {
        bench.outside.came.lock().len() == 3 && bench.figure("rule/send", "pending_deliveries") == 0
    });
    let came = bench.outside.came.lock().clone();
    let of_first: Vec<&(String, Value)> = came.iter().filter(|(_, value)| *value == json!(1)).collect();
    assert_eq!(of_first.len(), 2);
    assert_eq!(of_first[0].0, of_first[1].0, "the same key each time");
    let letters = bench.wait_for("send.dead", 1);
    assert_eq!((&letters[0]["code"], &letters[0]["status"]), (&json!("HW-BUS-011"), &json!(400)));
    assert_eq!((&letters[0]["data"], &letters[0]["attempts"]), (&json!("2"), &json!(1)));
    bench.stop(&unit);
}

#[test]
fn a_dead_target_fills_the_dead_letters() {
    let bench = bench();
    let unit = bench.start("Rule", "send", rule(json!({"attempts": 3})));
    let old = bench.start("Rule", "old", rule(json!({"age": "1m"})));
    bench.outside.answer(vec![Outside::refuse(500, true)]);
    let events: Vec<Value> = (0..40).map(|n| json!({"n": n})).collect();
    assert!(bench.send("in", &events));
    bench.until_ticking(Duration::from_millis(200), "all are given up", || {
        bench.read("send.dead").len() == 40 && bench.read("old.dead").len() == 40
    });
    let letters = bench.wait_for("send.dead", 40);
    assert!(letters.iter().all(|letter| letter["attempts"] == 3 && letter["code"] == "HW-BUS-012"), "{letters:#?}");
    let reason = bench.wait_for("old.dead", 40)[0]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("not delivered within 1m: "), "{reason}");
    assert_eq!(bench.figure("rule/send", "pending_bytes"), 0);
    bench.stop(&unit);
    bench.stop(&old);
}

#[test]
fn events_of_one_order_go_one_after_the_other() {
    let bench = bench();
    let spec = json!({"source": "in", "pattern": {"n": [{"exists": true}]},
        "targets": [{"type": "destination", "destination": "out", "delivery": {"orderBy": "$.user"}}]});
    let unit = bench.start("Rule", "send", spec);
    bench.outside.answer(vec![
        Outside::refuse(503, true),
        Ok(Answer::default()),
        Outside::refuse(503, true),
        Ok(Answer::default()),
    ]);
    let events: Vec<Value> = (0..30).map(|n| json!({"n": n, "user": format!("u{}", n % 3)})).collect();
    assert!(bench.send("in", &events));
    bench.until_ticking(Duration::from_millis(100), "all are delivered", || {
        bench.figure("rule/send", "delivered_total") == 30
    });
    let came = bench.outside.came.lock().clone();
    for user in ["u0", "u1", "u2"] {
        let mut numbers: Vec<u64> = came
            .iter()
            .filter(|(_, event)| event["user"] == user)
            .map(|(_, event)| event["n"].as_u64().unwrap())
            .collect();
        numbers.dedup();
        assert!(numbers.is_sorted(), "{user}: {numbers:?}");
        assert_eq!(numbers.len(), 10);
    }
    bench.stop(&unit);
}

#[test]
fn the_other_side_says_when() {
    let bench = bench();
    let unit = bench.start("Rule", "send", rule(json!({})));
    let after = Some(Duration::from_secs(90));
    let later = NotTaken { reason: "busy".into(), status: Some(429), again: true, after, ..NotTaken::default() };
    bench.outside.answer(vec![Err(later), Ok(Answer::default())]);
    assert!(bench.send("in", &[json!({"n": 1})]));
    bench.until("the first try", || bench.figure("rule/send", "retries_total") == 1);
    bench.clock.advance(Duration::from_secs(89));
    bench.until_ticking(Duration::from_millis(20), "the second", || bench.outside.came.lock().len() == 2);
    let waited = headwater_base::Clock::now(&*bench.clock).since(super::bench::START);
    assert!(waited >= Duration::from_secs(90), "{waited:?}");
    bench.stop(&unit);
}

#[test]
fn a_full_subscription_waits_alone() {
    let bench = bench();
    bench.outside.answer(vec![Outside::refuse(500, true)]);
    let whole = json!({"source": "in", "pattern": {"n": [{"exists": true}]},
        "targets": [{"type": "destination", "destination": "out", "delivery": {"pause": "1h"}}]});
    let slow = bench.start("Rule", "slow", whole);
    bench.stream("out");
    let fast = bench.start(
        "Rule",
        "fast",
        json!({"source": "in", "pattern": {"n": [{"exists": true}]}, "targets": [{"type": "stream", "stream": "out", "input": {"path": "$.n"}}]}),
    );
    let text = "x".repeat(900_000);
    for n in 0..30 {
        assert!(bench.send("in", &[json!({"n": n, "text": text})]));
    }
    let all: Vec<Value> = (0..30).map(|n| json!(n)).collect();
    assert_eq!(bench.wait_for("out", 30), all);
    bench.until("it says that it waits", || slow.status().reason == "Waiting");
    let waiting = bench.figure("rule/slow", "pending_bytes");
    assert!((16 << 20..20 << 20).contains(&waiting), "{waiting}");
    // Once the target takes them, all come. In steps so small that none gets older than a delivery may, which is a day.
    bench.outside.answer(vec![Ok(Answer::default())]);
    bench.until_ticking(Duration::from_secs(5), "all are delivered", || {
        bench.figure("rule/slow", "delivered_total") == 30
    });
    bench.stop(&slow);
    bench.stop(&fast);
}

#[test]
fn what_waits_is_delivered_after_a_restart() {
    let bench = bench();
    bench.outside.answer(vec![Outside::refuse(500, true)]);
    let unit = bench.start("Rule", "send", rule(json!({"pause": "1h"})));
    assert!(bench.send("in", &[json!({"n": 1})]));
    bench.until("a try", || bench.figure("rule/send", "retries_total") == 1);
    bench.stop(&unit);
    bench.outside.answer(vec![Ok(Answer::default())]);
    let unit = bench.start("Rule", "send", rule(json!({"pause": "1h"})));
    assert_eq!(bench.figure("rule/send", "pending_deliveries"), 1);
    bench.until_ticking(Duration::from_secs(60), "it is delivered", || {
        bench.figure("rule/send", "delivered_total") == 1
    });
    bench.stop(&unit);
}

#[test]
fn an_answer_takes_the_events_place() {
    let bench = bench();
    let unit = bench.start(
        "Pipe",
        "ask",
        json!({
            "source": {"type": "stream", "stream": "in"},
            "enrichment": {"type": "destination", "destination": "out", "input": {"path": "$.n"}},
            "target": {"type": "stream", "stream": "answers", "input": {"path": "$.city"}, "event": {"source": "pipe", "type": "Answer"}},
        }),
    );
    let answer =
        |body: Option<&'static str>| Ok(Answer { status: Some(200), body: body.map(Bytes::from), ..Answer::default() });
    bench.outside.answer(vec![answer(Some(r#"{"city": "Chur"}"#)), answer(Some("?")), answer(None)]);
    assert!(bench.send("in", &[json!({"n": 7000})]));
    assert_eq!(bench.wait_for("answers", 1), [json!("Chur")]);
    assert_eq!(bench.outside.came.lock()[0].1, json!(7000));
    assert!(bench.send("in", &[json!({"n": 8000})]));
    assert_eq!(bench.wait_for("ask.dead", 1)[0]["reason"], "the answer to the enrichment is no JSON");
    assert!(bench.send("in", &[json!({"n": 9000})]));
    let letter = bench.wait_for("ask.dead", 2).remove(1);
    assert_eq!(letter["reason"], "the answer to the enrichment has more than 262144 bytes");
    assert_eq!((&letter["code"], &letter["status"]), (&json!("HW-BUS-011"), &json!(200)));
    bench.stop(&unit);
}

#[test]
fn others_send_by_way_of_a_destination_that_runs() {
    let bench = bench();
    assert!(bench.buses.outlet("none").is_none());
    let outlet = bench.buses.outlet("out").unwrap();
    bench.outside.answer(vec![Ok(Answer { status: Some(201), ..Answer::default() })]);
    let body = Bytes::from_static(b"7");
    let outgoing = Outgoing { key: "k", body: &body, now: Micros(0), asked: None };
    assert_eq!(bench.runtime.block_on(outlet.send(outgoing)).unwrap().status, Some(201));
    assert_eq!(bench.outside.came.lock()[..], [("k".to_owned(), json!(7))]);
}

#[test]
fn a_delivery_that_meets_a_bug_is_given_up_and_others_go_on() {
    let bench = bench();
    let unit = bench.start("Rule", "send", rule(json!({"attempts": 2})));
    assert!(bench.send("in", &[json!({"n": "bug"}), json!({"n": 2})]));
    bench.until_ticking(Duration::from_millis(200), "it is given up", || bench.read("send.dead").len() == 1);
    let letter = bench.wait_for("send.dead", 1).remove(0);
    assert_eq!((&letter["code"], &letter["attempts"]), (&json!("HW-BUS-012"), &json!(2)));
    assert!(letter["reason"].as_str().unwrap().contains("a bug, made by a test"), "{letter}");
    bench.until("the other one is there", || bench.figure("rule/send", "delivered_total") == 1);
    bench.stop(&unit);
}
