use hyper::HeaderMap;

use super::*;

fn events(format: Format, headers: &[(&str, &str)], body: &str, hints: &Hints) -> String {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let items = match decode(format, &map, &Bytes::copy_from_slice(body.as_bytes()), hints) {
        Ok(items) => items,
        Err(problem) => return problem.to_string(),
    };
    let mut out = String::new();
    for item in items {
        match item.event {
            Ok(event) => {
                let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
                let headers: Vec<String> =
                    event.headers.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
                let key = event.key.as_ref().map_or("-".to_owned(), text);
                let identity = event.identity.unwrap_or("-".to_owned()).replace('\0', "|");
                out += &format!(
                    "{} key {key} id {identity} [{}] {}\n",
                    item.number,
                    headers.join(" "),
                    text(&event.value)
                );
            }
            Err(problem) => out += &format!("{} {problem}\n", item.number),
        }
    }
    out
}

#[test]
fn the_three_modes_of_cloudevents_make_the_same_record() {
    let envelope = r#"{"specversion":"1.0","id":"7","source":"/shop","type":"sold","time":"2026-11-23T08:00:00Z","partitionkey":"k","data":{"n": 1.0}}"#;
    let record = "1 key k id /shop|7 [ce_specversion=1.0 ce_id=7 ce_source=/shop ce_type=sold ce_time=2026-11-23T08:00:00Z ce_partitionkey=k] {\"n\": 1.0}\n";
    assert_eq!(events(Format::Structured, &[], envelope, &Hints::default()), record);
    assert_eq!(events(Format::Batch, &[], &format!("[{envelope}]"), &Hints::default()), record);
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "7"),
        ("ce-source", "/shop"),
        ("ce-type", "sold"),
        ("ce-time", "2026-11-23T08:00:00Z"),
        ("ce-partitionkey", "k"),
    ];
    assert_eq!(events(Format::Binary, &headers, "{\"n\": 1.0}", &Hints::default()), record);
}

#[test]
fn plain_json_takes_its_key_and_id_from_fields() {
    let hints = Hints { key: Some(".user.id".into()), id: Some(".event".into()) };
    let body = r#" [{"user":{"id":"u1"},"event":5}, {"user":{"id":true},"event":"x"}] "#;
    expect_test::expect![[r#"
        1 key u1 id |5 [] {"user":{"id":"u1"},"event":5}
        2 key true id |x [] {"user":{"id":true},"event":"x"}
    "#]]
    .assert_eq(&events(Format::Json, &[], body, &hints));
    let literal = Hints { key: Some("all".into()), id: None };
    assert_eq!(events(Format::Json, &[], "{}", &literal), "1 key all id - [] {}\n");
}

#[test]
fn each_faulty_line_is_told_and_the_others_are_taken() {
    let body = "{\"a\":1}\n\nnope\n[1]\r\n{\"a\":}\n  {\"b\":2}\r\n{\"cut\":";
    expect_test::expect![[r#"
        1 key - id - [] {"a":1}
        3 error[HW-API-008]: this is not JSON: expected ident
          --> body:3:2
        4 error[HW-API-008]: an event must be a JSON object, not an array
          --> body:4
        help: wrap it, as in `{"value": 1}`
        5 error[HW-API-008]: this is not JSON: expected value
          --> body:5:6
        6 key - id - [] {"b":2}
        7 error[HW-API-008]: this is not JSON: EOF while parsing a value
          --> body:7:7
    "#]]
    .assert_eq(&events(Format::Lines, &[], body, &Hints::default()));
}

#[test]
fn what_cannot_be_an_event_says_why() {
    let hints = Hints { key: Some(".user".into()), id: None };
    expect_test::expect![[r#"
        error[HW-API-013]: the event has no `.user`, which `key` asks for
          --> body
        cause: in event 2 of the array, counted from 1"#]]
    .assert_eq(&events(Format::Json, &[], r#"[{"user":1},{"user":null}]"#, &hints));
    let refused = |media_type: &str| Format::of(&HeaderMap::new(), media_type).unwrap_err().code;
    assert_eq!(refused("text/html"), "HW-API-007");
    assert_eq!(refused(""), "HW-API-007");
}

#[test]
fn json_is_taken_in_no_charset_but_its_own() {
    let of = |content_type: &str| {
        let headers = HeaderMap::from_iter([(hyper::header::CONTENT_TYPE, content_type.parse().unwrap())]);
        Format::of(&headers, &crate::http::body::media_type(&headers)).map_err(|problem| problem.code)
    };
    let refused = || Err("HW-API-110".to_owned());
    assert_eq!(of("application/cloudevents+json; charset=ISO-8859-1"), refused());
    assert_eq!(of("application/cloudevents-batch+json;x=y; Charset=\"utf-16\""), refused());
    assert_eq!(of("application/x-ndjson; charset=latin1"), refused());
    assert_eq!(of("application/cloudevents+json; charset=\"UTF-8\""), Ok(Format::Structured));
    // What the payload of the binary mode is in is its reader's matter.
    let headers = HeaderMap::from_iter([
        (hyper::header::CONTENT_TYPE, "text/plain; charset=latin1".parse().unwrap()),
        (hyper::header::HeaderName::from_static("ce-specversion"), "1.0".parse().unwrap()),
    ]);
    assert_eq!(Format::of(&headers, "text/plain").ok(), Some(Format::Binary));
}

#[test]
fn a_body_of_more_events_than_one_may_have_is_refused_whole() {
    let body = |count: usize, format: Format| match format {
        Format::Lines => "{}\n".repeat(count),
        _ => format!("[{}]", vec!["{}"; count].join(",")),
    };
    let refused = "error[HW-API-006]: the body has more than 100000 events, which is the limit";
    for format in [Format::Lines, Format::Json] {
        let taken = events(format, &[], &body(EVENTS_MAX, format), &Hints::default());
        assert_eq!(taken.lines().count(), EVENTS_MAX, "{format:?}");
        let problem = events(format, &[], &body(EVENTS_MAX + 1, format), &Hints::default());
        assert_eq!(problem.lines().next(), Some(refused), "{format:?}");
    }
}
