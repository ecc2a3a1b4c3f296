//! Whether who reads by one JSON Schema can read what was written by another.
//!
//! Judged are types, required and known properties, items, values by name and bounds. Any other keyword that the reader
//! has and that differs cannot be judged and counts as a break: a false alarm is looked at, a missed break is not. One
//! that only the writer has narrows what is written, unless it changes what others mean ([`TURNING`], [`WATCHING`]).

use std::collections::{BTreeMap, BTreeSet};

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
/// Keywords that change what others beside them mean, so that they count in the writer's schema as well: from where on
/// `items` describes items, what is left of others beside a reference, how many of `contains` there may be.
const TURNING: [&str; 7] =
    ["$ref", "$dynamicRef", "$recursiveRef", "prefixItems", "additionalItems", "minContains", "maxContains"];
/// Keywords that speak of what others beside them leave open, or that leave others less.
const WATCHING: [&str; 3] = ["patternProperties", "unevaluatedProperties", "unevaluatedItems"];
/// The draft of a schema that names none.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
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
    if reads.keys().all(|key| WORDS.contains(&key.as_str())) {
        return;
    }
    let keys: BTreeSet<&str> = reads.keys().chain(writes.keys()).map(String::as_str).collect();
    for key in keys.iter().filter(|key| counts(key, reads, at)) {
        let differs =
            if *key == "$schema" { draft(reads) != draft(writes) } else { reads.get(*key) != writes.get(*key) };
        if differs {
            found.push(format!("`{key}` of {} differs, and cannot be judged", place()));
        }
    }
    if let Some(key) = WATCHING.iter().find(|key| keys.contains(**key))
        && beside(reads) != beside(writes)
    {
        found.push(format!("`{key}` of {} counts with what is beside it, which differs: it cannot be judged", place()));
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
            let narrower = match (reads.get(key), writes.get(key)) {
                (None, _) => false,
                // In an old draft the bound is beside it, and this says whether it belongs to it.
                (reads @ Some(Value::Bool(_)), writes) => reads != writes,
                (Some(_), None) => true,
                (Some(reads), Some(writes)) if less => below(writes, reads),
                (Some(reads), Some(writes)) => below(reads, writes),
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

/// Whether a difference in this keyword cannot be judged.
fn counts(key: &str, reads: &Map<String, Value>, at: &str) -> bool {
    match key {
        "$schema" => true,
        // Below the root it is where references begin.
        "$id" => !at.is_empty(),
        _ if TURNING.contains(&key) => true,
        _ if WATCHING.contains(&key) || WORDS.contains(&key) || JUDGED.contains(&key) => false,
        _ => reads.contains_key(key),
    }
}

fn draft(schema: &Map<String, Value>) -> &str {
    schema.get("$schema").and_then(Value::as_str).unwrap_or(DRAFT).trim_end_matches('#')
}

/// What counts for keywords of [`WATCHING`]: which parts are described, and by what.
fn beside(schema: &Map<String, Value>) -> BTreeMap<&str, Value> {
    let parts = schema.iter().filter_map(|(key, value)| match key.as_str() {
        "properties" => {
            let names = value.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
            Some(("properties", Value::from_iter(names)))
        }
        "items" => Some(("items", Value::Null)),
        "additionalProperties" => Some(("additionalProperties", value.clone())),
        key if WORDS.contains(&key) || JUDGED.contains(&key) => None,
        key => Some((key, value.clone())),
    });
    parts.collect()
}

/// Whether a bound is less than another; whole numbers are compared exactly.
fn below(one: &Value, other: &Value) -> bool {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one < other,
        _ => one.as_f64() < other.as_f64(),
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
