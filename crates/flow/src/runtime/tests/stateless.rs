use headwater_base::Limits;
use headwater_kernel::kinds::stream::default_config;
use headwater_log::StreamConfig;
use serde_json::json;

use super::bench::{Bench, START, values};

#[test]
fn events_are_filtered_changed_enriched_and_written_where_they_belong() {
    let bench = Bench::new();
    bench.stream("in", 2);
    bench.table("bans");
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "steps": [
            {"id": "keep", "type": "filter", "when": ".kind != \"heartbeat\""},
            {"id": "shape", "type": "transform", "program": ".n = int(.n) ?? 0\n.double = .n * 2\ndel(.secret)"},
            {"id": "more", "type": "lookup", "lookup": {"type": "file"}, "key": ".id", "into": ".more"},
        ],
        "outputs": [
            {"type": "stream", "stream": "out", "key": ".id", "when": ".n != 13"},
            {"type": "table", "table": "bans", "key": ".id", "when": ".ban == true", "delete": ".lift == true", "fields": {"why": ".why"}},
        ],
    });
    let unit = bench.start("p", spec);
    bench.send(
        "in",
        0,
        &[
            (Some("k"), r#"{"id":"a","kind":"view","n":1,"secret":"x","big":12345678901234567890123}"#),
            (Some("k"), r#"{"id":"b","kind":"heartbeat","n":2}"#),
            (Some("k"), r#"{"id":"c","kind":"view","n":13,"ban":true,"why":"pace"}"#),
            (Some("k"), r#"{"id":"c","kind":"view","n":13,"ban":true,"lift":true}"#),
        ],
    );
    let out = bench.wait_for("out", 1);
    assert_eq!(out[0].key.as_deref(), Some("a"));
    let value = out[0].value.clone().unwrap();
    assert_eq!(
        (&value["double"], &value["more"], &value["enrichment"]),
        (&json!(2), &json!({"of": "a"}), &json!({"status": "ok"}))
    );
    assert!(value.get("secret").is_none());
    let bans = bench.wait_for("table.bans", 2);
    assert_eq!(values(&bans), [json!({"why": "pace"}), json!(null)]);
    bench.stop(&unit);
}

#[test]
fn what_cannot_be_processed_becomes_a_dead_letter_with_its_position() {
    let bench = Bench::new();
    bench.stream("in", 1);
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time"},
        "steps": [{"id": "strict", "type": "transform", "program": "if .n == 7 { abort \"seven\" }\n.ok = true"}],
        "outputs": [{"type": "stream", "stream": "out"}],
        "errors": {"stream": "dead"},
    });
    let unit = bench.start("p", spec);
    let far = headwater_base::Micros(START.0 + 400 * 86_400_000_000).to_string();
    bench.send(
        "in",
        0,
        &[
            (None, r#"{"n":1,"time":"2026-01-01T00:00:00Z"}"#),
            (None, "{broken"),
            (None, r#"{"n":2}"#),
            (None, &format!(r#"{{"n":3,"time":"{far}"}}"#)),
            (None, r#"{"n":7,"time":"2026-01-01T00:00:00Z"}"#),
            (None, &format!(r#"{{"time":"2026-01-01T00:00:00Z","blob":"{}"}}"#, "x".repeat(2 << 20))),
            (None, r#"{"n":9,"time":"2026-01-01T00:00:00Z"}"#),
        ],
    );
    let dead = bench.wait_for("dead", 5);
    let summary: Vec<_> = values(&dead)
        .iter()
        .map(|letter| {
            (
                letter["code"].as_str().unwrap().to_owned(),
                letter["position"]["offset"].as_i64().unwrap(),
                letter["step"].clone(),
            )
        })
        .collect();
    assert_eq!(
        summary,
        [
            ("HW-FLOW-120".to_owned(), 1, json!(null)),
            ("HW-FLOW-031".to_owned(), 2, json!(null)),
            ("HW-FLOW-032".to_owned(), 3, json!(null)),
            ("HW-FLOW-122".to_owned(), 4, json!("strict")),
            ("HW-FLOW-034".to_owned(), 5, json!(null)),
        ]
    );
    assert_eq!(values(&dead)[0]["data"], json!("{broken"));
    assert_eq!(bench.wait_for("out", 2).len(), 2);
    bench.stop(&unit);
}

#[test]
fn an_event_that_one_output_does_not_take_goes_to_none_of_them() {
    let bench = Bench::new();
    bench.stream("in", 1);
    bench.create("small", StreamConfig { partitions: 1, batch_bytes_max: 400, ..default_config(&Limits::default()) });
    let spec = json!({
        "source": {"type": "stream", "stream": "in"},
        "outputs": [{"type": "stream", "stream": "out"}, {"type": "stream", "stream": "small"}],
        "errors": {"stream": "dead"},
    });
    let unit = bench.start("p", spec);
    let large = json!({"n": 1, "blob": "x".repeat(600)}).to_string();
    bench.send("in", 0, &[(None, &large), (None, r#"{"n":2}"#)]);
    let letter = values(&bench.wait_for("dead", 1)).remove(0);
    assert_eq!((&letter["code"], &letter["position"]["offset"]), (&json!("HW-FLOW-034"), &json!(0)));
    for stream in ["small", "out"] {
        assert_eq!(values(&bench.wait_for(stream, 1)), [json!({"n": 2})], "{stream}");
    }
    bench.stop(&unit);
}
