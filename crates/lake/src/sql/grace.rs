//! Joins that do not fit into the memory of queries, carried out once more through files.
//!
//! The engine's hash join holds all rows of one side, and where they do not fit the statement ends. So a statement that
//! finds the memory exhausted before its first row is planned a second time, from the same logical plan over the same
//! pinned tables. There each hash join writes both sides to files, divided into buckets by the hash of their keys, and
//! joins one bucket after the other: a Grace hash join. All of it happens within the rows of the statement, so whoever
//! asks, turn, time and place in the list are those of one statement, however it came.
//!
//! What it is NOT: a way for all joins. Joins without equal keys have nothing to be divided by, and a `NOT IN` over values
//! that may be null has to know of nulls in other buckets: these have to fit, and so has each bucket.
//!
//! Invariants: a statement is planned again once at most, and never after it has given out a row, so none comes twice.
//!
//! # Source
//! Kitsuregawa, Tanaka and Moto-oka, "Application of Hash to Data Base Machine and Its Architecture" (1983). The
//! engine's sort-merge join is no substitute in `datafusion-physical-plan` 54.1: it takes `NOT IN` for `NOT EXISTS`, its
//! semi joins with a filter forget all but the last file of a key's rows, and its merges take memory from the other side.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::disk_manager::RefCountedTempFile;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet, SpillMetrics, Time};
use datafusion::physical_plan::repartition::BatchPartitioner;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SpillManager, execute_stream,
};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, future, stream};

use super::nodes;
use super::queries::Query;

/// Files that each side of a join is divided into: with as many, what fits into `sqlSpillBytes` fits into the memory of
/// queries bucket by bucket, as both are set by default.
const BUCKETS: usize = 64;

/// How long the first plan may take to give its memory back.
const RELEASED_MAX: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// Set while a statement is planned whose joins have not fitted.
    static AGAIN: ();
}

/// A join whose rows meet only those of their own bucket.
fn divisible(node: &Arc<dyn ExecutionPlan>) -> Option<&HashJoinExec> {
    node.downcast_ref::<HashJoinExec>().filter(|join| !join.null_aware)
}

/// Starts a plan that only reads, and may be read more than once.
///
/// # Errors
/// What the engine says.
pub async fn start(
    state: &SessionState,
    plan: LogicalPlan,
    task: Arc<TaskContext>,
    query: &Arc<Query>,
) -> Result<SendableRecordBatchStream> {
    let first = state.create_physical_plan(&plan).await?;
    if !first.exists(|node| Ok(divisible(node).is_some()))? {
        return execute_stream(first, task).map(|rows| query.within(rows));
    }
    // To have the state at hand costs a copy of its tables of functions, some hundred short names: little beside a join.
    Ok(nodes::rows(first.schema(), begun(first, plan, state.clone(), task, Arc::clone(query))))
}

/// The rows of a plan, or those of the statement planned again where the memory is exhausted before the first of them.
///
/// # Errors
/// What either of them ends with.
async fn begun(
    first: Arc<dyn ExecutionPlan>,
    plan: LogicalPlan,
    state: SessionState,
    task: Arc<TaskContext>,
    query: Arc<Query>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let mut rows = query.within(execute_stream(first, Arc::clone(&task))?);
    let batch = rows.next().await;
    let is_exhausted = |error: &DataFusionError| matches!(error.find_root(), DataFusionError::ResourcesExhausted(_));
    if !matches!(&batch, Some(Err(error)) if is_exhausted(error)) {
        return Ok(stream::iter(batch).chain(rows).boxed());
    }
    // With them goes the memory that they take, once the tasks that have it are polled again to be dropped.
    drop(rows);
    let released = async {
        while query.reserved() > 0 {
            tokio::task::yield_now().await;
        }
    };
    // What is not given back by then, the second plan has to do without.
    let _ = tokio::time::timeout(RELEASED_MAX, released).await;
    query.renew();
    tracing::debug!("a statement with joins does not fit into memory");
    let again = AGAIN.scope((), state.create_physical_plan(&plan)).await?;
    Ok(query.within(execute_stream(again, task)?).boxed())
}

/// Divides the joins of statements that are planned again. It stands before the rules that put rows into orders and
/// parts, so that these know that a divided join keeps neither.
#[derive(Debug)]
pub struct Divides;

