//! The thread that files durable batches into their partitions' segments, behind the write-ahead log's back.
//!
//! It writes without waiting for the disk and syncs a little at a time, so that its writes never stand in the way of
//! the write-ahead log's syncs for long. Only a *barrier* gives a promise: everything up to some sequence is in synced
//! segments, and the log's own spaces say how far each segment goes. A checkpoint begins with one.
//!
//! What is in segments is read from memory while it is new, and seldom afterwards. So the system is told to forget what
//! is older than some amount: a log that is written without pause would fill all memory with pages, push out what others
//! use, and pay for each new page (docs/benchmarks.md).
//!
//! A write that fails, as on a full disk, is done again later. A sync that fails, of a file or a folder, is not: what
//! the system could not write it may have dropped and forgotten, so that the next sync succeeds without it. The process
//! ends ([`Fatal`]), and the next start files again what no checkpoint names.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Clock, Limits};
use headwater_store::disk::{Disk, DiskFile, is_failed_sync};
use headwater_store::state::State;
use headwater_store::wal::Fatal;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::partition::Partition;
use super::segment::Segment;
use super::{FILED, Options, PRODUCERS};
use crate::Offset;

/// Bytes written to a file between two syncs.
const SYNC_BYTES: u64 = 4 << 20;
/// Bytes that are filed at once without waiting for more: few, so that copying them to the system holds a processor, which
/// a request may wait for, for less than a millisecond.
const EAGER_BYTES: usize = 1 << 20;
/// Bytes of a file that count for what is left of it to the system's memory, at least, so that what is remembered of it
/// has a bound.
const LEFT_BYTES_MIN: u64 = 64 << 10;
/// How long fewer bytes wait for company.
const LINGER: Duration = Duration::from_millis(250);
/// Open segment files kept.
const FILES_MAX: usize = 256;
/// Open segment files kept because they have to be synced: what the system said to a write that failed since is told to
/// whoever has the file open.
const UNSYNCED_MAX: usize = 512;

/// A batch to be filed.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub partition: Arc<Partition>,
    pub first: Offset,
    pub last: Offset,
    pub newest_ms: i64,
    pub bytes: Bytes,
}

/// The filer's shared side.
pub(super) struct Filer {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    state: Arc<State>,
    clock: Arc<dyn Clock>,
    queue: Mutex<Queue>,
    wake: Condvar,
    answered: Condvar,
    /// The thread's own.
    work: Mutex<Work>,
    /// Bytes appended and not yet filed.
    pub unfiled: AtomicUsize,
    /// Bytes of batches in memory.
    pub cached: AtomicUsize,
    cached_max: usize,
    /// Bytes of segments left to the system's memory.
    left_max: u64,
    segment_bytes_max: u64,
    /// Filed batches in memory, oldest first.
    order: Mutex<VecDeque<(Arc<Partition>, Offset)>>,
    /// Notified when something was filed.
    pub room: Notify,
    /// What the disk says while it refuses.
    fault: Mutex<Option<String>>,
    fatal: Fatal,
}

#[derive(Debug)]
struct Queue {
    items: Vec<Item>,
    bytes: usize,
    /// Everything durable up to here is queued.
    sequence: u64,
    barriers_wanted: u64,
    barriers_done: u64,
    /// What the last barrier promised, or why it failed.
    promised: Result<Promise, String>,
    stop: bool,
}

/// What a barrier promises.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    /// Everything up to here is in synced segments.
    pub sequence: u64,
    /// How far some segment goes has changed since the last barrier.
    pub moved: bool,
}

/// What has been synced and may still be in the system's memory, oldest first: a file, up to where, and how many bytes
/// more than before.
#[derive(Debug, Default)]
struct Synced {
    order: VecDeque<(PathBuf, u64, u64)>,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Work {
    files: HashMap<PathBuf, Arc<dyn DiskFile>>,
    /// Written since their last sync: path -> bytes.
    unsynced: HashMap<PathBuf, u64>,
    folders: HashSet<PathBuf>,
    touched: HashMap<[u8; 20], Arc<Partition>>,
    left: Vec<Item>,
    synced: Synced,
    /// A sync failed: what the segments hold is not known any more.
    unsure: Option<String>,
}

impl Filer {
    pub fn new(
        disk: Arc<dyn Disk>,
        root: PathBuf,
        state: Arc<State>,
        clock: Arc<dyn Clock>,
        limits: &Limits,
        options: &Options,
    ) -> Self {
        Self {
            disk,
            root,
            state,
            clock,
            queue: Mutex::new(Queue {
                items: Vec::new(),
                bytes: 0,
                sequence: 0,
                barriers_wanted: 0,
                barriers_done: 0,
                promised: Ok(Promise { sequence: 0, moved: false }),
                stop: false,
            }),
            wake: Condvar::new(),
            answered: Condvar::new(),
            work: Mutex::default(),
            unfiled: AtomicUsize::new(0),
            cached: AtomicUsize::new(0),
            cached_max: limits.tail_cache_bytes,
            left_max: limits.segment_cache_bytes,
            segment_bytes_max: options.segment_bytes_max,
            order: Mutex::default(),
            room: Notify::new(),
            fault: Mutex::default(),
            fatal: options.fatal.clone(),
        }
    }

