//! Executions of the recorded service: status, output, error, and history as a tree.

use headwater_base::Micros;
use headwater_work::definition::Definition;
use headwater_work::execution::{Execution, HistoryEvent, Identity, Status};
use headwater_work::{Flavor, Limits};
use serde_json::{Value, json};

use crate::compare::Matcher;
use crate::driver::{Driver, Services};
use crate::services::Machines;

pub fn check(case: &Value) -> Result<(), String> {
    let mut services = Machines(case["other_machines"].as_array().cloned().unwrap_or_default());
    let mut matcher = Matcher::of(case);
    let (execution, history) = execute(case, &mut services)?;
    compare(case, &execution, &history, &mut matcher)
}

/// Runs the case. The names it is given are the recorder's placeholders, so that they come out where it saw them.
pub fn execute(case: &Value, services: &mut dyn Services) -> Result<(Execution, Vec<HistoryEvent>), String> {
    let flavor = if case["type"] == "EXPRESS" { Flavor::Express } else { Flavor::Standard };
    let text = case["definition"].to_string();
    let definition = Definition::parse(&text, flavor, &Limits::default())
        .map_err(|diagnostics| format!("the definition was refused: {}", diagnostics[0]))?;
    let mut driver = Driver::new(&definition, services);
    driver.leave_waiting = case["expect"]["status"] == "RUNNING";
    driver.abort_waiting = case["expect"]["status"] == "ABORTED";
    let text = at_now(case["input_text"].as_str().unwrap_or("{}"), driver.now);
    let input = serde_json::from_str(&text).map_err(|error| format!("the input is no JSON: {error}"))?;
    let ran = driver.run(identity(case, flavor), flavor, input)?;
    Ok((ran.execution, ran.history))
}

fn identity(case: &Value, flavor: Flavor) -> Identity {
    let started = &case["expect"]["history"][0]["executionStartedEventDetails"]["roleArn"];
    let machine = "<ArnPart_0idx>";
    let place = "arn:<partition>:states:<region>:111111111111";
    let (execution_arn, name) = match flavor {
        Flavor::Standard => (format!("{place}:execution:{machine}:<ExecArnPart_0idx>"), "<ExecArnPart_0idx>"),
        Flavor::Express => {
            let kind = if case["expect"]["response"].is_null() { "ExpressExec" } else { "SyncExec" };
            let name = if kind == "SyncExec" { "<SyncExecArn_Part1_0idx>" } else { "<ExpressExecArn_Part1_0idx>" };
            (format!("{place}:express:{machine}:<{kind}Arn_Part1_0idx>:<{kind}Arn_Part2_0idx>"), name)
        }
    };
    Identity {
        execution_arn,
        name: case["name"].as_str().unwrap_or(name).to_owned(),
        machine_arn: format!("{place}:stateMachine:{machine}"),
        machine_name: machine.to_owned(),
        role_arn: started.as_str().unwrap_or("snf_role_arn").to_owned(),
        region: "<region>".to_owned(),
    }
}

/// Puts times in place of `{{now+Nd}}`.
fn at_now(text: &str, now: Micros) -> String {
    let Some((before, rest)) = text.split_once("{{now+") else { return text.to_owned() };
    let (days, after) = rest.split_once("d}}").unwrap();
    let days: u64 = days.parse().unwrap();
    let time = Micros::from_millis(now.millis() / 1000 * 1000).plus(std::time::Duration::from_secs(days * 86_400));
    format!("{before}{}{}", time.to_string().trim_end_matches('Z'), at_now(after, now))
}

