//! Expressions over documents, in the language of Amazon DynamoDB: conditions, filters and updates.
//!
//! ```text
//! attribute_not_exists(totalCost) AND #s = :done AND size(jobs) BETWEEN 1 AND 100
//! SET totalCost = :cost, attempts = if_not_exists(attempts, :zero) + :one REMOVE jobs[0] ADD seen :one DELETE tags :old
//! ```
//! Beyond that language, values may stand in the text (`"COMPLETE"`, `'COMPLETE'`, `1.5`, `true`, `false`, `null`), and
//! no word is reserved where a name is expected. JSON has no sets: `ADD` and `DELETE` treat a list as one.
//!
//! What it is NOT: it knows no table, version or clock. Numbers are exact up to 38 digits ([`number`]); a comparison of
//! different types, or with what is not there, does not hold, except `<>`, which does.
//!
//! Invariants: a text is parsed to its end or refused with the place; nothing panics; depth is bounded.
//!
//! # Source
//! Amazon DynamoDB Developer Guide: "Condition and filter expressions, operators, and functions", "Update expressions".

mod condition;
mod lexer;
mod number;
mod parser;
mod update;

use headwater_base::Problem;
use headwater_wire::exact::Exact;

pub use condition::Condition;
pub use update::Update;

use crate::port::tables::Expression;

/// The longest text of an expression, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// All values of an expression, each as often as its text names it, and all that an update writes. A text names the same
/// value thousands of times.
const VALUES_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Item(usize),
}

/// Where in a document something is: `jobs[0].instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Path(Vec<Step>);

impl Path {
    fn find<'a>(&self, document: &'a Exact) -> Option<&'a Exact> {
        self.0.iter().try_fold(document, |value, step| match (step, value) {
            (Step::Field(name), Exact::Map(_)) => value.get(name),
            (Step::Item(index), Exact::List(items)) => items.get(*index),
            _ => None,
        })
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if at == 0 => write!(f, "{}", name.escape_debug())?,
                Step::Field(name) => write!(f, ".{}", name.escape_debug())?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Something with a value.
#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Path),
    Value(Exact),
    Size(Box<Operand>),
}

impl Operand {
    fn value<'a>(&'a self, document: &'a Exact) -> Option<std::borrow::Cow<'a, Exact>> {
        use std::borrow::Cow;
        match self {
            Self::Path(path) => path.find(document).map(Cow::Borrowed),
            Self::Value(value) => Some(Cow::Borrowed(value)),
            Self::Size(inner) => {
                let size = match &*inner.value(document)? {
                    Exact::String(text) => text.len(),
                    Exact::List(items) => items.len(),
                    Exact::Map(fields) => fields.len(),
                    _ => return None,
                };
                Some(Cow::Owned(Exact::Number(size.to_string().into())))
            }
        }
    }
}

/// What an attribute's type is called.
fn type_of(value: &Exact) -> &'static str {
    match value {
        Exact::Null => "NULL",
        Exact::Bool(_) => "BOOL",
        Exact::Number(_) => "N",
        Exact::String(_) => "S",
        Exact::List(_) => "L",
        Exact::Map(_) => "M",
    }
}

/// Whether two values are the same: numbers by value, objects in any order.
fn same(a: &Exact, b: &Exact) -> bool {
    match (a, b) {
        (Exact::Number(a), Exact::Number(b)) => number::compare(a, b).is_eq(),
        (Exact::List(a), Exact::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Exact::Map(a), Exact::Map(other)) => {
            a.len() == other.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|b| same(value, b)))
        }
        _ => a == b,
    }
}

/// A text that is the same for the same values.
fn identity(value: &Exact) -> String {
    match value {
        Exact::Number(text) => format!("{:?}", headwater_wire::exact::scaled(text)),
        Exact::List(items) => {
            format!("[{}]", items.iter().map(identity).collect::<Vec<_>>().join(","))
        }
        Exact::Map(fields) => {
            let mut fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name:?}:{}", identity(value))).collect();
            fields.sort_unstable();
            format!("{{{}}}", fields.join(","))
        }
        other => other.to_string(),
    }
}

/// The order of two values of one type that has one.
fn order(a: &Exact, b: &Exact) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Exact::Number(a), Exact::Number(b)) => Some(number::compare(a, b)),
        (Exact::String(a), Exact::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        _ => None,
    }
}

/// An update that cannot be done to this document.
fn cannot(fact: impl Into<String>) -> Problem {
    Problem::new("HW-KERNEL-033", fact)
}

#[cfg(test)]
mod tests;
