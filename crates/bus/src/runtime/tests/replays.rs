//! Archives and replays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use headwater_base::{Clock, Limits, ManualClock, Micros, Name};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::Bus;
use headwater_kernel::port::bus::ReplayRequest;
use serde_json::{Value, json};

use super::bench::{Bench, START};
use crate::runtime::replay::Replays;
use headwater_log::{Commit, Delta, StreamConfig, append_durable};
use headwater_testkit::FaultyDisk;

fn request(name: &str, from: u64, to: u64, rules: &[&str]) -> ReplayRequest {
    ReplayRequest {
        name: name.to_owned(),
        description: Some(format!("for {name}")),
        archive: "all".to_owned(),
        from: START.plus(Duration::from_secs(from)),
        to: START.plus(Duration::from_secs(to)),
        rules: rules.iter().map(|&rule| rule.to_owned()).collect(),
    }
}

/// A replay of `all` was under way when an earlier life ended.
fn under_way(bench: &Bench, more: Value) {
    let mut row = json!({"archive": "all", "from": START, "to": START.plus(Duration::from_secs(1)), "rules": [],
        "state": "running", "started": START, "events": 0, "next": 0});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let key = Bytes::from(row["name"].as_str().unwrap().to_owned());
    let deltas = vec![(Arc::from("bus/replays"), vec![Delta { key, value: Some(Bytes::from(row.to_string())) }])];
    bench.runtime.block_on(append_durable(&*bench.log, &mut Commit { deltas, ..Commit::default() })).unwrap();
}

#[test]
fn a_replay_gives_a_span_out_again_to_the_rules_named() {
    let bench = Bench::on(&FaultyDisk::default());
    bench.stream("one");
    bench.stream("two");
    let archive = bench.start("Archive", "all", json!({"pattern": {"source": ["shop"]}}));
    let rule = |stream: &str| json!({"pattern": {"source": ["shop"]}, "targets": [{"type": "stream", "stream": stream, "input": {"path": "$"}}]});
    let one = bench.start("Rule", "one", rule("one"));
    let two = bench.start("Rule", "two", rule("two"));
    for n in 0..10 {
        bench.put("shop", "Order", json!({"n": n}));
        bench.clock.advance(Duration::from_secs(1));
    }
    bench.wait_for("archive.all", 10);
    bench.wait_for("one", 10);
    bench.runtime.block_on(bench.buses.replay(request("again", 3, 6, &["two"]))).unwrap();
    let seen = bench.wait_for("two", 13);
    let replayed: Vec<(&Value, &Value)> = seen
        .iter()
        .filter(|event| event.get("replay-name").is_some())
        .map(|event| (&event["replay-name"], &event["detail"]["n"]))
        .collect();
    let name = json!("again");
    assert_eq!(replayed, [(&name, &json!(3)), (&name, &json!(4)), (&name, &json!(5))]);
    bench.until("it is complete", || bench.buses.replays()[0]["state"] == "completed");
    let shown = bench.buses.replays().remove(0);
    // The clock stands still meanwhile.
    assert_eq!((&shown["events"], &shown["ended"]), (&json!(3), &shown["started"]));
    assert_eq!(shown["description"], "for again");
    let name = bench.buses.replays()[0]["name"].as_str().unwrap().to_owned();
    assert_eq!(bench.buses.find_replay(&name), bench.buses.replays().pop());
    assert_eq!(bench.buses.find_replay("another"), None);
    // Nobody else got them, and they are not archived twice.
    bench.put("shop", "Order", json!({"n": 10}));
    bench.wait_for("one", 11);
    bench.wait_for("archive.all", 11);
    let code = |request| bench.runtime.block_on(bench.buses.replay(request)).unwrap_err().code;
    assert_eq!(code(request("again", 0, 9, &[])), "HW-BUS-040");
    assert_eq!(code(request("empty", 9, 9, &[])), "HW-BUS-042");
    assert_eq!(code(ReplayRequest { archive: "none".to_owned(), ..request("none", 0, 9, &[]) }), "HW-BUS-041");
    // A rule that there is not, or that reads another bus, would never hear of it.
    bench.resource("Rule", "other", json!({"source": "one", "pattern": {"source": ["shop"]}, "targets": []}));
    let problem =
        |rule: &str| bench.runtime.block_on(bench.buses.replay(request("deaf", 0, 9, &["one", rule]))).unwrap_err();
    let (missing, foreign) = (problem("tow"), problem("other"));
    assert_eq!((missing.code.as_str(), missing.title.as_str()), ("HW-BUS-045", "there is no rule `tow` to replay to"));
    assert!(missing.help.unwrap().ends_with("did you mean `two`?"));
    assert_eq!(foreign.title, "rule `other` reads `one`, and archive `all` is of `bus.default`");
    assert_eq!(bench.buses.find_replay("deaf"), None);
    for unit in [archive, one, two] {
        bench.stop(&unit);
    }
}

