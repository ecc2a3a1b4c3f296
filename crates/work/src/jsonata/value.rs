//! Values of the engine as JSON.

use jsonata_core::value::JValue;
use serde_json::{Map, Number, Value};

/// Doubles up to here are exact integers.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a value has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    /// Levels.
    Depth,
    /// Bytes.
    Bytes,
}

/// The value as JSON that nests no deeper than `depth` and has about `left` bytes at most. The engine keeps a part that
/// is there twice once, so a few steps make a value that nobody could write out.
///
/// Functions and undefined inside become null, as JSON has it.
pub(super) fn to_json(value: &JValue, depth: usize, left: &mut usize) -> Result<Value, Excess> {
    let depth = depth.checked_sub(1).ok_or(Excess::Depth)?;
    take(left, 1)?;
    Ok(match value {
        JValue::Bool(value) => Value::Bool(*value),
        JValue::Number(number) => from_double(*number),
        JValue::String(text) => {
            take(left, text.len())?;
            Value::String(text.to_string())
        }
        JValue::Array(items) => {
            Value::Array(items.iter().map(|item| to_json(item, depth, left)).collect::<Result<Vec<_>, _>>()?)
        }
        JValue::Object(fields) => {
            let mut object = Map::new();
            for (key, field) in fields.iter().filter(|(_, field)| !field.is_undefined()) {
                take(left, key.len())?;
                object.insert(key.clone(), to_json(field, depth, left)?);
            }
            Value::Object(object)
        }
        _ => Value::Null,
    })
}

fn take(left: &mut usize, bytes: usize) -> Result<(), Excess> {
    *left = left.checked_sub(bytes).ok_or(Excess::Bytes)?;
    Ok(())
}

fn from_double(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "checked above")]
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