pub fn compare(
    case: &Value,
    execution: &Execution,
    history: &[HistoryEvent],
    matcher: &mut Matcher,
) -> Result<(), String> {
    let expect = &case["expect"];
    let (status, output, failure) = match &execution.status {
        Status::Running => ("RUNNING", None, None),
        Status::Succeeded(output) => ("SUCCEEDED", Some(output), None),
        Status::Failed(failure) => ("FAILED", None, Some(failure)),
        Status::TimedOut(failure) => ("TIMED_OUT", None, Some(failure)),
        Status::Aborted(failure) => ("ABORTED", None, Some(failure)),
    };
    if expect["status"] != status {
        return Err(format!("status: expected {}, but was {status} ({failure:?})", expect["status"]));
    }
    if let Some(expected) = expect.get("output") {
        let actual = output.map_or(Value::Null, |output| json!(output.to_string()));
        matcher.same(expected, &actual, "output")?;
    }
    for (field, actual) in [
        ("error", failure.and_then(|failure| failure.error.clone())),
        ("cause", failure.and_then(|failure| failure.cause.clone())),
    ] {
        if let Some(expected) = expect.get(field) {
            matcher.same(expected, &json!(actual), field)?;
        }
    }
    described(execution, expect, output.map(|output| output.to_string()), matcher)?;
    let Some(expected) = expect["history"].as_array() else { return Ok(()) };
    let actual: Vec<Value> = history.iter().map(HistoryEvent::to_json).collect();
    if case["notes"]["parallel_sorted"] == true {
        return sorted(expected, &actual, matcher);
    }
    in_order(expected, &actual, matcher)
}

/// The parts of the API's answers that the execution decides.
fn described(
    execution: &Execution,
    expect: &Value,
    output: Option<String>,
    matcher: &mut Matcher,
) -> Result<(), String> {
    for answer in ["describe", "response"] {
        let Some(expected) = expect.get(answer) else { continue };
        let fields = [
            ("executionArn", json!(execution.identity.execution_arn)),
            ("stateMachineArn", json!(execution.identity.machine_arn)),
            ("input", json!(execution.input.to_string())),
            ("output", json!(output)),
        ];
        for (field, actual) in fields {
            let numbered =
                expected[field].as_str().is_some_and(|text| text.contains("_1idx") || text.contains("<execution"));
            if let Some(expected) = expected.get(field).filter(|_| !numbered) {
                matcher.same(expected, &actual, &format!("{answer}.{field}"))?;
            }
        }
    }
    if let Some(expected) = expect["end_event"]["id"].as_str()
        && expected != execution.events.to_string()
    {
        return Err(format!("end_event.id: expected {expected}, but was {}", execution.events));
    }
    Ok(())
}

fn in_order(expected: &[Value], actual: &[Value], matcher: &mut Matcher) -> Result<(), String> {
    for (number, expected) in expected.iter().enumerate() {
        let Some(actual) = actual.get(number) else {
            return Err(format!("event {}: missing, expected {}", number + 1, expected["type"]));
        };
        if expected["type"] != actual["type"] {
            return Err(format!("event {}: expected {}, but was {}", number + 1, expected["type"], actual));
        }
        matcher.same(expected, actual, &format!("event {} {}", number + 1, expected["type"]))?;
    }
    match actual.get(expected.len()) {
        None => Ok(()),
        Some(extra) => Err(format!("event {}: not expected: {extra}", expected.len() + 1)),
    }
}

/// Events inside a Parallel state were recorded sorted, without numbers, and without the ends of Parallel states.
fn sorted(expected: &[Value], actual: &[Value], matcher: &mut Matcher) -> Result<(), String> {
    let mut left: Vec<Value> = actual.to_vec();
    for expected in expected {
        let unnumbered = expected["id"].is_array();
        let found = left.iter().position(|actual| {
            let mut expected = expected.clone();
            if unnumbered {
                expected["id"] = actual["id"].clone();
                expected["previousEventId"] = actual["previousEventId"].clone();
            }
            matcher.same(&expected, actual, "").is_ok()
        });
        match found {
            Some(at) => drop(left.remove(at)),
            None => return Err(format!("no event like {expected}")),
        }
    }
    match left.iter().find(|event| !event["type"].as_str().unwrap().starts_with("ParallelState")) {
        None => Ok(()),
        Some(extra) => Err(format!("not expected: {extra}")),
    }
}
