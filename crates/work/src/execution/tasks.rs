//! Task states: starting what they call and taking what comes of it.

use std::sync::Arc;

use headwater_base::{Micros, Problem};
use serde_json::{Map, Value, json};

use super::event::{Attempt, Effect, StartTask, Timer};
use super::fault::Fault;
use super::history::Details;
use super::run::{Run, seconds_from};
use super::states::{Leave, too_large};
use super::{Failure, Phase, ThreadId};
use crate::definition::resource::Service;
use crate::definition::{Amount, Kind, Resource, State, Task, Term};

fn is_working(phase: &Phase) -> bool {
    matches!(phase, Phase::Working { .. })
}

impl<'a> Run<'a> {
    pub(super) fn task(&mut self, id: ThreadId, state: &State, task: &Task) -> Result<(), Fault> {
        let input = self.effective_input(id, state)?;
        let (timeout_s, heartbeat_s, credentials, token) = {
            let Some(scope) = self.scope(id, state, &input) else { return Ok(()) };
            let seconds = |amount: &Option<Amount>| -> Result<Option<u64>, Fault> {
                let Some(amount) = amount else { return Ok(None) };
                let value = scope.amount(amount)?;
                value.as_u64().filter(|seconds| *seconds > 0).map(Some).ok_or_else(|| positive(amount, &value))
            };
            let credentials = task.credentials.as_ref().map(|template| scope.template(template)).transpose()?;
            (seconds(&task.timeout)?, seconds(&task.heartbeat)?, credentials, scope.token())
        };
        let parameters = self.arguments(id, state)?;
        self.scheduled(id, &task.resource, &parameters, timeout_s, heartbeat_s);
        let attempt = self.attempt(id);
        let now = self.given.now;
        let phase = Phase::Working { timeout: timeout_s.is_some(), heartbeat_s, beat_at: now };
        self.wait_in(id, phase);
        let (state, resource) = (state.name.clone(), task.resource.clone());
        let start = StartTask { attempt, state, resource, parameters, credentials, token };
        self.step.effects.push(Effect::StartTask(Box::new(start)));
        let timers = [(Timer::Timeout(attempt), timeout_s), (Timer::Heartbeat(attempt), heartbeat_s)];
        for (timer, seconds) in timers {
            let due = seconds.map(|seconds| seconds_from(now, seconds));
            self.step.effects.extend(due.map(|due| Effect::SetTimer { timer, due }));
        }
        Ok(())
    }

    fn scheduled(
        &mut self,
        id: ThreadId,
        resource: &Resource,
        parameters: &Arc<Value>,
        timeout_s: Option<u64>,
        heartbeat_s: Option<u64>,
    ) {
        let mut fields = match resource {
            Resource::Service(service) => {
                let mut fields = named(service);
                fields.insert("region".to_owned(), json!(self.execution.identity.region));
                fields.insert("parameters".to_owned(), json!(parameters.to_string()));
                fields
            }
            Resource::Function { arn } | Resource::Activity { arn } => {
                let mut fields = Map::new();
                fields.insert("resource".to_owned(), json!(arn));
                fields.insert("input".to_owned(), json!(parameters.to_string()));
                fields.insert("inputDetails".to_owned(), json!({"truncated": false}));
                fields
            }
        };
        fields.extend(timeout_s.map(|seconds| ("timeoutInSeconds".to_owned(), json!(seconds))));
        fields.extend(heartbeat_s.map(|seconds| ("heartbeatInSeconds".to_owned(), json!(seconds))));
        let family = family(resource);
        self.follow(id, format!("{family}Scheduled"), Details::Task { fields });
        match resource {
            Resource::Service(service) => {
                self.follow(id, "TaskStarted", Details::Task { fields: named(service) });
            }
            Resource::Function { .. } => {
                self.follow(id, "LambdaFunctionStarted", Details::None);
            }
            // An activity's task starts when a worker takes it.
            Resource::Activity { .. } => {}
        }
    }

    pub(super) fn task_started(&mut self, attempt: Attempt, worker: Option<String>) -> Result<(), Problem> {
        let id = self.expect(attempt, is_working)?;
        let fields = worker.into_iter().map(|name| ("workerName".to_owned(), json!(name))).collect();
        self.follow(id, "ActivityStarted", Details::Task { fields });
        self.beat(id);
        Ok(())
    }

    pub(super) fn task_submitted(&mut self, attempt: Attempt, output: Value) -> Result<(), Problem> {
        let id = self.expect(attempt, is_working)?;
        super::admit(&output, self.given)?;
        if let Some(Resource::Service(service)) = self.resource(id) {
            let mut fields = named(service);
            fields.insert("output".to_owned(), json!(output.to_string()));
            fields.insert("outputDetails".to_owned(), json!({"truncated": false}));
            self.follow(id, "TaskSubmitted", Details::Task { fields });
        }
        Ok(())
    }

