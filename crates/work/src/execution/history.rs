//! History: what happened, one numbered event after the other, each naming the one it follows.
//!
//! `previous` makes a tree, not a list: events of concurrent threads follow the event their thread left off at. The
//! JSON form is `GetExecutionHistory`'s, written without a tree of values in between: most of what an execution costs is
//! its history.

use std::borrow::Cow;
use std::sync::Arc;

use headwater_base::Micros;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Failure;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryEvent {
    /// From 1, without gaps.
    pub id: u64,
    /// The event it follows, 0 for none.
    pub previous: u64,
    /// When.
    pub at: Micros,
    /// `PassStateEntered` and its like.
    pub kind: Cow<'static, str>,
    /// What it says.
    pub details: Details,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the field names are the service's")]
pub enum Details {
    None,
    Started { input: Arc<Value>, role_arn: String },
    Entered { name: String, input: Arc<Value> },
    Exited { name: String, output: Arc<Value>, assigned: Option<Map<String, Value>> },
    Succeeded { output: Arc<Value> },
    Failed(Failure),
    Evaluation { failure: Failure, state: String, location: Option<String> },
    Task { fields: Map<String, Value> },
    MapStarted { length: u64 },
    MapRun { arn: String },
    Redriven { count: u32 },
    Iteration { name: String, index: u64 },
}

/// How an event's payloads are written.
pub(crate) trait Shows {
    /// A payload, which many events share.
    fn payload(&mut self, value: &Arc<Value>, out: &mut Vec<u8>);

    /// A value of a variable.
    fn value(&mut self, value: &Value, out: &mut Vec<u8>);

    /// A text that may be long.
    fn text(&mut self, text: &str, out: &mut Vec<u8>);
}

/// Everything in full.
struct Whole;

impl Shows for Whole {
    fn payload(&mut self, value: &Arc<Value>, out: &mut Vec<u8>) {
        self.value(value, out);
    }

    fn value(&mut self, value: &Value, out: &mut Vec<u8>) {
        text(&value.to_string(), out);
    }

    fn text(&mut self, shown: &str, out: &mut Vec<u8>) {
        text(shown, out);
    }
}

/// A JSON string of a text.
pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    json(text, out);
}

/// Any value's JSON text.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

const CUT: &[u8] = br#"{"truncated":false}"#;

/// The fields of an object, one after the other.
pub(crate) struct Fields<'a> {
    out: &'a mut Vec<u8>,
    before: u8,
}

impl<'a> Fields<'a> {
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        Self { out, before: b'{' }
    }

    /// Begins a field, whose value is to be written.
    pub(crate) fn field(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.push(self.before);
        self.before = b',';
        text(name, self.out);
        self.out.push(b':');
        self.out
    }

    pub(crate) fn close(self) {
        if self.before == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}

impl HistoryEvent {
    /// As `GetExecutionHistory` shows it; the timestamp in seconds.
    pub fn to_json(&self) -> Value {
        let mut out = Vec::new();
        self.write(&mut out, &mut Whole);
        serde_json::from_slice(&out).unwrap_or_default()
    }

    /// Writes the same as JSON text, with payloads as they are to be shown.
    pub(crate) fn write(&self, out: &mut Vec<u8>, shows: &mut dyn Shows) {
        let mut event = Fields::open(out);
        json(&(self.at.millis() as f64 / 1e3), event.field("timestamp"));
        text(&self.kind, event.field("type"));
        json(&self.id, event.field("id"));
        json(&self.previous, event.field("previousEventId"));
        if !matches!(self.details, Details::None) {
            self.details(event.field(&self.field()), shows);
        }
        event.close();
    }

    /// The field the details stand in: the type's name, but one for all kinds of states.
    fn field(&self) -> Cow<'static, str> {
        match &self.details {
            Details::Entered { .. } => "stateEnteredEventDetails".into(),
            Details::Exited { .. } => "stateExitedEventDetails".into(),
            _ => {
                let (first, rest) = self.kind.split_at_checked(1).unwrap_or_default();
                format!("{}{rest}EventDetails", first.to_ascii_lowercase()).into()
            }
        }
    }

    fn details(&self, out: &mut Vec<u8>, shows: &mut dyn Shows) {
        let mut fields = Fields::open(out);
        match &self.details {
            Details::None => {}
            Details::Started { input, role_arn } => {
                shows.payload(input, fields.field("input"));
                fields.field("inputDetails").extend_from_slice(CUT);
                text(role_arn, fields.field("roleArn"));
            }
            Details::Entered { name, input } => {
                text(name, fields.field("name"));
                shows.payload(input, fields.field("input"));
                fields.field("inputDetails").extend_from_slice(CUT);
            }
            Details::Exited { name, output, assigned } => {
                text(name, fields.field("name"));
                shows.payload(output, fields.field("output"));
                fields.field("outputDetails").extend_from_slice(CUT);
                if let Some(assigned) = assigned {
                    let mut variables = Fields::open(fields.field("assignedVariables"));
                    for (name, value) in assigned {
                        shows.value(value, variables.field(name));
                    }
                    variables.close();
                    fields.field("assignedVariablesDetails").extend_from_slice(CUT);
                }
            }
            Details::Succeeded { output } => {
                shows.payload(output, fields.field("output"));
                fields.field("outputDetails").extend_from_slice(CUT);
            }
            Details::Failed(failure) => failure.write(&mut fields, shows),
            Details::Evaluation { failure, state, location } => {
                failure.write(&mut fields, shows);
                text(state, fields.field("state"));
                if let Some(location) = location {
                    text(location, fields.field("location"));
                }
            }
            Details::Task { fields: own } => {
                for (name, value) in own {
                    match value {
                        Value::String(text) => shows.text(text, fields.field(name)),
                        value => json(value, fields.field(name)),
                    }
                }
            }
            Details::MapStarted { length } => json(length, fields.field("length")),
            Details::MapRun { arn } => text(arn, fields.field("mapRunArn")),
            Details::Redriven { count } => json(count, fields.field("redriveCount")),
            Details::Iteration { name, index } => {
                text(name, fields.field("name"));
                json(index, fields.field("index"));
            }
        }
        fields.close();
    }
}

impl Failure {
    /// An error with its cause.
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: Some(error.into()), cause: Some(cause.into()) }
    }

    /// What a catcher hands on.
    pub fn output(&self) -> Value {
        let mut output = Map::new();
        output.extend(self.error.iter().map(|error| ("Error".to_owned(), Value::from(error.as_str()))));
        output.extend(self.cause.iter().map(|cause| ("Cause".to_owned(), Value::from(cause.as_str()))));
        Value::Object(output)
    }

    fn write(&self, fields: &mut Fields<'_>, shows: &mut dyn Shows) {
        for (name, shown) in [("error", &self.error), ("cause", &self.cause)] {
            if let Some(shown) = shown {
                shows.text(shown, fields.field(name));
            }
        }
    }
}
