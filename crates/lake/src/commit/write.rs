//! Rows as Parquet files: split by partition, sorted, compressed with zstd.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ord::sort::{SortColumn, SortOptions, lexsort_to_indices};
use arrow_select::take::take_record_batch;
use iceberg::arrow::RecordBatchPartitionSplitter;
use iceberg::spec::{DataFile, NullOrder, PartitionSpecRef, SortDirection, Struct};
use iceberg::writer::file_writer::{FileWriter, FileWriterBuilder, ParquetWriterBuilder};
use iceberg::{Error, ErrorKind, Result};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use uuid::Uuid;

use super::{Version, bounds};
use crate::files::Files;

/// Partitions that rows written at once may fall into; each gets a file.
pub const PARTITIONS_MAX: usize = 1_000;

/// Rows of a row group: what a reader decides on at once. Few files have several.
pub(super) const GROUP_ROWS: usize = 1 << 20;

/// Writes rows of the table's current schema as files that no snapshot has yet.
///
/// # Errors
/// [`ErrorKind::PreconditionFailed`] for rows of more than [`PARTITIONS_MAX`] partitions, and what `iceberg` and the
/// disk say.
pub async fn write_data(files: &Files, version: &Version, rows: RecordBatch) -> Result<Vec<DataFile>> {
    write_under(files, version, version.metadata.default_partition_spec(), rows).await
}

/// As [`write_data`], under a partition spec of the table that need not be the current one.
pub(super) async fn write_under(
    files: &Files,
    version: &Version,
    spec: &PartitionSpecRef,
    rows: RecordBatch,
) -> Result<Vec<DataFile>> {
    write_in_groups(files, version, spec, rows, GROUP_ROWS).await
}

/// As [`write_under`], with so many rows in a row group.
pub(crate) async fn write_in_groups(
    files: &Files,
    version: &Version,
    spec: &PartitionSpecRef,
    rows: RecordBatch,
    group_rows: usize,
) -> Result<Vec<DataFile>> {
    write_parts(files, version, spec, split(version, spec, rows)?, group_rows).await
}

/// As [`write_in_groups`], of rows that are [`split`] under that spec.
pub(super) async fn write_parts(
    files: &Files,
    version: &Version,
    spec: &PartitionSpecRef,
    parts: Vec<(Struct, RecordBatch)>,
    group_rows: usize,
) -> Result<Vec<DataFile>> {
    let metadata = &version.metadata;
    let schema = metadata.current_schema();
    if parts.len() > PARTITIONS_MAX {
        let fact = format!("the rows fall into {} partitions; the limit is {PARTITIONS_MAX}", parts.len());
        return Err(Error::new(ErrorKind::PreconditionFailed, fact));
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(group_rows.max(1)))
        .build();
    let builder = ParquetWriterBuilder::new(properties, schema.clone());
    let order = i32::try_from(metadata.default_sort_order_id()).unwrap_or_default();
    let mut written = Vec::with_capacity(parts.len());
    for (partition, rows) in parts {
        let location = format!("{}/data/{}.parquet", metadata.location(), Uuid::now_v7());
        let mut writer = builder.build(files.io().new_output(location)?).await?;
        let rows = sorted(version, rows)?;
        writer.write(&rows).await?;
        for mut file in writer.close().await? {
            file.partition(partition.clone()).partition_spec_id(spec.spec_id()).sort_order_id(order);
            let (lower, upper) = bounds::corrected(&file.build().map_err(unmade)?, schema, &rows);
            file.lower_bounds(lower).upper_bounds(upper);
            written.push(file.build().map_err(unmade)?);
        }
    }
    Ok(written)
}

fn unmade(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unexpected, error.to_string())
}

/// The rows by partition.
pub(super) fn split(
    version: &Version,
    spec: &PartitionSpecRef,
    rows: RecordBatch,
) -> Result<Vec<(Struct, RecordBatch)>> {
    if spec.is_unpartitioned() {
        return Ok(vec![(Struct::empty(), rows)]);
    }
    let schema = version.metadata.current_schema();
    let splitter = RecordBatchPartitionSplitter::try_new_with_computed_values(schema.clone(), spec.clone())?;
    let parts = splitter.split(&rows)?;
    Ok(parts.into_iter().map(|(key, rows)| (key.data().clone(), rows)).collect())
}

/// The rows in the table's order.
fn sorted(version: &Version, rows: RecordBatch) -> Result<RecordBatch> {
    let order = version.metadata.default_sort_order();
    if order.is_unsorted() {
        return Ok(rows);
    }
    let schema = version.metadata.current_schema();
    let mut columns = Vec::new();
    for field in &order.fields {
        let name = schema.name_by_field_id(field.source_id).unwrap_or_default();
        let Some(values) = rows.column_by_name(name) else { continue };
        let options = SortOptions {
            descending: field.direction == SortDirection::Descending,
            nulls_first: field.null_order == NullOrder::First,
        };
        columns.push(SortColumn { values: Arc::clone(values), options: Some(options) });
    }
    let indices = lexsort_to_indices(&columns, None)?;
    Ok(take_record_batch(&rows, &indices)?)
}
