use serde_json::json;

use super::differences;

#[test]
fn an_event_may_have_more_but_not_less() {
    let given = json!({"a": {"b": 1, "c": 2}, "d": null});
    assert!(differences("", &json!({"a": {"b": 1}}), &given).is_empty());
    assert_eq!(
        differences("", &json!({"a": {"b": 2}, "e": 1}), &given),
        ["`.a.b` is 1, expected 2", "`.e` is null, expected 1"]
    );
}
