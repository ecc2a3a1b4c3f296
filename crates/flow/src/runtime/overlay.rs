//! Operator state during one micro-batch: its changes, laid over what is kept below.
//!
//! What it is NOT: durable. The changes leave as the deltas of one commit; until then nobody else sees them.

use std::sync::Arc;

use ahash::HashMap;
use bytes::Bytes;
use headwater_log::{Delta, Log, View};

use crate::operators::State;

/// What is kept below the overlay.
pub trait Kept {
    /// The value of a key in a space.
    fn get(&self, space: &str, key: &[u8]) -> Option<Bytes>;
}

/// A log's spaces, as appended: the pipeline's own commits stand there in order, whether synced or not.
pub struct Appended(pub Arc<dyn Log>);

impl Kept for Appended {
    fn get(&self, space: &str, key: &[u8]) -> Option<Bytes> {
        self.0.get(space, key, View::Appended)
    }
}

/// The changes of one operator since its last commit.
pub type Changes = HashMap<Bytes, Option<Bytes>>;

/// One operator's state.
pub struct Overlay<'a> {
    /// Below.
    pub kept: &'a dyn Kept,
    /// The operator's space.
    pub space: &'a str,
    /// Above.
    pub changes: &'a mut Changes,
}

impl State for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Option<Bytes> {
        match self.changes.get(key) {
            Some(value) => value.clone(),
            None => self.kept.get(self.space, key),
        }
    }

    fn put(&mut self, key: &[u8], value: Bytes) {
        match self.changes.get_mut(key) {
            Some(slot) => *slot = Some(value),
            None => drop(self.changes.insert(Bytes::copy_from_slice(key), Some(value))),
        }
    }

    fn delete(&mut self, key: &[u8]) {
        match self.changes.get_mut(key) {
            Some(slot) => *slot = None,
            None => drop(self.changes.insert(Bytes::copy_from_slice(key), None)),
        }
    }
}

/// Takes the changes out as deltas.
pub fn drain(changes: &mut Changes) -> Vec<Delta> {
    changes.drain().map(|(key, value)| Delta { key, value }).collect()
}
