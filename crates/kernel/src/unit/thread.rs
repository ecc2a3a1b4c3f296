//! Threads for work in bulk, and a unit that is one of them: for work that reads the log record by record and never
//! waits for a runtime.
//!
//! Where processors are short, whoever waits for an answer goes first: the runtime's threads, which serve requests, those
//! of the log that every acknowledgement waits for, and those of workflows and rules keep the usual priority; what is
//! started here stands back, as its [`Haste`] says, and so does the log's keeper. It takes nothing from work in bulk while
//! processors are idle.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use futures::future::BoxFuture;
use headwater_base::Problem;
use headwater_log::park::StopSignal;
use headwater_store::process::stand_back;
use tokio::sync::watch;

use super::{Unit, contained, end_of};

/// How soon a thread of work in bulk goes on where processors are short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Somebody reads what it makes of events as they come: pipelines.
    Soon,
    /// Nobody waits for the next record of it: datasets, forecasts, statements, replays, recomputations.
    Later,
}

impl Haste {
    /// Has the calling thread go on so from now on, and threads that it starts.
    pub fn take(self) {
        stand_back(match self {
            Self::Soon => 5,
            Self::Later => 10,
        });
    }
}

/// Starts a thread of work in bulk.
///
/// # Errors
/// What the system says when there is no thread for it.
pub fn spawn(name: String, haste: Haste, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(move || {
        haste.take();
        work();
    })
}

/// A thread as a unit.
pub struct Thread {
    stop: StopSignal,
    ended: watch::Receiver<Option<Result<(), Problem>>>,
}

impl Thread {
    /// Starts `work` on a thread called `name`, of [`Haste::Later`], which ends soon after `stop` is set. `bug` is how it
    /// ended when it panicked, without what that said.
    ///
    /// # Errors
    /// What the system says when there is no thread for it.
    pub fn start(
        name: String,
        stop: StopSignal,
        bug: Problem,
        work: impl FnOnce() -> Result<(), Problem> + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let (end, ended) = watch::channel(None);
        spawn(name, Haste::Later, move || {
            let result =
                contained(work).unwrap_or_else(|said| Err(Problem { title: format!("{}: {said}", bug.title), ..bug }));
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

#[cfg(test)]
mod tests {
    use headwater_testkit::threads::own_niceness;

    use super::*;

    #[tokio::test]
    async fn a_thread_that_met_a_bug_says_what_that_was() {
        let bug = Problem::new("HW-KERNEL-024", "`bulk` ended by a bug in the program");
        let work = || -> Result<(), Problem> { panic!("a bug, made by a test") };
        let thread = Thread::start("bulk".to_owned(), StopSignal::default(), bug, work).unwrap();
        let ended = thread.finished().await.unwrap_err();
        assert_eq!(ended.title, "`bulk` ended by a bug in the program: a bug, made by a test");
    }

    #[test]
    fn work_in_bulk_stands_back_for_whoever_started_it() {
        let own = own_niceness();
        for (haste, nice) in [(Haste::Soon, 5), (Haste::Later, 10)] {
            let (tell, told) = std::sync::mpsc::channel();
            let thread = spawn("bulk".to_owned(), haste, move || tell.send(own_niceness()).unwrap()).unwrap();
            thread.join().unwrap();
            assert_eq!(told.recv().unwrap(), nice.max(own));
        }
        assert_eq!(own_niceness(), own);
    }
}
