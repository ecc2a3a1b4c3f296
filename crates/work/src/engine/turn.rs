//! One execution's part of a commit: events go in, and rows, history, timers and things to do come out.
//!
//! A turn runs from effect to effect in memory. An internal task (table writes, records, starts) is done in the very
//! commit of the step that asked for it, so its answer is fed back at once and the chain goes on. Should the tables
//! refuse its writes, the turn goes back to the moment before the answer and takes the refusal instead.

mod map;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::Cause;
use headwater_kernel::port::tables::Write;
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView, StartExecution};
use headwater_log::{Append, Log, View};

use super::Inner;
use super::index::RunName;
use super::message::Message;
use super::rows::{self, Alarm, AlarmKey, Head, Key, Parent, Tag, Task};
use crate::definition::resource::{Pattern, Service};
use crate::definition::{Definition, Resource};
use crate::execution::event::Changed;
use crate::execution::record::codec::Large;
use crate::execution::record::{self, Part};
use crate::execution::weight::Weight;
use crate::execution::{
    Attempt, Begin, Effect, Event, Execution, Failure, Given, HistoryEvent, StartTask, Status, Step, Timer,
};
use crate::tasks::{self, Answer, Done, Internal, Plan, Refusal};

/// Events of history in one commit of an execution, after which its next internal task waits for the next commit.
const EVENTS_MAX: usize = 500;
/// What a pointer to a blob takes in memory, about.
const POINTER_BYTES: usize = 48;

/// See the file's head.
pub(super) struct Turn {
    pub(super) key: Key,
    pub(super) head: Head,
    pub(super) execution: Execution,
    pub(super) definition: Arc<Definition>,
    /// Nothing of it is stored yet.
    pub(super) fresh: bool,
    /// The blobs it points to.
    pub(super) kept: BTreeSet<[u8; 32]>,
    /// About what it takes in memory, where that was asked for.
    weight: Option<Weight>,
    /// Payloads that its rows name.
    pub(super) large: Large,
    changed: Changed,
    pub(super) history: Vec<HistoryEvent>,
    rows: BTreeMap<Bytes, Option<Bytes>>,
    alarms: BTreeMap<AlarmKey, Option<Micros>>,
    pub(super) writes: Vec<Guarded>,
    pub(super) appends: Vec<Arc<Append>>,
    /// Whether its state is to be told on the bus.
    pub(super) told: Vec<ExecutionState>,
    /// Map Runs that begin, by their names.
    pub(super) named: Vec<(RunName, Attempt)>,
    pub(super) after: Vec<After>,
    inbox: VecDeque<Event>,
}

/// Writes of one internal task, and the way back.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) writes: Vec<Write>,
    attempt: Attempt,
    service: Service,
    refused: fn(&Service, Refusal<'_>) -> Failure,
    before: Arc<Before>,
    /// Makes the answer of what was done; None where the answer was known before.
    answer: Option<Later>,
}

/// A turn as it was before an internal task. What only grows is a length here.
struct Before {
    head: Head,
    execution: Execution,
    changed: Changed,
    rows: BTreeMap<Bytes, Option<Bytes>>,
    alarms: BTreeMap<AlarmKey, Option<Micros>>,
    after: Vec<After>,
    inbox: VecDeque<Event>,
    history: usize,
    large: usize,
    writes: usize,
    appends: usize,
    told: usize,
    named: usize,
}

/// An answer that is taken once.
type Later = Arc<parking_lot::Mutex<Option<Answer>>>;

/// What follows once the commit has its place.
#[derive(Clone, Debug)]
pub(super) enum After {
    /// Do an external task.
    Perform(Attempt),
    /// Do an internal task that this commit had no room for.
    Later(Attempt),
    /// Offer an activity's task.
    Offer(String, Attempt),
    /// Stop an external task.
    Cancel(Attempt),
    /// Stop an execution that this one has waited for.
    StopChild(Key, Parent),
    /// Deliver the message in a row to an execution.
    Deliver(Bytes, Key),
    /// Run a Map Run.
    RunMap(Attempt),
    /// Stop a Map Run.
    StopMap(Attempt),
    /// Run an Express execution.
    RunExpress,
    /// Tell those who wait that it has ended, or does not go on.
    Ended(Box<ExecutionView>),
}

