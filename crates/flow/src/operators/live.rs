//! The states of an operator's keys as they are worked on: decoded, from one event to the next.
//!
//! A key with several events in a micro-batch is read once and written once, and is kept, so that it is not read again
//! when it comes back soon. One with a single event is forgotten while its memory is at hand: of a million users nearly
//! all are gone again before they come back, and to keep them only to drop them later waits for memory twice.
//! What it is NOT: durable, or the truth. [`Live::settle`] writes what has changed to the [`State`], before each commit;
//! what has not changed since may be forgotten at any time.
//!
//! Invariants: nobody else writes the operator's space; a key is in one of the two maps at most; after a settle none has
//! changed, and what is kept takes no more than [`KEPT_BYTES_MAX`].

use ahash::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;

use crate::operators::{Corrupt, State};

/// What one operator keeps decoded between micro-batches; beyond that it begins anew.
const KEPT_BYTES_MAX: usize = 8 << 20;
/// What a state takes while it is decoded, beside its key and twice its bytes: about, and rather too much.
const ENTRY_BYTES: usize = 768;

/// Decoded states by key.
#[derive(Debug)]
pub struct Live<T> {
    /// Those that differ from what is written.
    changed: HashMap<Box<[u8]>, Changed<T>, RandomState>,
    /// Those that do not.
    kept: HashMap<Box<[u8]>, Kept<T>, RandomState>,
    kept_bytes: usize,
    /// Memory that writing uses again.
    written: Vec<u8>,
}

#[derive(Debug)]
struct Changed<T> {
    value: T,
    /// It has come back: within a micro-batch, or while it was kept.
    returns: bool,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    bytes: usize,
}

/// A key's state, taken out.
#[derive(Debug)]
pub struct Taken<T> {
    /// The state.
    pub value: T,
    /// Whether it differs from what is written; to be set by who changes it.
    pub changed: bool,
    returns: bool,
    bytes: usize,
}

impl<T> Default for Live<T> {
    fn default() -> Self {
        Self { changed: HashMap::default(), kept: HashMap::default(), kept_bytes: 0, written: Vec::new() }
    }
}

impl<T> Live<T> {
    /// The state of a key, to be changed. `read` makes it of its bytes, or of nothing for a new key.
    ///
    /// # Errors
    /// What `read` says; nothing has been changed then.
    pub fn change(
        &mut self,
        state: &dyn State,
        key: &[u8],
        read: impl FnMut(Option<&[u8]>) -> Result<T, Corrupt>,
    ) -> Result<&mut T, Corrupt> {
        let changed = match self.changed.entry_ref(key) {
            EntryRef::Occupied(entry) => {
                let changed = entry.into_mut();
                changed.returns = true;
                changed
            }
            EntryRef::Vacant(entry) => match self.kept.remove_entry(key) {
                Some((key, Kept { value, bytes })) => {
                    self.kept_bytes = self.kept_bytes.saturating_sub(bytes);
                    entry.insert_with_key(key, Changed { value, returns: true })
                }
                None => {
                    let value = state.read(key, read)?;
                    entry.insert_with_key(key.into(), Changed { value, returns: false })
                }
            },
        };
        Ok(&mut changed.value)
    }

    /// Takes the state of a key out, if there is one: to be put back, or deleted from `state`.
    ///
    /// # Errors
    /// What `read` says.
    pub fn take(
        &mut self,
        state: &dyn State,
        key: &[u8],
        mut read: impl FnMut(&[u8]) -> Result<T, Corrupt>,
    ) -> Result<Option<Taken<T>>, Corrupt> {
        if let Some(Changed { value, returns }) = self.changed.remove(key) {
            return Ok(Some(Taken { value, changed: true, returns, bytes: 0 }));
        }
        if let Some(Kept { value, bytes }) = self.kept.remove(key) {
            self.kept_bytes = self.kept_bytes.saturating_sub(bytes);
            return Ok(Some(Taken { value, changed: false, returns: true, bytes }));
        }
        state.read(key, |written| {
            let Some(written) = written else { return Ok(None) };
            Ok(Some(Taken { value: read(written)?, changed: false, returns: false, bytes: 0 }))
        })
    }

    /// Puts a state back.
    pub fn put(&mut self, key: Box<[u8]>, taken: Taken<T>) {
        let Taken { value, changed, returns, bytes } = taken;
        if changed {
            self.changed.insert(key, Changed { value, returns });
        } else if returns {
            self.kept_bytes += bytes;
            self.kept.insert(key, Kept { value, bytes });
        }
    }

    /// Writes what has changed.
    pub fn settle(&mut self, state: &mut dyn State, write: impl Fn(&T, &mut Vec<u8>)) {
        for (key, Changed { value, returns }) in self.changed.drain() {
            self.written.clear();
            write(&value, &mut self.written);
            state.put(&key, &self.written);
            if returns {
                let bytes = entry_bytes(&key, &self.written);
                self.kept_bytes += bytes;
                self.kept.insert(key, Kept { value, bytes });
            }
        }
        if self.kept_bytes > KEPT_BYTES_MAX {
            self.kept.clear();
            self.kept_bytes = 0;
        }
    }
}

fn entry_bytes(key: &[u8], written: &[u8]) -> usize {
    ENTRY_BYTES + key.len() + 2 * written.len()
}

#[cfg(test)]
mod tests;
