//! Statements over the same rows, answered in one pass over them: the charts of a board, all of one query under one
//! condition.
//!
//! ```text
//! statement   Limit ◀ Sort ◀ Aggregate ◀┐                  a channel each, its own tasks
//! statement   Limit ◀ Sort ◀ Aggregate ◀┼─ Filter ◀ Join   read once: the columns that any of them needs
//! statement            Limit ◀ Aggregate ◀┘
//! ```
//! Each statement is planned by itself. Below what it computes (its steps, [`is_step`]) stand the rows that it reads; where
//! these are the same plan over the same tables ([`same`]), their place is taken by a table that is handed its rows
//! ([`Handed`]). So names, types and errors are those of the statement alone.
//!
//! Invariants: what is handed on is read by statements that take all of it before they give anything out, each in tasks of
//! its own and from one place of its plan, so none waits for another one, and one that has ended is waited for by nobody.
//! Rows end for a statement only if they have been read to their end. Where anything is in doubt, or goes wrong before
//! its first row, a statement is asked as if it were alone: what is wrong may be a column that another one needs, or the
//! memory that all of them take.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result, TableReference, project_schema};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream, execute_stream_partitioned};
use datafusion::prelude::SessionContext;
use futures::StreamExt as _;
use headwater_base::Problem;
use headwater_kernel::port::sql::Question;
use headwater_kernel::unit::awaited;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cache::Key;
use super::guarded::Guarded;
use super::memory::Memory;
use super::queries::Query;
use super::running::apart;
use super::{Begun, Inner, Reply, Turn, fault, of_query, pins, start};

/// Batches between the pass and each statement.
const AHEAD: usize = 2;

/// A statement that has its turn.
pub(super) struct Statement {
    /// What is asked.
    pub question: Question,
    /// Its own, in a seat that it shares with the others.
    pub turn: Turn,
    /// Where its answer goes.
    pub reply: Reply,
}

/// A statement with its plan.
struct Planned {
    statement: Statement,
    plan: LogicalPlan,
    key: Option<Key>,
}

/// What became of statements.
#[derive(Default)]
pub(super) struct Outcome {
    /// Those that are answered or refused without any rows.
    begun: Vec<(Statement, Result<Begun, Problem>)>,
    /// Those over rows that they are handed.
    shared: Vec<(Planned, SendableRecordBatchStream)>,
    /// What hands them on.
    pass: Option<Pass>,
    /// Those that read rows of their own.
    alone: Vec<Planned>,
}

#[cfg(test)]
impl Outcome {
    /// How many need no rows, share them, and read their own.
    pub(super) fn counts(&self) -> [usize; 3] {
        [self.begun.len(), self.shared.len(), self.alone.len()]
    }
}

/// Answers statements of one principal.
pub(super) async fn answer(inner: Arc<Inner>, context: SessionContext, statements: Vec<Statement>, deadline: Instant) {
    let state = context.state();
    let Outcome { begun, shared, pass, alone } = apart(begin(&inner, &state, statements, deadline));
    let (mut answering, mut reading) = (JoinSet::new(), JoinSet::new());
    for (Statement { turn, reply, .. }, began) in begun {
        let inner = Arc::clone(&inner);
        answering.spawn(async move {
            inner.answer(began, turn, deadline, reply).await;
            None
        });
    }
    for (planned, rows) in shared {
        answering.spawn(tell(Arc::clone(&inner), planned, rows, deadline));
    }
    if let Some(pass) = pass {
        reading.spawn(pass.run());
    }
    // Those that are alone have one turn: one after the other, each within its time.
    for planned in alone {
        by_itself(&inner, &state, planned).await;
    }
    while let Some(ended) = answering.join_next().await {
        if let Ok(Some(planned)) = ended {
            by_itself(&inner, &state, planned).await;
        }
    }
    // What nobody waits for is not read: the pass ends here, wherever it is.
}

/// Answers a statement over rows that it is handed; gives it back if it fails before it has given anything out.
async fn tell(
    inner: Arc<Inner>,
    planned: Planned,
    mut rows: SendableRecordBatchStream,
    deadline: Instant,
) -> Option<Planned> {
    let query = Arc::clone(&planned.statement.turn.listed.query);
    let first = tokio::select! {
        first = inner.bounded(&query, deadline, async { Ok(rows.next().await) }) => first,
        () = planned.statement.reply.chunks.closed() => return None,
    };
    let Planned { statement: Statement { question, turn, reply }, plan, key } = planned;
    let began = match first {
        Ok(Some(Err(_))) => return Some(Planned { statement: Statement { question, turn, reply }, plan, key }),
        Ok(first) => {
            let schema = rows.schema();
            let rows = RecordBatchStreamAdapter::new(schema, futures::stream::iter(first).chain(rows));
            Ok(Begun::Rows(Box::pin(rows), key))
        }
        Err(problem) => Err(problem),
    };
    inner.answer(began, turn, deadline, reply).await;
    None
}

