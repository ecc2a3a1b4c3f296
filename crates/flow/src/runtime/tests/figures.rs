//! What is counted step by step.

use headwater_base::Micros;
use headwater_kernel::port::LookupError;
use serde_json::json;

use super::bench::{Bench, Gate, START};

fn event(id: &str, seconds: i64) -> String {
    json!({"id": id, "time": Micros(START.0 + seconds * 1_000_000).to_string()}).to_string()
}

#[test]
fn each_step_counts_what_came_and_what_became_of_it() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let gate = Gate::named("figures");
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time", "disorder": "0s", "lateness": "0s", "ahead": "3650d"},
        "steps": [
            {"id": "keep", "type": "filter", "when": ".id != \"heartbeat\""},
            {"id": "strict", "type": "transform", "program": "if .id == \"bad\" { abort \"bad\" }\n.ok = true"},
            {"id": "geo", "type": "lookup", "lookup": {"type": "http", "gate": "figures"}, "key": ".id", "into": ".geo"},
            {"id": "once", "type": "dedupe", "key": ".id", "within": "1h"},
            {"id": "counts", "type": "window", "kind": "tumbling", "size": "10s", "measures": {"n": {"count": true}}, "output": {"stream": "counts"}},
        ],
        "outputs": [{"type": "stream", "stream": "out"}],
        "errors": {"stream": "dead"},
        "late": {"stream": "late"},
    });
    let unit = bench.start("p", spec);
    gate.answer("a", Ok(Some("1")));
    gate.answer("end", Ok(None));
    gate.answer("lost", Err(LookupError::Rejected("no".to_owned())));
    bench.send(
        "in",
        0,
        &[
            (None, "{broken"),
            (None, &event("a", 0)),
            (None, &event("heartbeat", 1)),
            (None, &event("bad", 2)),
            (None, &event("a", 3)),
            (None, &event("lost", 4)),
            (None, &event("end", 60)),
        ],
    );
    bench.wait_for("out", 3);
    bench.wait_for("counts", 1);
    assert_eq!(bench.step("p", "keep"), [("events_total", 6.0), ("passed_total", 5.0), ("dropped_total", 1.0)]);
    assert_eq!(bench.step("p", "strict"), [("events_total", 5.0), ("passed_total", 4.0), ("dead_letters_total", 1.0)]);
    assert_eq!(bench.step("p", "geo"), [("events_total", 4.0), ("passed_total", 4.0), ("failed_total", 1.0)]);
    assert_eq!(bench.step("p", "once"), [("events_total", 4.0), ("passed_total", 3.0), ("dropped_total", 1.0)]);
    assert_eq!(bench.step("p", "counts"), [("events_total", 3.0), ("passed_total", 3.0), ("results_total", 1.0)]);
    let written = ["out", "counts", "dead", "late"].map(|stream| bench.written("p", stream));
    assert_eq!(written, [3, 1, 2, 0]);
    bench.stop(&unit);
}
