//! A state on trial: one state of a definition, entered with a given input, its result given or called for real.
//!
//! The request and the answer have the shape of `TestState`: `inspectionLevel` `DEBUG` and `TRACE` show the data after
//! each field was applied, `mock` takes the place of what is outside, `stateConfiguration` says what went before.
//! What is behind the state never runs. States whose outside lasts (activities, `.sync`, callbacks, Map, Parallel)
//! are tried with a mock only.
//!
//! What it is NOT: a trial of the service behind a call; a mock is held against what it answers ([`model`]), no more.
//! Source: "TestState", AWS Step Functions API Reference; "Using TestState API to test a state", Developer Guide.

mod inspect;
mod model;
mod request;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use headwater_base::{Micros, Problem};
use serde_json::{Map, Value, json};

use super::event::{Effect, Event, Given, StartTask, Timer};
use super::history::{Details, HistoryEvent};
use super::run::Run;
use super::states::Leave;
use super::{Attempt, Data, Execution, Failure, Phase, Status, ThreadId};
use crate::definition::{Definition, Flavor, Kind, MachineId, Resource, State, StateId};

use model::Mode;
use request::{Level, Request};

/// The one thread of a trial.
const THREAD: ThreadId = 0;

/// A state on trial.
#[derive(Debug)]
pub struct Trial {
    definition: Definition,
    execution: Execution,
    request: Request,
    machine: MachineId,
    state: StateId,
    seen: Map<String, Value>,
    history: Vec<HistoryEvent>,
    /// What is to be called, where no mock takes its place.
    call: Option<Box<StartTask>>,
    backoff: Option<Micros>,
    /// Which catcher and which retrier the error met.
    handled: Option<(&'static str, usize)>,
    /// What a Map or Parallel state as a whole failed with.
    met: Option<Failure>,
    /// When it takes place, whatever its context says.
    now: Micros,
}

impl Trial {
    /// Enters the state and goes as far as what it does outside.
    ///
    /// # Errors
    /// `HW-WORK-001` for a definition with faults, `HW-WORK-008` for a request that cannot be, `HW-WORK-009` for a Map or
    /// Parallel without a mock.
    pub fn begin(request: &Map<String, Value>, given: &Given<'_>) -> Result<Self, Problem> {
        let (request, text) = Request::read(request, given.limits)?;
        let definition = Definition::load(&text, Flavor::Standard, given.limits)?;
        let (machine, state) = request.place(&definition)?;
        let execution = request.execution(&definition, machine, state, given);
        let mut trial = Self {
            definition,
            execution,
            request,
            machine,
            state,
            seen: Map::new(),
            history: Vec::new(),
            call: None,
            backoff: None,
            handled: None,
            met: None,
            now: given.now,
        };
        trial.admitted()?;
        let said = trial.request.token.clone();
        let token = |attempt: &Attempt| said.clone().unwrap_or_else(|| (given.token)(attempt));
        trial.enter(&Given { now: given.now, seed: given.seed, token: &token, limits: given.limits });
        Ok(trial)
    }

    /// What is to be called before [`Trial::end`]; None where nothing is.
    pub fn call(&self) -> Option<&StartTask> {
        self.call.as_deref()
    }

    /// Takes what came of the call and answers.
    pub fn end(mut self, outcome: Option<Result<Value, Failure>>, given: &Given<'_>) -> Map<String, Value> {
        if let (Some(outcome), Some(call)) = (outcome, self.call.take()) {
            self.result(outcome, &call, given);
        }
        self.answer()
    }

    fn here(&self) -> Option<&State> {
        self.definition.state(self.machine, self.state)
    }