#[test]
fn of_two_replays_of_one_name_the_second_is_refused_and_so_is_one_too_many() {
    let disk = FaultyDisk::default();
    let bench = Bench::on(&disk);
    let archive = bench.start("Archive", "all", json!({"pattern": {"source": ["shop"]}}));
    for n in 0..3 {
        bench.put("shop", "Order", json!({"n": n}));
    }
    bench.wait_for("archive.all", 3);
    // None of them is durable when the others come, and whoever asked for one may leave before it is.
    let held = disk.hold_syncs();
    let begin = |name: &str| bench.buses.replay(request(name, 0, 1, &[])).now_or_never();
    assert!(begin("0").is_none());
    assert_eq!(begin("0").unwrap().unwrap_err().code, "HW-BUS-040");
    for name in 1..10 {
        assert!(begin(&name.to_string()).is_none());
    }
    assert_eq!(begin("10").unwrap().unwrap_err().code, "HW-BUS-043");
    drop(held);
    bench.until("all are complete", || {
        let all = bench.buses.replays();
        all.len() == 10 && all.iter().all(|replay| replay["state"] == "completed" && replay["events"] == 3)
    });
    bench.until("what they gave out is durable", || bench.read("bus.default").len() >= 33);
    assert_eq!(bench.read("bus.default").len(), 33);
    bench.until("there is a place again", || begin("11").is_none_or(|begun| begun.is_ok()));
    bench.stop(&archive);
}

#[test]
fn a_replay_that_is_stopped_has_given_out_what_it_says_and_gives_out_no_more() {
    const EVENTS: usize = 60_000;
    let bench = Bench::on(&FaultyDisk::default());
    let archive = bench.start("Archive", "all", json!({"pattern": {"source": ["shop"]}}));
    // So many that its end is far when it is told to stop.
    for from in (0..EVENTS).step_by(1_000) {
        let events: Vec<Value> = (from..from + 1_000).map(|n| json!({"n": n})).collect();
        assert!(bench.send("archive.all", &events));
    }
    bench.runtime.block_on(bench.buses.replay(request("long", 0, 1, &[]))).unwrap();
    bench.runtime.block_on(bench.buses.cancel_replay("long")).unwrap();
    bench.until("it has ended", || bench.buses.replays()[0]["state"] != "running");
    let shown = bench.buses.replays().remove(0);
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("cancelled"), &json!("cancelled")));
    let said = usize::try_from(shown["events"].as_u64().unwrap()).unwrap();
    assert!(said < EVENTS, "{said} of {EVENTS} were given out");
    // A replay is shown as it is appended, records once they are durable.
    bench.until("what it gave out is durable", || bench.read("bus.default").len() >= said);
    assert_eq!(bench.read("bus.default").len(), said);
    // It is under way until its end is durable.
    let cancel = || bench.runtime.block_on(bench.buses.cancel_replay("long"));
    bench.until("its end is durable", || cancel().is_err_and(|problem| problem.code == "HW-BUS-044"));
    bench.stop(&archive);
}

