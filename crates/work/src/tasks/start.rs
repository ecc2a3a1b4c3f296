//! `states:startExecution`: another execution, in all three patterns.

use headwater_base::Micros;
use headwater_kernel::port::Json;
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView, StartExecution};
use serde_json::{Map, Value, json};

use super::{Answer, Call, Internal, Plan, Refusal, Services, failure};
use crate::definition::resource::{Pattern, Service};
use crate::execution::Failure;
use crate::hash;

pub(super) fn plan(_: &Services, service: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let text = |field: &str| match call.parameters.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(failure::parameters(format!("`{field}` is a text"))),
    };
    let Some(machine) = text("StateMachineArn")? else {
        return Err(failure::parameters("`StateMachineArn` is missing"));
    };
    let (workflow, version, alias) = target(&machine);
    let input = match call.parameters.get("Input") {
        None | Some(Value::Null) => None,
        // A text is the input as it is written over the API, an escaped JSON value.
        Some(Value::String(text)) => Some(Json::from(text.clone())),
        Some(value) => Some(Json::from(value.to_string())),
    };
    let start = StartExecution {
        workflow: workflow.to_owned(),
        version,
        alias: alias.map(str::to_owned),
        name: Some(text("Name")?.unwrap_or_else(|| drawn(call.key))),
        input,
        cause: call.cause.cloned(),
    };
    let (prefix, sdk) = (prefix(call.machine_arn), is_sdk(service));
    let answer = Answer::Of(Box::new(move |done| {
        let Some(view) = done.started.first() else {
            return Err(failure::parameters("no execution was started"));
        };
        Ok(json!({ "ExecutionArn": execution_arn(&prefix, view), "StartDate": date(view.started, sdk) }))
    }));
    Ok(Plan::Internal(Internal { starts: vec![start], ..Internal::new(answer, refused) }))
}

/// What a `.sync` or `.sync:2` task comes to when the execution it started is over. `machine_arn` is the caller's.
///
/// # Errors
/// `States.TaskFailed` when that execution did not succeed; the cause describes it.
pub fn ended(service: &Service, machine_arn: &str, view: &ExecutionView) -> Result<Value, Failure> {
    let prefix = prefix(machine_arn);
    let shown = |text: &Option<Json>| -> Value {
        let Some(text) = text else { return Value::Null };
        if service.pattern == Pattern::Sync2 {
            return serde_json::from_slice(text).unwrap_or_default();
        }
        json!(String::from_utf8_lossy(text))
    };
    let mut fields = Map::new();
    fields.insert("ExecutionArn".to_owned(), json!(execution_arn(&prefix, view)));
    fields.insert("Input".to_owned(), shown(&view.input));
    fields.insert("InputDetails".to_owned(), json!({ "Included": true }));
    fields.insert("Name".to_owned(), json!(view.name));
    if view.output.is_some() {
        fields.insert("Output".to_owned(), shown(&view.output));
        fields.insert("OutputDetails".to_owned(), json!({ "Included": true }));
    }
    fields.insert("StartDate".to_owned(), date(view.started, false));
    fields.insert("StateMachineArn".to_owned(), json!(format!("{prefix}:stateMachine:{}", view.workflow)));
    fields.insert("Status".to_owned(), json!(view.state.name()));
    if let Some(stopped) = view.stopped {
        fields.insert("StopDate".to_owned(), date(stopped, false));
    }
    if view.state == ExecutionState::Succeeded {
        return Ok(Value::Object(fields));
    }
    fields.extend(view.error.iter().map(|error| ("Error".to_owned(), json!(error))));
    fields.extend(view.cause.iter().map(|cause| ("Cause".to_owned(), json!(cause))));
    Err(Failure::new("States.TaskFailed", Value::Object(fields).to_string()))
}

/// The workflow that a name or an ARN stands for, and its version or alias.
fn target(text: &str) -> (&str, Option<u64>, Option<&str>) {
    if !text.starts_with("arn:") {
        return (text, None, None);
    }
    let mut parts = text.split(':').skip(6);
    let (workflow, qualifier) = (parts.next().unwrap_or_default(), parts.next());
    match qualifier.map(str::parse::<u64>) {
        None => (workflow, None, None),
        Some(Ok(version)) => (workflow, Some(version), None),
        Some(Err(_)) => (workflow, None, qualifier),
    }
}

/// The name of an execution that is given none: the same for each try of one effect.
pub(super) fn drawn(key: &str) -> String {
    let hex = hash::hex(hash::sha256(key.as_bytes()).get(..16).unwrap_or_default());
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// Partition, region and account of an ARN.
fn prefix(arn: &str) -> String {
    arn.split(':').take(5).collect::<Vec<_>>().join(":")
}

fn execution_arn(prefix: &str, view: &ExecutionView) -> String {
    format!("{prefix}:execution:{}:{}", view.workflow, view.name)
}

fn is_sdk(service: &Service) -> bool {
    service.name.starts_with("aws-sdk:")
}

/// SDK integrations show times as text, optimised ones as milliseconds.
fn date(at: Micros, sdk: bool) -> Value {
    if sdk { json!(at.to_string()) } else { json!(at.millis()) }
}

fn refused(service: &Service, refusal: Refusal<'_>) -> Failure {
    let Refusal::Start(problem) = refusal else { return failure::parameters("the start was refused") };
    let family = if is_sdk(service) { "Sfn" } else { "StepFunctions" };
    let name = failure::service_error(problem).unwrap_or("ValidationException");
    Failure::new(format!("{family}.{name}"), failure::of(problem).cause.unwrap_or_default())
}
