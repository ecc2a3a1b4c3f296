//! The names of a bucket as items, or the items of the files behind them.

use std::sync::Arc;

use headwater_base::Name;
use headwater_store::blobs::{Blobs, Named};
use serde_json::{Value, json};

use super::{Config, Items, failed};
use crate::execution::Failure;

pub(super) fn open(config: &Config, blobs: &Arc<Blobs>, bucket: &Name, prefix: &str) -> Result<Items, Failure> {
    let found = blobs.list(bucket, prefix).map_err(|error| failed(format!("the disk says: {error}")))?;
    if !config.flatten {
        return Ok(Box::new(found.into_iter().map(|named| Ok(shown(&named)))));
    }
    let (config, blobs, bucket) = (config.clone(), Arc::clone(blobs), bucket.clone());
    Ok(Box::new(super::chained(found, move |named| config.open(&blobs, &bucket, &named.key))))
}

fn shown(named: &Named) -> Value {
    json!({
        "Etag": format!("\"{}\"", named.blob.trim_start_matches("sha256:")),
        "Key": named.key,
        "LastModified": named.written.0 / 1_000_000,
        "Size": named.bytes,
        "StorageClass": "STANDARD",
    })
}
