//! Pipelines that feed each other: what goes round is counted and cut, whoever began first.

use headwater_base::Name;
use headwater_kernel::port::Cause;
use headwater_log::{Append, Commit};
use headwater_wire::batch::{Builder, Compression};
use serde_json::{Value, json};

use super::bench::{Bench, START, values};
use crate::runtime::outbox::CUT_HEADER;

fn spec(from: &str, to: &str) -> Value {
    json!({"source": {"type": "stream", "stream": from, "start": "earliest"}, "outputs": [{"type": "stream", "stream": to}]})
}

/// Appends an event that says how many steps lie behind it, and perhaps that it is the letter of a chain that was cut.
fn send_after(bench: &Bench, stream: &str, hops: u32, cut: bool) {
    let mut builder = Builder::new(Compression::None);
    let hops = hops.to_string();
    let chain = [(Cause::ID, b"first".as_slice()), (Cause::HOPS, hops.as_bytes()), (CUT_HEADER, b"1".as_slice())];
    let headers = if cut { &chain[..] } else { &chain[..2] };
    builder.push(START.millis(), None, Some(br#"{"n":1}"#.as_slice()), headers);
    let append = Append { stream: Name::new(stream).unwrap(), partition: 0, batches: builder.finish() };
    bench.log.append(&Commit { appends: vec![append], ..Commit::default() }).unwrap();
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
