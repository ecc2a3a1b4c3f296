//! The write-ahead log: the one place that is synced before anything is acknowledged.
//!
//! Frames get consecutive sequence numbers. One writer thread gathers what has come while the last sync ran, writes
//! it as one *group* and syncs it: an idle log syncs at once, a busy one shares a sync among many. Segment files are
//! allocated ahead and used again, so that a sync has no file system metadata to write
//! (docs/adr/0001-one-write-ahead-log.md).
//!
//! What it is NOT: it does not know what a frame means, and it never waits for anything but the disk.
//!
//! # Invariants
//! - A group is written only after the group before it was synced. So a bad group with a good one behind it means
//!   that synced bytes were lost, and [`Wal::open`] refuses; a bad group with nothing behind it is a torn tail that
//!   nobody was promised.
//! - A group begins at a page boundary: nothing that was synced shares a page with anything written later.
//! - After a failed sync nothing is trusted: the process ends ([`Options::fatal`]).
//! - A frame is accepted only if allocated space for it exists.
//! - What is left of that space at last is kept for frames that free space elsewhere ([`Wal::room_in_reserve`]): a full
//!   disk must not refuse the deletion that would end it.

mod layout;
mod recover;
mod slots;
mod waiters;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use headwater_base::Problem;
use parking_lot::{Condvar, Mutex};

use crate::disk::Disk;
use slots::Slots;
use waiters::Waiters;

pub use layout::PAGE_BYTES;
pub use waiters::Waiting;

/// Called once when going on would be a lie, such as after a failed sync. In production it ends the process.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Called on the writer thread after each sync, with the last durable sequence and what the frames brought along.
pub type OnDurable<T> = Box<dyn FnMut(u64, &mut Vec<T>) + Send>;

/// How a write-ahead log is kept.
#[derive(Clone)]
pub struct Options {
    /// The folder of the segment files.
    pub folder: PathBuf,
    /// Size of a segment file; a frame may have half of it.
    pub segment_bytes: u64,
    /// Bytes pushed and not yet synced, at most.
    pub unsynced_bytes: usize,
    /// Bytes written before one sync, at most (a single larger frame goes alone).
    pub group_bytes: usize,
    /// Used segment files kept for reuse, at most.
    pub spares: usize,
    /// What to do when syncing fails.
    pub fatal: Fatal,
}

impl Options {
    /// The usual values.
    pub fn new(folder: PathBuf, fatal: Fatal) -> Self {
        Self { folder, segment_bytes: 64 << 20, unsynced_bytes: 64 << 20, group_bytes: 4 << 20, spares: 8, fatal }
    }

    /// The largest frame.
    pub fn frame_bytes_max(&self) -> usize {
        usize::try_from(self.segment_bytes / 2).unwrap_or(usize::MAX).saturating_sub(4 * layout::PAGE_BYTES)
    }

    /// Space of the last segment that is kept for what frees space.
    const fn reserve_bytes(&self) -> u64 {
        self.segment_bytes / 16
    }
}

/// One atomic entry: its parts are written one behind the other.
#[derive(Debug)]
pub struct Frame<T> {
    /// The payload.
    pub parts: Vec<Bytes>,
    /// Handed to [`OnDurable`] once the frame is durable.
    pub done: T,
}

