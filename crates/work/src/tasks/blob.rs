//! Blobs: `blob:write` and `blob:read` by content, `aws-sdk:s3:*` by bucket and key.
//!
//! Writing is external and the same however often it is tried: a blob is named after its content, and a name written
//! twice points to the same blob.

use std::io::{self, Read};
use std::str::FromStr;
use std::sync::Arc;

use headwater_base::Name;
use headwater_store::blobs::{BlobId, Blobs, Named};
use serde_json::{Value, json};

use super::parameters::Parameters;
use super::{Call, Plan, Services, failure};
use crate::definition::resource::Service;
use crate::execution::Failure;

/// The largest content that a task hands into an execution; larger ones are read by a Map's `ItemReader`.
const CONTENT_BYTES_MAX: u64 = 262_144;

/// The bucket that names what `blob:write` keeps, for as long as nothing else does; its names go by age.
pub const WRITTEN: &str = "headwater.work.blobs";

/// The longest key, as in the recorded service.
const KEY_BYTES_MAX: usize = 1_024;

/// `blob:write`: `Content`, a text or any JSON; answers `{Blob, Bytes}`.
pub(super) fn write(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Content"])?;
    let (content, written) = (text(parameters.required("Content")?), call.now);
    disk(services, move |blobs| {
        let id = blobs.put(content.as_bytes()).map_err(|error| failed(&error))?;
        let bucket = Name::new(WRITTEN).map_err(|problem| failure::parameters(problem.title))?;
        let named = Named { key: id.to_string(), blob: id.to_string(), bytes: content.len() as u64, written };
        blobs.name(&bucket, &named).map_err(|error| failed(&error))?;
        Ok(json!({ "Blob": id.to_string(), "Bytes": content.len() }))
    })
}

/// `blob:read`: `Blob` as written; answers `{Content, Bytes}`, the content as JSON where it is JSON.
pub(super) fn read(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Blob"])?;
    let name = parameters.text("Blob")?;
    let id = BlobId::from_str(name)
        .map_err(|()| failure::parameters("`Blob` is `sha256:` and 64 hexadecimal digits, as `blob:write` answers"))?;
    disk(services, move |blobs| {
        let content = content(blobs, id)?;
        let value = serde_json::from_str(&content).unwrap_or_else(|_| json!(content));
        Ok(json!({ "Content": value, "Bytes": content.len() }))
    })
}

/// `s3:putObject`.
pub(super) fn put_object(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Bucket", "Key", "Body", "ContentType", "Metadata"])?;
    let (bucket, key) = place(parameters)?;
    let (body, written) = (text(parameters.required("Body")?), call.now);
    disk(services, move |blobs| {
        let id = blobs.put(body.as_bytes()).map_err(|error| failed(&error))?;
        let named = Named { key, blob: id.to_string(), bytes: body.len() as u64, written };
        blobs.name(&bucket, &named).map_err(|error| failed(&error))?;
        Ok(json!({ "ETag": etag(&named) }))
    })
}

/// `s3:getObject`.
pub(super) fn get_object(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Bucket", "Key"])?;
    let (bucket, key) = place(parameters)?;
    disk(services, move |blobs| {
        let named = find(blobs, &bucket, &key)?;
        let id = BlobId::from_str(&named.blob).map_err(|()| no_such_key())?;
        let body = content(blobs, id)?;
        Ok(json!({
            "AcceptRanges": "bytes", "Body": body, "ContentLength": named.bytes, "ETag": etag(&named),
            "LastModified": named.written.to_string(), "Metadata": {},
        }))
    })
}

/// `s3:deleteObject`: the name goes, the blob stays.
pub(super) fn delete_object(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Bucket", "Key"])?;
    let (bucket, key) = place(parameters)?;
    disk(services, move |blobs| {
        blobs.unname(&bucket, &key).map_err(|error| failed(&error))?;
        Ok(json!({}))
    })
}

/// `s3:listObjectsV2`: all of them in one page.
pub(super) fn list_objects(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, &["Bucket", "Prefix", "MaxKeys"])?;
    let bucket = bucket(parameters)?;
    let prefix = parameters.optional_text("Prefix")?.unwrap_or_default().to_owned();
    let count = parameters.optional_number("MaxKeys")?.unwrap_or(1_000).min(1_000);
    disk(services, move |blobs| {
        let found = blobs.list(&bucket, &prefix).map_err(|error| failed(&error))?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let shown: Vec<Value> = found
            .iter()
            .take(count)
            .map(|named| {
                json!({
                    "ETag": etag(named), "Key": named.key, "LastModified": named.written.to_string(),
                    "Size": named.bytes, "StorageClass": "STANDARD",
                })
            })
            .collect();
        Ok(json!({
            "Contents": shown, "IsTruncated": found.len() > count, "KeyCount": shown.len(), "MaxKeys": count,
            "Name": bucket.as_str(), "Prefix": prefix,
        }))
    })
}

/// Work on the disk, away from the threads that must not wait for one.
fn disk(
    services: &Services,
    work: impl FnOnce(&Blobs) -> Result<Value, Failure> + Send + 'static,
) -> Result<Plan, Failure> {
    let blobs: Arc<Blobs> = services.blobs.clone().ok_or_else(|| failure::unwired("blobs"))?;
    Ok(Plan::External(Box::pin(async move {
        let done = tokio::task::spawn_blocking(move || work(&blobs)).await;
        done.unwrap_or_else(|error| Err(failed(&io::Error::other(error))))
    })))
}

fn content(blobs: &Blobs, id: BlobId) -> Result<String, Failure> {
    let reader = blobs.read(id).map_err(|error| failed(&error))?.ok_or_else(no_such_key)?;
    let length = reader.size();
    if length > CONTENT_BYTES_MAX {
        let fact = format!("the blob has {length} bytes; a task can read {CONTENT_BYTES_MAX}");
        return Err(Failure::new("States.DataLimitExceeded", fact));
    }
    let mut bytes = Vec::new();
    reader.take(CONTENT_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|_| Failure::new("Blob.NotText", "the blob is no UTF-8 text"))
}

/// What a name points to, or the failure that it points to nothing.
pub(super) fn find(blobs: &Blobs, bucket: &Name, key: &str) -> Result<Named, Failure> {
    blobs.find(bucket, key).map_err(|error| failed(&error))?.ok_or_else(no_such_key)
}

fn place(parameters: Parameters<'_>) -> Result<(Name, String), Failure> {
    let key = parameters.text("Key")?;
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(failure::parameters(format!("`Key` has {} bytes; 1 to {KEY_BYTES_MAX} are allowed", key.len())));
    }
    Ok((bucket(parameters)?, key.to_owned()))
}

fn bucket(parameters: Parameters<'_>) -> Result<Name, Failure> {
    Name::new(parameters.text("Bucket")?).map_err(|problem| failure::of(&problem))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn etag(named: &Named) -> String {
    format!("\"{}\"", named.blob.trim_start_matches("sha256:"))
}

fn no_such_key() -> Failure {
    Failure::new("S3.NoSuchKeyException", "The specified key does not exist.")
}

fn failed(error: &io::Error) -> Failure {
    Failure::new("Blob.Disk", format!("the disk says: {error}"))
}
