//! Map Runs: what a distributed Map is doing.

use headwater_base::Problem;
use headwater_kernel::port::workflows::ExecutionView;
use serde_json::{Map, Value, json};

use super::super::arn::{self, Caller};
use super::super::call::{Answer, Call, Operation};
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, may, must, text};
use super::{EXECUTION_ARN, MAX_RESULTS, NEXT_TOKEN, codes, executions, listed, page};

const MAP_RUN_ARN: Member = must("mapRunArn", text(1, 2_000));

/// What of a Map Run can be changed.
const BOUNDS: [&str; 3] = ["maxConcurrency", "toleratedFailureCount", "toleratedFailurePercentage"];

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation { name: "DescribeMapRun", input: &[MAP_RUN_ARN], run: |call| Box::pin(async move { describe(call) }) },
    Operation {
        name: "ListMapRuns",
        input: &[EXECUTION_ARN, MAX_RESULTS, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
    Operation {
        name: "UpdateMapRun",
        input: &[
            MAP_RUN_ARN,
            may(BOUNDS[0], Shape::Integer(0, i64::MAX)),
            may(BOUNDS[1], Shape::Integer(0, i64::MAX)),
            may(BOUNDS[2], Shape::Number(0.0, 100.0)),
        ],
        run: |call| Box::pin(update(call)),
    },
];

/// A Map Run's name in full: its id is what stands behind `mapRun:`, `MACHINE/LABEL:NUMBER`.
pub fn shown_arn(caller: &Caller, id: &str) -> String {
    caller.arn("states", format_args!("mapRun:{id}"))
}

/// The id that a member's name in full stands for.
pub fn id_of(call: &Call, member: &str) -> Result<String, Refusal> {
    let arn = arn::states(call.given(member), &["mapRun"])?;
    Ok(arn.behind("mapRun").unwrap_or_default().to_owned())
}

/// The label of the Map state whose item an execution is.
pub fn label(execution: &ExecutionView) -> Option<&str> {
    let (_, run) = execution.map_run.as_deref()?.split_once('/')?;
    run.split(':').next()
}

fn describe(call: &Call) -> Answer {
    let id = id_of(call, "mapRunArn")?;
    let run = call.aws.workflows.map_run(&id).map_err(|problem| fault(problem, call))?;
    Ok(Value::Object(shown(call, run)))
}

fn list(call: &Call) -> Answer {
    let execution = executions::find(call, "executionArn")?;
    let runs = call.aws.workflows.map_runs(&execution.id)?;
    let items = runs.into_iter().map(|run| {
        let mut run = shown(call, run);
        run.retain(|member, _| {
            ["executionArn", "mapRunArn", "stateMachineArn", "startDate", "stopDate"].contains(&member.as_str())
        });
        run.insert("stateMachineArn".to_owned(), call.caller.machine(&execution.workflow).into());
        (run.get("mapRunArn").and_then(Value::as_str).unwrap_or_default().to_owned(), Value::Object(run))
    });
    let mut items: Vec<(String, Value)> = items.collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (items, next) = page(call, items)?;
    Ok(listed("mapRuns", items, next))
}

/// The port's object with this caller's names in place of ids.
fn shown(call: &Call, mut run: Map<String, Value>) -> Map<String, Value> {
    let id = |run: &Map<String, Value>, member: &str| run.get(member).and_then(Value::as_str).map(str::to_owned);
    if let Some(map_run) = id(&run, "mapRunArn").filter(|id| !id.starts_with("arn:")) {
        run.insert("mapRunArn".to_owned(), shown_arn(&call.caller, &map_run).into());
    }
    if let Some((workflow, name)) = id(&run, "executionArn").as_deref().and_then(|id| id.split_once('/')) {
        let arn = call.caller.arn("states", format_args!("execution:{workflow}:{name}"));
        run.insert("executionArn".to_owned(), arn.into());
    }
    run
}

async fn update(call: &Call) -> Answer {
    let id = id_of(call, "mapRunArn")?;
    let mut change = Map::new();
    for bound in BOUNDS {
        if let Some(value) = call.value(bound) {
            change.insert(bound.to_owned(), value.clone());
        }
    }
    if change.is_empty() {
        return Err(Refusal::validation(format!("at least one of {} must be given", BOUNDS.join(", "))));
    }
    call.aws.workflows.update_map_run(&id, change).await.map_err(|problem| fault(problem, call))?;
    Ok(json!({}))
}

fn fault(problem: Problem, call: &Call) -> Refusal {
    match problem.code.as_str() {
        codes::NO_MAP_RUN => {
            Refusal::new("ResourceNotFound", format!("Resource not found: '{}'", call.given("mapRunArn")))
        }
        _ => problem.into(),
    }
}
