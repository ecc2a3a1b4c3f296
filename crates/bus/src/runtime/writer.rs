//! From effects to one commit: records, documents, what waits to be delivered, dead letters, and the caller's own state.
//!
//! Exactly once: a commit is one record of the write-ahead log and names the epoch of its owner. What the effects of an
//! event write and how far its reader has come become durable together or not at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ahash::HashMap as FastMap;
use futures::future::BoxFuture;
use headwater_base::{Clock, Micros, Name, Problem};
use headwater_kernel::audit::{self, Entry};
use headwater_kernel::port::Tables;
use headwater_kernel::port::tables::{TransactError, Write};
use headwater_kernel::unit::{bug, contained};
use headwater_log::outbox::{Outbox, Refused, Target};
use headwater_log::{Commit, DISK_RETRY, Delta, Log, LogError, Ticket, View};
use tracing::{error, info};

use crate::letter::Letter;
use crate::pending::Pending;
use crate::subscription::{Effect, Outgoing, Source, Subscription};

/// The target of the lines that rules ask for: they are logged though the rest is at `warn`.
pub const NOTED: &str = "headwater_rule";

/// An effect and whose it is.
#[derive(Clone, Copy)]
pub struct Owned<'a> {
    /// The subscription.
    pub subscription: &'a Subscription,
    /// The effect.
    pub effect: &'a Effect,
}

/// A commit that has its place.
#[derive(Debug)]
pub struct Done {
    /// The place.
    pub ticket: Ticket,
    /// What became of the effects, in their order.
    pub outcomes: Vec<Outcome>,
}

/// What became of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It reached its target.
    Delivered,
    /// It waits to be delivered.
    Waiting,
    /// It is a dead letter.
    Dead,
}

/// Why nothing was committed.
#[derive(Debug)]
pub enum Refusal {
    /// There is no room for what goes to these streams: wait for [`Writer::room`] and try again.
    Full(Vec<Name>),
    /// This table's view has to catch up first: wait for [`Writer::caught_up`] and try again.
    Behind(Name),
    /// Too much for one commit.
    TooMuch,
    /// A table refuses one of the documents.
    Table(Problem),
    /// A stream that keeps what the subscription takes, or its dead letters, is not there.
    Missing(Name),
    /// An archive's stream does not take the record, and why.
    Unfit(String),
    /// It met a bug, which said this; nothing of it is there.
    Bug(String),
    /// It met a bug, which said this, after it was written: whoever goes on has to look where it stands.
    Doubt(String),
    /// The log.
    Log(LogError),
}

impl Refusal {
    fn of(error: LogError, commit: &Commit) -> Self {
        match error {
            LogError::Full(_) => Self::full(commit),
            LogError::Limit(_) | LogError::BatchTooLarge { .. } => Self::TooMuch,
            error => Self::Log(error),
        }
    }

    fn full(commit: &Commit) -> Self {
        Self::Full(commit.appends.iter().map(|append| append.stream.clone()).collect())
    }
}

/// Writes effects.
pub struct Writer {
    log: Arc<dyn Log>,
    tables: Arc<dyn Tables>,
    outbox: Outbox,
    streams: FastMap<Name, Target>,
    /// When streams were last opened anew, by the clock's `elapsed`.
    opened: Duration,
}

/// How long [`Writer::settle`] takes a stream to be as it was opened.
const OPEN_FOR: Duration = Duration::from_millis(250);

/// What a commit holds besides effects.
#[derive(Clone, Default)]
pub struct Also {
    /// State changes.
    pub deltas: Vec<(Arc<str>, Vec<Delta>)>,
    /// The owner and its epoch.
    pub fence: Option<(Name, u64)>,
}

impl Writer {
    /// A writer; streams are opened as they are named.
    pub fn new(log: Arc<dyn Log>, tables: Arc<dyn Tables>) -> Self {
        Self { log, tables, outbox: Outbox::default(), streams: FastMap::default(), opened: Duration::ZERO }
    }

