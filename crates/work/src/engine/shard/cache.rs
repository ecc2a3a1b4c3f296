//! Executions as values, those used least lately going first.
//!
//! What is gone from here is read from its rows again. As values an execution takes many times its rows, a list of small
//! numbers some twenty times: so what they take is bounded, and not how many they are alone.
//!
//! Invariant: the one used last stays, however large it is; while it goes on, all of it is in memory in any case.

use std::collections::BTreeMap;

use ahash::HashMap;

use crate::engine::rows::Key;
use crate::engine::turn::Turn;

/// Executions kept, however small.
const COUNT_MAX: usize = 256;

/// See the file's head.
pub(super) struct Cache {
    turns: HashMap<Key, Kept>,
    /// When each was used.
    order: BTreeMap<u64, Key>,
    tick: u64,
    bytes: usize,
    bytes_max: usize,
}

struct Kept {
    turn: Turn,
    tick: u64,
    bytes: usize,
}

impl Cache {
    /// Room for executions of about so many bytes together.
    pub(super) fn within(bytes_max: usize) -> Self {
        Self { turns: HashMap::default(), order: BTreeMap::new(), tick: 0, bytes: 0, bytes_max }
    }

    /// Keeps an execution of which nothing waits to be written.
    pub(super) fn put(&mut self, mut turn: Turn) {
        let (key, bytes) = (turn.key, turn.bytes());
        self.take(&key);
        self.tick += 1;
        self.bytes += bytes;
        self.order.insert(self.tick, key);
        self.turns.insert(key, Kept { turn, tick: self.tick, bytes });
        while self.turns.len() > 1 && (self.bytes > self.bytes_max || self.turns.len() > COUNT_MAX) {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.take(&oldest);
        }
    }

    pub(super) fn take(&mut self, key: &Key) -> Option<Turn> {
        let Kept { turn, tick, bytes } = self.turns.remove(key)?;
        self.order.remove(&tick);
        self.bytes -= bytes;
        Some(turn)
    }
}

#[cfg(test)]
mod tests;
