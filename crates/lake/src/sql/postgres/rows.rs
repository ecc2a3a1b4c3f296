//! The rows of an answer on their way to a client of PostgreSQL, until they end, the time is up or somebody ends them.
//!
//! Whether it is time is looked at where the next row is not there yet, and once in many rows. A client that asks for no
//! more rows, or reads none, keeps its statement no longer from its end: the turn is given back without it, and so is
//! the memory that the rows behind it take.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion_postgres::pgwire::api::results::SendableRowStream;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures::{FutureExt as _, Stream};
use headwater_base::Problem;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Hold, told};
use crate::sql::Turn;
use crate::sql::queries::Query;

/// Rows between two looks at whether it is time to end.
const PORTION: usize = 256;
/// How long one that is to be ended waits for the row that is made just then.
const PAUSE: Duration = Duration::from_millis(5);

/// Rows that hold a turn.
pub struct Rows {
    /// None behind the last one.
    on: Option<On>,
}

struct On {
    /// Resolves when it is time to end, with what the client is told.
    end: Pin<Box<dyn Future<Output = PgWireError> + Send>>,
    query: Arc<Query>,
    /// Those that the query has not been told of.
    fresh: usize,
    held: Arc<Held>,
    /// Gives rows and turn back when it is time.
    _watch: JoinSet<()>,
}

/// The rows and their turn, until it is time. Nobody waits for the lock, which is taken for each row: whoever ends them
/// tries it.
struct Held(Mutex<Option<(SendableRowStream, Arc<Turn>)>>);

impl Held {
    /// Gives rows and turn back; false while a row is made.
    fn is_let_go(&self) -> bool {
        let Some(mut held) = self.0.try_lock() else { return false };
        let gone = held.take();
        drop(held);
        drop(gone);
        true
    }
}

impl Rows {
    /// The rows of a statement with its turn.
    pub(super) fn new(rows: SendableRowStream, hold: Hold) -> Self {
        let Hold { turn, deadline, late } = hold;
        let query = Arc::clone(&turn.listed.query);
        let held = Arc::new(Held(Mutex::new(Some((rows, turn)))));
        let (watched, until) = (Arc::clone(&held), ended(Arc::clone(&query), deadline, late.clone()));
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            until.await;
            while !watched.is_let_go() {
                sleep(PAUSE).await;
            }
        });
        let until = ended(Arc::clone(&query), deadline, late);
        let end = Box::pin(async move { told(&until.await) });
        Self { on: Some(On { end, query, fresh: 0, held, _watch: watch }) }
    }
}

/// Resolves when it is time to end, with why.
async fn ended(query: Arc<Query>, deadline: Instant, late: Problem) -> Problem {
    tokio::select! {
        () = sleep_until(deadline) => late,
        problem = query.ended() => problem,
    }
}

impl On {
    /// What comes next, nothing behind the last one.
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<PgWireResult<DataRow>>> {
        let next = self.held.0.lock().as_mut().map(|(rows, _)| rows.as_mut().poll_next(context));
        // Without a turn nothing more is read.
        let Some(next) = next else { return self.end.poll_unpin(context).map(|error| Some(Err(error))) };
        if let Poll::Ready(Some(Ok(_))) = &next {
            self.fresh += 1;
            if self.fresh < PORTION {
                return next;
            }
        }
        self.query.count(std::mem::take(&mut self.fresh));
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            return next;
        }
        match self.end.poll_unpin(context) {
            Poll::Ready(error) => Poll::Ready(Some(Err(error))),
            Poll::Pending => next,
        }
    }
}

impl Stream for Rows {
    type Item = PgWireResult<DataRow>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(on) = &mut self.on else { return Poll::Ready(None) };
        let next = on.next(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            // The turn goes with them.
            self.on = None;
        }
        next
    }
}
