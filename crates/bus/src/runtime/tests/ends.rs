//! Why a subscription does not begin, or ends: each reason with its code.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use headwater_base::{ManualClock, Name, Problem};
use headwater_kernel::port::Bus as _;
use headwater_kernel::port::bus::BusEvent;
use headwater_log::{Commit, Delta, EmbeddedLog};
use headwater_store::disk::MemoryDisk;
use serde_json::{Value, json};

use super::bench::{Bench, START};

/// A rule about all that is in the stream `in`.
fn rule(target: Value) -> Value {
    json!({"source": "in", "pattern": {"n": [{"exists": true}]}, "targets": [target]})
}

/// Code and fact of a problem.
fn told(problem: &Problem) -> (&str, &str) {
    (&problem.code, &problem.title)
}

#[test]
fn a_rule_does_not_begin_without_its_stream_or_with_a_pipeline_that_reads_none() {
    let bench = Bench::new();
    bench.stream("in");
    bench.put_resource("Pipeline", "files", json!({"source": {"type": "files", "path": "clicks.ndjson"}}));
    let astray = bench.resource("Rule", "astray", rule(json!({"type": "pipeline", "pipeline": "files"})));
    let problem = bench.runtime.block_on(bench.buses.subscribe(&astray)).err().unwrap();
    assert_eq!(told(&problem), ("HW-BUS-006", "the pipeline `files` reads no stream, so it takes no events"));
    let lost = bench.resource("Rule", "lost", rule(json!({"type": "log"})));
    bench.runtime.block_on(bench.log.delete(&Name::new("in").unwrap())).unwrap();
    let problem = bench.runtime.block_on(bench.buses.subscribe(&lost)).err().unwrap();
    assert_eq!(told(&problem), ("HW-BUS-020", "there is no stream `in`"));
}

#[test]
fn a_reader_whose_stream_another_one_has_taken_over_writes_nothing_more() {
    let bench = Bench::new();
    bench.stream("in");
    let spec = rule(json!({"type": "stream", "stream": "out"}));
    let former = bench.start("Rule", "copy", spec.clone());
    // As after a crash that its first node has survived.
    let other = Bench::over(Arc::clone(&bench.log), Arc::clone(&bench.clock));
    let latter = other.start("Rule", "copy", spec);
    assert!(bench.send("in", &[json!({"n": 1})]));
    bench.until("its end", || former.finished().now_or_never().is_some());
    let problem = former.finished().now_or_never().unwrap().unwrap_err();
    assert_eq!(told(&problem), ("HW-BUS-021", "another reader has taken over `in`"));
    assert_eq!(bench.wait_for("out", 1), [json!({"n": 1})]);
    assert!(latter.finished().now_or_never().is_none());
    bench.stop(&former);
    other.stop(&latter);
}

#[test]
fn a_rule_that_cannot_tell_how_far_it_has_read_ends_alone() {
    let bench = Bench::new();
    bench.stream("in");
    for (name, written) in [("torn", &b"?"[..]), ("astray", &b"c\0\0\0\0\0\0\0\x07"[..])] {
        let delta = Delta { key: Bytes::from_static(b"at"), value: Some(Bytes::copy_from_slice(written)) };
        let mut commit = Commit { deltas: vec![(format!("rule/{name}").into(), vec![delta])], ..Commit::default() };
        bench.log.append(&mut commit).unwrap();
    }
    let whole = bench.start("Rule", "whole", rule(json!({"type": "stream", "stream": "out"})));
    for (name, fact) in [
        ("torn", "how far `rule/torn` has read cannot be told"),
        ("astray", "`rule/astray` has read to a place that is not written down"),
    ] {
        let unit = bench.start("Rule", name, rule(json!({"type": "stream", "stream": "never"})));
        bench.until("its end", || unit.finished().now_or_never().is_some());
        let problem = unit.finished().now_or_never().unwrap().unwrap_err();
        assert_eq!(told(&problem), ("HW-BUS-025", fact));
        bench.stop(&unit);
    }
    assert!(bench.send("in", &[json!({"n": 1})]));
    bench.wait_for("out", 1);
    assert!(bench.read("never").is_empty());
    bench.stop(&whole);
}

#[test]
fn what_a_log_refuses_that_is_closed_is_told() {
    let clock = Arc::new(ManualClock::at(START));
    let (disk, options) = (Arc::new(MemoryDisk::default()), headwater_testkit::options(8 << 20));
    let log = EmbeddedLog::open_with(disk, Path::new("/data"), Arc::default(), clock.clone(), options).unwrap();
    let bench = Bench::over(log.clone(), clock);
    let schedule = json!({"expression": "rate(1 minutes)", "targets": [{"type": "log"}]});
    let tick = bench.resource("Schedule", "tick", schedule);
    log.close().unwrap();
    let problem = bench.runtime.block_on(bench.buses.subscribe(&tick)).err().unwrap();
    assert_eq!(problem.code, "HW-BUS-022", "{problem:?}");
    let event = BusEvent {
        id: String::new(),
        source: "shop".to_owned(),
        kind: "Order".to_owned(),
        time: None,
        resources: Vec::new(),
        detail: Bytes::from_static(b"{}"),
        cause: None,
    };
    let bus = Name::new("default").unwrap();
    let problem = bench.runtime.block_on(bench.buses.put(&bus, vec![event])).unwrap_err();
    assert_eq!(problem.code, "HW-BUS-032", "{problem:?}");
    assert!(problem.title.starts_with("the bus `default` takes no events: "), "{problem:?}");
}
