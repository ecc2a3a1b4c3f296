//! SQL over everything that the node keeps: streams, tables and datasets in one query.
//!
//! Queries run on threads of their own, which stand back for the rest of the node, within one budget of memory (what is
//! over goes to files, within another), so many at a time and so long each. What it is NOT: it writes nothing.
//!
//! Invariants: a table that a statement names is pinned when the statement is planned (`pins`); all of its scans see one
//! position, those of views (`views`) included. Statements that are asked together (`shared`) see one position as well.
//! Whoever asks under row policies (`sight`) is given tables that have no other rows (`guarded`), whatever the statement.

mod cache;
mod catalog;
mod chains;
mod deletes;
mod dependencies;
mod distinct;
mod documents;
mod doubles;
mod encode;
mod epoch;
mod external;
mod fault;
mod fields;
mod files;
mod forecast;
mod grace;
mod guarded;
mod held;
mod hints;
mod information;
mod json;
mod keyed;
mod lake;
mod listed;
mod memory;
mod nodes;
mod once;
mod pieces;
mod pins;
mod plans;
pub mod postgres;
mod queries;
mod running;
mod shared;
mod sight;
mod sized;
mod span;
mod streams;
mod types;
mod views;
mod yielding;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use datafusion::catalog::CatalogProvider as _;
use datafusion::common::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionContext;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use headwater_base::{Limits, Principal, Problem};
use headwater_kernel::port::Sql;
use headwater_kernel::port::sql::{Answer, Column, Format, Question, Relation, RunningQuery};
use headwater_kernel::unit::{awaited, bug};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use cache::{Cache, Kept, Key, Taken};
use encode::Encoder;
use queries::{Asked, Listed, Queries, Query};
use running::{Running, apart};
use types::columns;

use crate::lease::Lease;

pub use catalog::Sources;
pub(crate) use catalog::{DATASETS, SCHEMAS};
pub(crate) use chains::check as check_chains;
pub(crate) use fault::syntax;

/// Encoded batches between a query and whoever reads its answer.
const CHUNKS: usize = 4;
/// A row of so many bytes is a list of many others, whose text is not made without asking for its memory.
const ROW_BYTES: usize = 1024 * 1024;
/// How long a query waits for its turn.
const TURN_MAX: Duration = Duration::from_secs(10);

/// What a query holds from before it is planned until its last row is sent.
struct Turn {
    _seat: Arc<Seat>,
    listed: Listed,
}

/// The right to run: of one query, or of some that are answered in one pass.
struct Seat {
    _permit: OwnedSemaphorePermit,
    _lease: Lease,
}

/// Where an answer goes.
struct Reply {
    format: Format,
    begun: oneshot::Sender<Result<Vec<Column>, Problem>>,
    chunks: mpsc::Sender<Result<Bytes, Problem>>,
}

/// What whoever asked waits for.
pub type Awaited = BoxFuture<'static, Result<Answer, Problem>>;

/// Answers SQL.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    sources: Arc<Sources>,
    folder: PathBuf,
    limits: Arc<Limits>,
    turns: Arc<Semaphore>,
    /// How long a query waits for one.
    turn_max: Duration,
    queries: Arc<Queries>,
    cache: Cache,
    /// Made for the first question: what nobody asks costs nothing.
    running: OnceCell<Running>,
}

impl Engine {
    /// An engine whose queries use `folder` for what does not fit in memory; what is in it goes before the first one.
    pub fn new(sources: Sources, folder: PathBuf) -> Self {
        let limits = Arc::clone(sources.kernel.limits());
        let turns = Arc::new(Semaphore::new(limits.sql_queries));
        let cache = Cache::new(limits.sql_cache_bytes);
        let sources = Arc::new(sources);
        let queries = Arc::default();
        let running = OnceCell::new();
        Self(Arc::new(Inner { sources, folder, limits, turns, turn_max: TURN_MAX, queries, cache, running }))
    }

    /// Ends all queries.
    pub fn close(&self) {
        if let Some(running) = self.0.running.get() {
            running.close();
        }
    }

