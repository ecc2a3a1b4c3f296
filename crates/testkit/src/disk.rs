//! A disk that takes POSIX at its word: what was not synced is lost when the power is cut.
//!
//! Each file has the content that programs see and the content that a power cut leaves; `sync` makes them equal. Names
//! of files and folders likewise, by `sync_dir`. What a cut leaves of unsynced writes is drawn from a seed: none, or any
//! subset of them, each whole or in part by sectors, one of them torn, because a real disk writes back in any order at
//! any time. The operation during which the power fails has happened, in part, or not.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use headwater_store::disk::{Disk, DiskFile, failed_sync};
use parking_lot::{Condvar, Mutex};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SECTOR_BYTES: usize = 512;
/// How long a read is held back: whoever holds it may be waiting for the reader's thread.
const HELD_MAX: Duration = Duration::from_secs(10);

/// A disk that loses power. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    tree: Mutex<Tree>,
    /// Grows with each cut; files opened before it are dead.
    life: AtomicU64,
    off: AtomicBool,
    syncs_lie: AtomicBool,
    full: AtomicBool,
    fail_syncs: AtomicBool,
    fail_folder_syncs: AtomicBool,
    refuse_folders: AtomicBool,
    /// How many hold syncs back.
    holds: Mutex<usize>,
    released: Condvar,
    read_holds: Mutex<ReadHolds>,
    reads_released: Condvar,
    /// Operations to go until the power fails; 0: none is planned.
    fuse: AtomicU64,
    ambush: Mutex<Option<Ambush>>,
    /// The power failed by it.
    in_work: AtomicBool,
    /// What the power failed at.
    failed_at: Mutex<Option<PathBuf>>,
    /// Who holds a lock, and since which life.
    locks: Mutex<BTreeMap<PathBuf, u64>>,
}

#[derive(Debug, Default)]
struct ReadHolds {
    /// How many hold reads back.
    holds: usize,
    /// Reads that have come to wait so far.
    reads: u64,
}

/// A cut inside one piece of work, whatever other threads do meanwhile.
#[derive(Debug)]
struct Ambush {
    begins: fn(&Path) -> bool,
    /// Who is at that work.
    thread: Option<ThreadId>,
    /// Operations of that thread to go.
    left: u64,
}

#[derive(Debug, Default)]
struct Tree {
    now: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    durable: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    folders: BTreeSet<PathBuf>,
    durable_folders: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Unsynced changes in their order.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug)]
struct File {
    disk: Arc<Shared>,
    path: PathBuf,
    life: u64,
    content: Arc<Mutex<Content>>,
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(at, written) => {
                let end = at + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                if let Some(into) = bytes.get_mut(*at..end) {
                    into.copy_from_slice(written);
                }
            }
        }
    }

    /// A part of a write: some sectors of the file, the last of them torn; a length change happens or not.
    fn torn(&self, rng: &mut ChaCha8Rng) -> Vec<Self> {
        let Self::Write(at, written) = self else { return Vec::new() };
        let mut parts = Vec::new();
        let mut from = 0;
        while from < written.len() {
            let to = (from + SECTOR_BYTES - (at + from) % SECTOR_BYTES).min(written.len());
            if rng.random_bool(0.5) {
                parts.push((at + from, written.get(from..to).unwrap_or_default().to_vec()));
            }
            from = to;
        }
        if let Some((_, sector)) = parts.last_mut() {
            sector.truncate(rng.random_range(0..=sector.len()));
        }
        parts.into_iter().map(|(at, sector)| Self::Write(at, sector)).collect()
    }
}

impl FaultyDisk {
    /// Makes every sync return without doing anything, which a crash test must notice.
    pub fn lie_about_syncs(&self) {
        self.0.syncs_lie.store(true, Ordering::SeqCst);
    }

    /// Makes the disk refuse to grow files, or lets it again.
    pub fn set_full(&self, full: bool) {
        self.0.full.store(full, Ordering::SeqCst);
    }

    /// Makes every sync fail, or succeed again.
    pub fn fail_syncs(&self, fail: bool) {
        self.0.fail_syncs.store(fail, Ordering::SeqCst);
    }

    /// Makes every sync of a folder fail, or succeed again.
    pub fn fail_folder_syncs(&self, fail: bool) {
        self.0.fail_folder_syncs.store(fail, Ordering::SeqCst);
    }

