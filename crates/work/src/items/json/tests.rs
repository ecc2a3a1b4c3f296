use std::io::BufReader;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::items::Config;
use crate::limits::Limits;

/// Reads with a buffer so small that every token is cut somewhere.
fn read(text: &str, pointer: &str) -> Result<Vec<Value>, Failure> {
    let config =
        Config::of(&json!({"ReaderConfig": {"InputType": "JSON", "ItemsPointer": pointer}}), &Limits::default());
    let source = BufReader::with_capacity(3, std::io::Cursor::new(text.as_bytes().to_vec()));
    Elements::open(source, &config?)?.collect()
}

#[test]
fn arrays_and_objects_are_read_item_by_item() {
    assert_eq!(
        read(" [1, \"a,]\" ,{\"b\":[2,3]} , null]", "").unwrap(),
        [json!(1), json!("a,]"), json!({"b": [2, 3]}), json!(null)]
    );
    assert_eq!(read("[]", "").unwrap(), [json!(0); 0]);
    let fields = read("{\"k\": 1, \"q\\\"\": {\"x\": 2}}", "").unwrap();
    assert_eq!(fields, [json!({"Key": "k", "Value": 1}), json!({"Key": "q\"", "Value": {"x": 2}})]);
    assert_eq!(read("\u{feff}[true]", "").unwrap(), [json!(true)]);
}

#[test]
fn a_pointer_leads_to_the_items() {
    let text = "{\"skip\": [1, {\"a\": \"}\"}], \"a/b\": [0, {\"items\": [7, 8]}]}";
    assert_eq!(read(text, "/a~1b/1/items").unwrap(), [json!(7), json!(8)]);
    for pointer in ["/none", "/a~1b/9", "/a~1b/x", "/skip/0", "/a~1b/1/items/0"] {
        assert!(read(text, pointer).is_err(), "{pointer}");
    }
}

#[test]
fn what_is_no_json_ends_with_a_failure() {
    for text in ["", "7", "[1 2]", "[1,", "[1,]", "[\"a", "[{]", "{\"a\" 1}", "{1: 2}", "[nul]", "[1}", "[}"] {
        assert!(read(text, "").is_err(), "{text}");
    }
    let deep = format!("[{}{}]", "[".repeat(200), "]".repeat(200));
    assert!(read(&deep, "").is_err());
    let long = format!("[\"{}\"]", "x".repeat(300_000));
    assert!(read(&long, "").is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[\\PC\"\\\\\\[\\]{},:]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[\\PC\"]{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_array_comes_back_as_its_elements(items in prop::collection::vec(any_json(), 0..8), pretty: bool) {
        let array = Value::Array(items.clone());
        let text = if pretty { serde_json::to_string_pretty(&array).unwrap() } else { array.to_string() };
        prop_assert_eq!(read(&text, "").unwrap(), items.clone());
        let inside = json!({"before": array, "here": items}).to_string();
        prop_assert_eq!(read(&inside, "/here").unwrap(), items);
    }

    #[test]
    fn any_bytes_end_without_a_panic(text in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}") {
        let read = read(&text, "");
        // What serde accepts as an array, we do, and the other way round.
        if let Ok(Value::Array(items)) = serde_json::from_str::<Value>(&text) {
            prop_assert_eq!(read.unwrap(), items);
        }
    }
}
