//! A definition: the text of a state machine, checked and taken apart once.
//!
//! The machine inside each branch and item processor is a machine of the same flat list, so that a place in a running
//! execution is two small numbers and nothing recurses over states. A definition never changes; an execution is
//! pinned to the hash of its text.
//!
//! Specification: <https://states-language.net/spec.html>; diagnostics in the recorded service's words.

mod choice;
mod distributed;
mod fields;
mod handlers;
mod read;
mod references;
pub mod resource;
mod scopes;
mod state;
mod template;

use std::collections::BTreeMap;
use std::fmt;

use headwater_base::Problem;
use serde_json::Value;

use crate::hash;
use crate::limits::Limits;

pub use choice::{Comparison, Condition, Operand, Order, Rule};
pub use resource::Resource;
pub use state::{
    Amount, Catcher, Kind, Language, MapState, Next, Processor, ResultPath, Retrier, Selection, State, Task, Until,
};
pub use template::{Template, Term};

/// A machine's place in [`Definition::machines`].
pub type MachineId = u32;
/// A state's place in [`Machine::states`].
pub type StateId = u32;

/// A checked state machine.
#[derive(Debug)]
pub struct Definition {
    /// SHA-256 of the text.
    pub hash: [u8; 32],
    /// Every machine: the outermost first, then those inside, in the order of the text.
    pub machines: Vec<Machine>,
    /// The bound on a whole execution.
    pub timeout_s: Option<u64>,
}

/// The states of one level.
#[derive(Debug)]
pub struct Machine {
    /// Where it begins.
    pub start: StateId,
    /// In the order of the text.
    pub states: Vec<State>,
}

/// How executions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Flavor {
    /// Journaled, exactly one run.
    #[default]
    Standard,
    /// At least one run, in memory; no callbacks.
    Express,
}

/// One thing a validation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `SCHEMA_VALIDATION_FAILED` and its like.
    pub code: &'static str,
    /// The fact, in the service's words where they are on record.
    pub message: String,
    /// `/States/Name/Field`, if it has a place.
    pub location: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.location {
            Some(location) => write!(f, " at {location}"),
            None => Ok(()),
        }
    }
}

impl Definition {
    /// Reads and checks a definition.
    ///
    /// # Errors
    /// Every diagnostic, in the order of the text.
    pub fn parse(text: &str, flavor: Flavor, limits: &Limits) -> Result<Self, Vec<Diagnostic>> {
        let document = document(text, limits).map_err(|diagnostic| vec![diagnostic])?;
        let (machines, timeout_s) = read::machines(&document, flavor, limits)?;
        Ok(Self { hash: hash::sha256(text.as_bytes()), machines, timeout_s })
    }

    /// The same, with the diagnostics as the one problem a person reads.
    ///
    /// # Errors
    /// `HW-WORK-001`.
    pub fn load(text: &str, flavor: Flavor, limits: &Limits) -> Result<Self, Problem> {
        Self::parse(text, flavor, limits).map_err(|diagnostics| {
            let title = format!("the state machine definition has {} fault(s)", diagnostics.len());
            diagnostics
                .iter()
                .fold(Problem::new("HW-WORK-001", title), |problem, diagnostic| problem.because(diagnostic))
                .help("each cause ends with the place in the definition, as a JSON pointer")
        })
    }

    /// A state by its place.
    pub fn state(&self, machine: MachineId, state: StateId) -> Option<&State> {
        self.machines.get(usize::try_from(machine).ok()?)?.states.get(usize::try_from(state).ok()?)
    }

    /// The variables each state reads, by the state's name, sorted; states that read none are left out.
    pub fn variable_references(&self) -> BTreeMap<&str, Vec<String>> {
        references::by_state(self)
    }
}

/// How the service words the rejection of these diagnostics.
pub fn rejection(diagnostics: &[Diagnostic]) -> String {
    let all: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
    format!("Invalid State Machine Definition: '{}'", all.join(", "))
}

/// The text as JSON, or the parser's complaint in Jackson's words as far as they are on record.
fn document(text: &str, limits: &Limits) -> Result<Value, Diagnostic> {
    let schema = |message: String| Diagnostic { code: "SCHEMA_VALIDATION_FAILED", message, location: None };
    if text.len() > limits.definition_bytes_max {
        let (size, limit) = (text.len(), limits.definition_bytes_max);
        return Err(schema(format!("Definition has {size} bytes; the limit is {limit} bytes")));
    }
    if text.trim().is_empty() {
        return Err(schema("Definition must be a valid JSON object".to_owned()));
    }
    let document: Value = serde_json::from_str(text).map_err(|error| {
        let token = text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let (line, column, fact) = if token.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let expected = "JSON String, Number, Array, Object or token 'null', 'true' or 'false'";
            (1, token.len() + 1, format!("Unrecognized token '{token}': was expecting ({expected})"))
        } else {
            (error.line(), error.column(), error.to_string())
        };
        let location = format!("[Source: (String)\"{text}\"; line: {line}, column: {column}]");
        let message = format!("{fact}\n at {location}");
        Diagnostic { code: "INVALID_JSON_DESCRIPTION", message, location: Some(location) }
    })?;
    if document.is_object() {
        return Ok(document);
    }
    Err(schema("Definition must be a valid JSON object".to_owned()))
}

#[cfg(test)]
mod tests;
