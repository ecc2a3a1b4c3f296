//! Where operators keep what has to survive: a map of bytes.
//!
//! What it is NOT: durable. The runtime's implementation lays the changes of one micro-batch over the log's state space
//! and puts them into the pipeline's commit.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::operators::codec::Corrupt;

/// Keyed bytes of one operator.
pub trait State {
    /// The value of a key; cheap to clone.
    fn get(&self, key: &[u8]) -> Option<Bytes>;
    /// Writes a key's value.
    fn put(&mut self, key: &[u8], value: Bytes);
    /// Deletes a key, if it is there.
    fn delete(&mut self, key: &[u8]);

    /// Writes what `change` makes of a key's value, or of none: as [`Self::get`] and [`Self::put`], with the key looked
    /// for once.
    ///
    /// # Errors
    /// What `change` says; nothing has been changed then.
    fn change(
        &mut self,
        key: &[u8],
        change: &mut dyn FnMut(Option<&[u8]>) -> Result<Bytes, Corrupt>,
    ) -> Result<(), Corrupt> {
        let value = change(self.get(key).as_deref())?;
        self.put(key, value);
        Ok(())
    }
}

/// A state in memory: for tests, and for runs over files without a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    /// The entries.
    pub entries: BTreeMap<Vec<u8>, Bytes>,
}

impl State for MemoryState {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        self.entries.get(key).cloned()
    }

    fn put(&mut self, key: &[u8], value: Bytes) {
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
}
