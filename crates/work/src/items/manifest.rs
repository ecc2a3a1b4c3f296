//! Manifests: files that name the files whose rows are the items. Amazon S3 Inventory writes JSON that says what its
//! files are (compressed CSV, or Parquet); a query of Amazon Athena writes an address in each line.

use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use headwater_base::Name;
use headwater_store::blobs::{Blobs, Reader};
use serde_json::Value;

use super::{Config, InputType, Items, failed, named};
use crate::execution::Failure;

/// The largest manifest.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// The items of all files of an inventory, in the manifest's order.
pub(super) fn inventory(config: &Config, manifest: Reader, blobs: &Arc<Blobs>) -> Result<Items, Failure> {
    let manifest: Value = serde_json::from_slice(&whole(manifest)?)
        .map_err(|error| failed(format!("the manifest is no JSON: {error}")))?;
    let field = |name: &str| manifest.get(name).and_then(Value::as_str);
    let (input, headers) = match field("fileFormat") {
        None | Some("CSV") => {
            let schema = field("fileSchema").ok_or_else(|| failed("the manifest has no `fileSchema`"))?;
            (InputType::Csv, Some(schema.split(',').map(|name| name.trim().to_owned()).collect()))
        }
        // The files say themselves what their columns are.
        Some("Parquet") => (InputType::Parquet, None),
        Some(other) => {
            return Err(failed(format!("manifests of `{other}` files are not read; of CSV and Parquet they are")));
        }
    };
    // `arn:aws:s3:::bucket`, or its bare name.
    let bucket = field("destinationBucket").map(|bucket| bucket.rsplit(':').next().unwrap_or(bucket));
    let bucket = Name::new(bucket.unwrap_or_default()).map_err(|problem| failed(problem.title))?;
    let files = manifest.get("files").and_then(Value::as_array).cloned().unwrap_or_default();
    let config = Config { input, headers, ..config.clone() };
    let blobs = Arc::clone(blobs);
    Ok(Box::new(super::chained(files, move |file| {
        let key =
            file.get("key").and_then(Value::as_str).ok_or_else(|| failed("a file of the manifest has no `key`"))?;
        open(&config, &blobs, &bucket, key)
    })))
}

/// The items of all files of an Athena manifest, whose lines are `s3://bucket/key`, in its order.
pub(super) fn athena(config: &Config, manifest: Reader, blobs: &Arc<Blobs>) -> Result<Items, Failure> {
    let text = String::from_utf8(whole(manifest)?).map_err(|_| failed("the manifest is no UTF-8"))?;
    let lines = text.lines().map(|line| line.trim().trim_matches('"')).filter(|line| !line.is_empty());
    let files: Vec<(Name, String)> = lines.map(address).collect::<Result<_, _>>()?;
    let (config, blobs) = (config.clone(), Arc::clone(blobs));
    Ok(Box::new(super::chained(files, move |(bucket, key)| open(&config, &blobs, bucket, key))))
}

fn address(line: &str) -> Result<(Name, String), Failure> {
    let place = line.strip_prefix("s3://").and_then(|place| place.split_once('/'));
    let (bucket, key) = place.ok_or_else(|| {
        let line: String = line.chars().take(100).collect();
        failed(format!("`{line}` of the manifest is no `s3://bucket/key`"))
    })?;
    Ok((Name::new(bucket).map_err(|problem| failed(problem.title))?, key.to_owned()))
}

fn open(config: &Config, blobs: &Blobs, bucket: &Name, key: &str) -> Result<Items, Failure> {
    let file = named(blobs, bucket, key)?;
    if key.ends_with(".gz") && config.input != InputType::Parquet {
        return config.plain(Box::new(MultiGzDecoder::new(file)));
    }
    config.file(file)
}

/// A manifest's bytes.
fn whole(manifest: Reader) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    manifest
        .take(MANIFEST_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(format!("the disk says: {error}")))?;
    if bytes.len() as u64 > MANIFEST_BYTES_MAX {
        return Err(failed(format!("a manifest of more than {MANIFEST_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}
