//! History: what happened, one numbered event after the other, each naming the one it follows.
//!
//! `previous` makes a tree, not a list: events of concurrent threads follow the event their thread left off at. The
//! JSON form is `GetExecutionHistory`'s.

use std::sync::Arc;

use headwater_base::Micros;
use serde_json::{Map, Value, json};

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
    pub kind: String,
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

impl HistoryEvent {
    /// As `GetExecutionHistory` shows it; the timestamp in seconds.
    pub fn to_json(&self) -> Value {
        let mut event = Map::new();
        event.insert("timestamp".to_owned(), json!(self.at.millis() as f64 / 1e3));
        event.insert("type".to_owned(), json!(self.kind));
        event.insert("id".to_owned(), json!(self.id));
        event.insert("previousEventId".to_owned(), json!(self.previous));
        if let Some(details) = self.details() {
            event.insert(self.field(), Value::Object(details));
        }
        Value::Object(event)
    }

    /// The field the details stand in: the type's name, but one for all kinds of states.
    fn field(&self) -> String {
        match &self.details {
            Details::Entered { .. } => "stateEnteredEventDetails".to_owned(),
            Details::Exited { .. } => "stateExitedEventDetails".to_owned(),
            _ => {
                let (first, rest) = self.kind.split_at_checked(1).unwrap_or_default();
                format!("{}{rest}EventDetails", first.to_ascii_lowercase())
            }
        }
    }

    fn details(&self) -> Option<Map<String, Value>> {
        let cut = json!({"truncated": false});
        let details = match &self.details {
            Details::None => return None,
            Details::Started { input, role_arn } => {
                json!({"input": input.to_string(), "inputDetails": cut, "roleArn": role_arn})
            }
            Details::Entered { name, input } => json!({"name": name, "input": input.to_string(), "inputDetails": cut}),
            Details::Exited { name, output, assigned } => {
                let mut details = json!({"name": name, "output": output.to_string(), "outputDetails": cut});
                if let (Some(assigned), Some(details)) = (assigned, details.as_object_mut()) {
                    let texts: Map<String, Value> =
                        assigned.iter().map(|(name, value)| (name.clone(), json!(value.to_string()))).collect();
                    details.insert("assignedVariables".to_owned(), Value::Object(texts));
                    details.insert("assignedVariablesDetails".to_owned(), cut);
                }
                details
            }
            Details::Succeeded { output } => json!({"output": output.to_string(), "outputDetails": cut}),
            Details::Failed(failure) => Value::Object(failure.fields()),
            Details::Evaluation { failure, state, location } => {
                let mut fields = failure.fields();
                fields.insert("state".to_owned(), json!(state));
                fields.extend(location.iter().map(|location| ("location".to_owned(), json!(location))));
                Value::Object(fields)
            }
            Details::Task { fields } => Value::Object(fields.clone()),
            Details::MapStarted { length } => json!({"length": length}),
            Details::MapRun { arn } => json!({"mapRunArn": arn}),
            Details::Redriven { count } => json!({"redriveCount": count}),
            Details::Iteration { name, index } => json!({"name": name, "index": index}),
        };
        match details {
            Value::Object(details) => Some(details),
            _ => None,
        }
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
        output.extend(self.error.iter().map(|error| ("Error".to_owned(), json!(error))));
        output.extend(self.cause.iter().map(|cause| ("Cause".to_owned(), json!(cause))));
        Value::Object(output)
    }

    fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.extend(self.error.iter().map(|error| ("error".to_owned(), json!(error))));
        fields.extend(self.cause.iter().map(|cause| ("cause".to_owned(), json!(cause))));
        fields
    }
}
