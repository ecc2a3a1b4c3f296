//! SQL over everything that the node keeps: streams, tables and datasets in one query.
//!
//! Queries run on threads of their own, which stand back for the rest of the node, within one budget of memory (what is
//! over goes to files, within another), so many at a time and so long each. What it is NOT: it writes nothing.
//!
//! Invariants: a table that a statement names is pinned when the statement is planned (`pins`); all of its scans see one
//! position, those of views (`views`) included.
//! Whoever asks under row policies (`sight`) is given tables that have no other rows (`guarded`), whatever the statement.

mod cache;
mod catalog;
mod documents;
mod encode;
mod external;
mod fault;
mod files;
mod forecast;
mod guarded;
mod keyed;
mod lake;
mod pins;
pub mod postgres;
mod running;
mod sight;
mod span;
mod streams;
mod views;
mod yielding;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use bytes::Bytes;
use datafusion::catalog::CatalogProvider as _;
use datafusion::common::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use headwater_base::{Limits, Principal, Problem};
use headwater_kernel::port::Sql;
use headwater_kernel::port::sql::{Answer, Column, Question, Relation};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use cache::{Cache, Kept, Key, Taken};
use encode::Encoder;
use running::Running;

use crate::lease::Lease;

pub use catalog::Sources;
pub(crate) use catalog::{DATASETS, SCHEMAS};
pub(crate) use fault::syntax;

/// Encoded batches between a query and whoever reads its answer.
const CHUNKS: usize = 4;
/// How long a query waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a query holds from before it is planned until its last row is sent.
struct Turn {
    _permit: OwnedSemaphorePermit,
    _lease: Lease,
}

/// Answers SQL.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    sources: Arc<Sources>,
    folder: PathBuf,
    limits: Arc<Limits>,
    turns: Arc<Semaphore>,
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
        Self(Arc::new(Inner { sources, folder, limits, turns, cache, running: OnceCell::new() }))
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

    async fn turn(&self) -> Result<Turn, Problem> {
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.0.turns).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(|| {
            let most = self.0.limits.sql_queries;
            Problem::new("HW-LAKE-046", format!("{most} queries are running, which is the limit"))
                .help("try again in a while")
        })?;
        Ok(Turn { _permit: permit, _lease: self.0.sources.catalog.lake().leases().take() })
    }
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
    async fn begin(&self, context: &SessionContext, question: &Question) -> Result<Begun, DataFusionError> {
        let views = self.sources.catalog.views_mark();
        let plan = pins::planning(context.state().create_logical_plan(&question.text)).await?;
        only_reads(&plan)?;
        let key = Key::of(question, &plan, views);
        if let Some(kept) = key.as_ref().and_then(|key| self.cache.get(key)) {
            return Ok(Begun::Kept(kept));
        }
        let mut frame = context.execute_logical_plan(plan).await?;
        if let Some(rows_max) = question.rows_max {
            frame = frame.limit(0, Some(rows_max))?;
        }
        Ok(Begun::Rows(frame.execute_stream().await?, key))
    }

    fn late(&self) -> Problem {
        fault::late(Duration::from_secs(self.limits.sql_seconds))
    }
}

/// Refuses a plan that does more than read.
fn only_reads(plan: &LogicalPlan) -> Result<(), DataFusionError> {
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads.verify_plan(plan).map_err(|error| fault::carried(fault::refused(&error.strip_backtrace())))
}

