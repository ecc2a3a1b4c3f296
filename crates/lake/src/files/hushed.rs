//! A store that tells what went wrong without repeating what its server said: answers of S3 name the key's id and what
//! was signed with it.

use std::fmt::{self, Display};
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// A store whose errors may be shown to anybody.
#[derive(Debug)]
pub(super) struct Hushed(pub(super) Arc<dyn ObjectStore>);

impl Display for Hushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of stores in errors.
const STORE: &str = "S3";
/// What stands before the answer of a server.
const BEFORE_ANSWERS: [&str; 2] = ["status code: ", "error response"];

/// The same error, in words that anybody may see.
fn hushed(error: Error) -> Error {
    let source = words(&error).into();
    match error {
        Error::NotFound { path, .. } => Error::NotFound { path, source },
        Error::PermissionDenied { path, .. } => Error::PermissionDenied { path, source },
        Error::Unauthenticated { path, .. } => Error::Unauthenticated { path, source },
        _ => Error::Generic { store: STORE, source },
    }
}

/// What happened, and the innermost cause of it.
fn words(error: &Error) -> String {
    match error {
        Error::NotFound { .. } => return "there is no such object".to_owned(),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => return "it refuses the keys".to_owned(),
        _ => {}
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let (outer, inner) = (unanswered(&error.to_string()), unanswered(&innermost.to_string()));
    let outer = outer.trim_start_matches("Generic S3 error: ");
    if outer.contains(&inner) { outer.to_owned() } else { format!("{outer}: {inner}") }
}

/// Words up to where an answer begins.
fn unanswered(words: &str) -> String {
    let line = words.split(['<', '{', '\n']).next().unwrap_or_default();
    let end = BEFORE_ANSWERS.iter().find_map(|before| {
        let after = line.find(before)? + before.len();
        Some(line.get(after..)?.find(':').map_or(line.len(), |length| after + length))
    });
    let line = line.get(..end.unwrap_or(line.len())).unwrap_or(line);
    line.trim_end_matches([' ', ':']).to_owned()
}

#[async_trait]
impl ObjectStore for Hushed {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await.map_err(hushed)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.0.put_multipart_opts(location, options).await.map_err(hushed)?;
        Ok(Box::new(HushedUpload(upload)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await.map_err(hushed)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await.map_err(hushed)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations).map_err(hushed).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix).map_err(hushed).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await.map_err(hushed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await.map_err(hushed)
    }
}

#[derive(Debug)]
struct HushedUpload(Box<dyn MultipartUpload>);

#[async_trait]
impl MultipartUpload for HushedUpload {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        Box::pin(self.0.put_part(part).map_err(hushed))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.0.complete().await.map_err(hushed)
    }

    async fn abort(&mut self) -> Result<()> {
        self.0.abort().await.map_err(hushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_said_is_not_repeated() {
        let said = "Error performing PUT http://127.0.0.1:9000/b/k in 1.2s, after 3 retries - Server returned non-2xx \
             status code: 400 Bad Request: <Error><AWSAccessKeyId>id</AWSAccessKeyId></Error>";
        let told = hushed(Error::Generic { store: "S3", source: said.into() }).to_string();
        assert!(told.ends_with("status code: 400 Bad Request") && !told.contains("id"), "{told}");
        for plain in ["status code: 503 Slow Down: key id", "error response: key id", "body <Id>id", "{\"id\": 1}"] {
            assert!(!unanswered(plain).contains("id"), "{plain}");
        }
        let told = hushed(Error::PermissionDenied { path: "k".to_owned(), source: said.into() }).to_string();
        assert!(told.ends_with("it refuses the keys"), "{told}");
    }
}
