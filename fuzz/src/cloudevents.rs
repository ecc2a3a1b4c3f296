//! CloudEvents in JSON: an accepted event says the same after being written and read again.

use headwater_wire::cloudevents;

pub fn run(bytes: &[u8]) {
    let _ = cloudevents::from_json_batch(bytes);
    if let Ok(event) = cloudevents::from_json(bytes) {
        let again = cloudevents::from_json(cloudevents::to_json(&event).as_bytes());
        assert_eq!(again.as_ref(), Ok(&event));
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-01T00:00:00Z","subject":"x","data":{"a":1}}"#,
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"text/plain","data_base64":"aGVsbG8="}"#,
        r#"[{"specversion":"1.0","id":"1","source":"s","type":"t","ext":true},{"specversion":"1.0"}]"#,
    ])
}