/// What a turn needs of its shard.
pub(super) struct Around<'a> {
    pub(super) inner: &'a Inner,
    pub(super) log: &'a dyn Log,
    pub(super) space: &'a str,
    pub(super) now: Micros,
}

impl Turn {
    /// Begins an execution.
    ///
    /// # Errors
    /// As [`Execution::start`].
    pub(super) fn start(
        head: Head,
        definition: Arc<Definition>,
        begin: Begin,
        around: &Around<'_>,
    ) -> Result<Self, Problem> {
        let key = rows::key_of(&head.workflow, &head.name);
        let (execution, step) = around.given(&key, around.now, |given| Execution::start(&definition, begin, given))?;
        let mut turn = Self::over(key, head, execution, definition, true);
        turn.told.push(ExecutionState::Running);
        turn.absorb(step, around);
        turn.run(around)?;
        Ok(turn)
    }

    /// Begins an Express execution, of which only its input is journaled; it runs in memory once that is durable.
    ///
    /// # Errors
    /// As [`Execution::start`].
    pub(super) fn express(
        head: Head,
        definition: Arc<Definition>,
        begin: Begin,
        around: &Around<'_>,
    ) -> Result<Self, Problem> {
        let key = rows::key_of(&head.workflow, &head.name);
        let input = Bytes::from(begin.input.to_string());
        let execution = Execution::idle(&definition, begin, around.now);
        let mut turn = Self::over(key, head, execution, definition, true);
        turn.told.push(ExecutionState::Running);
        turn.rows.insert(rows::row(&key, Tag::Header, &[]), Some(input));
        turn.after.push(After::RunExpress);
        Ok(turn)
    }

    /// Ends an Express execution.
    pub(super) fn ended_express(&mut self, run: super::express::Run, around: &Around<'_>) {
        let status = run.execution.status.clone();
        self.execution = run.execution;
        self.history = run.history;
        self.rows.insert(rows::row(&self.key, Tag::Header, &[]), None);
        self.end(&status, around);
    }

    /// What was to be written is written.
    pub(super) fn settle(&mut self, head: Head) {
        let Self { key, execution, definition, kept, weight, changed, .. } = self;
        let (execution, definition, kept) = (execution.clone(), Arc::clone(definition), std::mem::take(kept));
        let mut weight = weight.take();
        if let Some(weight) = &mut weight {
            weight.follow(&execution, changed);
        }
        *self = Self { kept, weight, ..Self::over(*key, head, execution, definition, false) };
    }

    /// About what it takes in memory where nothing of it waits to be written, in bytes.
    pub(super) fn bytes(&mut self) -> usize {
        let Self { execution, kept, weight, .. } = self;
        let weight = weight.get_or_insert_with(|| Weight::of(execution));
        weight.bytes() + size_of::<Self>() + kept.len() * POINTER_BYTES
    }

    /// Takes up an execution.
    pub(super) fn over(key: Key, head: Head, execution: Execution, definition: Arc<Definition>, fresh: bool) -> Self {
        Self {
            key,
            head,
            execution,
            definition,
            fresh,
            kept: BTreeSet::new(),
            weight: None,
            large: Large::new(),
            changed: Changed::default(),
            history: Vec::new(),
            rows: BTreeMap::new(),
            alarms: BTreeMap::new(),
            writes: Vec::new(),
            appends: Vec::new(),
            told: Vec::new(),
            named: Vec::new(),
            after: Vec::new(),
            inbox: VecDeque::new(),
        }
    }

    /// Takes an event at a time that may lie a little back (a heartbeat's).
    ///
    /// # Errors
    /// As [`Execution::step`]; nothing has changed then.
    pub(super) fn feed(&mut self, event: Event, at: Micros, around: &Around<'_>) -> Result<(), Problem> {
        let map = match &event {
            Event::MapRunEnded { attempt, .. } => Some(*attempt),
            _ => None,
        };
        let over = match &event {
            Event::TaskSucceeded { attempt, .. } | Event::TaskFailed { attempt, .. } => Some(*attempt),
            _ => None,
        };
        let submitted = match &event {
            Event::TaskSubmitted { attempt, .. } => Some(*attempt),
            _ => None,
        };
        let Self { execution, definition, .. } = self;
        let step = around.given(&self.key, at, |given| execution.step(definition, event, given))?;
        if let Some(attempt) = map {
            self.end_map(attempt, around);
        }
        if let Some(attempt) = over {
            self.forget(&attempt);
        }
        if let Some(attempt) = submitted
            && let Some(task) = self.task(&attempt, around)
        {
            self.put_task(&Task { submitted: true, ..task }, around);
        }
        self.absorb(step, around);
        self.run(around)
    }

