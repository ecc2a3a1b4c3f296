//! Tables of the lake. A dataset is the files of its current snapshot, behind them what its thread has read meanwhile, and
//! behind that the log; a table that a client of the catalog made is its files.
//!
//! Invariant: each begins where the one before ends, and the log where both end, up to what is durable; so each event is
//! there once at whatever moment a query comes. An event that does not fit the columns is no row here either. Where rows
//! have a key, what stands behind the files takes the places of rows in them (`keyed.rs`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraint, Constraints, DataFusionError, Result, project_schema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::union::UnionExec;
use headwater_base::Problem;
use headwater_log::{LogError, Offset, Stream, View};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::Schema;

use super::catalog::Sources;
use super::dependencies;
use super::fault;
use super::fields::Fields;
use super::files::{self, Columns, Listing, Store};
use super::keyed::Behind;
use super::nodes;
use super::span::Span;
use crate::commit::Version;
use crate::kinds::dataset::{DatasetSpec, space};
use crate::layout::Layout;
use crate::positions::{Positions, SUMMARY_KEY, stream_id};
use crate::rows::{Changes, Rows};
use crate::tables::{POINTER, Tables, unusable};
use crate::tail::Taken;

/// So often a tail that stands behind another version is looked at again.
const TRIES: usize = 3;

/// A table at one position.
pub struct LakeTable {
    name: String,
    /// Which rows it has, if that can be said.
    position: Option<String>,
    schema: SchemaRef,
    /// Where its files are.
    store: Store,
    /// How its columns are found in its files, if not by name.
    fields: Option<Arc<Fields>>,
    /// Files of the current snapshot.
    snapshot: Listing,
    /// Files that are in no snapshot yet.
    sealed: Vec<PartitionedFile>,
    /// Rows that are in no file yet.
    batches: Vec<RecordBatch>,
    /// Events that are no rows yet.
    log: Vec<Arc<dyn PartitionStream>>,
    /// Where rows have a key, what stands behind the files instead of rows.
    behind: Option<Behind>,
    /// That no two rows have the same key: whoever groups by it may name every column (`dependencies.rs`).
    constraints: Option<Constraints>,
}

impl fmt::Debug for LakeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeTable({})", self.name)
    }
}

