//! Executions: starting them, looking at them, stopping them, taking them up again.

use headwater_base::Micros;
use headwater_kernel::port::workflows::{ExecutionQuery, ExecutionState, ExecutionView, StartExecution};
use serde_json::{Map, Value, json};

use super::super::arn::{self, Arn, Caller};
use super::super::call::{Answer, Call, Operation, seconds};
use super::super::page as pages;
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, may, must, secret, text};
use super::{
    EXECUTION_ARN, MACHINE_ARN, MAX_RESULTS, Machine, NEXT_TOKEN, Qualifier, WORKFLOW, after, bad_token, codes, count,
    listed, machine, machines, map_runs, no_execution, no_machine, versions,
};

const INCLUDED: Member = may("includedData", Shape::Choice(&["ALL_DATA", "METADATA_ONLY"]));
const STATES: &[&str] = &[
    ExecutionState::Running.name(),
    ExecutionState::Succeeded.name(),
    ExecutionState::Failed.name(),
    ExecutionState::TimedOut.name(),
    ExecutionState::Aborted.name(),
    ExecutionState::PendingRedrive.name(),
];
const NAME: Member = may("name", text(1, 80));
const INPUT: Member = may("input", secret(0, INPUT_MAX));
const TRACE: Member = may("traceHeader", text(0, 256));

/// Characters of an input.
const INPUT_MAX: usize = 1_048_576;

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation { name: "StartExecution", input: &[MACHINE_ARN, NAME, INPUT, TRACE], run: |call| Box::pin(start(call)) },
    Operation {
        name: "StartSyncExecution",
        input: &[MACHINE_ARN, NAME, INPUT, TRACE, INCLUDED],
        run: |call| Box::pin(run(call)),
    },
    Operation {
        name: "DescribeExecution",
        input: &[EXECUTION_ARN, INCLUDED],
        run: |call| Box::pin(async move { describe(call) }),
    },
    Operation {
        name: "DescribeStateMachineForExecution",
        input: &[EXECUTION_ARN, INCLUDED],
        run: |call| Box::pin(async move { machine_of(call) }),
    },
    Operation {
        name: "ListExecutions",
        input: &[
            may("stateMachineArn", text(1, 256)),
            may("mapRunArn", text(1, 2_000)),
            may("statusFilter", Shape::Choice(STATES)),
            may("redriveFilter", Shape::Choice(&["REDRIVEN", "NOT_REDRIVEN"])),
            MAX_RESULTS,
            NEXT_TOKEN,
        ],
        run: |call| Box::pin(async move { list(call) }),
    },
    Operation {
        name: "StopExecution",
        input: &[EXECUTION_ARN, may("error", secret(0, 256)), may("cause", secret(0, 32_768))],
        run: |call| Box::pin(stop(call)),
    },
    Operation {
        name: "RedriveExecution",
        input: &[EXECUTION_ARN, may("clientToken", text(1, 64))],
        run: |call| Box::pin(redrive(call)),
    },
];

/// An execution's name in full. Items of a Map Run are named after it, and Express runs have one part more.
pub fn shown_arn(caller: &Caller, execution: &ExecutionView, express: bool) -> String {
    let ExecutionView { workflow, name, started, .. } = execution;
    match map_runs::label(execution) {
        Some(label) => caller.arn("states", format_args!("execution:{workflow}/{label}:{name}")),
        None if express => caller.arn("states", format_args!("express:{workflow}:{name}:{}", started.0)),
        None => caller.arn("states", format_args!("execution:{workflow}:{name}")),
    }
}

/// The id that an execution's name in full stands for.
pub fn id_of(call: &Call, member: &str) -> Result<String, Refusal> {
    let given = call.given(member);
    let arn: Arn<'_> = arn::states(given, &["execution", "express"])?;
    let rest = arn.behind("execution").or_else(|| arn.behind("express")).unwrap_or_default();
    let mut parts = rest.split(':');
    match (parts.next(), parts.next()) {
        (Some(machine), Some(name)) if !machine.is_empty() && !name.is_empty() => {
            let workflow = machine.split('/').next().unwrap_or_default();
            Ok(format!("{workflow}/{name}"))
        }
        _ => Err(no_execution(given)),
    }
}

