//! A unit that is one thread of its own: for work that reads the log record by record and never waits for a runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_log::park::StopSignal;
use tokio::sync::watch;

use super::{Unit, end_of};

/// A thread as a unit.
pub struct Thread {
    stop: StopSignal,
    ended: watch::Receiver<Option<Result<(), Problem>>>,
}

impl Thread {
    /// Starts `work` on a thread called `name`, which ends soon after `stop` is set. `bug` is how it ended when it
    /// panicked.
    ///
    /// # Errors
    /// What the system says when there is no thread for it.
    pub fn start(
        name: String,
        stop: StopSignal,
        bug: Problem,
        work: impl FnOnce() -> Result<(), Problem> + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let (end, ended) = watch::channel(None);
        thread::Builder::new().name(name).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(bug));
            end.send_replace(Some(result));
        })?;
        Ok(Arc::new(Self { stop, ended }))
    }
}

impl Unit for Thread {
    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.stop.set();
            let _ = self.finished().await;
        })
    }

    fn finished(&self) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(end_of(self.ended.clone()))
    }
}
