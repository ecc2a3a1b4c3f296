//! Rows that several readers get, in memory and behind it.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{AsArray as _, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::prelude::col;
use futures::TryStreamExt as _;
use tokio::runtime::Runtime;

use super::*;
use crate::sql::guarded::Guarded;

const PARTS: i64 = 3;
const BATCHES: i64 = 4;
/// Of a batch, which has 8,000 bytes so.
const ROWS: i64 = 1_000;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

fn batch(from: i64) -> RecordBatch {
    RecordBatch::try_new(schema(), vec![Arc::new(Int64Array::from_iter_values(from..from + ROWS))]).unwrap()
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    let values = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
    let mut all: Vec<i64> = values.collect();
    all.sort_unstable();
    all
}

#[test]
fn readers_get_each_row_once_whatever_fits_in_memory() {
    let parts = (0..PARTS).map(|part| (0..BATCHES).map(|at| batch((part * BATCHES + at) * ROWS)).collect());
    let parts: Vec<Vec<RecordBatch>> = parts.collect();
    let all: Vec<i64> = (0..PARTS * BATCHES * ROWS).collect();
    Runtime::new().unwrap().block_on(async {
        // A part stays in memory as a whole, or not at all.
        for (most, in_memory) in [(100_000, BATCHES), (20_000, 0), (100, 0)] {
            let limit = SHARE * parts.len() * most;
            let environment = RuntimeEnvBuilder::new().with_memory_limit(limit, 1.0).build_arc().unwrap();
            let context = Arc::new(TaskContext::default().with_runtime(Arc::clone(&environment)));
            let rows = MemorySourceConfig::try_new_exec(&parts, schema(), None).unwrap();
            let kept = Arc::new(Kept::read(rows, SHARE, context).await.unwrap());
            let bytes = usize::try_from(PARTS * in_memory * ROWS * 8).unwrap();
            assert_eq!(environment.memory_pool.reserved(), bytes);
            for part in &kept.parts {
                assert_eq!(part.batches.len() as i64, in_memory);
                assert_eq!(part.spilled.is_some(), in_memory < BATCHES);
            }
            for readers in [1, 2, 3, 5] {
                let mut read: Vec<RecordBatch> = Vec::new();
                for reader in 0..readers {
                    let rows = Arc::clone(&kept).rows(reader, readers).unwrap();
                    read.extend(rows.try_collect::<Vec<_>>().await.unwrap());
                }
                assert_eq!(numbers(&read), all, "{readers} readers, {in_memory} batches in memory");
            }
            drop(kept);
            assert_eq!(environment.memory_pool.reserved(), 0);
        }
    });
}

/// One batch; it counts how often it is asked for.
#[derive(Debug)]
struct Counted(SchemaRef, Arc<AtomicUsize>);

impl PartitionStream for Counted {
    fn schema(&self) -> &SchemaRef {
        &self.0
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.1.fetch_add(1, Ordering::Relaxed);
        Box::pin(RecordBatchStreamAdapter::new(schema(), futures::stream::iter([Ok(batch(0))])))
    }
}

#[test]
fn rows_of_one_place_are_computed_once() {
    let (times, reading) = (Arc::default(), Arc::default());
    let place = || -> Arc<dyn ExecutionPlan> {
        let part: Arc<dyn PartitionStream> = Arc::new(Counted(schema(), Arc::clone(&times)));
        let rows = StreamingTableExec::try_new(schema(), vec![part], None, [], false, None).unwrap();
        Arc::new(OnceExec::new(Arc::new(rows), Arc::clone(&reading), SHARE))
    };
    Runtime::new().unwrap().block_on(async {
        let context = Arc::new(TaskContext::default());
        for _ in 0..2 {
            let read = collect(place(), Arc::clone(&context)).await.unwrap();
            assert_eq!(numbers(&read), (0..ROWS).collect::<Vec<_>>());
        }
    });
    assert_eq!(times.load(Ordering::Relaxed), 1);
}

/// Two aggregates in one statement, of tables that have the same name and columns.
fn both(one: &Arc<dyn TableProvider>, other: &Arc<dyn TableProvider>) -> LogicalPlan {
    let grouped = |table: &Arc<dyn TableProvider>| {
        let rows = LogicalPlanBuilder::scan("t", provider_as_source(Arc::clone(table)), None).unwrap();
        rows.aggregate(vec![col("n")], Vec::<Expr>::new()).unwrap()
    };
    grouped(one).union(grouped(other).build().unwrap()).unwrap().build().unwrap()
}

/// What a plan says of tables is their names alone.
#[test]
fn aggregates_of_other_rows_are_others() {
    let table = || -> Arc<dyn TableProvider> { Arc::new(MemTable::try_new(schema(), vec![Vec::new()]).unwrap()) };
    let under = |table: &Arc<dyn TableProvider>, condition: &str| -> Arc<dyn TableProvider> {
        Arc::new(Guarded::new(Arc::clone(table), "t", condition.to_owned()))
    };
    let (early, late) = (table(), table());
    let even = under(&early, "n % 2 = 0");
    for (one, other, places) in [
        (&early, &early, 1),
        (&even, &under(&early, "n % 2 = 0"), 1),
        (&early, &late, 0),
        (&even, &early, 0),
        (&even, &under(&early, "n % 2 = 1"), 0),
        (&even, &under(&late, "n % 2 = 0"), 0),
    ] {
        assert_eq!(repeated(&both(one, other)).unwrap().len(), places, "{one:?} {other:?}");
    }
}
