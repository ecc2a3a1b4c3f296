//! One part of a space: a table of entries, and what unsynced commits have replaced.
//!
//! An entry is one block of an [`Arena`]: mark, key length, key, value. The mark says that the entry has changed since it
//! was last written to a snapshot, or that no snapshot has its key.
//!
//! # Invariants
//! - A block is one slot's, or that of one value replaced. Only a slot's is ever written to, and only where no reader of
//!   the durable view needs what it said.
//! - A slot has all of the hash that the table uses: a table that grows reads no entry.

use std::collections::VecDeque;
use std::hint::black_box;

use ahash::HashSet;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::arena::{Arena, Place, Size};

/// One part of a space.
#[derive(Debug, Default)]
pub(super) struct Shard {
    table: HashTable<Slot>,
    arena: Arena,
    /// What unsynced commits have replaced, in their order.
    replaced: VecDeque<Replaced>,
    /// Hashes of the entries marked as changed, some of them perhaps more than once; None where they have not been
    /// listed.
    changed: Option<Vec<u32>>,
    /// Keys that a snapshot has, deleted since the last one. Of keys that came and went in between nothing is kept.
    deleted: HashSet<Box<[u8]>>,
}

#[derive(Debug)]
struct Slot {
    place: Place,
    hash: u32,
}

#[derive(Debug)]
struct Replaced {
    sequence: u64,
    /// The entry that was there, or the key alone under the mark [`NOTHING`].
    slot: Slot,
    size: Size,
}

const CLEAN: u8 = 0;
const CHANGED: u8 = 1;
const NOTHING: u8 = 2;
const NEW: u8 = 3;

/// Changed entries that are listed in any case; beyond them an eighth of the entries: to find more than that, the table
/// may as well be gone through.
const LISTED_MIN: usize = 64;

/// What of a key's hash is kept.
const fn kept(hash: u64) -> u32 {
    hash as u32
}

/// The hash that the table uses: buckets by the low bits, tags by the highest. All of a shard's keys have the same in bits
/// 32 to 37 of theirs, which are in none of it.
const fn spread(hash: u32) -> u64 {
    ((hash as u64) << 32) | hash as u64
}

const fn hash_of(slot: &Slot) -> u64 {
    spread(slot.hash)
}

/// Whether a slot is that of a key, whose entry is read only where all that is kept of the hash is right.
fn is_of<'a>(arena: &'a Arena, hash: u32, key: &'a [u8]) -> impl Fn(&Slot) -> bool + 'a {
    move |slot| slot.hash == hash && key_of(arena.get(slot.place)) == key
}

/// What is before the key in an entry.
struct Head {
    bytes: [u8; 6],
    used: usize,
}

impl Head {
    fn new(mark: u8, key: &[u8]) -> Self {
        let mut head = Self { bytes: [0; 6], used: 1 };
        let mut rest = key.len() as u32;
        for byte in head.bytes.iter_mut().skip(1) {
            head.used += 1;
            *byte = (rest & 0x7f) as u8;
            rest >>= 7;
            if rest == 0 {
                break;
            }
            *byte |= 0x80;
        }
        if let Some(first) = head.bytes.first_mut() {
            *first = mark;
        }
        head
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }
}

fn mark_of(entry: &[u8]) -> u8 {
    entry.first().copied().unwrap_or(NOTHING)
}

fn key_of(entry: &[u8]) -> &[u8] {
    parts(entry).0
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

/// The value that was there, if there was one.
fn value_of(entry: &[u8]) -> Option<&[u8]> {
    (mark_of(entry) != NOTHING).then(|| parts(entry).1)
}

/// Keys that [`fetch`] takes at once.
pub(super) const FETCHED_MAX: usize = 64;

/// Reads what looking for these hashes in their parts will read, so that it is in the processor's caches then. A look
/// waits for memory three times in turn: for the table's tags, for a slot, for the entry. Here all tags are asked for
/// before the first slot is, so that the processor has many of them under way at a time.
pub(super) fn fetch<'a>(wanted: impl Iterator<Item = (&'a Shard, u64)> + Clone) {
    let mut found = [None; FETCHED_MAX];
    for (found, (shard, hash)) in found.iter_mut().zip(wanted.clone()) {
        // The first slot whose tag is right, which nearly always is the right one: no slot is read for it.
        *found = shard.table.find_bucket_index(spread(kept(hash)), |_| true);
    }
    let mut places = [None; FETCHED_MAX];
    for (place, (found, (shard, _))) in places.iter_mut().zip(found.iter().zip(wanted.clone())) {
        *place = found.and_then(|found| shard.table.get_bucket(found)).map(|slot| slot.place);
    }
    let mut read = 0;
    for (place, (shard, _)) in places.iter().zip(wanted) {
        read ^= place.map_or(0, |place| shard.arena.touch(place));
    }
    black_box(read);
}