impl<T> Frame<T> {
    fn bytes(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

/// Why a frame is not accepted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// So many bytes wait to be synced; passes by itself.
    Full(usize),
    /// The frame can never be accepted: its size, and the limit.
    TooLarge(usize, usize),
    /// No space could be allocated, in words; passes when there is space again.
    Disk(String),
    /// The log is closed, or a sync failed.
    Closed,
}

/// The write-ahead log; `T` is what a frame brings along for [`OnDurable`].
#[derive(Debug)]
pub struct Wal<T> {
    shared: Arc<Shared<T>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared<T> {
    disk: Arc<dyn Disk>,
    options: Options,
    queue: Mutex<Queue<T>>,
    /// Something is queued, or the log closes.
    filled: Condvar,
    slots: Slots,
    waiters: Waiters,
    durable: AtomicU64,
    /// Syncs done and bytes written, for figures.
    syncs: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct Queue<T> {
    frames: std::collections::VecDeque<Frame<T>>,
    /// Bytes queued or being written.
    bytes: usize,
    /// Space that what is queued or being written may take, page rounding included.
    reserved: u64,
    /// Sequence of the next frame pushed.
    next: u64,
    closing: bool,
    dead: bool,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("folder", &self.folder).field("segment_bytes", &self.segment_bytes).finish()
    }
}

/// Reads the log in its folder without changing it: calls `each` with every frame behind `after` in order, and answers
/// the last sequence. For a look at a log that nobody has open.
///
/// # Errors
/// As [`Wal::open`].
pub fn examine(
    disk: &dyn Disk,
    options: &Options,
    after: u64,
    each: &mut dyn FnMut(u64, &[u8]) -> Result<(), Problem>,
) -> Result<u64, Problem> {
    recover::recover(disk, options, after, each).map(|found| found.last)
}

impl<T: Send + 'static> Wal<T> {
    /// Opens the log in its folder, calls `each` with every frame behind `after` in order, and starts the writer.
    ///
    /// `after` is the sequence up to which the caller has everything elsewhere (its last checkpoint).
    ///
    /// # Errors
    /// `HW-STORE-001` when bytes that had been synced are damaged, `HW-STORE-002` when the disk refuses,
    /// `HW-STORE-003` when frames between `after` and the first one found are missing, `HW-STORE-006` when the disk is
    /// full; what `each` answers.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        after: u64,
        each: &mut dyn FnMut(u64, &[u8]) -> Result<(), Problem>,
        on_durable: OnDurable<T>,
    ) -> Result<Self, Problem> {
        let found = recover::recover(&*disk, &options, after, each)?;
        let last = found.last;
        let slots = Slots::new(&*disk, &options, found)?;
        let shared = Arc::new(Shared {
            disk,
            queue: Mutex::new(Queue {
                frames: std::collections::VecDeque::new(),
                bytes: 0,
                reserved: 0,
                next: last + 1,
                closing: false,
                dead: false,
            }),
            options,
            filled: Condvar::new(),
            slots,
            waiters: Waiters::new(last),
            durable: AtomicU64::new(last),
            syncs: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        let mut threads = Vec::with_capacity(2);
        let spawned = writer::spawn(shared.clone(), on_durable).and_then(|writer| {
            threads.push(writer);
            slots::spawn(shared.clone())
        });
        match spawned {
            Ok(spares) => threads.push(spares),
            Err(error) => {
                return Err(Problem::new("HW-STORE-002", "cannot start a thread of the write-ahead log").because(error));
            }
        }
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// Whether a frame of `bytes` would be accepted now. Only [`Wal::push`] takes room away, so a caller that
    /// serialises its pushes can rely on the answer until its next one.
    ///
    /// # Errors
    /// Why not.
    pub fn room_for(&self, bytes: usize) -> Result<(), Refused> {
        self.room(bytes, self.shared.options.reserve_bytes())
    }

    /// [`Wal::room_for`] for a frame that frees space elsewhere: it may use what is kept for such frames.
    ///
    /// # Errors
    /// Why not.
    pub fn room_in_reserve(&self, bytes: usize) -> Result<(), Refused> {
        self.room(bytes, 0)
    }

    /// Why no space can be allocated at the moment, if it cannot; frames that fit into what there is are accepted.
    pub fn fault(&self) -> Option<String> {
        self.shared.slots.fault()
    }

    fn room(&self, bytes: usize, kept: u64) -> Result<(), Refused> {
        let limit = self.shared.options.frame_bytes_max();
        if bytes > limit {
            return Err(Refused::TooLarge(bytes, limit));
        }
        let queue = self.shared.queue.lock();
        if queue.closing || queue.dead {
            return Err(Refused::Closed);
        }
        if queue.bytes > 0 && queue.bytes + bytes > self.shared.options.unsynced_bytes {
            return Err(Refused::Full(queue.bytes));
        }
        let reserved = queue.reserved + layout::reserved(bytes);
        let room = self.shared.slots.room_for(reserved, kept, self.shared.options.segment_bytes);
        room.map_err(|fault| fault.map_or(Refused::Full(queue.bytes), Refused::Disk))
    }

    /// Queues a frame and answers its sequence number. Ask [`Wal::room_for`] first.
    pub fn push(&self, frame: Frame<T>) -> u64 {
        let mut queue = self.shared.queue.lock();
        let bytes = frame.bytes();
        queue.bytes += bytes;
        queue.reserved += layout::reserved(bytes);
        let sequence = queue.next;
        queue.next += 1;
        let wake = queue.frames.is_empty();
        queue.frames.push_back(frame);
        drop(queue);
        if wake {
            self.shared.filled.notify_one();
        }
        sequence
    }

    /// The last durable sequence.
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// The last sequence pushed.
    pub fn pushed(&self) -> u64 {
        self.shared.queue.lock().next - 1
    }

    /// Resolves to true once `sequence` is durable, or to false when it never will be.
    pub fn wait(&self, sequence: u64) -> Waiting {
        self.shared.waiters.wait(sequence)
    }

    /// Blocks until `sequence` is durable; false when it never will be.
    pub fn wait_blocking(&self, sequence: u64) -> bool {
        self.shared.waiters.wait_blocking(sequence)
    }

    /// Resolves when there may be room again; register before asking [`Wal::room_for`].
    pub fn for_room(&self) -> tokio::sync::futures::Notified<'_> {
        self.shared.waiters.for_room()
    }

    /// Bytes pushed and not yet synced.
    pub fn unsynced_bytes(&self) -> usize {
        self.shared.queue.lock().bytes
    }

    /// Gives back the segments that hold nothing behind `upto`; their files are used again.
    pub fn release(&self, upto: u64) {
        self.shared.slots.release(&*self.shared.disk, &self.shared.options, upto);
        self.shared.waiters.room();
    }

    /// Bytes of segments that are not released, about.
    pub fn held_bytes(&self) -> u64 {
        self.shared.slots.held_bytes(self.shared.options.segment_bytes)
    }

    /// Syncs done and bytes written since the log was opened.
    pub fn written(&self) -> (u64, u64) {
        (self.shared.syncs.load(Ordering::Relaxed), self.shared.bytes.load(Ordering::Relaxed))
    }
}

impl<T> Wal<T> {
    /// Writes what is queued and stops the threads. Nothing can be pushed any more.
    pub fn close(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.filled.notify_all();
        self.shared.slots.stop();
        for thread in self.threads.lock().drain(..) {
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the write-ahead log panicked");
            }
        }
        self.shared.waiters.fail();
    }
}

impl<T> Drop for Wal<T> {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
