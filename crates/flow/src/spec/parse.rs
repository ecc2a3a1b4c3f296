//! From a JSON value to a spec, with the exact field in every error.
//!
//! Serde loses the path inside `type:`-tagged enums, so they are taken apart here: the tag is looked up first and the
//! rest is read as the struct it names.

use headwater_base::{Problem, closest};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{OutputSpec, PipelineSpec, SourceSpec, StepSpec};

/// A problem with the field it is in.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Path below `spec`, such as `steps[2].program`; empty for the spec itself.
    pub path: String,
    /// Line inside the field's text, from 1; 0 when it is the whole field.
    pub line: u32,
    /// Column in characters inside that line, from 1; 0 when it is the whole line.
    pub column: u32,
    /// What is wrong.
    pub problem: Problem,
}

impl Fault {
    /// A fault of a whole field.
    pub fn new(path: impl Into<String>, problem: Problem) -> Self {
        Self { path: path.into(), line: 0, column: 0, problem }
    }
}

/// Reads a spec; `Err` has every fault found.
///
/// # Errors
/// `HW-FLOW-001` unknown key, `HW-FLOW-002` wrong or missing value, `HW-FLOW-003` unknown type.
pub fn parse(spec: &Value) -> Result<PipelineSpec, Vec<Fault>> {
    let Value::Object(fields) = spec else {
        return Err(vec![Fault::new("", Problem::new("HW-FLOW-002", "the spec of a pipeline is a mapping"))]);
    };
    let mut faults = Vec::new();
    let mut rest = fields.clone();
    let source = rest.insert("source".to_owned(), serde_json::json!({"type": "stdin"}));
    let steps = rest.insert("steps".to_owned(), Value::Array(Vec::new()));
    let outputs = rest.insert("outputs".to_owned(), Value::Array(Vec::new()));
    let shell = read::<PipelineSpec>("", Value::Object(rest), &mut faults);
    let source = match source {
        Some(source) => tagged("source", source, &SOURCES, &mut faults),
        None => {
            faults.push(Fault::new("", Problem::new("HW-FLOW-002", "missing field `source`")));
            None
        }
    };
    let steps = list("steps", steps, &STEPS, &mut faults);
    let outputs = list("outputs", outputs, &OUTPUTS, &mut faults);
    match (shell, source) {
        (Some(shell), Some(source)) if faults.is_empty() => Ok(PipelineSpec { source, steps, outputs, ..shell }),
        _ => Err(faults),
    }
}

type Row<T> = (&'static str, fn(&str, Value, &mut Vec<Fault>) -> Option<T>);

const SOURCES: [Row<SourceSpec>; 4] = [
    ("stream", |path, value, faults| read(path, value, faults).map(SourceSpec::Stream)),
    ("http", |path, value, faults| read(path, value, faults).map(SourceSpec::Http)),
    ("file", |path, value, faults| read(path, value, faults).map(SourceSpec::File)),
    ("stdin", |path, value, faults| read(path, value, faults).map(SourceSpec::Stdin)),
];

const STEPS: [Row<StepSpec>; 8] = [
    ("filter", |path, value, faults| read(path, value, faults).map(StepSpec::Filter)),
    ("transform", |path, value, faults| read(path, value, faults).map(StepSpec::Transform)),
    ("lookup", |path, value, faults| read(path, value, faults).map(StepSpec::Lookup)),
    ("score", |path, value, faults| read(path, value, faults).map(StepSpec::Score)),
    ("aggregate", |path, value, faults| read(path, value, faults).map(StepSpec::Aggregate)),
    ("window", |path, value, faults| read(path, value, faults).map(StepSpec::Window)),
    ("session", |path, value, faults| read(path, value, faults).map(StepSpec::Session)),
    ("dedupe", |path, value, faults| read(path, value, faults).map(StepSpec::Dedupe)),
];

const OUTPUTS: [Row<OutputSpec>; 2] = [
    ("stream", |path, value, faults| read(path, value, faults).map(OutputSpec::Stream)),
    ("table", |path, value, faults| read(path, value, faults).map(OutputSpec::Table)),
];

fn list<T>(path: &str, value: Option<Value>, rows: &[Row<T>], faults: &mut Vec<Fault>) -> Vec<T> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items
            .into_iter()
            .enumerate()
            .filter_map(|(index, item)| tagged(&format!("{path}[{index}]"), item, rows, faults))
            .collect(),
        Some(_) => {
            faults.push(Fault::new(path, Problem::new("HW-FLOW-002", format!("`{path}` is a list"))));
            Vec::new()
        }
    }
}

fn tagged<T>(path: &str, value: Value, rows: &[Row<T>], faults: &mut Vec<Fault>) -> Option<T> {
    let words = || rows.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let Value::Object(mut fields) = value else {
        faults.push(Fault::new(path, Problem::new("HW-FLOW-002", "expected a mapping with a `type`").help(format!("types are {}", words()))));
        return None;
    };
    let Some(tag) = take_text(&mut fields, "type") else {
        faults.push(Fault::new(path, Problem::new("HW-FLOW-003", "missing field `type`").help(format!("types are {}", words()))));
        return None;
    };
    let Some((_, read)) = rows.iter().find(|(name, _)| *name == tag) else {
        let mut help = format!("types are {}", words());
        if let Some(near) = closest(&tag, rows.iter().map(|(name, _)| *name)) {
            help.push_str(&format!("; did you mean `{near}`?"));
        }
        let problem = Problem::new("HW-FLOW-003", format!("unknown type `{}`", short(&tag))).help(help);
        faults.push(Fault::new(format!("{path}.type"), problem));
        return None;
    };
    read(path, Value::Object(fields), faults)
}

fn take_text(fields: &mut Map<String, Value>, name: &str) -> Option<String> {
    match fields.shift_remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Reads one struct; serde's words become code, fact and help.
fn read<T: DeserializeOwned>(path: &str, value: Value, faults: &mut Vec<Fault>) -> Option<T> {
    let error = match serde_path_to_error::deserialize::<_, T>(value) {
        Ok(read) => return Some(read),
        Err(error) => error,
    };
    let below = error.path().to_string();
    let inner = error.into_inner().to_string();
    let mut place = match (path, below.as_str()) {
        ("", ".") => String::new(),
        ("", below) => below.to_owned(),
        (path, ".") => path.to_owned(),
        (path, below) => format!("{path}.{below}"),
    };
    let problem = match unknown_field(&inner) {
        Some((field, known)) => {
            if !place.ends_with(field) {
                place = if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") };
            }
            let mut help = format!("keys are {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "));
            if let Some(near) = closest(field, known.iter().copied()) {
                help.push_str(&format!("; did you mean `{near}`?"));
            }
            Problem::new("HW-FLOW-001", format!("unknown key `{}`", short(field))).help(help)
        }
        None => Problem::new("HW-FLOW-002", inner),
    };
    faults.push(Fault::new(place, problem));
    None
}

/// Takes "unknown field `x`, expected one of `a`, `b`" apart.
fn unknown_field(words: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = words.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

fn short(text: &str) -> String {
    text.chars().take(60).collect::<String>().escape_debug().to_string()
}