    /// States that last need a mock, and states that call nothing take none.
    fn admitted(&self) -> Result<(), Problem> {
        let Some(state) = self.here() else { return Ok(()) };
        self.request.concerns(state)?;
        if let Some(mock) = &self.request.mock {
            return fits(state, mock, self.request.mode);
        }
        // The service tells these apart: a type that it does not try, and a task that it does not.
        let code = match &state.kind {
            Kind::Map(_) | Kind::Parallel { .. } => "HW-WORK-009",
            Kind::Task(task) if task.resource.lasts() => "HW-WORK-008",
            _ => return Ok(()),
        };
        let title = format!("state `{}` can only be tried with a mock", state.name);
        Err(Problem::new(code, title).help(
            "give `mock.result` or `mock.errorOutput`; `.sync`, callbacks, activities, Map and Parallel need one",
        ))
    }

    /// Enters the state, and takes the mock where there is one.
    fn enter(&mut self, given: &Given<'_>) {
        self.seen.insert("input".to_owned(), json!(self.request.input.to_string()));
        let mock = self.request.mock.clone();
        let (retries, level) = (self.request.retries, self.request.level);
        let (failures, stay) = (self.request.failed_iterations, self.request.stay);
        let mut seen = std::mem::take(&mut self.seen);
        let (step, met) = {
            let mut run = Run::new(&self.definition, &mut self.execution, given);
            let Some(state) = run.state(THREAD) else { return };
            run.enter(THREAD, state);
            let met = match (&mock, &state.kind, failures) {
                (Some(Err(failure)), ..) => Ok(Some(failure.clone())),
                (Some(Ok(_)), Kind::Map(map), Some(failed)) => {
                    run.exceeded(state, map, failed, &self.request.reader_items)
                }
                _ => Ok(None),
            };
            if let Ok(Some(failure)) = &met {
                run.tried(THREAD, state, retries, failure);
            }
            if let Some(thread) = run.thread(THREAD) {
                thread.entered_at = stay.entered.unwrap_or(thread.entered_at);
                // Those that no retrier of the mocked error has counted.
                let counted: u32 = thread.retried.iter().sum();
                thread.retried.extend(stay.retries.and_then(|retries| retries.checked_sub(counted)));
            }
            if level != Level::Info {
                run.inspect_input(THREAD, state, &self.request.reader_items, &mut seen);
            }
            let whole = matches!(state.kind, Kind::Map(_) | Kind::Parallel { .. });
            let outcome = match (&met, &mock) {
                // What is inside does not run: the mock is the whole state's result.
                (Ok(Some(failure)), _) if whole => {
                    run.fail(THREAD, failure.clone());
                    Ok(())
                }
                (Ok(None), Some(Ok(result))) if whole => run.whole(state, result.clone(), &mut seen),
                (Err(fault), _) => Err(fault.clone()),
                _ => run.work(THREAD, state),
            };
            if let Err(fault) = outcome {
                run.raise(THREAD, fault);
            }
            (run.step, met.ok().flatten().filter(|_| whole))
        };
        (self.seen, self.met) = (seen, met);
        self.note(step);
        if let Some(Phase::Waiting) = self.execution.threads.get(&THREAD).map(|thread| thread.phase.clone()) {
            self.waited(given);
        }
        if let Some(mock) = mock
            && let Some(call) = self.call.take()
        {
            self.result(mock, &call, given);
        }
    }

    /// A Wait state is over at once: a trial has no time to lose.
    fn waited(&mut self, given: &Given<'_>) {
        let mut run = Run::new(&self.definition, &mut self.execution, given);
        let timer = Timer::Wait(run.attempt(THREAD));
        if run.take(Event::Timer(timer)).is_ok() {
            let step = run.step;
            self.note(step);
        }
    }

