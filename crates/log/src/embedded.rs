//! The embedded event log: one write-ahead log in front, partition segments and state snapshots behind it.
//!
//! A commit is checked where it comes in, gets its place under one lock (the *sequencer*), and is one frame of the
//! write-ahead log. From there on it is visible to readers of the appended view. The writer's next sync makes it
//! durable and visible to all. A *filer* writes durable batches into segments, a *keeper* makes checkpoints and
//! applies retention and compaction.
//!
//! What it is NOT: replicated.
//!
//! # Invariants
//! - What a checkpoint names is in synced files; everything behind it is in the write-ahead log. Recovery is: cut the
//!   segments to what the checkpoint names, load the snapshot, apply the log's tail.
//! - Nothing on the way of an append waits for the disk.
//!
//! # Limits
//! A commit is at most 32 MiB. See `headwater_base::Limits` for the rest.

mod append;
mod catalog;
mod check;
mod compact;
mod filer;
mod frame;
pub mod home;
mod keeper;
mod open;
mod partition;
mod producers;
mod read;
mod segment;
mod tail;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use headwater_base::{Clock, Limits, Micros, Name, Problem};
use headwater_store::disk::{Disk, RealDisk};
use headwater_store::process::stand_back;
use headwater_store::state::{Snapshots, Space, State};
use headwater_store::wal::{self, Wal};
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::Notify;

use crate::{Commit, Ends, Fetched, FoundSpace, Log, LogError, Offset, Sequence, Stream, StreamConfig, Ticket, View};
use catalog::Catalog;
use filer::{Filer, Item};
use read::Reach;

pub use check::{Checked, check};
pub use tail::{Tail, tail};

/// Spaces of the log itself begin with this; nobody else may write them.
const OWN: char = '~';
/// Name -> the stream as JSON.
const STREAMS: &str = "~streams";
/// Partition -> its first readable offset.
const STARTS: &str = "~starts";
/// Owner -> the newest epoch handed out.
const FENCES: &str = "~fences";
/// Counters.
const META: &str = "~meta";
/// Partition -> how far its segments go; written at checkpoints only.
const FILED: &str = "~filed";
/// Partition + producer -> what it sent; written at checkpoints only.
const PRODUCERS: &str = "~producers";

/// How far the keeper and the filer stand back (a nice value), as far as pipelines do: nobody waits for a checkpoint or a
/// compaction, which take a processor for a tenth of a second and more, nor for what is filed while there is room.
const STEPS_BACK: i32 = 5;

/// How an [`EmbeddedLog`] is kept, beyond `Limits`.
#[derive(Clone)]
pub struct Options {
    /// Size of a write-ahead log segment.
    pub wal_segment_bytes: u64,
    /// Write-ahead log held at which a checkpoint is made.
    pub checkpoint_bytes: u64,
    /// Age of the last checkpoint at which another is made, if anything happened.
    pub checkpoint_ms: u64,
    /// How often the keeper looks; None: only [`EmbeddedLog::maintain_now`] does.
    pub maintain_ms: Option<u64>,
    /// Size at which every stream's segments are closed, if its own is larger.
    pub segment_bytes_max: u64,
    /// How long an idempotent producer is remembered.
    pub producer_expiry_ms: i64,
    /// Keys that one compaction of a partition holds in memory; the rest waits for the next.
    pub compaction_keys: usize,
    /// Called when a sync fails; ends the process unless a test says otherwise.
    pub fatal: wal::Fatal,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wal_segment_bytes: 64 << 20,
            checkpoint_bytes: 192 << 20,
            checkpoint_ms: 30_000,
            maintain_ms: Some(1_000),
            segment_bytes_max: u64::MAX,
            producer_expiry_ms: 86_400_000,
            compaction_keys: 2_000_000,
            fatal: Arc::new(|why| {
                tracing::error!(%why, "the process ends, because going on could lose acknowledged data");
                std::process::abort()
            }),
        }
    }
}

impl Options {
    /// For crash tests: what happens once in minutes or hours (new segments, checkpoints, compaction) happens all the
    /// time, so that a node is killed in the midst of it.
    pub fn small() -> Self {
        Self {
            wal_segment_bytes: 4 << 20,
            checkpoint_bytes: 2 << 20,
            checkpoint_ms: 300,
            maintain_ms: Some(100),
            segment_bytes_max: 64 << 10,
            ..Self::default()
        }
    }
}