    /// Takes up an execution that did not succeed.
    ///
    /// # Errors
    /// As [`Execution::redrive`].
    pub(super) fn redrive(&mut self, token: Option<String>, around: &Around<'_>) -> Result<(), Problem> {
        let Self { execution, definition, .. } = self;
        let step = around.given(&self.key, around.now, |given| execution.redrive(definition, given))?;
        self.head.state = ExecutionState::Running;
        self.head.stopped = None;
        self.head.redrives = self.head.redrives.saturating_add(1);
        self.head.redriven = Some(around.now);
        if let Some(token) = token {
            self.head.note_redrive(token, around.now);
        }
        self.set_alarm(Alarm::Expire, None);
        self.told.push(ExecutionState::Running);
        self.absorb(step, around);
        self.run(around)
    }

    /// Does a task that waits in its row.
    pub(super) fn perform(&mut self, attempt: Attempt, around: &Around<'_>) -> Result<(), Problem> {
        if let Some(task) = self.task(&attempt, around).filter(|task| !task.submitted) {
            self.plan(task, around);
        }
        self.run(around)
    }

    fn run(&mut self, around: &Around<'_>) -> Result<(), Problem> {
        while let Some(event) = self.inbox.pop_front() {
            match self.feed(event, around.now, around) {
                // The attempt ended with an earlier answer.
                Err(problem) if problem.code == "HW-WORK-004" || problem.code == "HW-WORK-006" => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn absorb(&mut self, step: Step, around: &Around<'_>) {
        let Changed { threads, data, gone } = step.changed;
        self.changed.threads.extend(threads);
        self.changed.data.extend(data);
        self.changed.gone.extend(gone);
        self.history.extend(step.history);
        if step.more {
            self.set_alarm(Alarm::Continue, Some(around.now));
        }
        let spans = Spans::of(&step.effects, around.now);
        for effect in step.effects {
            match effect {
                Effect::SetTimer { timer, due } => self.set_alarm(Alarm::Of(timer), Some(due)),
                Effect::ClearTimer(timer) => self.set_alarm(Alarm::Of(timer), None),
                Effect::StartTask(start) => self.begin_task(*start, &spans, around),
                Effect::StopTask(attempt) => {
                    self.stop_child(&attempt, around);
                    self.forget(&attempt);
                    self.after.push(After::Cancel(attempt));
                }
                Effect::StartMapRun(run) => self.begin_map(*run, around),
                Effect::StopMapRun(attempt) => self.stop_map(attempt, around),
                Effect::Ended(status) => self.end(&status, around),
            }
        }
    }

    fn begin_task(&mut self, start: StartTask, spans: &Spans, around: &Around<'_>) {
        let attempt = start.attempt;
        let (heartbeat_us, deadline) = spans.get(&attempt);
        let task = Task { start, heartbeat_us, deadline, submitted: false, asked: false, written: None };
        if let Resource::Activity { arn } = &task.start.resource {
            let arn = arn.clone();
            self.put_task(&task, around);
            self.after.push(After::Offer(arn, attempt));
            return;
        }
        self.plan(task, around);
    }

    /// Finds out what a task comes to; an internal one is done on the spot.
    fn plan(&mut self, task: Task, around: &Around<'_>) {
        let attempt = task.start.attempt;
        let (effect, cause) = (effect_key(&self.head.id(), &attempt), self.next_cause());
        let call = task.call(&effect, &self.execution.identity.machine_arn, Some(&cause), around.now);
        match tasks::plan(&around.inner.services, &call) {
            Ok(Plan::Internal(internal)) if self.history.len() < EVENTS_MAX => {
                self.internal(&task, internal, around);
            }
            Ok(Plan::Internal(_)) => {
                self.put_task(&task, around);
                self.after.push(After::Later(attempt));
            }
            Ok(Plan::External(_)) => {
                // The future is made again once the row is durable; making it costs less than keeping it.
                self.put_task(&task, around);
                self.after.push(After::Perform(attempt));
            }
            Err(failure) => self.inbox.push_back(Event::TaskFailed { attempt, failure }),
        }
    }

    fn internal(&mut self, task: &Task, plan: Internal, around: &Around<'_>) {
        let attempt = task.start.attempt;
        let service = match &task.start.resource {
            Resource::Service(service) => Some(service.clone()),
            _ => None,
        };
        let pattern = service.as_ref().map_or(Pattern::Response, |service| service.pattern);
        let waits = matches!(pattern, Pattern::Sync | Pattern::Sync2) && !plan.starts.is_empty();
        // A refusal leads back to here.
        let guarded = !plan.writes.is_empty() || !plan.appends.is_empty();
        let before = guarded.then(|| Arc::new(self.before()));
        let mut done = Done::default();
        for (number, start) in plan.starts.into_iter().enumerate() {
            let parent = (waits && number == 0).then_some(Parent { key: self.key, attempt });
            match self.child(start, parent, number, around) {
                Ok(view) => done.started.push(view),
                Err(problem) => {
                    let failure = match &service {
                        Some(service) => (plan.refused)(service, Refusal::Start(&problem)),
                        None => Failure::new(problem.code.clone(), problem.title),
                    };
                    return self.inbox.push_back(Event::TaskFailed { attempt, failure });
                }
            }
        }
        self.appends.extend(plan.appends.into_iter().map(Arc::new));
        // Its row stays as long as something outside is waited for.
        let waits = waits || pattern == Pattern::Token;
        if waits {
            self.put_task(&Task { submitted: true, ..task.clone() }, around);
        }
        let later = match plan.answer {
            later @ Answer::Of(_) if !plan.writes.is_empty() => {
                self.put_task(&Task { submitted: true, ..task.clone() }, around);
                Some(Arc::new(parking_lot::Mutex::new(Some(later))))
            }
            known => {
                let answered = known.of(&done);
                self.answer(attempt, answered, waits);
                None
            }
        };
        let Some(before) = before else { return };
        let service = service.unwrap_or(Service { name: String::new(), verb: String::new(), pattern });
        self.writes.push(Guarded {
            writes: plan.writes,
            attempt,
            service,
            refused: plan.refused,
            before,
            answer: later,
        });
    }

    fn answer(&mut self, attempt: Attempt, answered: Result<serde_json::Value, Failure>, waits: bool) {
        self.inbox.push_back(match answered {
            Ok(output) if waits => Event::TaskSubmitted { attempt, output },
            Ok(output) => Event::TaskSucceeded { attempt, output },
            Err(failure) => Event::TaskFailed { attempt, failure },
        });
    }

    /// Starts another execution by a message in this commit.
    fn child(
        &mut self,
        start: StartExecution,
        parent: Option<Parent>,
        number: usize,
        around: &Around<'_>,
    ) -> Result<ExecutionView, Problem> {
        let (head, input) = around.inner.head_of(&start, around.now)?;
        let key = rows::key_of(&head.workflow, &head.name);
        if let Some(bytes) = around.inner.row(&key, Tag::Head, &[], View::Appended) {
            let there = Head::decode(&bytes)?;
            if let Some(reason) = &there.parked {
                return Err(super::parked(&there.id(), reason));
            }
            // As where it is started: only its own parent is told of its end.
            let theirs = if parent.is_some() { there.parent == parent } else { there.state == ExecutionState::Running };
            if there.input != head.input || !theirs {
                return Err(super::name_taken(&head.workflow, &head.name));
            }
        }
        let view = super::view(&head, Some(input.clone()));
        let mut rest = rows::attempt_bytes(&Attempt { thread: 0, visit: self.execution.events, number: 0 }).to_vec();
        rest.extend_from_slice(&u32::try_from(self.after.len() + number).unwrap_or(0).to_be_bytes());
        let row = rows::row(&self.key, Tag::Message, &rest);
        let message = Message::Start { head: Box::new(Head { parent, ..head }), input };
        self.send(row, message, around);
        Ok(view)
    }

    /// The rows that are to keep what writes do: which of the turn's writes, the row, and its value so far.
    pub(super) fn undecided(&self) -> impl Iterator<Item = (std::ops::Range<usize>, Bytes, Bytes)> {
        let mut at = 0;
        self.writes.iter().filter_map(move |guarded| {
            let range = at..at + guarded.writes.len();
            at = range.end;
            guarded.answer.as_ref()?;
            let row = rows::row(&self.key, Tag::Task, &rows::attempt_bytes(&guarded.attempt));
            let value = self.rows.get(&row)?.clone()?;
            Some((range, row, value))
        })
    }

    /// Takes the answer of a task whose writes were done when a crash came.
    ///
    /// # Errors
    /// As [`Turn::feed`].
    pub(super) fn answered(&mut self, attempt: Attempt, around: &Around<'_>) -> Result<(), Problem> {
        let Some(task) = self.task(&attempt, around) else { return Ok(()) };
        let Some(written) = task.written.clone() else { return Ok(()) };
        let (effect, cause) = (effect_key(&self.head.id(), &attempt), self.next_cause());
        let call = task.call(&effect, &self.execution.identity.machine_arn, Some(&cause), around.now);
        let answer = match tasks::plan(&around.inner.services, &call) {
            Ok(Plan::Internal(plan)) => plan.answer.of(&Done { written, started: Vec::new() }),
            Ok(Plan::External(_)) => {
                Err(Failure::new("States.TaskFailed", "what the task did cannot be told any more"))
            }
            Err(failure) => Err(failure),
        };
        self.answer(attempt, answer, false);
        self.run(around)
    }

    fn send(&mut self, row: Bytes, message: Message, around: &Around<'_>) {
        let (encoded, mut large) = message.encode(around.inner.inline_max());
        self.large.append(&mut large);
        self.rows.insert(row.clone(), Some(encoded));
        self.after.push(After::Deliver(row, message.to()));
    }

    /// What the writes of a commit that has its place have done: the answers that depend on it.
    pub(super) fn written(
        &self,
        written: &mut impl Iterator<Item = headwater_kernel::port::tables::Written>,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for guarded in &self.writes {
            let done = Done { written: written.take(guarded.writes.len()).collect(), started: Vec::new() };
            let Some(answer) = guarded.answer.as_ref().and_then(|answer| answer.lock().take()) else { continue };
            let attempt = guarded.attempt;
            events.push(match answer.of(&done) {
                Ok(output) if guarded.service.pattern == Pattern::Token => Event::TaskSubmitted { attempt, output },
                Ok(output) => Event::TaskSucceeded { attempt, output },
                Err(failure) => Event::TaskFailed { attempt, failure },
            });
        }
        events
    }

    fn before(&self) -> Before {
        Before {
            head: self.head.clone(),
            execution: self.execution.clone(),
            changed: self.changed.clone(),
            rows: self.rows.clone(),
            alarms: self.alarms.clone(),
            after: self.after.clone(),
            inbox: self.inbox.clone(),
            history: self.history.len(),
            large: self.large.len(),
            writes: self.writes.len(),
            appends: self.appends.len(),
            told: self.told.len(),
            named: self.named.len(),
        }
    }

    fn go_back(&mut self, before: &Before) {
        self.head.clone_from(&before.head);
        self.execution.clone_from(&before.execution);
        // It may have been weighed since.
        self.weight = None;
        self.changed.clone_from(&before.changed);
        self.rows.clone_from(&before.rows);
        self.alarms.clone_from(&before.alarms);
        self.after.clone_from(&before.after);
        self.inbox.clone_from(&before.inbox);
        self.history.truncate(before.history);
        self.large.truncate(before.large);
        self.writes.truncate(before.writes);
        self.appends.truncate(before.appends);
        self.told.truncate(before.told);
        self.named.truncate(before.named);
    }

    /// Goes back to before the writes of the internal task `number` and takes their refusal.
    ///
    /// # Errors
    /// As [`Turn::feed`].
    pub(super) fn refuse(&mut self, number: usize, refusal: Refusal<'_>, around: &Around<'_>) -> Result<(), Problem> {
        let Some(guarded) = self.writes.get(number).cloned() else { return Ok(()) };
        let failure = (guarded.refused)(&guarded.service, refusal);
        self.go_back(&guarded.before);
        self.inbox.push_back(Event::TaskFailed { attempt: guarded.attempt, failure });
        self.run(around)
    }

    /// A row as this turn has left it.
    fn row(&self, row: &Bytes, around: &Around<'_>) -> Option<Bytes> {
        match self.rows.get(row) {
            Some(changed) => changed.clone(),
            None => around.log.get(around.space, row, View::Appended),
        }
    }

    /// The bytes of a payload; what this turn names is not kept yet.
    fn fetch(&self, hash: &[u8; 32], around: &Around<'_>) -> Option<Vec<u8>> {
        let own = self.large.iter().find(|(one, _)| one == hash).map(|(_, bytes)| bytes.clone());
        own.or_else(|| around.inner.fetch(hash))
    }

    fn end(&mut self, status: &Status, around: &Around<'_>) {
        self.head.stopped = Some(around.now);
        self.head.state = super::state_of(status);
        self.told.push(self.head.state);
        self.set_alarm(Alarm::Continue, None);
        let keep = std::time::Duration::from_secs(self.head.retention_s);
        self.set_alarm(Alarm::Expire, Some(around.now.plus(keep)));
        self.after.push(After::Ended(Box::new(self.view())));
        if let Some(parent) = self.head.parent.clone() {
            let row = rows::row(&self.key, Tag::Message, b"end");
            let message = Message::Ended { parent, view: Box::new(self.view()) };
            self.send(row, message, around);
        }
    }

    /// As it is shown.
    pub(super) fn view(&self) -> ExecutionView {
        let input = Bytes::from(self.execution.input.to_string());
        super::view_ended(&self.head, Some(input), &self.execution.status)
    }

    fn set_alarm(&mut self, alarm: Alarm, due: Option<Micros>) {
        self.alarms.insert(alarm.bytes(), due);
    }

    /// An alarm has gone off: its row goes with this commit unless it is set again.
    pub(super) fn fired(&mut self, alarm: &Alarm) {
        self.set_alarm(*alarm, None);
    }

    fn put_task(&mut self, task: &Task, around: &Around<'_>) {
        let row = rows::row(&self.key, Tag::Task, &rows::attempt_bytes(&task.start.attempt));
        let (encoded, mut large) = task.encode(around.inner.inline_max());
        self.large.append(&mut large);
        self.rows.insert(row, Some(encoded));
    }

    fn forget(&mut self, attempt: &Attempt) {
        let row = rows::row(&self.key, Tag::Task, &rows::attempt_bytes(attempt));
        self.rows.insert(row, None);
        self.after.retain(|after| !matches!(after, After::Perform(one) | After::Later(one) if one == attempt));
    }

    /// An execution that a task waits for is stopped with the task, if a crash does not come between: the recorded service
    /// does what it can as well.
    fn stop_child(&mut self, attempt: &Attempt, around: &Around<'_>) {
        let Some(task) = self.task(attempt, around).filter(|task| task.submitted) else { return };
        let Resource::Service(Service { pattern: Pattern::Sync | Pattern::Sync2, .. }) = &task.start.resource else {
            return;
        };
        let effect = effect_key(&self.head.id(), attempt);
        let call = task.call(&effect, &self.execution.identity.machine_arn, None, around.now);
        let Ok(Plan::Internal(plan)) = tasks::plan(&around.inner.services, &call) else { return };
        if let Some((start, name)) = plan.starts.first().and_then(|start| Some((start, start.name.as_ref()?))) {
            let parent = Parent { key: self.key, attempt: *attempt };
            self.after.push(After::StopChild(rows::key_of(&start.workflow, name), parent));
        }
    }

    /// A task under way, as this turn has left it.
    pub(super) fn task(&self, attempt: &Attempt, around: &Around<'_>) -> Option<Task> {
        let row = rows::row(&self.key, Tag::Task, &rows::attempt_bytes(attempt));
        Task::decode(&self.row(&row, around)?, &|hash| self.fetch(hash, around)).ok()
    }

    /// Marks a task as one that a person has to end, and asks for it on the default bus.
    ///
    /// # Errors
    /// Why nobody can be asked; nothing is marked then.
    pub(super) fn ask(&mut self, attempt: &Attempt, token: String, around: &Around<'_>) -> Result<(), Failure> {
        let Some(mut task) = self.task(attempt, around) else { return Ok(()) };
        task.asked = true;
        task.start.token.get_or_insert(token);
        let (id, cause) = (self.head.id(), self.next_cause());
        let effect = effect_key(&id, attempt);
        let call = task.call(&effect, &self.execution.identity.machine_arn, Some(&cause), around.now);
        let told = tasks::doubted(&around.inner.services, &call, &id, &task.start.state)?;
        self.appends.extend(told.into_iter().map(Arc::new));
        self.put_task(&task, around);
        Ok(())
    }

    fn next_cause(&self) -> Cause {
        let cause = self.head.cause.clone().unwrap_or_else(|| Cause { id: self.head.id(), hops: 0 });
        Cause { hops: cause.hops.saturating_add(1), ..cause }
    }

    /// The changes of rows, the head's apart; payloads that they name are added to `large`.
    pub(super) fn deltas(&self, inline_max: usize, large: &mut Large) -> Vec<(Bytes, Option<Bytes>)> {
        let mut deltas: Vec<(Bytes, Option<Bytes>)> = Vec::new();
        // Of an execution that did not succeed its threads stay, to be taken up again.
        let ended = self.head.stopped.is_some() && self.execution.thread_ids().next().is_none();
        let row = |part: &Part| match part {
            Part::Header => rows::row(&self.key, Tag::Header, &[]),
            Part::Thread(id) => rows::row(&self.key, Tag::Thread, &id.to_be_bytes()),
            Part::Data(id) => rows::row(&self.key, Tag::Data, &id.to_be_bytes()),
        };
        if self.head.express {
            // Only what it began with is kept.
        } else if ended && self.fresh {
            // Nothing of it was ever stored.
        } else if ended {
            let gone = self.changed.gone.iter().flat_map(|id| [Part::Thread(*id), Part::Data(*id)]);
            deltas.extend(std::iter::once(Part::Header).chain(gone).map(|part| (row(&part), None)));
        } else {
            let mut changes = record::changes_within(&self.execution, &self.changed, inline_max);
            let there = changes.parts().filter(|(_, bytes)| bytes.is_some() || !self.fresh);
            deltas.extend(there.map(|(part, bytes)| (row(&part), bytes.map(Bytes::copy_from_slice))));
            large.append(&mut changes.large);
        }
        deltas.extend(self.rows.iter().map(|(row, value)| (row.clone(), value.clone())));
        for (alarm, due) in &self.alarms {
            let value = due.map(|due| Bytes::copy_from_slice(&due.0.to_be_bytes()));
            deltas.push((rows::row(&self.key, Tag::Timer, alarm), value));
        }
        deltas
    }

    /// The head as it will be, with history at these offsets.
    pub(super) fn head(&self, pieces: Option<(i64, i64)>) -> Head {
        let mut head = self.head.clone();
        head.events = self.execution.events;
        head.threads = ranges(self.execution.thread_ids());
        if let Some((first, last)) = pieces {
            if head.first < 0 {
                head.first = first;
            }
            head.last = last;
        }
        head
    }

    /// Alarms that were set and cleared.
    pub(super) fn alarms(&self) -> impl Iterator<Item = (&AlarmKey, &Option<Micros>)> {
        self.alarms.iter()
    }
}

/// The identity of an effect: the same for each try of one attempt.
pub(super) fn effect_key(id: &str, attempt: &Attempt) -> String {
    format!("{id}/{}/{}", attempt.visit, attempt.number)
}

fn ranges(ids: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, end)) if *end == id => *end += 1,
            _ => ranges.push((id, id + 1)),
        }
    }
    ranges
}

