//! Files of tables: `iceberg`'s storage over the disk port, durable as soon as a file is closed.
//!
//! A table's pointer goes through the write-ahead log, and whatever it leads to must be on the disk before it: so every
//! file and its name are synced when it is closed, and none is ever written again. Another storage (an object store)
//! is another implementation of `iceberg::io::Storage`.
//!
//! `iceberg` wants to be able to write a storage down and read it back, which nothing here does; a storage read back
//! has no disk and says so.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use headwater_store::disk::{Disk, DiskFile, read_exact_at};
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig,
    StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// The files of all tables of a node.
#[derive(Clone, Debug)]
pub struct Files {
    disk: Arc<dyn Disk>,
    io: FileIO,
}

impl Files {
    /// Files on a disk.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        let storage = DiskStorage { disk: Some(Arc::clone(&disk)) };
        Self { disk, io: FileIOBuilder::new(Arc::new(storage)).build() }
    }

    /// As `iceberg` uses them.
    pub const fn io(&self) -> &FileIO {
        &self.io
    }

    /// Makes the folders of a table, durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create_folders(&self, location: &str, below: &Path) -> io::Result<()> {
        let folder = path_of(location);
        for name in ["data", "metadata"] {
            self.disk.create_dir(&folder.join(name))?;
        }
        let mut at = Some(folder.as_path());
        while let Some(folder) = at.filter(|folder| folder.starts_with(below)) {
            self.disk.sync_dir(folder)?;
            at = folder.parent();
        }
        Ok(())
    }

    /// Writes a whole new file, durably.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&self, location: &str, bytes: &[u8]) -> io::Result<()> {
        let path = path_of(location);
        let file = self.disk.open(&path, true)?;
        file.set_len(0)?;
        file.write_at(bytes, 0)?;
        close(&*self.disk, &*file, &path)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(&self, location: &str) -> io::Result<Vec<u8>> {
        let file = self.disk.open(&path_of(location), false)?;
        let length = file.len()?;
        read_exact_at(&*file, 0, usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The locations of all files of a table.
    ///
    /// # Errors
    /// What the disk says.
    pub fn list(&self, location: &str) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for folder in ["data", "metadata"] {
            let names = self.disk.files(&path_of(location).join(folder))?;
            found.extend(names.into_iter().map(|name| format!("{location}/{folder}/{name}")));
        }
        Ok(found)
    }

    /// Removes a file; it may be gone already.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove(&self, location: &str) -> io::Result<()> {
        match self.disk.remove(&path_of(location)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes a table's folder with all that is in it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove_folder(&self, location: &str) -> io::Result<()> {
        self.disk.remove_dir(&path_of(location))
    }
}

/// The location of a path: Iceberg names files by URI.
pub fn location_of(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The path of a location.
pub fn path_of(location: &str) -> PathBuf {
    PathBuf::from(location.strip_prefix("file://").unwrap_or(location))
}

fn close(disk: &dyn Disk, file: &dyn DiskFile, path: &Path) -> io::Result<()> {
    file.sync()?;
    path.parent().map_or(Ok(()), |folder| disk.sync_dir(folder))
}

/// The disk as a storage of `iceberg`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct DiskStorage {
    #[serde(skip)]
    disk: Option<Arc<dyn Disk>>,
}

fn failed(path: &str, error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::NotFound { ErrorKind::DataInvalid } else { ErrorKind::Unexpected };
    Error::new(kind, format!("`{path}`: {error}")).with_source(error)
}

impl DiskStorage {
    fn disk(&self) -> Result<&Arc<dyn Disk>> {
        self.disk.as_ref().ok_or_else(|| Error::new(ErrorKind::Unexpected, "a storage read back has no disk"))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        self.disk()?.open(&path_of(path), false).map_err(|error| failed(path, error))
    }
}

#[typetag::serde(name = "headwater")]
impl StorageFactory for DiskStorage {
    fn build(&self, _: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
#[typetag::serde(name = "headwater")]
impl Storage for DiskStorage {
    async fn exists(&self, path: &str) -> Result<bool> {
        match self.disk()?.open(&path_of(path), false) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(path, error)),
        }
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        let size = self.open(path)?.len().map_err(|error| failed(path, error))?;
        Ok(FileMetadata { size })
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        let file = self.open(path)?;
        let read = || read_exact_at(&*file, 0, usize::try_from(file.len()?).unwrap_or(usize::MAX));
        read().map(Bytes::from).map_err(|error| failed(path, error))
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        Ok(Box::new(Reader { file: self.open(path)?, path: path.to_owned() }))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        let mut writer = self.writer(path).await?;
        writer.write(bytes).await?;
        writer.close().await
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        let disk = Arc::clone(self.disk()?);
        let open = || {
            let file = disk.open(&path_of(path), true)?;
            file.set_len(0)?;
            Ok(file)
        };
        let file = open().map_err(|error| failed(path, error))?;
        Ok(Box::new(Writer { disk, file, path: path.to_owned(), at: 0 }))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        match self.disk()?.remove(&path_of(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
            _ => Ok(()),
        }
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        self.disk()?.remove_dir(&path_of(path)).map_err(|error| failed(path, error))
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
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
        self.file.write_at(&bytes, self.at).map_err(|error| failed(&self.path, error))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        close(&*self.disk, &*self.file, &path_of(&self.path)).map_err(|error| failed(&self.path, error))
    }
}
