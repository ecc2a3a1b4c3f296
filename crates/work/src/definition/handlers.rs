//! Choices, retriers and catchers: the lists of a state that are tried in order.

use std::collections::HashMap;

use serde_json::Value;

use super::StateId;
use super::choice::{Comparison, Condition, Operand, Rule};
use super::fields::{Fields, Notes};
use super::state::{Catcher, Kind, Language, Retrier};
use crate::jsonata::Query;
use crate::path::Path;

/// Conditions inside each other.
const CONDITION_DEPTH_MAX: usize = 32;
/// Attempts a retrier may make, as the language has it.
const ATTEMPTS_MAX: u64 = 99_999_999;
/// The longest interval and delay in seconds, as the language has it.
const DELAY_S_MAX: u64 = 31_622_400;

pub(super) type Ids<'i> = HashMap<&'i str, StateId>;

/// A target that must be a state of the same machine.
pub(super) fn target(field: &str, fields: &Fields<'_>, ids: &Ids<'_>, notes: &mut Notes) -> Option<StateId> {
    if !fields.require(&[field], notes) {
        return None;
    }
    let name = fields.text(field, notes)?;
    let id = ids.get(name).copied();
    if id.is_none() {
        notes.transition(&fields.at(field), format!("Missing '{field}' target: {name}"));
    }
    id
}

/// `Choices` and `Default`.
pub(super) fn choice(fields: &Fields<'_>, ids: &Ids<'_>, notes: &mut Notes) -> Kind {
    fields.require(&["Choices"], notes);
    let choices = fields.array("Choices", notes);
    if choices.is_empty() && fields.get("Choices").is_some() {
        notes.schema(&fields.at("Choices"), "There must be at least one choice");
    }
    let mut rules = Vec::new();
    for (number, choice) in choices.iter().enumerate() {
        let location = format!("{}[{number}]", fields.at("Choices"));
        let Some(inner) = fields.inner(choice, location, notes) else { continue };
        let next = target("Next", &inner, ids, notes);
        let condition = condition(&inner, true, CONDITION_DEPTH_MAX, notes);
        let output = inner.template("Output", notes);
        let assign = inner.assign(notes);
        if let (Some(next), Some(condition)) = (next, condition) {
            rules.push(Rule { condition, next, output, assign });
        }
    }
    let default = fields.get("Default").and_then(|_| target("Default", fields, ids, notes));
    Kind::Choice { rules, default }
}

fn condition(fields: &Fields<'_>, outermost: bool, depth: usize, notes: &mut Notes) -> Option<Condition> {
    let Some(depth) = depth.checked_sub(1) else {
        notes.schema(&fields.location, format!("Conditions nest deeper than {CONDITION_DEPTH_MAX} levels"));
        return None;
    };
    if fields.language == Language::Jsonata {
        fields.only(&[&["Condition", "Next", "Output", "Assign", "Comment"]], notes);
        return query_condition(fields, notes);
    }
    for (field, many) in [("And", true), ("Or", true), ("Not", false)] {
        let Some(value) = fields.get(field) else { continue };
        let values = if many { fields.array(field, notes) } else { std::slice::from_ref(value) };
        let mut inner = Vec::with_capacity(values.len());
        for (number, value) in values.iter().enumerate() {
            let location = format!("{}[{number}]", fields.at(field));
            let object = fields.inner(value, if many { location } else { fields.at(field) }, notes)?;
            inner.push(condition(&object, false, depth, notes)?);
        }
        return match field {
            "And" => Some(Condition::And(inner)),
            "Or" => Some(Condition::Or(inner)),
            _ => inner.pop().map(|inner| Condition::Not(Box::new(inner))),
        };
    }
    test(fields, outermost, notes)
}

fn query_condition(fields: &Fields<'_>, notes: &mut Notes) -> Option<Condition> {
    if !fields.require(&["Condition"], notes) {
        return None;
    }
    match fields.get("Condition")? {
        Value::Bool(constant) => Some(Condition::Constant(*constant)),
        Value::String(text) => match Query::inside(text).map(Query::parse) {
            Some(Ok(query)) if text.len() <= fields.limits.expression_bytes_max => Some(Condition::Query(query)),
            Some(Err(error)) => {
                notes.schema(&fields.at("Condition"), format!("Invalid JSONata expression '{text}': {error}"));
                None
            }
            _ => {
                notes.schema(&fields.at("Condition"), "Expected a JSONata expression in {% %}");
                None
            }
        },
        _ => {
            notes.schema(&fields.at("Condition"), "Expected true, false or a JSONata expression");
            None
        }
    }
}

