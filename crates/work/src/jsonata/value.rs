//! Values of the engine as JSON.

use jsonata_core::value::JValue;
use serde_json::{Map, Number, Value};

/// Doubles up to here are exact integers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// None when the value nests deeper than `depth`. Functions and undefined inside become null, as JSON has it.
pub(super) fn to_json(value: &JValue, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match value {
        JValue::Bool(value) => Value::Bool(*value),
        JValue::Number(number) => from_double(*number),
        JValue::String(text) => Value::String(text.to_string()),
        JValue::Array(items) => {
            Value::Array(items.iter().map(|item| to_json(item, depth)).collect::<Option<Vec<_>>>()?)
        }
        JValue::Object(fields) => {
            let mut object = Map::new();
            for (key, field) in fields.iter().filter(|(_, field)| !field.is_undefined()) {
                object.insert(key.clone(), to_json(field, depth)?);
            }
            Value::Object(object)
        }
        _ => Value::Null,
    })
}

fn from_double(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