/// The embedded event log. Dropping it stops it without a checkpoint; [`EmbeddedLog::close`] makes the next start
/// fast.
pub struct EmbeddedLog {
    core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the log's threads share.
struct Core {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// The path by which files in the folder are named.
    home: PathBuf,
    limits: Arc<Limits>,
    options: Options,
    clock: Arc<dyn Clock>,
    state: Arc<State>,
    catalog: RwLock<Catalog>,
    /// Streams that are deleted and have files still, each with the frame that says so.
    deleted: Mutex<Vec<(Sequence, Arc<Stream>)>>,
    sequencer: Mutex<Sequencer>,
    wal: Wal<Done>,
    filer: Arc<Filer>,
    snapshots: Mutex<Snapshots>,
    keeper: Mutex<bool>,
    keeper_wake: Condvar,
    closed: AtomicBool,
    /// Size of the largest frame that met `Full` since there was room for one.
    wanted_bytes: AtomicUsize,
    appended_bytes: AtomicU64,
    checkpoints: AtomicU64,
    last_checkpoint_ms: AtomicU64,
    _lock: Box<dyn Send + Sync>,
}

/// What only the sequencer touches.
struct Sequencer {
    next_producer: i64,
}

/// What a frame brings along: the batches that become durable with it, and the spaces that it changes.
#[derive(Debug, Default)]
struct Done {
    items: Vec<Item>,
    spaces: Arc<[Arc<Space>]>,
}

impl EmbeddedLog {
    /// Opens the log in `folder`, which is made if it is not there, and recovers what was durable.
    ///
    /// # Errors
    /// `HW-LOG-001` when another process has the folder, `HW-LOG-002` when the disk refuses, `HW-LOG-003` when a
    /// segment is shorter than a checkpoint says or damaged, `HW-LOG-005` when the folder belongs elsewhere, and those
    /// of `headwater_store` (`HW-STORE-006` when the disk is full).
    pub fn open(folder: impl AsRef<Path>, limits: Arc<Limits>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, Problem> {
        Self::open_with(Arc::new(RealDisk), folder.as_ref(), limits, clock, Options::default())
    }

    /// [`EmbeddedLog::open`] on another disk, or with other than the usual options.
    ///
    /// # Errors
    /// The same.
    pub fn open_with(
        disk: Arc<dyn Disk>,
        folder: impl Into<PathBuf>,
        limits: Arc<Limits>,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Arc<Self>, Problem> {
        let core = Arc::new(open::open(disk, folder.into(), limits, clock, options)?);
        let mut threads = Vec::with_capacity(2);
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.into())
                .spawn(body)
                .map_err(|error| Problem::new("HW-LOG-002", "cannot start a thread of the log").because(error))
        };
        let filer = core.filer.clone();
        threads.push(spawn(
            "hw-log-filer",
            Box::new(move || {
                stand_back(STEPS_BACK);
                filer.run();
            }),
        )?);
        if let Some(every) = core.options.maintain_ms {
            let core = core.clone();
            let body = move || {
                stand_back(STEPS_BACK);
                core.keep(every);
            };
            threads.push(spawn("hw-log-keeper", Box::new(body))?);
        }
        Ok(Arc::new(Self { core, threads: Mutex::new(threads) }))
    }

    /// Makes everything durable, writes a checkpoint and stops. The log answers `Closed` from now on.
    ///
    /// # Errors
    /// `HW-LOG-002` when the checkpoint could not be written; nothing is lost, the next start takes longer.
    pub fn close(&self) -> Result<(), Problem> {
        if self.core.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // Whoever is in the sequencer has been given a place; nobody comes in any more.
        drop(self.core.sequencer.lock());
        let last = self.core.wal.pushed();
        self.core.wal.wait_blocking(last);
        self.core.stop_keeper();
        let checkpoint = self.core.checkpoint();
        self.stop();
        checkpoint.map_err(|error| {
            Problem::new("HW-LOG-002", "cannot write the last checkpoint; the next start reads the write-ahead log")
                .because(error)
        })
    }