/// Answers a statement over rows of its own.
async fn by_itself(inner: &Inner, state: &SessionState, planned: Planned) {
    let Planned { statement: Statement { question, turn, reply }, plan, key } = planned;
    let (deadline, query) = (inner.deadline(), Arc::clone(&turn.listed.query));
    let rows = apart(inner.bounded(&query, deadline, start(state, plan, question.rows_max, &query)));
    inner.answer(rows.map(|rows| Begun::Rows(rows, key)), turn, deadline, reply).await;
}

/// Plans statements, and all that can be shared between them.
pub(super) async fn begin(
    inner: &Inner,
    state: &SessionState,
    statements: Vec<Statement>,
    deadline: Instant,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut sharing: Vec<Planned> = Vec::new();
    let planning = async {
        for statement in statements {
            let planned = inner.plan(state, &statement.question);
            let planned = inner.bounded(&statement.turn.listed.query, deadline, planned).await;
            let (plan, key) = match planned {
                Ok(planned) => planned,
                Err(problem) => {
                    outcome.begun.push((statement, Err(problem)));
                    continue;
                }
            };
            if let Some(kept) = key.as_ref().and_then(|key| inner.cache.get(key)) {
                outcome.begun.push((statement, Ok(Begun::Kept(kept))));
                continue;
            }
            let first = sharing.first().and_then(|first| rows_of(&first.plan));
            let fits = rows_of(&plan).is_some_and(|rows| first.is_none_or(|first| same(first, rows)));
            let planned = Planned { statement, plan, key };
            if fits { sharing.push(planned) } else { outcome.alone.push(planned) }
        }
    };
    pins::planning(planning).await;
    share(inner, state, sharing, deadline, &mut outcome).await;
    outcome
}

/// Starts a plan over rows that are handed on, which is planned once: they are read once.
async fn over_handed(
    state: &SessionState,
    plan: LogicalPlan,
    rows_max: Option<usize>,
    query: &Arc<Query>,
) -> Result<SendableRecordBatchStream> {
    let (plan, task) = of_query(state, plan, rows_max, query)?;
    execute_stream(state.create_physical_plan(&plan).await?, task).map(|rows| query.within(rows))
}

/// Plans statements over rows that they are handed, and the pass that hands them on.
async fn share(inner: &Inner, state: &SessionState, sharing: Vec<Planned>, deadline: Instant, outcome: &mut Outcome) {
    let rows = sharing.first().and_then(|first| rows_of(&first.plan)).cloned();
    let Some(rows) = rows.filter(|_| sharing.len() > 1) else { return outcome.alone.extend(sharing) };
    let (mut begun, mut outlets) = (Vec::new(), Vec::new());
    for planned in sharing {
        let handed = Arc::new(Handed::like(&rows));
        let Statement { question, turn, .. } = &planned.statement;
        let query = &turn.listed.query;
        let started = match over(&planned.plan, &handed) {
            Ok(plan) => inner.bounded(query, deadline, over_handed(state, plan, question.rows_max, query)).await.ok(),
            Err(_) => None,
        };
        let outlet = handed.outlet.lock().take();
        match started.zip(outlet) {
            Some((stream, outlet)) => {
                begun.push((planned, stream));
                outlets.push(outlet);
            }
            None => outcome.alone.push(planned),
        }
    }
    if outlets.len() < 2 {
        outcome.alone.extend(begun.into_iter().map(|(planned, _)| planned));
        return;
    }
    match tokio::time::timeout_at(deadline, awaited(Pass::begin(state, rows, outlets))).await {
        Ok(Ok(Ok(Some(pass)))) => {
            outcome.shared = begun;
            outcome.pass = Some(pass);
        }
        Ok(_) => outcome.alone.extend(begun.into_iter().map(|(planned, _)| planned)),
        Err(_) => outcome.begun.extend(begun.into_iter().map(|(planned, _)| (planned.statement, Err(inner.late())))),
    }
}

