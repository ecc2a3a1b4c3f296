//! A shard: one thread that takes commands and timers, runs executions, and appends one commit for what has gathered.
//!
//! Executions hash to shards, so no two threads ever touch one. The thread does not wait for the disk: a commit's place
//! in the order is enough to go on, and whatever leaves the node (answers, external tasks) waits in [`Completer`] until
//! that commit is durable. Idle executions are rows of the log's space; those used last are kept decoded ([`cache`]).
//!
//! Invariants: every commit names the shard's epoch, so a second owner shuts this one out; an execution that cannot be
//! carried on is parked with a reason and never stops the others, and one that cannot begin does not, which whoever asked
//! for it is told; a shard that ends is told of ([`super::Engine::broken`]).

mod batch;
mod beats;
mod cache;
mod carry;
mod commit;
mod completer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Micros, Name, Problem};
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView};
use headwater_kernel::unit::{bug, contained};
use headwater_log::{Log, View};
use tokio::sync::mpsc;

use super::index::{Listing, run_name};
use super::map_run::Progress;
use super::message::Message;
use super::queue::Command;
use super::rows::{self, Alarm, Head, Key, Tag};
use super::timers::{self, Timers};
use super::turn::{After, Around, Turn};
use super::{Inner, token};
use crate::execution::{Attempt, Begin, Event, Failure, Item, Timer};
use crate::hash;
use crate::tasks;
use batch::{Batch, Slot};
use beats::Beats;
use cache::Cache;
use completer::Post;

pub(super) use completer::run as complete;

/// Commands and timers of one commit at most.
const GATHER_MAX: usize = 256;
/// How long the thread naps at most. Whoever sets the clock by hand wakes it; but a machine may have slept, or been given
/// another time.
const NAP_MAX: Duration = Duration::from_secs(30);

/// Why a shard ends.
pub(super) enum Stop {
    /// The log is closed, or another owner has come.
    Over(String),
}

/// See the file's head.
pub(super) struct Shard {
    index: usize,
    inner: Arc<Inner>,
    log: Arc<dyn Log>,
    space: Arc<str>,
    fence: (Name, u64),
    history: Name,
    /// The offset of the next piece of history.
    next: i64,
    timers: Timers,
    cache: Cache,
    beats: Beats,
    done: mpsc::UnboundedSender<completer::Item>,
}

