use headwater_base::{Limits, Micros};
use headwater_kernel::kinds::stream::default_config;
use headwater_log::StreamConfig;
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
