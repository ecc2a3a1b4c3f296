use headwater_base::{Limits, Micros};
use headwater_kernel::kinds::stream::default_config;
use headwater_log::StreamConfig;
use headwater_testkit::memory_log;
use serde_json::{Value, json};

use super::bench::{Bench, START, values};
use crate::runtime::reconcile::{Differences, Span};

#[test]
fn a_late_event_is_found_missing_in_its_session_and_the_session_is_corrected() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "1s", "lateness": "1m", "ahead": "3650d"},
        "steps": [{"id": "sessions", "type": "session", "key": ".user", "gap": "30s", "output": {"stream": "sessions"}}],
        "outputs": [{"type": "stream", "stream": "out"}],
        "late": {"stream": "late"},
    });
    let unit = bench.start("p", spec);
    let event = |id: &str, user: &str, seconds: i64| {
        json!({"id": id, "user": user, "time": Micros(START.0 + seconds * 1_000_000).to_string()}).to_string()
    };
    bench.send(
        "in",
        0,
        &[(None, &event("1", "u", 100)), (None, &event("2", "v", 10)), (None, &event("3", "w", 7_200))],
    );
    bench.wait_for("sessions", 2);
    bench.send("in", 0, &[(None, &event("4", "u", 110)), (None, &event("5", "w", 7_300))]);
    bench.wait_for("late", 1);
    bench.until("all is read", || bench.read("out").len() == 5);
    let span = Span { from: START, to: Micros(START.0 + 3_600_000_000), repair: false };
    let report = bench.runtime.block_on(bench.pipelines.recompute("p", span)).unwrap();
    assert_eq!(report.streams["sessions"], Differences { compared: 2, wrong: 1, ..Differences::default() });
    assert_eq!(report.streams["out"], Differences { compared: 3, ..Differences::default() });
    assert_eq!(report.repaired, 0);
    let before = bench.read("sessions").len();
    let report = bench.runtime.block_on(bench.pipelines.recompute("p", Span { repair: true, ..span })).unwrap();
    assert_eq!(report.repaired, 1);
    let corrected: Value = values(&bench.wait_for("sessions", before + 1)).pop().unwrap();
    assert_eq!((&corrected["key"], &corrected["events"], &corrected["revision"]), (&json!("u"), &json!(2), &json!(2)));
    let report = bench.runtime.block_on(bench.pipelines.recompute("p", Span { repair: true, ..span })).unwrap();
    assert_eq!((report.streams["sessions"].wrong, report.repaired), (0, 0), "what was repaired is right");
    bench.stop(&unit);
}

#[test]
fn a_value_of_all_time_is_of_what_came_long_before_the_span() {
    const DAY: i64 = 86_400_000_000;
    let bench = Bench::new();
    bench.stream("in", 1);
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "1s", "ahead": "3650d"},
        "steps": [
            {"id": "known", "type": "aggregate", "key": ".user", "windows": ["1m", "all"], "idle": "30d",
             "measures": {"events": {"count": true}}, "into": ".known"},
            {"id": "first", "type": "filter", "when": ".known.events_all == 1"},
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
    });
    let unit = bench.start("p", spec);
    let event = |id: &str, user: &str, days: i64| {
        json!({"id": id, "user": user, "time": Micros(START.0 + days * DAY).to_string()}).to_string()
    };
    bench.send("in", 0, &[(None, &event("1", "u", 0)), (None, &event("2", "u", 20)), (None, &event("3", "v", 20))]);
    // What lies before the watermark is compared.
    bench.send("in", 0, &[(None, &event("4", "w", 22))]);
    bench.wait_for("out", 3);
    let span = Span { from: Micros(START.0 + 19 * DAY), to: Micros(START.0 + 21 * DAY), repair: true };
    let report = bench.runtime.block_on(bench.pipelines.recompute("p", span)).unwrap();
    // The second event of a user is not taken for the first.
    assert_eq!(report.streams["out"], Differences { compared: 1, ..Differences::default() });
    assert_eq!((report.repaired, bench.read("out").len()), (0, 3));
    bench.stop(&unit);
}

#[test]
fn repairs_that_are_more_than_a_commit_takes_are_written_all_the_same() {
    let bench = Bench::new();
    bench.stream("in", 1);
    // The log of the test takes 4 MiB at once.
    for id in 0..8 {
        let event = json!({"id": id.to_string(), "blob": "x".repeat(700_000)}).to_string();
        assert!(bench.send_durably("in", 0, &[event]));
    }
    let spec = json!({
        "source": {"type": "stream", "stream": "in", "start": "latest"},
        "outputs": [{"type": "stream", "stream": "out"}],
    });
    let unit = bench.start("p", spec);
    let span = Span { from: START, to: Micros(START.0 + 3_600_000_000), repair: true };
    let report = bench.runtime.block_on(bench.pipelines.recompute("p", span)).unwrap();
    assert_eq!(report.streams["out"], Differences { compared: 8, missing: 8, ..Differences::default() });
    assert_eq!((report.repaired, bench.read("out").len()), (8, 8));
    bench.stop(&unit);
}