    /// Makes the disk refuse to open folders for their syncs, or lets it again.
    pub fn refuse_folders(&self, refuse: bool) {
        self.0.refuse_folders.store(refuse, Ordering::SeqCst);
    }

    /// Makes every sync of a file wait, as on a disk that is busy, until the answer is dropped.
    #[must_use]
    pub fn hold_syncs(&self) -> HeldSyncs {
        *self.0.holds.lock() += 1;
        HeldSyncs(self.0.clone())
    }

    /// Reads wait until the answer is dropped, and fail where that takes too long.
    pub fn hold_reads(&self) -> HeldReads {
        self.0.read_holds.lock().holds += 1;
        HeldReads(self.0.clone())
    }

    /// How many reads have been held back so far.
    pub fn reads_held(&self) -> u64 {
        self.0.read_holds.lock().reads
    }

    /// Cuts the power after so many writes, syncs and changes of names.
    pub fn cut_after(&self, operations: u64) {
        self.0.fuse.store(operations.max(1), Ordering::SeqCst);
    }

    /// Cuts the power inside a piece of work: after so many operations of the thread that is the first to touch a path
    /// that `begins` it, that operation included.
    pub fn cut_in_work(&self, begins: fn(&Path) -> bool, operations: u64) {
        *self.0.ambush.lock() = Some(Ambush { begins, thread: None, left: operations.max(1) });
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.0.off.load(Ordering::SeqCst)
    }

    /// Cuts the power now: every operation fails until [`FaultyDisk::power_on`].
    pub fn cut(&self) {
        self.0.off.store(true, Ordering::SeqCst);
    }

    /// What the power failed at, if a planned cut has come.
    pub fn failed_at(&self) -> Option<PathBuf> {
        self.0.failed_at.lock().clone()
    }

    /// Whether it failed inside the work that [`FaultyDisk::cut_in_work`] names.
    pub fn failed_in_work(&self) -> bool {
        self.0.in_work.load(Ordering::SeqCst)
    }

    /// Turns the power on again, with what is left; `seed` draws what that is.
    pub fn power_on(&self, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut tree = self.0.tree.lock();
        let keep = *[0.0, 0.5, 0.9].get(rng.random_range(0..3)).unwrap_or(&0.0);
        let Tree { now, durable, folders, durable_folders } = &mut *tree;
        let mut kept_folders = durable_folders.clone();
        for folder in folders.symmetric_difference(durable_folders) {
            if rng.random_bool(keep) {
                if folders.contains(folder) {
                    kept_folders.insert(folder.clone())
                } else {
                    kept_folders.remove(folder)
                };
            }
        }
        kept_folders = kept_folders.iter().filter(|folder| rooted(folder, &kept_folders)).cloned().collect();
        let mut names = durable.clone();
        let changed: BTreeSet<PathBuf> = now.keys().chain(durable.keys()).cloned().collect();
        for name in changed {
            let (now, before) = (now.get(&name), durable.get(&name));
            let same = matches!((now, before), (Some(now), Some(before)) if Arc::ptr_eq(now, before));
            // A rename is one step for its new name; the old one may linger.
            if !same && rng.random_bool(keep) {
                match now {
                    Some(file) => names.insert(name, file.clone()),
                    None => names.remove(&name),
                };
            }
        }
        names.retain(|name, _| rooted(name, &kept_folders));
        for file in names.values() {
            let mut content = file.lock();
            let mut bytes = std::mem::take(&mut content.durable);
            for change in std::mem::take(&mut content.pending) {
                if rng.random_bool(keep) {
                    change.apply(&mut bytes);
                } else if rng.random_bool(0.3) {
                    change.torn(&mut rng).iter().for_each(|part| part.apply(&mut bytes));
                }
            }
            content.now = bytes.clone();
            content.durable = bytes;
        }
        *tree =
            Tree { now: names.clone(), durable: names, folders: kept_folders.clone(), durable_folders: kept_folders };
        drop(tree);
        self.start();
    }

    /// Turns the power on again with all that was written, as after the end of the process alone.
    pub fn power_on_whole(&self) {
        self.start();
    }

    fn start(&self) {
        self.0.life.fetch_add(1, Ordering::SeqCst);
        self.0.fuse.store(0, Ordering::SeqCst);
        *self.0.failed_at.lock() = None;
        *self.0.ambush.lock() = None;
        self.0.in_work.store(false, Ordering::SeqCst);
        self.0.off.store(false, Ordering::SeqCst);
    }