impl Shard {
    /// Takes up what the log holds: timers, tasks under way, messages.
    pub(super) fn open(
        inner: &Arc<Inner>,
        index: usize,
        fence: (Name, u64),
        history: Name,
        done: mpsc::UnboundedSender<completer::Item>,
    ) -> Result<Self, Problem> {
        let log = Arc::clone(&inner.log);
        let space: Arc<str> = Arc::from(rows::space_of(index));
        let partition = u32::try_from(index).unwrap_or(0);
        let next = log.ends(&history, partition).map_err(|error| super::refused(&error))?.appended;
        let (mut alarms, mut commands, mut running) = (Vec::new(), Vec::new(), 0_u64);
        let (mut offers, mut maps, mut express) = (Vec::new(), Vec::new(), Vec::new());
        let (mut listings, mut runs) = (Vec::new(), Vec::new());
        log.for_each(&space, &mut |row, value| {
            let Some((key, tag, rest)) = rows::split(row) else { return };
            if tag == Tag::Timer as u8 {
                let due = value.try_into().map(i64::from_be_bytes).unwrap_or_default();
                alarms.extend(rest.try_into().ok().map(|alarm| (Micros(due), key, alarm)));
            } else if tag == Tag::Head as u8 {
                let head = Head::decode(value).inspect_err(|problem| {
                    tracing::error!(execution = hash::hex(&key), reason = problem.title, "execution left");
                });
                let head = head.ok();
                listings.extend(head.as_ref().map(|head| Listing::of(key, head)));
                let head = head.filter(|head| head.state == ExecutionState::Running);
                running += u64::from(head.is_some());
                express.extend(head.filter(|head| head.express && head.parked.is_none()).map(|_| key));
            } else if tag == Tag::Message as u8 {
                match Message::decode(value, &|hash| inner.fetch(hash)) {
                    Ok(message) => {
                        commands.push(Command::Message { row: Bytes::copy_from_slice(row), to: message.to() });
                    }
                    Err(problem) => left(&key, &problem),
                }
            } else if tag == Tag::Task as u8 {
                let Some(attempt) = rows::attempt_of(rest) else { return };
                let task = match rows::Task::decode(value, &|hash| inner.fetch(hash)) {
                    Ok(task) => task,
                    Err(problem) => return commands.push(Command::Park { key, reason: problem.title }),
                };
                match task.start.resource {
                    crate::definition::Resource::Activity { arn } => {
                        if !task.submitted {
                            offers.push((arn, key, attempt));
                        }
                    }
                    _ if task.written.is_some() => commands.push(Command::Answer { key, attempt }),
                    _ if task.submitted || task.asked => {}
                    _ => commands.push(Command::Doubt { key, attempt }),
                }
            } else if tag == Tag::MapRun as u8 {
                maps.extend(rows::attempt_of(rest).map(|attempt| (key, attempt)));
            } else if tag == Tag::Progress as u8 {
                let progress = Progress::decode(value).zip(rows::attempt_of(rest));
                runs.extend(progress.map(|(progress, attempt)| (run_name(&progress.arn), (key, attempt))));
            }
        });
        inner.figures.running.fetch_add(running, std::sync::atomic::Ordering::Relaxed);
        inner.index.lock().take_up(listings);
        inner.index.lock().name(runs);
        for command in commands {
            match command {
                Command::Message { row, to } => inner.push_to(&to, Command::Message { row, to }),
                command => inner.push(index, command),
            }
        }
        offers.into_iter().for_each(|(arn, key, attempt)| inner.activities.offer(&arn, key, attempt));
        maps.into_iter().for_each(|(key, attempt)| inner.run_map(key, attempt));
        express.into_iter().for_each(|key| inner.run_express(key));
        let shard = Self {
            index,
            inner: Arc::clone(inner),
            log,
            space,
            fence,
            history,
            next,
            timers: Timers::of(alarms),
            cache: Cache::within(inner.cache_bytes_max),
            beats: Beats::default(),
            done,
        };
        shard.count_timers();
        Ok(shard)
    }

    /// Works until the queue is closed.
    pub(super) fn run(mut self) {
        let end = contained(|| {
            loop {
                match self.round() {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(Stop::Over(reason)) => return Some(reason),
                }
            }
        });
        let what = format!("workflow shard {}", self.index);
        let problem = match end {
            Ok(None) => return,
            Ok(Some(reason)) => Problem::new("HW-WORK-034", format!("{what} cannot go on: {reason}")),
            Err(said) => bug(what, &said),
        };
        tracing::error!(shard = self.index, reason = problem.title, "workflow shard ended");
        self.inner.fail(problem);
    }