    /// Takes what a task came to.
    fn result(&mut self, outcome: Result<Value, Failure>, call: &StartTask, given: &Given<'_>) {
        if self.request.level == Level::Trace {
            inspect::exchange(call, outcome.as_ref().ok(), &mut self.seen);
        }
        let level = self.request.level;
        let mut seen = std::mem::take(&mut self.seen);
        let step = {
            let mut run = Run::new(&self.definition, &mut self.execution, given);
            let event = match outcome {
                Ok(output) => {
                    if let Some(state) = run.state(THREAD).filter(|_| level != Level::Info) {
                        run.inspect_result(THREAD, state, &output, &mut seen);
                    }
                    Event::TaskSucceeded { attempt: call.attempt, output }
                }
                Err(failure) => Event::TaskFailed { attempt: call.attempt, failure },
            };
            match run.take(event) {
                Ok(()) => Some(run.step),
                Err(_) => None,
            }
        };
        self.seen = seen;
        if let Some(step) = step {
            self.note(step);
        }
    }

    fn note(&mut self, step: super::Step) {
        for effect in step.effects {
            match effect {
                Effect::StartTask(task) => self.call = Some(task),
                Effect::SetTimer { timer: Timer::Retry(_), due } => self.backoff = Some(due),
                _ => {}
            }
        }
        self.history.extend(step.history);
    }

    fn answer(mut self) -> Map<String, Value> {
        let failure = self.failure();
        let exited = self.history.iter().rev().find_map(|event| match &event.details {
            Details::Exited { output, .. } => Some(Arc::clone(output)),
            _ => None,
        });
        let next = self.execution.threads.get(&THREAD).filter(|thread| thread.phase == Phase::Enter);
        let next = next.and_then(|thread| self.definition.state(thread.machine, thread.state));
        let next = next.map(|state| state.name.clone()).filter(|_| exited.is_some());
        let retried = self.backoff.is_some();
        let status = match (&failure, &exited) {
            (Some(_), _) if retried => "RETRIABLE",
            (Some(_), Some(_)) => "CAUGHT_ERROR",
            (None, Some(_)) => "SUCCEEDED",
            _ => "FAILED",
        };
        let mut answer = Map::new();
        answer.extend(exited.filter(|_| !retried).map(|output| ("output".to_owned(), json!(output.to_string()))));
        if let Some(failure) = &failure {
            answer.extend(failure.error.iter().map(|error| ("error".to_owned(), json!(error))));
            answer.extend(failure.cause.iter().map(|cause| ("cause".to_owned(), json!(cause))));
        }
        answer.extend(next.map(|next| ("nextState".to_owned(), json!(next))));
        answer.insert("status".to_owned(), json!(status));
        if self.request.level != Level::Info {
            if let Some(failure) = &failure {
                self.handled_by(failure);
            }
            if let Some((field, index)) = self.handled {
                let mut details = json!({ field: index });
                if let (Some(due), Some(details)) = (self.backoff, details.as_object_mut()) {
                    let seconds = due.since(self.now).as_secs_f64().round();
                    details.insert("retryBackoffIntervalSeconds".to_owned(), json!(seconds as u64));
                }
                self.seen.insert("errorDetails".to_owned(), details);
            }
            let mut variables = self.request.variables.clone();
            for event in &self.history {
                if let Details::Exited { assigned: Some(assigned), .. } = &event.details {
                    variables.extend(assigned.clone());
                }
            }
            if !variables.is_empty() {
                self.seen.insert("variables".to_owned(), json!(Value::Object(variables).to_string()));
            }
            answer.insert("inspectionData".to_owned(), Value::Object(self.seen));
        }
        answer
    }

    /// The error the state met, whether or not something handled it.
    fn failure(&self) -> Option<Failure> {
        if let Status::Failed(failure) = &self.execution.status {
            return Some(failure.clone());
        }
        if let Some(Err(failure)) = &self.request.mock {
            return Some(failure.clone());
        }
        if let Some(failure) = &self.met {
            return Some(failure.clone());
        }
        self.history.iter().rev().find_map(|event| match &event.details {
            Details::Failed(failure) | Details::Evaluation { failure, .. } => Some(failure.clone()),
            Details::Task { fields } if fields.contains_key("error") => {
                let text = |field: &str| fields.get(field).and_then(Value::as_str).map(str::to_owned);
                Some(Failure { error: text("error"), cause: text("cause") })
            }
            _ => None,
        })
    }

