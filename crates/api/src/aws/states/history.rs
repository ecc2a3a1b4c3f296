//! `GetExecutionHistory`: events as the port gives them, in pages.

use serde_json::Value;

use super::super::call::{Answer, Call, Operation};
use super::super::page;
use super::super::shape::{Shape, may};
use super::{EXECUTION_ARN, MAX_RESULTS, NEXT_TOKEN, after, bad_token, count, executions, listed};

/// The operations.
pub const OPERATIONS: &[Operation] = &[Operation {
    name: "GetExecutionHistory",
    input: &[
        EXECUTION_ARN,
        MAX_RESULTS,
        NEXT_TOKEN,
        may("reverseOrder", Shape::Flag),
        may("includeExecutionData", Shape::Flag),
    ],
    run: |call| Box::pin(async move { events(call) }),
}];

/// Members of an event's details that are an execution's data.
const DATA: [&str; 6] = ["input", "output", "parameters", "error", "cause", "assignedVariables"];

fn events(call: &Call) -> Answer {
    let execution = executions::find(call, "executionArn")?;
    if executions::of_express(call, &execution) {
        return Err(executions::wrong_type());
    }
    let behind = match after(call)? {
        Some(after) => after.parse().map_err(|_| bad_token())?,
        None => 0,
    };
    let (wanted, reverse) = (count(call), call.flag("reverseOrder"));
    let mut events = call.aws.workflows.history(&execution.id, behind, wanted.saturating_add(1), reverse)?;
    let more = events.len() > wanted;
    events.truncate(wanted);
    let last = events.last().and_then(|event| event["id"].as_u64());
    let next = last.filter(|_| more).map(|last| page::token(&last.to_string()));
    if call.value("includeExecutionData") == Some(&Value::Bool(false)) {
        for details in events.iter_mut().filter_map(Value::as_object_mut).flat_map(|event| event.values_mut()) {
            let Some(details) = details.as_object_mut() else { continue };
            details.retain(|member, _| !DATA.contains(&member.as_str()));
        }
    }
    Ok(listed("events", events, next))
}
