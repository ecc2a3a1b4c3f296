//! One step: from an event to the next effects.
//!
//! Threads run one after the other, each until it waits for something outside, so a chain of Pass and Choice states
//! costs one commit. The order is fixed by the data, never by chance or time.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::{Micros, Problem, never};
use serde_json::Value;

use super::event::{Attempt, Effect, Event, Given, Step, Timer};
use super::history::{Details, HistoryEvent};
use super::scope::Scope;
use super::{Data, Execution, Failure, Phase, Status, Thread, ThreadId};
use crate::chance::Chance;
use crate::definition::{Definition, Flavor, Kind, MachineId, State};

/// A step under way.
pub(super) struct Run<'a> {
    pub(super) definition: &'a Definition,
    pub(super) execution: &'a mut Execution,
    pub(super) given: &'a Given<'a>,
    pub(super) chance: RefCell<Chance>,
    pub(super) step: Step,
    /// Every thread as it was before a failure that nothing has handled so far began to take them down.
    pub(super) wreck: Option<BTreeMap<ThreadId, Thread>>,
    entered: usize,
}

pub(super) fn start(definition: &Definition, execution: &mut Execution, given: &Given<'_>) -> Step {
    let mut run = Run::new(definition, execution, given);
    let (input, role_arn) = (Arc::clone(&run.execution.input), run.execution.identity.role_arn.clone());
    run.record(0, "ExecutionStarted", Details::Started { input: Arc::clone(&input), role_arn });
    if let Some(seconds) = definition.timeout_s.filter(|_| run.execution.machine == 0) {
        run.step.effects.push(Effect::SetTimer { timer: Timer::Execution, due: seconds_from(given.now, seconds) });
    }
    let data = Data { input, ..Data::default() };
    let machine = run.execution.machine;
    run.spawn(None, 0, machine, 0, data);
    run.until_blocked();
    run.step
}

pub(super) fn step(
    definition: &Definition,
    execution: &mut Execution,
    event: Event,
    given: &Given<'_>,
) -> Result<Step, Problem> {
    let mut run = Run::new(definition, execution, given);
    run.take(event)?;
    run.until_blocked();
    Ok(run.step)
}

pub(super) fn redrive(definition: &Definition, execution: &mut Execution, given: &Given<'_>) -> Step {
    let mut run = Run::new(definition, execution, given);
    run.take_up();
    run.until_blocked();
    run.step
}

/// `seconds` after `now`.
pub(super) fn seconds_from(now: Micros, seconds: u64) -> Micros {
    now.plus(std::time::Duration::from_secs(seconds))
}

impl<'a> Run<'a> {
    pub(super) fn new(definition: &'a Definition, execution: &'a mut Execution, given: &'a Given<'a>) -> Self {
        let chance = RefCell::new(Chance::new(given.seed));
        Self { definition, execution, given, chance, step: Step::default(), wreck: None, entered: 0 }
    }

    fn until_blocked(&mut self) {
        while self.execution.status == Status::Running {
            if self.execution.events >= self.given.limits.history_events_max {
                let limit = self.given.limits.history_events_max;
                let cause = format!("The execution reached the maximum number of history events ({limit}).");
                return self.end_failed(Failure::new("States.Runtime", cause));
            }
            let Some(id) = self.execution.ready.pop_front() else { return };
            if self.entered == self.given.limits.entries_per_step_max {
                self.execution.ready.push_front(id);
                self.step.more = true;
                return;
            }
            self.entered += 1;
            self.advance(id);
        }
    }

    fn advance(&mut self, id: ThreadId) {
        let Some(state) = self.state(id) else { return };
        match self.execution.threads.get(&id).map(|thread| &thread.phase) {
            Some(Phase::Enter) => self.enter(id, state),
            Some(Phase::Rerun | Phase::Redrive) => {}
            other => {
                never!("a ready thread is in phase {other:?}");
                return;
            }
        }
        if let Err(fault) = self.work(id, state) {
            self.raise(id, fault);
        }
    }

