//! A bucket: objects by key, of a server that speaks S3.
//!
//! An object is there once its server has said so, whole or not at all; what is larger than a part goes in parts. Server
//! and network are given a bounded time with a bounded number of tries, then it is an error like a disk's.
//!
//! Requests run on the node's runtime. Whoever waits for one may be on a thread without any, as those of datasets are:
//! the runtime is entered for each step of the waiting, since its timers belong to it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use iceberg::Result;
use iceberg::io::{FileRead, FileWrite};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::runtime::Handle;

use super::{BUCKET, Place, failed, key_of};

/// What is larger goes in parts of this size, all but the last. S3 takes 10,000 of at least 5 MiB.
const PART_BYTES: usize = 8 << 20;

/// A bucket, opened.
pub struct Bucket {
    /// The resource.
    pub name: String,
    /// Where its tables lie: `s3://bucket`, or `s3://bucket/prefix`.
    pub root: String,
    /// What readers outside have to know.
    pub settings: BTreeMap<String, String>,
    /// Its objects. What it says of errors may be shown.
    pub store: Arc<dyn ObjectStore>,
    /// Where requests run; None for a store in memory, which waits for nothing.
    pub home: Option<Handle>,
}

/// A bucket that did not do what it was asked.
#[derive(Debug)]
pub struct Unanswered(pub String);

impl Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unanswered {}

impl Unanswered {
    /// The one that is behind an error, if there is one.
    pub fn behind<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut at = Some(error);
        while let Some(error) = at {
            let told = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if let Some(found) = told.and_then(|inner| inner.downcast_ref()) {
                return Some(found);
            }
            at = error.source();
        }
        None
    }
}

fn unanswered(error: object_store::Error) -> io::Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, Unanswered(error.to_string()))
}

impl Bucket {
    /// Whether a location is in it.
    pub fn has(&self, location: &str) -> bool {
        location.strip_prefix(&self.root).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Removes objects while the caller goes on; some may be gone already.
    pub(super) fn discard(self: Arc<Self>, locations: Vec<String>) {
        let removing = {
            let bucket = Arc::clone(&self);
            async move {
                let files = locations.len();
                if let Err(error) = bucket.remove_all(locations.iter().map(|it| key(it)).collect()).await {
                    tracing::warn!(bucket = bucket.name, files, %error, "files that no snapshot needs were not removed");
                }
            }
        };
        self.aside(removing);
    }

    /// Removes a table's objects while the caller goes on; `done` follows, and is told whether they are gone.
    pub fn discard_folder(self: Arc<Self>, location: String, done: impl FnOnce(bool) + Send + 'static) {
        let removing = {
            let bucket = Arc::clone(&self);
            async move {
                let removed = bucket.remove_folder(&location).await;
                if let Err(error) = &removed {
                    tracing::warn!(bucket = bucket.name, location, %error, "the objects of a table that is gone stay");
                }
                done(removed.is_ok());
            }
        };
        self.aside(removing);
    }

    /// Has something done that nobody waits for; it ends with its requests, which are bounded.
    fn aside(&self, work: impl Future<Output = ()> + Send + 'static) {
        match &self.home {
            Some(home) => drop(home.spawn(work)),
            None => work.now_or_never().unwrap_or_default(),
        }
    }

    async fn remove_all(&self, keys: Vec<Path>) -> io::Result<()> {
        let removed = self.store.delete_stream(futures::stream::iter(keys.into_iter().map(Ok)).boxed());
        let removed = removed.filter(|done| {
            let gone = matches!(done, Err(object_store::Error::NotFound { .. }));
            std::future::ready(!gone)
        });
        self.at_home(removed.try_for_each(|_| std::future::ready(Ok(())))).await
    }

    /// Waits for a request on any thread.
    async fn at_home<T>(&self, request: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        let mut request = pin!(request);
        let answer = poll_fn(|context| {
            let _entered = self.home.as_ref().map(Handle::enter);
            request.as_mut().poll(context)
        });
        answer.await.map_err(unanswered)
    }

    async fn keys(&self, location: &str) -> io::Result<Vec<Path>> {
        let found = self.store.list(Some(&key(location))).try_collect::<Vec<ObjectMeta>>();
        Ok(self.at_home(found).await?.into_iter().map(|object| object.location).collect())
    }

    fn location_of(&self, key: &Path) -> String {
        let rest = self.root.strip_prefix(BUCKET).unwrap_or(&self.root);
        format!("{BUCKET}{}/{key}", rest.split('/').next().unwrap_or_default())
    }
}

fn key(location: &str) -> Path {
    Path::from(key_of(location))
}

/// Behind an `Arc`, so that readers and writers outlive the question for them.
#[async_trait]
impl Place for Arc<Bucket> {
    async fn size(&self, location: &str) -> io::Result<u64> {
        Ok(self.at_home(self.store.head(&key(location))).await?.size)
    }