    /// The files that are there, with their content.
    pub fn image(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.0.tree.lock().now.iter().map(|(name, file)| (name.clone(), file.lock().now.clone())).collect()
    }
}

/// Whether all folders above are there.
fn rooted(path: &Path, folders: &BTreeSet<PathBuf>) -> bool {
    path.ancestors().skip(1).all(|above| above == Path::new("/") || folders.contains(above))
}

/// Syncs are held back while it lives.
#[derive(Debug)]
pub struct HeldSyncs(Arc<Shared>);

impl Drop for HeldSyncs {
    fn drop(&mut self) {
        *self.0.holds.lock() -= 1;
        self.0.released.notify_all();
    }
}

/// Reads are held back while it lives.
#[derive(Debug)]
pub struct HeldReads(Arc<Shared>);

impl Drop for HeldReads {
    fn drop(&mut self) {
        self.0.read_holds.lock().holds -= 1;
        self.0.reads_released.notify_all();
    }
}

/// An operation that has begun; the power may fail during it.
#[must_use]
struct Step {
    last: bool,
}

impl Step {
    fn end(self) -> io::Result<()> {
        if self.last { Err(io::Error::other("the power fails")) } else { Ok(()) }
    }
}

impl Shared {
    /// Begins an operation that changes something.
    fn step(&self, path: &Path) -> io::Result<Step> {
        self.check()?;
        let left = self.fuse.load(Ordering::SeqCst);
        let last = left > 0 && self.fuse.fetch_sub(1, Ordering::SeqCst) == 1 || self.ambushed(path);
        if last {
            *self.failed_at.lock() = Some(path.to_owned());
            self.off.store(true, Ordering::SeqCst);
        } else {
            self.check()?;
        }
        Ok(Step { last })
    }

    /// Whether this operation is the one that a cut inside a piece of work was planned for.
    fn ambushed(&self, path: &Path) -> bool {
        let mut ambush = self.ambush.lock();
        let Some(planned) = ambush.as_mut() else { return false };
        let me = std::thread::current().id();
        if planned.thread.is_none() && (planned.begins)(path) {
            planned.thread = Some(me);
        }
        if planned.thread != Some(me) {
            return false;
        }
        planned.left -= 1;
        if planned.left > 0 {
            return false;
        }
        *ambush = None;
        self.in_work.store(true, Ordering::SeqCst);
        true
    }