impl LakeTable {
    /// A dataset as it is now. One whose table has not been made yet is its stream from the beginning.
    ///
    /// # Errors
    /// `HW-LAKE-020` for a stream that is another one, 021 for files that cannot be read, 045 for a stream that cannot.
    pub async fn dataset(sources: &Sources, name: &str, spec: &DatasetSpec) -> Result<Self> {
        let unusable = |error: iceberg::Error| fault::carried(unusable(name, &error));
        let layout = Layout::of(spec).map_err(|faults| match faults.into_iter().next() {
            Some((_, problem)) => fault::carried(problem),
            None => DataFusionError::Internal("a layout without a fault is refused".to_owned()),
        })?;
        let tables = sources.catalog.lake();
        let source = spec.source().map_err(fault::carried)?;
        let (version, durable, taken) = seen(tables, name, source.as_str()).await?;
        let of_table = match &version {
            Some(version) => Arc::clone(version.metadata.current_schema()),
            None => Arc::new(layout.schema.clone()),
        };
        let schema = bare(&schema_to_arrow_schema(&of_table).map_err(unusable)?, Field::clone);
        let snapshot = match &version {
            Some(version) => sources.listings.get(tables, &space(name), version, &schema, None).await?,
            None => Listing::default(),
        };
        let sealed = taken.files.iter().map(|file| files::scanned(file, &of_table, &schema)).collect();
        let changes = match layout.key.as_slice() {
            [] => None,
            key => Some(Changes::new(&schema, key)?),
        };
        let of_rows = Arc::clone(changes.as_ref().map_or(&schema, Changes::schema));
        let as_rows = |batch: &RecordBatch| RecordBatch::try_new(Arc::clone(&of_rows), batch.columns().to_vec());
        let mut table = Self {
            name: name.to_owned(),
            position: version.as_ref().map(|version| format!("{} {durable:?}", version.location)),
            schema,
            store: Store::of(tables, name, version.as_ref())?,
            fields: None,
            snapshot,
            sealed,
            batches: taken.batches.iter().map(as_rows).collect::<Result<_, _>>()?,
            log: Vec::new(),
            behind: None,
            constraints: changes.as_ref().map(unique),
        };
        let log = tables.log();
        let Some(stream) = log.stream(source.as_str()) else { return Ok(table.keyed(changes)) };
        let snapshot = version.as_ref().and_then(|version| version.metadata.current_snapshot());
        let positions =
            snapshot.and_then(|snapshot| Positions::decode(snapshot.summary().additional_properties.get(SUMMARY_KEY)?));
        if positions.as_ref().is_some_and(|positions| positions.stream != stream_id(stream.id)) {
            let fact = format!("the stream `{}` is not the one that `{name}` was made of", stream.name);
            return Err(fault::carried(Problem::new("HW-LAKE-020", fact)));
        }
        for (partition, end) in (0_u32..).zip(durable) {
            let of_tail = taken.ends.as_ref().and_then(|ends| ends.get(partition as usize)).copied();
            let of_files = || Some(positions.as_ref()?.partitions.get(&partition)?[1]);
            let next = of_tail.or_else(of_files).unwrap_or(0);
            if next < end {
                let decompressed_max = sources.kernel.limits().batch_decompressed_bytes;
                let (log, stream) = (Arc::clone(log), Arc::clone(&stream));
                // Of a batch that cannot be read the dataset's own thread tells when it comes there: by a dead letter,
                // as of what does not fit; in a dataset of letters, which has none, by a row, missing until then.
                let span = Span { log, stream, partition, next, end, decompressed_max, lenient: true };
                let (layout, of_table) = (layout.clone(), Arc::clone(&of_table));
                table.log.push(Arc::new(Unread { schema: Arc::clone(&of_rows), layout, of_table, span }));
            }
        }
        Ok(table.keyed(changes))
    }

    /// With a key, if it has one.
    fn keyed(mut self, changes: Option<Changes>) -> Self {
        self.behind = changes.map(|changes| {
            let (batches, log) = (std::mem::take(&mut self.batches), std::mem::take(&mut self.log));
            Behind { changes, batches, log }
        });
        self
    }

    /// A table that a client of the catalog made.
    ///
    /// # Errors
    /// `HW-LAKE-021` for files that cannot be read, 051 for a table that SQL cannot read.
    pub async fn foreign(sources: &Sources, namespace: &str, name: &str, version: &Version) -> Result<Self> {
        let (tables, shown) = (sources.catalog.lake(), format!("{namespace}.{name}"));
        let schema = schema_to_arrow_schema(version.metadata.current_schema());
        let schema = bare(&schema.map_err(|error| fault::carried(unusable(&shown, &error)))?, bare_within);
        let fields = Fields::of(&version.metadata).map_err(|why| fault::carried(fault::unread(&shown, &why)))?;
        let fields = Some(Arc::new(fields));
        let snapshot = sources.listings.get(tables, &shown, version, &schema, fields.as_ref()).await?;
        let position = Some(version.location.clone());
        let store = Store::of(tables, &shown, Some(version))?;
        let (sealed, batches, log) = (Vec::new(), Vec::new(), Vec::new());
        // What a client says of its rows' identity, nobody has checked.
        let (behind, constraints) = (None, None);
        Ok(Self { name: shown, position, schema, store, fields, snapshot, sealed, batches, log, behind, constraints })
    }

    /// What determines its rows: no two tables that have the same differ in them.
    pub fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }
}

/// What a key says of the rows of a table.
fn unique(changes: &Changes) -> Constraints {
    Constraints::new_unverified(vec![Constraint::PrimaryKey(changes.keys().columns().to_vec())])
}

