//! The last row of each key: what stands behind a snapshot is read first and as a whole, then the snapshot's files without
//! the rows of its keys, and what it leaves of itself.
//!
//! What a filter says of columns goes below, to the files alone (`hints.rs`): which row is the last of its key is known
//! without it. So a row that was replaced never comes back because the one in its place does
//! not fit. Limits stay above.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties,
};
use futures::StreamExt as _;
use tokio::sync::OnceCell;

use super::files::{self, Columns, Store};
use super::hints;
use super::nodes;
use crate::rows::{Changes, KeySet};

/// Changes are put together whenever they have become so many bytes, or twice as many as were left the last time.
const TOGETHER_BYTES: usize = 8 << 20;

/// What stands behind a snapshot.
#[derive(Clone, Debug)]
pub struct Behind {
    /// What the batches are.
    pub changes: Changes,
    /// Changes in memory.
    pub batches: Vec<RecordBatch>,
    /// Changes that are in the log alone, later than those.
    pub log: Vec<Arc<dyn PartitionStream>>,
}

/// What it leaves of itself.
#[derive(Debug)]
struct Settled {
    rows: RecordBatch,
    keys: KeySet,
    _room: MemoryReservation,
}

impl Behind {
    /// Whether nothing stands there.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.log.is_empty()
    }

    /// A scan of the rows of these files that it leaves, and of its own.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn scan(
        &self,
        session: &dyn Session,
        store: &Store,
        files: Vec<PartitionedFile>,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = self.changes.stored();
        let wanted = projection.cloned().unwrap_or_else(|| (0..all.fields().len()).collect());
        let mut read = [wanted.as_slice(), self.changes.keys().columns()].concat();
        read.sort_unstable();
        read.dedup();
        let files = match files.is_empty() {
            true => None,
            false => Some(files::scan(session, store, &Columns::new(all, None), files, Some(&read), None).await?),
        };
        let last: Arc<dyn ExecutionPlan> = Arc::new(KeyedExec::new(files, self.within(&read)?));
        files::narrowed(last, &read, &wanted)
    }

    /// The same of some columns, with the key's among them.
    fn within(&self, columns: &[usize]) -> Result<Self> {
        let changes = self.changes.within(columns);
        let changes = changes.ok_or_else(|| DataFusionError::Internal("a key is not among its columns".to_owned()))?;
        let places = self.changes.places(columns);
        let narrow = |batch: &RecordBatch| batch.project(&places);
        let batches = self.batches.iter().map(narrow).collect::<Result<_, _>>()?;
        let narrow = |part: &Arc<dyn PartitionStream>| {
            let (part, schema) = (Arc::clone(part), Arc::clone(changes.schema()));
            Arc::new(Narrow { part, places: places.clone(), schema }) as Arc<dyn PartitionStream>
        };
        let log = self.log.iter().map(narrow).collect();
        Ok(Self { changes, batches, log })
    }

    /// Reads it to its end.
    async fn settled(&self, context: &Arc<TaskContext>) -> Result<Settled> {
        let room = MemoryConsumer::new("KeyedExec").register(context.memory_pool());
        let mut gathered = self.changes.of(&self.batches)?;
        let mut left = gathered.get_array_memory_size();
        room.try_grow(left)?;
        let (mut fresh, mut bytes) = (Vec::new(), 0);
        for part in &self.log {
            let mut batches = part.execute(Arc::clone(context));
            while let Some(batch) = batches.next().await {
                let batch = batch?;
                bytes += batch.get_array_memory_size();
                room.try_resize(left + bytes)?;
                fresh.push(batch);
                if bytes >= left.max(TOGETHER_BYTES) {
                    gathered = self.changes.of([&gathered].into_iter().chain(&fresh))?;
                    fresh.clear();
                    (left, bytes) = (gathered.get_array_memory_size(), 0);
                    room.try_resize(left)?;
                }
                // The log answers at once; others want the thread, too.
                tokio::task::yield_now().await;
            }
        }
        gathered = self.changes.of([&gathered].into_iter().chain(&fresh))?;
        let keys = KeySet::new(self.changes.keys(), &gathered)?;
        let rows = self.changes.rows(&gathered)?;
        room.try_resize(rows.get_array_memory_size() + keys.bytes())?;
        Ok(Settled { rows, keys, _room: room })
    }
}

