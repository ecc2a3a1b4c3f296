//! The files of a table as a scan. What the manifests say of each (rows, least and greatest values, nulls) goes with it,
//! so that planning opens no file, counting needs none, and a filter leaves closed what cannot match. Files of which rows
//! may be deleted are apart (`deletes.rs`): what is said of them is no more than an estimate.
//!
//! What a version has is read once: it never changes.

use std::collections::HashMap;
use std::slice;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::datasource::file_format::FileFormat as _;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, Datum, Literal, ManifestEntryRef, PrimitiveLiteral, Schema, Transform,
};
use object_store::ObjectStore;
use parking_lot::Mutex;

use super::deletes::Deletes;

use super::fields::{Fields, constant};
use super::{distinct, fault, pieces};
use crate::commit::{self, Version};
use crate::files::{is_in_folder, key_of};
use crate::tables::{Tables, unusable};

/// The files of versions that were asked for last.
#[derive(Default)]
pub struct Listings(Mutex<HashMap<String, (String, Listing)>>);

/// Files that can be scanned.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Those whose rows are all there.
    pub whole: Arc<[PartitionedFile]>,
    /// The others, and what is deleted of them.
    pub deletes: Option<Arc<Deletes>>,
}

/// A file of a table, and the partition spec that it is under.
pub type Entry = (i32, ManifestEntryRef);

/// What the rows of files are.
#[derive(Clone, Debug)]
pub struct Columns {
    table: TableSchema,
    fields: Option<Arc<Fields>>,
}

impl Columns {
    /// Columns that are found by name in files, or by `fields`.
    pub fn new(schema: &SchemaRef, fields: Option<&Arc<Fields>>) -> Self {
        Self { table: TableSchema::from_file_schema(Arc::clone(schema)), fields: fields.cloned() }
    }

    /// The same with a last one, which each file has one value of.
    #[must_use]
    pub fn with_constant(&self, column: Field) -> Self {
        let table = TableSchema::new(Arc::clone(self.table.file_schema()), vec![Arc::new(column)]);
        Self { table, fields: self.fields.clone() }
    }

    /// All of them.
    pub fn schema(&self) -> &SchemaRef {
        self.table.table_schema()
    }

    fn adapter(&self) -> Option<Arc<dyn PhysicalExprAdapterFactory>> {
        self.fields.as_ref().map(|fields| Arc::clone(fields) as Arc<dyn PhysicalExprAdapterFactory>)
    }
}

/// Where the files of a table are, as the query engine finds them.
pub struct Store {
    url: ObjectStoreUrl,
    /// None for the disk, which the engine knows by itself.
    objects: Option<Arc<dyn ObjectStore>>,
}

impl Store {
    /// Where the files of a version are; without one there are none, and the disk is as good as any place.
    ///
    /// # Errors
    /// `HW-LAKE-063` for a bucket that is not there.
    pub fn of(tables: &Tables, table: &str, version: Option<&Version>) -> Result<Self> {
        let found = version.map_or(Ok(None), |version| tables.files().store(&version.location));
        let found = found.map_err(|error| fault::carried(unusable(table, &error.into())))?;
        Ok(match found {
            Some((url, objects)) => Self { url: ObjectStoreUrl::parse(url)?, objects: Some(objects) },
            None => Self { url: ObjectStoreUrl::local_filesystem(), objects: None },
        })
    }

    /// Its URL, behind which the engine now finds it. A bucket that was opened anew takes the place of the one before.
    pub fn known_to(&self, session: &dyn Session) -> ObjectStoreUrl {
        if let Some(objects) = &self.objects {
            session.runtime_env().register_object_store(self.url.as_ref(), Arc::clone(objects));
        }
        self.url.clone()
    }
}

/// Tables whose files are kept in mind.
const LISTINGS_MAX: usize = 256;