/// The execution that a member names.
pub fn find(call: &Call, member: &str) -> Result<ExecutionView, Refusal> {
    let id = id_of(call, member)?;
    call.aws.workflows.describe(&id).map_err(|problem| fault(problem, call.given(member)))
}

/// A refusal about an execution in the service's words.
pub fn fault(problem: headwater_base::Problem, arn: &str) -> Refusal {
    match problem.code.as_str() {
        codes::NO_EXECUTION => no_execution(arn),
        codes::EXISTS => Refusal::new("ExecutionAlreadyExists", format!("Execution Already Exists: '{arn}'")),
        code if codes::NOT_REDRIVABLE.contains(&code) => Refusal::new("ExecutionNotRedrivable", problem.title),
        _ => problem.into(),
    }
}

fn request(call: &Call, machine: &Machine) -> Result<StartExecution, Refusal> {
    let input = call.text("input").unwrap_or("{}");
    valid(input)?;
    let (version, alias) = qualified(machine);
    if let Some(version) = version {
        versions::find(call, &machine.resource, version)?;
    }
    Ok(StartExecution {
        workflow: machine.name().to_owned(),
        version,
        alias,
        name: call.text("name").map(execution_name).transpose()?.map(str::to_owned),
        input: Some(input.to_owned().into()),
        cause: None,
    })
}

/// An input that is JSON.
///
/// # Errors
/// `InvalidExecutionInput`.
pub fn valid(input: &str) -> Result<(), Refusal> {
    serde_json::from_str::<serde::de::IgnoredAny>(input).map(drop).map_err(|error| {
        Refusal::new("InvalidExecutionInput", format!("Invalid State Machine Execution Input: '{error}'"))
    })
}

/// `name` as an execution may be called, which is more than what a state machine may.
fn execution_name(given: &str) -> Result<&str, Refusal> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    if given.contains(bad) {
        return Err(Refusal::new("InvalidName", format!("Invalid Name: '{given}'")));
    }
    Ok(given)
}

/// Why an execution does not begin, in the service's words.
fn not_begun(problem: headwater_base::Problem, call: &Call, arn: &str) -> Refusal {
    match problem.code.as_str() {
        codes::NO_WORKFLOW => no_machine(call.given("stateMachineArn")),
        _ => fault(problem, arn),
    }
}

/// The version or the alias that a state machine is named by.
fn qualified(machine: &Machine) -> (Option<u64>, Option<String>) {
    match &machine.qualifier {
        Qualifier::None => (None, None),
        Qualifier::Version(version) => (Some(*version), None),
        Qualifier::Alias(alias) => (None, Some(alias.clone())),
    }
}

async fn start(call: &Call) -> Answer {
    let machine = machine(call, "stateMachineArn")?;
    let request = request(call, &machine)?;
    let wanted = request.name.clone().unwrap_or_default();
    let arn = call.caller.arn("states", format_args!("execution:{}:{wanted}", machine.name()));
    let started = call.aws.workflows.start(request).await.map_err(|problem| not_begun(problem, call, &arn))?;
    let arn = shown_arn(&call.caller, &started, machine.express());
    Ok(json!({ "executionArn": arn, "startDate": seconds(started.started) }))
}

async fn run(call: &Call) -> Answer {
    let machine = machine(call, "stateMachineArn")?;
    if !machine.express() {
        return Err(wrong_type());
    }
    let request = request(call, &machine)?;
    let arn = call.given("stateMachineArn");
    let ended = call.aws.workflows.run(request).await.map_err(|problem| not_begun(problem, call, arn))?;
    let mut shown = shown(call, &ended, true);
    let stopped = ended.stopped.unwrap_or(ended.started);
    shown.insert("stopDate".to_owned(), seconds(stopped));
    let took_ms = u64::try_from(stopped.since(ended.started).as_millis()).unwrap_or(u64::MAX);
    let billed = json!({ "billedMemoryUsedInMB": 64, "billedDurationInMilliseconds": took_ms.div_ceil(100) * 100 });
    shown.insert("billingDetails".to_owned(), billed);
    Ok(Value::Object(shown))
}

