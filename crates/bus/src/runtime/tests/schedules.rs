//! Schedules: each time once, whatever happens in between.

use std::time::Duration;

use futures::FutureExt;
use headwater_base::{Micros, Name};
use headwater_kernel::port::Bus as _;
use headwater_testkit::FaultyDisk;
use serde_json::{Value, json};

use super::bench::{Bench, START};
use crate::schedule::{Dialect, Expression};

fn spec(expression: &str, more: Value) -> Value {
    let mut spec = json!({"expression": expression, "targets": [{"type": "stream", "stream": "ticks", "input": {"path": "$.time"}}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

#[test]
fn a_rate_is_due_again_and_again() {
    let bench = Bench::new();
    let unit = bench.start("Schedule", "tick", spec("rate(1 minutes)", json!({})));
    bench.until_ticking(Duration::from_millis(500), "three times", || bench.read("ticks").len() >= 3);
    let times: Vec<Value> = bench.read("ticks").into_iter().map(|seen| seen.value).take(3).collect();
    assert_eq!(times, [json!("2026-01-01T00:01:00Z"), json!("2026-01-01T00:02:00Z"), json!("2026-01-01T00:03:00Z")]);
    bench.stop(&unit);
}

#[test]
fn missed_times_are_made_up_for_once_or_left_out() {
    let bench = Bench::new();
    let once = bench.start("Schedule", "once", spec("rate(1 minutes)", json!({})));
    bench.stop(&once);
    let skip = bench.start(
        "Schedule",
        "skip",
        spec("rate(1 minutes)", json!({"missed": "skip", "targets": [{"type": "stream", "stream": "skipped"}]})),
    );
    bench.stop(&skip);
    // A year and half a minute.
    bench.clock.advance(Duration::from_secs(365 * 86_400 + 150));
    let once = bench.start("Schedule", "once", spec("rate(1 minutes)", json!({})));
    assert_eq!(bench.wait_for("ticks", 1), [json!("2027-01-01T00:02:00Z")]);
    bench.stop(&once);
    bench.clock.advance(Duration::from_secs(86_400));
    let skip = bench.start(
        "Schedule",
        "skip",
        spec("rate(1 minutes)", json!({"missed": "skip", "targets": [{"type": "stream", "stream": "skipped"}]})),
    );
    let before = headwater_base::Clock::now(&*bench.clock);
    bench.until_ticking(Duration::from_millis(500), "the next one", || !bench.read("skipped").is_empty());
    let first = bench.read("skipped").remove(0);
    let time = headwater_base::Micros::parse_rfc3339(&first.headers["ce_time"]).unwrap();
    assert!(before.since(time) < Duration::from_secs(60), "{time} is older than {before}");
    bench.stop(&skip);
}

#[test]
fn a_time_at_which_the_disk_is_full_waits_for_it() {
    let disk = FaultyDisk::default();
    let bench = Bench::on(&disk);
    let unit = bench.start("Schedule", "tick", spec("rate(1 minutes)", json!({"missed": "skip"})));
    disk.set_full(true);
    bench.fill();
    bench.clock.advance(Duration::from_secs(60));
    bench.until("it is due", || unit.status().message.starts_with("next 2026-01-01T00:02:00Z"));
    // Longer than a time may be late that is not to be made up for.
    bench.clock.advance(Duration::from_secs(3_600));
    disk.set_full(false);
    // The newest of those behind it may be there as well, in another partition.
    bench.until("it is written", || bench.read("ticks").iter().any(|seen| seen.value == "2026-01-01T00:01:00Z"));
    bench.stop(&unit);
}

#[test]
fn a_schedule_that_ends_while_it_waits_for_the_disk_fires_once_in_its_next_life() {
    let disk = FaultyDisk::default();
    let bench = Bench::on(&disk);
    let unit = bench.start("Schedule", "tick", spec("rate(1 hours)", json!({})));
    disk.set_full(true);
    bench.fill();
    bench.clock.advance(Duration::from_secs(3_600));
    bench.until("it is due", || unit.status().message.starts_with("next 2026-01-01T02:00:00Z"));
    bench.stop(&unit);
    let unit = bench.start("Schedule", "tick", spec("rate(1 hours)", json!({})));
    bench.until("it is due again", || unit.status().message.starts_with("next 2026-01-01T02:00:00Z"));
    disk.set_full(false);
    bench.clock.advance(Duration::from_secs(3_600));
    bench.until("the next one is written", || bench.read("ticks").len() >= 2);
    // Read partition by partition.
    let mut times: Vec<String> = bench.read("ticks").into_iter().map(|seen| seen.value.to_string()).collect();
    times.sort();
    assert_eq!(times, ["\"2026-01-01T01:00:00Z\"", "\"2026-01-01T02:00:00Z\""]);
    bench.stop(&unit);
}

#[test]
fn a_time_that_comes_once_ends_its_schedule() {
    let bench = Bench::new();
    let more = json!({"timezone": "Europe/Zurich", "afterwards": "delete", "flexibleWindow": "1m"});
    let unit = bench.start("Schedule", "gong", spec("at(2026-01-01T02:00:00)", more));
    bench.until_ticking(Duration::from_secs(10), "it is over", || !bench.retired.lock().is_empty());
    assert_eq!(bench.wait_for("ticks", 1), [json!("2026-01-01T01:00:00Z")]);
    assert_eq!(*bench.retired.lock(), ["Schedule/gong"]);
    bench.stop(&unit);
}

#[test]
fn schedules_that_are_due_together_are_spread_over_their_window() {
    let bench = Bench::new();
    let spread = |number: usize| {
        let more = json!({"flexibleWindow": "10m"});
        bench.start("Schedule", &format!("spread-{number}"), spec("rate(1 hours)", more))
    };
    let units: Vec<_> = (0..20).map(spread).collect();
    let sharp = |name: &str, expression: &str| {
        let targets = json!([{"type": "stream", "stream": name}]);
        bench.start("Schedule", name, spec(expression, json!({ "targets": targets })))
    };
    let (sharp, later) = (sharp("sharp", "cron(0 1 * * ? *)"), sharp("later", "cron(1 1 * * ? *)"));
    bench.clock.advance(Duration::from_secs(3_600));
    bench.wait_for("sharp", 1);
    bench.clock.advance(Duration::from_secs(60));
    bench.wait_for("later", 1);
    let early = bench.read("ticks").len();
    assert!(early < 20, "all of them in the first minute");
    bench.clock.advance(Duration::from_secs(540));
    // However late in the window it is, the time is the one that was due.
    let times = bench.wait_for("ticks", 20);
    assert!(times.iter().all(|time| *time == "2026-01-01T01:00:00Z"), "{times:?}");
    for unit in units.iter().chain([&sharp, &later]) {
        bench.stop(unit);
    }
}

#[test]
fn a_time_that_waits_in_its_window_is_not_lost_to_one_that_is_asked_for() {
    let bench = Bench::new();
    // Its place is half an hour behind each time.
    let start = || bench.start("Schedule", "tick", spec("rate(1 hours)", json!({"flexibleWindow": "50m"})));
    let unit = start();
    bench.clock.advance(Duration::from_secs(3_601));
    bench.buses.run_now("schedule", "tick").unwrap();
    assert_eq!(bench.wait_for("ticks", 1), [json!("2026-01-01T01:00:01Z")]);
    bench.stop(&unit);
    let unit = start();
    bench.clock.advance(Duration::from_secs(3_000));
    let mut times: Vec<String> = bench.wait_for("ticks", 2).iter().map(Value::to_string).collect();
    times.sort();
    assert_eq!(times, ["\"2026-01-01T01:00:00Z\"", "\"2026-01-01T01:00:01Z\""]);
    bench.stop(&unit);
}

#[test]
fn a_rule_may_have_a_schedule() {
    let bench = Bench::new();
    let spec = json!({"schedule": "cron(5 0 * * ? *)", "targets": [{"type": "stream", "stream": "ticks"}]});
    let unit = bench.start("Rule", "nightly", spec);
    bench.until_ticking(Duration::from_secs(1), "its time", || !bench.read("ticks").is_empty());
    let seen = bench.read("ticks").remove(0);
    assert_eq!(seen.headers["ce_source"], "headwater.schedule");
    assert_eq!(seen.headers["ce_time"], headwater_base::Micros(START.0 + 300_000_000).to_string());
    bench.stop(&unit);
}

#[test]
fn a_time_that_meets_a_bug_is_a_dead_letter_and_the_next_ones_are_due_all_the_same() {
    let bench = Bench::new();
    let bad = json!({"targets": [
        {"type": "table", "table": "orders", "key": "$.id", "input": {"constant": {"bug": true}}},
        {"type": "stream", "stream": "beside", "input": {"path": "$.time"}},
    ]});
    let bad = bench.start("Schedule", "bad", spec("rate(1 minutes)", bad));
    let good = bench.start("Schedule", "good", spec("rate(1 minutes)", json!({})));
    bench.until_ticking(Duration::from_secs(1), "three times", || bench.read("bad.dead").len() >= 3);
    // Read partition by partition.
    let mut letters: Vec<Value> = bench.read("bad.dead").into_iter().map(|seen| seen.value).collect();
    letters.sort_by_key(|letter| letter["position"]["offset"].as_i64());
    let mut before = START.0;
    for letter in &letters {
        assert_eq!((&letter["code"], &letter["target"]), (&json!("HW-KERNEL-043"), &json!(0)));
        // Each time once; the newest stands for those that the clock leaps over.
        let time = letter["position"]["offset"].as_i64().unwrap();
        assert!(time > before && (time - START.0) % 60_000_000 == 0, "{time} behind {before}");
        before = time;
        let reason = letter["reason"].as_str().unwrap();
        assert!(reason.contains("`schedule/bad`") && reason.contains("a bug, made by a test"), "{reason}");
    }
    bench.until("its other target has them", || bench.read("beside").len() >= 3);
    bench.until("the other schedule's are there", || bench.read("ticks").len() >= 3);
    assert!(bad.finished().now_or_never().is_none());
    bench.until("they are counted", || bench.figure("schedule/bad", "dead_letters_total") >= 3);
    bench.stop(&bad);
    bench.stop(&good);
}

#[test]
fn a_schedule_that_waits_for_its_table_holds_up_no_other() {
    let bench = Bench::new();
    let behind = json!({"type": "table", "table": "orders", "key": "$.id", "input": {"constant": {"behind": true}}});
    let stuck = bench.start("Schedule", "a-stuck", spec("rate(1 minutes)", json!({"targets": [behind]})));
    let free = bench.start("Schedule", "b-free", spec("rate(1 minutes)", json!({})));
    bench.until_ticking(Duration::from_millis(500), "the first time", || !bench.read("ticks").is_empty());
    let held = stuck.status().message;
    bench.until_ticking(Duration::from_millis(500), "three times", || bench.read("ticks").len() >= 3);
    // It is in the midst of its first time, and not of those behind it as well.
    assert_eq!(stuck.status().message, held);
    assert!(stuck.finished().now_or_never().is_none());
    bench.stop(&stuck);
    bench.stop(&free);
}

#[test]
fn a_calendar_that_meets_a_bug_fails_its_schedule_behind_the_time_that_was_due() {
    let bench = Bench::new();
    let bad = bench.start("Schedule", "bad", spec("rate(1 minutes)", json!({})));
    let more = json!({"targets": [{"type": "stream", "stream": "beside", "input": {"path": "$.time"}}]});
    let good = bench.start("Schedule", "good", spec("rate(1 minutes)", more));
    // At the end of all time, in a zone that is ahead of it.
    bench.buses.scheduler().change("schedule/bad", |calendar| {
        calendar.expression = Expression::parse("cron(0 0 ? * MON *)", Dialect::Schedule).unwrap();
        calendar.zone = chrono_tz::Pacific::Auckland;
        calendar.start = Some(Micros(chrono::DateTime::<chrono::Utc>::MAX_UTC.timestamp_micros()));
    });
    bench.until_ticking(Duration::from_millis(500), "its end", || bad.finished().now_or_never().is_some());
    let problem = bench.runtime.block_on(bad.finished()).unwrap_err();
    assert_eq!(problem.code, "HW-BUS-064", "{problem:?}");
    assert!(problem.title.starts_with("no time after 2026-01-01T00:01:00Z can be told"), "{problem:?}");
    assert_eq!(bench.wait_for("ticks", 1), [json!("2026-01-01T00:01:00Z")]);
    bench.until_ticking(Duration::from_millis(500), "the other's times", || bench.read("beside").len() >= 3);
    bench.stop(&good);
}

#[test]
fn a_target_that_comes_later_gets_the_times_from_then_on() {
    let bench = Bench::new();
    let unit = bench.start("Schedule", "tick", spec("rate(1 minutes)", json!({})));
    let ticks = Name::new("ticks").unwrap();
    bench.runtime.block_on(bench.log.delete(&ticks)).unwrap();
    bench.until_ticking(Duration::from_secs(1), "a time without it", || !bench.read("tick.dead").is_empty());
    assert_eq!(bench.read("tick.dead").remove(0).value["reason"], "there is no stream `ticks`");
    bench.stream("ticks");
    bench.until_ticking(Duration::from_secs(1), "a time with it", || !bench.read("ticks").is_empty());
    bench.stop(&unit);
}
