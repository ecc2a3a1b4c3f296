//! Files of tables, wherever they lie: on the disk (`file://`) or in a bucket (`s3://`). The scheme of a location says
//! which, and nobody above this module has to know.
//!
//! A table's pointer goes through the write-ahead log, and whatever it leads to must be there for good before it: so a
//! file is durable when it is closed (synced with its name, or its bucket has said that it has it), and none is ever
//! written again.
//!
//! Files of a bucket may be waited for on any thread, whether a runtime is there or not; those of the disk are read and
//! written at once.
//!
//! `iceberg` wants to be able to write a storage down and read it back, which nothing here does; a storage read back
//! has neither disk nor buckets and says so.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use headwater_store::disk::Disk;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig,
    StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

mod bucket;
mod buckets;
mod disk;
mod hushed;
mod s3;

pub use bucket::{Bucket, Unanswered};
pub use buckets::{Buckets, List, Open};
use disk::OnDisk;

/// The files of all tables of a node.
#[derive(Clone, Debug)]
pub struct Files {
    places: Places,
    io: FileIO,
}

impl Files {
    /// Files on a disk.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self::with_buckets(disk, Buckets::none())
    }

    /// Files on a disk, and in buckets.
    pub fn with_buckets(disk: Arc<dyn Disk>, buckets: Buckets) -> Self {
        let places = Places { disk: Some(disk), buckets };
        Self { io: FileIOBuilder::new(Arc::new(places.clone())).build(), places }
    }

    /// As `iceberg` uses them.
    pub const fn io(&self) -> &FileIO {
        &self.io
    }

    /// The buckets.
    pub const fn buckets(&self) -> &Buckets {
        &self.places.buckets
    }

    /// Makes the folders of a table, durably. A bucket has none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create_folders(&self, location: &str, below: &Path) -> io::Result<()> {
        if is_in_bucket(location) { Ok(()) } else { self.places.disk()?.create_folders(location, below) }
    }

    /// Writes a whole new file, durably.
    ///
    /// # Errors
    /// What the disk or the bucket says.
    pub async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        self.places.of(location)?.write(location, bytes).await
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// What the disk or the bucket says.
    pub async fn read(&self, location: &str) -> io::Result<Bytes> {
        self.places.of(location)?.read(location).await
    }

    /// The locations of all files of a table.
    ///
    /// # Errors
    /// What the disk or the bucket says.
    pub async fn list(&self, location: &str) -> io::Result<Vec<String>> {
        self.places.of(location)?.list(location).await
    }

    /// Removes files that nobody needs, which may be gone already: at once from the disk, behind the caller's back from
    /// a bucket. What cannot be removed is told in the node's log, and goes when its table is tidied up.
    pub fn discard(&self, locations: Vec<String>) {
        let (mut far, near): (Vec<String>, Vec<String>) = locations.into_iter().partition(|it| is_in_bucket(it));
        for location in near {
            let removed = self.places.disk().and_then(|disk| disk.remove(&location));
            if let Err(error) = removed {
                tracing::warn!(location, %error, "a file that no snapshot needs was not removed");
            }
        }
        while let Some(first) = far.first() {
            let (count, found) = (far.len(), self.places.buckets.of(first));
            let here: Vec<String> = match &found {
                Ok(bucket) => far.extract_if(.., |it| bucket.has(it)).collect(),
                Err(_) => std::mem::take(&mut far),
            };
            match found {
                Ok(bucket) => bucket.discard(here),
                Err(error) => tracing::warn!(files = count, %error, "files that no snapshot needs were not removed"),
            }
        }
    }

    /// Removes the folder of a table or view that is gone, with all that is in it: at once from the disk, behind the
    /// caller's back from a bucket. What cannot be removed is told in the node's log. `done` follows in any case, and is
    /// told whether it is gone.
    pub fn discard_folder(&self, location: String, done: impl FnOnce(bool) + Send + 'static) {
        let removed = if is_in_bucket(&location) {
            match self.places.buckets.of(&location) {
                Ok(bucket) => return bucket.discard_folder(location, done),
                Err(error) => Err(error),
            }
        } else {
            self.places.disk().and_then(|disk| disk.remove_folder(&location))
        };
        if let Err(error) = &removed {
            tracing::warn!(location, %error, "the files of a table that was dropped were not removed");
        }
        done(removed.is_ok());
    }

    /// Where a query engine finds the files of a location: the URL of an object store, and the store itself; None for
    /// the disk, which engines know by themselves.
    ///
    /// # Errors
    /// When there is no such bucket.
    pub fn store(&self, location: &str) -> io::Result<Option<(String, Arc<dyn ObjectStore>)>> {
        if !is_in_bucket(location) {
            return Ok(None);
        }
        let bucket = self.places.buckets.of(location)?;
        Ok(Some((format!("bucket://{}", bucket.name), Arc::clone(&bucket.store))))
    }

    /// What readers outside have to know to open files of a location, in the words of Iceberg's REST catalog. Keys they
    /// bring themselves.
    pub fn reader_settings(&self, location: &str) -> BTreeMap<String, String> {
        if !is_in_bucket(location) {
            return BTreeMap::new();
        }
        self.places.buckets.of(location).map(|bucket| bucket.settings.clone()).unwrap_or_default()
    }
}

