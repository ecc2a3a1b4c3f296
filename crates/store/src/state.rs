//! Named key-value spaces held in memory: operator state, consumer groups, resources.
//!
//! Truth is the write-ahead log. A space is what its deltas come to; [`Snapshots`] keeps the log short. The latest
//! value is one look-up away; what a reader may see that must not see unsynced data is found through the short list
//! of values that unsynced commits have replaced.
//!
//! What it is NOT: ordered, or larger than memory.
//!
//! # Invariants
//! - The changes of one space are applied in the order of their sequences; the caller holds [`Space::order`] for it.
//! - An entry costs its key and value, and about 30 bytes: a block of its part's pages, and a slot of a hash table. What
//!   changes in size and is deleted leaves at most as much free as is in use.

mod arena;
mod shard;
mod snapshot;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ahash::{HashMap, RandomState};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard, RwLock};

use shard::{FETCHED_MAX, Shard};
pub use snapshot::Snapshots;

/// Parts of a space, each with its own lock and table, so that growing a table or writing a snapshot stops nobody
/// for long.
pub const PARTS: u32 = 64;
const SHARDS: usize = PARTS as usize;

/// Keys of several spaces that are fetched together.
const FORESEEN_MAX: usize = 16;

/// All spaces.
#[derive(Debug)]
pub struct State {
    spaces: RwLock<HashMap<Arc<str>, Arc<Space>>>,
    /// Spaces dropped since the last snapshot.
    dropped: Mutex<Vec<Arc<str>>>,
    durable: Arc<AtomicU64>,
}

/// One key-value space.
#[derive(Debug)]
pub struct Space {
    name: Arc<str>,
    order: Mutex<()>,
    /// The last commit whose changes are all here.
    applied: AtomicU64,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    durable: Arc<AtomicU64>,
    dropped: AtomicBool,
}

impl Default for State {
    fn default() -> Self {
        Self { spaces: RwLock::default(), dropped: Mutex::default(), durable: Arc::new(AtomicU64::new(0)) }
    }
}

impl State {
    /// Everything up to `sequence` is durable, and has been applied: see [`Space::wait_applied`].
    pub fn set_durable(&self, sequence: u64) {
        self.durable.store(sequence, Ordering::Release);
    }

    /// A space, if it exists.
    pub fn space(&self, name: &str) -> Option<Arc<Space>> {
        self.spaces.read().get(name).cloned()
    }

    /// A space, made if it does not exist.
    pub fn space_or_new(&self, name: &str) -> Arc<Space> {
        if let Some(space) = self.space(name) {
            return space;
        }
        let mut spaces = self.spaces.write();
        if let Some(space) = spaces.get(name) {
            return space.clone();
        }
        let name: Arc<str> = Arc::from(name);
        let space = Arc::new(Space {
            name: name.clone(),
            order: Mutex::new(()),
            applied: AtomicU64::new(0),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect(),
            durable: self.durable.clone(),
            dropped: AtomicBool::new(false),
        });
        spaces.insert(name, space.clone());
        space
    }

    /// Drops a space with its keys, for all readers at once.
    pub fn drop_space(&self, name: &str) {
        let mut spaces = self.spaces.write();
        if let Some((name, space)) = spaces.remove_entry(name) {
            space.dropped.store(true, Ordering::Release);
            self.dropped.lock().push(name);
        }
    }

    /// All spaces, by name.
    pub fn spaces(&self) -> Vec<Arc<Space>> {
        sorted(self.spaces.read().values())
    }

