//! The timers of a shard, in the order in which they are due.
//!
//! Truth are the rows in the shard's space; this is the index over them that a restart builds anew. What was due while
//! the node was down fires in due order. The ends of what is kept of ended executions stand apart: they are counted, and
//! beyond a bound the first of them fire early.

use std::collections::BTreeSet;

use headwater_base::Micros;

use super::rows::{Alarm, AlarmKey, Key};

/// An alarm of an execution.
pub(super) type Entry = (Micros, Key, AlarmKey);

/// See above.
#[derive(Default)]
pub(super) struct Timers {
    live: BTreeSet<Entry>,
    expiring: BTreeSet<Entry>,
}

fn expires((.., alarm): &Entry) -> bool {
    *alarm == Alarm::Expire.bytes()
}

impl Timers {
    /// Of these, in any order.
    pub(super) fn of(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable();
        // Building from sorted input fills the trees' nodes.
        let (expiring, live): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(expires);
        Self { live: live.into_iter().collect(), expiring: expiring.into_iter().collect() }
    }

    fn set_of(&mut self, entry: &Entry) -> &mut BTreeSet<Entry> {
        if expires(entry) { &mut self.expiring } else { &mut self.live }
    }

    pub(super) fn set(&mut self, entry: Entry) {
        self.set_of(&entry).insert(entry);
    }

    pub(super) fn clear(&mut self, entry: &Entry) {
        self.set_of(entry).remove(entry);
    }

    fn first(&self) -> Option<Entry> {
        [self.live.first(), self.expiring.first()].into_iter().flatten().min().copied()
    }

    /// When the next one fires: at once, where more than `kept` ended executions are kept.
    pub(super) fn next(&self, kept: usize) -> Option<Micros> {
        if self.expiring.len() > kept {
            return Some(Micros::MIN);
        }
        self.first().map(|(due, ..)| due)
    }

    /// Takes the first one that is due; where more than `kept` ended executions are kept, the first of those.
    pub(super) fn pop(&mut self, now: Micros, kept: usize) -> Option<Entry> {
        if let Some(first) = self.first().filter(|(due, ..)| *due <= now) {
            self.clear(&first);
            return Some(first);
        }
        if self.expiring.len() > kept { self.expiring.pop_first() } else { None }
    }

    /// Timers of executions that run.
    pub(super) fn len(&self) -> usize {
        self.live.len()
    }
}

#[cfg(test)]
mod tests;
