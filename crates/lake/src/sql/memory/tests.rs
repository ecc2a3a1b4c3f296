//! What is on its way between threads, where no memory is left.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use futures::FutureExt as _;

use super::*;

/// Rows that come, and others that never do.
fn some_rows(memory: &Memory) -> SendableRecordBatchStream {
    let schema = Arc::new(Schema::empty());
    let first = futures::stream::iter([Ok(RecordBatch::new_empty(Arc::clone(&schema)))]);
    memory.within(Box::pin(RecordBatchStreamAdapter::new(schema, first.chain(futures::stream::pending()))))
}

#[test]
fn batches_between_threads_have_memory_up_to_a_bound_at_which_the_rows_end() {
    let shared = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(1_000))).build().unwrap();
    let memory = Memory::new(&shared);
    let pool = Arc::clone(&memory.environment(&shared).memory_pool);
    let held = MemoryConsumer::new("HashJoinInput").register(&pool);
    held.try_grow(1_000).unwrap();
    assert!(held.try_grow(1).is_err(), "all memory is taken");
    let mut rows = some_rows(&memory);
    assert!(matches!(rows.next().now_or_never(), Some(Some(Ok(_)))));

    let between = MemoryConsumer::new("RepartitionExec[1]").with_can_spill(true).register(&pool);
    between.try_grow(BETWEEN_MIN - 1).unwrap();
    assert_eq!(memory.used(), 1_000 + BETWEEN_MIN - 1);
    between.shrink(BETWEEN_MIN / 2);
    between.try_grow(BETWEEN_MIN / 2).unwrap();
    assert!(rows.next().now_or_never().is_none(), "it is within the bound");

    between.try_grow(2).unwrap_err();
    let ended = rows.next().now_or_never().unwrap().unwrap().unwrap_err();
    assert!(matches!(ended, DataFusionError::ResourcesExhausted(_)), "{ended}");
    assert!(rows.next().now_or_never().unwrap().is_none());

    // The next plan begins anew.
    memory.renew();
    let mut rows = some_rows(&memory);
    assert!(matches!(rows.next().now_or_never(), Some(Some(Ok(_)))));
    assert!(rows.next().now_or_never().is_none());
    drop((held, between));
    assert_eq!(memory.used(), 0);
}