    /// The path by which files in the data folder are named, whatever path it was opened by.
    pub fn home(&self) -> &Path {
        &self.core.home
    }

    /// Does at once what the keeper does from time to time: rolls, retention, compaction, and a checkpoint.
    ///
    /// # Errors
    /// What the disk says, in words.
    pub fn maintain_now(&self) -> Result<(), String> {
        self.core.maintain(true)
    }

    /// Why the disk takes nothing more at the moment, if it does not: for a node's readiness. What fits into the space
    /// that the write-ahead log has is still accepted.
    pub fn fault(&self) -> Option<String> {
        let grow = || self.core.wal.fault().map(|fault| format!("the write-ahead log cannot grow: {fault}"));
        self.core.filer.fault().or_else(grow)
    }

    fn stop(&self) {
        self.core.closed.store(true, Ordering::Release);
        self.core.stop_keeper();
        self.core.wal.close();
        self.core.filer.stop();
        for thread in self.threads.lock().drain(..) {
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
        }
        for partition in self.core.catalog.read().partitions() {
            partition.wake(View::Durable);
            partition.wake(View::Appended);
        }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedLog").field("folder", &self.core.folder).finish_non_exhaustive()
    }
}

impl Core {
    fn check_open(&self) -> Result<(), LogError> {
        if self.closed.load(Ordering::Acquire) { Err(LogError::Closed) } else { Ok(()) }
    }

    fn stop_keeper(&self) {
        *self.keeper.lock() = true;
        self.keeper_wake.notify_all();
    }

    fn durable(&self, sequence: Sequence) -> BoxFuture<'_, Result<(), LogError>> {
        let waiting = self.wal.wait(sequence);
        async move { if waiting.await { Ok(()) } else { Err(LogError::Closed) } }.boxed()
    }

    /// Resolves when a commit that met `Full` should be tried again.
    async fn room(&self) {
        loop {
            let mut synced = std::pin::pin!(self.wal.for_room());
            let mut filed = std::pin::pin!(self.filer.room.notified());
            synced.as_mut().enable();
            filed.as_mut().enable();
            if self.has_room() || self.closed.load(Ordering::Acquire) {
                return;
            }
            futures::future::select(synced, filed).await;
        }
    }

    /// Makes a commit of the log's own as soon as there is room for it, and answers once it is durable.
    fn once_durable<'a, T: Send + 'a>(
        &'a self,
        commit: impl Fn() -> Result<(T, Sequence), LogError> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, LogError>> {
        async move {
            let (made, sequence) = loop {
                match commit() {
                    Err(LogError::Full(_)) => self.room().await,
                    done => break done?,
                }
            };
            self.durable(sequence).await?;
            Ok(made)
        }
        .boxed()
    }
}

impl Log for EmbeddedLog {
    fn create(
        &self,
        name: Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>> {
        self.core.once_durable(move || self.core.create(&name, &config, &extra))
    }

    fn alter(
        &self,
        name: &Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>> {
        let name = name.clone();
        self.core.once_durable(move || self.core.alter(&name, &config, &extra))
    }

    fn delete(&self, name: &Name) -> BoxFuture<'_, Result<(), LogError>> {
        let name = name.clone();
        let deleted = self.core.once_durable(move || Ok(((), self.core.delete(&name)?)));
        async move {
            deleted.await?;
            self.core.remove_deleted();
            Ok(())
        }
        .boxed()
    }

    fn stream(&self, name: &str) -> Option<Arc<Stream>> {
        self.core.catalog.read().stream(name)
    }

    fn streams(&self) -> Vec<Arc<Stream>> {
        self.core.catalog.read().streams()
    }

    fn append(&self, commit: &mut Commit) -> Result<Ticket, LogError> {
        self.core.append(commit)
    }

    fn durable(&self, sequence: Sequence) -> BoxFuture<'_, Result<(), LogError>> {
        self.core.durable(sequence)
    }

    fn room(&self, _: &[&str]) -> BoxFuture<'_, ()> {
        self.core.room().boxed()
    }

    fn read(
        &self,
        stream: &Name,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        view: View,
    ) -> Result<Fetched, LogError> {
        let partition = self.core.partition(stream, partition)?;
        let read = self.core.read(&partition, from, bytes_max, view, Reach::Files)?;
        read.ok_or_else(|| LogError::Disk("a segment was not read".to_owned()))
    }

