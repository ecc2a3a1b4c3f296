//! Map Runs: what a distributed Map is doing.

use headwater_base::Problem;
use headwater_kernel::port::workflows::{ExecutionView, PLACE};
use serde_json::{Map, Value, json};

use super::super::arn::{self, Arn, Caller};
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

/// A Map Run's name in full. Its id is the one that the engine gave it, in the node's own region.
pub fn shown_arn(caller: &Caller, id: &str) -> String {
    Arn::read(id).map_or_else(|| id.to_owned(), |arn| caller.arn("states", arn.path))
}

/// The id that a member's name in full stands for.
pub fn id_of(call: &Call, member: &str) -> Result<String, Refusal> {
    let arn = arn::states(call.given(member), &["mapRun"])?;
    Ok(format!("arn:aws:states:{PLACE}:{}", arn.path))
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

/// The port's object with names in the caller's region.
fn shown(call: &Call, mut run: Map<String, Value>) -> Map<String, Value> {
    for member in ["mapRunArn", "executionArn"] {
        if let Some(Value::String(arn)) = run.get_mut(member) {
            *arn = shown_arn(&call.caller, arn);
        }
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