    pub(super) fn enter(&mut self, id: ThreadId, state: &State) {
        self.execution.visits += 1;
        let (visit, now) = (self.execution.visits, self.given.now);
        let Some(thread) = self.thread(id) else { return };
        (thread.visit, thread.attempt, thread.entered_at) = (visit, 0, now);
        thread.retried = vec![0; state.retry.len()];
        let (after, input) = (thread.cursor, Arc::clone(&thread.data.input));
        let event = self.record(after, state.kind.entered(), Details::Entered { name: state.name.clone(), input });
        if let Some(thread) = self.thread(id) {
            (thread.entered, thread.entered_after, thread.cursor) = (event, after, event);
        }
    }

    /// Writes an event and answers with its number.
    pub(super) fn record(&mut self, previous: u64, kind: impl Into<Cow<'static, str>>, details: Details) -> u64 {
        self.execution.events += 1;
        let id = self.execution.events;
        self.step.history.push(HistoryEvent { id, previous, at: self.given.now, kind: kind.into(), details });
        id
    }

    /// Writes an event that the thread's next one follows.
    pub(super) fn follow(&mut self, id: ThreadId, kind: impl Into<Cow<'static, str>>, details: Details) -> u64 {
        let event = self.record(self.cursor(id), kind, details);
        if let Some(thread) = self.thread(id) {
            thread.cursor = event;
        }
        event
    }

    pub(super) fn cursor(&self, id: ThreadId) -> u64 {
        self.execution.threads.get(&id).map_or(0, |thread| thread.cursor)
    }

    /// A thread to be changed; its record counts as changed.
    pub(super) fn thread(&mut self, id: ThreadId) -> Option<&mut Thread> {
        let thread = self.execution.threads.get_mut(&id);
        if thread.is_none() {
            never!("there is no thread {id}");
        }
        self.step.changed.threads.insert(id);
        thread
    }

    /// The large part of a thread, to be changed.
    pub(super) fn data(&mut self, id: ThreadId) -> Option<&mut Data> {
        self.step.changed.data.insert(id);
        self.execution.threads.get_mut(&id).map(|thread| &mut thread.data)
    }

