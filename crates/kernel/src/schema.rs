//! The check of events and documents against a JSON Schema a user gave: compiled once, asked for every event.
//!
//! A mismatch is told without the event's values: its words may end in logs, headers and dead letters.

use std::sync::Arc;

use headwater_base::{Name, Problem};
use serde_json::Value;

use crate::kinds::stream::{OnMismatch, SchemaSpec};

/// The check of one stream's events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Validator {
    compiled: Arc<jsonschema::Validator>,
    /// What happens to an event that does not fit.
    pub on_mismatch: OnMismatch,
    /// Where it goes, for [`OnMismatch::DeadLetter`].
    pub dead_letter: Option<Name>,
}

impl Validator {
    /// Compiles the `schema` part of a stream's spec.
    ///
    /// # Errors
    /// `HW-KERNEL-026` when it is no JSON Schema or refers to another document.
    pub fn compile(spec: &SchemaSpec) -> Result<Self, Problem> {
        let compiled = Arc::new(compile(&Value::Object(spec.json.clone()))?);
        Ok(Self { compiled, on_mismatch: spec.on_mismatch, dead_letter: spec.dead_letter.clone() })
    }

    /// Why the event does not fit, in words without its values; None if it fits.
    pub fn mismatch(&self, event: &Value) -> Option<String> {
        mismatch(&self.compiled, event)
    }

    /// As [`Validator::mismatch`] for an event's text; text that is no JSON does not fit.
    pub fn mismatch_text(&self, event: &[u8]) -> Option<String> {
        match serde_json::from_slice::<Value>(event) {
            Ok(event) => self.mismatch(&event),
            Err(error) => Some(format!("no JSON (line {}, column {})", error.line(), error.column())),
        }
    }
}

/// Compiles a user's JSON Schema. References to other documents are refused: nothing is fetched or read.
///
/// # Errors
/// `HW-KERNEL-026`.
pub fn compile(schema: &Value) -> Result<jsonschema::Validator, Problem> {
    jsonschema::options().build(schema).map_err(|error| {
        let at = crate::origin::shown(error.instance_path().as_str());
        let at = if at.is_empty() { String::new() } else { format!(" at `{at}`") };
        Problem::new("HW-KERNEL-026", format!("this is no JSON Schema{at}: {error}"))
            .help("use JSON Schema draft 2020-12; references to other documents are not followed")
    })
}

/// Why `value` does not fit, in words without its values; None if it fits.
pub(crate) fn mismatch(compiled: &jsonschema::Validator, value: &Value) -> Option<String> {
    if compiled.is_valid(value) {
        return None;
    }
    let error = compiled.validate(value).err()?;
    let at = crate::origin::shown(error.instance_path().as_str());
    let fact = error.masked().to_string();
    Some(if at.is_empty() { fact } else { format!("`{at}`: {fact}") })
}

#[cfg(test)]
mod tests;
