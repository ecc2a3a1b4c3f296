//! What a statement computes alike in several places, such as a CTE that is named twice, computed once.
//!
//! The engine plans a CTE anew wherever it is named. Where an optimised plan has the same aggregate of the same rows in
//! several places, these read one: whichever is asked first has it computed to its end, in tasks of its own, and its rows
//! are kept until the statement is through, in the memory of queries or, where they are too many for that, in files. What
//! is computed once may stand within something else that is.
//!
//! What it is NOT: it keeps nothing for another statement, as `cache.rs` does. Where a statement asks itself again
//! (`WITH RECURSIVE`), or anything may have another value the next time, all is computed where it stands.
//!
//! Invariants: who computes never waits for who reads. The places may be planned otherwise, in the order of keys for
//! example, so one plan of them is carried out, and nothing is said of the order of its rows or of what is in which part.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, DataFusionError, Result, Statistics};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::disk_manager::RefCountedTempFile;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties, SpillManager,
    execute_stream_partitioned,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use futures::future::{BoxFuture, Shared};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use tokio::task::JoinSet;

use super::{held, nodes, shared};

/// Aggregates of a statement that are compared with each other.
const COMPARED_MAX: usize = 64;
/// The part of the memory of queries that the rows of all such aggregates of a statement may take.
const SHARE: usize = 8;

/// Plans statements as the engine does, but for what is there several times.
#[derive(Debug)]
pub struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, state: &SessionState) -> Result<Arc<dyn ExecutionPlan>> {
        let repeated = repeated(plan)?;
        if repeated.is_empty() {
            return DefaultPhysicalPlanner::default().create_physical_plan(plan, state).await;
        }
        let places = Places(repeated.iter().map(|_| Arc::default()).collect());
        let plan = marked(plan.clone(), &repeated)?;
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(places)]);
        planner.create_physical_plan(&plan, state).await
    }
}

