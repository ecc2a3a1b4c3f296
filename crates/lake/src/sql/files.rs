//! The files of a table as a scan. What the manifests say of each (rows, least and greatest values, nulls) goes with it,
//! so that planning opens no file, counting needs none, and a filter leaves closed what cannot match.
//!
//! What a version has is read once: it never changes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::datasource::file_format::FileFormat as _;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;
use iceberg::spec::{DataFile, Datum, ManifestContentType, PrimitiveLiteral, Schema};
use object_store::ObjectStore;
use parking_lot::Mutex;

use super::fault;
use crate::commit::{self, Version};
use crate::files::key_of;
use crate::tables::{Tables, unusable};

/// The files of versions that were asked for last.
#[derive(Default)]
pub struct Listings(Mutex<HashMap<String, (String, Listing)>>);

/// Files that can be scanned.
pub type Listing = Arc<[PartitionedFile]>;

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
    fn known_to(&self, session: &dyn Session) -> ObjectStoreUrl {
        if let Some(objects) = &self.objects {
            session.runtime_env().register_object_store(self.url.as_ref(), Arc::clone(objects));
        }
        self.url.clone()
    }
}

/// Tables whose files are kept in mind.
const LISTINGS_MAX: usize = 256;

impl Listings {
    /// The files of a version of a table, whose columns are these.
    ///
    /// # Errors
    /// `HW-LAKE-021` for manifests that cannot be read, 051 for what SQL cannot read.
    pub async fn get(&self, tables: &Tables, table: &str, version: &Version, of: &SchemaRef) -> Result<Listing> {
        if let Some((at, listing)) = self.0.lock().get(table)
            && *at == version.location
        {
            return Ok(Arc::clone(listing));
        }
        let unusable = |error: iceberg::Error| fault::carried(unusable(table, &error));
        let manifests = version.manifests(tables.files()).await.map_err(unusable)?;
        if manifests.iter().any(|manifest| manifest.content == ManifestContentType::Deletes) {
            return Err(fault::carried(fault::unread(table, "it has files of deleted rows")));
        }
        let schema = version.metadata.current_schema();
        let live = commit::live(tables.files(), &manifests).await.map_err(unusable)?;
        let folder = format!("{}/", version.metadata.location());
        if let Some(entry) =
            live.iter().find(|it| !it.file_path().starts_with(&folder) || it.file_path().contains("/.."))
        {
            let fact = format!("its file `{}` is not in its folder", entry.file_path());
            return Err(fault::carried(fault::unread(table, &fact)));
        }
        let listing: Listing = live.iter().map(|entry| scanned(entry.data_file(), schema, of)).collect();
        let mut listings = self.0.lock();
        if listings.len() >= LISTINGS_MAX {
            listings.clear();
        }
        listings.insert(table.to_owned(), (version.location.clone(), Arc::clone(&listing)));
        Ok(listing)
    }
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
fn scalar(literal: &PrimitiveLiteral, of: &DataType) -> Option<ScalarValue> {
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
    schema: &SchemaRef,
    files: Vec<PartitionedFile>,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let known = files.iter().filter_map(|file| file.statistics.as_deref());
    // Bounds only say where nothing is; whoever wants the least value has to look.
    let mut total = Statistics::try_merge_iter(known, schema)?.to_inexact();
    total.num_rows = files.iter().fold(Precision::Exact(0), |sum, file| {
        sum.add(&file.statistics.as_ref().map_or(Precision::Absent, |known| known.num_rows))
    });
    let groups = FileGroup::new(files).split_files(session.config().target_partitions());
    let source = Arc::new(ParquetSource::new(Arc::clone(schema)));
    let config = FileScanConfigBuilder::new(store.known_to(session), source)
        .with_file_groups(groups)
        .with_statistics(total)
        .with_projection_indices(projection.cloned())?
        .with_limit(limit)
        .build();
    ParquetFormat::default().create_physical_plan(session, config).await
}

#[cfg(test)]
mod tests;