fn small(bench: &Bench) {
    bench.create("small", StreamConfig { partitions: 1, batch_bytes_max: 600, ..default_config(&Limits::default()) });
}

#[test]
fn an_event_that_one_output_refuses_is_expected_in_none_of_them() {
    let bench = Bench::new();
    bench.stream("in", 1);
    small(&bench);
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "outputs": [{"type": "stream", "stream": "out"}, {"type": "stream", "stream": "small"}],
        "errors": {"stream": "dead"},
    });
    let unit = bench.start("p", spec);
    let large = json!({"id": "1", "blob": "x".repeat(900)}).to_string();
    bench.send("in", 0, &[(None, &large), (None, r#"{"id":"2"}"#)]);
    bench.wait_for("dead", 1);
    bench.wait_for("small", 1);
    let span = Span { from: START, to: Micros(START.0 + 3_600_000_000), repair: true };
    let report = bench.runtime.block_on(bench.pipelines.recompute("p", span)).unwrap();
    for stream in ["out", "small"] {
        let same = Differences { compared: 1, ..Differences::default() };
        assert_eq!(report.streams[stream], same, "{stream}");
        assert_eq!(bench.read(stream).len(), 1, "{stream}");
    }
    assert_eq!(report.repaired, 0);
    bench.stop(&unit);
}

#[test]
fn a_row_whose_new_revision_its_stream_refuses_stays_as_it_is() {
    let bench = Bench::new();
    bench.stream("in", 1);
    small(&bench);
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "1s", "lateness": "10m", "ahead": "3650d"},
        "steps": [{"id": "sessions", "type": "session", "key": ".user", "gap": "30s",
                   "measures": {"page": {"last": ".page"}}, "output": {"stream": "small"}}],
        "outputs": [{"type": "stream", "stream": "out"}],
        "late": {"stream": "late"},
        "errors": {"stream": "dead"},
    });
    let unit = bench.start("p", spec);
    let event = |id: &str, user: &str, seconds: i64, page: &str| {
        let time = Micros(START.0 + seconds * 1_000_000).to_string();
        json!({"id": id, "user": user, "time": time, "page": page}).to_string()
    };
    bench.send("in", 0, &[(None, &event("1", "u", 100, "a")), (None, &event("2", "v", 300, "a"))]);
    bench.wait_for("small", 1);
    let large = "x".repeat(900);
    bench.send("in", 0, &[(None, &event("3", "u", 110, &large)), (None, &event("4", "w", 7_200, "a"))]);
    bench.wait_for("dead", 1);
    bench.wait_for("small", 2);
    bench.wait_for("out", 4);
    let span = Span { from: START, to: Micros(START.0 + 250_000_000), repair: true };
    let report = bench.runtime.block_on(bench.pipelines.recompute("p", span)).unwrap();
    assert_eq!(report.streams["small"], Differences::default());
    assert_eq!(report.streams["out"], Differences { compared: 2, ..Differences::default() });
    assert_eq!((report.repaired, bench.read("small").len()), (0, 2), "the first revision has not been deleted");
    bench.stop(&unit);
}

#[test]
fn a_span_that_needs_too_much_memory_is_refused_and_a_shorter_one_is_not() {
    let bench = Bench::within(memory_log().0, Limits { reconcile_bytes: 20_000, ..Limits::default() });
    bench.stream("in", 1);
    let minute = |minutes: i64| Micros(START.0 + minutes * 60_000_000);
    for id in 0..10 {
        let event = json!({"id": id.to_string(), "time": minute(id).to_string(), "blob": "x".repeat(2_000)});
        assert!(bench.send_durably("in", 0, &[event.to_string()]));
    }
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "ahead": "3650d"},
        "outputs": [{"type": "stream", "stream": "out"}],
    });
    let unit = bench.start("p", spec);
    bench.wait_for("out", 10);
    let ask = |minutes: i64| {
        let span = Span { from: START, to: minute(minutes), repair: true };
        bench.runtime.block_on(bench.pipelines.recompute("p", span))
    };
    let refused = ask(10).unwrap_err();
    assert!(refused.code == "HW-FLOW-053" && refused.title.contains("more than 20000 bytes"), "{refused:?}");
    assert_eq!(ask(5).unwrap().streams["out"], Differences { compared: 5, ..Differences::default() });
    bench.stop(&unit);
}

