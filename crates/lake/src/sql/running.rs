//! What carries queries out: the query engine over the node's tables, and threads that stand back for everybody else.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::DataType;

use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{FunctionRegistry as _, SessionStateBuilder};
use datafusion::logical_expr::{AggregateUDF, ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use headwater_base::{Principal, Problem};
use headwater_kernel::unit::Haste;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

use super::catalog::{CATALOG, Catalog, DATASETS, Sources};
use super::dependencies::{self, Relations};
use super::epoch::{Extracts, PART};
use super::forecast::Forecast;
use super::held;
use super::json::Compares;
use super::once;
use super::plans;
use super::postgres::attributes;
use super::sized;

/// Principals whose contexts are kept.
const CONTEXTS_MAX: usize = 256;
/// Rows of a join's smaller side that one thread puts in memory, divided by the threads that wait for it meanwhile: that
/// costs less than to spread the larger side over all threads by its keys.
const BUILT_ROWS: usize = 1024 * 1024;
/// The least that is left of it, which is what the engine has by itself.
const BUILT_ROWS_MIN: usize = 128 * 1024;
/// Bytes of such a row, about: where a side's bytes can be told, the engine goes by them.
const BUILT_ROW_BYTES: usize = 32;
/// The stack of a thread that carries queries out: what a chain of operators becomes is gone through link by link
/// (`chains.rs` bounds them).
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Threads, and what they run.
pub struct Running {
    sources: Arc<Sources>,
    /// The bounds of all queries together.
    environment: Arc<RuntimeEnv>,
    width: usize,
    contexts: Mutex<HashMap<Principal, SessionContext>>,
    /// Where queries run.
    pub handle: Handle,
    /// None once it is closed.
    threads: Mutex<Option<Runtime>>,
}

impl Running {
    /// Starts the threads, with an empty `folder` for what does not fit in memory.
    ///
    /// # Errors
    /// `HW-LAKE-047` when folder or threads cannot be had.
    pub fn start(sources: &Arc<Sources>, folder: PathBuf) -> Result<Self, Problem> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        emptied(&folder).map_err(|error| cannot(&error))?;
        let environment = environment(sources, folder).map_err(|error| cannot(&error))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("sql")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(|| Haste::Later.take())
            .enable_all()
            .build()
            .map_err(|error| cannot(&error))?;
        Ok(Self {
            sources: Arc::clone(sources),
            environment,
            width: threads,
            contexts: Mutex::default(),
            handle: runtime.handle().clone(),
            threads: Mutex::new(Some(runtime)),
        })
    }

    /// Tables and functions of every query of a principal.
    ///
    /// # Errors
    /// `HW-LAKE-047` when the engine cannot be set up.
    pub fn context(&self, principal: &Principal) -> Result<SessionContext, Problem> {
        let mut contexts = self.contexts.lock();
        if let Some(context) = contexts.get(principal) {
            return Ok(context.clone());
        }
        let context = context(&self.sources, Arc::clone(&self.environment), self.width, principal);
        let context = context.map_err(|error| cannot(&error))?;
        if contexts.len() >= CONTEXTS_MAX {
            contexts.clear();
        }
        contexts.insert(principal.clone(), context.clone());
        Ok(context)
    }

    /// Ends all queries.
    pub fn close(&self) {
        if let Some(threads) = self.threads.lock().take() {
            threads.shutdown_background();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close();
    }
}

/// Plans on the thread that it is called on, one of those of queries; what else would run there gets another thread.
/// Planning takes as long as a statement is large and waits for nobody, so neither other connections nor what ends
/// statements stand behind it. What it awaits ends with it.
pub fn apart<T>(planning: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| Handle::current().block_on(planning))
}

/// `HW-LAKE-047`, and why.
pub fn cannot(error: &dyn std::error::Error) -> Problem {
    Problem::new("HW-LAKE-047", "SQL cannot be answered here").because(error.to_string())
}

/// Files of an earlier life belong to nobody.
fn emptied(folder: &PathBuf) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::fs::create_dir_all(folder),
    }
}

fn environment(sources: &Arc<Sources>, folder: PathBuf) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    let limits = sources.kernel.limits();
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![folder]))
        .with_max_temp_directory_size(limits.sql_spill_bytes);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(limits.sql_memory_bytes)))
        .with_disk_manager_builder(disk)
        // Files of others come and go.
        .with_object_list_cache_limit(0)
        .build_arc()
}

fn context(
    sources: &Arc<Sources>,
    environment: Arc<RuntimeEnv>,
    width: usize,
    principal: &Principal,
) -> Result<SessionContext, DataFusionError> {
    let built_rows = (BUILT_ROWS / width.max(1)).max(BUILT_ROWS_MIN);
    let config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, DATASETS)
        .with_create_default_catalog_and_schema(false)
        // There is one of the catalog's own (`information.rs`).
        .with_information_schema(false)
        .with_target_partitions(width)
        // A third pass has never made another plan, and looks at all of it again.
        .set_usize("datafusion.optimizer.max_passes", 2)
        // What it finds in documents before a join is made it looks for in columns that it has left out by then: joins
        // of subqueries by `->>` are refused.
        .set_bool("datafusion.optimizer.enable_leaf_expression_pushdown", false)
        .set_usize("datafusion.optimizer.hash_join_single_partition_threshold_rows", built_rows)
        .set_usize("datafusion.optimizer.hash_join_single_partition_threshold", built_rows * BUILT_ROW_BYTES)
        .set_bool("datafusion.sql_parser.collect_spans", true)
        .set_str("datafusion.sql_parser.dialect", "postgresql");
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(environment)
        // Before those of the engine: the first one that plans a call has it.
        .with_expr_planners(vec![Arc::new(Extracts), Arc::new(Compares)])
        .with_relation_planners(vec![Arc::new(Relations)])
        .with_optimizer_rules(dependencies::rules())
        .with_physical_optimizer_rules(plans::rules())
        .with_query_planner(Arc::new(once::Planner))
        .with_default_features()
        .build();
    let mut context = SessionContext::new_with_state(state);
    datafusion_functions_json::register_all(&mut context)?;
    let catalog = Catalog::new(sources, principal.clone(), context.state_weak_ref());
    context.register_catalog(CATALOG, Arc::new(catalog));
    setup_pg_catalog(&context, CATALOG, EmptyContextProvider).map_err(|error| *error)?;
    attributes::register(&context, &sources.unlisted)?;
    context.register_udf(whoever_asks(principal));
    context.register_udaf(AggregateUDF::from(Forecast::new(sources.forecaster)));
    context.register_udf((**PART).clone());
    for aggregate in held::all() {
        context.register_udaf(aggregate);
    }
    for name in sized::NAMES {
        let function = context.udf(name)?;
        context.register_udf(sized::held(&function, sources.kernel.limits().sql_memory_bytes));
    }
    Ok(context)
}

/// `current_user`, which what plays PostgreSQL asks for by its other name.
fn whoever_asks(principal: &Principal) -> ScalarUDF {
    let name = ScalarValue::from(principal.as_str());
    let answer = move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(name.clone()));
    create_udf("session_user", Vec::new(), DataType::Utf8, Volatility::Stable, Arc::new(answer))
        .with_aliases(["current_user"])
}

#[cfg(test)]
mod tests;
