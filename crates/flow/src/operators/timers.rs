//! What is due when, in order of time, then key.
//!
//! What it is NOT: durable, or the truth. It is an index over the states and is rebuilt from them; whoever takes a key
//! out looks at its state to see what is due, and schedules it again if something will be.
//!
//! Invariants: for each key that will be due there is at least one entry at or before that time. Entries too many
//! cost a look and melt together. Memory: a key's bytes and about six more, while it is far from due.

use std::collections::{BTreeMap, BTreeSet};

use headwater_base::Micros;

use crate::operators::codec::{Reader, put_bytes, put_u64};

/// Bytes of the two varints of an entry at most.
const LENGTHS_MAX: usize = 20;

/// An index from due times to keys.
#[derive(Debug)]
pub struct Timers {
    /// Microseconds that share a bucket.
    width: i64,
    /// Bucket number -> entries (distance from the bucket's start, key), back to back.
    buckets: BTreeMap<i64, Vec<u8>>,
    /// Entries of all buckets up to `opened`.
    near: BTreeSet<(i64, Box<[u8]>)>,
    opened: i64,
}

impl Timers {
    /// An empty index; entries within `width` microseconds are sorted together.
    pub fn new(width: i64) -> Self {
        Self { width: width.max(1), buckets: BTreeMap::new(), near: BTreeSet::new(), opened: i64::MIN }
    }

    /// Adds a key.
    pub fn schedule(&mut self, due: Micros, key: &[u8]) {
        let bucket = due.0.div_euclid(self.width);
        if bucket <= self.opened {
            self.near.insert((due.0, key.into()));
            return;
        }
        let entries = self.buckets.entry(bucket).or_default();
        // Nearly all keys are far from due. A buffer that doubles is empty by a third, over all buckets; this is by a
        // sixteenth.
        let bytes = key.len() + LENGTHS_MAX;
        if entries.capacity() - entries.len() < bytes {
            entries.reserve_exact(bytes + entries.len() / 8);
        }
        put_u64(entries, due.0.rem_euclid(self.width) as u64);
        put_bytes(entries, key);
    }

    /// Takes the first key due at or before `now`.
    pub fn pop(&mut self, now: Micros) -> Option<Box<[u8]>> {
        loop {
            if let Some((due, _)) = self.near.first() {
                if *due > now.0 {
                    return None;
                }
                return self.near.pop_first().map(|(_, key)| key);
            }
            let entry = self.buckets.first_entry()?;
            if *entry.key() > now.0.div_euclid(self.width) {
                return None;
            }
            let (bucket, entries) = entry.remove_entry();
            self.opened = bucket;
            let mut reader = Reader::new(&entries);
            while let (Ok(distance), Ok(key)) = (reader.u64(), reader.bytes()) {
                self.near.insert((bucket.saturating_mul(self.width).saturating_add(distance as i64), key.into()));
            }
        }
    }

    /// Bytes held, roughly; for metrics.
    pub fn bytes(&self) -> usize {
        let far: usize = self.buckets.values().map(Vec::capacity).sum();
        far + self.near.iter().map(|(_, key)| key.len() + 48).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