impl Listings {
    /// The files of a version of a table, whose columns are these; found by `fields` where its rows may be deleted.
    ///
    /// # Errors
    /// `HW-LAKE-021` for manifests that cannot be read, 051 for what SQL cannot read.
    pub async fn get(
        &self,
        tables: &Tables,
        table: &str,
        version: &Version,
        of: &SchemaRef,
        fields: Option<&Arc<Fields>>,
    ) -> Result<Listing> {
        if let Some((at, listing)) = self.0.lock().get(table)
            && *at == version.location
        {
            return Ok(listing.clone());
        }
        let unusable = |error: iceberg::Error| fault::carried(unusable(table, &error));
        let unread = |why: &str| fault::carried(fault::unread(table, why));
        let mut entries: Vec<Entry> = Vec::new();
        if let Some(snapshot) = version.metadata.current_snapshot() {
            inside(version, snapshot.manifest_list()).map_err(|why| unread(&why))?;
        }
        for manifest in version.manifests(tables.files()).await.map_err(unusable)? {
            inside(version, &manifest.manifest_path).map_err(|why| unread(&why))?;
            let live = commit::live(tables.files(), slice::from_ref(&manifest)).await.map_err(unusable)?;
            entries.extend(live.into_iter().map(|entry| (manifest.partition_spec_id, entry)));
        }
        readable(version, &entries).map_err(|why| unread(&why))?;
        let (data, deletes): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|(_, entry)| entry.content_type() == DataContentType::Data);
        let listing = match (deletes.is_empty(), fields) {
            (true, _) => {
                let whole = data.iter().map(|entry| listed(version, entry, of)).collect::<Result<_, _>>();
                Listing { whole: whole.map_err(|why: String| unread(&why))?, deletes: None }
            }
            (false, Some(fields)) => {
                Deletes::apart(table, version, of, fields, &data, &deletes).map_err(|why| unread(&why))?
            }
            (false, None) => return Err(unread("it has files of deleted rows")),
        };
        let mut listings = self.0.lock();
        if listings.len() >= LISTINGS_MAX {
            listings.clear();
        }
        listings.insert(table.to_owned(), (version.location.clone(), listing.clone()));
        Ok(listing)
    }
}

/// Refuses files that SQL cannot read, and says why.
fn readable(version: &Version, entries: &[Entry]) -> Result<(), String> {
    for (_, entry) in entries {
        let path = entry.file_path();
        inside(version, path)?;
        match entry.file_format() {
            DataFileFormat::Parquet => {}
            DataFileFormat::Puffin => return Err("it has deletion vectors, of Iceberg's format version 3".to_owned()),
            other => return Err(format!("its file `{path}` is no Parquet, but {other}")),
        }
    }
    Ok(())
}

/// Refuses a file that is not in the folder of its table: whatever the node can read, a client can name.
fn inside(version: &Version, path: &str) -> Result<(), String> {
    match is_in_folder(path, version.metadata.location()) {
        true => Ok(()),
        false => Err(format!("its file `{path}` is not in its folder")),
    }
}

/// A data file of a version with what is known of its columns. All of its rows have the values that it is partitioned
/// by, and the engine takes a value that all rows have from here: files that were Hive's lack such columns.
///
/// # Errors
/// Why its partition cannot be told.
pub fn listed(version: &Version, (spec, entry): &Entry, of: &SchemaRef) -> Result<PartitionedFile, String> {
    let (file, schema) = (entry.data_file(), version.metadata.current_schema());
    let spec = version.partition_spec(*spec).map_err(|error| error.message().to_owned())?;
    let mut listed = scanned(file, schema, of);
    let mut known = listed.statistics.take().map(Arc::unwrap_or_clone).unwrap_or_default();
    for (part, value) in spec.fields().iter().zip(file.partition().iter()) {
        let at = schema.as_struct().fields().iter().position(|field| field.id == part.source_id);
        let (Some(at), Transform::Identity) = (at, part.transform) else { continue };
        let (Some(of), Some(column)) = (of.fields().get(at), known.column_statistics.get_mut(at)) else { continue };
        let value = match value {
            None => {
                column.null_count = known.num_rows;
                continue;
            }
            Some(Literal::Primitive(value)) => constant(value, of.data_type()),
            Some(_) => None,
        };
        if let Some(value) = value.map(Precision::Exact) {
            column.null_count = Precision::Exact(0);
            (column.min_value, column.max_value) = (value.clone(), value);
        }
    }
    Ok(listed.with_statistics(Arc::new(known)))
}

/// A data file with what is known of its columns.
pub fn scanned(file: &DataFile, schema: &Schema, of: &SchemaRef) -> PartitionedFile {
    let fields = schema.as_struct().fields().iter().zip(of.fields());
    let columns = fields.map(|(field, of)| {
        let bound = |bounds: &HashMap<i32, Datum>| {
            let value = commit::believed(file, bounds.get(&field.id));
            let value = value.and_then(|literal| scalar(literal, of.data_type()));
            value.map_or(Precision::Absent, Precision::Exact)
        };
        let nulls = file.null_value_counts().get(&field.id).and_then(|count| usize::try_from(*count).ok());
        ColumnStatistics {
            null_count: nulls.map_or(Precision::Absent, Precision::Exact),
            min_value: bound(file.lower_bounds()),
            max_value: bound(file.upper_bounds()),
            ..ColumnStatistics::new_unknown()
        }
    });
    let number = |count: u64| usize::try_from(count).map_or(Precision::Absent, Precision::Exact);
    let statistics = Statistics {
        num_rows: number(file.record_count()),
        total_byte_size: Precision::Absent,
        column_statistics: columns.collect(),
    };
    let scanned = PartitionedFile::new(key_of(file.file_path()), file.file_size_in_bytes());
    scanned.with_statistics(Arc::new(statistics))
}

