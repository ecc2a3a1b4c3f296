use serde_json::json;

use super::*;

#[test]
fn paths_become_variables() {
    let template = r#"{"run": <$.dynamodb.Keys.id.S>, "by": "<aws.pipes.pipe-name>", "all": <aws.pipes.event.json>, "a": "1 < 2"}"#;
    assert_eq!(
        input(Some(template), None),
        Ok(Some(json!({
            "template": r#"{"run": <v0>, "by": "<aws.events.rule-name>", "all": <aws.events.event.json>, "a": "1 < 2"}"#,
            "variables": { "v0": "$.dynamodb.Keys.id.S" },
        })))
    );
    // What the template has as a text stands for nothing.
    assert_eq!(
        input(Some(r#"{"n": <$.n>, "text": "<v0>"}"#), None),
        Ok(Some(json!({ "template": r#"{"n": <v1>, "text": "<v0>"}"#, "variables": { "v1": "$.n" } })))
    );
    assert_eq!(input(Some(""), None), Ok(None));
    assert_eq!(input(None, None), Ok(None));
    assert_eq!(
        input(Some("{\"n\": <$.data.n>}"), Some("data")),
        Ok(Some(json!({ "template": "{\"n\": <v0>}", "variables": { "v0": "$.n" } })))
    );
}

#[test]
fn what_is_not_seen_is_refused() {
    for (template, payload) in [
        ("<aws.pipes.source-arn>", None),
        ("<$.partitionKey>", Some("data")),
        ("<$.database>", Some("data")),
        ("<$.data>", Some("value")),
    ] {
        let refused = input(Some(template), payload).unwrap_err();
        assert_eq!(refused.kind, "ValidationException", "{template}");
        assert!(refused.message.contains("is not served"), "{}", refused.message);
    }
    assert_eq!(path("$.data", Some("data")), Ok("$".to_owned()));
    assert_eq!(path("$.data[0].n", Some("data")), Ok("$[0].n".to_owned()));
}
