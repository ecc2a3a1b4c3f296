//! A disk in memory: for runs that shall leave nothing behind, and for tests that need no power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::{Disk, DiskFile};

/// A disk in memory; clones share their files.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Tree>>);

#[derive(Debug, Default)]
struct Tree {
    files: BTreeMap<PathBuf, Arc<MemoryFile>>,
    folders: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct MemoryFile(RwLock<Vec<u8>>);

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut tree = self.0.lock();
        if let Some(file) = tree.files.get(path) {
            return Ok(file.clone());
        }
        if !create || !path.parent().is_none_or(|parent| tree.folders.contains(parent)) {
            return Err(io::Error::new(io::ErrorKind::NotFound, path.display().to_string()));
        }
        let file = Arc::new(MemoryFile::default());
        tree.files.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let gone = self.0.lock().files.remove(path);
        gone.map(|_| ()).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, path.display().to_string()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.0.lock();
        let Some(file) = tree.files.remove(from) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, from.display().to_string()));
        };
        tree.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.0.lock();
        tree.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.0.lock();
        tree.files.retain(|name, _| !name.starts_with(path));
        tree.folders.retain(|name| !name.starts_with(path));
        Ok(())
    }

    fn files(&self, path: &Path) -> io::Result<Vec<String>> {
        let tree = self.0.lock();
        Ok(tree.files.keys().filter(|name| name.parent() == Some(path)).filter_map(|name| last(name)).collect())
    }

    fn folders(&self, path: &Path) -> io::Result<Vec<String>> {
        let tree = self.0.lock();
        Ok(tree.folders.iter().filter(|name| name.parent() == Some(path)).filter_map(|name| last(name)).collect())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}

fn last(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.to_owned())
}

impl DiskFile for MemoryFile {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let bytes = self.0.read();
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let count = into.len().min(bytes.len() - from);
        if let (Some(into), Some(bytes)) = (into.get_mut(..count), bytes.get(from..from + count)) {
            into.copy_from_slice(bytes);
        }
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut content = self.0.write();
        let from = usize::try_from(at).map_err(io::Error::other)?;
        let to = from + bytes.len();
        if content.len() < to {
            content.resize(to, 0);
        }
        if let Some(into) = content.get_mut(from..to) {
            into.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut content = self.0.write();
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        if content.len() < bytes {
            content.resize(bytes, 0);
        }
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.write().resize(usize::try_from(bytes).map_err(io::Error::other)?, 0);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.read().len() as u64)
    }
}
