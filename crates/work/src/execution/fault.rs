//! Why a state cannot go on, before it is an error with a name.

use super::Failure;
use crate::path::Miss;

/// A fault of evaluating a state's fields. The cause is worded as the recorded service words it; the sentence with
/// the state's name and event is put before it where it is raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// `States.Runtime`: nobody can catch it.
    Runtime(String),
    /// Another error of the language.
    Named(&'static str, String),
    /// A JSONata expression: it has an event of its own.
    Query {
        message: String,
        location: Option<String>,
        /// The value was evaluated and then found unfit, rather than the evaluation failing.
        after_evaluation: bool,
    },
}

impl Fault {
    pub(super) fn query(location: &str, message: impl Into<String>) -> Self {
        Self::Query { message: message.into(), location: Some(location.to_owned()), after_evaluation: false }
    }

    /// As the error it is, without the sentence that names its state.
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::Runtime(message) => Failure::new("States.Runtime", message),
            Self::Named(error, message) => Failure::new(error, message),
            Self::Query { message, .. } => Failure::new("States.QueryEvaluationError", message),
        }
    }

    /// A path that must find something does not: the form of `InputPath` and its like.
    pub(super) fn invalid_path(path: &str, miss: &Miss) -> Self {
        Self::Runtime(match miss {
            Miss::Absent(normalised) => format!("Invalid path '{path}' : No results for path: {normalised}"),
            Miss::TooExpensive => too_expensive(path),
        })
    }

    /// The same, the form of payload templates.
    pub(super) fn not_in_input(path: &str, field: &str, root: &serde_json::Value, miss: &Miss) -> Self {
        Self::Runtime(match miss {
            Miss::Absent(_) => format!(
                "The JSONPath '{path}' specified for the field '{field}' could not be found in the input '{root}'"
            ),
            Miss::TooExpensive => too_expensive(path),
        })
    }
}

fn too_expensive(path: &str) -> String {
    format!("The JSONPath '{path}' visits more values than it may")
}
