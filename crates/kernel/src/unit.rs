//! Units: what runs. The supervisor starts them, stops them and starts them again; nothing else does.

use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::Problem;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::reconcile::UnitSpec;
use crate::resource::Status;

mod bug;
mod roster;
mod thread;

pub use bug::{awaited, bug, contained};
pub(crate) use bug::{panicked, unit_bug};
pub use roster::Roster;
pub use thread::{Haste, Thread, spawn};

/// A unit that has been started.
pub trait Unit: Send + Sync {
    /// Asks it to stop and resolves when it has: nothing of it runs or writes after that. May be called more than once.
    fn stop(&self) -> BoxFuture<'_, ()>;

    /// Resolves when it has ended: by itself, by an error, or because it was stopped. Resolves again on a second call.
    fn finished(&self) -> BoxFuture<'_, Result<(), Problem>>;

    /// What it has to say of itself while it runs; the default is that a running unit is ready.
    fn status(&self) -> Status {
        Status::ready("Running", "")
    }
}

/// Starts a unit. Resolves once it runs; an error is retried with backoff.
pub type Start = Arc<dyn Fn(UnitSpec) -> BoxFuture<'static, Result<Arc<dyn Unit>, Problem>> + Send + Sync>;

/// One row of the table of unit kinds.
#[derive(Clone)]
pub struct UnitKind {
    /// What [`UnitSpec::kind`] names.
    pub name: &'static str,
    /// Starts one.
    pub start: Start,
}

impl UnitKind {
    /// Units that `start` starts with `of`: what all units of the kind have in common.
    pub fn new<T, F>(name: &'static str, of: &T, start: impl Fn(T, UnitSpec) -> F + Send + Sync + 'static) -> Self
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<Arc<dyn Unit>, Problem>> + Send + 'static,
    {
        let of = of.clone();
        let start = move |unit: UnitSpec| -> BoxFuture<'static, Result<Arc<dyn Unit>, Problem>> {
            Box::pin(start(of.clone(), unit))
        };
        Self { name, start: Arc::new(start) }
    }
}

/// Begins to remove something outside the data folder that a deleted resource owned
/// ([`Owned::Outside`](crate::reconcile::Owned::Outside)). It returns at once; what it cannot do, it tells in the log.
pub type Clear = Arc<dyn Fn(&str) + Send + Sync>;

/// The signal to stop that a [`Task`] gets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Resolves when the task should stop.
    pub async fn wait(&mut self) {
        // An error means that the other side is gone, which is as good a reason to stop.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// True once the task should stop: for loops that do not wait.
    pub fn is_set(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// A unit made of one future that watches a [`Stop`].
pub struct Task {
    stop: watch::Sender<bool>,
    ended: watch::Receiver<Option<Result<(), Problem>>>,
    worker: JoinHandle<()>,
}

impl Task {
    /// Spawns `work` on the current runtime. A panic in it ends the unit with `HW-KERNEL-024` and nothing else.
    pub fn spawn<F>(name: &str, work: impl FnOnce(Stop) -> F) -> Arc<Self>
    where
        F: Future<Output = Result<(), Problem>> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(None);
        let inner = tokio::spawn(work(Stop(stopped)));
        let name = name.to_owned();
        let worker = tokio::spawn(async move {
            let result = inner.await.unwrap_or_else(|error| Err(panicked(&name, error)));
            end.send_replace(Some(result));
        });
        Arc::new(Self { stop, ended, worker })
    }

    /// Resolves once it has ended by an error or a panic, and never where it was told to stop: for what the whole node
    /// needs.
    pub async fn broken(&self) -> Problem {
        match self.finished().await {
            Err(problem) => problem,
            Ok(()) => std::future::pending().await,
        }
    }
}

/// Resolves to what a worker ended with, now and at every later call.
async fn end_of(mut ended: watch::Receiver<Option<Result<(), Problem>>>) -> Result<(), Problem> {
    let result = match ended.wait_for(Option::is_some).await {
        Ok(result) => result.clone(),
        Err(_) => None,
    };
    result.unwrap_or(Ok(()))
}

impl Unit for Task {
    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.stop.send_replace(true);
            let _ = self.finished().await;
        })
    }

    fn finished(&self) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(end_of(self.ended.clone()))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.worker.abort();
    }
}
