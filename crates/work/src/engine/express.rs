//! Express executions: run to their end in memory, without a journal of their steps.
//!
//! An asynchronous one is durable as its input before it begins and as its end; a crash in between runs it again from
//! the start, so what it does outside happens at least once. A synchronous one and the items of a distributed Map live
//! in the memory of whoever waits for them. Internal tasks are commits of their own here.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use headwater_base::{Micros, Problem};
use headwater_kernel::clock::nap;
use headwater_kernel::port::Cause;
use headwater_kernel::port::tables::TransactError;
use headwater_kernel::unit::{awaited, bug};
use headwater_log::{Commit, View};
use serde_json::{Map, Value};

use super::line::Line;
use super::queue::Command;
use super::rows::{self, Head, Key, Tag};
use super::{BEHIND_MAX, Inner, dispatch, identity, token};
use crate::definition::{Definition, Resource};
use crate::execution::trial::Trial;
use crate::execution::{
    Attempt, Begin, Effect, Event, Execution, Failure, Given, HistoryEvent, StartTask, Status, Step, Timer,
};
use crate::tasks::{self, Call, Done, Internal, Plan, Refusal};

/// The longest time an Express execution may take.
const LONGEST: Duration = Duration::from_secs(300);
/// Events of history kept of one run; the newest go first.
const HISTORY_MAX: usize = 1_000;

/// An execution that is over.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) execution: Execution,
    pub(super) history: Vec<HistoryEvent>,
}

/// One run.
struct Life<'a> {
    inner: &'a Arc<Inner>,
    key: Key,
    id: String,
    cause: Option<Cause>,
    definition: &'a Definition,
    execution: Execution,
    history: Vec<HistoryEvent>,
    timers: BTreeMap<Timer, Micros>,
    tasks: FuturesUnordered<BoxFuture<'static, Event>>,
    ready: Vec<Event>,
}

/// Runs a shard's stored Express executions in the order in which they come, until the engine is gone. What waits is a
/// name: of one that runs everything is in memory, so there are so many at once and not more ([`Line`]).
pub(super) async fn run(inner: Weak<Inner>, mut line: Line<Key>) {
    while let Some((key, place)) = line.next().await {
        let Some(inner) = inner.upgrade() else { return };
        let handle = inner.handle.clone();
        handle.spawn(async move {
            match inner.stored_express(key).await {
                Ok(Some(run)) => {
                    inner.push_to(&key, Command::Express { key, run: Box::new(run), room: place.over() });
                }
                Ok(None) => {}
                // It would count as running for ever.
                Err(problem) => inner.push_to(&key, Command::Park { key, reason: problem.title }),
            }
        });
    }
}

impl Inner {
    /// Runs a stored Express execution from its start, once it is its turn.
    pub(super) fn run_express(&self, key: Key) {
        self.express_ready.push(rows::shard_of(&key), key);
    }

    /// None where there is no such execution any more.
    async fn stored_express(self: &Arc<Self>, key: Key) -> Result<Option<Run>, Problem> {
        let rows = [Tag::Head, Tag::Header].map(|tag| self.row(&key, tag, &[], View::Durable));
        let [Some(head), Some(input)] = rows else { return Ok(None) };
        let head = Head::decode(&head)?;
        let definition = self.definition(&head.definition, true)?;
        let input = serde_json::from_slice(&input)
            .map_err(|error| Problem::new("HW-WORK-002", "its input cannot be read").because(error))?;
        let begin = Begin {
            identity: identity(&head.workflow, &head.name),
            flavor: crate::Flavor::Express,
            machine: head.machine,
            input,
            item: None,
        };
        self.express(&head.id(), head.cause, &definition, begin).await.map(Some)
    }

    /// Runs an execution to its end in memory.
    ///
    /// # Errors
    /// As [`Execution::start`]; a bug that it meets.
    pub(super) async fn express(
        self: &Arc<Self>,
        id: &str,
        cause: Option<Cause>,
        definition: &Definition,
        begin: Begin,
    ) -> Result<Run, Problem> {
        let run = awaited(self.step_by_step(id, cause, definition, begin)).await;
        run.unwrap_or_else(|said| Err(bug(format_args!("execution `{id}`"), &said)))
    }

