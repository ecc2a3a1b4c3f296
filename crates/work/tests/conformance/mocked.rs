//! Executions whose tasks are answered by the recorded mocks.

use std::collections::BTreeMap;

use headwater_base::Micros;
use headwater_work::definition::Resource;
use headwater_work::definition::resource::Pattern;
use headwater_work::execution::{Failure, HistoryEvent, StartTask};
use serde_json::{Value, json};

use crate::asl;
use crate::compare::Matcher;
use crate::driver::{Reply, Services};

/// Answers by state and number of the call.
struct Mocks {
    answers: Value,
    calls: BTreeMap<String, u64>,
}

impl Services for Mocks {
    fn call(&mut self, task: &StartTask, _: Micros) -> Reply {
        let number = self.calls.entry(task.state.clone()).or_default();
        let call = *number;
        *number += 1;
        let Some(answer) = answer(&self.answers[&task.state], call) else {
            return Reply::Failure(Failure::new("Test.NotMocked", format!("call {call} of {}", task.state)));
        };
        let throw = &answer["Throw"];
        let result = if throw.is_object() {
            let text = |field: &str| throw[field].as_str().map(str::to_owned);
            Err(Failure { error: text("Error"), cause: text("Cause") })
        } else {
            let value = answer["Return"].clone();
            // A function called by its own name answers with its payload alone.
            Ok(if matches!(task.resource, Resource::Function { .. }) { value["Payload"].clone() } else { value })
        };
        match (&task.resource, result) {
            (Resource::Service(service), result) if service.pattern != Pattern::Response => {
                Reply::Submitted(json!({}), result)
            }
            (_, Ok(value)) => Reply::Success(value),
            (_, Err(failure)) => Reply::Failure(failure),
        }
    }
}

/// The answer whose key is the call's number or a range around it.
fn answer(answers: &Value, call: u64) -> Option<&Value> {
    let found = answers.as_object()?.iter().find(|(key, _)| {
        let (from, to) = key.split_once('-').unwrap_or((key, key));
        (from.parse().unwrap()..=to.parse().unwrap()).contains(&call)
    });
    found.map(|(_, answer)| answer)
}

pub fn check(case: &Value) -> Result<(), String> {
    let mut mocks = Mocks { answers: case["mocks"].clone(), calls: BTreeMap::new() };
    let (execution, history) = asl::execute(case, &mut mocks)?;
    if let Some(assertions) = case["expect"]["assertions"].as_array() {
        let events = json!({"events": history.iter().map(HistoryEvent::to_json).collect::<Vec<_>>()});
        return assertions.iter().try_for_each(|assertion| holds(assertion, &events));
    }
    let mut matcher = Matcher::of(case);
    matcher.own.extend(["<task_token:1>".to_owned(), "<uuid:1>".to_owned(), "<m-d5-of-message-body:1>".to_owned()]);
    // The answer of the call that submits is no part of the mocks.
    matcher.skip.push("SubmitOutput".to_owned());
    let mut case = case.clone();
    for event in case["expect"]["history"].as_array_mut().into_iter().flatten() {
        if event["type"] == "TaskSubmitted" {
            event["taskSubmittedEventDetails"]["output"] = json!("{}");
        }
    }
    asl::compare(&case, &execution, &history, &mut matcher)
}

fn holds(assertion: &Value, events: &Value) -> Result<(), String> {
    let mut at = events.clone();
    for step in assertion["path"].as_array().unwrap() {
        at = match step {
            Value::String(key) => at[key].clone(),
            number => {
                let items = at.as_array().cloned().unwrap_or_default();
                let index = number.as_i64().unwrap();
                let index = if index < 0 { items.len() as i64 + index } else { index };
                items.get(usize::try_from(index).unwrap()).cloned().unwrap_or_default()
            }
        };
    }
    if assertion["parsed_json"] == true {
        at = serde_json::from_str(at.as_str().unwrap_or_default()).unwrap_or_default();
    }
    // The assertions were written against an implementation that leaves out what names the call.
    let mut matcher = Matcher::default();
    matcher.skip = vec!["resource".to_owned(), "resourceType".to_owned(), "outputDetails".to_owned()];
    matcher.same(&assertion["equals"], &at, &assertion["path"].to_string())
}