/// Whether a node of a plan computes something of the rows of the one below it.
fn is_step(node: &LogicalPlan) -> bool {
    matches!(
        node,
        LogicalPlan::Limit(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Projection(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
    )
}

/// The rows that a statement reads, below its steps; none where it may read more than these, or gives some of them out
/// before it has read the others.
fn rows_of(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    let (mut node, mut takes_all) = (plan, false);
    while is_step(node) {
        let mut asks = false;
        let looked = node.apply_subqueries(|_| {
            asks = true;
            Ok(TreeNodeRecursion::Stop)
        });
        if looked.is_err() || asks {
            return None;
        }
        takes_all |= matches!(node, LogicalPlan::Sort(_) | LogicalPlan::Aggregate(_));
        node = node.inputs().first().copied()?;
    }
    let is_relation =
        matches!(node, LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::TableScan(_));
    (takes_all && is_relation && name_of(node.schema()).is_some()).then_some(node)
}

/// What all columns are called behind; none where they are of several relations, or there are two of one name.
fn name_of(schema: &DFSchema) -> Option<&TableReference> {
    let name = schema.iter().next()?.0?;
    let mut names: Vec<&String> = schema.iter().map(|(_, field)| field.name()).collect();
    names.sort_unstable();
    let twice = names.windows(2).any(|two| matches!(two, [one, other] if one == other));
    (!twice && schema.iter().all(|(of, _)| of == Some(name))).then_some(name)
}

/// Whether two plans give the same rows: they say the same of the same tables. What they say does not tell which
/// tables these are: another policy, or a table that a function makes, has the same name and columns.
pub(super) fn same(one: &LogicalPlan, other: &LogicalPlan) -> bool {
    if one != other {
        return false;
    }
    let (Ok(of_one), Ok(of_other)) = (tables(one), tables(other)) else { return false };
    of_one.len() == of_other.len() && of_one.iter().zip(&of_other).all(|(one, other)| is_same(&**one, &**other))
}

fn tables(plan: &LogicalPlan) -> Result<Vec<Arc<dyn TableProvider>>> {
    let mut all = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            all.push(source_as_provider(&scan.source)?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(all)
}

fn is_same(one: &dyn TableProvider, other: &dyn TableProvider) -> bool {
    let guarded = ((one as &dyn Any).downcast_ref::<Guarded>(), (other as &dyn Any).downcast_ref::<Guarded>());
    match guarded {
        (Some(one), Some(other)) => {
            one.condition() == other.condition() && std::ptr::addr_eq(one.table(), other.table())
        }
        (None, None) => std::ptr::addr_eq(one, other),
        _ => false,
    }
}

/// The steps of a plan over rows that are handed to it.
fn over(plan: &LogicalPlan, handed: &Arc<Handed>) -> Result<LogicalPlan> {
    let name = rows_of(plan).and_then(|rows| name_of(rows.schema()));
    let name = name.cloned().ok_or_else(|| DataFusionError::Internal("rows without a name".to_owned()))?;
    let table: Arc<dyn TableProvider> = Arc::<Handed>::clone(handed);
    let scan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?.build()?;
    let replaced = |node: LogicalPlan| match is_step(&node) {
        true => Ok(Transformed::no(node)),
        false => Ok(Transformed::new(scan.clone(), true, TreeNodeRecursion::Jump)),
    };
    Ok(plan.clone().transform_down(replaced)?.data)
}

/// Rows that somebody else reads, as a table. It is scanned once.
struct Handed {
    schema: SchemaRef,
    /// Where its rows go, once it is scanned.
    outlet: Mutex<Option<Outlet>>,
}

impl Handed {
    /// A table with the columns of `rows`.
    fn like(rows: &LogicalPlan) -> Self {
        Self { schema: Arc::clone(rows.schema().inner()), outlet: Mutex::default() }
    }
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handed")
    }
}

#[async_trait]
impl TableProvider for Handed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = project_schema(&self.schema, projection)?;
        let (rows, handed) = mpsc::channel(AHEAD);
        let outlet = Outlet { columns, schema: Arc::clone(&schema), rows };
        if self.outlet.lock().replace(outlet).is_some() {
            return Err(DataFusionError::Internal("rows that are handed on are read once".to_owned()));
        }
        let inlet: Arc<dyn PartitionStream> =
            Arc::new(Inlet { schema: Arc::clone(&schema), rows: Mutex::new(Some(handed)) });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![inlet], None, [], false, limit)?))
    }
}

/// What goes through a channel: rows, or why there are no more of them; at last nothing, which says that these were all.
type Given = Option<Result<RecordBatch>>;

