use bytes::Bytes;
use expect_test::{Expect, expect};
use headwater_base::Problem;
use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: Expect) {
    let shown = match from_json(text.as_bytes()) {
        Ok(event) => to_json(&event),
        Err(problem) => problem.to_string(),
    };
    expected.assert_eq(&shown);
}

fn sent(extra: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"/shop","type":"viewed"{extra}}}"#)
}

#[test]
fn json_data_keeps_its_bytes() {
    check(
        &sent(
            r#","time":"2026-11-23T08:00:00.25+01:00","subject":"l/1","n":5,"partitionkey":"u7","data": {"big": 12345678901234567890123, "a":1.0}"#,
        ),
        expect![[
            r#"{"specversion":"1.0","id":"1","source":"/shop","type":"viewed","subject":"l/1","time":"2026-11-23T07:00:00.250Z","n":"5","partitionkey":"u7","data":{"big": 12345678901234567890123, "a":1.0}}"#
        ]],
    );
    let event = from_json(sent(r#","partitionkey":"u7""#).as_bytes()).unwrap();
    assert_eq!(event.key.as_deref(), Some(b"u7".as_slice()));
}

#[test]
fn text_and_bytes_come_back_as_they_were() {
    let event = from_json(sent(r#","datacontenttype":"text/plain","data":"a \"b\"""#).as_bytes()).unwrap();
    assert_eq!(&event.data[..], b"a \"b\"");
    check(
        &sent(r#","datacontenttype":"text/plain","data":"a \"b\"""#),
        expect![[
            r#"{"specversion":"1.0","id":"1","source":"/shop","type":"viewed","datacontenttype":"text/plain","data":"a \"b\""}"#
        ]],
    );
    check(
        &sent(r#","datacontenttype":"image/png","data_base64":"/wA=""#),
        expect![[
            r#"{"specversion":"1.0","id":"1","source":"/shop","type":"viewed","datacontenttype":"image/png","data_base64":"/wA="}"#
        ]],
    );
}

#[test]
fn faults_name_the_attribute() {
    check(
        "[1]",
        expect![[r#"
            error[HW-API-101]: the body is not an event
              --> body:1
            cause: invalid type: sequence, expected a JSON object at line 1 column 0
            help: an event has `id`, `source`, `type` and `"specversion": "1.0"`; see https://cloudevents.io"#]],
    );
    check(
        r#"{"specversion":"1.0","id":"","source":"/","type":"t"}"#,
        expect![[r#"
            error[HW-API-102]: the attribute `id` is missing or empty
            help: an event has `id`, `source`, `type` and `"specversion": "1.0"`; see https://cloudevents.io"#]],
    );
    check(
        r#"{"specversion":"0.3","id":"1","source":"/","type":"t"}"#,
        expect![[r#"
            error[HW-API-102]: `specversion` is `0.3`, only `1.0` is understood
            help: an event has `id`, `source`, `type` and `"specversion": "1.0"`; see https://cloudevents.io"#]],
    );
    check(
        &sent(r#","time":"yesterday""#),
        expect![[r#"
            error[HW-API-103]: `time` is `yesterday`, which is not an RFC 3339 time
            help: write it as `2026-11-23T08:00:00.25Z`"#]],
    );
    check(
        &sent(r#","Über":"x""#),
        expect![[r#"
            error[HW-API-103]: `Über` cannot be an attribute's name
            help: names are made of a-z and 0-9"#]],
    );
    check(
        &sent(r#","data":1,"data_base64":"AA==""#),
        expect![[r#"
            error[HW-API-104]: both `data` and `data_base64` are there
            help: send one of them"#]],
    );
    check(
        &sent(r#","data_base64":"A===""#),
        expect![[r#"
            error[HW-API-104]: `data_base64` is not a string of Base64
            help: use the standard alphabet with padding"#]],
    );
}

#[test]
fn a_batch_says_which_event_is_wrong() {
    let batch = format!("[{}, {}]", sent(""), sent("").replace("\"id\":\"1\",", ""));
    let problem: Problem = from_json_batch(batch.as_bytes()).unwrap_err();
    assert_eq!((problem.code.as_str(), problem.place.unwrap().path.as_str()), ("HW-API-102", "[1]"));
    assert_eq!(from_json_batch(b"[]").unwrap(), []);
    assert_eq!(from_json_batch(format!("[{}]", sent("")).as_bytes()).unwrap().len(), 1);
}

#[test]
fn binary_mode_takes_the_body_as_data() {
    let headers = [
        ("Ce-Id", "1"),
        ("ce-source", "/shop"),
        ("ce-type", "\"view\\\"ed\""),
        ("ce-specversion", "1.0"),
        ("ce-city", "K%C3%B6ln"),
        ("host", "x"),
    ];
    let event = from_headers(headers, Some("application/json"), Bytes::from_static(b"{\"a\":1}")).unwrap();
    assert_eq!((event.kind.as_str(), event.content_type.as_deref()), ("view\"ed", Some("application/json")));
    assert_eq!(event.headers, [("city".to_owned(), Bytes::from("Köln"))]);
    assert_eq!(&event.data[..], b"{\"a\":1}");
    let broken = from_headers([("ce-id", "%F")], None, Bytes::new()).unwrap_err();
    assert_eq!(broken.code, "HW-API-103");
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..120), text in "[\\[\\]{}:,\"a-z0-9. ]{0,60}") {
        let _ = (from_json(&bytes), from_json_batch(&bytes), from_json(text.as_bytes()), from_json_batch(text.as_bytes()));
        let _ = from_headers([("ce-id", text.as_str())], None, Bytes::new());
    }

    #[test]
    fn what_is_written_is_read_back(id in ".{1,9}", data in proptest::collection::vec(any::<u8>(), 0..50), text in any::<bool>(), extension in ".{0,9}", time in 0i64..1 << 50) {
        let event = Event {
            id,
            source: "/s".into(),
            kind: "t".into(),
            subject: None,
            time: Some(Micros(time)),
            key: None,
            headers: vec![("ext".into(), extension.into())],
            data: data.into(),
            content_type: Some(if text { "text/plain" } else { "image/png" }.into()),
        };
        prop_assert_eq!(from_json(to_json(&event).as_bytes()).unwrap(), event);
    }

    #[test]
    fn base64_goes_there_and_back(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
        prop_assert_eq!(base64::decode(&base64::encode(&bytes)), Some(bytes));
    }
}