/// Some columns of a part of the log.
#[derive(Debug)]
struct Narrow {
    part: Arc<dyn PartitionStream>,
    places: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionStream for Narrow {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let places = self.places.clone();
        let narrow = move |batch: Result<RecordBatch>| -> Result<RecordBatch> { Ok(batch?.project(&places)?) };
        let batches = self.part.execute(context).map(narrow);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// Rows of files that nothing behind them has replaced, and in the last partition those that have.
struct KeyedExec {
    files: Option<Arc<dyn ExecutionPlan>>,
    behind: Arc<Behind>,
    /// Read by whichever partition comes first.
    settled: Arc<OnceCell<Arc<Settled>>>,
    properties: Arc<PlanProperties>,
}

impl KeyedExec {
    fn new(files: Option<Arc<dyn ExecutionPlan>>, behind: Behind) -> Self {
        Self::over(files, Arc::new(behind), Arc::default())
    }

    fn over(files: Option<Arc<dyn ExecutionPlan>>, behind: Arc<Behind>, settled: Arc<OnceCell<Arc<Settled>>>) -> Self {
        let properties = nodes::properties(Arc::clone(behind.changes.stored()), parts(files.as_ref()) + 1);
        Self { files, behind, settled, properties }
    }
}

fn parts(files: Option<&Arc<dyn ExecutionPlan>>) -> usize {
    files.map_or(0, |files| files.output_partitioning().partition_count())
}

impl fmt::Debug for KeyedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl DisplayAs for KeyedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Behind { changes, batches, log } = &*self.behind;
        let key = changes.keys().columns().iter().filter_map(|column| changes.stored().fields().get(*column));
        let key: Vec<&str> = key.map(|field| field.name().as_str()).collect();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        write!(f, "KeyedExec: key=[{}], changes={rows}, unread_partitions={}", key.join(", "), log.len())
    }
}

impl ExecutionPlan for KeyedExec {
    fn name(&self) -> &'static str {
        "KeyedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children().len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.files.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        // What stands behind is pinned, so it stays what it is.
        let (behind, settled) = (Arc::clone(&self.behind), Arc::clone(&self.settled));
        Ok(Arc::new(Self::over(children.into_iter().next(), behind, settled)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        match (&self.files, partition) {
            (Some(files), None) => Ok(Arc::new(files.partition_statistics(None)?.as_ref().clone().to_inexact())),
            _ => Ok(Arc::new(Statistics::new_unknown(&self.schema()))),
        }
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        hints::below(self, filters)
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(hints::above(result))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let (behind, cell) = (Arc::clone(&self.behind), Arc::clone(&self.settled));
        let of_context = Arc::clone(&context);
        let settled = async move {
            let settled = cell.get_or_try_init(|| async { behind.settled(&of_context).await.map(Arc::new) }).await?;
            Ok::<_, DataFusionError>(Arc::clone(settled))
        };
        let Some(files) = self.files.as_ref().filter(|_| partition < parts(self.files.as_ref())) else {
            let most = context.session_config().batch_size().max(1);
            let rows = async move {
                let rows = settled.await?.rows.clone();
                let count = rows.num_rows();
                let slice = move |from: usize| Ok::<_, DataFusionError>(rows.slice(from, most.min(count - from)));
                Ok::<_, DataFusionError>(futures::stream::iter((0..count).step_by(most).map(slice)))
            };
            return Ok(nodes::rows(schema, rows));
        };
        let rows = files.execute(partition, context)?;
        let keys = self.behind.changes.keys().clone();
        let rows = async move {
            let settled = settled.await?;
            let others = move |batch: Result<RecordBatch>| -> Result<RecordBatch> {
                let batch = batch?;
                if settled.keys.is_empty() {
                    return Ok(batch);
                }
                Ok(filter_record_batch(&batch, &settled.keys.others(&keys, &batch)?)?)
            };
            Ok::<_, DataFusionError>(rows.map(others))
        };
        Ok(nodes::rows(schema, rows))
    }
}
