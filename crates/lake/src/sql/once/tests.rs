//! Rows that several readers get, in memory and behind it.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{AsArray as _, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::collect;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::TryStreamExt as _;
use tokio::runtime::Runtime;

use super::*;

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
        for (most, in_memory) in [(100_000, BATCHES), (20_000, 2), (100, 0)] {
            let limit = SHARE * parts.len() * most;
            let environment = RuntimeEnvBuilder::new().with_memory_limit(limit, 1.0).build_arc().unwrap();
            let context = Arc::new(TaskContext::default().with_runtime(Arc::clone(&environment)));
            let rows = MemorySourceConfig::try_new_exec(&parts, schema(), None).unwrap();
            let kept = Arc::new(Kept::read(rows, context).await.unwrap());
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
        Arc::new(OnceExec::new(Arc::new(rows), Arc::clone(&reading)))
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
