//! The memory that queries have together, with what one plan has of it.
//!
//! Batches on their way between threads that find no memory the engine would write to files, and may then wait for ever:
//! its reader for the one file to which nobody writes, who writes to the other one for the reader. So they are granted
//! what they ask for up to a bound: there are few of them where whoever reads keeps up. Beyond it the rows of the plan end
//! with an error, as they do where anything else finds no memory.
//!
//! # Source
//! `repartition` and `spill/spill_pool.rs` in `datafusion-physical-plan` 54.1; apache/datafusion#24883.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt as _;
use tokio::sync::watch;

/// How reservations of batches on their way between threads are called.
const BETWEEN: &str = "RepartitionExec[";
/// Bytes of such batches that a plan may have where no memory is left, at least.
const BETWEEN_MIN: usize = 32 << 20;
/// The part of the memory of queries that they may be, if that is more.
const BETWEEN_SHARE: usize = 8;

/// What one plan has of the memory of queries.
pub struct Memory {
    pool: Arc<dyn MemoryPool>,
    used: AtomicUsize,
    /// What of it is on its way between threads.
    between: AtomicUsize,
    between_max: usize,
    /// Why the rows end, once there is too much of that.
    exhausted: watch::Sender<Option<String>>,
}

impl Memory {
    /// Of what `shared` has.
    pub fn new(shared: &RuntimeEnv) -> Arc<Self> {
        let pool = Arc::clone(&shared.memory_pool);
        let share = match pool.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / BETWEEN_SHARE,
            _ => 0,
        };
        let (used, between) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { pool, used, between, between_max: share.max(BETWEEN_MIN), exhausted: watch::Sender::new(None) })
    }

    /// An environment like `shared` in which this is the memory.
    pub fn environment(self: &Arc<Self>, shared: &RuntimeEnv) -> Arc<RuntimeEnv> {
        Arc::new(RuntimeEnv { memory_pool: Arc::<Self>::clone(self), ..shared.clone() })
    }

    /// Bytes that the plan has.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes what has no part in the plan, beside it.
    pub fn reserve(self: &Arc<Self>, name: &str) -> MemoryReservation {
        let pool: Arc<dyn MemoryPool> = Arc::<Self>::clone(self);
        MemoryConsumer::new(name).register(&pool)
    }

    /// The rows of a plan that is carried out in this memory, which end where it is exhausted.
    pub fn within(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let (schema, mut exhausted) = (rows.schema(), self.exhausted.subscribe());
        let refused = async move {
            let words = exhausted.wait_for(Option::is_some).await.ok().and_then(|words| (*words).clone());
            match words {
                Some(words) => words,
                // Nobody is left who could exhaust it.
                None => std::future::pending().await,
            }
        };
        let mut rows = rows.take_until(Box::pin(refused));
        let rows = futures::stream::poll_fn(move |context| {
            let next = ready!(rows.poll_next_unpin(context));
            Poll::Ready(next.or_else(|| Some(Err(DataFusionError::ResourcesExhausted(rows.take_result()?)))))
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }

    /// Another plan is carried out in it, whatever became of the one before.
    pub fn renew(&self) {
        self.exhausted.send_replace(None);
    }

    fn took(&self, reservation: &MemoryReservation, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        if is_between(reservation) {
            self.between.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

fn is_between(reservation: &MemoryReservation) -> bool {
    reservation.consumer().name().starts_with(BETWEEN)
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({})", self.used())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.pool, f)
    }
}

impl MemoryPool for Memory {
    fn name(&self) -> &str {
        self.pool.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.pool.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.pool.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.pool.grow(reservation, additional);
        self.took(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.pool.shrink(reservation, shrink);
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        if is_between(reservation) {
            self.between.fetch_sub(shrink, Ordering::Relaxed);
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if let Err(full) = self.pool.try_grow(reservation, additional) {
            if !is_between(reservation) {
                return Err(full);
            }
            if self.between.load(Ordering::Relaxed).saturating_add(additional) > self.between_max {
                let words = match full.find_root() {
                    DataFusionError::ResourcesExhausted(words) => words.clone(),
                    other => other.strip_backtrace(),
                };
                self.exhausted.send_replace(Some(words));
                return Err(full);
            }
            self.pool.grow(reservation, additional);
        }
        self.took(reservation, additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.pool.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.pool.memory_limit()
    }
}

#[cfg(test)]
mod tests;