    /// Opens streams anew: one may have come, gone, or grown.
    pub fn refresh(&mut self) {
        self.outbox = Outbox::default();
        self.streams.clear();
    }

    /// Waits for room for what goes to the streams that [`Refusal::Full`] names.
    pub fn room(&self, streams: &[Name]) -> BoxFuture<'_, ()> {
        let streams: Vec<&str> = streams.iter().map(Name::as_str).collect();
        self.log.room(&streams)
    }

    /// Waits for a table that [`Refusal::Behind`] names.
    pub async fn caught_up(&self, table: &Name) {
        // A table that is gone is what the next try says.
        let _ = self.tables.settled(table.as_str()).await;
    }

    /// Writes effects of one subscription with changes of its own state. Waits for room, for tables and for a full disk,
    /// because all of them pass: whoever gave up would do the same again in each life, until the disk takes it. Where a
    /// table refuses, the documents become dead letters, and so does everything that meets a bug or is too much for a
    /// commit. Nothing was written where this is dropped.
    ///
    /// # Errors
    /// `HW-BUS-020` without its stream of dead letters, `HW-BUS-022` what the log says, `HW-KERNEL-043` for a bug that the
    /// letters meet as well; what a table says that refuses even so.
    pub async fn settle(
        &mut self,
        subscription: &Subscription,
        effects: &[Effect],
        deltas: Vec<Delta>,
        clock: &dyn Clock,
    ) -> Result<Done, Problem> {
        let elapsed = clock.elapsed();
        if elapsed.saturating_sub(self.opened) >= OPEN_FOR {
            self.refresh();
            self.opened = elapsed;
        }
        let failed = |fact: &str| Problem::new("HW-BUS-022", format!("`{}`: {fact}", subscription.id()));
        let owned: Vec<Owned<'_>> = effects.iter().map(|effect| Owned { subscription, effect }).collect();
        let also = Also { deltas: vec![(Arc::clone(&subscription.space), deltas)], fence: None };
        let (mut refused, mut told) = (HashMap::new(), false);
        loop {
            let (problem, is_table) = match self.commit(&owned, &refused, &also, clock.now()) {
                Ok(done) => return Ok(done),
                Err(Refusal::Full(streams)) => {
                    self.room(&streams).await;
                    continue;
                }
                Err(Refusal::Behind(table)) => {
                    self.caught_up(&table).await;
                    continue;
                }
                Err(Refusal::Log(LogError::Disk(why))) => {
                    if !std::mem::replace(&mut told, true) {
                        error!(subscription = %subscription.id(), why, "a subscription waits for the disk");
                    }
                    tokio::time::sleep(DISK_RETRY).await;
                    continue;
                }
                Err(Refusal::Missing(stream)) => {
                    self.refresh();
                    return Err(Problem::new("HW-BUS-020", format!("there is no stream `{stream}`")));
                }
                Err(Refusal::Log(error)) => return Err(failed(&error.to_string())),
                Err(Refusal::Doubt(said)) => return Err(bug(format_args!("`{}`", subscription.id()), &said)),
                Err(Refusal::Bug(said)) => (bug(format_args!("`{}`", subscription.id()), &said), false),
                Err(Refusal::Table(problem)) => (problem, true),
                Err(Refusal::TooMuch) => (too_much(), false),
                Err(Refusal::Unfit(reason)) => (Problem::new("HW-BUS-014", reason), false),
            };
            // Which effect it is, nobody says: without the documents first, then without all.
            let is_document = |place: &usize| matches!(effects.get(*place), Some(Effect::Write { .. }));
            let documents: Vec<usize> = (0..effects.len()).filter(is_document).collect();
            let places = match (refused.len(), documents.len()) {
                (0, 1..) => documents,
                (known, _) if !is_table && known < effects.len() => (0..effects.len()).collect(),
                _ => return Err(problem),
            };
            refused = places.into_iter().map(|place| (place, problem.clone())).collect();
        }
    }

    /// Writes everything in one commit; documents are all of one event, whose chain their changes go on with. Never
    /// waits. `refused` are those, by their place among the effects, that cannot be written as they are: they become dead
    /// letters. `also` has a change by which it can be told whether all of it was written.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was written then, but for [`Refusal::Doubt`].
    pub fn commit(
        &mut self,
        effects: &[Owned<'_>],
        refused: &HashMap<usize, Problem>,
        also: &Also,
        now: Micros,
    ) -> Result<Done, Refusal> {
        contained(|| self.try_commit(effects, refused, also, now)).unwrap_or_else(|said| {
            self.refresh();
            let there = |space: &str, delta: &Delta| self.log.get(space, &delta.key, View::Appended) == delta.value;
            let written = also.deltas.iter().all(|(space, deltas)| deltas.iter().all(|delta| there(space, delta)));
            Err(if written { Refusal::Doubt(said) } else { Refusal::Bug(said) })
        })
    }

    fn try_commit(
        &mut self,
        effects: &[Owned<'_>],
        refused: &HashMap<usize, Problem>,
        also: &Also,
        now: Micros,
    ) -> Result<Done, Refusal> {
        let (mut commit, writes, outcomes) = self.build(effects, refused, also, now)?;
        let ticket = if writes.is_empty() {
            self.log.append(&mut commit).map_err(|error| Refusal::of(error, &commit))?
        } else {
            let done = self.tables.transact(&writes, &mut commit).map_err(|error| match error {
                TransactError::Full => Refusal::full(&commit),
                TransactError::Behind(table) => Refusal::Behind(table),
                TransactError::Log(error) => Refusal::of(error, &commit),
                TransactError::Problem(problem) => Refusal::Table(problem),
                TransactError::Condition { .. } => {
                    headwater_base::never!("a rule's document has no condition");
                    Refusal::TooMuch
                }
            })?;
            done.ticket
        };
        // Not before: what is refused is tried again, and each try would say so.
        for Owned { subscription, effect } in effects {
            if let Effect::Log { id, note } = effect {
                info!(target: NOTED, subscription = %subscription.id(), event = %id, note, "event");
            }
        }
        Ok(Done { ticket, outcomes })
    }

    fn build(
        &mut self,
        effects: &[Owned<'_>],
        refused: &HashMap<usize, Problem>,
        also: &Also,
        now: Micros,
    ) -> Result<(Commit, Vec<Write>, Vec<Outcome>), Refusal> {
        // What an attempt before left behind.
        drop(self.outbox.take());
        let Also { mut deltas, fence } = also.clone();
        let (mut writes, mut outcomes, mut cuts) = (Vec::new(), Vec::with_capacity(effects.len()), Vec::new());
        for (place, Owned { subscription, effect }) in effects.iter().enumerate() {
            let refused = refused.get(&place).and_then(|problem| Some((problem, letter_of(subscription, effect)?)));
            if let Some((problem, letter)) = refused {
                outcomes.push(self.dead(subscription, &letter.because(&problem.code, &problem.title))?);
                continue;
            }
            let outcome = match effect {
                Effect::Record(outgoing) => match (self.record(outgoing), &outgoing.letter) {
                    (Ok(()), _) => Outcome::Delivered,
                    (Err(unput), Some(letter)) => {
                        let reason = unput.reason(&outgoing.stream);
                        self.dead(subscription, &letter.as_ref().clone().because("HW-BUS-014", &reason))?
                    }
                    // An archive without its stream must not pass over an event.
                    (Err(Unput::Missing), None) => return Err(Refusal::Missing(outgoing.stream.clone())),
                    (Err(unput), None) => return Err(Refusal::Unfit(unput.reason(&outgoing.stream))),
                },
                Effect::Write { write, .. } => {
                    writes.push(write.clone());
                    Outcome::Delivered
                }
                Effect::Pending { key, value } => {
                    let delta = Delta { key: key.clone(), value: Some(value.clone()) };
                    deltas.push((Arc::clone(&subscription.space), vec![delta]));
                    Outcome::Waiting
                }
                Effect::Dead(letter) => {
                    if letter.code == CUT {
                        cuts.push(cut(subscription, now));
                    }
                    self.dead(subscription, letter)?
                }
                Effect::Log { .. } => Outcome::Delivered,
            };
            outcomes.push(outcome);
        }
        let mut appends = self.outbox.take();
        appends.extend(audit::append(&cuts));
        Ok((Commit { appends, deltas, fence, ..Commit::default() }, writes, outcomes))
    }

    /// Puts a record into the outbox.
    fn record(&mut self, outgoing: &Outgoing) -> Result<(), Unput> {
        let target = self.target(&outgoing.stream).ok_or(Unput::Missing)?;
        let headers: Vec<(&str, &[u8])> =
            outgoing.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect();
        let (key, value) = (outgoing.key.as_deref(), outgoing.value.as_deref());
        self.outbox.put(target, outgoing.time_ms, key, value, &headers).map_err(Unput::Refused)
    }

    fn dead(&mut self, subscription: &Subscription, letter: &Letter) -> Result<Outcome, Refusal> {
        let missing = || Refusal::Missing(subscription.dead.clone());
        let target = self.target(&subscription.dead).ok_or_else(missing)?;
        let key = subscription.id();
        // The only refusals left are a stream with a tiny limit or one that somebody made compacted: the key helps with
        // the one, and the letter without its data with the other.
        let time_ms = letter.time.millis();
        let put = self.outbox.put(target, time_ms, Some(key.as_bytes()), Some(&letter.encode()), &[]);
        if put.is_err() {
            let short = letter.without_data().encode();
            self.outbox.put(target, time_ms, Some(key.as_bytes()), Some(&short), &[]).map_err(|_| missing())?;
        }
        Ok(Outcome::Dead)
    }

    fn target(&mut self, name: &Name) -> Option<Target> {
        if let Some(known) = self.streams.get(name) {
            return Some(*known);
        }
        // One that is not there may come.
        let target = self.outbox.add(&*self.log, name).ok()?;
        self.streams.insert(name.clone(), target);
        Some(target)
    }
}

/// Why a record is not in the outbox.
enum Unput {
    /// There is no such stream.
    Missing,
    /// The stream does not take it.
    Refused(Refused),
}

impl Unput {
    fn reason(&self, stream: &Name) -> String {
        match self {
            Self::Missing => format!("there is no stream `{stream}`"),
            Self::Refused(Refused::Oversize { bytes, limit }) => {
                format!("a record of {bytes} bytes; the limit of `{stream}` is {limit}")
            }
            Self::Refused(Refused::NoKey) => format!("`{stream}` is compacted by key, and the event has none"),
        }
    }
}

/// The letter that an effect becomes which cannot be written as it is; a dead letter and a line of the log become none.
pub(in crate::runtime) fn letter_of(subscription: &Subscription, effect: &Effect) -> Option<Letter> {
    match effect {
        Effect::Record(outgoing) => outgoing.letter.as_deref().cloned(),
        Effect::Write { letter, .. } => Some(letter.clone()),
        Effect::Pending { value, .. } => {
            let (pending, body) = Pending::decode(value)?;
            let cause = pending.chain();
            let source = Source { time: pending.time, cause: &cause, place: pending.place(), now: pending.first };
            Some(subscription.letter_of(&source, Some(pending.target), String::new(), String::new(), &body))
        }
        Effect::Dead(_) | Effect::Log { .. } => None,
    }
}

/// `HW-BUS-014`, of an event whose effects are too many or too large.
pub(in crate::runtime) fn too_much() -> Problem {
    Problem::new("HW-BUS-014", "what the event leads to is more than one commit takes")
}

/// The code of a letter that says a chain was cut.
const CUT: &str = "HW-BUS-010";

fn cut(subscription: &Subscription, now: Micros) -> Entry {
    Entry {
        time: now,
        who: subscription.id(),
        verb: "cut".to_owned(),
        kind: subscription.unit.to_owned(),
        name: subscription.name.to_string(),
        generation: 0,
        outcome: "loop".to_owned(),
    }
}
