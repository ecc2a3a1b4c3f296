//! One part of a space: a table of boxed entries, and what unsynced commits have replaced.
//!
//! An entry is one allocation: mark, key length, key, value. The mark says that the entry has changed since it was
//! last written to a snapshot, or that no snapshot has its key.

use std::collections::VecDeque;
use std::hint::black_box;

use ahash::{HashSet, RandomState};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// One part of a space.
#[derive(Debug, Default)]
pub(super) struct Shard {
    table: HashTable<Box<[u8]>>,
    /// What unsynced commits have replaced, in their order.
    replaced: VecDeque<Replaced>,
    /// Hashes of the entries marked as changed, some of them perhaps more than once; None where they have not been
    /// listed.
    changed: Option<Vec<u64>>,
    /// Keys that a snapshot has, deleted since the last one. Of keys that came and went in between nothing is kept.
    deleted: HashSet<Box<[u8]>>,
    /// Bytes of all entries.
    bytes: u64,
}

#[derive(Debug)]
struct Replaced {
    sequence: u64,
    hash: u64,
    /// The entry that was there, or the key alone under the mark [`NOTHING`].
    entry: Box<[u8]>,
}

const CLEAN: u8 = 0;
const CHANGED: u8 = 1;
const NOTHING: u8 = 2;
const NEW: u8 = 3;

/// Changed entries that are listed in any case; beyond them an eighth of the entries: to find more than that, the table
/// may as well be gone through.
const LISTED_MIN: usize = 64;

fn make(mark: u8, key: &[u8], value: &[u8]) -> Box<[u8]> {
    let mut length = [0u8; 5];
    let mut used = 0;
    let mut rest = key.len() as u32;
    for byte in &mut length {
        used += 1;
        *byte = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            break;
        }
        *byte |= 0x80;
    }
    let mut entry = Vec::with_capacity(1 + used + key.len() + value.len());
    entry.push(mark);
    entry.extend_from_slice(length.get(..used).unwrap_or_default());
    entry.extend_from_slice(key);
    entry.extend_from_slice(value);
    entry.into_boxed_slice()
}

fn remark(entry: &mut [u8], mark: u8) {
    if let Some(first) = entry.first_mut() {
        *first = mark;
    }
}

/// Key and value of an entry.
fn parts(entry: &[u8]) -> (&[u8], &[u8]) {
    let mut length = 0usize;
    let mut at = 1;
    let mut shift = 0;
    while let Some(&byte) = entry.get(at) {
        at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    entry.get(at..).and_then(|rest| rest.split_at_checked(length)).unwrap_or_default()
}

/// Keys that [`fetch`] takes at once.
pub(super) const FETCHED_MAX: usize = 64;

/// Reads what looking for these hashes in their parts will read, so that it is in the processor's caches then. A look
/// waits for memory three times in turn: for the table's tags, for a slot, for the entry. Here all tags are asked for
/// before the first slot is, so that the processor has many of them under way at a time.
pub(super) fn fetch<'a>(wanted: impl Iterator<Item = (&'a Shard, u64)> + Clone) {
    let mut places = [None; FETCHED_MAX];
    for (place, (shard, hash)) in places.iter_mut().zip(wanted.clone()) {
        // The first slot whose tag is right, which nearly always is the right one: no slot is read for it.
        *place = shard.table.find_bucket_index(hash, |_| true);
    }
    let mut read = 0;
    for (place, (shard, _)) in places.iter().zip(wanted) {
        if let Some(entry) = place.and_then(|place| shard.table.get_bucket(place)) {
            read ^= entry.first().unwrap_or(&0) ^ entry.last().unwrap_or(&0);
        }
    }
    black_box(read);
}

impl Replaced {
    fn key(&self) -> &[u8] {
        parts(&self.entry).0
    }

    /// The value that was there, if there was one.
    fn value(&self) -> Option<&[u8]> {
        (self.entry.first() != Some(&NOTHING)).then(|| parts(&self.entry).1)
    }
}

impl Shard {
    /// Sets or deletes a key and answers the entry that was there.
    pub fn put(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>, hasher: &RandomState) -> Option<Box<[u8]>> {
        let Some(value) = value else {
            let old = self.remove(hash, key)?;
            if old.first() != Some(&NEW) {
                self.deleted.insert(key.into());
            }
            return Some(old);
        };
        let old = self.set(hash, make(CHANGED, key, value), hasher);
        if old.as_deref().is_none_or(|old| old.first() == Some(&CLEAN)) {
            self.list(hash);
        }
        old
    }

    fn list(&mut self, hash: u64) {
        let Some(changed) = &mut self.changed else { return };
        if changed.len() < LISTED_MIN + self.table.len() / 8 {
            changed.push(hash);
        } else {
            self.changed = None;
        }
    }

    /// Sets or deletes a key as a snapshot says: the next one need not say it again.
    pub fn load(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>, hasher: &RandomState) {
        match value {
            Some(value) => drop(self.set(hash, make(CLEAN, key, value), hasher)),
            None => drop(self.remove(hash, key)),
        }
    }

