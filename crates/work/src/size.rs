//! How large a payload is as JSON text, and how deep it nests, without writing it out.

use serde_json::Value;

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
