//! Trying things out: `TestState` and `ValidateStateMachineDefinition`.

use headwater_base::Problem;
use serde_json::{Map, Value};

use super::super::call::{Answer, Call, Operation};
use super::super::refusal::Refusal;
use super::super::shape::{Shape, may, must, secret, text};
use super::executions;

const DATA: Shape = secret(0, 1_048_576);

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "TestState",
        input: &[
            must("definition", secret(1, 1_048_576)),
            may("roleArn", text(1, 256)),
            may("input", DATA),
            may("inspectionLevel", Shape::Choice(&["INFO", "DEBUG", "TRACE"])),
            may("revealSecrets", Shape::Flag),
            may("variables", DATA),
            may("stateName", text(1, 80)),
            may("context", DATA),
            may(
                "mock",
                Shape::Structure(&[
                    may("result", DATA),
                    may(
                        "errorOutput",
                        Shape::Structure(&[may("error", secret(0, 256)), may("cause", secret(0, 32_768))]),
                    ),
                    may("fieldValidationMode", Shape::Choice(&["STRICT", "PRESENT", "NONE"])),
                ]),
            ),
            may(
                "stateConfiguration",
                Shape::Structure(&[
                    may("retrierRetryCount", Shape::Integer(0, i64::MAX)),
                    may("errorCausedByState", text(1, 80)),
                    may("mapIterationFailureCount", Shape::Integer(0, i64::MAX)),
                    may("mapItemReaderData", DATA),
                ]),
            ),
        ],
        run: |call| Box::pin(test_state(call)),
    },
    Operation {
        name: "ValidateStateMachineDefinition",
        input: &[
            must("definition", secret(1, 1_048_576)),
            may("type", Shape::Choice(&["STANDARD", "EXPRESS"])),
            may("severity", Shape::Choice(&["ERROR", "WARNING"])),
            may("maxResults", Shape::Integer(0, 100)),
        ],
        run: |call| Box::pin(async move { Ok(Value::Object(validate(call))) }),
    },
];

async fn test_state(call: &Call) -> Answer {
    if let Some(input) = call.text("input") {
        executions::valid(input)?;
    }
    let answer = call.aws.workflows.test_state(call.body.clone()).await.map_err(fault)?;
    Ok(Value::Object(answer))
}

fn fault(problem: Problem) -> Refusal {
    if problem.code == super::codes::DEFINITION {
        return super::definition_fault(vec![problem]);
    }
    if problem.code == super::codes::NO_MOCK {
        let refused = Refusal::from(problem);
        return Refusal::new("InvalidDefinition", refused.message);
    }
    problem.into()
}

fn validate(call: &Call) -> Map<String, Value> {
    let count = call.integer("maxResults").and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| *count > 0).unwrap_or(100);
    let express = call.text("type") == Some("EXPRESS");
    let warnings = call.text("severity") == Some("WARNING");
    call.aws.workflows.validate(call.given("definition"), express, warnings, count)
}
