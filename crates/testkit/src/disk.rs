//! A disk that takes POSIX at its word: what was not synced is lost when the power is cut.
//!
//! Each file has the content that programs see and the content that a power cut leaves; `sync` makes them equal. Names
//! likewise, by `sync_dir`. What a cut leaves of unsynced writes is drawn from a seed: none, or any subset of them,
//! each whole or in part by sectors, because a real disk writes back in any order at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use headwater_store::disk::{Disk, DiskFile};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SECTOR_BYTES: usize = 512;

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
    /// Operations to go until the power fails; 0: none is planned.
    fuse: AtomicU64,
}

#[derive(Debug, Default)]
struct Tree {
    now: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    durable: BTreeMap<PathBuf, Arc<Mutex<Content>>>,
    folders: BTreeSet<PathBuf>,
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

    /// A part of a write, in whole sectors of the file; a length change happens or not.
    fn torn(&self, rng: &mut ChaCha8Rng) -> Vec<Self> {
        let Self::Write(at, written) = self else { return Vec::new() };
        let mut parts = Vec::new();
        let mut from = 0;
        while from < written.len() {
            let to = (from + SECTOR_BYTES - (at + from) % SECTOR_BYTES).min(written.len());
            if rng.random_bool(0.5) {
                parts.push(Self::Write(at + from, written.get(from..to).unwrap_or_default().to_vec()));
            }
            from = to;
        }
        parts
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

    /// Cuts the power after so many writes, syncs and changes of names.
    pub fn cut_after(&self, operations: u64) {
        self.0.fuse.store(operations.max(1), Ordering::SeqCst);
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.0.off.load(Ordering::SeqCst)
    }

    /// Cuts the power now: every operation fails until [`FaultyDisk::power_on`].
    pub fn cut(&self) {
        self.0.off.store(true, Ordering::SeqCst);
    }

    /// Turns the power on again, with what is left; `seed` draws what that is.
    pub fn power_on(&self, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut tree = self.0.tree.lock();
        self.0.life.fetch_add(1, Ordering::SeqCst);
        self.0.fuse.store(0, Ordering::SeqCst);
        let keep = *[0.0, 0.5, 0.9].get(rng.random_range(0..3)).unwrap_or(&0.0);
        let mut names = tree.durable.clone();
        let changed: BTreeSet<PathBuf> = tree.now.keys().chain(tree.durable.keys()).cloned().collect();
        for name in changed {
            let (now, before) = (tree.now.get(&name), tree.durable.get(&name));
            let same = matches!((now, before), (Some(now), Some(before)) if Arc::ptr_eq(now, before));
            // A rename is one step for its new name; the old one may linger.
            if !same && rng.random_bool(keep) {
                match now {
                    Some(file) => names.insert(name, file.clone()),
                    None => names.remove(&name),
                };
            }
        }
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
        tree.now = names.clone();
        tree.durable = names;
        drop(tree);
        self.0.off.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    /// One operation that changes something.
    fn step(&self) -> io::Result<()> {
        self.check()?;
        let left = self.fuse.load(Ordering::SeqCst);
        if left > 0 && self.fuse.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.off.store(true, Ordering::SeqCst);
        }
        self.check()
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
        Ok(Arc::new(File { disk: self.0.clone(), life: self.0.life.load(Ordering::SeqCst), content }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.step()?;
        self.0.tree.lock().now.remove(path).map(|_| ()).ok_or_else(|| not_found(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.step()?;
        let mut tree = self.0.tree.lock();
        let file = tree.now.remove(from).ok_or_else(|| not_found(from))?;
        tree.now.insert(to.to_owned(), file);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.check()?;
        self.0.tree.lock().folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.step()?;
        self.0.tree.lock().now.retain(|name, _| !name.starts_with(path));
        Ok(())
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
        self.0.step()?;
        if self.0.syncs_lie.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut tree = self.0.tree.lock();
        let Tree { now, durable, .. } = &mut *tree;
        durable.retain(|name, _| name.parent() != Some(path) || now.contains_key(name));
        for (name, file) in now.iter().filter(|(name, _)| name.parent() == Some(path)) {
            durable.insert(name.clone(), file.clone());
        }
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.0.check()?;
        Ok(Box::new(()))
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
        self.disk.step()?;
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
        Ok(())
    }
}

impl DiskFile for File {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
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
        self.disk.step()?;
        if self.disk.fail_syncs.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk cannot write"));
        }
        let mut content = self.content.lock();
        self.alive()?;
        if !self.disk.syncs_lie.load(Ordering::SeqCst) {
            let pending = std::mem::take(&mut content.pending);
            pending.iter().for_each(|change| change.apply(&mut content.durable));
        }
        Ok(())
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
