use headwater_base::Micros;
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