fn test(fields: &Fields<'_>, outermost: bool, notes: &mut Notes) -> Option<Condition> {
    let around = ["Variable", "Comment"];
    let outside = ["Next", "Assign"];
    let tests: Vec<&str> = fields
        .object
        .keys()
        .map(String::as_str)
        .filter(|key| !(around.contains(key) || outermost && outside.contains(key)))
        .collect();
    let [name] = tests[..] else {
        let message = format!("A choice has exactly one comparison, but there are {}: {tests:?}", tests.len());
        notes.schema(&fields.location, message);
        return None;
    };
    if !fields.require(&["Variable"], notes) {
        return None;
    }
    let Some((comparison, is_path)) = Comparison::of_field(name) else {
        notes.schema(&fields.at(name), format!("'{name}' is not a comparison operator"));
        return None;
    };
    let path = |field: &str, notes: &mut Notes| {
        let text = fields.text(field, notes)?;
        let path = Path::parse(text).ok().filter(|_| text.len() <= fields.limits.expression_bytes_max);
        if path.is_none() {
            notes.schema(&fields.at(field), format!("Value is not a valid JSONPath: '{text}'"));
        }
        path
    };
    let operand = if is_path {
        Operand::Path(path(name, notes)?)
    } else {
        let literal = fields.get(name)?;
        if !comparison.accepts(literal) {
            notes.schema(&fields.at(name), format!("{literal} does not fit the comparison operator"));
            return None;
        }
        Operand::Literal(literal.clone())
    };
    Some(Condition::Test { variable: path("Variable", notes)?, comparison, operand })
}

/// `ErrorEquals` of the entry at `number` among `count`; `States.ALL` stands alone and last.
fn errors(fields: &Fields<'_>, last: bool, notes: &mut Notes) -> Option<Vec<String>> {
    if !fields.require(&["ErrorEquals"], notes) {
        return None;
    }
    let names: Vec<String> =
        fields.array("ErrorEquals", notes).iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
    if names.is_empty() {
        notes.schema(&fields.at("ErrorEquals"), "There must be at least one error name");
        return None;
    }
    if names.iter().any(|name| name == "States.ALL") && !(last && names.len() == 1) {
        let message = "'States.ALL' must stand alone, in the last entry";
        notes.schema(&fields.at("ErrorEquals"), message);
    }
    Some(names)
}

/// `Retry`.
pub(super) fn retry(fields: &Fields<'_>, notes: &mut Notes) -> Vec<Retrier> {
    let entries = fields.array("Retry", notes);
    let mut retriers = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let location = format!("{}[{number}]", fields.at("Retry"));
        let Some(inner) = fields.inner(entry, location, notes) else { continue };
        let names = [
            "ErrorEquals",
            "IntervalSeconds",
            "MaxAttempts",
            "BackoffRate",
            "MaxDelaySeconds",
            "JitterStrategy",
            "Comment",
        ];
        inner.only(&[&names], notes);
        let mut whole = |field: &str, from: u64, to: u64| match inner.get(field).map(|value| value.as_u64()) {
            None => None,
            Some(Some(number)) if (from..=to).contains(&number) => Some(number),
            Some(_) => {
                notes.schema(&inner.at(field), format!("Expected a number from {from} to {to}"));
                None
            }
        };
        let interval = whole("IntervalSeconds", 1, DELAY_S_MAX);
        let attempts = whole("MaxAttempts", 0, ATTEMPTS_MAX);
        let delay_max_s = whole("MaxDelaySeconds", 1, DELAY_S_MAX);
        let rate = inner.get("BackoffRate").map_or(Some(2.0), Value::as_f64).filter(|rate| *rate >= 1.0);
        if rate.is_none() {
            notes.schema(&inner.at("BackoffRate"), "Expected a number that is at least 1.0");
        }
        let jitter = inner.text("JitterStrategy", notes).unwrap_or("NONE");
        if !["NONE", "FULL"].contains(&jitter) {
            notes.schema(&inner.at("JitterStrategy"), format!("'{jitter}' is not one of [FULL, NONE]"));
        }
        let Some(errors) = errors(&inner, number + 1 == entries.len(), notes) else { continue };
        retriers.push(Retrier {
            errors,
            interval_s: interval.unwrap_or(1),
            attempts_max: u32::try_from(attempts.unwrap_or(3)).unwrap_or(u32::MAX),
            backoff_rate: rate.unwrap_or(2.0),
            delay_max_s,
            jitter: jitter == "FULL",
        });
    }
    retriers
}

/// `Catch`.
pub(super) fn catch(fields: &Fields<'_>, ids: &Ids<'_>, notes: &mut Notes) -> Vec<Catcher> {
    let entries = fields.array("Catch", notes);
    let mut catchers = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let location = format!("{}[{number}]", fields.at("Catch"));
        let Some(inner) = fields.inner(entry, location, notes) else { continue };
        let own = if inner.language == Language::Jsonata { "Output" } else { "ResultPath" };
        inner.only(&[&["ErrorEquals", "Next", "Assign", "Comment", own]], notes);
        let errors = errors(&inner, number + 1 == entries.len(), notes);
        let next = target("Next", &inner, ids, notes);
        let (result_path, output, assign) =
            (inner.result_path(notes), inner.template("Output", notes), inner.assign(notes));
        if let (Some(errors), Some(next)) = (errors, next) {
            catchers.push(Catcher { errors, next, result_path, output, assign });
        }
    }
    catchers
}
