//! Datasets as tables: the files of the current snapshot and, behind them, the events that no snapshot has yet.
//!
//! Invariant: the snapshot is taken first, and the tail begins where that ends, so that each event is there once at
//! whatever moment a query comes. An event that does not fit the columns is no row here either.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::union::UnionExec;
use headwater_base::Problem;
use headwater_log::View;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::Schema;

use super::fault;
use super::span::Span;
use crate::columns::Column;
use crate::kinds::dataset::{DatasetSpec, space};
use crate::layout::Layout;
use crate::positions::{Positions, SUMMARY_KEY, stream_id};
use crate::rows::Rows;
use crate::tables::{POINTER, Tables, unusable};

/// A dataset at one position.
pub struct DatasetTable {
    name: String,
    schema: SchemaRef,
    /// The files of the snapshot, if there are any.
    files: Option<ListingTable>,
    tail: Vec<Arc<dyn PartitionStream>>,
}

impl fmt::Debug for DatasetTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatasetTable({})", self.name)
    }
}

impl DatasetTable {
    /// A dataset as it is now. One whose table has not been made yet is its stream from the beginning.
    ///
    /// # Errors
    /// `HW-LAKE-021` for files that cannot be read, `HW-LAKE-045` for a stream that cannot.
    pub async fn pin(tables: &Tables, name: &str, spec: &DatasetSpec, decompressed_max: usize) -> Result<Self> {
        let unusable = |error: iceberg::Error| fault::carried(unusable(name, &error));
        let layout = Layout::of(spec).map_err(|faults| match faults.into_iter().next() {
            Some((_, problem)) => fault::carried(problem),
            None => DataFusionError::Internal("a layout without a fault is refused".to_owned()),
        })?;
        let version = tables.version(&space(name), POINTER, View::Durable).map_err(fault::carried)?;
        let (of_table, live) = match &version {
            Some(version) => {
                let live = version.live(tables.files()).await.map_err(unusable)?;
                (Arc::clone(version.metadata.current_schema()), live)
            }
            None => (Arc::new(layout.schema.clone()), Vec::new()),
        };
        let schema = Arc::new(schema_to_arrow_schema(&of_table).map_err(unusable)?);
        let files = match live.is_empty() {
            true => None,
            false => {
                let paths =
                    live.iter().map(|entry| ListingTableUrl::parse(entry.file_path())).collect::<Result<_>>()?;
                let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_collect_stat(true);
                let config = ListingTableConfig::new_with_multi_paths(paths).with_listing_options(options);
                Some(ListingTable::try_new(config.with_schema(Arc::clone(&schema)))?)
            }
        };
        let snapshot = version.as_ref().and_then(|version| version.metadata.current_snapshot());
        let positions =
            snapshot.and_then(|snapshot| Positions::decode(snapshot.summary().additional_properties.get(SUMMARY_KEY)?));
        let log = tables.log();
        let Some(stream) = log.stream(&spec.stream) else {
            return Ok(Self { name: name.to_owned(), schema, files, tail: Vec::new() });
        };
        if positions.as_ref().is_some_and(|positions| positions.stream != stream_id(stream.id)) {
            let fact = format!("the stream `{}` is not the one that `{name}` was made of", stream.name);
            return Err(fault::carried(Problem::new("HW-LAKE-020", fact)));
        }
        let mut tail: Vec<Arc<dyn PartitionStream>> = Vec::new();
        for partition in 0..stream.config.partitions {
            let ends = log.ends(&stream.name, partition).map_err(|error| fault::unreadable(&spec.stream, error))?;
            let next = positions.as_ref().and_then(|positions| positions.partitions.get(&partition));
            let next = next.map_or(ends.start, |[_, end]| (*end).max(ends.start));
            if next < ends.durable {
                let (log, stream) = (Arc::clone(log), Arc::clone(&stream));
                let span = Span { log, stream, partition, next, end: ends.durable, decompressed_max };
                let (columns, of_table) = (layout.columns.clone(), Arc::clone(&of_table));
                tail.push(Arc::new(Tail { schema: Arc::clone(&schema), columns, of_table, span }));
            }
        }
        Ok(Self { name: name.to_owned(), schema, files, tail })
    }
}

#[async_trait]
impl TableProvider for DatasetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // They spare reading files; the engine looks at every row again.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if let Some(files) = &self.files {
            parts.push(files.scan(session, projection, filters, limit).await?);
        }
        if !self.tail.is_empty() || parts.is_empty() {
            let tail = self.tail.clone();
            parts.push(Arc::new(StreamingTableExec::try_new(self.schema(), tail, projection, [], false, limit)?));
        }
        match parts.len() {
            1 => parts.pop().ok_or_else(|| DataFusionError::Internal("a scan of nothing".to_owned())),
            _ => UnionExec::try_new(parts),
        }
    }
}

/// The events of a partition that no snapshot has yet.
#[derive(Debug)]
struct Tail {
    schema: SchemaRef,
    columns: Vec<Column>,
    of_table: Arc<Schema>,
    span: Span,
}

impl PartitionStream for Tail {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let begin = Rows::new(&self.columns, &self.of_table).map(|rows| (self.span.clone(), rows));
        let batches = async move {
            let begin = begin.map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok::<_, DataFusionError>(futures::stream::try_unfold(begin, |(mut span, mut rows)| async move {
                while rows.is_empty() {
                    let partition = span.partition;
                    // What does not fit is a dead letter, which the dataset's own thread writes.
                    let read = span.read(|record| drop(rows.push(record, partition)))?;
                    if read == 0 {
                        return Ok(None);
                    }
                }
                let batch = rows.finish()?;
                Ok(Some((batch, (span, rows))))
            }))
        };
        let batches = futures::TryStreamExt::try_flatten(futures::stream::once(batches));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}