    /// What carries queries out, started if this is the first.
    async fn running(&self) -> Result<&Running, Problem> {
        let start = || async {
            let (sources, folder) = (Arc::clone(&self.0.sources), self.0.folder.clone());
            let started = tokio::task::spawn_blocking(move || Running::start(&sources, folder)).await;
            started.map_err(|error| running::cannot(&error))?
        };
        self.0.running.get_or_try_init(start).await
    }

    async fn turn(&self, asked: Asked<'_>) -> Result<Turn, Problem> {
        Ok(self.seated(&self.seat().await?, asked))
    }

    async fn seat(&self) -> Result<Arc<Seat>, Problem> {
        let permit = tokio::time::timeout(self.0.turn_max, Arc::clone(&self.0.turns).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(|| {
            let most = self.0.limits.sql_queries;
            Problem::new("HW-LAKE-046", format!("{most} queries are running, which is the limit"))
                .help("try again in a while")
        })?;
        Ok(Arc::new(Seat { _permit: permit, _lease: self.0.sources.catalog.lake().leases().take() }))
    }

    fn seated(&self, seat: &Arc<Seat>, asked: Asked<'_>) -> Turn {
        let listed = self.0.queries.enter(asked, self.0.sources.kernel.clock().now());
        Turn { _seat: Arc::clone(seat), listed }
    }

    /// Asks statements of one principal that are expected to read the same rows: those that do are answered in one pass
    /// over them (`shared.rs`), within one turn, each as if it were asked alone. `of` says all of them but the texts. Every
    /// answer has to be read whether or not others are: the pass waits for each of its statements.
    ///
    /// # Errors
    /// Those of [`Sql::ask`] that all of them have: no turn, no engine. The others are each statement's own.
    pub async fn ask_together(&self, texts: Vec<String>, of: Question) -> Result<Vec<Awaited>, Problem> {
        let seat = self.seat().await?;
        let deadline = self.0.deadline();
        let running = self.running().await?;
        let (inner, context) = (Arc::clone(&self.0), running.context(&of.principal)?);
        let (mut statements, mut answers) = (Vec::new(), Vec::new());
        for text in texts {
            let question = Question { text, ..of.clone() };
            let turn = self.seated(&seat, asked(&question));
            let (reply, answer) = reply(question.format);
            statements.push(shared::Statement { question, turn, reply });
            answers.push(answer);
        }
        running.handle.spawn(shared::answer(inner, context, statements, deadline));
        Ok(answers)
    }
}

fn asked(question: &Question) -> Asked<'_> {
    Asked { principal: &question.principal, via: question.via, text: &question.text, backend: None }
}

/// Two ends of an answer.
fn reply(format: Format) -> (Reply, Awaited) {
    let (begun, begins) = oneshot::channel();
    let (chunks, mut body) = mpsc::channel::<Result<Bytes, Problem>>(CHUNKS);
    let answer = async move {
        let columns = begins.await.map_err(|_| fault::closed())??;
        // Most of what can go wrong does so before the first rows are there, and is an answer of its own then.
        let first = body.recv().await.transpose()?;
        let rest = futures::stream::poll_fn(move |context| body.poll_recv(context));
        Ok(Answer { columns, body: Box::pin(futures::stream::iter(first.map(Ok)).chain(rest)) })
    };
    (Reply { format, begun, chunks }, Box::pin(answer))
}

/// The answer to a question that has been planned.
enum Begun {
    /// It was given before.
    Kept(Kept),
    /// Rows are on their way; the key is that of an answer that may be kept.
    Rows(SendableRecordBatchStream, Option<Key>),
}

impl Inner {
    /// Plans a statement and starts it, unless its answer is there.
    async fn begin(
        &self,
        context: &SessionContext,
        question: &Question,
        query: &Arc<Query>,
    ) -> Result<Begun, DataFusionError> {
        let state = context.state();
        let (plan, key) = pins::planning(self.plan(&state, question)).await?;
        if let Some(kept) = key.as_ref().and_then(|key| self.cache.get(key)) {
            return Ok(Begun::Kept(kept));
        }
        Ok(Begun::Rows(start(&state, plan, question.rows_max, query).await?, key))
    }

