//! A bounded cache of a table's documents in memory, absent ones included.
//!
//! What is written is kept while there is room for it, and what was asked for drives out what was not ([`Packed`]).
//! Invariants: what the cache answers is what the view holds; a reader that read the view while a change was being applied
//! does not put its answer in ([`Cache::stamp`] tells). Changes are applied by one at a time: by who follows the table
//! while the view stays what it is, or by who replaces that.

use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use headwater_base::{Micros, never};
use headwater_store::tables::Row;
use parking_lot::Mutex;

use crate::packed::{Held, Packed};
use crate::port::Document;

const SHARDS: usize = 16;

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
    /// Of a key without a document there is version 0, which no document has.
    shards: [Mutex<Packed>; SHARDS],
    hasher: RandomState,
    /// Odd while changes are being applied; grows by two with each application.
    stamp: AtomicU64,
}

impl Cache {
    /// `now` is about when its documents are written.
    pub(super) fn new(bytes_max: usize, now: Micros) -> Self {
        let base = [0, now.0.cast_unsigned()];
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Packed::new(bytes_max / SHARDS, usize::MAX, base))),
            hasher: RandomState::new(),
            stamp: AtomicU64::new(2),
        }
    }

    /// The document of a key as far as the cache knows: `Some(None)` = it knows that there is none.
    pub(super) fn get(&self, key: &str) -> Option<Option<Document>> {
        self.shard(key)?.lock().get(key).map(|held| document(key, &held))
    }

    /// Whether [`Self::get`] knows.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.shard(key).is_some_and(|shard| shard.lock().holds(key))
    }

    /// Read before reading the view.
    pub(super) fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::SeqCst)
    }

    /// Puts in what the view answered, unless something was applied since `stamp`.
    pub(super) fn learn(&self, stamp: u64, key: &str, found: Option<&Document>) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.lock();
        if stamp.is_multiple_of(2) && stamp == self.stamp() && !shard.holds(key) {
            put(&mut shard, key, found.map(Found::from));
        }
    }

    /// Before changes are applied to the view.
    pub(super) fn begin(&self) {
        let before = self.stamp.fetch_or(1, Ordering::SeqCst);
        if !before.is_multiple_of(2) {
            never!("changes are applied to a table's view by two at once");
        }
    }

    /// Takes over a change of the view. A document it does not hold comes in where no other has to go for it.
    pub(super) fn change(&self, key: &str, found: Option<Found<'_>>) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.lock();
        if shard.holds(key) || found.is_some_and(|found| shard.has_room(key.len() + found.value.len())) {
            put(&mut shard, key, found);
        }
    }

    /// After the changes were applied.
    pub(super) fn end(&self) {
        // From odd to the next even number.
        self.stamp.fetch_add(1, Ordering::SeqCst);
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            shard.lock().clear();
        }
    }

    fn shard(&self, key: &str) -> Option<&Mutex<Packed>> {
        self.shards.get(self.hasher.hash_one(key) as usize % SHARDS)
    }
}

fn put(shard: &mut Packed, key: &str, found: Option<Found<'_>>) {
    let Found { version, updated, value } = found.unwrap_or_default();
    shard.put(key, [version, updated.0.cast_unsigned()], value);
}

fn document(key: &str, held: &Held<'_>) -> Option<Document> {
    let [version, updated] = held.marks;
    let updated = Micros(updated.cast_signed());
    (version > 0).then(|| Document { key: key.to_owned(), version, updated, value: held.value() })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn document(key: &str, version: u64, bytes: usize) -> Document {
        let value = Bytes::from(format!("\"{}\"", "x".repeat(bytes)));
        Document { key: key.to_owned(), version, updated: Micros(0), value }
    }

    fn cache() -> Cache {
        Cache::new(1 << 20, Micros(1_790_000_000_000_000))
    }

    #[test]
    fn an_answer_read_while_changes_are_applied_is_not_kept() {
        let cache = cache();
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
        let cache = cache();
        cache.learn(cache.stamp(), "a", None);
        assert_eq!(cache.get("a"), Some(None));
        cache.begin();
        cache.change("a", Some(Found::from(&document("a", 5, 10))));
        cache.change("b", None);
        cache.end();
        assert_eq!(cache.get("a").unwrap().unwrap().version, 5);
        assert_eq!(cache.get("b"), None);
        cache.begin();
        cache.change("a", None);
        cache.end();
        assert_eq!(cache.get("a"), Some(None));
    }

    #[test]
    fn what_is_written_is_held_while_there_is_room_and_drives_out_nothing_that_was_read() {
        let cache = cache();
        let read = document("read", 1, 10_000);
        cache.learn(cache.stamp(), "read", Some(&read));
        cache.begin();
        for n in 0..20_000 {
            let key = format!("k{n}");
            cache.change(&key, Some(Found::from(&document(&key, 2, 200))));
        }
        cache.end();
        let held = (0..20_000).filter(|n| cache.get(&format!("k{n}")).is_some()).count();
        assert!((3_000..6_000).contains(&held), "{held} of them in 1 MiB");
        assert_eq!(cache.get("k0").unwrap().unwrap().value, document("k0", 2, 200).value);
        assert_eq!(cache.get("read").unwrap().unwrap(), read);
    }

    #[test]
    fn a_large_document_that_is_written_drives_out_no_small_ones() {
        let cache = cache();
        for n in 0..2_000 {
            let key = format!("k{n}");
            cache.learn(cache.stamp(), &key, Some(&document(&key, 1, 200)));
        }
        cache.begin();
        for n in 0..200 {
            let key = format!("large{n}");
            cache.change(&key, Some(Found::from(&document(&key, 2, 14_000))));
        }
        cache.end();
        assert!((0..2_000).all(|n| cache.get(&format!("k{n}")).is_some()));
        assert!((0..200).any(|n| cache.get(&format!("large{n}")).is_some()), "while there is room");
    }

    #[test]
    fn it_stays_within_its_bound_and_keeps_what_is_used() {
        let cache = cache();
        let stamp = cache.stamp();
        for n in 0..20_000 {
            let key = format!("k{n}");
            cache.learn(stamp, &key, Some(&document(&key, 1, 200)));
            cache.get("k0");
        }
        assert!(cache.get("k0").is_some());
        let bytes: usize = cache.shards.iter().map(|shard| shard.lock().bytes()).sum();
        assert!(bytes <= 1 << 20, "{bytes} bytes");
    }
}