impl Shard {
    /// Sets or deletes a key as part of the commit `sequence`, and keeps what was there while that is not durable.
    pub fn put(&mut self, sequence: u64, durable: u64, hash: u64, key: &[u8], value: Option<&[u8]>) {
        self.forget(durable);
        let sequence = Some(sequence).filter(|sequence| *sequence > durable);
        let hash = kept(hash);
        let was = match value {
            Some(value) => self.set(sequence, hash, CHANGED, key, value),
            None => self.remove(sequence, hash, key),
        };
        match (value, was) {
            (Some(_), None | Some(CLEAN)) => self.list(hash),
            (None, Some(CLEAN | CHANGED)) => drop(self.deleted.insert(key.into())),
            _ => {}
        }
        self.give_back();
    }

    fn list(&mut self, hash: u32) {
        let Some(changed) = &mut self.changed else { return };
        if changed.len() < LISTED_MIN + self.table.len() / 8 {
            changed.push(hash);
        } else {
            self.changed = None;
        }
    }

    /// Sets or deletes a key as a snapshot says: the next one need not say it again.
    pub fn load(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.set(None, kept(hash), CLEAN, key, value),
            None => self.remove(None, kept(hash), key),
        };
        self.give_back();
    }

    /// Makes room for so many more entries at once.
    pub fn reserve(&mut self, entries: usize) {
        self.table.reserve(entries, hash_of);
    }

    /// Sets an entry, and answers the mark of the one that was there; what a commit replaces is kept. One that is
    /// [`CHANGED`] becomes [`NEW`] where no snapshot has its key.
    fn set(&mut self, sequence: Option<u64>, hash: u32, new: u8, key: &[u8], value: &[u8]) -> Option<u8> {
        match self.table.entry(spread(hash), is_of(&self.arena, hash, key), hash_of) {
            Entry::Occupied(mut there) => {
                let place = &mut there.get_mut().place;
                let was = mark_of(self.arena.get(*place));
                let head = Head::new(if new == CHANGED && was == NEW { NEW } else { new }, key);
                let entry = [head.as_slice(), key, value];
                if let Some(sequence) = sequence {
                    let size = self.arena.size(*place);
                    let slot = Slot { place: std::mem::replace(place, self.arena.add(&entry)), hash };
                    self.replaced.push_back(Replaced { sequence, slot, size });
                } else if !self.arena.set(*place, &entry) {
                    self.arena.free(*place, self.arena.size(*place));
                    *place = self.arena.add(&entry);
                }
                Some(was)
            }
            Entry::Vacant(there) => {
                let was_deleted = !self.deleted.is_empty() && self.deleted.remove(key);
                let head = Head::new(if new == CHANGED && !was_deleted { NEW } else { new }, key);
                there.insert(Slot { place: self.arena.add(&[head.as_slice(), key, value]), hash });
                if let Some(sequence) = sequence {
                    self.keep_nothing(sequence, hash, key);
                }
                None
            }
        }
    }

    /// Removes an entry, and answers its mark; what a commit removes is kept.
    fn remove(&mut self, sequence: Option<u64>, hash: u32, key: &[u8]) -> Option<u8> {
        let Ok(found) = self.table.find_entry(spread(hash), is_of(&self.arena, hash, key)) else {
            if let Some(sequence) = sequence {
                self.keep_nothing(sequence, hash, key);
            }
            return None;
        };
        let (slot, _) = found.remove();
        let was = mark_of(self.arena.get(slot.place));
        let size = self.arena.size(slot.place);
        match sequence {
            Some(sequence) => self.replaced.push_back(Replaced { sequence, slot, size }),
            None => self.arena.free(slot.place, size),
        }
        Some(was)
    }

    /// Keeps that a key was not there.
    fn keep_nothing(&mut self, sequence: u64, hash: u32, key: &[u8]) {
        let place = self.arena.add(&[Head::new(NOTHING, key).as_slice(), key]);
        self.replaced.push_back(Replaced { sequence, slot: Slot { place, hash }, size: self.arena.size(place) });
    }

    /// Gives memory back where most of it has become free.
    fn give_back(&mut self) {
        if !self.arena.is_sparse() {
            return;
        }
        let replaced = self.replaced.iter_mut().map(|replaced| &mut replaced.slot);
        self.arena.compact(self.table.iter_mut().chain(replaced).map(|slot| &mut slot.place));
        if self.table.len() < self.table.capacity() / 8 {
            self.table.shrink_to(self.table.len() * 2, hash_of);
        }
    }

    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        let hash = kept(hash);
        let slot = self.table.find(spread(hash), is_of(&self.arena, hash, key))?;
        Some(parts(self.arena.get(slot.place)).1)
    }

    /// Forgets what durable commits have replaced.
    pub fn forget(&mut self, durable: u64) {
        let mut is_any = false;
        while let Some(replaced) = self.replaced.pop_front_if(|replaced| replaced.sequence <= durable) {
            self.arena.free(replaced.slot.place, replaced.size);
            is_any = true;
        }
        if !is_any {
            return;
        }
        if self.replaced.is_empty() && self.replaced.capacity() > 256 {
            self.replaced.shrink_to_fit();
        }
        self.give_back();
    }

    pub fn get_durable(&mut self, hash: u64, key: &[u8], durable: u64) -> Option<&[u8]> {
        self.forget(durable);
        // The first unsynced commit that touched the key found the durable value. Of the others no entry is read: there may
        // be thousands, each a wait for memory.
        let is_it = is_of(&self.arena, kept(hash), key);
        match self.replaced.iter().find(|replaced| is_it(&replaced.slot)) {
            Some(replaced) => value_of(self.arena.get(replaced.slot.place)),
            None => self.get(hash, key),
        }
    }

    pub fn for_each(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        for slot in &self.table {
            let (key, value) = parts(self.arena.get(slot.place));
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
            let entry = self.arena.get(replaced.slot.place);
            if touched.insert(key_of(entry))
                && let Some(old) = value_of(entry)
            {
                each(key_of(entry), old);
            }
        }
        self.for_each(&mut |key, value| {
            if !touched.contains(key) {
                each(key, value);
            }
        });
    }

    /// Calls `put` with every entry that changed since the last time, or with all, and `delete` with the keys
    /// deleted since; from now on they count as written.
    pub fn take_changes(&mut self, all: bool, put: &mut dyn FnMut(&[u8], &[u8]), delete: &mut dyn FnMut(&[u8])) {
        match self.changed.replace(Vec::new()) {
            Some(changed) if !all => {
                for some in changed.chunks(FETCHED_MAX) {
                    let shard = &*self;
                    fetch(some.iter().map(|hash| (shard, u64::from(*hash))));
                    for hash in some {
                        let slots = self.table.iter_hash(spread(*hash)).filter(|slot| slot.hash == *hash);
                        slots.for_each(|slot| take(self.arena.get_mut(slot.place), false, put));
                    }
                }
            }
            _ => self.table.iter().for_each(|slot| take(self.arena.get_mut(slot.place), all, put)),
        }
        let deleted = std::mem::take(&mut self.deleted);
        if !all {
            deleted.iter().for_each(|key| delete(key));
        }
    }

    /// Entries, and the bytes of all that is held for them.
    pub fn size(&self) -> (u64, u64) {
        let bytes = self.arena.bytes() + self.table.allocation_size();
        (self.table.len() as u64, bytes as u64)
    }
}

/// Shows an entry to `put` if it has changed, or in any case, and marks it as written.
fn take(entry: &mut [u8], all: bool, put: &mut dyn FnMut(&[u8], &[u8])) {
    if all || mark_of(entry) != CLEAN {
        let (key, value) = parts(entry);
        put(key, value);
        if let Some(mark) = entry.first_mut() {
            *mark = CLEAN;
        }
    }
}

#[cfg(test)]
mod tests;
