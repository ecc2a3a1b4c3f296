//! Paths of the language: the Jayway dialect of JSONPath, rooted at the input (`$`), the context object (`$$`) or a
//! variable (`$name`).
//!
//! A *definite* path names one value and misses when it is not there; an *indefinite* one (wildcards, slices, unions,
//! filters, `..`) selects any number of values and never misses. That is where the dialect differs from RFC 9535,
//! which this is NOT. A *reference path* is definite and without negative indexes; `ResultPath` writes through one.
//!
//! Specification: Amazon States Language, "Paths"; the recorded service where the text is silent.

mod filter;
mod parse;

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use filter::Filter;

/// Bytes of text that count as much as one value.
const TEXT_BYTES: usize = 64;

/// Where a path starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// `$`: the state's input or result.
    Input,
    /// `$$`: the context object.
    Context,
    /// `$name`: a variable.
    Variable(String),
}

/// One parsed path.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// As written.
    pub text: String,
    /// Where it starts.
    pub root: Root,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(i64),
    Keys(Vec<String>),
    Indexes(Vec<i64>),
    Slice(Option<i64>, Option<i64>, i64),
    Wildcard,
    /// `..` before the step that follows.
    Descend,
    Filter(Filter),
    /// `.length()`.
    Length,
}

/// Why a path gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// A definite path whose value is not there; the text is the normalised path.
    Absent(String),
    /// The path visited more nodes than it may.
    TooExpensive,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with the text, for a diagnostic.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::path(text)
    }

    /// Whether it names exactly one value.
    pub fn is_definite(&self) -> bool {
        are_definite(&self.steps)
    }

    /// Whether it is the bare root.
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether something can be written through it: definite, from `$`, no negative index.
    pub fn is_reference(&self) -> bool {
        self.root == Root::Input
            && self.steps.iter().all(|step| matches!(step, Step::Key(_)) || matches!(step, Step::Index(at) if *at >= 0))
    }

    /// Selects from `root`: the value of a definite path, an array of what an indefinite one finds.
    ///
    /// # Errors
    /// [`Miss`] when a definite path's value is absent or `visits_max` is passed.
    pub fn select(&self, root: &Value, visits_max: usize) -> Result<Value, Miss> {
        if self.is_definite() {
            let found = definite(&self.steps, root).map(Cow::into_owned);
            return found.ok_or_else(|| Miss::Absent(self.normalised()));
        }
        let mut visits = visits_max;
        all(&self.steps, root, root, &mut visits).map(Value::Array).ok_or(Miss::TooExpensive)
    }

    /// Writes `value` at this reference path into `root`, making objects on the way.
    ///
    /// # Errors
    /// None is returned in place of the root when a scalar or a missing array item stands in the way.
    pub fn write(&self, root: Value, value: Value) -> Option<Value> {
        write(&self.steps, root, value)
    }

    /// The path as the recorded service prints it: `$['a'][0]`.
    fn normalised(&self) -> String {
        let mut text = match &self.root {
            Root::Input => "$".to_owned(),
            Root::Context => "$$".to_owned(),
            Root::Variable(name) => format!("${name}"),
        };
        for step in &self.steps {
            match step {
                Step::Key(key) => text.push_str(&format!("['{key}']")),
                Step::Index(at) => text.push_str(&format!("[{at}]")),
                _ => {}
            }
        }
        text
    }
}

fn are_definite(steps: &[Step]) -> bool {
    steps.iter().all(|step| matches!(step, Step::Key(_) | Step::Index(_) | Step::Length))
}

/// The one value of definite steps.
fn definite<'a>(steps: &[Step], root: &'a Value) -> Option<Cow<'a, Value>> {
    let mut at = root;
    for (number, step) in steps.iter().enumerate() {
        at = match step {
            Step::Key(key) => at.get(key.as_str())?,
            Step::Index(index) => index_of(at.as_array()?.len(), *index).and_then(|i| at.get(i))?,
            Step::Length if number + 1 == steps.len() => {
                return Some(Cow::Owned(Value::from(match at {
                    Value::Array(items) => items.len(),
                    Value::Object(fields) => fields.len(),
                    _ => return None,
                })));
            }
            _ => return None,
        };
    }
    Some(Cow::Borrowed(at))
}

