//! Session windows: events of a key that follow each other closely.
//!
//! Rules:
//! - Two events of a key are in one session if there is a chain between them without a step over `gap`. A step of
//!   exactly `gap` still joins: with `<` instead, whether two touching sessions merge would hang on order of arrival.
//! - A session closes once `end + gap < watermark`, since an event at the watermark itself may still come.
//! - It stays in the state until `end + gap < watermark - lateness`. Until then a late event can extend it, or bridge two
//!   sessions into one, and each micro-batch that changed a closed session gives out its next revision.
//! - **Identity.** A session's id is a hash of its key and its *birth*: the place (event time, partition, offset) of the
//!   event that opened it. It does not change when the start moves to an earlier time. Of two sessions that merge, the
//!   one with the smaller birth survives with its id and revisions, whichever was known first; if the other one had
//!   been given out, a tombstone takes it back. With input in order, births are first events, which is what
//!   [`super::batch`] computes.
//! - The path holds the earliest `path_max` values by (event time, position), so that it depends on the events only.
//!
//! State: one value per key with all its sessions that are not gone, usually one.
//!
//! # Source
//! T. Akidau et al., "The Dataflow Model", 2015, section 2.2.2 (sessions as merging windows).

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::Micros;

use crate::operators::live::Live;
use crate::operators::measure::{Measured, layout};
use crate::operators::time::bound;
use crate::operators::timers::Timers;
use crate::operators::{
    ADVANCE_MAX, Advance, ConfigError, Corrupt, Emission, Event, Kind, Measure, Operator, Outcome, SessionRow, State,
    Tombstone,
};

mod path;
mod stored;

pub use path::Path;
pub use stored::{Session, id};

/// When a session is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Once the watermark has passed its end, and again for each revision after that.
    Close,
    /// Also while it is open, once for each micro-batch that changed it.
    Update,
}

/// A session step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Events further apart than this are in different sessions; exactly this far apart is still together.
    pub gap: Duration,
    /// How far behind the watermark events are still taken.
    pub lateness: Duration,
    /// What is measured.
    pub measures: Vec<Measure>,
    /// Longest path kept; None for a step without a path.
    pub path_max: Option<usize>,
    /// When it is given out.
    pub emit: Emit,
}

/// The session operator.
#[derive(Debug)]
pub struct Sessions {
    rules: Rules,
    watermark: Micros,
    timers: Timers,
    live: Live<Vec<Session>>,
    /// Keys whose open sessions this micro-batch has changed ([`Emit::Update`] only).
    changed: BTreeSet<Box<[u8]>>,
}

impl Sessions {
    /// Builds the operator.
    ///
    /// # Errors
    /// A gap of zero, or a path of zero.
    pub fn new(config: SessionConfig) -> Result<Self, ConfigError> {
        if config.gap < Duration::from_micros(1) {
            return Err(ConfigError("a session needs a gap above zero".to_owned()));
        }
        if config.path_max == Some(0) {
            return Err(ConfigError("a path needs a maximum of at least 1".to_owned()));
        }
        let kinds = config.measures.iter().map(|measure| measure.kind).collect();
        // A thousand buckets over one gap: few entries to sort at a time, and few buckets.
        let width = i64::try_from(config.gap.as_micros() / 1_024).unwrap_or(i64::MAX);
        Ok(Self {
            rules: Rules { config, kinds },
            watermark: Micros::MIN,
            timers: Timers::new(width),
            live: Live::default(),
            changed: BTreeSet::new(),
        })
    }

    /// Gives out the open sessions that this micro-batch has changed.
    fn give_out_changed(&mut self, state: &dyn State, out: &mut Vec<Emission>) -> Result<(), Corrupt> {
        for key in std::mem::take(&mut self.changed) {
            let Some(mut taken) = self.live.take(state, &key, |bytes| self.rules.sessions(bytes))? else { continue };
            for session in &mut taken.value {
                // A closed one is given out by its timer.
                if session.changed && self.rules.close_at(session) > self.watermark {
                    session.changed = false;
                    session.revision = session.revision.saturating_add(1);
                    out.push(self.rules.row(&key, session, false));
                    taken.changed = true;
                }
            }
            self.live.put(key, taken);
        }
        Ok(())
    }
}

/// What does not change while the operator works.
#[derive(Debug)]
struct Rules {
    config: SessionConfig,
    kinds: Vec<Kind>,
}

impl Rules {
    /// The sessions of a key that are not gone, in order of time.
    fn sessions(&self, value: &[u8]) -> Result<Vec<Session>, Corrupt> {
        stored::decode(value, &self.kinds, self.config.path_max.is_some())
    }

    /// The first time at which no event belongs to the session any more.
    fn close_at(&self, session: &Session) -> Micros {
        Micros(session.end.plus(self.config.gap).0.saturating_add(1))
    }

    /// The next time something happens to the session.
    fn due(&self, session: &Session) -> Micros {
        let close = self.close_at(session);
        if session.pending { close } else { close.plus(self.config.lateness) }
    }