/// Heartbeat and time-out of the tasks that a step starts, which stand in its timers.
struct Spans(Vec<(Attempt, Option<i64>, Option<Micros>)>);

impl Spans {
    fn of(effects: &[Effect], now: Micros) -> Self {
        let mut spans = Vec::new();
        for effect in effects {
            match effect {
                Effect::SetTimer { timer: Timer::Heartbeat(attempt), due } => {
                    spans.push((*attempt, Some(due.0.saturating_sub(now.0)), None));
                }
                Effect::SetTimer { timer: Timer::Timeout(attempt), due } => spans.push((*attempt, None, Some(*due))),
                _ => {}
            }
        }
        Self(spans)
    }

    fn get(&self, attempt: &Attempt) -> (Option<i64>, Option<Micros>) {
        let own = self.0.iter().filter(|(one, ..)| one == attempt);
        own.fold((None, None), |(beat, deadline), (_, more, due)| (beat.or(*more), deadline.or(*due)))
    }
}

impl Around<'_> {
    /// What a step is given.
    fn given<T>(&self, key: &Key, now: Micros, step: impl FnOnce(&Given<'_>) -> T) -> T {
        let seed = self.inner.seed();
        let token = |attempt: &Attempt| super::token::make(key, attempt, &seed);
        step(&Given { now, seed, token: &token, limits: &self.inner.limits })
    }
}
