//! Manifests of Amazon S3 Inventory: a JSON file that names compressed CSV files, whose rows are the items.

use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use headwater_base::Name;
use headwater_store::blobs::Blobs;
use serde_json::Value;

use super::{Config, InputType, Items, Source, failed, named};
use crate::execution::Failure;

/// The largest manifest.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// The items of all files, in the manifest's order.
pub(super) fn open(config: &Config, source: Source, blobs: &Arc<Blobs>) -> Result<Items, Failure> {
    let mut text = Vec::new();
    source
        .take(MANIFEST_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|error| failed(format!("the disk says: {error}")))?;
    if text.len() as u64 > MANIFEST_BYTES_MAX {
        return Err(failed(format!("a manifest of more than {MANIFEST_BYTES_MAX} bytes")));
    }
    let manifest: Value =
        serde_json::from_slice(&text).map_err(|error| failed(format!("the manifest is no JSON: {error}")))?;
    let field = |name: &str| manifest.get(name).and_then(Value::as_str);
    if field("fileFormat").is_some_and(|format| format != "CSV") {
        return Err(failed("only manifests of CSV files are read"));
    }
    let schema = field("fileSchema").ok_or_else(|| failed("the manifest has no `fileSchema`"))?;
    let headers: Vec<String> = schema.split(',').map(|name| name.trim().to_owned()).collect();
    // `arn:aws:s3:::bucket`, or its bare name.
    let bucket = field("destinationBucket").map(|bucket| bucket.rsplit(':').next().unwrap_or(bucket));
    let bucket = Name::new(bucket.unwrap_or_default()).map_err(|problem| failed(problem.title))?;
    let files = manifest.get("files").and_then(Value::as_array).cloned().unwrap_or_default();
    let config = Config { input: InputType::Csv, headers: Some(headers), ..config.clone() };
    let blobs = Arc::clone(blobs);
    Ok(Box::new(super::chained(files, move |file| {
        let key =
            file.get("key").and_then(Value::as_str).ok_or_else(|| failed("a file of the manifest has no `key`"))?;
        let source = named(&blobs, &bucket, key)?;
        config.plain(if key.ends_with(".gz") { Box::new(MultiGzDecoder::new(source)) } else { source })
    })))
}