    /// Queues what has become durable up to `sequence`.
    pub fn push(&self, sequence: u64, items: impl Iterator<Item = Item>) {
        let mut queue = self.queue.lock();
        let before = queue.bytes;
        for item in items {
            queue.bytes += item.bytes.len();
            queue.items.push(item);
        }
        queue.sequence = sequence;
        let wake = (before == 0 && queue.bytes > 0) || (before < EAGER_BYTES && queue.bytes >= EAGER_BYTES);
        drop(queue);
        if wake {
            self.wake.notify_all();
        }
    }

    /// Waits until everything durable now is in synced segments.
    ///
    /// # Errors
    /// What the disk said, or that the filer has stopped.
    pub fn barrier(&self) -> Result<Promise, String> {
        let mut queue = self.queue.lock();
        if queue.stop {
            return Err("the log is closed".into());
        }
        queue.barriers_wanted += 1;
        let mine = queue.barriers_wanted;
        self.wake.notify_all();
        while queue.barriers_done < mine {
            if queue.stop {
                return Err("the log is closed".into());
            }
            self.answered.wait(&mut queue);
        }
        queue.promised.clone()
    }

    /// What the disk says while batches cannot be filed.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    pub fn stop(&self) {
        self.queue.lock().stop = true;
        self.wake.notify_all();
        self.answered.notify_all();
    }

    /// The thread's body.
    pub fn run(&self) {
        // What could not be filed is tried again, whether anything new comes or not.
        let mut again = false;
        loop {
            let mut queue = self.queue.lock();
            if again && !queue.stop && queue.barriers_done == queue.barriers_wanted {
                self.wake.wait_for(&mut queue, LINGER);
            }
            while !again && !queue.stop && queue.barriers_done == queue.barriers_wanted && queue.bytes < EAGER_BYTES {
                if queue.items.is_empty() {
                    self.wake.wait(&mut queue);
                } else if self.wake.wait_for(&mut queue, LINGER).timed_out() {
                    break;
                }
            }
            if queue.stop {
                return;
            }
            let items = std::mem::take(&mut queue.items);
            queue.bytes = 0;
            let sequence = queue.sequence;
            let wanted = (queue.barriers_wanted > queue.barriers_done).then_some(queue.barriers_wanted);
            drop(queue);
            let filed = self.file_all(items);
            self.tell(filed.as_ref().err());
            again = filed.is_err();
            let settled = if wanted.is_some() { filed.and_then(|()| self.settle()) } else { Ok(false) };
            let unsure = self.work.lock().unsure.clone();
            if let Some(why) = unsure {
                (self.fatal)(&why);
                // Only a test gets here.
                *self.fault.lock() = Some(why);
                self.room.notify_waiters();
                self.stop();
                return;
            }
            if let Some(wanted) = wanted {
                let promised = settled.map(|moved| Promise { sequence, moved }).map_err(|error| error.to_string());
                let mut queue = self.queue.lock();
                queue.promised = promised;
                queue.barriers_done = wanted;
                drop(queue);
                self.answered.notify_all();
            }
        }
    }

    /// Takes note of whether the disk refuses, and wakes those who wait for room: they are refused, too.
    fn tell(&self, error: Option<&io::Error>) {
        let before = std::mem::replace(
            &mut *self.fault.lock(),
            error.map(|error| format!("segments cannot be written: {error}")),
        );
        if let (Some(error), None) = (error, before) {
            tracing::error!(%error, "cannot file batches into segments; they stay in the write-ahead log");
            self.room.notify_waiters();
        }
    }

