//! How tasks fail: the errors that several of them share.

use headwater_base::Problem;

use super::{NAME_TAKEN, NO_WORKFLOW};
use crate::definition::resource::Service;
use crate::execution::Failure;

/// A problem, under its code as the error's name.
pub(super) fn of(problem: &Problem) -> Failure {
    Failure::new(problem.code.clone(), words(problem))
}

/// A problem's fact and what led to it.
pub(super) fn words(problem: &Problem) -> String {
    problem.causes.iter().fold(problem.title.clone(), |words, cause| format!("{words}: {cause}"))
}

/// Parameters that a task cannot take.
pub(super) fn parameters(fact: impl Into<String>) -> Failure {
    Failure::new("States.TaskFailed", fact)
}

/// No task of that name.
pub(super) fn unknown(service: &Service) -> Failure {
    Failure::new("States.TaskFailed", format!("there is no task `{}:{}`", service.name, service.full_verb()))
}

/// What a task needs is not part of this node.
pub(super) fn unwired(what: &str) -> Failure {
    Failure::new("States.TaskFailed", format!("`{what}` is not served here"))
}

/// How the recorded service calls a problem of starting an execution, by its code.
pub(super) fn service_error(problem: &Problem) -> Option<&'static str> {
    let errors = [
        (NO_WORKFLOW, "StateMachineDoesNotExistException"),
        (NAME_TAKEN, "ExecutionAlreadyExistsException"),
        ("HW-WORK-005", "InvalidExecutionInputException"),
    ];
    errors.iter().find(|(code, _)| *code == problem.code).map(|(_, name)| *name)
}
