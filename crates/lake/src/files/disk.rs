//! Files on the disk port: synced with their names when they are closed.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use headwater_store::disk::{Disk, DiskFile, read_exact_at};
use iceberg::Result;
use iceberg::io::{FileRead, FileWrite};

use super::{Place, failed, path_of};

/// The disk.
pub(super) struct OnDisk(pub(super) Arc<dyn Disk>);

impl OnDisk {
    /// Makes the folders of a table, durably.
    pub(super) fn create_folders(&self, location: &str, below: &Path) -> io::Result<()> {
        let folder = path_of(location);
        for name in ["data", "metadata"] {
            self.0.create_dir(&folder.join(name))?;
        }
        let mut at = Some(folder.as_path());
        while let Some(folder) = at.filter(|folder| folder.starts_with(below)) {
            self.0.sync_dir(folder)?;
            at = folder.parent();
        }
        Ok(())
    }

    /// Removes a file; it may be gone already.
    pub(super) fn remove(&self, location: &str) -> io::Result<()> {
        match self.0.remove(&path_of(location)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes a folder with all that is in it, for good: it does not come back when the power goes.
    pub(super) fn remove_folder(&self, location: &str) -> io::Result<()> {
        let folder = path_of(location);
        self.0.remove_dir(&folder)?;
        match folder.parent().map_or(Ok(()), |parent| self.0.sync_dir(parent)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn open(&self, location: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(&path_of(location), false)
    }

    fn create(&self, location: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.0.open(&path_of(location), true)?;
        file.set_len(0)?;
        Ok(file)
    }
}

#[async_trait]
impl Place for OnDisk {
    async fn size(&self, location: &str) -> io::Result<u64> {
        self.open(location)?.len()
    }

    async fn read(&self, location: &str) -> io::Result<Bytes> {
        let file = self.open(location)?;
        let length = file.len()?;
        read_exact_at(&*file, 0, usize::try_from(length).unwrap_or(usize::MAX)).map(Bytes::from)
    }

    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        let file = self.create(location)?;
        let written = file.write_at(&bytes, 0).and_then(|()| close(&*self.0, &*file, &path_of(location)));
        written.inspect_err(|_| drop_part(&*self.0, &path_of(location)))
    }

    async fn reader(&self, location: &str) -> io::Result<Box<dyn FileRead>> {
        Ok(Box::new(Reader { file: self.open(location)?, path: location.to_owned() }))
    }

    async fn writer(&self, location: &str) -> io::Result<Box<dyn FileWrite>> {
        let file = self.create(location)?;
        Ok(Box::new(Writer { disk: Arc::clone(&self.0), file, path: location.to_owned(), at: 0 }))
    }

    async fn list(&self, location: &str) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for folder in ["data", "metadata"] {
            let names = self.0.files(&path_of(location).join(folder))?;
            found.extend(names.into_iter().map(|name| format!("{location}/{folder}/{name}")));
        }
        Ok(found)
    }

    async fn remove(&self, location: &str) -> io::Result<()> {
        Self::remove(self, location)
    }

    async fn remove_folder(&self, location: &str) -> io::Result<()> {
        Self::remove_folder(self, location)
    }
}

fn close(disk: &dyn Disk, file: &dyn DiskFile, path: &Path) -> io::Result<()> {
    file.sync()?;
    path.parent().map_or(Ok(()), |folder| disk.sync_dir(folder))
}

/// Removes what was written of a file. On a full disk it takes the space that others wait for; elsewhere it would be an
/// orphan, which goes when its table is tidied up.
fn drop_part(disk: &dyn Disk, path: &Path) {
    if let Err(error) = disk.remove(path) {
        tracing::warn!(path = %path.display(), %error, "a part of a file was not removed");
    }
}

struct Reader {
    file: Arc<dyn DiskFile>,
    path: String,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let count = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let bytes = read_exact_at(&*self.file, range.start, count).map_err(|error| failed(&self.path, error))?;
        Ok(Bytes::from(bytes))
    }
}

struct Writer {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
    path: String,
    at: u64,
}

#[async_trait]
impl FileWrite for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.file.write_at(&bytes, self.at).map_err(|error| self.given_up(error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        close(&*self.disk, &*self.file, &path_of(&self.path)).map_err(|error| self.given_up(error))
    }
}

impl Writer {
    fn given_up(&self, error: io::Error) -> iceberg::Error {
        drop_part(&*self.disk, &path_of(&self.path));
        failed(&self.path, error)
    }
}