    fn row(&self, key: &[u8], session: &Session, closed: bool) -> Emission {
        let path = session.path.as_ref().map(Path::values);
        Emission::Session(SessionRow {
            key: Bytes::copy_from_slice(key),
            session_id: id(key, session.birth),
            revision: session.revision,
            closed,
            start: session.start,
            end: session.end,
            events: session.events,
            hops: session.hops,
            entry: path.as_ref().and_then(|path| path.first().cloned()),
            exit: session.path.as_ref().and_then(Path::exit),
            path,
            measures: session.measures.iter().map(Measured::value).collect(),
        })
    }

    /// Puts an event into the key's sessions, which are in order of time and more than `gap` apart.
    fn insert(&self, sessions: &mut Vec<Session>, event: &Event<'_>, out: &mut Vec<Emission>) {
        let (from, to) = (event.time.minus(self.config.gap), event.time.plus(self.config.gap));
        let first = sessions.partition_point(|session| session.end < from);
        let behind = sessions.partition_point(|session| session.start <= to);
        if first >= behind {
            let path = self.config.path_max.map(|_| Path::new());
            sessions.insert(first, Session::open((event.time, event.position), &self.kinds, path));
        }
        // An event touches one session, or two that it bridges.
        for _ in first + 1..behind {
            let other = sessions.remove(first + 1);
            let Some(session) = sessions.get_mut(first) else { return };
            let loser = session.merge(other, self.config.path_max);
            if loser.revision > 0 {
                out.push(Emission::Tombstone(Tombstone {
                    key: Bytes::copy_from_slice(event.key),
                    session_id: id(event.key, loser.birth),
                    revision: loser.revision.saturating_add(1),
                    merged_into: id(event.key, session.birth),
                    hops: session.hops.max(event.hops),
                }));
            }
        }
        let Some(session) = sessions.get_mut(first) else { return };
        session.add(event, self.config.path_max);
    }
}

impl Operator for Sessions {
    fn event(&mut self, state: &mut dyn State, event: &Event<'_>, out: &mut Vec<Emission>) -> Result<Outcome, Corrupt> {
        let bound = bound(self.watermark, self.rules.config.lateness);
        if event.time < bound {
            return Ok(Outcome::Late { bound });
        }
        let (rules, key) = (&self.rules, event.key);
        let known = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => rules.sessions(bytes),
            None => Ok(Vec::with_capacity(1)),
        };
        let sessions = self.live.change(state, key, known)?;
        let due_before = sessions.iter().map(|session| rules.due(session)).min();
        rules.insert(sessions, event, out);
        let due = sessions.iter().map(|session| rules.due(session)).min();
        // A timer that is too early is harmless, so only one that would be too late is replaced.
        if let Some(due) = due
            && due_before.is_none_or(|before| due < before)
        {
            self.timers.schedule(due, key);
        }
        if rules.config.emit == Emit::Update && !self.changed.contains(key) {
            self.changed.insert(key.into());
        }
        Ok(Outcome::Taken)
    }

    fn advance(
        &mut self,
        state: &mut dyn State,
        watermark: Micros,
        out: &mut Vec<Emission>,
    ) -> Result<Advance, Corrupt> {
        self.watermark = self.watermark.max(watermark);
        self.give_out_changed(state, out)?;
        let bound = bound(self.watermark, self.rules.config.lateness);
        let mut outcome = Advance::More;
        for _ in 0..ADVANCE_MAX {
            let Some(key) = self.timers.pop(self.watermark) else {
                outcome = Advance::Done;
                break;
            };
            let Some(mut taken) = self.live.take(state, &key, |bytes| self.rules.sessions(bytes))? else { continue };
            let sessions = &mut taken.value;
            let count = sessions.len();
            for session in sessions.iter_mut() {
                if session.pending && self.rules.close_at(session) <= self.watermark {
                    session.pending = false;
                    session.changed = false;
                    session.revision = session.revision.saturating_add(1);
                    out.push(self.rules.row(&key, session, true));
                    taken.changed = true;
                }
            }
            sessions.retain(|session| session.pending || self.rules.close_at(session) > bound);
            taken.changed |= sessions.len() < count;
            match sessions.iter().map(|session| self.rules.due(session)).min() {
                Some(due) => {
                    self.timers.schedule(due, &key);
                    self.live.put(key, taken);
                }
                None => state.delete(&key),
            }
        }
        self.live.settle(state, |sessions, out| stored::encode(sessions, out));
        Ok(outcome)
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        if let Some(due) = self.rules.sessions(value)?.iter().map(|session| self.rules.due(session)).min() {
            self.timers.schedule(due, key);
        }
        Ok(())
    }

    fn measures(&self) -> &[Measure] {
        &self.rules.config.measures
    }

    fn layout(&self) -> String {
        let config = &self.rules.config;
        let path = if config.path_max.is_some() { " path" } else { "" };
        format!("session/{} {}{path}", stored::VERSION, layout(&config.measures))
    }
}

#[cfg(test)]
mod tests;
