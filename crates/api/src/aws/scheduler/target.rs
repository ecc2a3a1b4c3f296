//! A schedule's target: a state machine, an event bus, a stream, or a call of a service (a universal target).
//!
//! It is kept twice, as a rule's: as the Schedule's own target, and in the annotation as it was sent, which is shown as
//! long as it comes to the same.

use headwater_kernel::Resource;
use serde_json::{Map, Value, json};

use super::super::arn::{Arn, Caller};
use super::super::events::{buses, put_some, targets};
use super::super::native::held;
use super::super::refusal::Refusal;
use super::super::shape::{Shape, may, must, text};

/// What a target may be.
pub const TARGET: Shape = Shape::Structure(&[
    must("Arn", text(1, 1_600)),
    must("RoleArn", text(1, 1_600)),
    may("Input", text(1, 262_144)),
    may("EventBridgeParameters", Shape::Structure(&[must("DetailType", text(1, 128)), must("Source", text(1, 256))])),
    may("KinesisParameters", Shape::Structure(&[must("PartitionKey", text(1, 256))])),
    targets::RETRY_POLICY,
    targets::DEAD_LETTERS,
]);

/// Members that no target here can follow.
const NOT_SERVED: [&str; 3] = ["EcsParameters", "SageMakerPipelineParameters", "SqsParameters"];

/// What a universal target may call: what the node does itself, in the words of the services.
const TASKS: [&str; 5] =
    ["sfn:startExecution", "eventbridge:putEvents", "dynamodb:putItem", "dynamodb:updateItem", "dynamodb:deleteItem"];

/// Shown as the role of a target that was made without one.
const NO_ROLE: &str = "arn:aws:iam::000000000000:role/none";

/// A target of ours for one that was sent.
///
/// # Errors
/// `ValidationException` for what is not served.
pub fn native(target: &Value) -> Result<Value, Refusal> {
    let given = target["Arn"].as_str().unwrap_or_default();
    let arn = Arn::read(given).ok_or_else(|| Refusal::validation(format!("Provided Arn {given} is not valid.")))?;
    if let Some(member) = NOT_SERVED.iter().find(|member| !target[**member].is_null()) {
        return Err(Refusal::validation(format!("{member} are not served for any target.")));
    }
    if let Some(task) = arn.behind("aws-sdk").filter(|_| arn.service == "scheduler") {
        return universal(target, given, task);
    }
    let (kind, rest) = arn.path.split_once(['/', ':']).unwrap_or((arn.path, ""));
    let stream = |name: &str| {
        let mut native = Map::new();
        native.insert("type".to_owned(), "stream".into());
        native.insert("stream".to_owned(), name.into());
        native
    };
    let event = &target["EventBridgeParameters"];
    let mut native = match (arn.service, kind) {
        _ if rest.is_empty() => return Err(not_served(given)),
        ("states", "stateMachine") => targets::workflow(rest),
        ("events", "event-bus") if event.is_null() => {
            return Err(Refusal::validation("EventBridgeParameters must be given for an event bus."));
        }
        ("events", "event-bus") => stream(&buses::stream(rest)),
        ("kinesis", "stream") => stream(rest),
        _ => return Err(not_served(given)),
    };
    put_some(&mut native, "input", input(target)?);
    if arn.service == "states" {
        put_some(&mut native, "delivery", targets::delivery(&target["RetryPolicy"]));
    }
    match (arn.service, event.is_null()) {
        ("events", _) => {
            native.insert("event".to_owned(), json!({ "source": event["Source"], "type": event["DetailType"] }));
        }
        (_, true) => {}
        (_, false) => return Err(Refusal::validation("EventBridgeParameters are served for event buses alone.")),
    }
    Ok(Value::Object(native))
}

/// A call of a service, which `Input` holds the request of.
fn universal(target: &Value, given: &str, task: &str) -> Result<Value, Refusal> {
    if !TASKS.contains(&task) {
        let known = TASKS.join(", ");
        return Err(Refusal::validation(format!("Provided Arn {given} is not served: universal targets are {known}.")));
    }
    for member in ["EventBridgeParameters", "KinesisParameters"] {
        if !target[member].is_null() {
            return Err(Refusal::validation(format!("{member} are not served for a universal target.")));
        }
    }
    let Some(input) = input(target)?.filter(|input| input["constant"].is_object()) else {
        return Err(Refusal::validation("Input of a universal target must be given: the request, a JSON object."));
    };
    let mut native = Map::new();
    native.insert("type".to_owned(), "task".into());
    native.insert("task".to_owned(), task.into());
    native.insert("input".to_owned(), input);
    put_some(&mut native, "delivery", targets::delivery(&target["RetryPolicy"]));
    Ok(Value::Object(native))
}

fn not_served(arn: &str) -> Refusal {
    Refusal::validation(format!(
        "Provided Arn {arn} is not served: a schedule's target is a state machine (states), an event bus (events), a \
         stream (kinesis) or a call of a service (scheduler:::aws-sdk)."
    ))
}

/// What the target gets; None = the schedule's event.
fn input(target: &Value) -> Result<Option<Value>, Refusal> {
    let Some(text) = target["Input"].as_str() else { return Ok(None) };
    if text.contains("<aws.scheduler.") {
        return Err(Refusal::validation("Context attributes (<aws.scheduler.*>) in Input are not served."));
    }
    let constant: Value = serde_json::from_str(text)
        .map_err(|error| Refusal::validation(format!("Provided Input is not valid JSON: {error}")))?;
    Ok(Some(json!({ "constant": constant })))
}

/// A schedule's target as clients see it.
pub fn shown(caller: &Caller, schedule: &Resource) -> Value {
    let there = &schedule.spec["targets"][0];
    let sent = held(schedule).get("Target").cloned();
    let sent = sent.filter(|sent| native(sent).is_ok_and(|made| made == *there));
    sent.unwrap_or_else(|| json!({ "Arn": targets::arn_of(caller, there), "RoleArn": NO_ROLE }))
}
