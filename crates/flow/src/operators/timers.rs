//! What is due when, in order of time, then key.
//!
//! What it is NOT: durable, or the truth. It is an index over the states and is rebuilt from them; whoever takes a key
//! out looks at its state to see what is due, and schedules it again if something will be.
//!
//! Invariants: for each key that will be due there is at least one entry at or before that time. Entries too many
//! cost a look and melt together. Memory: a key's bytes and about six more, while it is far from due.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

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
    opened: Bucket,
    /// What has come for the opened bucket, or one before it, since that was opened.
    near: BTreeSet<(i64, Box<[u8]>)>,
}

/// The entries of a bucket that is due, in order: sorting them in their place costs a fraction of a tree of them.
#[derive(Debug)]
struct Bucket {
    number: i64,
    bytes: Vec<u8>,
    /// When each is due, and where its key is in `bytes`; the first one last.
    entries: Vec<(i64, Range<usize>)>,
}

impl Bucket {
    fn open(number: i64, width: i64, bytes: Vec<u8>) -> Self {
        let mut entries = Vec::new();
        let mut reader = Reader::new(&bytes);
        while let (Ok(distance), Ok(key)) = (reader.u64(), reader.bytes()) {
            let end = bytes.len() - reader.left();
            entries.push((number.saturating_mul(width).saturating_add(distance as i64), end - key.len()..end));
        }
        let key = |place: &Range<usize>| bytes.get(place.clone()).unwrap_or_default();
        entries.sort_unstable_by(|(due, place), (other, behind)| (other, key(behind)).cmp(&(due, key(place))));
        entries.dedup_by(|(due, place), (other, before)| due == other && key(place) == key(before));
        Self { number, bytes, entries }
    }

    fn first(&self) -> Option<(i64, &[u8])> {
        let (due, place) = self.entries.last()?;
        Some((*due, self.bytes.get(place.clone()).unwrap_or_default()))
    }
}

impl Timers {
    /// An empty index; entries within `width` microseconds are sorted together.
    pub fn new(width: i64) -> Self {
        let opened = Bucket { number: i64::MIN, bytes: Vec::new(), entries: Vec::new() };
        Self { width: width.max(1), buckets: BTreeMap::new(), opened, near: BTreeSet::new() }
    }

    /// Adds a key.
    pub fn schedule(&mut self, due: Micros, key: &[u8]) {
        let bucket = due.0.div_euclid(self.width);
        if bucket <= self.opened.number {
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
            let opened = self.opened.first();
            let near = self.near.first().map(|(due, key)| (*due, &**key));
            let Some(first) = opened.into_iter().chain(near).min() else {
                let entry = self.buckets.first_entry()?;
                if *entry.key() > now.0.div_euclid(self.width) {
                    return None;
                }
                let (number, bytes) = entry.remove_entry();
                self.opened = Bucket::open(number, self.width, bytes);
                continue;
            };
            if first.0 > now.0 {
                return None;
            }
            let (is_opened, is_near) = (opened == Some(first), near == Some(first));
            let key = first.1.into();
            if is_opened {
                self.opened.entries.pop();
            }
            if is_near {
                self.near.pop_first();
            }
            return Some(key);
        }
    }

    /// Takes the first `most` keys due at or before `now`; fewer where no more are.
    pub fn pop_all(&mut self, now: Micros, most: usize) -> Vec<Box<[u8]>> {
        std::iter::from_fn(|| self.pop(now)).take(most).collect()
    }

    /// Bytes held, roughly; for metrics.
    pub fn bytes(&self) -> usize {
        let far: usize = self.buckets.values().map(Vec::capacity).sum();
        let opened = self.opened.bytes.capacity() + self.opened.entries.capacity() * size_of::<(i64, Range<usize>)>();
        far + opened + self.near.iter().map(|(_, key)| key.len() + 48).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