    async fn step_by_step(
        self: &Arc<Self>,
        id: &str,
        cause: Option<Cause>,
        definition: &Definition,
        begin: Begin,
    ) -> Result<Run, Problem> {
        let key = rows::key_of("express", id);
        let begun = self.clock.now();
        let (execution, step) = self.step_in(&key, |given| Execution::start(definition, begin, given))?;
        let mut life = Life {
            inner: self,
            key,
            id: id.to_owned(),
            cause,
            definition,
            execution,
            history: Vec::new(),
            timers: BTreeMap::new(),
            tasks: FuturesUnordered::new(),
            ready: Vec::new(),
        };
        life.absorb(step).await;
        while life.execution.status == Status::Running {
            let event = life.next(begun).await;
            life.feed(event).await;
        }
        Ok(Run { execution: life.execution, history: life.history })
    }

    /// Runs one state on trial: what it calls is called, once.
    ///
    /// # Errors
    /// As [`Trial::begin`].
    pub(super) async fn test_state(&self, request: &Map<String, Value>) -> Result<Map<String, Value>, Problem> {
        let key = rows::key_of("trial", "state");
        let trial = self.step_in(&key, |given| Trial::begin(request, given))?;
        let outcome = match trial.call() {
            None => None,
            Some(start) => {
                let effect = super::turn::effect_key("trial", &start.attempt);
                let machine_arn = identity("trial", "state").machine_arn;
                let call = Call {
                    resource: &start.resource,
                    parameters: &start.parameters,
                    key: &effect,
                    machine_arn: &machine_arn,
                    token: start.token.as_deref(),
                    now: self.clock.now(),
                    deadline: None,
                    cause: None,
                };
                Some(self.carry_out(&call).await?)
            }
        };
        Ok(self.step_in(&key, |given| trial.end(outcome, given)))
    }

    /// One step, given what it needs.
    pub(super) fn step_in<T>(&self, key: &Key, step: impl FnOnce(&Given<'_>) -> T) -> T {
        let seed = self.seed();
        let token = |attempt: &Attempt| token::make(key, attempt, &seed);
        step(&Given { now: self.clock.now(), seed, token: &token, limits: &self.limits })
    }
}

impl Life<'_> {
    async fn next(&mut self, begun: Micros) -> Event {
        loop {
            if let Some(event) = self.ready.pop() {
                return event;
            }
            let now = self.inner.clock.now();
            if now.since(begun) >= LONGEST {
                return Event::Timer(Timer::Execution);
            }
            let first = self.timers.iter().min_by_key(|(_, due)| **due).map(|(timer, due)| (*timer, *due));
            if let Some((timer, due)) = first
                && due <= now
            {
                self.timers.remove(&timer);
                return Event::Timer(timer);
            }
            let end = begun.plus(LONGEST);
            let due = first.map_or(end, |(_, due)| due.min(end));
            tokio::select! {
                Some(event) = self.tasks.next() => return event,
                () = nap(&*self.inner.clock, due) => {}
            }
        }
    }

    async fn feed(&mut self, event: Event) {
        let Self { execution, definition, inner, key, .. } = self;
        match inner.step_in(key, |given| execution.step(definition, event, given)) {
            Ok(step) => self.absorb(step).await,
            // Too late: the attempt is over.
            Err(problem) if problem.code == "HW-WORK-004" => {}
            Err(problem) => self.execution.status = Status::Failed(Failure::new("States.Runtime", problem.title)),
        }
    }

