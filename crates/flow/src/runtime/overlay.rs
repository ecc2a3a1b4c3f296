//! Operator state during one micro-batch: its changes, laid over what is kept below.
//!
//! What it is NOT: durable. The changes leave as the deltas of one commit; until then nobody else sees them.

use std::sync::Arc;

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;
use headwater_log::{Delta, Log, View};
use smallvec::SmallVec;

use crate::operators::{Change, Corrupt, State};

/// What is kept below the overlay.
pub trait Kept {
    /// Shows the value of a key in a space in its place to `seen`, once, as [`Log::look`] does.
    fn look(&self, space: &str, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>));

    /// Says which keys of which spaces will be looked at next, as [`Log::foresee`] does.
    fn foresee(&self, _keys: &[(&str, &[u8])]) {}

    /// Shows every key and value in one part of a space, as [`Log::for_part`] does.
    fn for_part(&self, space: &str, part: u32, each: &mut dyn FnMut(&[u8], &[u8]));
}

/// A log's spaces, as appended: the pipeline's own commits stand there in order, whether synced or not.
pub struct Appended(pub Arc<dyn Log>);

impl Kept for Appended {
    fn look(&self, space: &str, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        self.0.look(space, key, View::Appended, seen);
    }

    fn foresee(&self, keys: &[(&str, &[u8])]) {
        self.0.foresee(keys);
    }

    fn for_part(&self, space: &str, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.0.for_part(space, part, each);
    }
}

/// The changes of one operator since its last commit.
pub type Changes = HashMap<Bytes, Option<Bytes>, RandomState>;

/// One operator's state.
pub struct Overlay<'a> {
    /// Below.
    pub kept: &'a dyn Kept,
    /// The operator's space.
    pub space: &'a str,
    /// Above.
    pub changes: &'a mut Changes,
}

impl Overlay<'_> {
    fn set(&mut self, key: &[u8], value: Option<Bytes>) {
        match self.changes.entry_ref(key) {
            EntryRef::Occupied(mut entry) => *entry.get_mut() = value,
            EntryRef::Vacant(entry) => {
                entry.insert_with_key(Bytes::copy_from_slice(key), value);
            }
        }
    }
}

impl State for Overlay<'_> {
    fn look(&self, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        match self.changes.get(key) {
            Some(value) => seen(value.as_deref()),
            None => self.kept.look(self.space, key, seen),
        }
    }

    fn foresee(&self, keys: &[Box<[u8]>]) {
        if keys.len() > 1 {
            let keys: SmallVec<[(&str, &[u8]); 16]> = keys.iter().map(|key| (self.space, &**key)).collect();
            self.kept.foresee(&keys);
        }
    }

    fn for_part(&self, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.kept.for_part(self.space, part, each);
    }

    fn put(&mut self, key: &[u8], value: Bytes) {
        self.set(key, Some(value));
    }

    fn delete(&mut self, key: &[u8]) {
        self.set(key, None);
    }

    fn change(
        &mut self,
        key: &[u8],
        change: &mut dyn FnMut(Option<&[u8]>) -> Result<Change, Corrupt>,
    ) -> Result<(), Corrupt> {
        match self.changes.entry_ref(key) {
            EntryRef::Occupied(mut entry) => {
                let changed = change(entry.get().as_deref())?;
                match changed {
                    Change::Keep => {}
                    Change::Put(value) => *entry.get_mut() = Some(value),
                    Change::Delete => *entry.get_mut() = None,
                }
            }
            EntryRef::Vacant(entry) => {
                let mut changed = None;
                self.kept.look(self.space, key, &mut |value| changed = Some(change(value)));
                let value = match changed.unwrap_or_else(|| change(None))? {
                    Change::Keep => return Ok(()),
                    Change::Put(value) => Some(value),
                    Change::Delete => None,
                };
                entry.insert_with_key(Bytes::copy_from_slice(key), value);
            }
        }
        Ok(())
    }
}

/// Takes the changes out as deltas.
pub fn drain(changes: &mut Changes) -> Vec<Delta> {
    changes.drain().map(|(key, value)| Delta { key, value }).collect()
}

#[cfg(test)]
mod tests;
