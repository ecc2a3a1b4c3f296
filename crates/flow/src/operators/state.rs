//! Where operators keep what has to survive: a map of bytes.
//!
//! What it is NOT: durable. The runtime's implementation lays the changes of one micro-batch over the log's state space
//! and puts them into the pipeline's commit.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::operators::codec::Corrupt;

/// Parts of a state; see [`State::for_part`].
pub const PARTS: u32 = headwater_log::SPACE_PARTS;

/// What becomes of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is, missing where it was.
    Keep,
    /// It is what has been made now.
    Put,
    /// It is gone.
    Delete,
}

/// Keyed bytes of one operator.
pub trait State {
    /// Shows the value of a key in its place to `seen`, once; `seen` must be short and must not ask the state, which may
    /// be locked.
    fn look(&self, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>));
    /// Writes a key's value.
    fn put(&mut self, key: &[u8], value: &[u8]);
    /// Deletes a key, if it is there.
    fn delete(&mut self, key: &[u8]);
    /// Shows the keys and values in one of the [`PARTS`] parts to `each`, which must be short and must not ask the state.
    /// All parts together show every key once, in no order; what has been written since the last commit may be shown as it
    /// was before.
    fn for_part(&self, part: u32, each: &mut dyn FnMut(&[u8], &[u8]));

    /// Says which keys will be looked at next, so that memory is waited for once and not for each. A hint.
    fn foresee(&self, _keys: &[Box<[u8]>]) {}

    /// A copy of the value of a key.
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        let mut found = None;
        self.look(key, &mut |value| found = value.map(Bytes::copy_from_slice));
        found
    }

    /// Does what `change` makes of a key's value, or of none: as [`Self::look`], then [`Self::put`] or [`Self::delete`],
    /// with the key looked for once. A new value is made in the empty vector that `change` is given.
    ///
    /// # Errors
    /// What `change` says; nothing has been changed then.
    fn change(
        &mut self,
        key: &[u8],
        change: &mut dyn FnMut(Option<&[u8]>, &mut Vec<u8>) -> Result<Change, Corrupt>,
    ) -> Result<(), Corrupt> {
        let (mut changed, mut made) = (None, Vec::new());
        self.look(key, &mut |value| changed = Some(change(value, &mut made)));
        match changed.unwrap_or_else(|| change(None, &mut made))? {
            Change::Keep => {}
            Change::Put => self.put(key, &made),
            Change::Delete => self.delete(key),
        }
        Ok(())
    }
}

impl dyn State + '_ {
    /// What `read` makes of a key's value, or of none: as [`State::look`], with an answer.
    pub fn read<T>(&self, key: &[u8], mut read: impl FnMut(Option<&[u8]>) -> T) -> T {
        let mut made = None;
        self.look(key, &mut |value| made = Some(read(value)));
        made.unwrap_or_else(|| read(None))
    }
}

/// A state in memory: for tests, and for runs over files without a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    /// The entries.
    pub entries: BTreeMap<Vec<u8>, Bytes>,
}

impl State for MemoryState {
    fn look(&self, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        seen(self.entries.get(key).map(|value| &**value));
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        let value = Bytes::copy_from_slice(value);
        match self.entries.get_mut(key) {
            Some(old) => *old = value,
            None => {
                self.entries.insert(key.to_vec(), value);
            }
        }
    }

    fn delete(&mut self, key: &[u8]) {
        self.entries.remove(key);
    }

    fn for_part(&self, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        // It has one.
        if part == 0 {
            self.entries.iter().for_each(|(key, value)| each(key, value));
        }
    }
}
