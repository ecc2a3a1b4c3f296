//! Compares a value with the JSON Schema of its kind and tells a person everything that is wrong, each thing where it
//! is written: unknown keys with the nearest known one, missing keys, wrong types with the value and what is wanted.
//!
//! It is NOT a JSON Schema validator for users' schemas (that is the `jsonschema` crate, see `schema`): it knows the
//! keywords that `schemars` writes for our own types, and picks the branch of a `type:`-tagged enum by its tag instead
//! of saying that no branch matches. What it does not know it lets pass; decoding with serde stands behind it.

use std::collections::BTreeMap;

use headwater_base::units::{SIZE_PATTERN, SPAN_OR_ALL_PATTERN, SPAN_PATTERN};
use headwater_base::{Problem, Size, Span, closest};
use serde_json::Value;

use crate::kind::short;
use crate::origin::{Origin, child, shown};

/// All problems of `value`, which stands at `pointer`, against `schema`.
pub fn check(schema: &Value, value: &Value, pointer: &str, origin: &Origin) -> Vec<Problem> {
    let mut checker = Checker { root: schema, origin, problems: Vec::new() };
    checker.value(schema, value, pointer);
    checker.problems
}

/// A value's type with its article, and short values themselves: "the text `abc`".
pub fn article(value: &Value) -> String {
    match value {
        Value::Null => "nothing (null)".to_owned(),
        Value::Bool(truth) => format!("`{truth}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) => format!("the text `{}`", short(text).escape_debug()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

/// `$ref` and branches followed without going deeper into the value; beyond it a schema refers to itself.
const HOPS_MAX: usize = 32;

struct Checker<'a> {
    root: &'a Value,
    origin: &'a Origin,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, pointer: &str) {
        let mut parts = Vec::new();
        if !self.parts(schema, value, pointer, HOPS_MAX, &mut parts) {
            return;
        }
        if parts.iter().any(|part| !self.itself(part, value, pointer)) {
            return;
        }
        match value {
            Value::Object(_) => self.object(&parts, value, pointer),
            Value::Array(items) => {
                for schema in parts.iter().filter_map(|part| part.get("items")) {
                    for (index, item) in items.iter().enumerate() {
                        self.value(schema, item, &child(pointer, &index.to_string()));
                    }
                }
            }
            _ => {}
        }
    }

    /// Collects the schemas that all hold for `value`: the schema, what it refers to, the branch it means. False when
    /// no branch can be meant, which has been said then.
    fn parts(
        &mut self,
        schema: &'a Value,
        value: &Value,
        pointer: &str,
        hops: usize,
        parts: &mut Vec<&'a Value>,
    ) -> bool {
        if hops == 0 {
            return true;
        }
        parts.push(schema);
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| self.definition(name));
        if target.is_some_and(|target| !self.parts(target, value, pointer, hops - 1, parts)) {
            return false;
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            if !self.parts(part, value, pointer, hops - 1, parts) {
                return false;
            }
        }
        let Some(branches) = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) else {
            return true;
        };
        match self.branch(branches, value, pointer) {
            Ok(branch) => self.parts(branch, value, pointer, hops - 1, parts),
            Err(problem) => {
                self.problems.push(problem);
                false
            }
        }
    }

    fn definition(&self, name: &str) -> Option<&'a Value> {
        self.root.pointer(name.strip_prefix('#')?)
    }

    /// The schema itself, or what it refers to when it says nothing else.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| self.definition(name));
        target.filter(|_| schema.get("properties").is_none()).unwrap_or(schema)
    }

    /// The branch of a choice that `value` means.
    fn branch(&self, branches: &'a [Value], value: &Value, pointer: &str) -> Result<&'a Value, Problem> {
        let choices: Vec<&Value> = branches.iter().flat_map(|branch| values(self.resolve(branch))).collect();
        if branches.iter().all(|branch| !values(self.resolve(branch)).is_empty()) {
            let found = branches.iter().find(|branch| values(self.resolve(branch)).contains(&value));
            return found.ok_or_else(|| self.not_one_of(value, &choices, pointer));
        }
        if let (Some(tag), Value::Object(map)) = (self.tag(branches), value) {
            let constant = |branch: &'a Value| self.resolve(branch).pointer(&format!("/properties/{tag}/const"));
            let tags: Vec<&Value> = branches.iter().filter_map(constant).collect();
            let Some(given) = map.get(tag) else {
                let fact = format!("the key `{tag}` is missing in `{}`", shown_or_root(pointer));
                let problem = Problem::new("HW-KERNEL-008", fact).help(format!("`{tag}` is one of {}", list(&tags)));
                return Err(self.origin.blame(pointer, problem));
            };
            let found = branches.iter().find(|branch| constant(branch) == Some(given));
            return found.ok_or_else(|| self.not_one_of(given, &tags, &child(pointer, tag)));
        }
        let fitting: Vec<&Value> = branches.iter().filter(|branch| fits(self.resolve(branch), value)).collect();
        let best = fitting.iter().min_by_key(|branch| {
            let mut trial = Checker { root: self.root, origin: self.origin, problems: Vec::new() };
            trial.value(branch, value, pointer);
            trial.problems.len()
        });
        best.copied().ok_or_else(|| {
            let wanted: Vec<String> = branches.iter().filter_map(|branch| wanted(self.resolve(branch))).collect();
            self.wrong_type(value, &wanted.join(" or "), pointer)
        })
    }

    /// The key whose constant tells all branches apart.
    fn tag(&self, branches: &'a [Value]) -> Option<&'a str> {
        let properties = |branch: &'a Value| self.resolve(branch).get("properties").and_then(Value::as_object);
        let constant = |branch: &'a Value, key: &str| {
            properties(branch).is_some_and(|map| map.get(key).is_some_and(|s| s.get("const").is_some()))
        };
        let keys = properties(branches.first()?)?.keys();
        keys.map(String::as_str).find(|key| branches.iter().all(|branch| constant(branch, key)))
    }

    /// What a schema says of the value itself; false when nothing inside it is worth looking at.
    fn itself(&mut self, schema: &Value, value: &Value, pointer: &str) -> bool {
        if schema.get("type").is_some() && !fits(schema, value) {
            let wanted = wanted(schema).unwrap_or_default();
            self.problems.push(self.wrong_type(value, &wanted, pointer));
            return false;
        }
        let allowed = values(schema);
        if !allowed.is_empty() && !allowed.contains(&value) {
            self.problems.push(self.not_one_of(value, &allowed, pointer));
            return false;
        }
        if let Some(fact) = out_of_bounds(schema, value) {
            let fact = format!("`{}` is {}; {fact}", shown(pointer), article(value));
            self.problems.push(self.origin.blame(pointer, Problem::new("HW-KERNEL-009", fact)));
            return false;
        }
        if let (Some(pattern), Some(text)) = (schema.get("pattern").and_then(Value::as_str), value.as_str()) {
            let fault = match pattern {
                SPAN_PATTERN => Span::try_from(text.to_owned()).err(),
                SPAN_OR_ALL_PATTERN if text != "all" => {
                    Span::try_from(text.to_owned()).err().map(|fault| format!("{fault}, or `all`"))
                }
                SIZE_PATTERN => Size::try_from(text.to_owned()).err(),
                _ => None,
            };
            if let Some(fault) = fault {
                let fact = format!("`{}`: {fault}", shown(pointer));
                self.problems.push(self.origin.blame(pointer, Problem::new("HW-KERNEL-029", fact)));
                return false;
            }
        }
        true
    }

    fn object(&mut self, parts: &[&'a Value], value: &Value, pointer: &str) {
        let Some(map) = value.as_object() else { return };
        let mut known: BTreeMap<&str, &'a Value> = BTreeMap::new();
        for (key, schema) in parts.iter().filter_map(|part| part.get("properties")?.as_object()).flatten() {
            known.entry(key).or_insert(schema);
        }
        let closed = |part: &&Value| {
            ["additionalProperties", "unevaluatedProperties"]
                .iter()
                .any(|key| part.get(key) == Some(&Value::Bool(false)))
        };
        let closed = parts.iter().any(closed);
        let others = parts.iter().find_map(|part| part.get("additionalProperties").filter(|schema| schema.is_object()));
        for (key, inner) in map {
            let at = child(pointer, key);
            match known.get(key.as_str()).copied().or(others) {
                Some(schema) => self.value(schema, inner, &at),
                None if closed => self.problems.push(self.unknown_key(key, &known, &at, pointer)),
                None => {}
            }
        }
        let required = parts.iter().filter_map(|part| part.get("required")?.as_array()).flatten();
        let mut missing: Vec<&str> = required.filter_map(Value::as_str).filter(|key| !map.contains_key(*key)).collect();
        missing.dedup();
        for key in missing {
            let fact = format!("the key `{key}` is missing in `{}`", shown_or_root(pointer));
            let mut problem = Problem::new("HW-KERNEL-008", fact);
            let schema = known.get(key).map(|schema| self.resolve(schema));
            let text =
                schema.and_then(|schema| schema.get("description")).or_else(|| known.get(key)?.get("description"));
            if let Some(text) = text.and_then(Value::as_str) {
                problem = problem.help(format!("`{key}`: {}", text.lines().next().unwrap_or_default()));
            }
            self.problems.push(self.origin.blame(pointer, problem));
        }
    }

    fn unknown_key(&self, key: &str, known: &BTreeMap<&str, &Value>, at: &str, pointer: &str) -> Problem {
        let fact = format!("`{}` has no key `{}`", shown_or_root(pointer), short(key).escape_debug());
        let near =
            closest(key, known.keys().copied()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let keys: Vec<&str> = known.keys().copied().collect();
        let help = if keys.is_empty() {
            "no keys are known here".to_owned()
        } else {
            format!("keys here are `{}`", keys.join("`, `"))
        };
        let place = self.origin.key_place(at);
        Problem::new("HW-KERNEL-007", fact).at(place.path, place.line, place.column).help(format!("{near}{help}"))
    }

    fn not_one_of(&self, value: &Value, allowed: &[&Value], pointer: &str) -> Problem {
        let fact = format!("`{}` is {}", shown_or_root(pointer), article(value));
        let texts = allowed.iter().filter_map(|value| value.as_str());
        let near = value.as_str().and_then(|text| closest(text, texts));
        let near = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let help = match allowed {
            [one] => format!("it must be {}", list(&[one])),
            _ => format!("{near}it is one of {}", list(allowed)),
        };
        self.origin.blame(pointer, Problem::new("HW-KERNEL-009", fact).help(help))
    }

    fn wrong_type(&self, value: &Value, wanted: &str, pointer: &str) -> Problem {
        let fact = format!("`{}` is {}; {wanted} is wanted", shown_or_root(pointer), article(value));
        self.origin.blame(pointer, Problem::new("HW-KERNEL-009", fact))
    }
}

fn shown_or_root(pointer: &str) -> String {
    if pointer.is_empty() { "the resource".to_owned() } else { shown(pointer) }
}

/// The values a schema allows by name; empty when it does not name them.
fn values(schema: &Value) -> Vec<&Value> {
    match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
        (Some(value), _) => vec![value],
        (None, Some(values)) => values.iter().collect(),
        (None, None) => Vec::new(),
    }
}

fn list(values: &[&Value]) -> String {
    let texts: Vec<String> = values
        .iter()
        .map(|value| format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    texts.join(", ")
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn fits(schema: &Value, value: &Value) -> bool {
    let types = types(schema);
    types.is_empty() && (values(schema).is_empty() || values(schema).contains(&value))
        || types.iter().any(|name| match *name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        })
}

/// What a schema wants, in words.
fn wanted(schema: &Value) -> Option<String> {
    let words = types(schema).into_iter().filter_map(|name| match name {
        "boolean" => Some("`true` or `false`"),
        "integer" => Some("a whole number"),
        "number" => Some("a number"),
        "string" => Some("a text"),
        "array" => Some("a list"),
        "object" => Some("a mapping"),
        _ => None,
    });
    let words: Vec<&str> = words.collect();
    (!words.is_empty()).then(|| words.join(" or "))
}

/// The bound of a number, a list or a text that `value` breaks, in words.
fn out_of_bounds(schema: &Value, value: &Value) -> Option<String> {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let (size, low, high, of) = match value {
        Value::Number(number) => (number.as_f64()?, bound("minimum"), bound("maximum"), ""),
        Value::Array(items) => (items.len() as f64, bound("minItems"), bound("maxItems"), " items"),
        Value::String(text) => (text.chars().count() as f64, bound("minLength"), bound("maxLength"), " characters"),
        _ => return None,
    };
    if let Some(low) = low.filter(|low| size < *low) {
        return Some(format!("at least {low}{of} is wanted"));
    }
    if let Some(high) = high.filter(|high| size > *high) {
        return Some(format!("at most {high}{of} is allowed"));
    }
    if let (Value::Number(_), Some(low)) = (value, bound("exclusiveMinimum").filter(|low| size <= *low)) {
        return Some(format!("more than {low} is wanted"));
    }
    None
}

#[cfg(test)]
mod tests;