/// The end of a channel that a statement reads.
struct Inlet {
    schema: SchemaRef,
    rows: Mutex<Option<mpsc::Receiver<Given>>>,
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inlet")
    }
}

impl PartitionStream for Inlet {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = futures::stream::unfold(Some(self.rows.lock().take()), |rows| async move {
            let mut rows = rows?;
            let given = match &mut rows {
                Some(rows) => rows.recv().await,
                None => None,
            };
            match given {
                Some(Some(batch)) => Some((batch, Some(rows))),
                Some(None) => None,
                // Whoever breaks off has not said that these were all.
                None => Some((Err(fault::carried(fault::closed())), None)),
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows.fuse()))
    }
}

/// The other end: where the rows of one statement go.
#[derive(Clone)]
struct Outlet {
    /// Their columns, by their places in what is read.
    columns: Vec<usize>,
    schema: SchemaRef,
    rows: mpsc::Sender<Given>,
}

impl Outlet {
    /// Hands rows on; whether anybody still wants some.
    async fn give(&self, batch: &RecordBatch) -> bool {
        let columns = self.columns.iter().filter_map(|column| batch.columns().get(*column).cloned()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        self.rows.send(Some(rows.map_err(DataFusionError::from))).await.is_ok()
    }
}

/// One reading of rows for all who want them.
struct Pass {
    parts: Vec<SendableRecordBatchStream>,
    outlets: Vec<Outlet>,
}

impl Pass {
    /// Plans the reading of `rows`, of whose columns outlets say which they need. None where they would come otherwise
    /// than statements over them expect.
    async fn begin(state: &SessionState, rows: LogicalPlan, mut outlets: Vec<Outlet>) -> Result<Option<Self>> {
        let declared = Arc::clone(rows.schema().inner());
        let mut needed: Vec<usize> = outlets.iter().flat_map(|outlet| outlet.columns.iter().copied()).collect();
        // Rows without columns cannot be handed on.
        needed.extend(needed.is_empty().then_some(0));
        needed.sort_unstable();
        needed.dedup();
        let plan = LogicalPlanBuilder::from(rows).select(needed.iter().copied())?.build()?;
        let plan = state.create_physical_plan(&plan).await?;
        if !fits(&declared.project(&needed)?, &plan.schema()) {
            return Ok(None);
        }
        for outlet in &mut outlets {
            outlet.columns = outlet.columns.iter().filter_map(|column| needed.binary_search(column).ok()).collect();
        }
        // What it holds is held for all of them: it is counted for none.
        let memory = Memory::new(state.runtime_env());
        let task = TaskContext::from(state).with_runtime(memory.environment(state.runtime_env()));
        let parts = execute_stream_partitioned(plan, Arc::new(task))?;
        Ok(Some(Self { parts: parts.into_iter().map(|rows| memory.within(rows)).collect(), outlets }))
    }

    /// Reads all rows, or until nobody wants any more.
    async fn run(self) {
        let Self { parts, outlets } = self;
        let mut reading = JoinSet::new();
        for rows in parts {
            reading.spawn(hand_on(rows, outlets.clone()));
        }
        let mut last = None;
        while let Some(ended) = reading.join_next().await {
            last = match ended {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => Some(Arc::new(error)),
                Err(error) => Some(Arc::new(DataFusionError::ExecutionJoin(Box::new(error)))),
            };
            break;
        }
        // Who is not there any more misses nothing.
        let tell = |outlet: &Outlet| {
            let rows = outlet.rows.clone();
            let last = last.as_ref().map(|error| Err(DataFusionError::from(error)));
            async move { drop(rows.send(last).await) }
        };
        futures::future::join_all(outlets.iter().map(tell)).await;
    }
}

/// Hands one part of the rows on.
///
/// # Errors
/// What ends the rows before their end.
async fn hand_on(mut rows: SendableRecordBatchStream, mut outlets: Vec<Outlet>) -> Result<()> {
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let mut open = Vec::with_capacity(outlets.len());
        for outlet in outlets {
            if outlet.give(&batch).await {
                open.push(outlet);
            }
        }
        if open.is_empty() {
            break;
        }
        outlets = open;
    }
    Ok(())
}

/// Whether rows of one schema can stand where another one is declared.
fn fits(declared: &Schema, given: &Schema) -> bool {
    let mut pairs = declared.fields().iter().zip(given.fields());
    declared.fields().len() == given.fields().len()
        && pairs.all(|(declared, given)| {
            declared.data_type() == given.data_type() && (declared.is_nullable() || !given.is_nullable())
        })
}