    fn read_in_memory(
        &self,
        stream: &Name,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        view: View,
    ) -> Result<Option<Fetched>, LogError> {
        let partition = self.core.partition(stream, partition)?;
        self.core.read(&partition, from, bytes_max, view, Reach::Memory)
    }

    fn ends(&self, stream: &Name, partition: u32) -> Result<Ends, LogError> {
        Ok(self.core.partition(stream, partition)?.ends())
    }

    fn find_time(&self, stream: &Name, partition: u32, time: Micros) -> Result<Option<(Offset, Micros)>, LogError> {
        let partition = self.core.partition(stream, partition)?;
        self.core.find_time(&partition, time)
    }

    fn newest(&self, stream: &Name, partition: u32) -> Result<Option<(Offset, Micros)>, LogError> {
        let partition = self.core.partition(stream, partition)?;
        self.core.newest(&partition)
    }

    fn trim(&self, stream: &Name, partition: u32, offset: Offset) -> BoxFuture<'_, Result<Offset, LogError>> {
        let partition = self.core.partition(stream, partition);
        async move {
            let partition = partition?;
            let trim = || {
                let moved = self.core.move_start(&partition, offset)?;
                // Where it is there already, whoever moved it may still wait for the disk.
                let sequence = moved.map_or_else(|| self.core.wal.pushed(), |(_, sequence)| sequence);
                Ok((partition.ends().start, sequence))
            };
            self.core.once_durable(trim).await
        }
        .boxed()
    }

    fn wake_after(
        &self,
        stream: &Name,
        partition: u32,
        after: Offset,
        view: View,
        waiter: &Arc<Notify>,
    ) -> Result<(), LogError> {
        self.core.check_open()?;
        self.core.partition(stream, partition)?.wake_after(after, view, waiter);
        Ok(())
    }

    fn look(&self, space: &str, key: &[u8], view: View, seen: &mut dyn FnMut(Option<&[u8]>)) {
        match self.space(space) {
            Some(space) => space.look(key, view, seen),
            None => seen(None),
        }
    }

    fn space(&self, name: &str) -> Option<FoundSpace> {
        self.core.state.space(name).map(FoundSpace::new)
    }

    fn foresee(&self, keys: &[(&str, &[u8])]) {
        self.core.state.foresee(keys);
    }

    fn scan(&self, space: &str, prefix: &[u8], after: Option<&[u8]>, count: usize) -> Vec<(Bytes, Bytes)> {
        let Some(space) = self.core.state.space(space) else { return Vec::new() };
        let mut found = std::collections::BTreeMap::new();
        space.for_each_durable(&mut |key, value| {
            if key.starts_with(prefix) && after.is_none_or(|after| key > after) {
                let last = found.last_key_value().map(|(key, _): (&Bytes, &Bytes)| key.clone());
                if found.len() < count || last.as_ref().is_some_and(|last| key < &**last) {
                    found.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                    if found.len() > count {
                        found.pop_last();
                    }
                }
            }
        });
        found.into_iter().collect()
    }

    fn for_each(&self, space: &str, each: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(space) = self.core.state.space(space) {
            space.for_each_durable(each);
        }
    }

    fn for_part(&self, space: &str, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(space) = self.core.state.space(space) {
            space.for_part(part, each);
        }
    }

    fn space_bytes(&self, space: &str) -> u64 {
        self.core.state.space(space).map_or(0, |space| space.size().1)
    }

    fn drop_space(&self, space: &str) -> BoxFuture<'_, Result<(), LogError>> {
        let space = space.to_owned();
        self.core.once_durable(move || Ok(((), self.core.drop_space(&space)?)))
    }

    fn fence(&self, owner: &Name) -> BoxFuture<'_, Result<u64, LogError>> {
        let owner = owner.clone();
        self.core.once_durable(move || self.core.fence(&owner))
    }

    fn producer_id(&self) -> BoxFuture<'_, Result<i64, LogError>> {
        self.core.once_durable(|| self.core.producer_id())
    }

    fn figures(&self) -> Vec<(&'static str, f64)> {
        self.core.figures()
    }
}

#[cfg(test)]
mod tests;
