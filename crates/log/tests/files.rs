//! What the log asks of the system for its files: few open ones, however many partitions there are, and memory for what
//! is new in them.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as expected")]

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_base::{Limits, ManualClock, Name};
use headwater_log::embedded::Options;
use headwater_log::{Append, Commit, EmbeddedLog, Log};
use headwater_store::disk::{Disk, DiskFile, MemoryDisk};
use headwater_testkit::conformance::{batch, config};
use headwater_wire::batch::{Builder, Compression};
use parking_lot::Mutex;

/// A disk that counts its open files, and knows what of each may be forgotten.
#[derive(Clone, Debug, Default)]
struct Counted {
    disk: MemoryDisk,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    ends: Arc<Mutex<HashMap<PathBuf, Ends>>>,
}

/// How far a file has been synced, and forgotten.
#[derive(Debug, Default)]
struct Ends {
    synced: u64,
    forgotten: u64,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    open: Arc<AtomicUsize>,
    ends: Arc<Mutex<HashMap<PathBuf, Ends>>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Disk for Counted {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(path, create)?;
        let now = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Ok(Arc::new(Open { path: path.into(), file, open: self.open.clone(), ends: self.ends.clone() }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn files(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.files(path)
    }

    fn folders(&self, path: &Path) -> io::Result<Vec<String>> {
        self.disk.folders(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }
}

impl DiskFile for Open {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()?;
        self.ends.lock().entry(self.path.clone()).or_default().synced = self.file.len()?;
        Ok(())
    }

    fn forget(&self, end: u64) {
        let mut ends = self.ends.lock();
        let ends = ends.entry(self.path.clone()).or_default();
        assert!(end <= ends.synced, "{}: {end} of {} synced bytes", self.path.display(), ends.synced);
        ends.forgotten = ends.forgotten.max(end);
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

#[test]
fn more_partitions_than_a_process_may_have_files_are_filed() {
    const PARTITIONS: u32 = 1_500;
    let disk = Counted::default();
    let options = Options { wal_segment_bytes: 4 << 20, maintain_ms: None, ..Options::default() };
    let clock = Arc::new(ManualClock::default());
    let log = EmbeddedLog::open_with(Arc::new(disk.clone()), "/data", Arc::new(Limits::default()), clock, options);
    let log = log.unwrap();
    let stream = Name::new("s").unwrap();
    let block_on = tokio::runtime::Builder::new_current_thread().build().unwrap();
    block_on.block_on(log.create(stream.clone(), config(PARTITIONS), Vec::new())).unwrap();
    let append = |partition| Append { stream: stream.clone(), partition, batches: batch(1) };
    let mut commit = Commit { appends: (0..PARTITIONS).map(append).collect(), ..Commit::default() };
    block_on.block_on(log.durable(log.append(&mut commit).unwrap().sequence)).unwrap();
    log.maintain_now().unwrap();
    let most = disk.most.load(Ordering::SeqCst);
    assert!(most < 600, "{most} files were open at once");
    assert_eq!(log.ends(&stream, PARTITIONS - 1).unwrap().durable, 1);
}

#[test]
fn what_is_older_than_the_newest_of_all_segments_is_left_to_the_disk() {
    const VALUE: usize = 64 << 10;
    const LEFT: u64 = 1 << 20;
    let disk = Counted::default();
    let options = Options { wal_segment_bytes: 4 << 20, maintain_ms: None, ..Options::default() };
    let limits = Arc::new(Limits { segment_cache_bytes: LEFT, ..Limits::default() });
    let log =
        EmbeddedLog::open_with(Arc::new(disk.clone()), "/data", limits, Arc::new(ManualClock::default()), options);
    let log = log.unwrap();
    let stream = Name::new("s").unwrap();
    let block_on = tokio::runtime::Builder::new_current_thread().build().unwrap();
    block_on.block_on(log.create(stream.clone(), config(2), Vec::new())).unwrap();
    for number in 0..64 {
        let mut builder = Builder::new(Compression::None);
        builder.push(0, None, Some(&[b'x'; VALUE]), &[]);
        let append = Append { stream: stream.clone(), partition: number % 2, batches: builder.finish() };
        let mut commit = Commit { appends: vec![append], ..Commit::default() };
        block_on.block_on(log.durable(log.append(&mut commit).unwrap().sequence)).unwrap();
        log.maintain_now().unwrap();
    }
    let segments = disk.ends.lock();
    let segments: Vec<&Ends> = segments
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|name| name == "log"))
        .map(|(_, ends)| ends)
        .collect();
    let left: u64 = segments.iter().map(|ends| ends.synced - ends.forgotten).sum();
    let written: u64 = segments.iter().map(|ends| ends.synced).sum();
    assert!(written > 64 * VALUE as u64, "{written} bytes");
    assert!((LEFT / 2..=LEFT).contains(&left), "{left} of {written} bytes are left to memory");
}
