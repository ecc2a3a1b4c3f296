use proptest::prelude::*;
use serde_json::json;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[a-z\"é]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            inner.prop_map(|inner| json!({"a": inner, "b": [], "": {}})),
        ]
    })
}

fn items(of: &[(u64, Value, Value)]) -> Items {
    let mut items = Items::default();
    for (index, value, input) in of {
        items.push(&Item { index: *index, value: value.clone() }, input);
    }
    items
}

proptest! {
    #[test]
    fn items_come_back_from_a_record_one_by_one(of in prop::collection::vec((any::<u64>(), value(), value()), 0..20)) {
        let mut writer = Writer::default();
        items(&of).encode(&mut writer);
        let wanted: Vec<(Item, Value)> =
            of.iter().map(|(index, value, input)| (Item { index: *index, value: value.clone() }, input.clone())).collect();
        let read = Items::decode(&mut Reader::new(&writer.bytes)).unwrap();
        prop_assert_eq!(read.count(), wanted.len() as u64);
        prop_assert_eq!(read.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), wanted);
        writer.byte(7);
        let mut reader = Reader::new(&writer.bytes);
        prop_assert_eq!(Items::decode_before_more(&mut reader), Some(items(&of)));
        prop_assert_eq!(reader.byte(), Some(7));
    }

    #[test]
    fn items_of_any_bytes_are_read_or_end_with_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = Items::decode_before_more(&mut Reader::new(&bytes));
        if let Some(items) = Items::decode(&mut Reader::new(&bytes)) {
            let count = items.count();
            let read: Vec<_> = items.into_iter().collect();
            let failed = read.iter().position(Result::is_err);
            prop_assert_eq!(read.len() as u64, failed.map_or(count, |at| at as u64 + 1));
        }
    }
}

#[test]
fn items_that_were_cut_off_end_with_an_error() {
    let all = items(&[(0, json!("a"), json!(1)), (1, json!("b"), json!(2))]);
    let mut writer = Writer::default();
    all.encode(&mut writer);
    writer.bytes.pop();
    let cut = Items::decode(&mut Reader::new(&writer.bytes)).unwrap();
    let read: Vec<_> = cut.into_iter().collect();
    assert_eq!(read[0], Ok((Item { index: 0, value: json!("a") }, json!(1))));
    assert_eq!(read[1].as_ref().unwrap_err().error.as_deref(), Some("States.Runtime"));
    assert_eq!(read.len(), 2);
}