    /// Brings near what [`Space::look`] at these keys of spaces will read, for who is about to look at all of them: memory
    /// is waited for once then, and not for each. Changes nothing and waits for nobody.
    pub fn foresee(&self, keys: &[(&str, &[u8])]) {
        let spaces = self.spaces.read();
        for some in keys.chunks(FORESEEN_MAX) {
            let mut locked: [Option<(MutexGuard<'_, Shard>, u64)>; FORESEEN_MAX] = std::array::from_fn(|_| None);
            for (locked, (name, key)) in locked.iter_mut().zip(some) {
                let Some(space) = spaces.get(*name) else { continue };
                let hash = space.hasher.hash_one(*key);
                *locked = space.shard(hash).and_then(Mutex::try_lock).map(|shard| (shard, hash));
            }
            shard::fetch(locked.iter().flatten().map(|(shard, hash)| (&**shard, *hash)));
        }
    }

    /// The spaces dropped since the last time, and all that exist: at one moment, so that none of them was made in the
    /// place of one whose end is only found the next time, and would undo what was written of it.
    fn take_dropped(&self) -> (Vec<Arc<str>>, Vec<Arc<Space>>) {
        let spaces = self.spaces.read();
        (std::mem::take(&mut *self.dropped.lock()), sorted(spaces.values()))
    }

    /// Entries, and the bytes of their keys and values with all overhead, of all spaces.
    pub fn size(&self) -> (u64, u64) {
        self.spaces().iter().map(|space| space.size()).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

fn sorted<'a>(spaces: impl Iterator<Item = &'a Arc<Space>>) -> Vec<Arc<Space>> {
    let mut spaces: Vec<_> = spaces.cloned().collect();
    spaces.sort_by(|one, other| one.name.cmp(&other.name));
    spaces
}

impl Space {
    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it has been dropped: who holds it sees what it was, and none of what is written to another of its name.
    pub fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// Held while a commit's changes are applied, and taken in the order of commits.
    pub fn order(&self) -> MutexGuard<'_, ()> {
        self.order.lock()
    }

    /// The changes of the commit `sequence` are all here; whoever applied them still holds [`Self::order`].
    pub fn set_applied(&self, sequence: u64) {
        self.applied.store(sequence, Ordering::Release);
    }

    /// Blocks until the changes of the commit `sequence` are all here, for which somebody took [`Self::order`] before the
    /// commit could be known of.
    pub fn wait_applied(&self, sequence: u64) {
        if self.applied.load(Ordering::Acquire) < sequence {
            drop(self.order());
        }
    }

    /// Sets or deletes a key as part of the commit `sequence`.
    pub fn put(&self, sequence: u64, key: &[u8], value: Option<&[u8]>) {
        self.put_hashed(sequence, self.hasher.hash_one(key), key, value);
    }

    /// Sets or deletes keys as part of the commit `sequence`, in their order; `change` says what one of them means.
    pub fn put_all<T>(&self, sequence: u64, changes: &[T], change: impl Fn(&T) -> (&[u8], Option<&[u8]>)) {
        let mut hashes = Vec::with_capacity(changes.len().min(FETCHED_MAX));
        for some in changes.chunks(FETCHED_MAX) {
            hashes.clear();
            hashes.extend(some.iter().map(|one| self.hasher.hash_one(change(one).0)));
            if hashes.len() > 1 {
                self.fetch(&hashes);
            }
            for (one, hash) in some.iter().zip(&hashes) {
                let (key, value) = change(one);
                self.put_hashed(sequence, *hash, key, value);
            }
        }
    }

    fn put_hashed(&self, sequence: u64, hash: u64, key: &[u8], value: Option<&[u8]>) {
        let durable = self.durable.load(Ordering::Acquire);
        if let Some(shard) = self.shard(hash) {
            shard.lock().put(sequence, durable, hash, key, value);
        }
    }

    /// Brings near what putting these hashes will touch. A part that somebody else works on is left out: nobody waits for
    /// several at a time.
    fn fetch(&self, hashes: &[u64]) {
        let mut locked: [Option<MutexGuard<'_, Shard>>; SHARDS] = std::array::from_fn(|_| None);
        for hash in hashes {
            let part = part(*hash);
            if let (Some(locked), Some(shard)) = (locked.get_mut(part), self.shards.get(part))
                && locked.is_none()
            {
                *locked = shard.try_lock();
            }
        }
        let locked = &locked;
        shard::fetch(hashes.iter().filter_map(|hash| Some((&**locked.get(part(*hash))?.as_ref()?, *hash))));
    }

    /// Sets or deletes a key whose change is durable already, or is not part of any commit.
    pub fn put_durable(&self, key: &[u8], value: Option<&[u8]>) {
        let hash = self.hasher.hash_one(key);
        if let Some(shard) = self.shard(hash) {
            // There is no commit whose durable view would need what was there.
            shard.lock().put(0, 0, hash, key, value);
        }
    }

    /// Sets or deletes a key as a snapshot says.
    fn load(&self, key: &[u8], value: Option<&[u8]>) {
        let hash = self.hasher.hash_one(key);
        if let Some(shard) = self.shard(hash) {
            shard.lock().load(hash, key, value);
        }
    }

    /// Makes room for so many entries at once, since a table that grows is built anew each time.
    fn reserve(&self, entries: usize) {
        let each = entries / SHARDS;
        for shard in &self.shards {
            // The shards' shares differ by a few percent.
            shard.lock().reserve(each + each / 16);
        }
    }

    /// The newest value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Bytes> {
        let mut found = None;
        self.look(key, &mut |value| found = value.map(Bytes::copy_from_slice));
        found
    }

    /// Shows the newest value of a key in its place to `seen`, once. It runs under the lock of the key's part, so it must
    /// be short and must not ask the space.
    pub fn look(&self, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        let hash = self.hasher.hash_one(key);
        match self.shard(hash) {
            Some(shard) => seen(shard.lock().get(hash, key)),
            None => seen(None),
        }
    }

    /// Shows the durable value of a key, as [`Self::look`] the newest one.
    pub fn look_durable(&self, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        let hash = self.hasher.hash_one(key);
        let durable = self.durable.load(Ordering::Acquire);
        match self.shard(hash) {
            Some(shard) => seen(shard.lock().get_durable(hash, key, durable)),
            None => seen(None),
        }
    }

    /// Calls `each` with every durable key and value, in no order. The space must not be asked from within.
    pub fn for_each_durable(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        let durable = self.durable.load(Ordering::Acquire);
        for shard in &self.shards {
            shard.lock().for_each_durable(durable, each);
        }
    }

    /// Calls `each` with every key and newest value of one of the [`PARTS`], counted from 0, in no order. The space must not
    /// be asked from within.
    pub fn for_part(&self, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(shard) = self.shards.get(part as usize) {
            shard.lock().for_each(each);
        }
    }

    /// Forgets values that only readers of the durable view needed and that durable ones have replaced.
    pub fn tidy(&self) {
        let durable = self.durable.load(Ordering::Acquire);
        for shard in &self.shards {
            shard.lock().forget(durable);
        }
    }

    /// Entries, and their bytes with all overhead.
    pub fn size(&self) -> (u64, u64) {
        self.shards.iter().map(|shard| shard.lock().size()).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    fn shard(&self, hash: u64) -> Option<&Mutex<Shard>> {
        self.shards.get(part(hash))
    }
}

/// The part of a space that has a hash.
const fn part(hash: u64) -> usize {
    // Not the bits that the tables use.
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests;
