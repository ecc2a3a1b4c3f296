use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Member, Shape, check, may, must, name, secret, text};

const MEMBERS: &[Member] = &[
    must("name", text(1, 5)),
    may("Type", Shape::Choice(&["STANDARD", "EXPRESS"])),
    may("count", Shape::Integer(0, 10)),
    may("password", secret(3, 8)),
    may("tags", Shape::List(&Shape::Structure(&[must("key", text(1, 3)), may("on", Shape::Flag)]), 0, 2)),
    may("rule", name(8)),
    may("share", Shape::Number(0.0, 100.0)),
    may("paths", Shape::Map(&text(0, 4))),
    may("at", Shape::Time),
];

fn said(body: Value) -> String {
    let Value::Object(body) = body else { unreachable!() };
    check(MEMBERS, &body).map_or_else(|refusal| format!("{}: {}", refusal.kind, refusal.message), |()| "ok".to_owned())
}

#[test]
fn what_fits_passes_with_members_nobody_reads() {
    let body = json!({
        "name": "a", "Type": "EXPRESS", "count": 10, "tags": [{ "key": "k", "on": true, "more": 1 }], "rule": "r_1.x-y",
        "share": 12.5, "paths": { "p": "$.a" }, "at": 1.5, "password": "geheim", "newer": {},
    });
    assert_eq!(said(body), "ok");
    assert_eq!(said(json!({ "name": "äöüßé", "count": null })), "ok");
}

#[test]
fn refusals_are_worded_as_the_services_word_them() {
    assert_eq!(
        said(json!({})),
        "ValidationException: 1 validation error detected: Value null at 'name' failed to satisfy constraint: Member \
         must not be null"
    );
    assert_eq!(
        said(json!({ "name": "abcdef", "Type": "FAST", "rule": "a b" })),
        "ValidationException: 3 validation errors detected: Value 'abcdef' at 'name' failed to satisfy constraint: \
         Member must have length less than or equal to 5; Value 'FAST' at 'type' failed to satisfy constraint: Member \
         must satisfy enum value set: [STANDARD, EXPRESS]; Value 'a b' at 'rule' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+"
    );
    assert_eq!(
        said(json!({ "name": "a", "tags": [{ "key": "k" }, { "key": "" }] })),
        "ValidationException: 1 validation error detected: Value '' at 'tags.2.member.key' failed to satisfy \
         constraint: Member must have length greater than or equal to 1"
    );
    assert_eq!(said(json!({ "name": 7 })), "SerializationException: NUMBER_VALUE can not be converted to a String");
}

#[test]
fn a_secret_is_not_repeated() {
    let refused = said(json!({ "name": "a", "password": "0123456789" }));
    assert!(refused.contains("Value at 'password' failed"), "{refused}");
    assert!(!refused.contains("0123456789"), "{refused}");
}

#[test]
fn a_long_value_is_cut_and_many_complaints_are_counted() {
    let long = said(json!({ "name": "x".repeat(100_000) }));
    assert!(long.len() < 1_000, "{}", long.len());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let member = prop_oneof![
        Just("name".to_owned()),
        Just("tags".to_owned()),
        Just("key".to_owned()),
        Just("Entries".to_owned()),
        ".{0,6}"
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((member.clone(), inner), 0..5)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Any bytes are answered or refused, for every operation there is; nothing panics and no refusal grows with its
    /// request.
    #[test]
    fn every_operation_takes_any_body(bytes in prop::collection::vec(any::<u8>(), 0..64), body in any_json()) {
        let text = body.to_string();
        for (_, operation) in crate::aws::tests::operations() {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let read = crate::aws::members(bytes);
                if let Err(refusal) = read.and_then(|members| check(operation.input, &members)) {
                    prop_assert!(["SerializationException", "ValidationException"].contains(&refusal.kind));
                    prop_assert!(refusal.message.len() < 8_192, "{}", refusal.message.len());
                }
            }
        }
    }

    /// A body passes exactly when every member that a row names fits it: what was accepted reads as its type.
    #[test]
    fn what_passes_reads_as_its_type(body in any_json()) {
        let Value::Object(body) = body else { return Ok(()) };
        let body: Map<String, Value> = body;
        if check(MEMBERS, &body).is_ok() {
            let length = body["name"].as_str().unwrap().chars().count();
            prop_assert!((1..=5).contains(&length));
            for tag in body.get("tags").and_then(Value::as_array).into_iter().flatten() {
                prop_assert!(tag["key"].is_string());
            }
        }
    }
}
