//! Tasks that are called outside any execution: by a target of a rule, a pipe or a schedule, and by a trial of a state.

use headwater_base::Problem;
use headwater_kernel::port::Json;
use headwater_kernel::port::workflows::CallTask;
use serde_json::Value;

use super::express::internal;
use super::port::stopping;
use super::{Inner, identity};
use crate::definition::Resource;
use crate::execution::Failure;
use crate::tasks::{self, Call, Plan};

/// The code of a call that fails however often it is made.
const NEVER: &str = "HW-WORK-061";
/// The code of a call that may be made later.
const LATER: &str = "HW-WORK-062";
/// How the names of failures end that pass: what is called is busy, or is not there yet.
const PASSING: [&str; 5] = [
    ".Busy",
    ".NotFound",
    ".InternalServerErrorException",
    ".ResourceNotFoundException",
    ".StateMachineDoesNotExistException",
];

impl Inner {
    /// Calls a task outside any execution.
    ///
    /// # Errors
    /// `HW-WORK-061` for one that fails however often it is called, `HW-WORK-062` for one that may be done later.
    pub(super) async fn call_task(&self, wanted: &CallTask) -> Result<Json, Problem> {
        let name = &wanted.resource;
        let failed = |code: &str, error: &str, cause: &str| {
            Problem::new(code, format!("the task `{name}` failed with `{error}`: {cause}"))
        };
        let Some(resource) = Resource::parse(name).filter(|resource| !resource.lasts()) else {
            return Err(failed(NEVER, "States.TaskFailed", "there is no such task"));
        };
        let parameters: Value = serde_json::from_slice(&wanted.parameters)
            .map_err(|error| failed(NEVER, "States.TaskFailed", &format!("its parameters are no JSON: {error}")))?;
        let machine_arn = identity("task", "call").machine_arn;
        let call = Call {
            resource: &resource,
            parameters: &parameters,
            key: &wanted.key,
            machine_arn: &machine_arn,
            token: None,
            now: self.clock.now(),
            deadline: None,
            cause: wanted.cause.as_ref(),
        };
        let failure = match self.carry_out(&call).await? {
            Ok(output) => return Ok(Json::from(output.to_string())),
            Err(failure) => failure,
        };
        let error = failure.error.as_deref().unwrap_or("States.TaskFailed");
        // The name was made of the key: an earlier try started the execution, and nobody heard of that.
        if error.ends_with(".ExecutionAlreadyExistsException") && parameters["Name"].is_null() {
            return Ok(Json::from_static(b"{}"));
        }
        let code = if PASSING.iter().any(|name| error.ends_with(name)) { LATER } else { NEVER };
        Err(failed(code, error, failure.cause.as_deref().unwrap_or_default()))
    }

    /// Does what a task comes to, once.
    pub(super) async fn carry_out(&self, call: &Call<'_>) -> Result<Result<Value, Failure>, Problem> {
        let inner = self.me.upgrade().ok_or_else(stopping)?;
        Ok(match tasks::plan(&self.services, call) {
            Ok(Plan::External(work)) => work.await,
            Ok(Plan::Internal(plan)) => internal(inner, call.resource.clone(), plan).await,
            Err(failure) => Err(failure),
        })
    }
}