    /// Plans a statement; the key is that of an answer that may be kept.
    async fn plan(
        &self,
        state: &SessionState,
        question: &Question,
    ) -> Result<(LogicalPlan, Option<Key>), DataFusionError> {
        chains::check(&question.text).map_err(fault::carried)?;
        let views = self.sources.catalog.views_mark();
        let plan = doubles::planned_text(state, &question.text).await?;
        admitted(&plan)?;
        let key = Key::of(question, &plan, views);
        Ok((plan, key))
    }

    /// What comes of the beginning of a query, unless its time, a bug or somebody ends it.
    async fn bounded<T>(
        &self,
        query: &Query,
        deadline: Instant,
        beginning: impl Future<Output = Result<T, DataFusionError>>,
    ) -> Result<T, Problem> {
        tokio::select! {
            began = tokio::time::timeout_at(deadline, awaited(beginning)) => match began {
                Ok(Ok(began)) => began.map_err(|error| fault::problem(&error)),
                Ok(Err(said)) => Err(bug("the query", &said)),
                Err(_) => Err(self.late()),
            },
            problem = query.ended() => Err(problem),
        }
    }

    /// Gives an answer to whoever asked, until its time.
    async fn answer(&self, began: Result<Begun, Problem>, turn: Turn, deadline: Instant, reply: Reply) {
        let Reply { format, begun, chunks } = reply;
        let query = Arc::clone(&turn.listed.query);
        // Nobody minds that nobody listens any more.
        let answering = async {
            match began {
                Ok(Begun::Kept(kept)) => match begun.send(Ok(kept.columns.to_vec())) {
                    Ok(()) => repeat(&query, &kept, &chunks).await,
                    Err(_) => Ok(()),
                },
                Ok(Begun::Rows(rows, key)) => {
                    let schema = rows.schema();
                    match begun.send(Ok(columns(&schema))) {
                        Ok(()) => {
                            let taken = Taken::new(&self.cache, key);
                            let encoder = Encoder::new(format, &schema);
                            give(self, &query, rows, encoder, taken, &chunks).await
                        }
                        Err(_) => Ok(()),
                    }
                }
                Err(problem) => {
                    drop(begun.send(Err(problem)));
                    Ok(())
                }
            }
        };
        let given =
            tokio::time::timeout_at(deadline, awaited(answering)).await.unwrap_or_else(|_| Ok(Err(self.late())));
        // Rows that end by a bug must not look like all of them.
        let given = given.unwrap_or_else(|said| Err(bug("the query", &said)));
        // Whoever does not read keeps nobody from a turn.
        drop(turn);
        if let Err(problem) = given {
            drop(chunks.send(Err(problem)).await);
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(self.limits.sql_seconds)
    }

    fn late(&self) -> Problem {
        fault::late(Duration::from_secs(self.limits.sql_seconds))
    }
}

/// Starts a plan, as part of a query.
async fn start(
    state: &SessionState,
    plan: LogicalPlan,
    rows_max: Option<usize>,
    query: &Arc<Query>,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let (plan, task) = of_query(state, plan, rows_max, query)?;
    grace::start(state, plan, task, query).await
}

/// A plan as part of a query.
fn of_query(
    state: &SessionState,
    plan: LogicalPlan,
    rows_max: Option<usize>,
    query: &Arc<Query>,
) -> Result<(LogicalPlan, Arc<TaskContext>), DataFusionError> {
    let mut plan = forecast::bound(plan, query)?;
    // What explains a plan is no part of one.
    let explains = matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
    if let Some(rows_max) = rows_max.filter(|_| !explains) {
        plan = LogicalPlanBuilder::from(plan).limit(0, Some(rows_max))?.build()?;
    }
    // What only reads needs nothing else of the context: its state, with all functions, is not made once more.
    let task = TaskContext::from(state).with_runtime(query.metered(state.runtime_env()));
    Ok((plan, Arc::new(task)))
}

/// Refuses a plan that does more than read, or that asks for an order that there is not.
fn admitted(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads.verify_plan(plan).map_err(|error| fault::carried(fault::refused(&error.strip_backtrace())))?;
    json::check_orders(plan)
}

impl Sql for Engine {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Answer, Problem>> {
        Box::pin(async move {
            let turn = self.turn(asked(&question)).await?;
            let deadline = self.0.deadline();
            let running = self.running().await?;
            let (inner, context) = (Arc::clone(&self.0), running.context(&question.principal)?);
            let (reply, answer) = reply(question.format);
            running.handle.spawn(async move {
                let query = Arc::clone(&turn.listed.query);
                let began = apart(inner.bounded(&query, deadline, inner.begin(&context, &question, &query)));
                inner.answer(began, turn, deadline, reply).await;
            });
            answer.await
        })
    }

