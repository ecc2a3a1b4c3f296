//! A bounded cache of a table's documents in memory, absent ones included.
//!
//! Two generations for each shard: what is used moves to the young one; when that is full it becomes the old one and
//! the old one goes. Invariant: what the cache answers is what the view holds; a reader that read the view while a
//! change was being applied does not put its answer in ([`Cache::stamp`] tells).

use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashTable;
use headwater_base::Micros;
use headwater_store::tables::Row;
use parking_lot::Mutex;

use crate::port::Document;

const SHARDS: usize = 16;

/// What an entry costs besides its own bytes, about: its slot, with the room that a table keeps free, and the
/// allocator's rounding.
const ENTRY_BYTES: usize = 40;

#[derive(Default)]
struct Shard {
    young: HashTable<Entry>,
    old: HashTable<Entry>,
    young_bytes: usize,
}

/// What is known of one key, in one allocation: a million small documents are mostly what is put around them.
///
/// Eight bytes each of version and time, four of the key's length, the key, the value. A key without a document has the
/// version 0, which no document has.
struct Entry(Box<[u8]>);

/// A document without its key.
#[derive(Clone, Copy, Default)]
pub(super) struct Found<'a> {
    pub version: u64,
    pub updated: Micros,
    pub value: &'a [u8],
}

impl<'a> From<&'a Document> for Found<'a> {
    fn from(document: &'a Document) -> Self {
        Self { version: document.version, updated: document.updated, value: &document.value }
    }
}

impl<'a> From<&'a Row> for Found<'a> {
    fn from(row: &'a Row) -> Self {
        Self { version: row.version, updated: Micros(row.updated_us), value: &row.value }
    }
}

pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    /// Of the young generation of one shard.
    shard_bytes_max: usize,
    /// Odd while changes are being applied; grows by two with each application.
    stamp: AtomicU64,
}

