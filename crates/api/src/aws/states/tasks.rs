//! Ending a task by its token.

use headwater_base::Problem;
use headwater_kernel::port::workflows::TaskEnd;
use serde_json::json;

use super::super::call::{Answer, Call, Operation};
use super::super::refusal::Refusal;
use super::super::shape::{Member, may, must, secret};
use super::{codes, executions};

const TOKEN: Member = must("taskToken", secret(1, 2_048));

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "SendTaskSuccess",
        input: &[TOKEN, executions::output("output")],
        run: |call| Box::pin(success(call)),
    },
    Operation {
        name: "SendTaskFailure",
        input: &[TOKEN, may("error", secret(0, 256)), may("cause", secret(0, 32_768))],
        run: |call| Box::pin(failure(call)),
    },
    Operation { name: "SendTaskHeartbeat", input: &[TOKEN], run: |call| Box::pin(heartbeat(call)) },
];

async fn success(call: &Call) -> Answer {
    let output = call.given("output");
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(output) {
        return Err(Refusal::new("InvalidOutput", format!("Invalid Output: '{error}'")));
    }
    end(call, TaskEnd::Success(output.to_owned().into())).await
}

async fn failure(call: &Call) -> Answer {
    let text = |member: &str| call.text(member).map(str::to_owned);
    end(call, TaskEnd::Failure { error: text("error"), cause: text("cause") }).await
}

async fn end(call: &Call, end: TaskEnd) -> Answer {
    call.aws.workflows.end_task(call.given("taskToken"), end).await.map_err(fault)?;
    Ok(json!({}))
}

async fn heartbeat(call: &Call) -> Answer {
    call.aws.workflows.heartbeat(call.given("taskToken")).await.map_err(fault)?;
    Ok(json!({}))
}

fn fault(problem: Problem) -> Refusal {
    match problem.code.as_str() {
        codes::NO_TOKEN => Refusal::new("InvalidToken", "Invalid Token: 'Invalid token'"),
        codes::TASK_ENDED | codes::ENDED => {
            Refusal::new("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        }
        _ => problem.into(),
    }
}