    /// Files batches, and those that an earlier call could not.
    pub fn file_all(&self, items: Vec<Item>) -> io::Result<()> {
        let mut work = self.work.lock();
        let mut all = std::mem::take(&mut work.left);
        all.extend(items);
        let mut parts: Vec<Vec<Item>> = Vec::new();
        let mut place: HashMap<[u8; 20], usize> = HashMap::new();
        for item in all {
            let at = *place.entry(item.partition.key()).or_insert(parts.len());
            match parts.get_mut(at) {
                Some(part) => part.push(item),
                None => parts.push(vec![item]),
            }
        }
        let mut fault = None;
        for part in parts {
            if fault.is_none()
                && let Some(partition) = part.first().map(|item| item.partition.clone())
                && let Err(error) = self.file(&mut work, &partition, &part)
            {
                fault = Some(error);
            }
            if fault.is_some() {
                work.left.extend(part);
                continue;
            }
            let bytes: usize = part.iter().map(|item| item.bytes.len()).sum();
            if let Some(item) = part.last() {
                item.partition.mark_filed(item.last);
            }
            self.order.lock().extend(part.into_iter().map(|item| (item.partition, item.last)));
            let before = self.unfiled.load(Ordering::Relaxed);
            self.unfiled.fetch_sub(bytes.min(before), Ordering::Relaxed);
        }
        drop(work);
        self.trim_cache();
        self.room.notify_waiters();
        fault.map_or(Ok(()), Err)
    }

