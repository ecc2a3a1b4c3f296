//! One partition: where it begins and ends, its recent batches in memory, its segments, and who waits for it.
//!
//! # Invariants
//! - `start <= durable <= appended`, and only the sequencer moves `appended`, only the write-ahead log's writer
//!   `durable`.
//! - A batch leaves the memory only after it was filed, so every offset from `start` on is in memory or in a segment.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;
use headwater_wire::batch::Header;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::producers::Producers;
use super::segment::Segment;
use crate::{Batches, Ends, Offset, Stream, View};

/// One partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub stream_id: u128,
    /// The stream as it is configured now; shared by its partitions.
    pub stream: Arc<RwLock<Arc<Stream>>>,
    pub index: u32,
    /// Its folder; made when the first batch is filed.
    pub folder: PathBuf,
    pub start: AtomicI64,
    pub durable: AtomicI64,
    pub appended: AtomicI64,
    /// The stream was deleted.
    pub gone: AtomicBool,
    pub tail: Mutex<VecDeque<Batch>>,
    /// Oldest first; the last one is written to.
    pub segments: RwLock<Vec<Segment>>,
    /// Held while files are replaced or removed, or one of them is opened by its name.
    pub files: RwLock<()>,
    pub producers: Mutex<Producers>,
    /// Up to where compaction has looked.
    pub compacted: AtomicI64,
    /// When the first deletion marker may go, in milliseconds.
    pub markers_until_ms: AtomicI64,
    waiters: Mutex<Waiters>,
}

/// A batch in memory.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub first: Offset,
    pub last: Offset,
    pub bytes: Bytes,
    pub filed: bool,
}

#[derive(Debug, Default)]
struct Waiters {
    list: Vec<Waiter>,
    /// Length at which those that nobody holds any more are looked for.
    prune_at: usize,
}

#[derive(Debug)]
struct Waiter {
    after: Offset,
    view: View,
    notify: Arc<Notify>,
}

impl Partition {
    pub fn new(stream: Arc<RwLock<Arc<Stream>>>, index: u32, folder: PathBuf, start: Offset, end: Offset) -> Self {
        let stream_id = stream.read().id;
        Self {
            stream_id,
            stream,
            index,
            folder,
            start: AtomicI64::new(start),
            durable: AtomicI64::new(end),
            appended: AtomicI64::new(end),
            gone: AtomicBool::new(false),
            tail: Mutex::default(),
            segments: RwLock::default(),
            files: RwLock::new(()),
            producers: Mutex::default(),
            compacted: AtomicI64::new(0),
            markers_until_ms: AtomicI64::new(i64::MAX),
            waiters: Mutex::default(),
        }
    }

    pub fn ends(&self) -> Ends {
        // In this order, so that a later one is never below an earlier one.
        let start = self.start.load(Ordering::Acquire);
        let durable = self.durable.load(Ordering::Acquire).max(start);
        let appended = self.appended.load(Ordering::Acquire).max(durable);
        Ends { start, durable, stable: durable, appended }
    }

    pub fn end(&self, view: View) -> Offset {
        match view {
            View::Appended => self.appended.load(Ordering::Acquire),
            View::Durable => self.durable.load(Ordering::Acquire),
        }
    }

    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The key of this partition in the log's own spaces.
    pub fn key(&self) -> [u8; 20] {
        let mut key = [0; 20];
        let bytes = self.stream_id.to_be_bytes().into_iter().chain(self.index.to_be_bytes());
        key.iter_mut().zip(bytes).for_each(|(into, from)| *into = from);
        key
    }

    /// Whole batches in memory from the one that holds `from` up to `end`; None when it is not in memory.
    pub fn read_tail(&self, from: Offset, end: Offset, bytes_max: usize) -> Option<Batches> {
        let tail = self.tail.lock();
        if tail.front().is_none_or(|batch| batch.first > from) {
            return None;
        }
        let at = tail.partition_point(|batch| batch.last < from);
        let mut total = 0;
        let found = tail.range(at..).take_while(|batch| {
            let is_first = total == 0;
            total += batch.bytes.len();
            batch.last < end && (is_first || total <= bytes_max)
        });
        Some(found.map(|batch| batch.bytes.clone()).collect())
    }

    /// The largest time, in milliseconds, of the batches before `end` that are not filed yet.
    pub fn newest_unfiled_ms(&self, end: Offset) -> Option<i64> {
        let tail = self.tail.lock();
        let unfiled = tail.iter().rev().take_while(|batch| !batch.filed).filter(|batch| batch.last < end);
        unfiled.filter_map(|batch| Some(Header::parse(&batch.bytes).ok()?.max_timestamp)).max()
    }

    /// Registers a waiter, or notifies it at once when there is something for it already.
    pub fn wake_after(&self, after: Offset, view: View, notify: &Arc<Notify>) {
        let mut waiters = self.waiters.lock();
        if self.end(view) > after || self.is_gone() {
            drop(waiters);
            notify.notify_one();
            return;
        }
        if waiters.list.len() >= waiters.prune_at {
            waiters.list.retain(|waiter| Arc::strong_count(&waiter.notify) > 1);
            waiters.prune_at = (waiters.list.len() * 2).max(16);
        }
        let same = waiters.list.iter_mut().find(|waiter| Arc::ptr_eq(&waiter.notify, notify) && waiter.view == view);
        match same {
            Some(waiter) => waiter.after = waiter.after.min(after),
            None => waiters.list.push(Waiter { after, view, notify: notify.clone() }),
        }
    }

    /// Notifies those for whom the end under `view` has moved far enough.
    pub fn wake(&self, view: View) {
        let end = self.end(view);
        let gone = self.is_gone();
        let mut waiters = self.waiters.lock();
        if waiters.list.is_empty() {
            return;
        }
        let mut at = 0;
        while let Some(waiter) = waiters.list.get(at) {
            if gone || (waiter.view == view && end > waiter.after) {
                waiters.list.swap_remove(at).notify.notify_one();
            } else {
                at += 1;
            }
        }
    }

    /// Drops filed batches from memory, oldest first, up to and including `last`; answers the bytes freed.
    pub fn evict(&self, last: Offset) -> usize {
        let mut tail = self.tail.lock();
        let mut freed = 0;
        while tail.front().is_some_and(|batch| batch.filed && batch.last <= last) {
            freed += tail.pop_front().map_or(0, |batch| batch.bytes.len());
        }
        freed
    }

    /// Marks the batches in memory up to `last` as filed.
    pub fn mark_filed(&self, last: Offset) {
        let mut tail = self.tail.lock();
        let at = tail.partition_point(|batch| batch.filed);
        tail.range_mut(at..).take_while(|batch| batch.last <= last).for_each(|batch| batch.filed = true);
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.read().iter().map(|segment| segment.length).sum()
    }
}
