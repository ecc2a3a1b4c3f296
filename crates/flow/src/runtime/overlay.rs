//! Operator state during one micro-batch: its changes, laid over what is kept below.
//!
//! What it is NOT: durable. The changes leave as the deltas of one commit; until then nobody else sees them.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashTable;
use headwater_log::{Delta, FoundSpace, Log, View};
use smallvec::SmallVec;

use crate::operators::{Change, Corrupt, State};

/// Memory of a commit's changes that is kept for the next ones at most.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Bytes left free behind each value: counters grow by a byte now and then, and a key that many events of a commit have
/// then need not be moved.
const SPARE_BYTES: usize = 8;

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
pub struct Appended {
    log: Arc<dyn Log>,
    /// Those of the pipeline's steps, once they are there: a few.
    found: RefCell<Vec<(Box<str>, FoundSpace)>>,
}

impl Appended {
    /// The spaces of `log`.
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log, found: RefCell::default() }
    }
}

impl Kept for Appended {
    fn look(&self, space: &str, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        {
            let found = self.found.borrow();
            if let Some((_, there)) = found.iter().find(|(name, _)| **name == *space)
                && !there.is_dropped()
            {
                return there.look(key, View::Appended, seen);
            }
        }
        let Some(there) = self.log.space(space) else { return seen(None) };
        there.look(key, View::Appended, seen);
        let mut found = self.found.borrow_mut();
        found.retain(|(name, _)| **name != *space);
        found.push((Box::from(space), there));
    }

    fn foresee(&self, keys: &[(&str, &[u8])]) {
        self.log.foresee(keys);
    }

    fn for_part(&self, space: &str, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.log.for_part(space, part, each);
    }
}

/// The changes of one operator since its last commit.
///
/// All keys and values stand in one piece of memory: they come one by one, and go together.
#[derive(Debug, Default)]
pub struct Changes {
    hasher: RandomState,
    /// Places in `entries`, by key.
    index: HashTable<usize>,
    /// In the order in which the keys were first changed.
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    /// The bytes of the last commit, to be used again once nobody reads them any more.
    last: Bytes,
    /// The value that is being made.
    made: Vec<u8>,
}

/// What has become of a key.
#[derive(Debug)]
struct Entry {
    hash: u64,
    /// Where in the bytes the key is.
    key: Range<usize>,
    /// Where a value has room.
    room: Range<usize>,
    /// How much of that it takes; None for a key that is gone.
    length: Option<usize>,
}

impl Changes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let is_it = |nth: &usize| self.entries.get(*nth).is_some_and(|entry| entry.key(&self.bytes) == key);
        self.index.find(hash, is_it).copied()
    }

    /// Says what becomes of a key, which is the entry `found`, or has none yet.
    fn set(&mut self, found: Option<usize>, hash: u64, key: &[u8], value: Option<&[u8]>) {
        let nth = found.unwrap_or_else(|| self.add(hash, key));
        let Some(entry) = self.entries.get_mut(nth) else { return };
        entry.length = value.map(<[u8]>::len);
        let Some(value) = value else { return };
        if value.len() > entry.room.len() {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(value);
            self.bytes.extend_from_slice(&[0; SPARE_BYTES]);
            entry.room = start..self.bytes.len();
        } else if let Some(place) = self.bytes.get_mut(entry.room.start..entry.room.start + value.len()) {
            place.copy_from_slice(value);
        }
    }

    fn add(&mut self, hash: u64, key: &[u8]) -> usize {
        if self.entries.is_empty()
            && let Ok(mut last) = std::mem::take(&mut self.last).try_into_mut()
        {
            last.clear();
            self.bytes = Vec::from(last);
        }
        let (nth, start) = (self.entries.len(), self.bytes.len());
        self.bytes.extend_from_slice(key);
        let end = self.bytes.len();
        self.entries.push(Entry { hash, key: start..end, room: end..end, length: None });
        let entries = &self.entries;
        self.index.insert_unique(hash, nth, |nth| entries.get(*nth).map_or(0, |entry| entry.hash));
        nth
    }
}

impl Entry {
    fn key<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        bytes.get(self.key.clone()).unwrap_or_default()
    }

    fn value<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        bytes.get(self.room.start..self.room.start + self.length?)
    }
}

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
    fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = self.changes.hasher.hash_one(key);
        let found = self.changes.find(hash, key);
        self.changes.set(found, hash, key, value);
    }
}

impl State for Overlay<'_> {
    fn look(&self, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        let Changes { hasher, entries, bytes, .. } = &*self.changes;
        match self.changes.find(hasher.hash_one(key), key).and_then(|nth| entries.get(nth)) {
            Some(entry) => seen(entry.value(bytes)),
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

    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.set(key, Some(value));
    }

    fn delete(&mut self, key: &[u8]) {
        self.set(key, None);
    }

    fn change(
        &mut self,
        key: &[u8],
        change: &mut dyn FnMut(Option<&[u8]>, &mut Vec<u8>) -> Result<Change, Corrupt>,
    ) -> Result<(), Corrupt> {
        let hash = self.changes.hasher.hash_one(key);
        let found = self.changes.find(hash, key);
        let mut made = std::mem::take(&mut self.changes.made);
        made.clear();
        let changed = match found.and_then(|nth| self.changes.entries.get(nth)) {
            Some(entry) => change(entry.value(&self.changes.bytes), &mut made),
            None => {
                let mut changed = None;
                self.kept.look(self.space, key, &mut |value| changed = Some(change(value, &mut made)));
                changed.unwrap_or_else(|| change(None, &mut made))
            }
        };
        match changed {
            Ok(Change::Put) => self.changes.set(found, hash, key, Some(&made)),
            Ok(Change::Delete) => self.changes.set(found, hash, key, None),
            Ok(Change::Keep) | Err(_) => {}
        }
        self.changes.made = made;
        changed.map(drop)
    }
}

/// Takes the changes out as deltas.
pub fn drain(changes: &mut Changes) -> Vec<Delta> {
    changes.index.clear();
    let bytes = Bytes::from(std::mem::take(&mut changes.bytes));
    let delta = |Entry { key, room, length, .. }: Entry| Delta {
        key: bytes.slice(key),
        value: length.map(|length| bytes.slice(room.start..room.start + length)),
    };
    let deltas = changes.entries.drain(..).map(delta).collect();
    changes.last = if bytes.len() > KEPT_BYTES_MAX { Bytes::new() } else { bytes };
    deltas
}

#[cfg(test)]
mod tests;
