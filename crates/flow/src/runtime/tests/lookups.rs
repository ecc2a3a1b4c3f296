use std::time::Duration;

use headwater_base::{Limits, Micros, Name};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::LookupError;
use headwater_log::{Cleanup, Log, StreamConfig};
use headwater_testkit::memory_log;
use serde_json::{Value, json};

use super::bench::{Bench, Gate, START, values};

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

/// A life of a pipeline that ends while `a1` waits for its answer, and `a2` for `a1`; `b1` is out.
fn stopped_while_one_waits(bench: &Bench, name: &str) {
    bench.stream("in", 1);
    let unit = bench.start(name, spec(name));
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
}

#[test]
fn an_event_that_waited_when_the_pipeline_stopped_is_taken_again_and_nothing_else_is() {
    let bench = Bench::new();
    let gate = Gate::named("stopped");
    stopped_while_one_waits(&bench, "stopped");
    gate.answer("slow", Ok(None));
    let unit = bench.start("stopped", spec("stopped"));
    assert_eq!(ids(&bench.wait_for("out", 3)), ["b1", "a1", "a2"]);
    bench.stop(&unit);
}

/// Of what was deleted in between, the second life misses what the first has left open or not read.
#[test]
fn what_was_read_before_it_was_deleted_is_not_skipped() {
    let bench = Bench::new();
    stopped_while_one_waits(&bench, "deleted");
    bench.send("in", 0, &[(None, r#"{"id":"c1","user":"c"}"#), (None, r#"{"id":"d1","user":"d"}"#)]);
    bench.wait_for("in", 5);
    bench.runtime.block_on(bench.log.trim(&Name::new("in").unwrap(), 0, 4)).unwrap();
    let unit = bench.start("deleted", spec("deleted"));
    assert_eq!(ids(&bench.wait_for("out", 2)), ["b1", "d1"]);
    assert_eq!(bench.figure("deleted", "skipped_total"), 3.0);
    bench.stop(&unit);
}

fn timed(gate: &str) -> Value {
    let mut spec = spec(gate);
    spec["time"] = json!({"field": ".time", "disorder": "5s", "lateness": "0s"});
    spec["steps"].as_array_mut().unwrap().push(json!(
        {"id": "visits", "type": "session", "key": ".user", "gap": "10s", "output": {"stream": "visits"}}
    ));
    spec["late"] = json!({"stream": "late"});
    spec
}

fn event(id: &str, seconds: i64, listing: Option<&str>) -> String {
    json!({"id": id, "user": id, "time": Micros(START.0 + seconds * 1_000_000).to_string(), "listing": listing})
        .to_string()
}

#[test]
fn an_event_does_not_overtake_one_that_waits_by_more_than_the_disorder() {
    let bench = Bench::new();
    let gate = Gate::named("time");
    bench.stream("in", 1);
    let unit = bench.start("time", timed("time"));
    let events = [event("a", 0, Some("slow")), event("b", 5, None), event("c", 6, None), event("d", 7, None)];
    bench.send("in", 0, &events.each_ref().map(|event| (None, event.as_str())));
    bench.until("three events wait", || bench.figure("time", "waiting_events") == 3.0);
    assert_eq!(ids(&bench.wait_for("out", 1)), ["b"], "5 s are within the disorder, 6 s are not");
    gate.answer("slow", Ok(None));
    assert_eq!(ids(&bench.wait_for("out", 4)), ["b", "a", "c", "d"]);
    bench.stop(&unit);
}

#[test]
fn an_event_that_came_behind_the_watermark_is_overtaken_by_no_more_than_the_disorder_and_does_not_become_late() {
    let bench = Bench::new();
    let gate = Gate::named("behind");
    bench.stream("in", 1);
    let mut spec = timed("behind");
    spec["time"]["lateness"] = json!("60s");
    let unit = bench.start("behind", spec);
    let send = |events: &[String]| {
        let events: Vec<_> = events.iter().map(|event| (None, event.as_str())).collect();
        bench.send("in", 0, &events);
    };
    send(&[event("a", 100, None)]);
    bench.wait_for("out", 1);
    // The watermark has come to 95 s.
    send(&[event("b", 50, Some("slow")), event("c", 105, None), event("d", 106, None)]);
    assert_eq!(ids(&bench.wait_for("out", 2)), ["a", "c"], "100 s are a disorder further, 101 s are not");
    gate.answer("slow", Ok(None));
    assert_eq!(ids(&bench.wait_for("out", 4)), ["a", "c", "b", "d"]);
    // The watermark has come to 101 s, and what is before 41 s is late.
    send(&[event("e", 42, Some("slower")), event("f", 107, None), event("g", 108, None)]);
    assert_eq!(ids(&bench.wait_for("out", 5))[4..], ["f"], "at 103 s the first of them would be late");
    gate.answer("slower", Ok(None));
    assert_eq!(ids(&bench.wait_for("out", 7))[4..], ["f", "e", "g"]);
    bench.stop(&unit);
    assert_eq!(bench.read("late"), []);
}

#[test]
fn an_event_that_waited_when_the_pipeline_stopped_is_not_late_for_it() {
    let bench = Bench::new();
    let gate = Gate::named("resumed");
    bench.stream("in", 2);
    let unit = bench.start("resumed", timed("resumed"));
    let last = event("z", 900, None);
    bench.send("in", 1, &[(None, &last)]);
    let (first, end) = (event("a", 0, Some("slow")), event("e", 900, None));
    bench.send("in", 0, &[(None, &first), (None, &end)]);
    bench.until("all wait", || bench.figure("resumed", "waiting_events") >= 2.0);
    for _ in 0..2 {
        bench.stop(&unit);
        let unit = bench.start("resumed", timed("resumed"));
        // Event time has come to 895 s; nothing may be due by it before the first event is through.
        let more = event("m", 901, None);
        bench.send("in", 1, &[(None, &more)]);
        bench.until("the input is read", || bench.figure("resumed", "waiting_events") >= 2.0);
        bench.stop(&unit);
    }
    gate.answer("slow", Ok(None));
    let unit = bench.start("resumed", timed("resumed"));
    bench.wait_for("out", 5);
    assert_eq!(values(&bench.wait_for("visits", 1))[0]["key"], json!("a"));
    bench.stop(&unit);
    assert_eq!(bench.read("late"), [], "it was in time");
}

#[test]
fn an_event_that_compaction_took_while_the_pipeline_stood_still_does_not_hold_it_back() {
    let (log, time) = memory_log();
    let bench = Bench::over(log.clone());
    let config =
        StreamConfig { partitions: 1, cleanup: Cleanup::Compact, segment_ms: 1, ..default_config(&Limits::default()) };
    bench.create("in", config);
    let unit = bench.start("compacted", timed("compacted"));
    bench.send("in", 0, &[(Some("k"), &event("a", 0, Some("slow")))]);
    bench.until("it waits", || bench.figure("compacted", "waiting_events") == 1.0);
    bench.stop(&unit);
    bench.send("in", 0, &[(Some("k"), &event("b", 1, None)), (Some("l"), &event("z", 900, None))]);
    for _ in 0..4 {
        time.advance(Duration::from_secs(1));
        log.maintain_now().unwrap();
    }
    assert_eq!(ids(&bench.read("in")), ["b", "z"]);
    let unit = bench.start("compacted", timed("compacted"));
    assert_eq!(ids(&bench.wait_for("out", 2)), ["b", "z"]);
    assert_eq!(values(&bench.wait_for("visits", 1))[0]["key"], json!("b"), "event time goes on");
    bench.stop(&unit);
}

#[test]
fn a_late_event_that_waited_when_the_pipeline_stopped_is_late_after_it() {
    let bench = Bench::new();
    let gate = Gate::named("late");
    bench.stream("in", 1);
    let mut spec = timed("late");
    spec["steps"].as_array_mut().unwrap().push(json!(
        {"id": "rates", "type": "aggregate", "key": ".user", "windows": ["1h"], "measures": {"events": {"count": true}},
         "into": ".rates"}
    ));
    let unit = bench.start("late", spec.clone());
    bench.send("in", 0, &[(None, &event("z", 900, None))]);
    bench.wait_for("out", 1);
    bench.send("in", 0, &[(None, &event("a", 0, Some("slow")))]);
    bench.until("it waits", || bench.figure("late", "waiting_events") == 1.0);
    bench.stop(&unit);
    gate.answer("slow", Ok(None));
    let unit = bench.start("late", spec);
    let out = values(&bench.wait_for("out", 2));
    assert_eq!(
        (&out[0]["rates"]["events_1h"], &out[1]["rates"]),
        (&json!(1), &Value::Null),
        "late events do not count"
    );
    let late = values(&bench.wait_for("late", 1)).remove(0);
    assert_eq!((&late["code"], &late["event"]["id"]), (&json!("HW-FLOW-033"), &json!("a")));
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
fn copies_on_another_stream_for_retries_are_tried_from_its_beginning() {
    let bench = Bench::new();
    let gate = Gate::named("moved");
    bench.stream("in", 1);
    let (mut spec, mut seen) = (spec("moved"), 0);
    for stream in ["retry", "again"] {
        spec["retry"]["stream"] = json!(stream);
        let unit = bench.start("moved", spec.clone());
        gate.answer("down", Err(LookupError::Unavailable("down".into())));
        bench.send("in", 0, &[(None, r#"{"id":"e","listing":"down"}"#)]);
        bench.wait_for(stream, 1);
        gate.answer("down", Ok(None));
        bench.clock.advance(Duration::from_secs(5));
        let out = values(&bench.wait_for("out", seen + 2));
        assert_eq!(out[seen + 1]["revision"], json!(2), "{stream}");
        bench.stop(&unit);
        // Whose the positions are is still known where nothing is retried for a while.
        let mut without = spec.clone();
        without.as_object_mut().unwrap().remove("retry");
        let unit = bench.start("moved", without);
        bench.send("in", 0, &[(None, r#"{"id":"e","listing":"down"}"#)]);
        bench.wait_for("out", seen + 3);
        bench.stop(&unit);
        seen += 3;
    }
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

/// A pipeline whose first event has gone on without its answer.
fn gone_on(name: &'static str) -> (Bench, Gate, std::sync::Arc<dyn headwater_kernel::Unit>) {
    let (bench, gate) = (Bench::new(), Gate::named(name));
    bench.stream("in", 1);
    let unit = bench.start(name, spec(name));
    bench.send("in", 0, &[(None, r#"{"id":"e","user":"a","listing":"slow"}"#)]);
    bench.until("the event waits", || bench.figure(name, "waiting_events") == 1.0);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(values(&bench.wait_for("out", 1))[0]["enrichment"]["status"], json!("failed"));
    (bench, gate, unit)
}

fn revised() -> Value {
    let enrichment = json!({"status": "ok"});
    json!({"id": "e", "user": "a", "listing": "slow", "listed": 42, "enrichment": enrichment, "revision": 2})
}

#[test]
fn an_answer_that_comes_late_makes_the_second_revision_without_a_copy() {
    let (bench, gate, unit) = gone_on("late-answer");
    bench.send("in", 0, &[(None, r#"{"id":"f","user":"a"}"#)]);
    assert_eq!(ids(&bench.wait_for("out", 2)), ["e", "f"], "an event that is kept holds nobody back");
    gate.answer("slow", Ok(Some("42")));
    assert_eq!(values(&bench.wait_for("out", 3))[2], revised());
    bench.until("nothing waits", || bench.figure("late-answer", "waiting_events") == 0.0);
    bench.stop(&unit);
    assert_eq!(bench.read("retry"), []);
}

#[test]
fn an_event_that_was_kept_for_its_answer_comes_once_more_after_a_restart() {
    let (bench, gate, unit) = gone_on("kept");
    bench.stop(&unit);
    gate.answer("slow", Ok(Some("42")));
    let unit = bench.start("kept", spec("kept"));
    assert_eq!(values(&bench.wait_for("out", 2))[1], revised());
    bench.stop(&unit);
    let unit = bench.start("kept", spec("kept"));
    bench.send("in", 0, &[(None, r#"{"id":"z","user":"z"}"#)]);
    assert_eq!(ids(&bench.wait_for("out", 3)), ["e", "e", "z"]);
    bench.stop(&unit);
    assert_eq!(bench.read("retry"), []);
}

#[test]
fn an_event_is_kept_for_a_short_time_and_then_retried() {
    let (bench, gate, unit) = gone_on("kept-too-long");
    bench.clock.advance(Duration::from_millis(250));
    let copy = values(&bench.wait_for("retry", 1)).remove(0);
    let event = json!({"id": "e", "user": "a", "listing": "slow"});
    assert_eq!((&copy["id"], &copy["attempt"], &copy["event"]), (&json!("e"), &json!(1), &event));
    assert_eq!(bench.figure("kept-too-long", "lookups_failed_total"), 1.0, "it went on without its answer once");
    gate.answer("slow", Ok(Some("42")));
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(values(&bench.wait_for("out", 2))[1], revised());
    let counts = [("events_total", 3.0), ("passed_total", 3.0), ("failed_total", 2.0)];
    assert_eq!(bench.step("kept-too-long", "listing"), counts, "as it came in, kept, and as a copy");
    bench.stop(&unit);
}

#[test]
fn an_answer_that_fails_late_leads_to_a_copy() {
    let (bench, gate, unit) = gone_on("late-failure");
    gate.answer("slow", Err(LookupError::Unavailable("down".into())));
    assert_eq!(values(&bench.wait_for("retry", 1))[0]["attempt"], json!(1));
    gate.answer("slow", Ok(Some("42")));
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(values(&bench.wait_for("out", 2))[1], revised());
    bench.stop(&unit);
}

#[test]
fn events_that_are_kept_do_not_stop_the_input() {
    let bench = Bench::within(memory_log().0, Limits { lookups_in_flight: 8, ..Limits::default() });
    let gate = Gate::named("few-kept");
    bench.stream("in", 1);
    let unit = bench.start("few-kept", spec("few-kept"));
    let events: Vec<String> =
        (0..8).map(|n| json!({"id": n.to_string(), "user": n, "listing": format!("slow{n}")}).to_string()).collect();
    let records: Vec<(Option<&str>, &str)> = events.iter().map(|event| (None, event.as_str())).collect();
    bench.send("in", 0, &records);
    bench.until("the events wait", || bench.figure("few-kept", "waiting_events") == 8.0);
    bench.clock.advance(Duration::from_secs(1));
    bench.wait_for("out", 8);
    assert_eq!(values(&bench.wait_for("retry", 6))[0]["id"], json!("2"), "a quarter of those that may wait is kept");
    bench.send("in", 0, &[(None, r#"{"id":"z","user":"z"}"#)]);
    bench.wait_for("out", 9);
    for n in 0..2 {
        gate.answer(&format!("slow{n}"), Ok(Some("42")));
    }
    let revised = values(&bench.wait_for("out", 11));
    assert!(revised.iter().skip(9).all(|event| event["revision"] == 2 && event["listed"] == 42), "{revised:?}");
    bench.until("nothing waits", || bench.figure("few-kept", "waiting_events") == 0.0);
    bench.stop(&unit);
}

#[test]
fn an_event_that_is_kept_counts_once_and_passes_a_step_that_lets_it_through_once() {
    let (bench, gate) = (Bench::new(), Gate::named("kept-once"));
    bench.stream("in", 1);
    let mut spec = timed("kept-once");
    let once = json!({"id": "once", "type": "dedupe", "key": ".id", "within": "1h"});
    spec["steps"].as_array_mut().unwrap().insert(1, once);
    let unit = bench.start("kept-once", spec.clone());
    let [a, b, z] = [event("a", 0, Some("a")), event("b", 1, Some("b")), event("z", 900, None)];
    bench.send("in", 0, &[(None, &a), (None, &b)]);
    bench.until("both wait", || bench.figure("kept-once", "waiting_events") == 2.0);
    bench.clock.advance(Duration::from_secs(1));
    bench.wait_for("out", 2);
    gate.answer("a", Ok(Some("1")));
    bench.wait_for("out", 3);
    bench.stop(&unit);
    gate.answer("b", Ok(Some("1")));
    let unit = bench.start("kept-once", spec);
    let out = values(&bench.wait_for("out", 4));
    let again: Vec<_> = out[2..].iter().map(|event| (&event["id"], &event["revision"], &event["listed"])).collect();
    assert_eq!(again, [(&json!("a"), &json!(2), &json!(1)), (&json!("b"), &json!(2), &json!(1))]);
    bench.send("in", 0, &[(None, &a), (None, &z)]);
    assert_eq!(ids(&bench.wait_for("out", 5))[4], "z", "what comes twice is still known");
    let mut visits: Vec<_> =
        values(&bench.wait_for("visits", 2)).iter().map(|visit| json!([visit["key"], visit["events"]])).collect();
    visits.sort_by_key(Value::to_string);
    assert_eq!(visits, [json!(["a", 1]), json!(["b", 1])]);
    bench.stop(&unit);
    assert_eq!((bench.read("late"), bench.read("retry")), (Vec::new(), Vec::new()));
}

#[test]
fn a_second_revision_that_cannot_come_since_its_record_is_gone_is_a_dead_letter() {
    let (log, time) = memory_log();
    let bench = Bench::over(log.clone());
    let gate = Gate::named("unpaid");
    let kept =
        StreamConfig { partitions: 1, retention_ms: Some(1), segment_ms: 1, ..default_config(&Limits::default()) };
    bench.create("in", kept);
    let unit = bench.start("unpaid", timed("unpaid"));
    let (owed, done) = (event("a", 0, Some("slow")), event("b", 1, None));
    bench.send("in", 0, &[(None, &owed), (None, &done)]);
    bench.until("the event waits", || bench.figure("unpaid", "waiting_events") == 1.0);
    bench.clock.advance(Duration::from_secs(1));
    bench.wait_for("out", 2);
    bench.send("in", 0, &[(None, &event("c", 2, Some("slow too")))]);
    bench.until("both wait", || bench.figure("unpaid", "waiting_events") == 2.0);
    bench.stop(&unit);
    let name = Name::new("in").unwrap();
    for _ in 0..4 {
        time.advance(Duration::from_secs(1));
        log.maintain_now().unwrap();
    }
    assert_eq!(log.ends(&name, 0).unwrap().start, 3, "retention has taken all of it");
    for key in ["slow", "slow too"] {
        gate.answer(key, Ok(Some("42")));
    }
    let unit = bench.start("unpaid", timed("unpaid"));
    let letter = values(&bench.wait_for("dead", 1)).remove(0);
    let wanted = (&json!("HW-FLOW-035"), &json!({"stream": "in", "partition": 0, "offset": 0}));
    assert_eq!((&letter["code"], &letter["position"]), wanted);
    bench.send("in", 0, &[(None, &event("z", 900, None))]);
    assert_eq!(ids(&bench.wait_for("out", 3))[2], "z", "the rest of the input goes on");
    bench.stop(&unit);
    // It has been told, and is not told once more.
    let unit = bench.start("unpaid", timed("unpaid"));
    bench.send("in", 0, &[(None, &event("y", 901, None))]);
    bench.wait_for("out", 4);
    bench.stop(&unit);
    assert_eq!(bench.read("dead").len(), 1);
}
