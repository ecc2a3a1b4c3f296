use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn counts_what_the_writer_writes() {
    for value in [
        json!(null),
        json!([1, -5, 0, 2.5, true]),
        json!({"a\"\n\u{1}": [{}, "é"], "b": 18_446_744_073_709_551_615_u64}),
    ] {
        assert_eq!(super::of(&value).0, value.to_string().len(), "{value}");
    }
    assert_eq!(super::of(&json!([[{}]])).1, 3);
}

#[test]
fn values_take_their_places_and_what_they_point_to() {
    let place = size_of::<Value>();
    assert_eq!(super::in_memory(&json!(7)), place);
    assert_eq!(super::in_memory(&json!([1, null, [true, "four"]])), 6 * place + 4);
    let fields = json!({"a": 1, "bc": {"d": "text"}});
    let bytes = super::in_memory(&fields);
    assert!(bytes > 4 * place + 3 * size_of::<String>() + 8, "{bytes} bytes");
    assert_eq!(super::fields_in_memory(fields.as_object().unwrap()), bytes - place);
}

proptest! {
    #[test]
    fn counts_any_text_and_number(text: String, whole: i64, float: f64) {
        let value: Value = json!({text.clone(): [text, whole, float]});
        prop_assert_eq!(super::of(&value).0, value.to_string().len());
    }
}
