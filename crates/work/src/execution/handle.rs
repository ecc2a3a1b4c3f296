//! Events from outside, and errors: retriers, catchers, and giving up.

use headwater_base::Problem;

use super::event::{Attempt, Effect, Event, Timer};
use super::fault::Fault;
use super::history::Details;
use super::run::Run;
use super::states::Leave;
use super::{Failure, Phase, Status, ThreadId};
use crate::definition::{Catcher, Kind, Next, Retrier, Selection, State};

/// Errors that neither retriers nor catchers see.
const FATAL: &str = "States.Runtime";

impl Run<'_> {
    /// Applies an event; the threads run afterwards.
    pub(super) fn take(&mut self, event: Event) -> Result<(), Problem> {
        match event {
            Event::Continue => Ok(()),
            Event::Abort(failure) => {
                // The service hangs this event off nothing.
                self.record(0, "ExecutionAborted", Details::Failed(failure.clone()));
                self.end(Status::Aborted(failure));
                Ok(())
            }
            Event::Timer(timer) => {
                self.timer(timer);
                Ok(())
            }
            Event::TaskStarted { attempt, worker } => self.task_started(attempt, worker),
            Event::TaskSubmitted { attempt, output } => self.task_submitted(attempt, output),
            Event::TaskSucceeded { attempt, output } => self.task_succeeded(attempt, output),
            Event::TaskFailed { attempt, failure } => self.task_failed(attempt, failure),
            Event::Heartbeat { attempt } => self.heartbeat(attempt),
            Event::MapRunEnded { attempt, outcome } => self.map_run_ended(attempt, outcome),
        }
    }

    /// The thread that waits for this attempt in a phase that `waits` accepts.
    pub(super) fn waiting(&self, attempt: Attempt, waits: fn(&Phase) -> bool) -> Option<ThreadId> {
        let thread = self.execution.threads.get(&attempt.thread)?;
        (thread.attempt_id(attempt.thread) == attempt && waits(&thread.phase)).then_some(attempt.thread)
    }

    /// The same for a result from outside, which may be late.
    pub(super) fn expect(&self, attempt: Attempt, waits: fn(&Phase) -> bool) -> Result<ThreadId, Problem> {
        self.waiting(attempt, waits).ok_or_else(|| {
            let Attempt { thread, visit, number } = attempt;
            Problem::new(
                "HW-WORK-004",
                format!(
                    "attempt {number} of visit {visit} (thread {thread}) is over; its result comes too late or twice"
                ),
            )
            .help("drop the result: the workflow went on without it")
        })
    }

    /// A timer that nobody waits for any more is nothing: clearing it and its firing may cross.
    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::Wait(attempt) => {
                let Some(id) = self.waiting(attempt, |phase| *phase == Phase::Waiting) else { return };
                let Some(state) = self.state(id) else { return };
                self.wait_in(id, Phase::Leaving);
                let left =
                    self.effective_input(id, state).and_then(|input| self.leave(id, state, input, &Leave::of(state)));
                if let Err(fault) = left {
                    self.raise(id, fault);
                }
            }
            Timer::Retry(attempt) => {
                let Some(id) = self.waiting(attempt, |phase| *phase == Phase::Backoff) else { return };
                self.wait_in(id, Phase::Rerun);
                self.execution.ready.push_back(id);
            }
            Timer::Timeout(attempt) => self.task_timed_out(attempt, "States.Timeout"),
            Timer::Heartbeat(attempt) => self.heartbeat_due(attempt),
            Timer::Execution => {
                self.record(0, "ExecutionTimedOut", Details::Failed(Failure::default()));
                self.end(Status::TimedOut(Failure::default()));
            }
        }
    }

    /// Makes a fault of the thread's state an error with a name, and handles it.
    pub(super) fn raise(&mut self, id: ThreadId, fault: Fault) {
        let Some(state) = self.state(id) else { return };
        let Some(thread) = self.execution.threads.get(&id) else { return };
        let (entered, after) = (thread.entered, thread.entered_after);
        let prefix = format!(
            "An error occurred while executing the state '{}' (entered at the event id #{entered}).",
            state.name
        );
        match fault {
            Fault::Runtime(message) => self.give_up(id, Failure::new(FATAL, format!("{prefix} {message}")), state),
            Fault::Named("States.DataLimitExceeded", cause) => {
                self.fail(id, Failure::new("States.DataLimitExceeded", cause));
            }
            Fault::Named(error, message) => self.fail(id, Failure::new(error, format!("{prefix} {message}"))),
            Fault::Query { message, location, after_evaluation } => {
                let failure = Failure::new("States.QueryEvaluationError", format!("{prefix} {message}"));
                // A failed evaluation hangs off the event before the state, an unfit value off the state's own.
                let previous = if after_evaluation { self.cursor(id) } else { after };
                let details = Details::Evaluation { failure: failure.clone(), state: state.name.clone(), location };
                let event = self.record(previous, "EvaluationFailed", details);
                if let Some(thread) = self.thread(id) {
                    thread.cursor = event;
                }
                self.fail(id, failure);
            }
        }
    }

    /// Handles an error of the thread's state: the first retrier with attempts left, else the first catcher, else up.
    pub(super) fn fail(&mut self, id: ThreadId, failure: Failure) {
        let Some(state) = self.state(id) else { return };
        if failure.error.as_deref() == Some(FATAL) {
            return self.give_up(id, failure, state);
        }
        self.cancel(id);
        if self.retried(id, state, &failure) {
            return;
        }
        if matches!(state.kind, Kind::Map(_) | Kind::Parallel { .. }) {
            self.follow(id, format!("{}StateFailed", state.kind.name()), Details::None);
        }
        match state.catch.iter().find(|catcher| names(&catcher.errors, &failure)) {
            Some(catcher) => self.caught(id, state, catcher, &failure),
            None => self.thread_failed(id, failure),
        }
    }

    /// An error that nothing handles.
    fn give_up(&mut self, id: ThreadId, failure: Failure, state: &State) {
        self.cancel(id);
        let running = self.execution.threads.get(&id).map(|thread| &thread.phase);
        if matches!(running, Some(Phase::Joining { .. } | Phase::Mapping { .. })) {
            self.follow(id, format!("{}StateFailed", state.kind.name()), Details::None);
        }
        self.thread_failed(id, failure);
    }

    fn retried(&mut self, id: ThreadId, state: &State, failure: &Failure) -> bool {
        let Some((number, retrier)) = state.retry.iter().enumerate().find(|(_, r)| names(&r.errors, failure)) else {
            return false;
        };
        let before = self.execution.threads.get(&id).and_then(|t| t.retried.get(number)).copied().unwrap_or(0);
        if before >= retrier.attempts_max {
            return false;
        }
        let delay = self.delay(retrier, before);
        if let Some(thread) = self.thread(id) {
            thread.attempt += 1;
            thread.phase = Phase::Backoff;
            if let Some(count) = thread.retried.get_mut(number) {
                *count += 1;
            }
        }
        let timer = Timer::Retry(self.attempt(id));
        self.step.effects.push(Effect::SetTimer { timer, due: self.given.now.plus(delay) });
        true
    }

    /// `IntervalSeconds * BackoffRate ^ before`, bounded, and drawn from 0 to that with full jitter.
    fn delay(&self, retrier: &Retrier, before: u32) -> std::time::Duration {
        const LONGEST_S: f64 = 31_622_400.0;
        let exponent = i32::try_from(before).unwrap_or(i32::MAX);
        #[expect(clippy::cast_precision_loss, reason = "both are at most a year")]
        let (interval, longest) =
            (retrier.interval_s as f64, retrier.delay_max_s.map_or(LONGEST_S, |seconds| seconds as f64));
        let seconds = (interval * retrier.backoff_rate.powi(exponent)).min(longest).min(LONGEST_S);
        let share = if retrier.jitter { self.chance.borrow_mut().unit() } else { 1.0 };
        std::time::Duration::from_secs_f64(seconds * share)
    }

    fn caught(&mut self, id: ThreadId, state: &State, catcher: &Catcher, failure: &Failure) {
        let leave = Leave {
            output: catcher.output.as_ref(),
            assign: catcher.assign.as_ref(),
            result_path: &catcher.result_path,
            output_path: &Selection::Whole,
            next: Next::State(catcher.next),
            caught: true,
        };
        if let Err(fault) = self.leave(id, state, failure.output().into(), &leave) {
            // A catcher cannot catch its own fault.
            let message = match fault {
                Fault::Runtime(message) | Fault::Named(_, message) | Fault::Query { message, .. } => message,
            };
            self.thread_failed(id, Failure::new(FATAL, message));
        }
    }
}

/// Whether a retrier or catcher with these names is for this failure.
pub(super) fn names(errors: &[String], failure: &Failure) -> bool {
    let error = failure.error.as_deref().unwrap_or_default();
    errors.iter().any(|name| match name.as_str() {
        "States.ALL" => error != "States.DataLimitExceeded",
        "States.TaskFailed" => !["States.Timeout", "States.HeartbeatTimeout"].contains(&error),
        "States.Timeout" => error == "States.Timeout" || error == "States.HeartbeatTimeout",
        name => name == error,
    })
}
