use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use headwater_wire::batch::Record;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Cell, Rows, emptied};
use crate::layout::Layout;
use crate::testing::spec;

mod differential;

fn rows(specs: Value) -> Rows {
    let layout = Layout::of(&spec(json!({"stream": "s", "columns": specs}))).unwrap();
    Rows::new(&layout, &layout.schema).unwrap()
}

fn record(value: impl Into<Vec<u8>>) -> Record {
    Record { offset: 5, timestamp: 9, key: None, value: Some(Bytes::from(value.into())), headers: Vec::new() }
}

fn taken(specs: Value, event: Value) -> Result<RecordBatch, String> {
    let mut rows = rows(specs);
    rows.push(&record(event.to_string()), 3).map_err(|misfit| misfit.0)?;
    Ok(rows.finish().unwrap())
}

#[test]
fn an_event_becomes_a_row() {
    let specs = json!([
        {"name": "n", "type": "int"},
        {"name": "when", "type": "timestamp", "path": ".meta.time"},
        {"name": "day", "type": "date"},
        {"name": "who", "type": "struct", "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}]},
        {"name": "prices", "type": "list", "items": {"type": "double"}},
        {"name": "paid", "type": "list", "items": {"type": "decimal", "precision": 20, "scale": 2}},
        {"name": "rest", "type": "json"},
        {"name": "offset", "type": "long", "path": "$offset"},
        {"name": "part", "type": "int", "path": "$partition"},
    ]);
    let event = json!({"n": 7.0, "meta": {"time": "2026-01-01T00:00:00.5Z"}, "day": "1969-12-31",
        "who": {"id": 1}, "prices": [1, null, 2.5],
        "paid": [0.1, "123456789012345678.90", -3, null], "rest": {"a": [1, "x"]}});
    let batch = taken(specs, event).unwrap();
    assert_eq!(batch["n"].as_primitive::<Int32Type>().value(0), 7);
    assert_eq!(batch["when"].as_primitive::<TimestampMicrosecondType>().value(0), 1_767_225_600_500_000);
    assert_eq!(batch["day"].as_primitive::<arrow_array::types::Date32Type>().value(0), -1);
    let who = batch["who"].as_struct();
    assert_eq!(who.column(0).as_primitive::<Int64Type>().value(0), 1);
    assert!(who.column(1).as_string::<i32>().iter().next().unwrap().is_none());
    let prices = batch["prices"].as_list::<i32>().value(0);
    let prices: Vec<Option<f64>> = prices.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(prices, [Some(1.0), None, Some(2.5)]);
    let paid = batch["paid"].as_list::<i32>().value(0);
    let paid: Vec<Option<i128>> = paid.as_primitive::<Decimal128Type>().iter().collect();
    assert_eq!(paid, [Some(10), Some(12_345_678_901_234_567_890), Some(-300), None]);
    assert_eq!(batch["rest"].as_string::<i32>().value(0), r#"{"a":[1,"x"]}"#);
    assert_eq!(batch["offset"].as_primitive::<Int64Type>().value(0), 5);
    assert_eq!(batch["part"].as_primitive::<Int32Type>().value(0), 3);
}

#[test]
fn what_does_not_fit_is_told_without_its_data() {
    let of = |kind: &str| json!([{"name": "v", "type": kind, "required": true}]);
    let cases = [
        (of("int"), json!({"v": 2_147_483_648_i64}), "`v` is a whole number, not a whole number of 32 bits"),
        (of("long"), json!({"v": 1.5}), "`v` is a decimal number, not a whole number of 64 bits"),
        (of("long"), json!({"v": u64::MAX}), "`v` is a whole number, not a whole number of 64 bits"),
        (of("float"), json!({"v": 1e300}), "`v` is a decimal number, not a number of 32 bits"),
        (of("string"), json!({"v": 1}), "`v` is a whole number, not a string"),
        (of("date"), json!({"v": "2026-02-30"}), "`v` is a string, not a day such as `2026-11-28`"),
        (
            of("timestamp"),
            json!({"v": "soon"}),
            "`v` is a string, not a time by RFC 3339 or in milliseconds since 1970",
        ),
        (
            json!([{"name": "v", "type": "decimal", "precision": 5, "scale": 2}]),
            json!({"v": 0.125}),
            "`v` is a decimal number, not a number of 5 digits, 2 of them behind the point",
        ),
        (of("boolean"), json!({"v": null}), "`v` is missing"),
        (of("boolean"), json!({}), "`v` is missing"),
        (of("boolean"), json!([1]), "the event is no JSON object"),
        (
            json!([{"name": "l", "type": "list", "items": {"type": "struct", "fields": [{"name": "x", "type": "int"}]}}]),
            json!({"l": [{}, {"x": "secret"}]}),
            "`l[1].x` is a string, not a whole number of 32 bits",
        ),
    ];
    for (specs, event, reason) in cases {
        assert_eq!(taken(specs, event).unwrap_err(), reason);
    }
    let broken = rows(of("int")).push(&record("{\"v\": secret}"), 0).unwrap_err();
    assert_eq!(broken.0, "the event is no JSON: line 1, column 7");
}

#[test]
fn any_record_fits_the_columns_of_a_dataset_that_names_none() {
    let mut rows = rows(json!([]));
    rows.push(&record("not JSON"), 0).unwrap();
    rows.push(&Record { value: None, key: Some(Bytes::from_static(b"k")), ..record("") }, 0).unwrap();
    let batch = rows.finish().unwrap();
    let values: Vec<_> = batch["value"].as_string::<i32>().iter().collect();
    assert_eq!(values, [Some("not JSON"), None]);
}

#[test]
fn what_is_escaped_and_what_comes_twice_is_read_as_it_is_meant() {
    let specs = json!([
        {"name": "name", "type": "string", "path": ".who.name"},
        {"name": "who", "type": "json"},
        {"name": "tags", "type": "list", "items": {"type": "string"}},
        {"name": "second", "type": "string", "path": ".tags[1]"},
    ]);
    let mut rows = rows(specs);
    let text =
        r#"{"tags":["x"],"who":{"name":"lost"}, "wh\u006f" : {"name":"\u00c5sa \"A\"","n":1.50},"tags":["a","b\n"]}"#;
    rows.push(&record(text), 0).unwrap();
    rows.push(&record(r#"{"who":null,"tags":[]}"#), 0).unwrap();
    let batch = rows.finish().unwrap();
    let texts = |name: &str| batch[name].as_string::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(texts("name"), [Some("\u{c5}sa \"A\""), None]);
    assert_eq!(texts("who"), [Some("{\"name\":\"\u{c5}sa \\\"A\\\"\",\"n\":1.5}"), None]);
    assert_eq!(texts("second"), [Some("b\n"), None]);
    let tags = batch["tags"].as_list::<i32>().value(0);
    assert_eq!(tags.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), Some("b\n")]);
}

#[test]
fn the_memory_of_a_row_serves_the_next() {
    let mut row = Vec::with_capacity(9);
    row.push(Cell::Long(1));
    let next: Vec<Cell<'static>> = emptied(row);
    assert_eq!((next.len(), next.capacity()), (0, 9));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!("2026-01-01T00:00:00Z")),
        Just(json!("2026-01-01")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[abc]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn an_event_is_taken_whole_or_not_at_all(events in prop::collection::vec(any_json(), 1..20)) {
        let mut rows = rows(json!([
            {"name": "a", "type": "struct", "fields": [
                {"name": "b", "type": "list", "items": {"type": "long"}, "required": true},
                {"name": "c", "type": "timestamp"},
            ]},
            {"name": "b", "type": "int"},
            {"name": "c", "type": "list", "items": {"type": "struct", "fields": [{"name": "a", "type": "json"}]}},
        ]));
        let taken = events.iter().filter(|event| rows.push(&record(event.to_string()), 0).is_ok()).count();
        let batch = rows.finish().unwrap();
        prop_assert_eq!(batch.num_rows(), taken);
    }

    #[test]
    fn any_bytes_are_an_event_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut rows = rows(json!([{"name": "a", "type": "json"}]));
        let taken = rows.push(&record(bytes), 0).is_ok();
        prop_assert_eq!(rows.finish().unwrap().num_rows(), usize::from(taken));
    }
}