    pub(super) fn task_succeeded(&mut self, attempt: Attempt, output: Value) -> Result<(), Problem> {
        let id = self.expect(attempt, is_working)?;
        let (Some(state), Some(resource)) = (self.state(id), self.resource(id)) else { return Ok(()) };
        self.settle(id);
        if super::admit(&output, self.given).is_err() {
            self.raise(id, Fault::Named("States.DataLimitExceeded", too_large(&state.name)));
            return Ok(());
        }
        let mut fields = outcome(resource);
        fields.insert("output".to_owned(), json!(output.to_string()));
        fields.insert("outputDetails".to_owned(), json!({"truncated": false}));
        self.follow(id, format!("{}Succeeded", family(resource)), Details::Task { fields });
        if let Err(fault) = self.leave(id, state, Arc::new(output), &Leave::of(state)) {
            self.raise(id, fault);
        }
        Ok(())
    }

    pub(super) fn task_failed(&mut self, attempt: Attempt, failure: Failure) -> Result<(), Problem> {
        let id = self.expect(attempt, is_working)?;
        self.settle(id);
        self.task_event(id, "Failed", &failure);
        self.fail(id, failure);
        Ok(())
    }

    /// A task's own time is over.
    pub(super) fn task_timed_out(&mut self, attempt: Attempt, error: &str) {
        let Some(id) = self.waiting(attempt, is_working) else { return };
        self.release(id);
        self.wait_in(id, Phase::Leaving);
        let failure = Failure { error: Some(error.to_owned()), cause: None };
        self.task_event(id, "TimedOut", &failure);
        self.fail(id, failure);
    }

    fn task_event(&mut self, id: ThreadId, ending: &str, failure: &Failure) {
        let Some(resource) = self.resource(id) else { return };
        let mut fields = outcome(resource);
        fields.extend(failure.error.iter().map(|error| ("error".to_owned(), json!(error))));
        fields.extend(failure.cause.iter().map(|cause| ("cause".to_owned(), json!(cause))));
        self.follow(id, format!("{}{ending}", family(resource)), Details::Task { fields });
    }

    pub(super) fn heartbeat(&mut self, attempt: Attempt) -> Result<(), Problem> {
        let id = self.expect(attempt, is_working)?;
        self.beat(id);
        Ok(())
    }

    /// The heartbeat timer is not moved with every beat: when it fires it looks at the last one and sets itself anew.
    pub(super) fn heartbeat_due(&mut self, attempt: Attempt) {
        let Some(id) = self.waiting(attempt, is_working) else { return };
        let Some(Phase::Working { heartbeat_s: Some(seconds), beat_at, .. }) =
            self.execution.threads.get(&id).map(|thread| thread.phase.clone())
        else {
            return;
        };
        let due = seconds_from(beat_at, seconds);
        if due <= self.given.now {
            return self.task_timed_out(attempt, "States.HeartbeatTimeout");
        }
        self.step.effects.push(Effect::SetTimer { timer: Timer::Heartbeat(attempt), due });
    }

    fn beat(&mut self, id: ThreadId) {
        let now: Micros = self.given.now;
        if let Some(Phase::Working { beat_at, .. }) = self.thread(id).map(|thread| &mut thread.phase) {
            *beat_at = now;
        }
    }

    /// The task is over: nothing of it is under way any more.
    fn settle(&mut self, id: ThreadId) {
        let attempt = self.attempt(id);
        if let Some(Phase::Working { timeout, heartbeat_s, .. }) =
            self.execution.threads.get(&id).map(|thread| thread.phase.clone())
        {
            self.clear_task_timers(attempt, timeout, heartbeat_s.is_some());
        }
        self.wait_in(id, Phase::Leaving);
    }

    fn resource(&self, id: ThreadId) -> Option<&'a Resource> {
        match &self.state(id)?.kind {
            Kind::Task(task) => Some(&task.resource),
            _ => None,
        }
    }
}

/// The two fields that name a service's call in every event.
fn named(service: &Service) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("resource".to_owned(), json!(service.full_verb()));
    fields.insert("resourceType".to_owned(), json!(service.name));
    fields
}

fn outcome(resource: &Resource) -> Map<String, Value> {
    match resource {
        Resource::Service(service) => named(service),
        _ => Map::new(),
    }
}

/// How the events of a resource are called.
fn family(resource: &Resource) -> &'static str {
    match resource {
        Resource::Service(_) => "Task",
        Resource::Function { .. } => "LambdaFunction",
        Resource::Activity { .. } => "Activity",
    }
}

fn positive(amount: &Amount, value: &Value) -> Fault {
    let reason = format!("The {} field must be a positive integer but was: {value}", amount.field);
    match &amount.term {
        Term::Query(_) => {
            Fault::Query { message: reason, location: Some(amount.field.to_owned()), after_evaluation: true }
        }
        _ => Fault::Runtime(reason),
    }
}
