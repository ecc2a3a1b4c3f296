//! How large a payload is as JSON text, how deep it nests, and what it takes in memory, without writing it out.

use serde_json::{Map, Value};

/// What a field takes besides its name and its value: the name's own place, its hash, and a place in the table of names.
const FIELD_BYTES: usize = size_of::<String>() + 40;

/// Bytes as compact JSON, and containers inside each other.
pub(crate) fn of(value: &Value) -> (usize, usize) {
    let (mut bytes, mut deepest) = (0, 0);
    let mut open = vec![(value, 0_usize)];
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::Null => bytes += 4,
            Value::Bool(value) => bytes += if *value { 4 } else { 5 },
            Value::Number(number) => bytes += digits(number),
            Value::String(text) => bytes += quoted(text),
            Value::Array(items) => {
                bytes += 2 + items.len().saturating_sub(1);
                deepest = deepest.max(depth + 1);
                open.extend(items.iter().map(|item| (item, depth + 1)));
            }
            Value::Object(fields) => {
                bytes += 2 + fields.len().saturating_sub(1) + fields.keys().map(|key| quoted(key) + 1).sum::<usize>();
                deepest = deepest.max(depth + 1);
                open.extend(fields.values().map(|field| (field, depth + 1)));
            }
        }
    }
    (bytes, deepest)
}

/// About how many bytes a value takes in memory.
pub(crate) fn in_memory(value: &Value) -> usize {
    let (mut bytes, mut open) = (0, vec![value]);
    while let Some(value) = open.pop() {
        bytes += size_of::<Value>();
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => bytes += text.len(),
            Value::Array(items) => open.extend(items.iter()),
            Value::Object(fields) => {
                bytes += names(fields);
                open.extend(fields.values());
            }
        }
    }
    bytes
}

/// The same, of fields.
pub(crate) fn fields_in_memory(fields: &Map<String, Value>) -> usize {
    names(fields) + fields.values().map(in_memory).sum::<usize>()
}

fn names(fields: &Map<String, Value>) -> usize {
    fields.keys().map(|key| FIELD_BYTES + key.len()).sum()
}

fn digits(number: &serde_json::Number) -> usize {
    match number.as_u64() {
        Some(whole) => whole.checked_ilog10().map_or(1, |log| usize::try_from(log).unwrap_or(0) + 1),
        None => number.to_string().len(),
    }
}

fn quoted(text: &str) -> usize {
    let escapes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 1,
        0..=31 => 5,
        _ => 0,
    });
    text.len() + 2 + escapes.sum::<usize>()
}

#[cfg(test)]
mod tests;
