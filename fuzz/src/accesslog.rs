//! Access log lines: whatever comes in, what goes out is a JSON object or a fault inside the line.

pub fn run(line: &[u8]) {
    match headwater_wire::accesslog::combined(line) {
        Ok(json) => assert!(serde_json::from_str::<serde_json::Map<_, _>>(&json).is_ok()),
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    crate::texts(&[
        r#"203.0.113.7 - ann [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 200 20 "http://x/" "Mozilla/5.0 (X11)""#,
        r#"::1 - - [01/Jan/2026:00:00:00 -1130] "-" 408 - "-" "a \"b\" \x22""#,
    ])
}
