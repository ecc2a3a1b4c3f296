//! The timers of a shard, in the order in which they are due.
//!
//! Truth are the rows in the shard's space; this is the index over them that a restart builds anew. What was due while
//! the node was down fires in due order.

use std::collections::BTreeSet;

use headwater_base::Micros;

use super::rows::{AlarmKey, Key};

/// An alarm of an execution.
pub(super) type Entry = (Micros, Key, AlarmKey);

/// See above.
#[derive(Default)]
pub(super) struct Timers(BTreeSet<Entry>);

impl Timers {
    /// Of these, in any order.
    pub(super) fn of(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable();
        // Building from sorted input fills the tree's nodes.
        Self(entries.into_iter().collect())
    }

    pub(super) fn set(&mut self, entry: Entry) {
        self.0.insert(entry);
    }

    pub(super) fn clear(&mut self, entry: &Entry) {
        self.0.remove(entry);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Micros> {
        self.0.first().map(|(due, ..)| *due)
    }

    /// Takes the first one that is due.
    pub(super) fn pop(&mut self, now: Micros) -> Option<Entry> {
        let first = self.0.first().filter(|(due, ..)| *due <= now)?;
        let first = *first;
        self.0.remove(&first);
        Some(first)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
