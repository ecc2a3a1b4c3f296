use serde_json::{Value, json};

use super::*;

#[test]
fn a_retry_copy_keeps_the_event_byte_for_byte() {
    let event = br#"{"a": 1.50, "big": 12345678901234567890123}"#;
    let retry = Retry {
        id: "e1".into(),
        attempt: 2,
        failed: vec!["listing".into()],
        partition: 3,
        offset: 99,
        time_ms: 5,
        // A sum beyond 64 bits, and a float that some readers round.
        kept: vec![(
            "rates".into(),
            Bytes::from_static(b"{\"n\":92233720368547758070,\"mean\":1.1125369292536007e-308}"),
        )],
    };
    let text = retry.encode(&Name::new("p").unwrap(), "in", event);
    assert_eq!(Retry::decode(&text), Some((retry, Bytes::from_static(event))));
    assert_eq!(Retry::decode(&Bytes::from_static(b"{}")), None);
    let never_tried = String::from_utf8(text.to_vec()).unwrap().replace("\"attempt\":2", "\"attempt\":0");
    assert_eq!(Retry::decode(&Bytes::from(never_tried)), None);
}

#[test]
fn bytes_that_are_no_text_are_kept_as_base64() {
    let place = Place { stream: "in", partition: 0, offset: 7 };
    let reason = Reason { code: "HW-FLOW-120", words: "not a JSON object", step: None };
    let letter = dead(&Name::new("p").unwrap(), place, reason, Micros(0), &[0xff, 0xfe]);
    let letter: Value = serde_json::from_slice(&letter).unwrap();
    assert_eq!((&letter["data"], &letter["encoding"]), (&Value::from("//4="), &Value::from("base64")));
    assert_eq!(letter["position"], json!({"stream": "in", "partition": 0, "offset": 7}));
}
