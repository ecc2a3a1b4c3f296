//! A bounded cache of a table's documents in memory, absent ones included.
//!
//! Two generations for each shard: what is used moves to the young one; when that is full it becomes the old one and
//! the old one goes. Invariant: what the cache answers is what the view holds; a reader that read the view while a
//! change was being applied does not put its answer in ([`Cache::stamp`] tells).

use std::sync::atomic::{AtomicU64, Ordering};

use ahash::{HashMap, RandomState};
use parking_lot::Mutex;

use crate::port::Document;

const SHARDS: usize = 16;

/// What an entry costs besides its key and value, about.
const ENTRY_BYTES: usize = 160;

#[derive(Default)]
struct Shard {
    young: HashMap<Box<str>, Option<Document>>,
    old: HashMap<Box<str>, Option<Document>>,
    young_bytes: usize,
}

pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    /// Of the young generation of one shard.
    shard_bytes_max: usize,
    /// Odd while changes are being applied; grows by two with each application.
    stamp: AtomicU64,
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
        let mut shard = self.shard(key)?.lock();
        if let Some(found) = shard.young.get(key) {
            return Some(found.clone());
        }
        let (key, found) = shard.old.remove_entry(key)?;
        self.insert(&mut shard, key, found.clone());
        Some(found)
    }

    /// Read before reading the view.
    pub(super) fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::SeqCst)
    }

    /// Puts in what the view answered, unless something was applied since `stamp`.
    pub(super) fn learn(&self, stamp: u64, key: &str, found: Option<Document>) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.lock();
        if stamp.is_multiple_of(2) && stamp == self.stamp() {
            self.insert(&mut shard, key.into(), found);
        }
    }

    /// Before changes are applied to the view.
    pub(super) fn begin(&self) {
        self.stamp.fetch_or(1, Ordering::SeqCst);
    }

    /// Takes over a change of the view; a key it does not hold stays out.
    pub(super) fn change(&self, key: &str, found: Option<Document>) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = shard.lock();
        if let Some((key, _)) = shard.old.remove_entry(key) {
            self.insert(&mut shard, key, found);
        } else if let Some(entry) = shard.young.get_mut(key) {
            *entry = found;
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
            *shard.lock() = Shard::default();
        }
    }

    fn insert(&self, shard: &mut Shard, key: Box<str>, found: Option<Document>) {
        shard.young_bytes += ENTRY_BYTES + 2 * key.len() + found.as_ref().map_or(0, |document| document.value.len());
        shard.young.insert(key, found);
        if shard.young_bytes > self.shard_bytes_max {
            shard.old = std::mem::take(&mut shard.young);
            shard.young_bytes = 0;
        }
    }

    fn shard(&self, key: &str) -> Option<&Mutex<Shard>> {
        let hash = self.hasher.hash_one(key);
        self.shards.get((hash >> 60) as usize % SHARDS)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_base::Micros;

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
        cache.learn(before, "a", Some(document("a", 1, 10)));
        cache.learn(during, "a", Some(document("a", 1, 10)));
        cache.end();
        cache.learn(before, "a", Some(document("a", 1, 10)));
        cache.learn(during, "a", Some(document("a", 1, 10)));
        assert_eq!(cache.get("a"), None);
        cache.learn(cache.stamp(), "a", Some(document("a", 2, 10)));
        assert_eq!(cache.get("a").unwrap().unwrap().version, 2);
    }

    #[test]
    fn changes_reach_what_is_held_and_absence_is_held_too() {
        let cache = Cache::new(1 << 20);
        cache.learn(cache.stamp(), "a", None);
        assert_eq!(cache.get("a"), Some(None));
        cache.begin();
        cache.change("a", Some(document("a", 5, 10)));
        cache.change("b", Some(document("b", 6, 10)));
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
            cache.learn(stamp, &key, Some(document(&key, 1, 200)));
            cache.get("k0");
        }
        assert!(cache.get("k0").is_some());
        let held: usize =
            cache.shards.iter().map(|shard| shard.lock()).map(|shard| shard.young.len() + shard.old.len()).sum();
        assert!(held * 370 <= (1 << 20) + SHARDS * 400, "{held} entries");
    }
}
