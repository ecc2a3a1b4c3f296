use serde_json::json;

use super::*;

fn validator(schema: Value) -> Result<Validator, Problem> {
    Validator::compile(&serde_json::from_value(json!({ "json": schema })).unwrap())
}

#[test]
fn a_mismatch_names_the_field_and_never_the_value() {
    let validator = validator(
        json!({"type": "object", "required": ["id"], "properties": {"age": {"maximum": 150}, "kind": {"enum": ["a"]}}}),
    )
    .unwrap();
    assert_eq!(validator.mismatch_text(br#"{"id": 1, "age": 30, "kind": "a"}"#), None);
    for (event, field) in [
        (r#"{"id": 1, "age": 4711}"#, "`age`"),
        (r#"{"age": 30}"#, "id"),
        (r#"{"id": 1, "kind": "hunter2"}"#, "`kind`"),
        ("4711", "object"),
        ("{\"id\": ", "no JSON (line 1, column 7)"),
    ] {
        let words = validator.mismatch_text(event.as_bytes()).unwrap();
        assert!(words.contains(field), "{event}: {words}");
        assert!(!words.contains("4711") && !words.contains("hunter2"), "{words}");
    }
}

#[test]
fn a_schema_that_is_none_or_looks_elsewhere_is_refused() {
    for schema in [
        json!({"type": "objekt"}),
        json!({"$ref": "http://127.0.0.1:1/schema.json"}),
        json!({"$ref": "file:///etc/passwd"}),
    ] {
        assert_eq!(validator(schema).unwrap_err().code, "HW-KERNEL-026");
    }
}
