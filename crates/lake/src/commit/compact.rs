//! Compaction: many small files of one partition become one.
//!
//! Only files of the current schema are merged, so that rows are copied and nothing about them is decided; those of an
//! older one stay as they are.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use iceberg::spec::{ManifestEntryRef, Operation, Struct};
use iceberg::{Error, ErrorKind, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Change, Version, write_data};
use crate::files::Files;
use crate::positions::SUMMARY_KEY;

/// So many small files are worth the work.
const FILES_MIN: usize = 8;
/// Files merged at once.
const FILES_MAX: usize = 256;

/// The change that merges the small files of the partition that has most of them, if it is worth it. Files are small
/// below a quarter of `bytes`; so many are taken as have about `bytes` together.
///
/// # Errors
/// What `iceberg` and the disk say.
pub async fn compaction(files: &Files, version: &Version, schema: &SchemaRef, bytes: u64) -> Result<Option<Change>> {
    let mut parts: HashMap<Struct, Vec<ManifestEntryRef>> = HashMap::new();
    for entry in version.live(files).await? {
        if entry.file_size_in_bytes() < bytes / 4 {
            parts.entry(entry.data_file().partition().clone()).or_default().push(entry);
        }
    }
    let Some(small) = parts.into_values().max_by_key(Vec::len).filter(|small| small.len() >= FILES_MIN) else {
        return Ok(None);
    };
    let (mut removed, mut batches, mut taken) = (Vec::new(), Vec::new(), 0);
    for entry in small.into_iter().take(FILES_MAX) {
        if taken >= bytes {
            break;
        }
        if let Some(mut rows) = rows(files, entry.file_path(), schema)? {
            taken += entry.file_size_in_bytes();
            batches.append(&mut rows);
            removed.push(entry);
        }
    }
    if removed.len() < FILES_MIN {
        return Ok(None);
    }
    let added = write_data(files, version, concat_batches(schema, &batches)?).await?;
    // The rows are the same, so is what the table has of its stream.
    let before = version.metadata.current_snapshot().map(|snapshot| snapshot.summary());
    let positions = before.and_then(|summary| summary.additional_properties.get(SUMMARY_KEY));
    let properties = positions.map(|text| (SUMMARY_KEY.to_owned(), text.clone())).into_iter().collect();
    Ok(Some(Change { operation: Operation::Replace, added, removed, properties, schema: None }))
}

/// The rows of a file; None when it has another schema.
fn rows(files: &Files, location: &str, schema: &SchemaRef) -> Result<Option<Vec<RecordBatch>>> {
    let broken = |error: &dyn std::fmt::Display| Error::new(ErrorKind::DataInvalid, format!("`{location}`: {error}"));
    let bytes = files.read(location).map_err(|error| broken(&error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(|error| broken(&error))?;
    if reader.schema().fields() != schema.fields() {
        return Ok(None);
    }
    let mut batches = Vec::new();
    for batch in reader.build().map_err(|error| broken(&error))? {
        let batch = batch.map_err(|error| broken(&error))?;
        batches.push(RecordBatch::try_new(schema.clone(), batch.columns().to_vec())?);
    }
    Ok(Some(batches))
}