/// The location of a path: Iceberg names files by URI.
pub fn location_of(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The path of a location.
pub fn path_of(location: &str) -> PathBuf {
    PathBuf::from(on_disk(location).unwrap_or(location))
}

/// The path from the root that a location of the disk stands for. Whoever goes through Hadoop, as Spark does, writes
/// `file:/a` for `file:///a`.
fn on_disk(location: &str) -> Option<&str> {
    let path = location.strip_prefix("file://").or_else(|| location.strip_prefix("file:"));
    path.filter(|path| path.starts_with('/'))
}

/// What a file is called within its store: a bucket's key, or its path from the root.
pub fn key_of(location: &str) -> &str {
    match location.strip_prefix(BUCKET).and_then(|rest| rest.split_once('/')) {
        Some((_, key)) => key,
        None => on_disk(location).unwrap_or(location).trim_start_matches('/'),
    }
}

/// Whether a location is in a folder, or in one below it.
pub fn is_in_folder(location: &str, folder: &str) -> bool {
    let within = match (on_disk(location), on_disk(folder)) {
        (Some(path), Some(folder)) => path.strip_prefix(folder),
        (None, None) => location.strip_prefix(folder),
        _ => None,
    };
    within.is_some_and(|rest| rest.starts_with('/')) && !location.contains("/..")
}

/// Whether one of two places is the other, or is in it.
pub fn overlap(one: &str, other: &str) -> bool {
    let is_within =
        |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_within(one, other) || is_within(other, one)
}

/// How locations in buckets begin.
const BUCKET: &str = "s3://";

fn is_in_bucket(location: &str) -> bool {
    location.starts_with(BUCKET)
}

/// What files lie on: as many tables as there are share it, each in a folder of its own.
#[async_trait]
trait Place: Send + Sync {
    async fn size(&self, location: &str) -> io::Result<u64>;

    async fn read(&self, location: &str) -> io::Result<Bytes>;

    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()>;

    async fn reader(&self, location: &str) -> io::Result<Box<dyn FileRead>>;

    async fn writer(&self, location: &str) -> io::Result<Box<dyn FileWrite>>;

    async fn list(&self, location: &str) -> io::Result<Vec<String>>;

    /// The file may be gone already.
    async fn remove(&self, location: &str) -> io::Result<()>;

    async fn remove_folder(&self, location: &str) -> io::Result<()>;
}

/// Disk and buckets, as a storage of `iceberg`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Places {
    #[serde(skip)]
    disk: Option<Arc<dyn Disk>>,
    #[serde(skip)]
    buckets: Buckets,
}

impl Places {
    fn disk(&self) -> io::Result<OnDisk> {
        let disk = self.disk.clone().ok_or_else(|| io::Error::other("a storage read back has no disk"))?;
        Ok(OnDisk(disk))
    }

    fn of(&self, location: &str) -> io::Result<Box<dyn Place>> {
        if is_in_bucket(location) { Ok(Box::new(self.buckets.of(location)?)) } else { Ok(Box::new(self.disk()?)) }
    }

    fn place(&self, path: &str) -> Result<Box<dyn Place>> {
        self.of(path).map_err(|error| failed(path, error))
    }
}

fn failed(path: &str, error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::NotFound { ErrorKind::DataInvalid } else { ErrorKind::Unexpected };
    Error::new(kind, format!("`{path}`: {error}")).with_source(error)
}

#[typetag::serde(name = "headwater")]
impl StorageFactory for Places {
    fn build(&self, _: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
#[typetag::serde(name = "headwater")]
impl Storage for Places {
    async fn exists(&self, path: &str) -> Result<bool> {
        match self.place(path)?.size(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(path, error)),
        }
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        let size = self.place(path)?.size(path).await.map_err(|error| failed(path, error))?;
        Ok(FileMetadata { size })
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        self.place(path)?.read(path).await.map_err(|error| failed(path, error))
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        self.place(path)?.reader(path).await.map_err(|error| failed(path, error))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.place(path)?.write(path, bytes).await.map_err(|error| failed(path, error))
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        self.place(path)?.writer(path).await.map_err(|error| failed(path, error))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.place(path)?.remove(path).await.map_err(|error| failed(path, error))
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        self.place(path)?.remove_folder(path).await.map_err(|error| failed(path, error))
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

#[cfg(test)]
pub(crate) mod tests;
