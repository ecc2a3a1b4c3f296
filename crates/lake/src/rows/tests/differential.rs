use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use headwater_base::Micros;
use headwater_kernel::path::Path;
use proptest::prelude::*;
use serde_json::{Number, Value, json};

use super::{record, rows};
use crate::rows::decimal;

const TYPES: [&str; 10] =
    ["boolean", "int", "long", "float", "double", "decimal", "date", "timestamp", "string", "json"];
const PATHS: [&str; 6] = [".a", ".o.a", ".o.o.a", ".o", ".l[1]", ".o.l[0].a"];

/// What a column holds of an event; floats by their bits.
#[derive(Debug, PartialEq)]
enum Held {
    Boolean(bool),
    Int(i32),
    Long(i64),
    Float(u32),
    Double(u64),
    Decimal(i128),
    Text(String),
}

fn held(batch: &RecordBatch, row: usize) -> Option<Held> {
    let column = &batch["v"];
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Boolean => Held::Boolean(column.as_boolean().value(row)),
        DataType::Int32 => Held::Int(column.as_primitive::<Int32Type>().value(row)),
        DataType::Date32 => Held::Int(column.as_primitive::<Date32Type>().value(row)),
        DataType::Int64 => Held::Long(column.as_primitive::<Int64Type>().value(row)),
        DataType::Timestamp(..) => Held::Long(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Float32 => Held::Float(column.as_primitive::<Float32Type>().value(row).to_bits()),
        DataType::Float64 => Held::Double(column.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Decimal128(..) => Held::Decimal(column.as_primitive::<Decimal128Type>().value(row)),
        _ => Held::Text(column.as_string::<i32>().value(row).to_owned()),
    })
}

fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let number = number.as_f64().filter(|_| !number.is_u64())?;
        (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
    })
}

/// What a column of that type holds of a value of a full parse; None where the value does not fit.
fn expected(kind: &str, value: &Value) -> Option<Option<Held>> {
    Some(Some(match (kind, value) {
        (_, Value::Null) => return Some(None),
        ("boolean", Value::Bool(it)) => Held::Boolean(*it),
        ("int", Value::Number(number)) => Held::Int(i32::try_from(whole(number)?).ok()?),
        ("long", Value::Number(number)) => Held::Long(whole(number)?),
        ("float", Value::Number(number)) => {
            Held::Float(number.as_f64().map(|number| number as f32).filter(|number| number.is_finite())?.to_bits())
        }
        ("double", Value::Number(number)) => Held::Double(number.as_f64()?.to_bits()),
        ("decimal", Value::String(text)) => Held::Decimal(decimal::units(text, 12, 3)?),
        ("decimal", Value::Number(number)) => Held::Decimal(decimal::units(&number.to_string(), 12, 3)?),
        ("date", Value::String(text)) if text.len() == 10 => {
            let day = Micros::parse_rfc3339(&format!("{text}T00:00:00Z"))?;
            Held::Int(i32::try_from(day.0.div_euclid(86_400_000_000)).ok()?)
        }
        ("timestamp", Value::String(text)) => Held::Long(Micros::parse_rfc3339(text)?.0),
        ("timestamp", Value::Number(number)) => Held::Long(whole(number)?.checked_mul(1_000)?),
        ("string", Value::String(text)) => Held::Text(text.clone()),
        ("json", value) => Held::Text(value.to_string()),
        _ => return None,
    }))
}

fn leaf() -> impl Strategy<Value = String> {
    let usual = vec![
        "null",
        "true",
        "false",
        "-0",
        "7.0",
        "\"2026-01-31\"",
        "\"2026-02-30\"",
        "\"2026-01-01T00:00:00.25+01:00\"",
        "\"12.50\"",
        "\"\\u0031e1\"",
    ];
    prop_oneof![
        prop::sample::select(usual).prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        "-?[1-9][0-9]{0,9}(\\.[0-9]{1,3})?",
        ".{0,12}".prop_map(|text| json!(text).to_string()),
        "(\\\\u00[0-7][0-9a-f]|\\\\[bfnrt/\\\\\"]|\\\\ud83d\\\\ude0[0-9]|[a-z ]){0,8}"
            .prop_map(|text| format!("\"{text}\"")),
    ]
}

/// An object in which a name may come more than once, and written in more than one way.
fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["\"a\"", "\"o\"", "\"l\"", "\"x\"", "\"\\u006f\"", "\n \"a\"\t"]);
    prop::collection::vec((name, value), 0..6).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{{{}}}", members.join(" ,"))
    })
}

fn event() -> impl Strategy<Value = String> {
    object(leaf().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            2 => object(inner),
        ]
    }))
}

proptest! {
    #[test]
    fn a_column_holds_what_a_full_parse_gives(
        kind in prop::sample::select(TYPES.to_vec()),
        path in prop::sample::select(PATHS.to_vec()),
        events in prop::collection::vec(event(), 1..16),
    ) {
        let mut spec = json!({"name": "v", "type": kind, "path": path});
        if kind == "decimal" {
            spec["precision"] = json!(12);
            spec["scale"] = json!(3);
        }
        let mut rows = rows(json!([spec]));
        let mut fitting = Vec::new();
        for event in &events {
            let whole: Value = serde_json::from_str(event).unwrap();
            let value = Path::parse(path).unwrap().find(&whole).cloned().unwrap_or(Value::Null);
            let expected = expected(kind, &value);
            prop_assert_eq!(rows.push(&record(event.clone()), 0).is_ok(), expected.is_some(), "{} of {}", kind, event);
            fitting.extend(expected);
        }
        let batch = rows.finish().unwrap();
        let found: Vec<Option<Held>> = (0..batch.num_rows()).map(|row| held(&batch, row)).collect();
        prop_assert_eq!(found, fitting);
    }
}
