use expect_test::{Expect, expect};

use super::*;
use crate::operators::Kind;

fn check(emission: &Emission, want: Expect) {
    let measures = [Measure::new("views", Kind::Count), Measure::new("spend", Kind::Sum)];
    let text = emission.render(&measures).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    if let Some(text) = &text {
        serde_json::from_str::<serde_json::Value>(text).unwrap();
    }
    want.assert_eq(&format!("{}\n{}\n", emission.id(), text.unwrap_or_default()));
}

#[test]
fn documents_keep_their_field_order() {
    let session = SessionRow {
        key: Bytes::from_static(b"anna \"x\""),
        session_id: 0xabc,
        revision: 2,
        closed: true,
        start: Micros::from_millis(1_000),
        end: Micros::from_millis(61_500),
        events: 3,
        hops: 0,
        entry: Some(Value::Text("/".into())),
        exit: Some(Value::Text("/buy".into())),
        path: Some(vec![Value::Text("/".into()), Value::Int(4)]),
        measures: vec![Value::Int(2), Value::Float(1.5)],
    };
    check(
        &Emission::Session(session.clone()),
        expect![[r#"
            00000000000000000000000000000abc
            {"key":"anna \"x\"","session_id":"00000000000000000000000000000abc","revision":2,"closed":true,"start":"1970-01-01T00:00:01Z","end":"1970-01-01T00:01:01.500Z","duration_ms":60500,"events":3,"entry":"/","exit":"/buy","path":["/",4],"measures":{"views":2,"spend":1.5}}
        "#]],
    );
    check(
        &Emission::Session(SessionRow { path: None, entry: None, exit: None, closed: false, ..session }),
        expect![[r#"
            00000000000000000000000000000abc
            {"key":"anna \"x\"","session_id":"00000000000000000000000000000abc","revision":2,"closed":false,"start":"1970-01-01T00:00:01Z","end":"1970-01-01T00:01:01.500Z","duration_ms":60500,"events":3,"measures":{"views":2,"spend":1.5}}
        "#]],
    );
    check(
        &Emission::Window(WindowRow {
            key: Bytes::from_static(b"DE"),
            start: Micros::from_millis(60_000),
            end: Micros::from_millis(120_000),
            revision: 1,
            events: 7,
            hops: 0,
            measures: vec![Value::Int(7), Value::Null],
        }),
        expect![[r#"
            DE/1970-01-01T00:01:00Z
            {"key":"DE","window_start":"1970-01-01T00:01:00Z","window_end":"1970-01-01T00:02:00Z","revision":1,"events":7,"measures":{"views":7,"spend":null}}
        "#]],
    );
    check(
        &Emission::Tombstone(Tombstone { key: Bytes::new(), session_id: 1, revision: 3, merged_into: 2, hops: 0 }),
        expect![[r#"
            00000000000000000000000000000001

        "#]],
    );
}
