use super::*;

#[test]
fn a_fault_is_an_rfc_9457_problem() {
    let fault = Fault::from(
        Problem::new("HW-API-008", "the body is not JSON: `}` is not a value")
            .at("events", 2, 7)
            .help("send one object"),
    );
    expect_test::expect![[r#"
        {
          "type": "https://headwater.dev/docs/errors/HW-API-008",
          "status": 400,
          "code": "HW-API-008",
          "title": "the body is not JSON: `}` is not a value",
          "place": {
            "path": "events",
            "line": 2,
            "column": 7
          },
          "help": "send one object"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&fault.body()).unwrap());
}

#[test]
fn every_refusal_of_the_log_has_a_status() {
    let status = |error| Fault::from(error).status.as_u16();
    assert_eq!(status(LogError::UnknownStream("x".into())), 404);
    assert_eq!(status(LogError::Full(1)), 503);
    assert_eq!(status(LogError::BatchTooLarge { bytes: 2, limit: 1 }), 413);
    assert_eq!(status(LogError::OffsetOutOfRange { wanted: 9, start: 0, end: 3 }), 400);
    assert_eq!(status(LogError::Disk("gone".into())), 503);
}