    /// Which of the state's own handlers took the error.
    fn handled_by(&mut self, failure: &Failure) {
        let Some(state) = self.here() else { return };
        let retrier = state.retry.iter().position(|retrier| super::handle::names(&retrier.errors, failure));
        let catcher = state.catch.iter().position(|catcher| super::handle::names(&catcher.errors, failure));
        self.handled = match (self.backoff, retrier, catcher) {
            (Some(_), Some(index), _) => Some(("retryIndex", index)),
            (None, _, Some(index)) => Some(("catchIndex", index)),
            _ => None,
        };
    }
}

impl Run<'_> {
    /// Sets how often the retrier for the mocked error was tried before.
    fn tried(&mut self, id: ThreadId, state: &State, retries: u32, failure: &Failure) {
        let retrier = state.retry.iter().position(|retrier| super::handle::names(&retrier.errors, failure));
        if let (Some(count), Some(thread)) = (retrier, self.thread(id)) {
            if let Some(count) = thread.retried.get_mut(count) {
                *count = retries;
            }
            thread.attempt = retries;
        }
    }

    /// Leaves a Map or Parallel state with a result given for the whole of it.
    fn whole(
        &mut self,
        state: &State,
        result: Value,
        seen: &mut Map<String, Value>,
    ) -> Result<(), super::fault::Fault> {
        self.inspect_result(THREAD, state, &result, seen);
        self.leave(THREAD, state, Arc::new(result), &Leave::of(state))
    }
}

/// Whether a mock can take the place of what a state does: of a whole Map or Parallel state its result has a form.
fn fits(state: &State, mock: &Result<Value, Failure>, mode: Mode) -> Result<(), Problem> {
    let fact = match (&state.kind, mock) {
        (Kind::Task(_) | Kind::Map(_) | Kind::Parallel { .. }, Err(_)) => return Ok(()),
        (Kind::Task(task), Ok(result)) => {
            let Resource::Service(service) = &task.resource else { return Ok(()) };
            let Some(fault) = model::fault(service, result, mode) else { return Ok(()) };
            let fact = format!("the mock is no answer of `{}:{}`: {fault}", service.name, service.full_verb());
            return Err(Problem::new("HW-WORK-008", fact)
                .help("`fieldValidationMode` `PRESENT` asks for no member, and `NONE` takes any result"));
        }
        (Kind::Map(map), Ok(result)) if map.writer.is_some() => {
            if result.is_object() {
                return Ok(());
            }
            "the mocked result of a Map with a `ResultWriter` is an object".to_owned()
        }
        (Kind::Map(_), Ok(result)) => {
            if result.is_array() {
                return Ok(());
            }
            "the mocked result of a Map is an array".to_owned()
        }
        (Kind::Parallel { branches }, Ok(result)) => {
            if result.as_array().is_some_and(|results| results.len() == branches.len()) {
                return Ok(());
            }
            format!("the mocked result of state `{}` is an array of {} results", state.name, branches.len())
        }
        (kind, _) => format!("a state of type `{}` takes no mock", kind.name()),
    };
    Err(Problem::new("HW-WORK-008", fact).help("only Task, Map and Parallel states are tried with a mock"))
}

/// A thread that stands before its state, in an execution of nothing else.
fn alone(execution: &mut Execution, machine: MachineId, state: StateId, data: Data) {
    let thread = super::Thread {
        parent: None,
        slot: 0,
        machine,
        state,
        cursor: 1,
        entered: 0,
        entered_after: 0,
        entered_at: execution.started,
        visit: 0,
        attempt: 0,
        retried: Vec::new(),
        phase: Phase::Enter,
        data,
    };
    execution.threads = BTreeMap::from([(THREAD, thread)]);
    execution.ready = VecDeque::new();
    execution.next_thread = 1;
    execution.events = 1;
}

#[cfg(test)]
mod tests;
