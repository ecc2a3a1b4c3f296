use serde_json::{Value, json};

use super::*;

fn shown(data: &Data) -> Value {
    serde_json::to_value(data).unwrap()
}

#[test]
fn text_is_shown_and_bytes_are_base64() {
    assert_eq!(shown(&Data::cut("{\"a\": 1}".as_bytes())), json!({"data": "{\"a\": 1}"}));
    assert_eq!(shown(&Data::cut(&[0xff, 0xfe])), json!({"data": "//4=", "encoding": "base64"}));
    // What ends within a character is no text where nothing was cut off.
    assert_eq!(shown(&Data::whole(&[b'a', 0xc3])), json!({"data": "YcM=", "encoding": "base64"}));
}

#[test]
fn a_cut_says_how_much_there_was_and_leaves_text_a_text() {
    let long = format!("a{}", "é".repeat(DATA_BYTES_MAX / 2));
    let cut = shown(&Data::cut(long.as_bytes()));
    assert_eq!((&cut["data_bytes"], cut.get("encoding")), (&json!(DATA_BYTES_MAX + 1), None));
    assert_eq!(cut["data"].as_str().unwrap(), &long[..DATA_BYTES_MAX - 1]);
    assert_eq!(shown(&Data::whole(long.as_bytes())), json!({ "data": long }));
    let bytes = Data::cut(&[0xff; DATA_BYTES_MAX + 3]);
    assert_eq!(shown(&bytes)["encoding"], "base64");
    assert_eq!(shown(&bytes.left_out()), json!({"data": "", "data_bytes": DATA_BYTES_MAX + 3}));
}

#[test]
fn a_letter_says_what_why_and_where() {
    let owner = Owner { kind: "dataset", name: "orders", code: "HW-LAKE-010" };
    let place = Place { stream: "in", partition: 2, offset: 7 };
    assert_eq!(place.to_string(), "in-2-7");
    let letter = encode(owner, place, "`id` is missing", Micros(0), b"{}");
    expect_test::expect![[
        r#"{"reason":"`id` is missing","code":"HW-LAKE-010","position":{"stream":"in","partition":2,"offset":7},"dataset":"orders","at":"1970-01-01T00:00:00Z","data":"{}"}"#
    ]]
    .assert_eq(std::str::from_utf8(&letter).unwrap());
}
