use proptest::prelude::*;
use serde_json::{Value, json};

use super::codec::{Reader, Writer};
use super::*;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| serde_json::Number::from_f64(n).map_or(Value::Null, Value::Number)),
        ".*".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec((".*", inner), 0..8).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_comes_back_exactly(value in any_value()) {
        let mut writer = Writer::default();
        writer.value(&value);
        let mut reader = Reader::new(&writer.bytes);
        prop_assert_eq!(reader.value(), Some(value));
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn a_list_comes_back_whatever_of_it_is_elsewhere(
        values in prop::collection::vec(any_value(), 0..8),
        inline in 0_usize..200,
    ) {
        let mut writer = Writer::within(inline);
        writer.payloads(&values);
        writer.apart(|writer| writer.list(&values, Writer::value));
        prop_assert!(writer.bytes.len() <= 2 * (inline + 50), "{} bytes", writer.bytes.len());
        let large = std::mem::take(&mut writer.large);
        let fetch = |hash: &[u8; 32]| large.iter().find(|(one, _)| one == hash).map(|(_, bytes)| bytes.clone());
        let mut reader = Reader::with(&writer.bytes, &fetch);
        prop_assert_eq!(reader.payloads(), Some(values.clone()));
        prop_assert_eq!(reader.apart(|reader| reader.list(Reader::value)), Some(values));
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = Changes::from_bytes(&bytes);
        let _ = Reader::new(&bytes).value();
        let _ = Reader::new(&bytes).payloads();
        let stored = Stored { header: bytes, ..Stored::default() };
        let _ = stored.restore();
    }
}

#[test]
fn another_version_is_refused() {
    let problem = Changes::from_bytes(&[9]).unwrap_err();
    assert_eq!(problem.code, "HW-WORK-002");
    let mut writer = Writer::default();
    writer.byte(VERSION);
    writer.value(&json!(1));
    assert!(Changes::from_bytes(&writer.bytes).is_err());
}