/// Copies of all values of indefinite steps; None when `visits` ran out. What is found often is copied as often.
fn all(steps: &[Step], from: &Value, root: &Value, visits: &mut usize) -> Option<Vec<Value>> {
    let found = select(steps, vec![from], root, visits)?;
    for value in &found {
        weigh(value, visits)?;
    }
    Some(found.into_iter().cloned().collect())
}

/// Takes from `visits` what it costs to go through a value: one for each value in it, and more for long texts.
fn weigh(value: &Value, visits: &mut usize) -> Option<()> {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let text = match value {
            Value::String(text) => text.len(),
            Value::Object(fields) => fields.keys().map(String::len).sum(),
            _ => 0,
        };
        *visits = visits.checked_sub(1 + text / TEXT_BYTES)?;
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    Some(())
}

fn index_of(length: usize, index: i64) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index + length } else { index }).ok()
}

/// None when `visits` ran out.
fn select<'a>(steps: &[Step], from: Vec<&'a Value>, root: &'a Value, visits: &mut usize) -> Option<Vec<&'a Value>> {
    let mut found = from;
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        let mut next = Vec::new();
        if matches!(step, Step::Descend) {
            for value in &found {
                descend(value, &mut next, visits)?;
            }
            if steps.as_slice().first().is_some_and(|s| matches!(s, Step::Wildcard)) {
                // `..*` selects every value below the start, the start itself not among them.
                steps.next();
                let starts: HashSet<*const Value> = found.iter().map(|v| std::ptr::from_ref::<Value>(v)).collect();
                next.retain(|value| !starts.contains(&std::ptr::from_ref::<Value>(value)));
            }
            found = next;
            continue;
        }
        for value in found {
            *visits = visits.checked_sub(1)?;
            apply(step, value, root, &mut next, visits)?;
        }
        found = next;
    }
    Some(found)
}

fn descend<'a>(value: &'a Value, into: &mut Vec<&'a Value>, visits: &mut usize) -> Option<()> {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        *visits = visits.checked_sub(1)?;
        into.push(value);
        match value {
            Value::Array(items) => open.extend(items.iter().rev()),
            Value::Object(fields) => open.extend(fields.values().rev()),
            _ => {}
        }
    }
    Some(())
}

fn apply<'a>(
    step: &Step,
    value: &'a Value,
    root: &'a Value,
    into: &mut Vec<&'a Value>,
    visits: &mut usize,
) -> Option<()> {
    let before = into.len();
    match (step, value) {
        (Step::Key(key), _) => into.extend(value.get(key.as_str())),
        (Step::Keys(keys), _) => into.extend(keys.iter().filter_map(|key| value.get(key.as_str()))),
        (Step::Index(at), Value::Array(items)) => {
            into.extend(index_of(items.len(), *at).and_then(|i| items.get(i)));
        }
        (Step::Indexes(all), Value::Array(items)) => {
            into.extend(all.iter().filter_map(|at| index_of(items.len(), *at).and_then(|i| items.get(i))));
        }
        (Step::Slice(from, to, stride), Value::Array(items)) => {
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let clamp = |at: i64| (if at < 0 { at + length } else { at }).clamp(0, length);
            let (mut at, end) = (clamp(from.unwrap_or(0)), clamp(to.unwrap_or(length)));
            while at < end {
                into.extend(usize::try_from(at).ok().and_then(|i| items.get(i)));
                at = at.saturating_add(*stride);
            }
        }
        (Step::Wildcard, Value::Array(items)) => into.extend(items),
        (Step::Wildcard, Value::Object(fields)) => into.extend(fields.values()),
        (Step::Filter(filter), Value::Array(items)) => {
            for item in items {
                *visits = visits.checked_sub(1)?;
                if filter.accepts(item, root, visits)? {
                    into.push(item);
                }
            }
        }
        (Step::Filter(filter), Value::Object(_)) if filter.accepts(value, root, visits)? => into.push(value),
        _ => {}
    }
    *visits = visits.checked_sub(into.len() - before)?;
    Some(())
}

fn write(steps: &[Step], at: Value, value: Value) -> Option<Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match (step, at) {
        (Step::Key(key), Value::Object(mut fields)) => {
            let old = fields.get_mut(key).map_or_else(|| Value::Object(Map::new()), Value::take);
            fields.insert(key.clone(), write(rest, old, value)?);
            Some(Value::Object(fields))
        }
        (Step::Index(index), Value::Array(mut items)) => {
            let slot = items.get_mut(usize::try_from(*index).ok()?)?;
            *slot = write(rest, slot.take(), value)?;
            Some(Value::Array(items))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
