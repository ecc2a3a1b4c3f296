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
//! State: one value per key with all its sessions that are not gone, usually one. Each event reads and writes it: of a
//! million users nearly all are gone again before they come back, so nothing is gained by keeping what was read.
//!
//! # Source
//! T. Akidau et al., "The Dataflow Model", 2015, section 2.2.2 (sessions as merging windows).

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::Micros;

use crate::operators::measure::{Measured, layout};
use crate::operators::time::bound;
use crate::operators::timers::Timers;
use crate::operators::{
    ADVANCE_MAX, Advance, Change, ConfigError, Corrupt, Emission, Event, Kind, Measure, Operator, Outcome, SessionRow,
    State, Tombstone,
};

mod path;
mod stored;

pub use path::Path;
use stored::Decoded;
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
    /// Those of the key at hand.
    decoded: Decoded,
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
            decoded: Decoded::default(),
            changed: BTreeSet::new(),
        })
    }

    /// Gives out the open sessions that this micro-batch has changed.
    fn give_out_changed(&mut self, state: &mut dyn State, out: &mut Vec<Emission>) -> Result<(), Corrupt> {
        let (rules, watermark, decoded) = (&self.rules, self.watermark, &mut self.decoded);
        for key in std::mem::take(&mut self.changed) {
            state.change(&key, &mut |value, made| {
                let Some(value) = value else { return Ok(Change::Keep) };
                rules.read(value, decoded)?;
                let mut change = Change::Keep;
                for session in &mut decoded.sessions {
                    // A closed one is given out by its timer.
                    if session.changed && rules.close_at(session) > watermark {
                        session.changed = false;
                        session.revision = session.revision.saturating_add(1);
                        out.push(rules.row(&key, session, false));
                        change = Change::Put;
                    }
                }
                if change == Change::Put {
                    stored::encode(&decoded.sessions, made);
                }
                Ok(change)
            })?;
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
    /// Reads the sessions of a key that are not gone.
    fn read(&self, value: &[u8], decoded: &mut Decoded) -> Result<(), Corrupt> {
        decoded.read(value, &self.kinds, self.config.path_max.is_some())
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

    /// The next time something happens to one of them.
    fn first_due(&self, sessions: &[Session]) -> Option<Micros> {
        sessions.iter().map(|session| self.due(session)).min()
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
        let (rules, decoded, key) = (&self.rules, &mut self.decoded, event.key);
        let (mut due_before, mut due) = (None, None);
        state.change(key, &mut |value, made| {
            match value {
                Some(value) => rules.read(value, decoded)?,
                None => decoded.clear(),
            }
            due_before = rules.first_due(&decoded.sessions);
            rules.insert(&mut decoded.sessions, event, out);
            due = rules.first_due(&decoded.sessions);
            stored::encode(&decoded.sessions, made);
            Ok(Change::Put)
        })?;
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
        let (rules, watermark, decoded) = (&self.rules, self.watermark, &mut self.decoded);
        let mut outcome = Advance::More;
        for _ in 0..ADVANCE_MAX {
            let Some(key) = self.timers.pop(self.watermark) else {
                outcome = Advance::Done;
                break;
            };
            let mut due = None;
            state.change(&key, &mut |value, made| {
                let Some(value) = value else { return Ok(Change::Keep) };
                rules.read(value, decoded)?;
                let sessions = &mut decoded.sessions;
                let (count, mut is_changed) = (sessions.len(), false);
                for session in sessions.iter_mut() {
                    if session.pending && rules.close_at(session) <= watermark {
                        session.pending = false;
                        session.changed = false;
                        session.revision = session.revision.saturating_add(1);
                        out.push(rules.row(&key, session, true));
                        is_changed = true;
                    }
                }
                sessions.retain(|session| session.pending || rules.close_at(session) > bound);
                is_changed |= sessions.len() < count;
                due = rules.first_due(sessions);
                if due.is_none() {
                    return Ok(Change::Delete);
                }
                if !is_changed {
                    return Ok(Change::Keep);
                }
                stored::encode(sessions, made);
                Ok(Change::Put)
            })?;
            if let Some(due) = due {
                self.timers.schedule(due, &key);
            }
        }
        Ok(outcome)
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        self.rules.read(value, &mut self.decoded)?;
        if let Some(due) = self.rules.first_due(&self.decoded.sessions) {
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
