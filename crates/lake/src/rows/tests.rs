use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use bytes::Bytes;
use headwater_base::Micros;
use headwater_kernel::letter::{self, Owner, Place};
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
fn a_document_that_is_kept_whole_may_have_any_number() {
    let layout = Layout::of(&spec(json!({"table": "t"}))).unwrap();
    let mut rows = Rows::new(&layout, &layout.schema).unwrap();
    let texts = [r#"{"most": 1e400}"#, r#"{"exact": 12345678901234567890.10}"#];
    for text in texts {
        rows.push(&Record { key: Some(Bytes::from(text)), ..record(text) }, 0).unwrap();
    }
    let misfit = rows.push(&Record { key: Some(Bytes::from_static(b"k")), ..record("{") }, 0).unwrap_err();
    assert_eq!(misfit.0, "the event is no JSON: line 1, column 1");
    assert_eq!(rows.finish().unwrap()["value"].as_string::<i32>().iter().flatten().collect::<Vec<_>>(), texts);
}

/// Tables take any JSON; what a column reads is held to the rules of events all the same.
#[test]
fn a_document_is_not_refused_for_what_no_column_reads() {
    let columns = json!([
        {"name": "id", "type": "string", "path": "$key", "required": true},
        {"name": "n", "type": "long", "path": ".a.n"},
        {"name": "a", "type": "json", "path": ".b"},
    ]);
    let layout = Layout::of(&spec(json!({"table": "t", "columns": columns}))).unwrap();
    let taken = |text: &str| {
        let mut rows = Rows::new(&layout, &layout.schema).unwrap();
        let key = Some(Bytes::from_static(b"k"));
        rows.push(&Record { key, ..record(text) }, 0).map_err(|misfit| misfit.0)?;
        let batch = rows.finish().unwrap();
        let n = batch["n"].as_primitive_opt::<Int64Type>().map(|it| it.iter().next().flatten());
        Ok::<_, String>((n.flatten(), batch["a"].as_string::<i32>().iter().next().flatten().map(str::to_owned)))
    };
    let nested = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for other in ["1e400", "-1e400 ", r#"["\ud800"]"#, r#"{"m": 1e999, "b": 3}"#, &nested, " true\n", "\"\"", "0"] {
        for text in [
            format!(r#"{{"x": {other}, "a": {{"n": 7}}, "b": [1]}}"#),
            format!(r#"{{"a": {{"x": {other},"n": 7,"y":{other}}}, "b": [1], "x": {other}}}"#),
            // What is behind counts, and not what it stands for.
            format!(r#"{{"a": {other}, "a": {{"n": 7}}, "b": [1], "x": [{other}]}}"#),
        ] {
            assert_eq!(taken(&text), Ok((Some(7), Some("[1]".to_owned()))), "{text}");
        }
    }
    for text in [
        r#"{"a": {"n": 1e400}}"#,
        r#"{"b": {"x": 1e400}}"#,
        r#"{"b": "\ud800"}"#,
        r#"{"x": 1e400, "y": 1e}"#,
        r#"{"x": 1e400"#,
        r#"{"x": 1e400} 1"#,
        r#"{"x": 1e400, "y": [1}}"#,
    ] {
        assert!(taken(text).is_err_and(|fact| fact.starts_with("the event is no JSON: line 1, column ")), "{text}");
    }
    assert_eq!(taken("[1]").unwrap_err(), "the event is no JSON object");
    // An event of a stream is JSON as a whole.
    let mut rows = rows(json!([{"name": "n", "type": "long"}]));
    assert!(rows.push(&record(r#"{"n": 1, "x": 1e400}"#), 0).is_err());
}

fn letters() -> Rows {
    let layout = Layout::of(&spec(json!({"letters": "s.dead"}))).unwrap();
    Rows::new(&layout, &layout.schema).unwrap()
}

/// A row as an object, without what it does not have.
fn object(batch: &RecordBatch, row: usize) -> Value {
    let value = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
        DataType::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(column.as_primitive::<Int64Type>().value(row)),
        _ => json!(column.as_primitive::<TimestampMicrosecondType>().value(row)),
    };
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).filter(|(_, column)| column.is_valid(row));
    Value::Object(columns.map(|(field, column)| (field.name().clone(), value(column))).collect())
}

#[test]
fn letters_of_everybody_become_rows() {
    let mut rows = letters();
    let owner = Owner { kind: "forecast", name: "sales", code: "HW-WATCH-010" };
    let place = Place { stream: "in", partition: 2, offset: 7 };
    let of_a_unit = letter::encode(owner, place, "no time", Micros(5), &[0xff]);
    rows.push(&record(of_a_unit.to_vec()), 0).unwrap();
    for letter in [
        json!({"reason": "`n` is missing", "code": "HW-API-015", "position": {"stream": "in"},
            "at": "1970-01-01T00:00:01Z", "data": "{}"}),
        json!({"reason": "no object", "code": "HW-FLOW-120", "position": {"stream": "in", "partition": 0, "offset": 3},
            "pipeline": "p", "step": "s", "at": "1970-01-01T00:00:01Z", "data": "[", "data_bytes": 300_000}),
        json!({"reason": "answers 503", "code": "HW-BUS-040", "subscription": "rule/echo", "target": 1,
            "position": {"stream": "bus.b", "partition": 0, "offset": 4}, "causation_id": "c", "hops": 0, "attempts": 9,
            "status": 503, "at": "1970-01-01T00:00:01Z", "data": "{}"}),
    ] {
        rows.push(&record(letter.to_string()), 0).unwrap();
    }
    let batch = rows.finish().unwrap();
    let found: Vec<Value> = (0..batch.num_rows()).map(|row| object(&batch, row)).collect();
    let second = 1_000_000;
    let wanted = [
        json!({"time": 5, "reason": "no time", "code": "HW-WATCH-010", "stream": "in", "partition": 2, "offset": 7,
            "forecast": "sales", "data": "/w==", "encoding": "base64"}),
        json!({"time": second, "reason": "`n` is missing", "code": "HW-API-015", "stream": "in", "data": "{}"}),
        json!({"time": second, "reason": "no object", "code": "HW-FLOW-120", "stream": "in", "partition": 0, "offset": 3,
            "pipeline": "p", "step": "s", "data": "[", "data_bytes": 300_000}),
        json!({"time": second, "reason": "answers 503", "code": "HW-BUS-040", "stream": "bus.b", "partition": 0,
            "offset": 4, "subscription": "rule/echo", "target": 1, "attempts": 9, "status": 503, "data": "{}"}),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn what_is_no_letter_is_a_row_that_says_so_and_keeps_all_of_it() {
    let whole = json!({"reason": "late", "code": "HW-FLOW-110", "event": {"n": 1}}).to_string();
    let odd = json!({"reason": "r", "code": "c", "data": "d", "position": "p", "attempts": "two"}).to_string();
    let cases = [
        (Some(whole.as_str()), "`data` is missing"),
        (Some(odd.as_str()), "`attempts` is a string, not a whole number of 64 bits"),
        (Some("[1]"), "the event is no JSON object"),
        (Some("{}"), "`code` is missing"),
        (None, "the record has no value"),
    ];
    for (value, reason) in cases {
        let mut rows = letters();
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        let data = value.as_ref().map_or("", |value| std::str::from_utf8(value).unwrap());
        rows.push(&Record { value: value.clone(), ..record("") }, 3).unwrap();
        let found = object(&rows.finish().unwrap(), 0);
        let wanted = json!({"time": 9_000, "code": "HW-LAKE-108", "reason": reason, "stream": "s.dead", "partition": 3,
            "offset": 5, "data": data});
        assert_eq!(found, wanted);
    }
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

    #[test]
    fn any_record_is_a_row_of_letters_with_its_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..64), timestamp in any::<i64>(), offset in 0..i64::MAX,
    ) {
        let mut rows = letters();
        let record = Record { offset, timestamp, ..record(bytes.clone()) };
        prop_assert_eq!(rows.push(&record, 0), Ok(()));
        let found = object(&rows.finish().unwrap(), 0);
        let data = String::from_utf8(bytes).unwrap_or_else(|error| headwater_wire::base64::encode(error.as_bytes()));
        prop_assert_eq!(&found["data"], &json!(data));
        prop_assert_eq!(&found["offset"], &json!(offset));
    }

    #[test]
    fn an_object_is_a_letter_or_kept_as_it_is(
        parts in prop::collection::vec(any_json(), 6), place in any_json(), at in any_json(),
    ) {
        let object_of = |data: &Value| json!({"reason": parts[0], "code": parts[1], "position": {"stream": parts[2],
            "partition": parts[3], "offset": place}, "pipeline": parts[4], "attempts": parts[5], "at": at, "data": data});
        for data in [json!("d"), parts[5].clone()] {
            let (mut rows, letter) = (letters(), object_of(&data));
            prop_assert_eq!(rows.push(&record(letter.to_string()), 0), Ok(()));
            let found = object(&rows.finish().unwrap(), 0);
            let kept = match found["code"] == "HW-LAKE-108" {
                true => json!(letter.to_string()),
                false => data,
            };
            prop_assert_eq!(&found["data"], &kept);
        }
    }
}
