//! Compaction: many small files of one partition become one, of the current schema. Equal rows of a rollup become one, too:
//! what queries add up stays the same. Files of an older partition spec become files of the current one, unless that would
//! be more files than they were.
//!
//! A file of an older schema has fewer columns or narrower numbers, and columns keep their names; so each row stays what
//! readers saw before.

use std::collections::HashMap;
use std::slice;
use std::sync::Arc;

use arrow::compute::cast;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, ListArray, RecordBatch, StructArray, new_null_array};
use arrow_schema::{DataType, FieldRef, Fields, SchemaRef};
use bytes::Bytes;
use iceberg::spec::{ManifestEntryRef, Operation, Struct};
use iceberg::{Error, ErrorKind, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::write::{GROUP_ROWS, split, write_parts};
use super::{Change, Version, live};
use crate::files::Files;
use crate::positions::SUMMARY_KEY;
use crate::rows::Merge;

/// So many small files are worth the work.
const FILES_MIN: usize = 8;
/// Files merged at once.
const FILES_MAX: usize = 256;
/// So many times as large as their files the rows are that are in memory at once: some compress to nearly nothing.
const GROWS_MAX: u64 = 8;

/// The change that merges the small files of the partition that has most of them, if it is worth it. Files are small
/// below a quarter of `bytes`; so many of them, the smallest first, are taken as have about `bytes` together, or
/// [`GROWS_MAX`] times that in memory.
///
/// # Errors
/// What `iceberg` and the disk say.
pub async fn compaction(files: &Files, version: &Version, merge: &Merge, bytes: u64) -> Result<Option<Change>> {
    let mut parts: HashMap<(i32, Struct), Vec<ManifestEntryRef>> = HashMap::new();
    for manifest in version.manifests(files).await? {
        for entry in live(files, slice::from_ref(&manifest)).await? {
            if entry.file_size_in_bytes() < bytes / 4 {
                let part = (manifest.partition_spec_id, entry.data_file().partition().clone());
                parts.entry(part).or_default().push(entry);
            }
        }
    }
    let most = parts.into_iter().max_by_key(|(_, small)| small.len());
    let Some(((spec, _), mut small)) = most.filter(|(_, small)| small.len() >= FILES_MIN) else { return Ok(None) };
    small.sort_by_key(|entry| entry.file_size_in_bytes());
    let (mut removed, mut batches, mut taken, mut held) = (Vec::new(), Vec::new(), 0, 0);
    for entry in small.into_iter().take(FILES_MAX) {
        if taken >= bytes || held >= bytes.saturating_mul(GROWS_MAX) {
            break;
        }
        taken += entry.file_size_in_bytes();
        let location = entry.file_path();
        for batch in rows(location, read(files, location).await?, merge.schema())? {
            let batch = batch?;
            held += batch.get_array_memory_size() as u64;
            batches.push(batch);
        }
        removed.push(entry);
    }
    if removed.len() < FILES_MIN {
        return Ok(None);
    }
    let rows = merge.of(&batches)?;
    drop(batches);
    let current = version.metadata.default_partition_spec();
    let moved = if spec == current.spec_id() { None } else { Some(split(version, current, rows.clone())?) };
    let (spec, parts) = match moved.filter(|parts| parts.len() < removed.len()) {
        Some(parts) => (current, parts),
        None => {
            let spec = version.partition_spec(spec)?;
            (spec, split(version, spec, rows)?)
        }
    };
    let written = write_parts(files, version, spec, parts, GROUP_ROWS).await?;
    let mut change = Change::new(Operation::Replace, Vec::new(), removed);
    change.bring(version, spec.spec_id(), written);
    // The rows stand for the same events, so what the table has of its stream stays.
    let before = version.metadata.current_snapshot().map(|snapshot| snapshot.summary());
    let positions = before.and_then(|summary| summary.additional_properties.get(SUMMARY_KEY));
    change.properties = positions.map(|text| (SUMMARY_KEY.to_owned(), text.clone())).into_iter().collect();
    Ok(Some(change))
}

/// The bytes of a file.
pub(super) async fn read(files: &Files, location: &str) -> Result<Bytes> {
    files.read(location).await.map_err(|error| broken(location, &error).with_source(error))
}

fn broken(location: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::DataInvalid, format!("`{location}`: {error}"))
}

/// The rows of a file with these bytes, in the current schema or, of that, some columns.
pub(super) fn rows<'a>(
    location: &'a str,
    bytes: Bytes,
    schema: &'a SchemaRef,
) -> Result<impl Iterator<Item = Result<RecordBatch>> + 'a> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| broken(location, &error))?;
    let columns = reader.schema().fields().iter().enumerate();
    let wanted: Vec<usize> =
        columns.filter(|(_, of_file)| schema.index_of(of_file.name()).is_ok()).map(|(at, _)| at).collect();
    let wanted = ProjectionMask::roots(reader.parquet_schema(), wanted);
    let batches = reader.with_projection(wanted).build().map_err(|error| broken(location, &error))?;
    Ok(batches.map(move |batch| {
        let (of_file, columns, _) = batch.map_err(|error| broken(location, &error))?.into_parts();
        let rows = StructArray::try_new(of_file.fields().clone(), columns, None)?;
        Ok(RecordBatch::try_new(schema.clone(), fields(&rows, schema.fields())?)?)
    }))
}

/// The fields of a struct as those of a later schema: found by name, widened, null where they came later.
fn fields(of: &StructArray, wanted: &Fields) -> Result<Vec<ArrayRef>> {
    let one = |field: &FieldRef| match of.column_by_name(field.name()) {
        Some(values) => evolved(values, field.data_type()),
        None => Ok(new_null_array(field.data_type(), of.len())),
    };
    wanted.iter().map(one).collect()
}

fn evolved(values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if values.data_type() == wanted {
        return Ok(Arc::clone(values));
    }
    match wanted {
        DataType::Struct(inner) => {
            let values = values.as_struct();
            Ok(Arc::new(StructArray::try_new(inner.clone(), fields(values, inner)?, values.nulls().cloned())?))
        }
        DataType::List(item) => {
            let values = values.as_list::<i32>();
            let items = evolved(values.values(), item.data_type())?;
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                values.offsets().clone(),
                items,
                values.nulls().cloned(),
            )?))
        }
        wanted => Ok(cast(values, wanted)?),
    }
}