    fn count_timers(&self) {
        if let Some(timers) = self.inner.figures.timers.get(self.index) {
            timers.store(self.timers.len() as u64, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn queue(&self) -> Arc<super::queue::Queue> {
        Arc::clone(self.inner.queue(self.index))
    }

    fn around<'a>(inner: &'a Inner, log: &'a dyn Log, space: &'a str) -> Around<'a> {
        Around { inner, log, space, now: inner.clock.now() }
    }

    /// One commit, or a nap.
    fn round(&mut self) -> Result<bool, Stop> {
        let now = self.inner.clock.now();
        let next = self.timers.next(self.inner.kept);
        let patience = next.map_or(NAP_MAX, |due| due.since(now).min(NAP_MAX));
        let Some(commands) = self.queue().take(GATHER_MAX, patience) else { return Ok(false) };
        let mut batch = Batch::default();
        let (now, bytes_max) = (self.inner.clock.now(), self.inner.cache_bytes_max);
        for _ in 0..GATHER_MAX {
            if batch.bytes() > bytes_max {
                break;
            }
            let Some(entry) = self.timers.pop(now, self.inner.kept) else { break };
            self.fire(&mut batch, entry, now);
        }
        let mut commands = commands.into_iter();
        for command in commands.by_ref() {
            self.apply(&mut batch, command);
            if batch.bytes() > bytes_max {
                break;
            }
        }
        // They wait where starts are found that a full disk refuses.
        self.queue().push_front(commands.collect());
        let deferred = std::mem::take(&mut batch.deferred);
        self.commit(batch)?;
        self.queue().push_front(deferred);
        self.count_timers();
        Ok(true)
    }

    /// Does something for an execution; a panic in it parks the execution, and is answered as that.
    fn tried<T>(
        &mut self,
        batch: &mut Batch,
        key: &Key,
        act: impl FnOnce(&mut Self, &mut Batch) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        contained(|| act(self, batch)).unwrap_or_else(|said| Err(self.park(batch, key, &buggy(&said))))
    }

    /// As [`Self::tried`], where nobody waits for an answer.
    fn guarded(&mut self, batch: &mut Batch, key: &Key, act: impl FnOnce(&mut Self, &mut Batch)) {
        // Whoever looks at the execution finds why it does not go on.
        let _ = self.tried(batch, key, |shard, batch| {
            act(shard, batch);
            Ok(())
        });
    }

    fn apply(&mut self, batch: &mut Batch, command: Command) {
        if let Some(key) = command.key()
            && batch.is_busy(&key)
        {
            return batch.deferred.push(command);
        }
        let (now, client) = (self.inner.clock.now(), command.is_clients_start());
        match command {
            Command::Start { head, input, item, reply, room: _room } => {
                match self.begin(batch, *head, &input, item, client) {
                    Ok(view) => batch.post(reply.map(|reply| Post::Started(reply, Box::new(view)))),
                    Err(problem) => answer(reply, Err(problem)),
                }
            }
            // Nothing of it is in the batch before it is taken up whole.
            Command::Redrive { key, token, reply } => {
                match alone("taking it up again", || self.redrive(batch, &key, token)) {
                    Ok(at) => batch.post(Some(Post::Done(key, reply, at))),
                    Err(problem) => answer(Some(reply), Err(problem)),
                }
            }
            Command::Park { key, reason } => {
                let goes_on = |head: &Head| head.state == ExecutionState::Running && head.parked.is_none();
                if self.head(&key).is_ok_and(|head| head.as_ref().is_some_and(goes_on)) {
                    self.park(batch, &key, &reason);
                }
            }
            Command::Express { key, run, room: _room } => {
                self.guarded(batch, &key, |shard, batch| shard.express(batch, &key, *run));
            }
            Command::Event { key, event, reply, room: _room } => {
                match self.tried(batch, &key, |shard, batch| shard.feed(batch, &key, event, now)) {
                    Ok(()) => batch.post(reply.map(|reply| Post::Done(key, reply, now))),
                    Err(problem) => answer(reply, Err(problem)),
                }
            }
            Command::End { key, attempt, token, event, reply, room: _room } => {
                let done = self.tried(batch, &key, |shard, batch| {
                    shard.hold(batch, &key, &attempt, &token)?;
                    shard.feed(batch, &key, event, now)
                });
                match done {
                    Ok(()) => batch.post(Some(Post::Done(key, reply, now))),
                    Err(problem) => answer(Some(reply), Err(problem)),
                }
            }
            Command::Beat { key, attempt, token, reply } => {
                match self.tried(batch, &key, |shard, batch| shard.beat(batch, &key, attempt, &token, now)) {
                    Ok(()) => batch.post(Some(Post::Done(key, reply, now))),
                    Err(problem) => answer(Some(reply), Err(problem)),
                }
            }
            Command::Perform { key, attempt } => self.guarded(batch, &key, |shard, batch| {
                shard.with(batch, &key, |turn, around| turn.perform(attempt, around));
            }),
            Command::Answer { key, attempt } => self.guarded(batch, &key, |shard, batch| {
                shard.with(batch, &key, |turn, around| turn.answered(attempt, around));
            }),
            Command::Doubt { key, attempt } => {
                self.guarded(batch, &key, |shard, batch| shard.doubt(batch, &key, attempt));
            }
            Command::Message { row, .. } => self.message(batch, row),
            Command::Copy { id, previous, copies, reply } => {
                answer(Some(reply), alone("copying history", || self.copy_history(&id, previous, &copies)));
            }
            Command::Carried { key, from, to, reply } => {
                if batch.slot(&key).is_some() {
                    // Its turn of this batch may add to its history.
                    return batch.deferred.push(Command::Carried { key, from, to, reply });
                }
                match alone("carrying history", || self.carried(batch, &key, from, to)) {
                    Ok(true) => batch.post(Some(Post::Carried(reply))),
                    other => answer(Some(reply), other),
                }
            }
            Command::Note { key, run, deltas, appends, reply } => {
                if batch.slot(&key).is_some() || batch.gone.contains(&key) {
                    // What its turn of this batch does to the row has to be written first.
                    return batch.deferred.push(Command::Note { key, run, deltas, appends, reply });
                }
                if self.log.get(&self.space, &run, View::Appended).is_none() {
                    return answer(Some(reply), Err(unwanted()));
                }
                batch.noted.insert(key);
                batch.loose.extend(deltas.into_iter().map(|(row, value)| (Arc::clone(&self.space), row, value)));
                batch.appends.extend(appends);
                batch.post(Some(Post::Done(key, reply, now)));
            }
            Command::Bound { key, attempt, change, reply } => {
                if batch.slot(&key).is_some() {
                    return batch.deferred.push(Command::Bound { key, attempt, change, reply });
                }
                let rest = rows::attempt_bytes(&attempt);
                if self.log.get(&self.space, &rows::row(&key, Tag::MapRun, &rest), View::Appended).is_none() {
                    return answer(Some(reply), Err(unwanted()));
                }
                // Read where they are written: of two who change different ones at once, neither loses theirs.
                let bounds = change.or(self.inner.bounds(&key, &attempt, View::Appended));
                batch.noted.insert(key);
                batch.loose.push((Arc::clone(&self.space), rows::row(&key, Tag::Bounds, &rest), Some(bounds.encode())));
                batch.post(Some(Post::Done(key, reply, now)));
            }
        }
    }

    /// As [`Self::start`]; one whose beginning meets a bug does not begin, and nothing of it is in the batch.
    fn begin(
        &mut self,
        batch: &mut Batch,
        head: Head,
        input: &Bytes,
        item: Option<Item>,
        client: bool,
    ) -> Result<ExecutionView, Problem> {
        let id = head.id();
        let begun = contained(|| self.start(batch, head, input, item, client));
        begun.unwrap_or_else(|said| Err(cannot_begin(&id, &buggy(&said))))
    }

    /// Begins an execution, or finds it. A `client` is told where it cannot be written; whoever else has asked for it
    /// waits.
    fn start(
        &mut self,
        batch: &mut Batch,
        head: Head,
        input: &Bytes,
        item: Option<Item>,
        client: bool,
    ) -> Result<ExecutionView, Problem> {
        let key = rows::key_of(&head.workflow, &head.name);
        let there = match batch.slot(&key) {
            Some(slot) => {
                slot.asked &= client;
                Some(slot.turn.head.clone())
            }
            None => self.head(&key)?,
        };
        if let Some(there) = there {
            if let Some(reason) = &there.parked {
                return Err(super::parked(&there.id(), reason));
            }
            // Whoever waits for its end is told of it once, however often it asks; of somebody else's it would never be.
            let theirs = match &head.parent {
                Some(_) => there.parent == head.parent,
                None => there.state == ExecutionState::Running,
            };
            if there.input == head.input && theirs {
                return Ok(super::view(&there, Some(input.clone())));
            }
            return Err(super::name_taken(&head.workflow, &head.name));
        }
        let definition = self.inner.definition(&head.definition, head.express)?;
        let value = serde_json::from_slice(input).map_err(|error| {
            Problem::new("HW-WORK-033", "the input is not JSON").because(error).help("give a JSON value")
        })?;
        let begin = Begin {
            identity: super::identity(&head.workflow, &head.name),
            flavor: if head.express { crate::Flavor::Express } else { crate::Flavor::Standard },
            machine: head.machine,
            input: value,
            item,
        };
        let view = super::view(&head, Some(input.clone()));
        let around = Self::around(&self.inner, &*self.log, &self.space);
        let turn = if head.express {
            Turn::express(head, definition, begin, &around)?
        } else {
            Turn::start(head, definition, begin, &around)?
        };
        batch.add(turn);
        if let Some(slot) = batch.slot(&key) {
            slot.asked = client;
        }
        Ok(view)
    }

    fn head(&self, key: &Key) -> Result<Option<Head>, Problem> {
        let row = self.log.get(&self.space, &rows::row(key, Tag::Head, &[]), View::Appended);
        row.map(|bytes| Head::decode(&bytes)).transpose()
    }

    /// The execution's turn of this batch, taken up from memory or the log if it has none yet.
    fn open_turn<'b>(&mut self, batch: &'b mut Batch, key: &Key) -> Result<&'b mut Slot, Problem> {
        if batch.slot(key).is_none() {
            if batch.noted.contains(key) {
                // What is done at the moment has parked it.
                return Err(super::no_execution("that goes on"));
            }
            let turn = match self.cache.take(key).map_or_else(|| self.load(key), Ok) {
                Ok(turn) => turn,
                Err(problem) => {
                    if problem.code == "HW-WORK-002" {
                        self.park(batch, key, &problem.title);
                    }
                    return Err(problem);
                }
            };
            batch.add(turn);
        }
        let slot = batch.slot(key).ok_or_else(|| super::no_execution("?"))?;
        // More of the batch belongs to it now.
        slot.asked = false;
        Ok(slot)
    }

    fn load(&self, key: &Key) -> Result<Turn, Problem> {
        let head = self.head(key)?.ok_or_else(|| super::no_execution("of this key"))?;
        if let Some(reason) = &head.parked {
            return Err(super::parked(&head.id(), reason));
        }
        if head.state != ExecutionState::Running {
            return Err(Problem::new("HW-WORK-006", format!("execution `{}` has ended", head.id())));
        }
        if head.express {
            let fact = format!("`{}` is an Express execution, which runs in memory", head.id());
            return Err(Problem::new("HW-WORK-035", fact).help("only Standard executions can be stopped or redriven"));
        }
        let definition = self.inner.definition(&head.definition, false)?;
        let execution = self.inner.stored(key, &head)?;
        let kept = self.inner.kept(key, &head);
        let mut turn = Turn::over(*key, head, execution, definition, false);
        turn.kept = kept;
        Ok(turn)
    }

    fn feed(&mut self, batch: &mut Batch, key: &Key, event: Event, at: Micros) -> Result<(), Problem> {
        self.open_turn(batch, key)?;
        let around = Self::around(&self.inner, &*self.log, &self.space);
        let Some(slot) = batch.slot(key) else { return Ok(()) };
        let fed = slot.turn.feed(event, at, &around);
        slot.touched |= fed.is_ok();
        if let Err(problem) = &fed
            && !matches!(problem.code.as_str(), "HW-WORK-004" | "HW-WORK-005" | "HW-WORK-006")
        {
            let reason = problem.title.clone();
            self.park(batch, key, &reason);
        }
        fed
    }

    fn with(&mut self, batch: &mut Batch, key: &Key, act: impl FnOnce(&mut Turn, &Around<'_>) -> Result<(), Problem>) {
        if self.open_turn(batch, key).is_err() {
            return;
        }
        let around = Self::around(&self.inner, &*self.log, &self.space);
        let Some(slot) = batch.slot(key) else { return };
        slot.touched = true;
        if let Err(problem) = act(&mut slot.turn, &around) {
            self.park(batch, key, &problem.title);
        }
    }

    /// Whether the token is that of the task.
    fn hold(&mut self, batch: &mut Batch, key: &Key, attempt: &Attempt, held: &str) -> Result<(), Problem> {
        self.open_turn(batch, key)
            .map_err(|problem| if problem.code == "HW-WORK-031" { problem } else { token::over() })?;
        let around = Self::around(&self.inner, &*self.log, &self.space);
        let task = batch.slot(key).and_then(|slot| slot.turn.task(attempt, &around));
        if task.is_some_and(|task| task.start.token.as_deref() == Some(held)) { Ok(()) } else { Err(token::over()) }
    }

    fn beat(&mut self, batch: &mut Batch, key: &Key, attempt: Attempt, held: &str, now: Micros) -> Result<(), Problem> {
        self.hold(batch, key, &attempt, held)?;
        let around = Self::around(&self.inner, &*self.log, &self.space);
        let task = batch.slot(key).and_then(|slot| slot.turn.task(&attempt, &around));
        match task.and_then(|task| task.heartbeat_us) {
            Some(span_us) if self.beats.take(key, attempt, now, span_us) => {
                self.feed(batch, key, Event::Heartbeat { attempt }, now)
            }
            _ => Ok(()),
        }
    }

    fn fire(&mut self, batch: &mut Batch, (due, key, bytes): timers::Entry, now: Micros) {
        let row = rows::row(&key, Tag::Timer, &bytes);
        let Some(alarm) = Alarm::of(&bytes) else { return };
        if batch.is_busy(&key) {
            // Its turn of this batch has to be written first.
            return batch.late.push((due, key, bytes));
        }
        self.guarded(batch, &key, |shard, batch| shard.fired(batch, key, alarm, row, now));
    }

    fn fired(&mut self, batch: &mut Batch, key: Key, alarm: Alarm, row: Bytes, now: Micros) {
        let event = match alarm {
            Alarm::Expire => {
                let head = self.head(&key).ok().flatten();
                if head.as_ref().is_some_and(|head| head.stopped.is_none()) {
                    // It was taken up again when this was on its way.
                    return;
                }
                batch.gone.insert(key);
                let gone = |head: &Head| Listing::gone(key, head, self.inner.names(&key, &head.maps));
                batch.listed.extend(head.as_ref().map(gone));
                let there = |row: &Bytes| self.log.get(&self.space, row, View::Appended).is_some();
                for row in std::iter::once(row).chain(rows::left(&key, head.as_ref(), there)) {
                    batch.loose.push((Arc::clone(&self.space), row, None));
                }
                return;
            }
            Alarm::Continue => Event::Continue,
            Alarm::Of(timer) => Event::Timer(timer),
        };
        if let Alarm::Of(Timer::Heartbeat(attempt)) = alarm
            && let Some(last) = self.beats.unwritten(&key, &attempt)
        {
            let _ = self.feed(batch, &key, Event::Heartbeat { attempt }, last);
        }
        match self.open_turn(batch, &key) {
            Ok(slot) => slot.turn.fired(&alarm),
            Err(_) => batch.loose.push((Arc::clone(&self.space), row, None)),
        }
        let _ = self.feed(batch, &key, event, now);
    }

    /// Takes up an execution that did not succeed.
    fn redrive(&mut self, batch: &mut Batch, key: &Key, token: Option<String>) -> Result<Micros, Problem> {
        let head = match batch.slot(key) {
            Some(slot) => slot.turn.head.clone(),
            None => self.head(key)?.ok_or_else(|| super::no_execution("of this key"))?,
        };
        let around = Self::around(&self.inner, &*self.log, &self.space);
        if let Some(at) = token.as_ref().and_then(|token| head.redriven_with(token, around.now)) {
            return Ok(at);
        }
        if head.state == ExecutionState::Running || head.state == ExecutionState::Succeeded || head.express {
            let state = head.state.name();
            let fact = format!("execution `{}` cannot be taken up again: it is {state}", head.id());
            return Err(Problem::new("HW-WORK-007", fact)
                .help("executions that failed, timed out or were aborted can be; start a new one otherwise"));
        }
        let definition = self.inner.definition(&head.definition, false)?;
        let execution = self.inner.stored(key, &head)?;
        let kept = self.inner.kept(key, &head);
        let mut turn = Turn::over(*key, head, execution, definition, false);
        turn.kept = kept;
        turn.redrive(token, &around)?;
        batch.add(turn);
        if let Some(slot) = batch.slot(key) {
            slot.touched = true;
        }
        Ok(around.now)
    }

    fn express(&mut self, batch: &mut Batch, key: &Key, run: super::express::Run) {
        let Ok(Some(head)) = self.head(key) else { return };
        if head.state != ExecutionState::Running {
            return;
        }
        let Ok(definition) = self.inner.definition(&head.definition, true) else { return };
        let around = Self::around(&self.inner, &*self.log, &self.space);
        let mut turn = Turn::over(*key, head, run.execution.clone(), definition, false);
        turn.ended_express(run, &around);
        batch.add(turn);
        if let Some(slot) = batch.slot(key) {
            slot.touched = true;
        }
    }

    fn doubt(&mut self, batch: &mut Batch, key: &Key, attempt: Attempt) {
        let (inner, log, space) = (Arc::clone(&self.inner), Arc::clone(&self.log), Arc::clone(&self.space));
        let around = Self::around(&inner, &*log, &space);
        let Ok(slot) = self.open_turn(batch, key) else { return };
        let Some(task) = slot.turn.task(&attempt, &around) else { return };
        let effect = super::turn::effect_key(&slot.turn.head.id(), &attempt);
        let internal = super::dispatch::is_internal(&self.inner, &slot.turn.execution, &task, &effect, around.now);
        let policy = if internal { rows::Unknown::Retry } else { slot.turn.head.unknown };
        match policy {
            rows::Unknown::Retry => self.with(batch, key, |turn, around| turn.perform(attempt, around)),
            rows::Unknown::Ask => {
                let token = token::make(key, &attempt, &self.inner.seed());
                slot.touched = true;
                if let Err(failure) = slot.turn.ask(&attempt, token, &around) {
                    // Nobody would ever end it.
                    let _ = self.feed(batch, key, Event::TaskFailed { attempt, failure }, around.now);
                }
            }
            rows::Unknown::Fail => {
                let cause = "the node crashed while the task was under way; nobody knows whether it was done";
                let failure = Failure::new("States.TaskUnknown", cause);
                let _ = self.feed(batch, key, Event::TaskFailed { attempt, failure }, around.now);
            }
        }
    }

    /// Takes a message; its row goes whatever comes of it, or it would be delivered by every life. One that cannot be
    /// read is left.
    fn message(&mut self, batch: &mut Batch, row: Bytes) {
        let now = self.inner.clock.now();
        let Some((sender, ..)) = rows::split(&row) else { return };
        let space: Arc<str> = Arc::from(rows::space_of(rows::shard_of(&sender)));
        // It was taken already, as what a later end had written over it.
        let Some(value) = self.log.get(&space, &row, View::Appended) else { return };
        let inner = Arc::clone(&self.inner);
        let message = match alone("reading a message", || Message::decode(&value, &|hash| inner.fetch(hash))) {
            Ok(message) => message,
            Err(problem) => return left(&sender, &problem),
        };
        match message {
            Message::Start { head, input } => {
                let (parent, id) = (head.parent.clone(), head.id());
                let started = self.begin(batch, *head, &input, None, false);
                if let (Err(problem), Some(parent)) = (started, parent) {
                    turn_away(batch, &id, parent, problem.title);
                }
            }
            Message::Ended { parent, view } => {
                self.guarded(batch, &parent.key, |shard, batch| shard.child_ended(batch, &parent, &view, now));
            }
            Message::Refused { parent, failure } => self.guarded(batch, &parent.key, |shard, batch| {
                let _ = shard.feed(batch, &parent.key, Event::TaskFailed { attempt: parent.attempt, failure }, now);
            }),
        }
        batch.loose.push((space, row, None));
    }

    /// Tells the task that has waited for an execution how that ended.
    fn child_ended(&mut self, batch: &mut Batch, parent: &rows::Parent, view: &ExecutionView, now: Micros) {
        let (inner, log, own) = (Arc::clone(&self.inner), Arc::clone(&self.log), Arc::clone(&self.space));
        let around = Self::around(&inner, &*log, &own);
        let turn = self.open_turn(batch, &parent.key).ok();
        let known = turn.and_then(|slot| {
            let task = slot.turn.task(&parent.attempt, &around)?;
            Some((task, slot.turn.execution.identity.machine_arn.clone()))
        });
        if let Some((task, machine_arn)) = known
            && let crate::definition::Resource::Service(service) = &task.start.resource
        {
            let attempt = parent.attempt;
            let event = match tasks::start::ended(service, &machine_arn, view) {
                Ok(output) => Event::TaskSucceeded { attempt, output },
                Err(failure) => Event::TaskFailed { attempt, failure },
            };
            let _ = self.feed(batch, &parent.key, event, now);
        }
    }

    /// Leaves an execution as it was and marks it, so that nothing tries it again, and whoever waits for its end waits no
    /// more; one that begins in this batch does not begin, and one that had ended stays as it ended. What was asked of it
    /// in this batch has not happened, and whoever asked is told what this answers.
    fn park(&mut self, batch: &mut Batch, key: &Key, reason: &str) -> Problem {
        let dropped = batch.drop_slot(key);
        self.cache.take(key);
        self.beats.forget_all(key);
        let answers = batch.take_answers(key);
        let problem = match (self.head(key), dropped) {
            (Ok(Some(head)), _) if head.state != ExecutionState::Running => not_taken_up(&head.id(), reason),
            (Ok(Some(mut head)), _) => {
                tracing::error!(execution = head.id(), reason, "execution parked");
                self.inner.figures.parked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                head.parked = Some(reason.to_owned());
                batch.loose.push((Arc::clone(&self.space), rows::row(key, Tag::Head, &[]), Some(head.encode())));
                // The log does not say so yet, and what comes next in this batch must not take it up again.
                batch.noted.insert(*key);
                let problem = super::parked(&head.id(), reason);
                batch.post(Some(Post::After(*key, After::Ended(Box::new(super::view(&head, None))))));
                if let Some(parent) = head.parent.take() {
                    turn_away(batch, &head.id(), parent, problem.title.clone());
                }
                problem
            }
            (Ok(None), Some(slot)) => {
                let id = slot.turn.head.id();
                let problem = cannot_begin(&id, reason);
                if let Some(parent) = slot.turn.head.parent {
                    turn_away(batch, &id, parent, problem.title.clone());
                }
                problem
            }
            (Err(problem), _) => problem,
            (Ok(None), None) => super::no_execution("of this key"),
        };
        answers.into_iter().for_each(|post| post.refuse(&problem));
        problem
    }
}