impl Entry {
    fn new(key: &str, found: Option<Found<'_>>) -> Self {
        let Found { version, updated, value } = found.unwrap_or_default();
        let mut bytes = Vec::with_capacity(20 + key.len() + value.len());
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&updated.0.to_le_bytes());
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(value);
        Self(bytes.into_boxed_slice())
    }

    /// Version, time, and the bytes of key and value.
    fn parts(&self) -> (u64, i64, &[u8], &[u8]) {
        let whole = || {
            let (version, rest) = self.0.split_first_chunk()?;
            let (updated, rest) = rest.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (key, value) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some((u64::from_le_bytes(*version), i64::from_le_bytes(*updated), key, value))
        };
        whole().unwrap_or_default()
    }

    const fn cost(&self) -> usize {
        ENTRY_BYTES + self.0.len()
    }

    fn is_of(&self, key: &str) -> bool {
        self.parts().2 == key.as_bytes()
    }

    fn document(&self, key: &str) -> Option<Document> {
        let (version, updated, _, value) = self.parts();
        (version > 0).then(|| Document {
            key: key.to_owned(),
            version,
            updated: Micros(updated),
            value: Bytes::copy_from_slice(value),
        })
    }
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            shard_bytes_max: bytes_max / SHARDS / 2,
            stamp: AtomicU64::new(2),
        }
    }

    /// The document of a key as far as the cache knows: `Some(None)` = it knows that there is none.
    pub(super) fn get(&self, key: &str) -> Option<Option<Document>> {
        let (hash, shard) = self.place(key)?;
        let mut shard = shard.lock();
        if let Some(entry) = shard.young.find(hash, |entry| entry.is_of(key)) {
            return Some(entry.document(key));
        }
        let (entry, _) = shard.old.find_entry(hash, |entry| entry.is_of(key)).ok()?.remove();
        let found = entry.document(key);
        self.insert(&mut shard, hash, entry);
        Some(found)
    }

    /// Read before reading the view.
    pub(super) fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::SeqCst)
    }

    /// Puts in what the view answered, unless something was applied since `stamp`.
    pub(super) fn learn(&self, stamp: u64, key: &str, found: Option<&Document>) {
        let Some((hash, shard)) = self.place(key) else { return };
        let mut shard = shard.lock();
        let is_known = |shard: &Shard| shard.young.find(hash, |entry| entry.is_of(key)).is_some();
        if stamp.is_multiple_of(2) && stamp == self.stamp() && !is_known(&shard) {
            self.insert(&mut shard, hash, Entry::new(key, found.map(Found::from)));
        }
    }

    /// Before changes are applied to the view.
    pub(super) fn begin(&self) {
        self.stamp.fetch_or(1, Ordering::SeqCst);
    }

    /// Takes over a change of the view; a key it does not hold stays out.
    pub(super) fn change(&self, key: &str, found: Option<Found<'_>>) {
        let Some((hash, shard)) = self.place(key) else { return };
        let mut shard = shard.lock();
        if let Ok(entry) = shard.young.find_entry(hash, |entry| entry.is_of(key)) {
            let (entry, _) = entry.remove();
            shard.young_bytes -= entry.cost();
        } else if let Ok(entry) = shard.old.find_entry(hash, |entry| entry.is_of(key)) {
            entry.remove();
        } else {
            return;
        }
        self.insert(&mut shard, hash, Entry::new(key, found));
    }

    /// After the changes were applied.
    pub(super) fn end(&self) {
        // From odd to the next even number.
        self.stamp.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            *shard.lock() = Shard::default();
        }
    }

    fn insert(&self, shard: &mut Shard, hash: u64, entry: Entry) {
        shard.young_bytes += entry.cost();
        shard.young.insert_unique(hash, entry, |entry| self.hasher.hash_one(entry.parts().2));
        if shard.young_bytes > self.shard_bytes_max {
            shard.old = std::mem::take(&mut shard.young);
            shard.young_bytes = 0;
        }
    }

    fn place(&self, key: &str) -> Option<(u64, &Mutex<Shard>)> {
        let hash = self.hasher.hash_one(key.as_bytes());
        // Bits that the tables of the shards do not go by.
        Some((hash, self.shards.get((hash >> 40) as usize % SHARDS)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(key: &str, version: u64, bytes: usize) -> Document {
        Document { key: key.to_owned(), version, updated: Micros(0), value: Bytes::from(vec![b'x'; bytes]) }
    }

    #[test]
    fn an_answer_read_while_changes_are_applied_is_not_kept() {
        let cache = Cache::new(1 << 20);
        let before = cache.stamp();
        cache.begin();
        let during = cache.stamp();
        cache.learn(before, "a", Some(&document("a", 1, 10)));
        cache.learn(during, "a", Some(&document("a", 1, 10)));
        cache.end();
        cache.learn(before, "a", Some(&document("a", 1, 10)));
        cache.learn(during, "a", Some(&document("a", 1, 10)));
        assert_eq!(cache.get("a"), None);
        cache.learn(cache.stamp(), "a", Some(&document("a", 2, 10)));
        assert_eq!(cache.get("a").unwrap().unwrap().version, 2);
    }

    #[test]
    fn changes_reach_what_is_held_and_absence_is_held_too() {
        let cache = Cache::new(1 << 20);
        cache.learn(cache.stamp(), "a", None);
        assert_eq!(cache.get("a"), Some(None));
        cache.begin();
        cache.change("a", Some(Found::from(&document("a", 5, 10))));
        cache.change("b", Some(Found::from(&document("b", 6, 10))));
        cache.end();
        assert_eq!(cache.get("a").unwrap().unwrap().version, 5);
        assert_eq!(cache.get("b"), None);
    }

    #[test]
    fn it_stays_within_its_bound_and_keeps_what_is_used() {
        let cache = Cache::new(1 << 20);
        let stamp = cache.stamp();
        for n in 0..20_000 {
            let key = format!("k{n}");
            cache.learn(stamp, &key, Some(&document(&key, 1, 200)));
            cache.get("k0");
        }
        assert!(cache.get("k0").is_some());
        let held: usize =
            cache.shards.iter().map(|shard| shard.lock()).map(|shard| shard.young.len() + shard.old.len()).sum();
        assert!(held * 260 <= (1 << 20) + SHARDS * 300, "{held} entries");
    }
}