    /// Makes room for so many more entries at once.
    pub fn reserve(&mut self, entries: usize, hasher: &RandomState) {
        self.table.reserve(entries, |entry| hasher.hash_one(parts(entry).0));
    }

    /// Sets an entry; one that is [`CHANGED`] becomes [`NEW`] where no snapshot has its key.
    fn set(&mut self, hash: u64, mut entry: Box<[u8]>, hasher: &RandomState) -> Option<Box<[u8]>> {
        self.bytes += entry.len() as u64;
        let is_changed = entry.first() == Some(&CHANGED);
        let key = parts(&entry).0;
        let place = self.table.entry(hash, |there| parts(there).0 == key, |there| hasher.hash_one(parts(there).0));
        match place {
            Entry::Occupied(mut there) => {
                if is_changed && there.get().first() == Some(&NEW) {
                    remark(&mut entry, NEW);
                }
                let old = std::mem::replace(there.get_mut(), entry);
                self.bytes -= old.len() as u64;
                Some(old)
            }
            Entry::Vacant(place) => {
                let was_deleted = !self.deleted.is_empty() && self.deleted.remove(parts(&entry).0);
                if is_changed && !was_deleted {
                    remark(&mut entry, NEW);
                }
                place.insert(entry);
                None
            }
        }
    }

    fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Box<[u8]>> {
        let found = self.table.find_entry(hash, |entry| parts(entry).0 == key).ok()?;
        let (old, _) = found.remove();
        self.bytes -= old.len() as u64;
        Some(old)
    }

    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        self.table.find(hash, |entry| parts(entry).0 == key).map(|entry| parts(entry).1)
    }

    /// Keeps what the commit `sequence` has replaced while it is not durable.
    pub fn remember(&mut self, sequence: u64, durable: u64, hash: u64, key: &[u8], old: Option<Box<[u8]>>) {
        self.forget(durable);
        if sequence > durable {
            let entry = old.unwrap_or_else(|| make(NOTHING, key, &[]));
            self.replaced.push_back(Replaced { sequence, hash, entry });
        }
    }

    /// Forgets what durable commits have replaced.
    pub fn forget(&mut self, durable: u64) {
        while self.replaced.front().is_some_and(|replaced| replaced.sequence <= durable) {
            self.replaced.pop_front();
        }
        if self.replaced.is_empty() && self.replaced.capacity() > 256 {
            self.replaced.shrink_to_fit();
        }
    }

    pub fn get_durable(&mut self, hash: u64, key: &[u8], durable: u64) -> Option<&[u8]> {
        self.forget(durable);
        // The first unsynced commit that touched the key found the durable value.
        match self.replaced.iter().find(|replaced| replaced.hash == hash && replaced.key() == key) {
            Some(replaced) => replaced.value(),
            None => self.get(hash, key),
        }
    }

    pub fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        for entry in &self.table {
            let (key, value) = parts(entry);
            each(key, value);
        }
    }

    pub fn for_each_durable(&mut self, durable: u64, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.forget(durable);
        if self.replaced.is_empty() {
            return self.for_each(each);
        }
        let mut touched: HashSet<&[u8]> = HashSet::default();
        for replaced in &self.replaced {
            if touched.insert(replaced.key())
                && let Some(old) = replaced.value()
            {
                each(replaced.key(), old);
            }
        }
        for entry in &self.table {
            let (key, value) = parts(entry);
            if !touched.contains(key) {
                each(key, value);
            }
        }
    }

    /// Calls `put` with every entry that changed since the last time, or with all, and `delete` with the keys
    /// deleted since; from now on they count as written.
    pub fn take_changes(&mut self, all: bool, put: &mut dyn FnMut(&[u8], &[u8]), delete: &mut dyn FnMut(&[u8])) {
        let mut take = |entry: &mut Box<[u8]>| {
            let (key, value) = parts(entry);
            put(key, value);
            remark(entry, CLEAN);
        };
        let is_changed = |entry: &&mut Box<[u8]>| entry.first() != Some(&CLEAN);
        match self.changed.replace(Vec::new()) {
            Some(changed) if !all => {
                for some in changed.chunks(FETCHED_MAX) {
                    let shard = &*self;
                    fetch(some.iter().map(|hash| (shard, *hash)));
                    for hash in some {
                        self.table.iter_hash_mut(*hash).filter(is_changed).for_each(&mut take);
                    }
                }
            }
            _ => self.table.iter_mut().filter(|entry| all || is_changed(entry)).for_each(take),
        }
        let deleted = std::mem::take(&mut self.deleted);
        if !all {
            deleted.iter().for_each(|key| delete(key));
        }
    }

    /// Entries, and their bytes with the slots and the allocator's headers.
    pub fn size(&self) -> (u64, u64) {
        let slots = self.table.capacity() as u64 * 17;
        (self.table.len() as u64, self.bytes + slots + self.table.len() as u64 * 16)
    }
}
