use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

fn faults(spec: Value, expected: Expect) {
    let text = match parse(&spec) {
        Ok(_) => "ok".to_owned(),
        Err(faults) => faults
            .iter()
            .map(|fault| format!("{}: {} {} ({})", fault.path, fault.problem.code, fault.problem.title, fault.problem.help.as_deref().unwrap_or("")))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    expected.assert_eq(&text);
}

#[test]
fn the_smallest_spec_is_a_source() {
    faults(json!({"source": {"type": "stream", "stream": "in"}}), expect!["ok"]);
}

#[test]
fn every_error_names_its_field() {
    faults(
        json!({
            "source": {"type": "stream", "stream": "in", "strat": "latest"},
            "time": {"field": ".time", "disorder": "5 s"},
            "steps": [
                {"id": "a", "type": "filtre", "when": "true"},
                {"id": "b", "type": "session", "key": ".v", "gap": "30m", "output": {"stream": "s"}, "path": {"filed": ".x"}},
                {"id": "c", "type": "lookup", "lookup": {}, "key": ".k", "into": ".i", "cache": {"jitter": "110%"}},
                {"id": "d"},
            ],
            "outputs": {"type": "stream"},
            "erors": {"stream": "dead"},
        }),
        expect![[r#""#]],
    );
}

#[test]
fn defaults_are_those_in_the_docs() {
    let spec = parse(&json!({
        "source": {"type": "stream", "stream": "in"},
        "time": {"field": ".time"},
        "steps": [{"id": "c", "type": "lookup", "lookup": {"type": "file"}, "key": ".k", "into": ".i"}],
        "retry": {"stream": "r"},
    }))
    .unwrap();
    let written = serde_json::to_string_pretty(&spec).unwrap();
    expect![[r#""#]].assert_eq(&written);
    assert_eq!(parse(&serde_json::from_str(&written).unwrap()).unwrap(), spec, "what is written is read back");
}

#[test]
fn the_schema_names_every_step_type() {
    let text = schema().to_string();
    for word in ["filter", "transform", "lookup", "score", "aggregate", "window", "session", "dedupe", "negative_ttl"] {
        assert!(text.contains(&format!("\"{word}\"")), "{word} is missing");
    }
}
