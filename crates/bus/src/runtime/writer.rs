//! From effects to one commit: records, documents, what waits to be delivered, dead letters, and the caller's own state.
//!
//! Exactly once: a commit is one record of the write-ahead log and names the epoch of its owner. What the effects of an
//! event write and how far its reader has come become durable together or not at all.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::HashMap as FastMap;
use futures::future::BoxFuture;
use headwater_base::{Clock, Micros, Name, Problem};
use headwater_kernel::audit::{self, Entry};
use headwater_kernel::port::Tables;
use headwater_kernel::port::tables::{TransactError, Write};
use headwater_log::outbox::{Outbox, Refused, Target};
use headwater_log::{Commit, DISK_RETRY, Delta, Log, LogError, Ticket};
use tracing::{error, info};

use crate::letter::Letter;
use crate::subscription::{Effect, Outgoing, Subscription};

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
    /// A stream that takes dead letters is not there.
    Missing(Name),
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
    streams: FastMap<Name, Option<Target>>,
}

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
        Self { log, tables, outbox: Outbox::default(), streams: FastMap::default() }
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
    /// table refuses, the documents become dead letters. Nothing was written where this is dropped.
    ///
    /// # Errors
    /// `HW-BUS-020` without its stream of dead letters, `HW-BUS-022` what the log says; what a table says that refuses
    /// even so.
    pub async fn settle(
        &mut self,
        subscription: &Subscription,
        effects: &[Effect],
        deltas: Vec<Delta>,
        clock: &dyn Clock,
    ) -> Result<Done, Problem> {
        let failed = |fact: &str| Problem::new("HW-BUS-022", format!("`{}`: {fact}", subscription.id()));
        let owned: Vec<Owned<'_>> = effects.iter().map(|effect| Owned { subscription, effect }).collect();
        let also = Also { deltas: vec![(Arc::clone(&subscription.space), deltas)], fence: None };
        let (mut refused, mut told) = (HashMap::new(), false);
        loop {
            match self.commit(&owned, &refused, also.clone(), clock.now()) {
                Ok(done) => return Ok(done),
                Err(Refusal::Full(streams)) => self.room(&streams).await,
                Err(Refusal::Behind(table)) => self.caught_up(&table).await,
                Err(Refusal::Log(LogError::Disk(why))) => {
                    if !std::mem::replace(&mut told, true) {
                        error!(subscription = %subscription.id(), why, "a subscription waits for the disk");
                    }
                    tokio::time::sleep(DISK_RETRY).await;
                }
                Err(Refusal::Table(problem)) if refused.is_empty() => {
                    refused = (0..effects.len()).map(|place| (place, problem.clone())).collect();
                }
                Err(Refusal::Table(problem)) => return Err(problem),
                Err(Refusal::Missing(stream)) => {
                    self.refresh();
                    return Err(Problem::new("HW-BUS-020", format!("there is no stream `{stream}`")));
                }
                Err(Refusal::TooMuch) => return Err(failed("what is to be written is more than one commit takes")),
                Err(Refusal::Log(error)) => return Err(failed(&error.to_string())),
            }
        }
    }

    /// Writes everything in one commit; documents are all of one event, whose chain their changes go on with. Never
    /// waits. `refused` are documents, by their place among the effects, that their table does not take: they become dead
    /// letters.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was written then.
    pub fn commit(
        &mut self,
        effects: &[Owned<'_>],
        refused: &HashMap<usize, Problem>,
        also: Also,
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
                info!(subscription = %subscription.id(), event = %id, note, "event");
            }
        }
        Ok(Done { ticket, outcomes })
    }

    fn build(
        &mut self,
        effects: &[Owned<'_>],
        refused: &HashMap<usize, Problem>,
        also: Also,
        now: Micros,
    ) -> Result<(Commit, Vec<Write>, Vec<Outcome>), Refusal> {
        // What an attempt before left behind.
        drop(self.outbox.take());
        let Also { mut deltas, fence } = also;
        let (mut writes, mut outcomes, mut cuts) = (Vec::new(), Vec::with_capacity(effects.len()), Vec::new());
        for (place, Owned { subscription, effect }) in effects.iter().enumerate() {
            let outcome = match effect {
                Effect::Record(outgoing) => match (self.record(outgoing), &outgoing.letter) {
                    (Ok(()), _) => Outcome::Delivered,
                    (Err(reason), Some(letter)) => {
                        self.dead(subscription, &letter.as_ref().clone().because("HW-BUS-014", &reason))?
                    }
                    // An archive without its stream must not pass over an event.
                    (Err(_), None) => return Err(Refusal::Missing(outgoing.stream.clone())),
                },
                Effect::Write { write, letter, .. } => match refused.get(&place) {
                    None => {
                        writes.push(write.clone());
                        Outcome::Delivered
                    }
                    Some(problem) => self.dead(subscription, &letter.clone().because(&problem.code, &problem.title))?,
                },
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

    /// Puts a record into the outbox, or says why its stream does not take it.
    fn record(&mut self, outgoing: &Outgoing) -> Result<(), String> {
        let Some(target) = self.target(&outgoing.stream) else {
            return Err(format!("there is no stream `{}`", outgoing.stream));
        };
        let headers: Vec<(&str, &[u8])> =
            outgoing.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect();
        let (key, value) = (outgoing.key.as_deref(), outgoing.value.as_deref());
        self.outbox.put(target, outgoing.time_ms, key, value, &headers).map_err(|refused| match refused {
            Refused::Oversize { bytes, limit } => {
                format!("a record of {bytes} bytes; the limit of `{}` is {limit}", outgoing.stream)
            }
            Refused::NoKey => format!("`{}` is compacted by key, and the event has none", outgoing.stream),
        })
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
            return *known;
        }
        let target = self.outbox.add(&*self.log, name).ok();
        self.streams.insert(name.clone(), target);
        target
    }
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