/// What an operation says to a state machine of the other type.
pub fn wrong_type() -> Refusal {
    let message = "This operation is not supported by this type of state machine";
    Refusal::new("StateMachineTypeNotSupported", message)
}

/// What every answer about an execution says.
fn outline(call: &Call, execution: &ExecutionView, express: bool) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut put = |member: &str, value: Value| shown.insert(member.to_owned(), value);
    put("executionArn", shown_arn(&call.caller, execution, express).into());
    put("stateMachineArn", call.caller.machine(&execution.workflow).into());
    put("name", execution.name.as_str().into());
    put("status", execution.state.name().into());
    put("startDate", seconds(execution.started));
    if let Some(stopped) = execution.stopped {
        put("stopDate", seconds(stopped));
    }
    if let Some(version) = execution.version {
        put("stateMachineVersionArn", call.caller.version(&execution.workflow, version).into());
    }
    if let Some(alias) = &execution.alias {
        put("stateMachineAliasArn", call.caller.alias(&execution.workflow, alias).into());
    }
    if let Some(map_run) = &execution.map_run {
        put("mapRunArn", map_runs::shown_arn(&call.caller, map_run).into());
    }
    if !express {
        put("redriveCount", execution.redrives.into());
        if let Some(redriven) = execution.redriven {
            put("redriveDate", seconds(redriven));
        }
    }
    shown
}

/// An execution in full.
fn shown(call: &Call, execution: &ExecutionView, express: bool) -> Map<String, Value> {
    let mut shown = outline(call, execution, express);
    let mut put = |member: &str, value: Value| shown.insert(member.to_owned(), value);
    let data = call.text("includedData") != Some("METADATA_ONLY");
    let text = |json: &headwater_kernel::port::Json| Value::from(String::from_utf8_lossy(json).into_owned());
    for (member, details, value) in
        [("input", "inputDetails", &execution.input), ("output", "outputDetails", &execution.output)]
    {
        let Some(value) = value else { continue };
        put(details, json!({ "included": data }));
        if data {
            put(member, text(value));
        }
    }
    if let Some(error) = &execution.error {
        put("error", error.as_str().into());
    }
    if let Some(cause) = &execution.cause {
        put("cause", cause.as_str().into());
    }
    shown
}

fn describe(call: &Call) -> Answer {
    let execution = find(call, "executionArn")?;
    if of_express(call, &execution) {
        return Err(wrong_type());
    }
    let mut shown = shown(call, &execution, false);
    let (status, reason) = redrivable(&execution);
    shown.insert("redriveStatus".to_owned(), status.into());
    if let Some(reason) = reason {
        shown.insert("redriveStatusReason".to_owned(), reason.into());
    }
    Ok(Value::Object(shown))
}

fn redrivable(execution: &ExecutionView) -> (&'static str, Option<&'static str>) {
    match (execution.state, &execution.map_run) {
        (ExecutionState::Running | ExecutionState::PendingRedrive, _) => {
            ("NOT_REDRIVABLE", Some("Execution is RUNNING and cannot be redriven"))
        }
        (ExecutionState::Succeeded, _) => ("NOT_REDRIVABLE", Some("Execution is SUCCEEDED and cannot be redriven")),
        (_, Some(_)) => ("REDRIVABLE_BY_MAP_RUN", None),
        (_, None) => ("REDRIVABLE", None),
    }
}

/// Whether an execution is one of an Express state machine: it has no history to look at.
pub fn of_express(call: &Call, execution: &ExecutionView) -> bool {
    let machine = call.aws.find(WORKFLOW, &execution.workflow);
    execution.map_run.is_none() && machine.is_some_and(|resource| machines::shown_type(&resource) == "EXPRESS")
}

