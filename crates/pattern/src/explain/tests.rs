use super::*;

fn explained(pattern: &str, event: &str) -> serde_json::Value {
    let explained = explain(&Pattern::parse(pattern).unwrap(), event.as_bytes()).unwrap();
    serde_json::to_value(explained).unwrap()
}

fn verdicts(pattern: &str, event: &str) -> Vec<serde_json::Value> {
    let fields = explained(pattern, event)["branches"][0]["fields"].clone();
    fields.as_array().unwrap().iter().map(|field| field["verdict"].clone()).collect()
}

#[test]
fn each_field_says_why() {
    let pattern = r#"{"a": ["x", {"prefix": "y"}], "b": [{"exists": false}], "c": [1], "d": [{"exists": false}], "e": ["On"], "f": [5]}"#;
    let event = r#"{"a": ["n", "yes"], "b": "here", "e": "on", "f": "5"}"#;
    assert_eq!(
        serde_json::Value::from(verdicts(pattern, event)),
        serde_json::json!([
            {"type": "matched", "by": "{\"prefix\": \"y\"}", "value": "\"yes\""},
            {"type": "unwanted"},
            {"type": "missing"},
            {"type": "matched", "by": "{\"exists\": false}", "value": null},
            {"type": "different", "hint": "\"on\" differs in case only: use {\"equals-ignore-case\": \"On\"}"},
            {"type": "different", "hint": "\"5\" and 5 differ: one is a string, the other is not"},
        ])
    );
}

#[test]
fn different_elements_are_named() {
    let pattern = r#"{"items": {"kind": ["a"], "size": [2]}}"#;
    let explained = explained(pattern, r#"{"items": [{"kind": "a", "size": 1}, {"kind": "b", "size": 2}]}"#);
    assert_eq!(explained["matched"], false);
    assert_eq!(explained["branches"][0]["different_elements"], true);
}

#[test]
fn what_must_be_missing_and_is_there_is_named_whatever_arrays_there_are() {
    let unwanted = serde_json::json!({"type": "unwanted"});
    // The array has nothing to do with it.
    let pattern = r#"{"a": {"x": [1]}, "b": [{"exists": false}]}"#;
    let event = r#"{"a": [{"x": 1}, {"x": 2}], "b": 5}"#;
    assert_eq!(verdicts(pattern, event)[1], unwanted);
    assert_eq!(explained(pattern, event)["branches"][0]["different_elements"], false);
    // By itself, and in the element that the other field is in.
    assert_eq!(
        verdicts(r#"{"a": {"x": [{"exists": false}]}}"#, r#"{"a": [{"x": 1}]}"#),
        std::slice::from_ref(&unwanted)
    );
    let pattern = r#"{"a": {"k": ["v"], "x": [{"exists": false}]}}"#;
    let event = r#"{"a": [{"k": "u"}, {"k": "v", "x": 1}]}"#;
    assert_eq!(verdicts(pattern, event)[1], unwanted);
    assert_eq!(explained(pattern, event)["branches"][0]["different_elements"], false);
    // In another element it is rightly missing.
    let other = explained(pattern, r#"{"a": [{"k": "v"}, {"k": "u", "x": 1}]}"#);
    assert_eq!(other["matched"], true);
    assert_eq!(other["branches"][0]["fields"][1]["verdict"]["type"], "matched");
}

#[test]
fn one_way_through_an_or_is_enough() {
    let explained = explained(r#"{"$or": [{"a": [1]}, {"b": [1]}]}"#, r#"{"b": 1}"#);
    assert_eq!(explained["matched"], true);
    assert_eq!(explained["branches"][0]["matched"], false);
    assert_eq!(explained["branches"][1]["matched"], true);
}

#[test]
fn long_answers_are_shortened() {
    let values: Vec<String> = (0..1_000).map(|at| format!("\"{}{at}\"", "é".repeat(200))).collect();
    let explained = explained(r#"{"a": [1]}"#, &format!("{{\"a\": [{}]}}", values.join(",")));
    let field = &explained["branches"][0]["fields"][0];
    assert_eq!((field["found_count"].as_u64(), field["found"].as_array().unwrap().len()), (Some(1_000), VALUES_MAX));
    assert!(field["found"][0].as_str().unwrap().chars().count() <= 101);
}
