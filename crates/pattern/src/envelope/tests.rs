use super::*;

#[test]
fn what_is_no_event_is_refused_with_what_is_missing() {
    let event = r#"{"id": "1", "detail-type": "t", "source": "s", "account": "1", "time": "2026-01-01T00:00:00Z", "region": "r"}"#;
    assert_eq!(check_event(event.as_bytes()), Ok(()));
    let without = event.replace("region", "regions");
    for (text, cause) in [
        ("{\"id\": 1", "no JSON: expected "),
        ("[]", "the text is JSON, but no object"),
        (without.as_str(), "the field `region` is missing"),
    ] {
        let problem = check_event(text.as_bytes()).unwrap_err();
        assert_eq!(problem.code, "HW-PATTERN-013", "{text}");
        assert!(problem.causes[0].starts_with(cause), "{text}: {problem:?}");
    }
}