    /// The state a thread is in.
    pub(super) fn state(&self, id: ThreadId) -> Option<&'a State> {
        let thread = self.execution.threads.get(&id)?;
        let state = self.definition.state(thread.machine, thread.state);
        if state.is_none() {
            never!("thread {id} is in a state that the definition does not have");
        }
        state
    }

    /// What the expressions of the thread's state see with `input` as `$`.
    pub(super) fn scope<'s>(&'s self, id: ThreadId, state: &'s State, input: &'s Value) -> Option<Scope<'s>> {
        Some(Scope {
            execution: self.execution,
            id,
            thread: self.execution.threads.get(&id)?,
            state,
            given: self.given,
            chance: &self.chance,
            input,
            result: None,
            error_output: None,
            item: None,
        })
    }

    /// Starts a thread at the start of a machine.
    pub(super) fn spawn(
        &mut self,
        parent: Option<ThreadId>,
        slot: u32,
        machine: MachineId,
        cursor: u64,
        data: Data,
    ) -> ThreadId {
        let id = self.execution.next_thread;
        self.execution.next_thread += 1;
        let start = usize::try_from(machine).ok().and_then(|at| self.definition.machines.get(at)).map(|m| m.start);
        let thread = Thread {
            parent,
            slot,
            machine,
            state: start.unwrap_or(0),
            cursor,
            entered: 0,
            entered_after: 0,
            entered_at: self.given.now,
            visit: 0,
            attempt: 0,
            retried: Vec::new(),
            phase: Phase::Enter,
            data,
        };
        self.execution.threads.insert(id, thread);
        self.execution.ready.push_back(id);
        self.step.changed.threads.insert(id);
        self.step.changed.data.insert(id);
        id
    }

    /// Puts a thread into a phase in which it waits.
    pub(super) fn wait_in(&mut self, id: ThreadId, phase: Phase) {
        if let Some(thread) = self.thread(id) {
            thread.phase = phase;
        }
    }

    pub(super) fn attempt(&self, id: ThreadId) -> Attempt {
        let thread = self.execution.threads.get(&id);
        thread.map_or(Attempt { thread: id, visit: 0, number: 0 }, |thread| thread.attempt_id(id))
    }

    /// Removes a thread.
    pub(super) fn remove(&mut self, id: ThreadId) -> Option<Thread> {
        self.execution.ready.retain(|ready| *ready != id);
        self.step.changed.gone.insert(id);
        self.execution.threads.remove(&id)
    }

    /// Stops what a thread has under way outside.
    pub(super) fn release(&mut self, id: ThreadId) {
        let attempt = self.attempt(id);
        match self.execution.threads.get(&id).map(|thread| thread.phase.clone()) {
            Some(Phase::Waiting) => self.step.effects.push(Effect::ClearTimer(Timer::Wait(attempt))),
            Some(Phase::Backoff) => self.step.effects.push(Effect::ClearTimer(Timer::Retry(attempt))),
            Some(Phase::Working { timeout, heartbeat_s, .. }) => {
                self.clear_task_timers(attempt, timeout, heartbeat_s.is_some());
                self.step.effects.push(Effect::StopTask(attempt));
            }
            Some(Phase::MapRun) => self.step.effects.push(Effect::StopMapRun(attempt)),
            _ => {}
        }
    }

    pub(super) fn clear_task_timers(&mut self, attempt: Attempt, timeout: bool, heartbeat: bool) {
        if timeout {
            self.step.effects.push(Effect::ClearTimer(Timer::Timeout(attempt)));
        }
        if heartbeat {
            self.step.effects.push(Effect::ClearTimer(Timer::Heartbeat(attempt)));
        }
    }

    pub(super) fn end_succeeded(&mut self, after: u64, output: Arc<Value>) {
        self.record(after, "ExecutionSucceeded", Details::Succeeded { output: Arc::clone(&output) });
        self.end(Status::Succeeded(output));
    }

    pub(super) fn end_failed(&mut self, failure: Failure) {
        let after = self.execution.threads.values().find(|thread| thread.parent.is_none()).map_or(0, |t| t.cursor);
        self.record(after, "ExecutionFailed", Details::Failed(failure.clone()));
        self.end(Status::Failed(failure));
    }

    /// Ends the execution. Of one that did not succeed the threads stay as they were, to be taken up again.
    pub(super) fn end(&mut self, status: Status) {
        let kept = match (&status, self.execution.flavor) {
            (Status::Succeeded(_), _) | (_, Flavor::Express) => BTreeMap::new(),
            _ => self.wreck.take().unwrap_or_else(|| self.execution.threads.clone()),
        };
        let threads: Vec<ThreadId> = self.execution.threads.keys().copied().collect();
        for id in threads {
            self.release(id);
            self.remove(id);
        }
        self.execution.ready.clear();
        if self.definition.timeout_s.is_some() && self.execution.machine == 0 {
            self.step.effects.push(Effect::ClearTimer(Timer::Execution));
        }
        for id in kept.keys() {
            self.step.changed.gone.remove(id);
            self.step.changed.threads.insert(*id);
            self.step.changed.data.insert(*id);
        }
        self.execution.threads = kept;
        self.execution.status = status.clone();
        self.step.effects.push(Effect::Ended(status));
        self.step.more = false;
    }

    /// Does what the state is for.
    pub(super) fn work(&mut self, id: ThreadId, state: &'a State) -> Result<(), super::fault::Fault> {
        match &state.kind {
            Kind::Pass { result } => self.pass(id, state, result.as_ref()),
            Kind::Task(task) => self.task(id, state, task),
            Kind::Choice { rules, default } => self.choice(id, state, rules, *default),
            Kind::Wait(until) => self.wait(id, state, until),
            Kind::Succeed => self.succeed(id, state),
            Kind::Fail { error, cause } => self.fail_state(id, state, error.as_ref(), cause.as_ref()),
            Kind::Parallel { branches } => self.parallel(id, state, branches),
            Kind::Map(map) => self.map(id, state, map),
        }
    }
}

impl Thread {
    pub(super) fn attempt_id(&self, id: ThreadId) -> Attempt {
        Attempt { thread: id, visit: self.visit, number: self.attempt }
    }
}