impl PhysicalOptimizerRule for Divides {
    fn name(&self) -> &'static str {
        "Divides"
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if AGAIN.try_with(|()| ()).is_err() {
            return Ok(plan);
        }
        let divide = |node: Arc<dyn ExecutionPlan>| -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
            let join = divisible(&node).filter(|join| !join.contains_projection() && join.fetch().is_none());
            let Some(join) = join else { return Ok(Transformed::no(node)) };
            let join = over(join, Arc::clone(join.left()), Arc::clone(join.right()))?;
            Ok(Transformed::yes(Arc::new(GraceJoinExec::new(join))))
        };
        Ok(plan.transform_up(divide)?.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A join like another one, of other rows that are one part each.
fn over(like: &HashJoinExec, left: Arc<dyn ExecutionPlan>, right: Arc<dyn ExecutionPlan>) -> Result<HashJoinExec> {
    let (on, filter) = (like.on.clone(), like.filter.clone());
    let mode = PartitionMode::Partitioned;
    HashJoinExec::try_new(left, right, on, filter, &like.join_type, None, mode, like.null_equality, false)
}

/// A join of one bucket after the other.
struct GraceJoinExec {
    /// What is joined, and how. It is carried out for each bucket, over that one's rows.
    join: Arc<HashJoinExec>,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl GraceJoinExec {
    fn new(join: HashJoinExec) -> Self {
        let properties = nodes::properties(join.schema(), 1);
        Self { join: Arc::new(join), metrics: ExecutionPlanMetricsSet::new(), properties }
    }
}

impl fmt::Debug for GraceJoinExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GraceJoinExec")
    }
}

impl DisplayAs for GraceJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraceJoinExec: join_type={:?}, on=[", self.join.join_type)?;
        for (at, (left, right)) in self.join.on.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}({left}, {right})")?;
        }
        f.write_str("]")
    }
}

impl ExecutionPlan for GraceJoinExec {
    /// Ends as the names of joins do, by which `yielding.rs` knows them.
    fn name(&self) -> &'static str {
        "GraceJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false, false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![self.join.left(), self.join.right()]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        let left = children.next().unwrap_or_else(|| Arc::clone(self.join.left()));
        let right = children.next().unwrap_or_else(|| Arc::clone(self.join.right()));
        Ok(Arc::new(Self::new(over(&self.join, left, right)?)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let written = SpillMetrics::new(&self.metrics, 0);
        Ok(nodes::rows(self.schema(), joined(Arc::clone(&self.join), written, context)))
    }
}

/// Writes both sides of a join to files, and gives the rows that the buckets of both make.
///
/// # Errors
/// What either side ends with, and what the disk says.
async fn joined(
    join: Arc<HashJoinExec>,
    written: SpillMetrics,
    context: Arc<TaskContext>,
) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let (left_keys, right_keys): (Vec<_>, Vec<_>) = join.on.iter().cloned().unzip();
    let lefts = buckets(Arc::clone(join.left()), left_keys, written.clone(), &context).await?;
    let rights = buckets(Arc::clone(join.right()), right_keys, written, &context).await?;
    let begin = move |(left, right): (Bucket, Bucket)| -> Result<SendableRecordBatchStream> {
        over(&join, left.scan()?, right.scan()?)?.execute(0, Arc::clone(&context))
    };
    // The next one is begun when the one before is through.
    Ok(stream::iter(lefts.into_iter().zip(rights)).map(begin).try_flatten().boxed())
}

/// Writes the rows of a plan to files: those whose keys have the same hash are in one.
///
/// # Errors
/// What the plan ends with, and what the disk says.
async fn buckets(
    rows: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    written: SpillMetrics,
    context: &Arc<TaskContext>,
) -> Result<Vec<Bucket>> {
    let spills = SpillManager::new(context.runtime_env(), written, rows.schema());
    let mut rows = execute_stream(rows, Arc::clone(context))?;
    let mut divider = BatchPartitioner::new_hash_partitioner(keys, BUCKETS, Time::new())?;
    let files = (0..BUCKETS).map(|_| spills.create_in_progress_file("GraceJoinExec"));
    let mut files = files.collect::<Result<Vec<_>>>()?;
    while let Some(batch) = rows.next().await {
        divider.partition(batch?, |bucket, rows| {
            let file = files.get_mut(bucket);
            let file = file.ok_or_else(|| DataFusionError::Internal("rows of no bucket".to_owned()))?;
            file.append_batch(&rows)?;
            Ok(())
        })?;
    }
    let mut buckets = Vec::with_capacity(files.len());
    for mut file in files {
        buckets.push(Bucket { spills: spills.clone(), file: file.finish()? });
    }
    Ok(buckets)
}

/// One side's rows of one bucket.
#[derive(Debug)]
struct Bucket {
    spills: SpillManager,
    /// None where there are no rows.
    file: Option<RefCountedTempFile>,
}

impl Bucket {
    /// A plan that reads the rows.
    fn scan(self) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = Arc::clone(self.spills.schema());
        let rows: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(self)];
        Ok(Arc::new(StreamingTableExec::try_new(schema, rows, None, [], false, None)?))
    }

    fn rows(&self) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        match &self.file {
            Some(file) => Ok(self.spills.read_spill_as_stream(file.clone(), None)?.boxed()),
            None => Ok(stream::empty().boxed()),
        }
    }
}

impl PartitionStream for Bucket {
    fn schema(&self) -> &SchemaRef {
        self.spills.schema()
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        nodes::rows(Arc::clone(self.spills.schema()), future::ready(self.rows()))
    }
}