fn machine_of(call: &Call) -> Answer {
    let execution = find(call, "executionArn")?;
    let arn = call.given("executionArn");
    let definition = call.aws.workflows.definition(&execution.id).map_err(|problem| fault(problem, arn))?;
    let machine = call.caller.machine(&execution.workflow);
    let resource = call.aws.find(WORKFLOW, &execution.workflow).ok_or_else(|| no_machine(&machine))?;
    let mut shown = machines::shown(call, &resource, &String::from_utf8_lossy(&definition));
    shown.insert("stateMachineArn".to_owned(), machine.into());
    shown.insert("updateDate".to_owned(), seconds(resource.metadata.created));
    if let Some(map_run) = &execution.map_run {
        shown.insert("mapRunArn".to_owned(), map_runs::shown_arn(&call.caller, map_run).into());
    }
    if let Some(label) = map_runs::label(&execution) {
        shown.insert("label".to_owned(), label.into());
    }
    Ok(Value::Object(shown))
}

fn list(call: &Call) -> Answer {
    let query = match (call.text("stateMachineArn"), call.text("mapRunArn")) {
        (Some(_), None) => {
            let machine = machine(call, "stateMachineArn")?;
            if machine.express() {
                return Err(wrong_type());
            }
            let (version, alias) = qualified(&machine);
            let workflow = Some(machine.name().to_owned());
            ExecutionQuery { workflow, version, alias, ..ExecutionQuery::default() }
        }
        (None, Some(_)) => {
            ExecutionQuery { map_run: Some(map_runs::id_of(call, "mapRunArn")?), ..ExecutionQuery::default() }
        }
        _ => return Err(Refusal::validation("exactly one of stateMachineArn and mapRunArn must be given")),
    };
    let query = ExecutionQuery {
        state: call.text("statusFilter").and_then(ExecutionState::named),
        redriven: call.text("redriveFilter").map(|filter| filter == "REDRIVEN"),
        after: after(call)?,
        count: count(call),
        ..query
    };
    let listed_by = call.aws.workflows.list(&query);
    let (executions, next) = listed_by.map_err(|problem| match problem.code.as_str() {
        codes::NO_PAGE => bad_token(),
        _ => problem.into(),
    })?;
    let items = executions.iter().map(|execution| Value::Object(outline(call, execution, false)));
    Ok(listed("executions", items.collect(), next.map(|after| pages::token(&after))))
}

async fn stop(call: &Call) -> Answer {
    let execution = find(call, "executionArn")?;
    if of_express(call, &execution) {
        return Err(wrong_type());
    }
    // Stopping what has ended changes nothing and is no fault.
    if let Some(stopped) = execution.stopped {
        return Ok(json!({ "stopDate": seconds(stopped) }));
    }
    let text = |member: &str| call.text(member).map(str::to_owned);
    let stopped = call.aws.workflows.stop(&execution.id, text("error"), text("cause")).await;
    let stopped: Micros = stopped.map_err(|problem| fault(problem, call.given("executionArn")))?;
    Ok(json!({ "stopDate": seconds(stopped) }))
}

async fn redrive(call: &Call) -> Answer {
    let execution = find(call, "executionArn")?;
    // The engine is asked first: it knows the tokens of redrives that were done.
    let token = call.text("clientToken").map(str::to_owned);
    let redriven = call.aws.workflows.redrive(&execution.id, token).await;
    let redriven = redriven.map_err(|problem| match redrivable(&execution) {
        (status @ "NOT_REDRIVABLE", Some(reason)) if codes::NOT_REDRIVABLE.contains(&problem.code.as_str()) => {
            Refusal::new("ExecutionNotRedrivable", format!("{reason} [{status}]"))
        }
        _ => fault(problem, call.given("executionArn")),
    })?;
    Ok(json!({ "redriveDate": seconds(redriven) }))
}

/// A member that holds an execution's input or output.
pub const fn output(name: &'static str) -> Member {
    must(name, secret(0, INPUT_MAX))
}