    fn relations(&self, principal: Principal) -> BoxFuture<'_, Result<Vec<Relation>, Problem>> {
        Box::pin(async move {
            let running = self.running().await?;
            let (inner, context) = (Arc::clone(&self.0), running.context(&principal)?);
            // Each view is planned for its columns, which is nothing for the threads of listeners.
            let listed = running.handle.spawn(async move {
                let mut relations = Vec::new();
                let catalog = catalog::Catalog::new(&inner.sources, principal, context.state_weak_ref());
                for schema in catalog.schema_names() {
                    let Some(provider) = catalog.schema(&schema) else { continue };
                    let mut names = provider.table_names();
                    names.sort_unstable();
                    for name in names {
                        let columns = match inner.sources.unlisted.table(&*provider, &schema, &name).await {
                            Ok(Some(table)) => columns(&table.schema()),
                            Ok(None) => continue,
                            Err(_) => Vec::new(),
                        };
                        relations.push(Relation { schema: schema.clone(), name, columns });
                    }
                }
                relations
            });
            listed.await.map_err(|error| fault::ended("the list of relations", &error))
        })
    }

    fn queries(&self, principal: &Principal) -> Vec<RunningQuery> {
        self.0.queries.seen_by(principal)
    }

    fn cancel(&self, id: u64, by: &Principal) -> Result<(), Problem> {
        self.0.queries.cancel(id, by)
    }
}

/// Sends an answer that was kept, or until nobody listens any more.
///
/// # Errors
/// Why somebody ended it.
async fn repeat(query: &Query, kept: &Kept, chunks: &mpsc::Sender<Result<Bytes, Problem>>) -> Result<(), Problem> {
    for chunk in kept.body.iter().cloned() {
        let sent = tokio::select! {
            sent = chunks.send(Ok(chunk)) => sent,
            problem = query.ended() => return Err(problem),
        };
        if sent.is_err() {
            break;
        }
    }
    Ok(())
}

/// Sends rows until they end or nobody listens any more.
///
/// # Errors
/// What the query ends with before its last row.
async fn give(
    inner: &Inner,
    query: &Query,
    mut rows: SendableRecordBatchStream,
    encoder: Result<Encoder, arrow::error::ArrowError>,
    mut taken: Taken,
    chunks: &mpsc::Sender<Result<Bytes, Problem>>,
) -> Result<(), Problem> {
    let unshown = |error: arrow::error::ArrowError| fault::problem(&DataFusionError::from(error));
    let mut encoder = encoder.map_err(unshown)?;
    let (schema, text) = (rows.schema(), query.reservation());
    loop {
        let next = tokio::select! {
            next = rows.next() => next,
            problem = query.ended() => return Err(problem),
            () = chunks.closed() => return Ok(()),
        };
        let batch = match next {
            Some(Ok(batch)) => batch,
            Some(Err(error)) => return Err(fault::problem(&error)),
            None => break,
        };
        if let Some(text) = &text {
            let bytes = batch.get_array_memory_size();
            let large = if bytes / batch.num_rows().max(1) > ROW_BYTES { bytes } else { 0 };
            text.try_resize(large).map_err(|error| fault::problem(&error))?;
        }
        let chunk = encoder.rows(&batch).map_err(unshown)?;
        query.count(batch.num_rows());
        taken.add(&chunk);
        let sent = tokio::select! {
            sent = chunks.send(Ok(chunk)) => sent,
            problem = query.ended() => return Err(problem),
        };
        if sent.is_err() {
            return Ok(());
        }
    }
    let last = encoder.end().map_err(unshown)?;
    taken.add(&last);
    taken.keep(&inner.cache, columns(&schema));
    // Nobody listens: nobody misses it.
    let _ = chunks.send(Ok(last)).await;
    Ok(())
}

#[cfg(test)]
mod tests;