    fn trim_cache(&self) {
        let mut order = self.order.lock();
        while self.cached.load(Ordering::Relaxed) > self.cached_max
            && let Some((partition, last)) = order.pop_front()
        {
            let freed = partition.evict(last);
            self.cached.fetch_sub(freed.min(self.cached.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
    }

    fn file(&self, work: &mut Work, partition: &Arc<Partition>, items: &[Item]) -> io::Result<()> {
        let mut rest = items;
        while !rest.is_empty() && !partition.is_gone() {
            let stream = partition.stream.read().clone();
            let now = self.clock.now();
            let filed = partition
                .segments
                .read()
                .last()
                .map(|segment| (segment.base, segment.length, segment.next, segment.opened));
            let Some(first) = rest.first() else { break };
            if filed.is_some_and(|(_, _, next, _)| first.last < next) {
                // An earlier attempt got this far.
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let limit = stream.config.segment_bytes.clamp(1, self.segment_bytes_max);
            let age_ms = |opened| now.millis().saturating_sub(headwater_base::Micros::millis(opened));
            let active = filed.filter(|(_, length, _, opened)| {
                *length == 0
                    || (*length + first.bytes.len() as u64 <= limit && age_ms(*opened) < stream.config.segment_ms)
            });
            let Some((base, length, ..)) = active else {
                self.roll(work, partition, first.first)?;
                continue;
            };
            let mut end = length;
            let fit = rest
                .iter()
                .take_while(|item| {
                    let fits = end == 0 || end + item.bytes.len() as u64 <= limit;
                    end += item.bytes.len() as u64;
                    fits
                })
                .count()
                .max(1);
            let (now_filed, later) = rest.split_at_checked(fit).unwrap_or((rest, &[]));
            let slices: Vec<IoSlice<'_>> = now_filed.iter().map(|item| IoSlice::new(&item.bytes)).collect();
            let path = Segment::log_path(&partition.folder, base);
            let file = self.open(work, &path)?;
            file.write_slices_at(&slices, length)?;
            work.touched.insert(partition.key(), partition.clone());
            let bytes: u64 = now_filed.iter().map(|item| item.bytes.len() as u64).sum();
            let unsynced = work.unsynced.entry(path.clone()).or_default();
            *unsynced += bytes;
            if *unsynced >= SYNC_BYTES {
                let synced = std::mem::replace(unsynced, 1);
                sync(&*file, &mut work.unsure)?;
                self.leave(work, &path, length + bytes, synced);
            }
            let mut segments = partition.segments.write();
            if let Some(segment) = segments.last_mut() {
                for item in now_filed {
                    segment.note(item.first, item.last, item.newest_ms, item.bytes.len() as u64);
                }
            }
            rest = later;
        }
        Ok(())
    }

    /// Leaves what has just been synced of a file to the system's memory, and has it forget what is oldest there.
    fn leave(&self, work: &mut Work, path: &Path, end: u64, bytes: u64) {
        let Work { synced, files, .. } = work;
        let bytes = bytes.max(LEFT_BYTES_MIN);
        synced.order.push_back((path.to_path_buf(), end, bytes));
        synced.bytes += bytes;
        while synced.bytes > self.left_max
            && let Some((path, end, bytes)) = synced.order.pop_front()
        {
            synced.bytes -= bytes;
            // One that is gone, or that compaction has replaced, has nothing to forget.
            if let Some(file) = files.get(&path).cloned().or_else(|| self.disk.open(&path, false).ok()) {
                file.forget(end);
            }
        }
    }

    /// Begins a new segment.
    fn roll(&self, work: &mut Work, partition: &Arc<Partition>, base: Offset) -> io::Result<()> {
        let before = partition.segments.read().last().cloned();
        match &before {
            Some(segment) => segment.write_index(&*self.disk, &partition.folder)?,
            None => {
                self.disk.create_dir(&partition.folder)?;
                work.folders.extend(partition.folder.parent().map(PathBuf::from));
                work.folders.insert(self.root.clone());
            }
        }
        let path = Segment::log_path(&partition.folder, base);
        let file = self.open(work, &path)?;
        file.set_len(0)?;
        work.folders.insert(partition.folder.clone());
        work.unsynced.entry(path).or_insert(1);
        work.touched.insert(partition.key(), partition.clone());
        partition.segments.write().push(Segment::new(base, self.clock.now()));
        Ok(())
    }

    /// Begins a new segment behind the last one, so that the last one can be compacted or dropped.
    pub fn close_active(&self, partition: &Arc<Partition>) -> io::Result<()> {
        let mut work = self.work.lock();
        let next = partition.segments.read().last().filter(|segment| segment.length > 0).map(|segment| segment.next);
        next.map_or(Ok(()), |next| self.roll(&mut work, partition, next))
    }

    fn open(&self, work: &mut Work, path: &PathBuf) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = work.files.get(path) {
            return Ok(file.clone());
        }
        if work.files.len() >= FILES_MAX {
            let unsynced = &work.unsynced;
            work.files.retain(|path, _| unsynced.contains_key(path));
        }
        if work.files.len() >= UNSYNCED_MAX {
            // The system may grant no more, and a filer without files would never get as far as a barrier.
            let Work { files, unsynced, unsure, .. } = &mut *work;
            for (path, file) in files.drain() {
                sync(&*file, unsure)?;
                unsynced.remove(&path);
            }
        }
        let file = self.disk.open(path, true)?;
        work.files.insert(path.clone(), file.clone());
        Ok(file)
    }

    /// Syncs everything filed, and writes down how far it goes; whether anything has moved.
    fn settle(&self) -> io::Result<bool> {
        let mut work = self.work.lock();
        let touched: Vec<_> = work.touched.values().filter(|partition| !partition.is_gone()).cloned().collect();
        let paths: Vec<PathBuf> = work.unsynced.keys().cloned().collect();
        for path in paths {
            let file = match work.files.get(&path) {
                Some(file) => file.clone(),
                None => match self.disk.open(&path, false) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        work.unsynced.remove(&path);
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            sync(&*file, &mut work.unsure)?;
            let bytes = work.unsynced.remove(&path).unwrap_or_default();
            if let Ok(end) = file.len() {
                self.leave(&mut work, &path, end, bytes);
            }
        }
        for folder in work.folders.clone() {
            match self.disk.sync_dir(&folder) {
                Err(error) if is_failed_sync(&error) => {
                    work.unsure = Some(format!("cannot sync a folder of segments: {error}; their names may be gone"));
                    return Err(error);
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => work.folders.remove(&folder),
            };
        }
        let records = self.state.space_or_new(FILED);
        let producers = self.state.space_or_new(PRODUCERS);
        for partition in touched {
            let key = partition.key();
            let active = partition.segments.read().last().map(|segment| (segment.next, segment.base, segment.length));
            if let Some((next, base, length)) = active {
                records.put_durable(&key, Some(&Record { next, base, length }.encode()));
            }
            for (id, producer) in partition.producers.lock().take_changes() {
                let key = [&key[..], &id.to_be_bytes()].concat();
                producers.put_durable(&key, producer.as_deref());
            }
        }
        // Compaction may replace what is closed; an open file would keep the old one's space.
        work.files.clear();
        Ok(!std::mem::take(&mut work.touched).is_empty())
    }
}

/// Syncs a segment, and says in `unsure` if that failed.
fn sync(file: &dyn DiskFile, unsure: &mut Option<String>) -> io::Result<()> {
    let synced = file.sync();
    if let Err(error) = &synced {
        *unsure = Some(format!("cannot sync a segment: {error}; what was written may be gone from memory too"));
    }
    synced
}

/// How far a partition's segments go at a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// One past the last offset filed.
    pub next: Offset,
    /// The segment that was written.
    pub base: Offset,
    /// Its bytes.
    pub length: u64,
}

impl Record {
    pub fn encode(self) -> [u8; 24] {
        let mut out = [0; 24];
        let bytes = self.next.to_le_bytes().into_iter().chain(self.base.to_le_bytes()).chain(self.length.to_le_bytes());
        out.iter_mut().zip(bytes).for_each(|(into, from)| *into = from);
        out
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(i64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Self { next: number(0)?, base: number(8)?, length: u64::try_from(number(16)?).ok()? })
    }
}