impl Sql for Engine {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Answer, Problem>> {
        Box::pin(async move {
            let turn = self.turn().await?;
            let deadline = Instant::now() + Duration::from_secs(self.0.limits.sql_seconds);
            let running = self.running().await?;
            let (inner, context) = (Arc::clone(&self.0), running.context(&question.principal)?);
            let (begun, begins) = tokio::sync::oneshot::channel();
            let (chunks, mut body) = mpsc::channel::<Result<Bytes, Problem>>(CHUNKS);
            running.handle.spawn(async move {
                let _turn = turn;
                // Nobody minds that nobody listens any more.
                match tokio::time::timeout_at(deadline, inner.begin(&context, &question)).await {
                    Ok(Ok(Begun::Kept(kept))) => {
                        if begun.send(Ok(kept.columns.to_vec())).is_ok() {
                            for chunk in kept.body.iter().cloned() {
                                if chunks.send(Ok(chunk)).await.is_err() {
                                    return;
                                }
                            }
                        }
                    }
                    Ok(Ok(Begun::Rows(rows, key))) => {
                        let schema = rows.schema();
                        if begun.send(Ok(columns(&schema))).is_ok() {
                            let taken = Taken::new(&inner.cache, key);
                            let encoder = Encoder::new(question.format, &schema);
                            give(&inner, rows, encoder, taken, &chunks, deadline).await;
                        }
                    }
                    Ok(Err(error)) => drop(begun.send(Err(fault::problem(&error)))),
                    Err(_) => drop(begun.send(Err(inner.late()))),
                }
            });
            let columns = begins.await.map_err(|_| fault::closed())??;
            // Most of what can go wrong does so before the first rows are there, and is an answer of its own then.
            let first = body.recv().await.transpose()?;
            let rest = futures::stream::poll_fn(move |context| body.poll_recv(context));
            Ok(Answer { columns, body: Box::pin(futures::stream::iter(first.map(Ok)).chain(rest)) })
        })
    }

    fn relations(&self, principal: Principal) -> BoxFuture<'_, Result<Vec<Relation>, Problem>> {
        Box::pin(async move {
            let mut relations = Vec::new();
            let context = self.running().await?.context(&principal)?;
            let catalog = catalog::Catalog::new(&self.0.sources, principal, context.state_weak_ref());
            for schema in catalog.schema_names() {
                let Some(provider) = catalog.schema(&schema) else { continue };
                let mut names = provider.table_names();
                names.sort_unstable();
                for name in names {
                    let Ok(Some(table)) = provider.table(&name).await else { continue };
                    relations.push(Relation { schema: schema.clone(), name, columns: columns(&table.schema()) });
                }
            }
            Ok(relations)
        })
    }
}

/// Sends rows until they end, the time is up or nobody listens any more.
async fn give(
    inner: &Inner,
    mut rows: SendableRecordBatchStream,
    encoder: Result<Encoder, arrow::error::ArrowError>,
    mut taken: Taken,
    chunks: &mpsc::Sender<Result<Bytes, Problem>>,
    deadline: Instant,
) {
    let unshown = |error: arrow::error::ArrowError| fault::problem(&DataFusionError::from(error));
    let mut encoder = match encoder {
        Ok(encoder) => encoder,
        Err(error) => return drop(chunks.send(Err(unshown(error))).await),
    };
    let last = loop {
        let next = tokio::select! {
            next = tokio::time::timeout_at(deadline, rows.next()) => next,
            () = chunks.closed() => return,
        };
        let chunk = match next {
            Ok(Some(Ok(batch))) => encoder.rows(&batch).map_err(unshown),
            Ok(Some(Err(error))) => Err(fault::problem(&error)),
            Ok(None) => break encoder.end().map_err(unshown),
            Err(_) => Err(inner.late()),
        };
        match &chunk {
            Ok(chunk) => taken.add(chunk),
            Err(_) => return drop(chunks.send(chunk).await),
        }
        if chunks.send(chunk).await.is_err() {
            return;
        }
    };
    if let Ok(last) = &last {
        taken.add(last);
        taken.keep(&inner.cache, columns(&rows.schema()));
    }
    // Nobody listens: nobody misses it.
    let _ = chunks.send(last).await;
}

/// The columns of a schema in SQL's words.
fn columns(schema: &SchemaRef) -> Vec<Column> {
    let column =
        |field: &Arc<arrow::datatypes::Field>| Column { name: field.name().clone(), kind: kind(field.data_type()) };
    schema.fields().iter().map(column).collect()
}

fn kind(of: &DataType) -> String {
    match of {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint".to_owned(),
        DataType::Int32 | DataType::UInt16 => "integer".to_owned(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".to_owned(),
        DataType::Float16 | DataType::Float32 => "real".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => format!("decimal({digits},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "bytes".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            zone,
        ) => {
            if zone.is_some() {
                "timestamptz".to_owned()
            } else {
                "timestamp".to_owned()
            }
        }
        DataType::Interval(_) | DataType::Duration(_) => "interval".to_owned(),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("{}[]", kind(item.data_type()))
        }
        DataType::Dictionary(_, value) => kind(value),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests;