#[test]
fn a_replay_that_is_stopped_while_its_last_events_wait_for_the_disk_is_cancelled() {
    let disk = FaultyDisk::default();
    let bench = Bench::on(&disk);
    let archive = bench.start("Archive", "all", json!({"pattern": {"source": ["shop"]}}));
    let large = json!({"text": "x".repeat(100_000)});
    assert!(bench.send("archive.all", &[large.clone(), large]));
    // It was under way when an earlier life ended; the one that takes it up finds no room for what it gives out.
    under_way(&bench, json!({"name": "late", "bus": "default", "end": 2}));
    disk.set_full(true);
    bench.fill_by(&[50_000]);
    let next = Bench::over(Arc::clone(&bench.log), Arc::clone(&bench.clock));
    next.runtime.block_on(next.buses.cancel_replay("late")).unwrap();
    disk.set_full(false);
    next.until("it has ended", || next.buses.replays()[0]["state"] != "running");
    let shown = next.buses.replays().remove(0);
    assert_eq!((&shown["state"], &shown["events"]), (&json!("cancelled"), &json!(0)));
    assert!(next.read("bus.default").is_empty());
    bench.stop(&archive);
}

#[test]
fn a_replay_says_what_it_did_not_give_out() {
    let bench = Bench::on(&FaultyDisk::default());
    let config = StreamConfig { partitions: 1, batch_bytes_max: 4_096, ..default_config(&Limits::default()) };
    bench.runtime.block_on(bench.log.create(Name::new("small").unwrap(), config, Vec::new())).unwrap();
    let archive = bench.start("Archive", "all", json!({"source": "small"}));
    let large = json!({"n": 2, "text": "x".repeat(10_000)});
    assert!(bench.send("archive.all", &[json!({"n": 1}), large, json!({"n": 3})]));
    bench.runtime.block_on(bench.buses.replay(request("again", 0, 1, &[]))).unwrap();
    bench.until("it is complete", || bench.buses.replays()[0]["state"] == "completed");
    let shown = bench.buses.replays().remove(0);
    assert_eq!((&shown["events"], &shown["leftOut"]), (&json!(2), &json!(1)));
    assert!(shown["reason"].as_str().unwrap().starts_with("1 of the archive's events"), "{shown:?}");
    assert_eq!(bench.wait_for("small", 2), [json!({"n": 1}), json!({"n": 3})]);
    bench.stop(&archive);
}

#[test]
fn what_came_since_a_replay_began_is_not_left_out_of_it() {
    let bench = Bench::on(&FaultyDisk::default());
    let archive = bench.start("Archive", "all", json!({"pattern": {"source": ["shop"]}}));
    let events: Vec<Value> = (0..4).map(|n| json!({"n": n})).collect();
    assert!(bench.send("archive.all", &events));
    under_way(&bench, json!({"name": "late", "bus": "bus.default", "end": 2}));
    // Its retention is over before the next life takes the replay up.
    bench.runtime.block_on(bench.log.trim(&Name::new("archive.all").unwrap(), 0, 4)).unwrap();
    let next = Bench::over(Arc::clone(&bench.log), Arc::clone(&bench.clock));
    next.until("it is complete", || next.buses.replays()[0]["state"] == "completed");
    let shown = next.buses.replays().remove(0);
    assert_eq!((&shown["events"], &shown["leftOut"]), (&json!(0), &json!(2)));
    bench.stop(&archive);
}

/// A clock that cannot tell the time once.
struct Broken(Arc<ManualClock>, AtomicBool);

impl Clock for Broken {
    fn now(&self) -> Micros {
        assert!(self.1.swap(true, Ordering::SeqCst), "a bug, made by a test");
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[test]
fn a_replay_that_meets_a_bug_has_failed() {
    let bench = Bench::on(&FaultyDisk::default());
    let archive = bench.start("Archive", "all", json!({"pattern": {"source": ["shop"]}}));
    under_way(&bench, json!({"name": "bad", "bus": "bus.default", "end": 0}));
    let clock = Arc::new(Broken(Arc::clone(&bench.clock), AtomicBool::new(false)));
    let replays = Replays::open(Arc::clone(&bench.log), clock, Arc::default());
    bench.until("it has ended", || replays.list()[0]["state"] != "running");
    let shown = replays.list().remove(0);
    assert_eq!((&shown["state"], &shown["ended"]), (&json!("failed"), &json!(START.to_string())));
    assert!(shown["reason"].as_str().unwrap().ends_with("a bug, made by a test"), "{shown:?}");
    // Its place is free.
    bench.until("it is not under way", || replays.cancel("bad").is_err());
    bench.stop(&archive);
}
