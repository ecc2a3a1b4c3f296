//! Whether who reads by one JSON Schema can read what was written by another.
//!
//! Judged are types, required and known properties, items, values by name and bounds. What differs in any other keyword
//! cannot be judged and counts as a break: a false alarm is looked at, a missed break is not.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Keywords that say nothing about what fits.
const WORDS: [&str; 9] =
    ["title", "description", "examples", "default", "deprecated", "$comment", "$schema", "$id", "readOnly"];
/// Keywords that are judged below.
const JUDGED: [&str; 15] = [
    "type",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];
/// The reader wants no less than the writer gives, and no more.
const LOWER: [&str; 4] = ["minimum", "exclusiveMinimum", "minLength", "minItems"];
const UPPER: [&str; 4] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems"];
/// Schemas nest no deeper in what is judged.
const DEPTH_MAX: usize = 32;

/// Everything that `reader` does not take of what fits `writer`, in words.
pub fn breaks(reader: &Value, writer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(reader, writer, "", DEPTH_MAX, &mut found);
    found
}

fn compare(reader: &Value, writer: &Value, at: &str, depth: usize, found: &mut Vec<String>) {
    if reader == writer || *reader == Value::Bool(true) {
        return;
    }
    let place = || if at.is_empty() { "the event".to_owned() } else { format!("`{}`", at.trim_start_matches('.')) };
    let (Some(reads), Some(writes), true) = (reader.as_object(), writer.as_object(), depth > 0) else {
        return found.push(format!("{} is described in another way", place()));
    };
    let keys: BTreeSet<&String> = reads.keys().chain(writes.keys()).collect();
    for key in keys {
        let judged = WORDS.contains(&key.as_str()) || JUDGED.contains(&key.as_str());
        // Keywords that only the writer keeps to narrow what it writes.
        if !judged && reads.get(key).is_some() && reads.get(key) != writes.get(key) {
            found.push(format!("`{key}` of {} differs, and cannot be judged", place()));
        }
    }
    let (wanted, given) = (types(reads), types(writes));
    if let Some(wanted) = &wanted {
        let is_taken = |name: &String| wanted.contains(name) || name == "integer" && wanted.contains("number");
        match &given {
            Some(given) => {
                let refused: Vec<&String> = given.iter().filter(|name| !is_taken(name)).collect();
                if let Some(name) = refused.first() {
                    found.push(format!("{} may be of type `{name}`", place()));
                }
            }
            None => found.push(format!("{} may be of any type", place())),
        }
    }
    values(reads, writes, &place(), found);
    for (bounds, less) in [(LOWER, true), (UPPER, false)] {
        for key in bounds {
            let bound = |map: &Map<String, Value>| map.get(key).and_then(Value::as_f64);
            let narrower = match (bound(reads), bound(writes)) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(reads), Some(writes)) => {
                    if less {
                        reads > writes
                    } else {
                        reads < writes
                    }
                }
            };
            if narrower {
                found.push(format!("`{key}` of {} is narrower", place()));
            }
        }
    }
    properties(reads, writes, at, depth, &place(), found);
    if let Some(items) = reads.get("items") {
        let written = writes.get("items").unwrap_or(&Value::Bool(true));
        compare(items, written, &format!("{at}[]"), depth - 1, found);
    }
}

fn properties(
    reads: &Map<String, Value>,
    writes: &Map<String, Value>,
    at: &str,
    depth: usize,
    place: &str,
    found: &mut Vec<String>,
) {
    let required = |map: &Map<String, Value>| -> BTreeSet<String> {
        let names = map.get("required").and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for name in required(reads).difference(&required(writes)) {
        found.push(format!("`{name}` of {place} may be missing"));
    }
    let none = Map::new();
    let known = |map: &'_ Map<String, Value>| map.get("properties").and_then(Value::as_object).cloned();
    let (read, written) = (known(reads).unwrap_or_else(|| none.clone()), known(writes).unwrap_or(none));
    // What further properties hold, where that is described.
    let further = |map: &'_ Map<String, Value>| map.get("additionalProperties").filter(|it| it.is_object()).cloned();
    let (reads_further, writes_further) = (further(reads), further(writes));
    for (name, schema) in &read {
        // What the writer does not describe may be anything, unless it writes nothing else.
        if let Some(other) = written.get(name).or(writes_further.as_ref()) {
            compare(schema, other, &format!("{at}.{name}"), depth - 1, found);
        }
    }
    let closed = |map: &Map<String, Value>| map.get("additionalProperties") == Some(&Value::Bool(false));
    if closed(reads) {
        if !closed(writes) {
            found.push(format!("{place} may have further properties"));
        }
        for name in written.keys().filter(|name| !read.contains_key(*name)) {
            found.push(format!("`{name}` of {place} is not known"));
        }
    } else if let Some(others) = reads_further {
        for (name, schema) in written.iter().filter(|(name, _)| !read.contains_key(*name)) {
            compare(&others, schema, &format!("{at}.{name}"), depth - 1, found);
        }
        if !closed(writes) {
            let written = writes.get("additionalProperties").unwrap_or(&Value::Bool(true));
            compare(&others, written, &format!("{at}.*"), depth - 1, found);
        }
    }
}

fn types(map: &Map<String, Value>) -> Option<BTreeSet<String>> {
    match map.get("type")? {
        Value::String(name) => Some(BTreeSet::from([name.clone()])),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}

/// Values by name, of `enum` and `const`.
fn values(reads: &Map<String, Value>, writes: &Map<String, Value>, place: &str, found: &mut Vec<String>) {
    let named = |map: &Map<String, Value>| -> Option<Vec<Value>> {
        match (map.get("const"), map.get("enum").and_then(Value::as_array)) {
            (Some(value), _) => Some(vec![value.clone()]),
            (None, values) => values.cloned(),
        }
    };
    match (named(reads), named(writes)) {
        (None, _) => {}
        (Some(_), None) => found.push(format!("{place} may have any value")),
        (Some(reads), Some(writes)) => {
            for value in writes.iter().filter(|value| !reads.contains(value)) {
                found.push(format!("{place} may be {value}"));
            }
        }
    }
}
