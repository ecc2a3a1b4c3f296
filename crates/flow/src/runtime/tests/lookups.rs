use std::time::Duration;

use headwater_kernel::port::LookupError;
use serde_json::{Value, json};

use super::bench::{Bench, Gate, values};

fn spec(gate: &str) -> Value {
    json!({
        "source": {"type": "stream", "stream": "in"},
        "key": ".user",
        "steps": [
            {"id": "listing", "type": "lookup", "lookup": {"type": "http", "gate": gate}, "key": ".listing", "into": ".listed",
             "wait": "1s", "timeout": "10s", "retries": 0, "cache": {"negative_ttl": "0s", "capacity": 10}},
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
        "errors": {"stream": "dead"},
        "retry": {"stream": "retry", "delay": "5s", "attempts": 2},
    })
}

fn ids(seen: &[super::bench::Seen]) -> Vec<String> {
    values(seen).iter().map(|value| value["id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn waiting_events_keep_the_order_of_their_key_and_hold_nobody_else_back() {
    let bench = Bench::new();
    let gate = Gate::named("order");
    bench.stream("in", 1);
    let unit = bench.start("order", spec("order"));
    bench.send(
        "in",
        0,
        &[
            (None, r#"{"id":"a1","user":"a","listing":"slow"}"#),
            (None, r#"{"id":"a2","user":"a"}"#),
            (None, r#"{"id":"b1","user":"b"}"#),
            (None, r#"{"id":"a3","user":"a","listing":"fast"}"#),
            (None, r#"{"id":"c1","user":"c","listing":"slow"}"#),
        ],
    );
    assert_eq!(ids(&bench.wait_for("out", 1)), ["b1"]);
    gate.answer("fast", Ok(Some(r#"{"t":"f"}"#)));
    gate.answer("slow", Ok(Some(r#"{"t":"s"}"#)));
    let out = bench.wait_for("out", 5);
    let of_a: Vec<String> = ids(&out).into_iter().filter(|id| id.starts_with('a')).collect();
    assert_eq!(of_a, ["a1", "a2", "a3"]);
    assert_eq!(values(&out).iter().find(|value| value["id"] == "c1").unwrap()["listed"], json!({"t": "s"}));
    bench.stop(&unit);
}

#[test]
fn an_event_that_waited_when_the_pipeline_stopped_is_taken_again_and_nothing_else_is() {
    let bench = Bench::new();
    let gate = Gate::named("stopped");
    bench.stream("in", 1);
    let unit = bench.start("stopped", spec("stopped"));
    bench.send(
        "in",
        0,
        &[
            (None, r#"{"id":"a1","user":"a","listing":"slow"}"#),
            (None, r#"{"id":"b1","user":"b"}"#),
            (None, r#"{"id":"a2","user":"a"}"#),
        ],
    );
    assert_eq!(ids(&bench.wait_for("out", 1)), ["b1"]);
    bench.stop(&unit);
    gate.answer("slow", Ok(None));
    let unit = bench.start("stopped", spec("stopped"));
    assert_eq!(ids(&bench.wait_for("out", 3)), ["b1", "a1", "a2"]);
    bench.stop(&unit);
}

#[test]
fn a_failed_lookup_is_told_retried_and_told_again_as_revision_2() {
    let bench = Bench::new();
    let gate = Gate::named("retry");
    bench.stream("in", 1);
    let unit = bench.start("retry", spec("retry"));
    gate.answer("down", Err(LookupError::Unavailable("down".into())));
    bench.send("in", 0, &[(Some("k"), r#"{"id":"e","listing":"down"}"#), (None, r#"{"listing":"down"}"#)]);
    let out = values(&bench.wait_for("out", 2));
    assert_eq!(out[0]["enrichment"], json!({"status": "failed", "failed": ["listing"]}));
    assert_eq!(out[1]["id"], json!("in/0/1"), "an event without an id gets its position as id");
    assert!(out[0].get("revision").is_none());
    let copy = values(&bench.wait_for("retry", 2)).remove(0);
    assert_eq!((&copy["attempt"], &copy["event"]), (&json!(1), &json!({"id": "e", "listing": "down"})));
    gate.answer("down", Ok(Some("42")));
    bench.clock.advance(Duration::from_secs(5));
    let out = values(&bench.wait_for("out", 4));
    assert_eq!(
        out[2],
        json!({"id": "e", "listing": "down", "listed": 42, "enrichment": {"status": "ok"}, "revision": 2})
    );
    assert_eq!((&out[3]["id"], &out[3]["revision"]), (&json!("in/0/1"), &json!(2)));
    bench.stop(&unit);
}

#[test]
fn a_copy_that_fails_too_often_becomes_a_dead_letter() {
    let bench = Bench::new();
    let gate = Gate::named("hopeless");
    bench.stream("in", 1);
    let unit = bench.start("hopeless", spec("hopeless"));
    gate.answer("down", Err(LookupError::Unavailable("down".into())));
    bench.send("in", 0, &[(None, r#"{"id":"e","listing":"down"}"#)]);
    bench.wait_for("retry", 1);
    bench.clock.advance(Duration::from_secs(5));
    bench.wait_for("retry", 2);
    bench.clock.advance(Duration::from_secs(5));
    let dead = values(&bench.wait_for("dead", 1)).remove(0);
    assert_eq!(
        (&dead["code"], &dead["position"]["stream"], &dead["position"]["offset"]),
        (&json!("HW-FLOW-037"), &json!("in"), &json!(0))
    );
    bench.wait_for("out", 1);
    bench.stop(&unit);
}

#[test]
fn an_answer_that_takes_too_long_costs_the_enrichment_and_not_the_time() {
    let bench = Bench::new();
    let _silent = Gate::named("silent");
    bench.stream("in", 1);
    let unit = bench.start("silent", spec("silent"));
    bench.send("in", 0, &[(None, r#"{"id":"e","listing":"never"}"#)]);
    bench.until("the event waits", || bench.figure("silent", "waiting_events") == 1.0);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(values(&bench.wait_for("out", 1))[0]["enrichment"]["status"], json!("failed"));
    bench.stop(&unit);
}
