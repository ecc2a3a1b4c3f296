//! Pipelines that feed each other: what goes round is counted and cut, whoever began first.

use headwater_base::{Micros, Name};
use headwater_kernel::port::Cause;
use headwater_log::{Append, Commit};
use headwater_wire::batch::{Builder, Compression};
use serde_json::{Value, json};

use super::bench::{Bench, START, values};
use crate::runtime::outbox::CUT_HEADER;
use crate::runtime::reconcile::Span;

fn spec(from: &str, to: &str) -> Value {
    json!({"source": {"type": "stream", "stream": from, "start": "earliest"}, "outputs": [{"type": "stream", "stream": to}]})
}

/// A pipeline whose one step writes to `to` what it keeps of the events of a `.key`.
fn keeping(from: &str, to: &str, mut step: Value) -> Value {
    step["id"] = json!("kept");
    step["key"] = json!(".key");
    step["measures"] = json!({"events": {"count": true}});
    step["output"] = json!({"stream": to});
    json!({
        "source": {"type": "stream", "stream": from, "start": "earliest"},
        "time": {"field": ".time", "disorder": "0s", "ahead": "3650d"},
        "steps": [step],
        "outputs": [{"type": "stream", "stream": "out"}],
    })
}

fn event(key: &str, seconds: i64) -> String {
    json!({"key": key, "time": Micros(START.0 + seconds * 1_000_000).to_string()}).to_string()
}