/// A bound of a column. It may be cut off, or leave out what is no number, so it says where values cannot be and never
/// which ones there are.
pub fn scalar(literal: &PrimitiveLiteral, of: &DataType) -> Option<ScalarValue> {
    Some(match (literal, of) {
        (PrimitiveLiteral::Boolean(it), DataType::Boolean) => ScalarValue::from(*it),
        (PrimitiveLiteral::Int(it), DataType::Int32) => ScalarValue::from(*it),
        (PrimitiveLiteral::Int(it), DataType::Int64) => ScalarValue::from(i64::from(*it)),
        (PrimitiveLiteral::Int(it), DataType::Date32) => ScalarValue::Date32(Some(*it)),
        (PrimitiveLiteral::Long(it), DataType::Int64) => ScalarValue::from(*it),
        (PrimitiveLiteral::Long(it), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            ScalarValue::TimestampMicrosecond(Some(*it), zone.clone())
        }
        (PrimitiveLiteral::Int128(it), DataType::Decimal128(digits, scale)) => {
            ScalarValue::Decimal128(Some(*it), *digits, *scale)
        }
        (PrimitiveLiteral::String(it), DataType::Utf8) => ScalarValue::from(it.as_str()),
        _ => return None,
    })
}

/// A scan of files.
///
/// # Errors
/// What the engine says.
pub async fn scan(
    session: &dyn Session,
    store: &Store,
    columns: &Columns,
    files: Vec<PartitionedFile>,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let known = files.iter().filter_map(|file| file.statistics.as_deref());
    // Bounds only say where nothing is; whoever wants the least value has to look.
    let mut total = Statistics::try_merge_iter(known, columns.schema())?.to_inexact();
    total.num_rows = files.iter().fold(Precision::Exact(0), |sum, file| {
        sum.add(&file.statistics.as_ref().map_or(Precision::Absent, |known| known.num_rows))
    });
    distinct::guess(&mut total, columns.schema());
    // What is deleted of files with a number is told by the places of their rows (`deletes/left.rs`), the engine takes a
    // limit from whole row groups, and what a bucket sends for a piece is most of the row group.
    let stay_whole = !columns.table.table_partition_cols().is_empty() || limit.is_some() || store.objects.is_some();
    let files = if stay_whole { files } else { pieces::split(session, files) };
    let groups = FileGroup::new(files).split_files(session.config().target_partitions());
    let source = Arc::new(ParquetSource::new(columns.table.clone()));
    let config = FileScanConfigBuilder::new(store.known_to(session), source)
        .with_file_groups(groups)
        .with_statistics(total)
        .with_projection_indices(projection.cloned())?
        .with_limit(limit)
        .with_expr_adapter(columns.adapter())
        .build();
    ParquetFormat::default().create_physical_plan(session, config).await
}

/// The rows of one file, while a query runs.
///
/// # Errors
/// What the engine says.
pub fn read(
    url: &ObjectStoreUrl,
    columns: &Columns,
    file: PartitionedFile,
    context: &Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let source = Arc::new(ParquetSource::new(columns.table.clone()));
    let config =
        FileScanConfigBuilder::new(url.clone(), source).with_file(file).with_expr_adapter(columns.adapter()).build();
    DataSourceExec::from_data_source(config).execute(0, Arc::clone(context))
}

/// Of rows with the columns `read`, those that are `wanted`; both are numbers of the table's, `read` in their order.
///
/// # Errors
/// What the engine says.
pub fn narrowed(rows: Arc<dyn ExecutionPlan>, read: &[usize], wanted: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
    if read == wanted {
        return Ok(rows);
    }
    let schema = rows.schema();
    let shown = wanted.iter().filter_map(|column| {
        let at = read.binary_search(column).ok()?;
        let name = schema.fields().get(at)?.name();
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, at));
        Some((column, name.clone()))
    });
    Ok(Arc::new(ProjectionExec::try_new(shown, rows)?))
}

#[cfg(test)]
mod tests;