    async fn absorb(&mut self, step: Step) {
        let room = HISTORY_MAX.saturating_sub(self.history.len());
        self.history.extend(step.history.into_iter().take(room));
        if step.more {
            self.ready.push(Event::Continue);
        }
        for effect in step.effects {
            match effect {
                Effect::SetTimer { timer, due } => drop(self.timers.insert(timer, due)),
                Effect::ClearTimer(timer) => drop(self.timers.remove(&timer)),
                // Apart, since most of what a run would otherwise take is what its tasks need while they begin.
                Effect::StartTask(start) => Box::pin(self.begin(*start)).await,
                Effect::StartMapRun(run) => {
                    let failure = Failure::new("States.Runtime", "an Express execution cannot run a distributed Map");
                    self.ready.push(Event::MapRunEnded { attempt: run.attempt, outcome: Err(failure) });
                }
                Effect::StopTask(_) | Effect::StopMapRun(_) | Effect::Ended(_) => {}
            }
        }
    }

    async fn begin(&mut self, start: StartTask) {
        let attempt = start.attempt;
        let effect = super::turn::effect_key(&self.id, &attempt);
        let cause = self.cause.clone().unwrap_or_else(|| Cause { id: self.id.clone(), hops: 0 });
        let cause = Cause { hops: cause.hops.saturating_add(1), ..cause };
        let machine_arn = self.execution.identity.machine_arn.clone();
        let call = Call {
            resource: &start.resource,
            parameters: &start.parameters,
            key: &effect,
            machine_arn: &machine_arn,
            token: start.token.as_deref(),
            now: self.inner.clock.now(),
            deadline: self.timers.get(&Timer::Timeout(attempt)).copied(),
            cause: Some(&cause),
        };
        match tasks::plan(&self.inner.services, &call) {
            Ok(Plan::External(work)) => {
                let resource = start.resource;
                self.tasks.push(Box::pin(async move { dispatch::event(&resource, attempt, work.await) }));
            }
            Ok(Plan::Internal(plan)) => {
                let inner = Arc::clone(self.inner);
                let done = internal(inner, start.resource.clone(), plan).await;
                self.ready.push(dispatch::event(&start.resource, attempt, done));
            }
            Err(failure) => self.ready.push(Event::TaskFailed { attempt, failure }),
        }
    }
}

/// Does an internal task in a commit of its own.
pub(super) async fn internal(inner: Arc<Inner>, resource: Resource, plan: Internal) -> Result<Value, Failure> {
    let mut done = Done::default();
    let Resource::Service(service) = &resource else {
        // A function of the node's own, called by its name, has its answer already.
        if plan.starts.is_empty() && plan.writes.is_empty() && plan.appends.is_empty() {
            return plan.answer.of(&done);
        }
        return Err(Failure::new("States.TaskFailed", "this task needs a Standard workflow"));
    };
    for start in plan.starts {
        let started = match inner.head_of(&start, inner.clock.now()) {
            Ok((head, input)) => inner.start_stored(head, input, None, None).await,
            Err(problem) => Err(problem),
        };
        match started {
            Ok(view) => done.started.push(view),
            Err(problem) => return Err((plan.refused)(service, Refusal::Start(&problem))),
        }
    }
    if !plan.writes.is_empty() || !plan.appends.is_empty() {
        let mut also = Commit { appends: plan.appends, ..Commit::default() };
        let mut patience = BEHIND_MAX;
        let sequence = loop {
            let written = match &inner.services.context.tables {
                Some(tables) if !plan.writes.is_empty() => tables.transact(&plan.writes, &mut also).map(|transacted| {
                    done.written = transacted.written;
                    transacted.ticket.sequence
                }),
                _ => inner.log.append(&mut also).map(|ticket| ticket.sequence).map_err(TransactError::from),
            };
            match written {
                Ok(sequence) => break sequence,
                Err(TransactError::Full) => inner.log.room(&also.streams()).await,
                Err(TransactError::Behind(table)) if patience > 0 => {
                    patience -= 1;
                    inner.caught_up(&table).await;
                }
                Err(error) => return Err((plan.refused)(service, Refusal::Write(&error))),
            }
        };
        if let Err(error) = inner.log.durable(sequence).await {
            return Err(Failure::new("States.TaskFailed", error.to_string()));
        }
    }
    plan.answer.of(&done)
}