    fn check(&self) -> io::Result<()> {
        if self.off.load(Ordering::SeqCst) { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        self.0.check()?;
        let mut tree = self.0.tree.lock();
        let content = match tree.now.get(path) {
            Some(content) => content.clone(),
            None if create && path.parent().is_some_and(|parent| tree.folders.contains(parent)) => {
                let content = Arc::new(Mutex::new(Content::default()));
                tree.now.insert(path.to_owned(), content.clone());
                content
            }
            None => return Err(not_found(path)),
        };
        Ok(Arc::new(File {
            disk: self.0.clone(),
            path: path.to_owned(),
            life: self.0.life.load(Ordering::SeqCst),
            content,
        }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let step = self.0.step(path)?;
        self.0.tree.lock().now.remove(path).map(|_| ()).ok_or_else(|| not_found(path))?;
        step.end()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let step = self.0.step(from)?;
        let mut tree = self.0.tree.lock();
        let file = tree.now.remove(from).ok_or_else(|| not_found(from))?;
        tree.now.insert(to.to_owned(), file);
        step.end()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.0.tree.lock();
        if tree.folders.contains(path) {
            return self.0.check();
        }
        let step = self.0.step(path)?;
        tree.folders.extend(path.ancestors().filter(|one| *one != Path::new("/")).map(Path::to_owned));
        step.end()
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let step = self.0.step(path)?;
        let mut tree = self.0.tree.lock();
        tree.now.retain(|name, _| !name.starts_with(path));
        tree.folders.retain(|name| !name.starts_with(path));
        step.end()
    }

    fn files(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.check()?;
        let tree = self.0.tree.lock();
        let names = tree.now.keys().filter(|name| name.parent() == Some(path));
        Ok(names.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned())).collect())
    }

    fn folders(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.check()?;
        let tree = self.0.tree.lock();
        let names = tree.folders.iter().filter(|name| name.parent() == Some(path));
        Ok(names.filter_map(|name| Some(name.file_name()?.to_str()?.to_owned())).collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if self.0.refuse_folders.load(Ordering::SeqCst) {
            return Err(io::Error::other("too many open files"));
        }
        let step = self.0.step(path)?;
        if self.0.fail_syncs.load(Ordering::SeqCst) || self.0.fail_folder_syncs.load(Ordering::SeqCst) {
            return Err(failed_sync(io::Error::other("the disk cannot write")));
        }
        let mut tree = self.0.tree.lock();
        if path.parent().is_some_and(|above| above != Path::new("")) && !tree.folders.contains(path) {
            return Err(not_found(path));
        }
        if step.last || self.0.syncs_lie.load(Ordering::SeqCst) {
            return step.end();
        }
        let Tree { now, durable, folders, durable_folders } = &mut *tree;
        let inside = |name: &Path| name.parent() == Some(path);
        durable.retain(|name, _| !inside(name) || now.contains_key(name));
        durable.extend(now.iter().filter(|(name, _)| inside(name)).map(|(name, file)| (name.clone(), file.clone())));
        let removed: Vec<PathBuf> = durable_folders.difference(folders).filter(|name| inside(name)).cloned().collect();
        for folder in removed {
            durable_folders.retain(|name| !name.starts_with(&folder));
            durable.retain(|name, _| !name.starts_with(&folder));
        }
        durable_folders.extend(folders.iter().filter(|name| inside(name)).cloned());
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.0.check()?;
        let life = self.0.life.load(Ordering::SeqCst);
        let mut locks = self.0.locks.lock();
        if locks.get(path) == Some(&life) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        locks.insert(path.to_owned(), life);
        Ok(Box::new(Lock { disk: self.0.clone(), path: path.to_owned(), life }))
    }
}

/// Ends with the process that took it, and so with its life.
struct Lock {
    disk: Arc<Shared>,
    path: PathBuf,
    life: u64,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut locks = self.disk.locks.lock();
        if locks.get(&self.path) == Some(&self.life) {
            locks.remove(&self.path);
        }
    }
}

impl File {
    fn alive(&self) -> io::Result<()> {
        if self.life == self.disk.life.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(io::Error::other("the power was off"))
        }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let step = self.disk.step(&self.path)?;
        let mut content = self.content.lock();
        self.alive()?;
        let length = match &change {
            Change::Length(length) => *length,
            Change::Write(at, bytes) => at + bytes.len(),
        };
        if length > content.now.len() && self.disk.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        change.apply(&mut content.now);
        content.pending.push(change);
        step.end()
    }
}

impl DiskFile for File {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut held = self.disk.read_holds.lock();
        if held.holds > 0 {
            held.reads += 1;
        }
        while held.holds > 0 {
            if self.disk.reads_released.wait_for(&mut held, HELD_MAX).timed_out() {
                return Err(io::Error::other("a read was held back for too long"));
            }
        }
        drop(held);
        self.disk.check()?;
        let content = self.content.lock();
        self.alive()?;
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(content.now.len());
        let count = into.len().min(content.now.len() - from);
        if let (Some(into), Some(bytes)) = (into.get_mut(..count), content.now.get(from..from + count)) {
            into.copy_from_slice(bytes);
        }
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.change(Change::Write(usize::try_from(at).map_err(io::Error::other)?, bytes.to_vec()))
    }

    fn sync(&self) -> io::Result<()> {
        let mut holds = self.disk.holds.lock();
        while *holds > 0 {
            self.disk.released.wait(&mut holds);
        }
        drop(holds);
        let step = self.disk.step(&self.path)?;
        if self.disk.fail_syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk cannot write"));
        }
        let mut content = self.content.lock();
        self.alive()?;
        if !step.last && !self.disk.syncs_lie.load(Ordering::SeqCst) {
            let pending = std::mem::take(&mut content.pending);
            pending.iter().for_each(|change| change.apply(&mut content.durable));
        }
        step.end()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        let length = self.content.lock().now.len();
        if bytes > length { self.change(Change::Length(bytes)) } else { Ok(()) }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.change(Change::Length(usize::try_from(bytes).map_err(io::Error::other)?))
    }

    fn len(&self) -> io::Result<u64> {
        self.disk.check()?;
        Ok(self.content.lock().now.len() as u64)
    }
}