impl Drop for Shard {
    /// However its thread ends, nobody waits for an answer of it any more.
    fn drop(&mut self) {
        self.queue().close();
    }
}

/// Does what is answered and leaves the batch alone where it meets a bug.
fn alone<T>(what: &str, act: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    contained(act).unwrap_or_else(|said| Err(bug(what, &said)))
}

/// Why an execution is parked that met a bug.
fn buggy(said: &str) -> String {
    format!("its step ended by a bug in the program: {said}")
}

/// `HW-WORK-064`.
fn cannot_begin(id: &str, reason: &str) -> Problem {
    tracing::error!(execution = id, reason, "execution cannot begin");
    Problem::new("HW-WORK-064", format!("execution `{id}` cannot begin: {reason}"))
        .help("nothing of it is kept; start it again, with another input if the reason is in the input")
}

/// `HW-WORK-007`: an execution that had ended meets something that would park one that runs.
fn not_taken_up(id: &str, reason: &str) -> Problem {
    tracing::error!(execution = id, reason, "execution stays as it ended");
    Problem::new("HW-WORK-007", format!("execution `{id}` cannot be taken up again: {reason}"))
        .help("it is as it was; start a new one, and please report this")
}

/// Says of a message that it cannot be read.
fn left(sender: &Key, problem: &Problem) {
    tracing::error!(sender = hash::hex(sender), reason = problem.title, "message left");
}

/// Tells the task that waits for an execution that it does not begin, or does not go on.
fn turn_away(batch: &mut Batch, id: &str, parent: rows::Parent, cause: String) {
    let failure = Failure::new("States.TaskFailed", cause);
    // Several may ask for one execution, each in its own attempt of the same number.
    let rest = [parent.key.as_slice(), rows::attempt_bytes(&parent.attempt).as_slice()].concat();
    let (row, to) = (rows::row(&rows::key_of("", id), Tag::Message, &rest), parent.key);
    let message = Message::Refused { parent, failure };
    // The row is in the space that its own key names, whichever shard wrote it.
    let home = rows::split(&row).map_or(0, |(key, ..)| rows::shard_of(&key));
    batch.loose.push((Arc::from(rows::space_of(home)), row.clone(), Some(message.encode(usize::MAX).0)));
    batch.deliver.push((row, to));
}

/// `HW-WORK-006`, of a Map Run.
fn unwanted() -> Problem {
    Problem::new("HW-WORK-006", "the Map Run is not wanted any more")
}

fn answer<T>(reply: Option<super::queue::Reply<T>>, with: Result<T, Problem>) {
    if let Some(reply) = reply {
        // Nobody may be waiting any more.
        let _ = reply.send(with);
    }
}
