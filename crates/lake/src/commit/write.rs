//! Rows as Parquet files: split by partition, sorted, compressed with zstd.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, RecordBatch, StructArray, TimestampMicrosecondArray, UInt64Array};
use arrow_ord::sort::{SortColumn, SortOptions, lexsort_to_indices};
use arrow_schema::{DataType, Field, Schema as Columns};
use arrow_select::take::take_record_batch;
use iceberg::arrow::{PROJECTED_PARTITION_VALUE_COLUMN, RecordBatchPartitionSplitter, type_to_arrow_type};
use iceberg::spec::{DataFile, NullOrder, PartitionSpecRef, Schema, SortDirection, Struct, Transform, Type};
use iceberg::transform::create_transform_function;
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
    let splitter = RecordBatchPartitionSplitter::try_new_with_precomputed_values(schema.clone(), spec.clone())?;
    let mut parts = Vec::new();
    for (key, places) in splitter.split(&placed(schema, spec, &rows)?)? {
        let places = places.column_by_name(PLACE).ok_or_else(|| unmade("the places of rows are not there"))?;
        parts.push((key.data().clone(), take_record_batch(&rows, places)?));
    }
    Ok(parts)
}

/// The column of [`placed`] that says which row it is.
const PLACE: &str = "place";

/// For each of the rows what its partition is, and which one it is.
fn placed(schema: &Schema, spec: &PartitionSpecRef, rows: &RecordBatch) -> Result<RecordBatch> {
    let of_parts = type_to_arrow_type(&Type::Struct(spec.partition_type(schema)?))?;
    let DataType::Struct(fields) = &of_parts else { return Err(unmade("parts are no struct")) };
    let mut parts = Vec::with_capacity(fields.len());
    for part in spec.fields() {
        let column = schema.name_by_field_id(part.source_id).and_then(|name| rows.column_by_name(name));
        let column = column.ok_or_else(|| unmade(format!("the rows have nothing to make `{}` of", part.name)))?;
        parts.push(made(part.transform, column)?);
    }
    let parts = StructArray::try_new(fields.clone(), parts, None)?;
    let places = UInt64Array::from_iter_values(0..rows.num_rows() as u64);
    let columns = Columns::new(vec![
        Field::new(PROJECTED_PARTITION_VALUE_COLUMN, of_parts.clone(), false),
        Field::new(PLACE, DataType::UInt64, false),
    ]);
    Ok(RecordBatch::try_new(Arc::new(columns), vec![Arc::new(parts), Arc::new(places)])?)
}

/// What a transform makes of a column. Before 1970 `iceberg` takes the last second of a day for one of the next day,
/// unless it is a whole one; a part of a second changes nothing of a day.
pub(super) fn made(transform: Transform, column: &ArrayRef) -> Result<ArrayRef> {
    const SECOND: i64 = 1_000_000;
    let column: ArrayRef = match (transform, column.as_primitive_opt::<TimestampMicrosecondType>()) {
        (Transform::Day, Some(times)) => {
            let whole: TimestampMicrosecondArray = times.unary(|time| time.div_euclid(SECOND).saturating_mul(SECOND));
            Arc::new(whole.with_timezone_opt(times.timezone()))
        }
        _ => Arc::clone(column),
    };
    create_transform_function(&transform)?.transform(column)
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