/// Appends an event that says how many steps lie behind it, and perhaps that it is the letter of a chain that was cut.
fn send_after(bench: &Bench, stream: &str, hops: u32, cut: bool) {
    send_text_after(bench, stream, &[(hops, r#"{"n":1}"#.to_owned())], cut);
}

/// Appends events, each with how many steps lie behind it, in one batch.
fn send_text_after(bench: &Bench, stream: &str, events: &[(u32, String)], cut: bool) {
    let mut builder = Builder::new(Compression::None);
    for (hops, text) in events {
        let hops = hops.to_string();
        let chain = [(Cause::ID, b"first".as_slice()), (Cause::HOPS, hops.as_bytes()), (CUT_HEADER, b"1".as_slice())];
        let headers = if cut { &chain[..] } else { &chain[..2] };
        builder.push(START.millis(), None, Some(text.as_bytes()), headers);
    }
    let append = Append { stream: Name::new(stream).unwrap(), partition: 0, batches: builder.finish() };
    bench.log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
}

#[test]
fn what_goes_round_is_cut_with_a_letter_that_says_why() {
    let bench = Bench::new();
    bench.stream("a", 1);
    bench.stream("b", 1);
    let there = bench.start("there", spec("a", "b"));
    let back = bench.start("back", spec("b", "a"));
    bench.send("a", 0, &[(None, r#"{"n":1}"#)]);
    // A chain begins with what the second of them reads first: `b` has it with the steps 2, 4 and so on up to 16.
    let letter = values(&bench.wait_for("back.dead", 1)).remove(0);
    assert_eq!(letter["code"], "HW-FLOW-050");
    assert_eq!(letter["reason"], "the chain of events that began with `b-0-0` has 16 steps");
    assert_eq!((bench.read("a").len(), bench.read("b").len()), (9, 9));
    bench.until("it is counted", || bench.figure("back", "loops_cut_total") > 0.0);
    assert_eq!(bench.figure("there", "loops_cut_total"), 0.0);
    bench.stop(&there);
    bench.stop(&back);
}

#[test]
fn a_pipeline_by_itself_carries_a_chain_and_begins_none() {
    let bench = Bench::new();
    bench.stream("a", 1);
    let unit = bench.start("alone", spec("a", "b"));
    bench.send("a", 0, &[(None, r#"{"n":0}"#)]);
    send_after(&bench, "a", 15, false);
    send_after(&bench, "a", 16, false);
    // The letter of a chain that was cut before: it is where it was read, and makes no letter of its own.
    send_after(&bench, "a", 17, true);
    // Whatever else claims as many steps does.
    send_after(&bench, "a", 17, false);
    send_after(&bench, "a", u32::MAX, false);
    bench.until("all are cut", || bench.figure("alone", "loops_cut_total") == 4.0);
    let letters = values(&bench.wait_for("alone.dead", 3));
    assert!(letters.iter().all(|letter| letter["code"] == "HW-FLOW-050"), "{letters:?}");
    assert_eq!(bench.hops("alone.dead"), [Some(17), Some(18), Some(u32::MAX)]);
    bench.wait_for("b", 2);
    assert_eq!(bench.hops("b"), [None, Some(16)]);
    bench.stop(&unit);
}

#[test]
fn pipelines_that_read_each_others_letters_end() {
    let bench = Bench::new();
    bench.stream("a", 1);
    bench.stream("b", 1);
    bench.stream("other.dead", 1);
    let one = bench.start("one", spec("other.dead", "a"));
    let other = bench.start("other", spec("one.dead", "b"));
    send_after(&bench, "other.dead", 40, false);
    bench.wait_for("one.dead", 1);
    bench.until("its letter ends", || bench.figure("other", "loops_cut_total") == 1.0);
    assert_eq!((bench.read("other.dead").len(), bench.read("b").len()), (1, 0));
    bench.stop(&one);
    bench.stop(&other);
}

#[test]
fn what_goes_round_through_sessions_is_cut() {
    let bench = Bench::new();
    bench.stream("a", 1);
    bench.stream("b", 1);
    // No time of their own: a session that comes back falls into itself.
    let mut sessions = keeping("a", "b", json!({"type": "session", "gap": "30s", "emit": "update"}));
    sessions.as_object_mut().unwrap().shift_remove("time");
    let there = bench.start("there", sessions);
    // A session's second revision would count as the second one of an event, which goes into no session.
    let mut first = spec("b", "a");
    first["steps"] = json!([{"type": "transform", "id": "first", "program": "del(.revision)"}]);
    let back = bench.start("back", first);
    bench.send("a", 0, &[(None, r#"{"key":"u"}"#)]);
    let letter = values(&bench.wait_for("back.dead", 1)).remove(0);
    let of = bench.read("b")[0].key.clone().unwrap();
    assert_eq!(letter["code"], "HW-FLOW-050");
    assert_eq!(letter["reason"], format!("the chain of events that began with `b/{of}` has 16 steps"));
    assert_eq!(bench.hops("b"), [None, Some(2), Some(4), Some(6), Some(8), Some(10), Some(12), Some(14), Some(16)]);
    bench.stop(&there);
    bench.stop(&back);
}

#[test]
fn a_window_carries_the_longest_chain_of_its_events_also_over_a_restart() {
    let bench = Bench::new();
    bench.stream("a", 1);
    let spec = || keeping("a", "b", json!({"type": "window", "size": "10s"}));
    let unit = bench.start("windows", spec());
    bench.send("a", 0, &[(None, &event("plain", 1))]);
    send_text_after(&bench, "a", &[(3, event("u", 1)), (7, event("u", 2)), (0, event("u", 3))], false);
    bench.wait_for("out", 4);
    bench.stop(&unit);
    let unit = bench.start("windows", spec());
    // One more of the same window, and one that lets event time pass its end.
    bench.send("a", 0, &[(None, &event("u", 4)), (None, &event("end", 20))]);
    bench.wait_for("b", 2);
    assert_eq!(bench.hops("b"), [None, Some(8)]);
    // A correction is another result of the same window.
    send_text_after(&bench, "a", &[(11, event("u", 5))], false);
    bench.wait_for("b", 3);
    assert_eq!(bench.hops("b"), [None, Some(8), Some(12)]);
    bench.stop(&unit);
}

#[test]
fn sessions_that_become_one_carry_the_longer_chain_of_both() {
    let bench = Bench::new();
    bench.stream("a", 1);
    let unit = bench.start("sessions", keeping("a", "b", json!({"type": "session", "gap": "10s"})));
    send_text_after(&bench, "a", &[(9, event("u", 0)), (2, event("u", 20)), (4, event("end", 40))], false);
    bench.wait_for("b", 2);
    assert_eq!(bench.hops("b"), [Some(10), Some(3)]);
    send_text_after(&bench, "a", &[(0, event("u", 10))], false);
    // The second session goes into the first one: it is taken back, and the first given out again.
    let seen = bench.wait_for("b", 4);
    assert_eq!(seen[2].value, None);
    assert_eq!(bench.hops("b")[2..], [Some(10), Some(10)]);
    bench.stop(&unit);
}

#[test]
fn values_that_are_written_once_for_a_commit_carry_its_longest_chain() {
    let bench = Bench::new();
    bench.stream("a", 1);
    bench.send("a", 0, &[(None, &event("u", 0))]);
    send_text_after(&bench, "a", &[(5, event("u", 1)), (1, event("u", 2))], false);
    // All three are there when it starts, so that one commit has them all.
    let unit = bench.start("rates", keeping("a", "b", json!({"type": "aggregate", "windows": ["1m"]})));
    let seen = values(&bench.wait_for("b", 1));
    assert_eq!((&seen[0]["values"]["events_1m"], bench.hops("b")), (&json!(3), vec![Some(6)]));
    // What was counted before is no part of the chain of what comes now.
    send_text_after(&bench, "a", &[(2, event("u", 3))], false);
    bench.wait_for("b", 2);
    assert_eq!(bench.hops("b")[1], Some(3));
    bench.stop(&unit);
}

#[test]
fn a_correction_carries_on_the_chain_of_what_it_corrects() {
    let bench = Bench::new();
    bench.stream("a", 1);
    let mut spec = keeping("a", "b", json!({"type": "session", "gap": "10s"}));
    spec["time"]["lateness"] = json!("0s");
    spec["late"] = json!({"stream": "late"});
    let unit = bench.start("sessions", spec);
    send_text_after(&bench, "a", &[(3, event("u", 100)), (0, event("end", 7_200))], false);
    bench.wait_for("b", 1);
    // Too late for its session, whose result says nothing of it.
    send_text_after(&bench, "a", &[(9, event("u", 105))], false);
    bench.wait_for("late", 1);
    bench.wait_for("out", 3);
    let span = Span { from: START, to: Micros(START.0 + 3_600_000_000), repair: true };
    let report = bench.runtime.block_on(bench.pipelines.recompute("sessions", span)).unwrap();
    assert_eq!((report.streams["b"].wrong, report.repaired), (1, 1));
    bench.wait_for("b", 2);
    assert_eq!(bench.hops("b"), [Some(4), Some(10)]);
    bench.stop(&unit);
}