/// The aggregates that a plan computes more than once, one of each. What stands within the second of two that are the
/// same is not computed: the second one is read.
fn repeated(plan: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
    let (mut found, mut is_in_doubt) = (Vec::<(LogicalPlan, bool)>::new(), false);
    plan.apply_with_subqueries(|node| {
        is_in_doubt |= matches!(node, LogicalPlan::RecursiveQuery(_)) || found.len() > COMPARED_MAX;
        if is_in_doubt {
            return Ok(TreeNodeRecursion::Stop);
        }
        if !matches!(node, LogicalPlan::Aggregate(_)) {
            return Ok(TreeNodeRecursion::Continue);
        }
        match found.iter_mut().find(|(one, _)| shared::same(one, node)) {
            Some((_, is_again)) if is_settled(node)? => {
                *is_again = true;
                return Ok(TreeNodeRecursion::Jump);
            }
            Some(_) => {}
            None => found.push((node.clone(), false)),
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let repeated = found.into_iter().filter_map(|(one, is_again)| is_again.then_some(one));
    Ok(if is_in_doubt { Vec::new() } else { repeated.collect() })
}

/// Whether rows come out alike whenever they are asked for, and reading them is worth a thought.
fn is_settled(plan: &LogicalPlan) -> Result<bool> {
    let (mut settled, mut reads) = (true, false);
    plan.apply_with_subqueries(|node| {
        reads |= matches!(node, LogicalPlan::TableScan(_));
        node.apply_expressions(|expression| {
            settled &= !expression.is_volatile() && !expression.contains_outer();
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if settled { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(settled && reads)
}

/// The plan with a mark on each of the repeated ones.
fn marked(plan: LogicalPlan, repeated: &[LogicalPlan]) -> Result<LogicalPlan> {
    let mark = |node: LogicalPlan| -> Result<Transformed<LogicalPlan>> {
        let is_one = matches!(node, LogicalPlan::Aggregate(_));
        let place = repeated.iter().position(|one| is_one && shared::same(one, &node));
        let Some(place) = place else { return Ok(Transformed::no(node)) };
        let below = |plan: LogicalPlan| marked(plan, repeated).map(Transformed::yes);
        let rows = node.map_subqueries(below)?.data.map_children(below)?.data;
        let node = Extension { node: Arc::new(Marked { place, rows }) };
        Ok(Transformed::new(LogicalPlan::Extension(node), true, TreeNodeRecursion::Jump))
    };
    Ok(plan.transform_down_with_subqueries(mark)?.data)
}

/// An aggregate that is there several times; those of one place are the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Hash)]
struct Marked {
    place: usize,
    rows: LogicalPlan,
}

impl UserDefinedLogicalNodeCore for Marked {
    fn name(&self) -> &str {
        "Once"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.rows]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.rows.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Once: {}", self.place)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let rows = inputs.into_iter().next();
        let rows = rows.ok_or_else(|| DataFusionError::Internal("rows of nothing".to_owned()))?;
        Ok(Self { place: self.place, rows })
    }
}

/// What is read at each place.
struct Places(Vec<Arc<OnceLock<Reading>>>);

#[async_trait]
impl ExtensionPlanner for Places {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &SessionState,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let share = SHARE * self.0.len();
        let marked = node.as_any().downcast_ref::<Marked>();
        let found = marked.and_then(|marked| Some((self.0.get(marked.place)?, inputs.first()?)));
        let plan = |(reading, rows): (&Arc<OnceLock<Reading>>, &Arc<dyn ExecutionPlan>)| {
            Arc::new(OnceExec::new(Arc::clone(rows), Arc::clone(reading), share)) as Arc<dyn ExecutionPlan>
        };
        Ok(found.map(plan))
    }
}

/// Rows that are computed when the first one asks, for all who do.
type Reading = Shared<BoxFuture<'static, Result<Arc<Kept>, Arc<DataFusionError>>>>;

/// Rows that are computed here or at another place.
struct OnceExec {
    rows: Arc<dyn ExecutionPlan>,
    reading: Arc<OnceLock<Reading>>,
    /// The part of the memory of queries that the rows may take.
    share: usize,
    properties: Arc<PlanProperties>,
}

impl OnceExec {
    fn new(rows: Arc<dyn ExecutionPlan>, reading: Arc<OnceLock<Reading>>, share: usize) -> Self {
        let properties = nodes::properties(rows.schema(), rows.output_partitioning().partition_count());
        Self { rows, reading, share, properties }
    }
}

impl fmt::Debug for OnceExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceExec")
    }
}

impl DisplayAs for OnceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceExec")
    }
}

impl ExecutionPlan for OnceExec {
    fn name(&self) -> &'static str {
        "OnceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.rows]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.rows));
        Ok(Arc::new(Self::new(rows, Arc::clone(&self.reading), self.share)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        match partition {
            None => self.rows.partition_statistics(None),
            Some(_) => Ok(Arc::new(Statistics::new_unknown(&self.schema()))),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let begin = || {
            let kept = Kept::read(Arc::clone(&self.rows), self.share, context);
            kept.map(|kept| kept.map(Arc::new).map_err(Arc::new)).boxed().shared()
        };
        let reading = self.reading.get_or_init(begin).clone();
        let parts = self.properties.output_partitioning().partition_count();
        let rows = async move {
            let kept = reading.await.map_err(|error| DataFusionError::from(&error))?;
            kept.rows(partition, parts)
        };
        Ok(make_cooperative(nodes::rows(self.schema(), rows)))
    }
}

/// The rows of a plan.
struct Kept {
    parts: Vec<Part>,
    spills: SpillManager,
}

/// Those of one of its partitions, in memory or all of them in a file: batches may be slices of one, and as long as
/// there is any of these the others take their memory as well.
struct Part {
    batches: Vec<RecordBatch>,
    spilled: Option<RefCountedTempFile>,
    _room: MemoryReservation,
}

impl Kept {
    /// Carries a plan out to its end; its rows may take one of so many shares of the memory of queries.
    ///
    /// # Errors
    /// What the plan ends with, and what the disk says.
    async fn read(rows: Arc<dyn ExecutionPlan>, share: usize, context: Arc<TaskContext>) -> Result<Self> {
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let spills = SpillManager::new(context.runtime_env(), metrics, rows.schema());
        let streams = execute_stream_partitioned(rows, Arc::clone(&context))?;
        let most = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / share.max(1) / streams.len().max(1),
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        let mut reading = JoinSet::new();
        for rows in streams {
            let room = MemoryConsumer::new("OnceExec").register(context.memory_pool());
            reading.spawn(Part::read(rows, most, room, spills.clone()));
        }
        let mut parts = Vec::with_capacity(reading.len());
        while let Some(part) = reading.join_next().await {
            parts.push(part.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
        }
        Ok(Self { parts, spills })
    }

    /// What one of so many readers gets: every part is somebody's.
    fn rows(self: Arc<Self>, reader: usize, readers: usize) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let mut all = Vec::new();
        for part in self.parts.iter().skip(reader).step_by(readers.max(1)) {
            all.push(futures::stream::iter(part.batches.clone()).map(Ok).boxed());
            if let Some(file) = &part.spilled {
                all.push(self.spills.read_spill_as_stream(file.clone(), None)?.boxed());
            }
        }
        // They count as memory of queries as long as anybody reads them.
        let begin = (futures::stream::iter(all).flatten().boxed(), self);
        let rows = futures::stream::unfold(begin, |(mut rows, kept)| async move {
            rows.next().await.map(|batch| (batch, (rows, kept)))
        });
        Ok(rows.boxed())
    }
}

impl Part {
    /// Reads rows to their end, which stay in memory if they are no more than so many bytes.
    async fn read(
        mut rows: SendableRecordBatchStream,
        most: usize,
        room: MemoryReservation,
        spills: SpillManager,
    ) -> Result<Self> {
        let (mut batches, mut file) = (Vec::new(), None);
        while let Some(batch) = rows.next().await {
            batches.push(batch?);
            if file.is_none() {
                let bytes = batches.last().map_or(0, weight);
                if room.size().saturating_add(bytes) <= most && room.try_grow(bytes).is_ok() {
                    continue;
                }
                file = Some(spills.create_in_progress_file("OnceExec")?);
            }
            if let Some(file) = &mut file {
                for batch in batches.drain(..) {
                    file.append_batch(&batch)?;
                }
            }
            room.free();
        }
        let spilled = match &mut file {
            Some(file) => file.finish()?,
            None => None,
        };
        Ok(Self { batches, spilled, _room: room })
    }
}

/// Bytes of a batch, which may be a part of a larger one.
fn weight(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter().map(|column| {
        let own = column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size());
        own.saturating_add(held::views(column))
    });
    columns.sum()
}

#[cfg(test)]
mod tests;