    async fn read(&self, location: &str) -> io::Result<Bytes> {
        let key = key(location);
        self.at_home(async { self.store.get(&key).await?.bytes().await }).await
    }

    async fn write(&self, location: &str, bytes: Bytes) -> io::Result<()> {
        let mut writer = Writer::new(self, location);
        writer.take(&bytes).await?;
        writer.finish().await
    }

    async fn reader(&self, location: &str) -> io::Result<Box<dyn FileRead>> {
        Ok(Box::new(Reader { bucket: Arc::clone(self), location: location.to_owned() }))
    }

    async fn writer(&self, location: &str) -> io::Result<Box<dyn FileWrite>> {
        Ok(Box::new(Writer::new(self, location)))
    }

    async fn list(&self, location: &str) -> io::Result<Vec<String>> {
        Ok(self.keys(location).await?.iter().map(|key| self.location_of(key)).collect())
    }

    async fn remove(&self, location: &str) -> io::Result<()> {
        self.remove_all(vec![key(location)]).await
    }

    async fn remove_folder(&self, location: &str) -> io::Result<()> {
        let keys = self.keys(location).await?;
        self.remove_all(keys).await
    }
}

struct Reader {
    bucket: Arc<Bucket>,
    location: String,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let key = key(&self.location);
        let read = self.bucket.at_home(self.bucket.store.get_range(&key, range)).await;
        read.map_err(|error| failed(&self.location, error))
    }
}

struct Writer {
    bucket: Arc<Bucket>,
    location: String,
    /// Less than a part.
    rest: BytesMut,
    upload: Option<Box<dyn MultipartUpload>>,
}

impl Writer {
    fn new(bucket: &Arc<Bucket>, location: &str) -> Self {
        Self { bucket: Arc::clone(bucket), location: location.to_owned(), rest: BytesMut::new(), upload: None }
    }

    async fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.rest.extend_from_slice(bytes);
        while self.rest.len() > PART_BYTES {
            let part = self.rest.split_to(PART_BYTES).freeze();
            self.send(part).await?;
        }
        Ok(())
    }

    /// Sends a part, one after the other: so there is never more than one in memory besides the one that is filled.
    async fn send(&mut self, part: Bytes) -> io::Result<()> {
        let key = key(&self.location);
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(self.bucket.at_home(self.bucket.store.put_multipart(&key)).await?),
        };
        let sent = self.bucket.at_home(upload.put_part(PutPayload::from(part))).await;
        self.settle(sent).await
    }

    async fn finish(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.rest).freeze();
        if self.upload.is_none() {
            let key = key(&self.location);
            return self.bucket.at_home(self.bucket.store.put(&key, PutPayload::from(rest))).await.map(drop);
        }
        self.send(rest).await?;
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let done = self.bucket.at_home(upload.complete()).await.map(drop);
        self.settle(done).await
    }

    /// Takes back what was sent when the rest of it cannot be. What cannot even be taken back is the server's to clean up.
    async fn settle(&mut self, sent: io::Result<()>) -> io::Result<()> {
        if sent.is_err()
            && let Some(upload) = &mut self.upload
        {
            drop(self.bucket.at_home(upload.abort()).await);
        }
        sent
    }
}

#[async_trait]
impl FileWrite for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.take(&bytes).await.map_err(|error| failed(&self.location, error))
    }

    async fn close(&mut self) -> Result<()> {
        self.finish().await.map_err(|error| failed(&self.location, error))
    }
}
