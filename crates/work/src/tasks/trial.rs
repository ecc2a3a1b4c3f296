//! A state on trial with what it calls: the request and the answer of `TestState`.
//!
//! A call to the outside is made for real. What a task would write inside the node is not: such a state is tried with
//! a mock.

use std::time::Duration;

use headwater_base::{Micros, Problem};
use serde_json::{Map, Value};

use super::{Answer, Call, Plan, Services};
use crate::execution::{Failure, Given, StartTask, Trial};
use crate::limits::Limits;

/// How long a trial may take, as in the recorded service.
const TRIAL_MAX: Duration = Duration::from_secs(300);

/// Tries a state.
///
/// # Errors
/// As [`Trial::begin`].
pub async fn run(
    services: &Services,
    limits: &Limits,
    request: &Map<String, Value>,
    now: Micros,
    seed: [u8; 32],
) -> Result<Map<String, Value>, Problem> {
    let trial = Trial::begin(request, &Given { now, seed, token: &|_| String::new(), limits })?;
    let outcome = match trial.call().cloned() {
        None => None,
        Some(call) => Some(perform(services, &call, now).await),
    };
    Ok(trial.end(outcome, &Given { now, seed, token: &|_| String::new(), limits }))
}

async fn perform(services: &Services, start: &StartTask, now: Micros) -> Result<Value, Failure> {
    let call = Call {
        resource: &start.resource,
        parameters: &start.parameters,
        key: "trial",
        machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:trial",
        token: None,
        now,
        deadline: Some(now.plus(TRIAL_MAX)),
        cause: None,
    };
    match super::plan(services, &call)? {
        Plan::External(answer) => tokio::time::timeout(TRIAL_MAX, answer)
            .await
            .unwrap_or_else(|_| Err(Failure { error: Some("States.Timeout".to_owned()), cause: None })),
        Plan::Internal(internal) => match internal.answer {
            Answer::Known(answer)
                if internal.writes.is_empty() && internal.appends.is_empty() && internal.starts.is_empty() =>
            {
                Ok(answer)
            }
            _ => {
                Err(Failure::new("States.TaskFailed", "a trial writes nothing; give a mock for what the task answers"))
            }
        },
    }
}