#[test]
fn the_state_of_a_recomputation_counts_as_well() {
    let bench = Bench::within(memory_log().0, Limits { reconcile_bytes: 100_000, ..Limits::default() });
    bench.stream("in", 1);
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "1s", "ahead": "3650d"},
        "steps": [{"id": "known", "type": "aggregate", "key": ".user", "windows": ["1m"],
                   "measures": {"events": {"count": true}}, "into": ".known"},
                  {"id": "none", "type": "filter", "when": ".user == \"nobody\""}],
        "outputs": [{"type": "stream", "stream": "out"}],
    });
    let unit = bench.start("p", spec);
    let events: Vec<String> = (0..4_096)
        .map(|user| json!({"id": "1", "user": format!("{user:032}"), "time": START.to_string()}).to_string())
        .collect();
    assert!(bench.send_durably("in", 0, &events));
    // What lies before the watermark is recomputed.
    let later = json!({"id": "2", "user": "u", "time": Micros(START.0 + 7_200_000_000).to_string()}).to_string();
    bench.send("in", 0, &[(None, &later)]);
    bench.until("event time has come so far", || {
        bench.pipelines.watermark("p").is_some_and(|watermark| watermark > Micros(START.0 + 3_600_000_000))
    });
    let span = Span { from: START, to: Micros(START.0 + 3_600_000_000), repair: false };
    let refused = bench.runtime.block_on(bench.pipelines.recompute("p", span)).unwrap_err();
    assert_eq!(refused.code, "HW-FLOW-053", "{refused:?}");
    bench.stop(&unit);
}

#[test]
fn what_was_too_far_ahead_when_it_came_is_missed_nowhere() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "ahead": "1h"},
        "outputs": [{"type": "stream", "stream": "out"}],
        "errors": {"stream": "dead"},
    });
    let unit = bench.start("p", spec);
    let event = |id: &str, hours: i64| {
        json!({"id": id, "time": Micros(START.0 + hours * 3_600_000_000).to_string()}).to_string()
    };
    // A letter of another pipeline says nothing of the event that stands at the same place here.
    let others =
        json!({"code": "HW-FLOW-032", "pipeline": "q", "position": {"stream": "in", "partition": 0, "offset": 0}});
    bench.send("dead", 0, &[(None, &others.to_string())]);
    bench.send("in", 0, &[(None, &event("1", 0)), (None, &event("2", 2))]);
    bench.wait_for("dead", 2);
    bench.wait_for("out", 1);
    let span = Span { from: START, to: Micros(START.0 + 36_000_000_000), repair: true };
    let report = bench.runtime.block_on(bench.pipelines.recompute("p", span)).unwrap();
    assert_eq!(report.streams["out"], Differences { compared: 1, ..Differences::default() });
    assert_eq!((report.events, report.repaired, bench.read("out").len()), (1, 0, 1));
    bench.stop(&unit);
}

#[test]
fn late_letters_of_other_pipelines_are_no_input_of_this_one() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "1s", "ahead": "3650d"},
        "steps": [{"id": "sessions", "type": "session", "key": ".user", "gap": "30s", "output": {"stream": "sessions"}}],
        "outputs": [{"type": "stream", "stream": "out"}],
        "late": {"stream": "late"},
    });
    let unit = bench.start("p", spec);
    let event = |id: &str, user: &str, seconds: i64| {
        let time = Micros(START.0 + seconds * 1_000_000).to_string();
        json!({"id": id, "user": user, "time": time})
    };
    bench.send("in", 0, &[(None, &event("1", "u", 0).to_string()), (None, &event("2", "v", 7_200).to_string())]);
    bench.wait_for("sessions", 1);
    let letter = |pipeline: &str, stream: &str, event: serde_json::Value| {
        let position = json!({"stream": stream, "partition": 0, "offset": 99});
        json!({"code": "HW-FLOW-033", "pipeline": pipeline, "position": position, "event": event}).to_string()
    };
    let late = [letter("q", "in", event("3", "q", 60)), letter("p", "before", event("4", "b", 60))];
    bench.send("late", 0, &[(None, &late[0]), (None, &late[1])]);
    bench.wait_for("late", 2);
    let span = Span { from: START, to: Micros(START.0 + 3_600_000_000), repair: false };
    let ask = || bench.runtime.block_on(bench.pipelines.recompute("p", span)).unwrap();
    assert_eq!(ask().streams["sessions"], Differences { compared: 1, ..Differences::default() });
    // Its own, of an event that its source holds no more, is.
    bench.send("late", 0, &[(None, &letter("p", "in", event("5", "w", 60)))]);
    bench.wait_for("late", 3);
    assert_eq!(ask().streams["sessions"], Differences { compared: 2, missing: 1, ..Differences::default() });
    bench.stop(&unit);
}