/// A schema without Iceberg's numbers of its columns, which mean nothing here: two fields that differ in them alone are
/// two to the engine, which then refuses a recursive query, or lists from two places in one column.
fn bare(schema: &ArrowSchema, within: impl Fn(&Field) -> Field) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| within(field).with_metadata(HashMap::new()));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// The same within lists and structs: for rows that come out of files alone, where they are cast.
fn bare_within(field: &Field) -> Field {
    let inner = |field: &FieldRef| Arc::new(bare_within(field).with_metadata(HashMap::new()));
    let kind = match field.data_type() {
        DataType::List(item) => DataType::List(inner(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    };
    field.clone().with_data_type(kind)
}

/// The current version of a dataset, how far each partition of its stream is durable, and what of the tail goes with
/// both. A tail that a commit has just moved behind another version is looked at again; the log has its events, too.
async fn seen(tables: &Tables, name: &str, stream: &str) -> Result<(Option<Version>, Vec<Offset>, Taken)> {
    let log = tables.log();
    let ends = |stream: Arc<Stream>| {
        let durable = |partition| Ok(log.ends(&stream.name, partition)?.durable);
        (0..stream.config.partitions).map(durable).collect::<Result<Vec<_>, LogError>>()
    };
    let mut tries = 0;
    loop {
        let version = tables.version(&space(name), POINTER, View::Durable).await.map_err(fault::carried)?;
        let durable = log.stream(stream).map_or(Ok(Vec::new()), ends);
        let durable = durable.map_err(|error| fault::unreadable(stream, error))?;
        let taken = match (&version, tables.tail(name)) {
            (Some(version), Some(tail)) => tail.take(version, &durable),
            _ => Some(Taken::default()),
        };
        tries += 1;
        if taken.is_some() || tries == TRIES {
            return Ok((version, durable, taken.unwrap_or_default()));
        }
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        self.constraints.as_ref().filter(|_| dependencies::are_keys_shown())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // They keep files closed; the engine looks at every row again.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(behind) = self.behind.as_ref().filter(|behind| !behind.is_empty()) {
            return behind.scan(session, &self.store, self.snapshot.whole.to_vec(), projection).await;
        }
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !self.snapshot.whole.is_empty() || !self.sealed.is_empty() {
            let files = self.snapshot.whole.iter().chain(&self.sealed).cloned().collect();
            let columns = Columns::new(&self.schema, self.fields.as_ref());
            parts.push(files::scan(session, &self.store, &columns, files, projection, limit).await?);
        }
        if let Some(deletes) = &self.snapshot.deletes {
            parts.push(deletes.scan(session, &self.store, projection).await?);
        }
        if !self.batches.is_empty() {
            let threads = session.config().target_partitions().max(1);
            let each = self.batches.len().div_ceil(threads);
            let split: Vec<Vec<RecordBatch>> = self.batches.chunks(each).map(<[_]>::to_vec).collect();
            parts.push(MemorySourceConfig::try_new_exec(&split, self.schema(), projection.cloned())?);
        }
        if !self.log.is_empty() {
            let log = self.log.clone();
            parts.push(Arc::new(StreamingTableExec::try_new(self.schema(), log, projection, [], false, limit)?));
        }
        match (parts.pop(), parts.is_empty()) {
            (None, _) => Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?))),
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                parts.push(last);
                UnionExec::try_new(parts)
            }
        }
    }
}

/// The events of a partition that the dataset's thread has not read yet.
#[derive(Debug)]
struct Unread {
    schema: SchemaRef,
    layout: Layout,
    of_table: Arc<Schema>,
    span: Span,
}

impl PartitionStream for Unread {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let begin =
            Rows::new(&self.layout, &self.of_table).map(|rows| (self.span.clone(), rows, Arc::clone(&self.schema)));
        let batches = async move {
            let begin = begin.map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok::<_, DataFusionError>(futures::stream::try_unfold(begin, |(mut span, mut rows, schema)| async move {
                while rows.is_empty() {
                    let partition = span.partition;
                    // What does not fit is a dead letter, which the dataset's own thread writes; letters always fit.
                    let read = span.read(|record| drop(rows.push(record, partition)))?;
                    if read == 0 {
                        return Ok(None);
                    }
                }
                let batch = RecordBatch::try_new(Arc::clone(&schema), rows.finish()?.columns().to_vec())?;
                Ok(Some((batch, (span, rows, schema))))
            }))
        };
        nodes::rows(Arc::clone(&self.schema), batches)
    }
}
