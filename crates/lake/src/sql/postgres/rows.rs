//! The rows of an answer on their way to a client of PostgreSQL, until they end, the time is up or somebody ends them.
//!
//! Whether it is time is looked at where the next row is not there yet, and once in many rows. A client that asks for no
//! more rows, or reads none, keeps its statement no longer from its end: the turn is given back without it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use datafusion_postgres::pgwire::api::results::SendableRowStream;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures::{FutureExt as _, Stream};
use headwater_base::Problem;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::{Hold, told};
use crate::sql::Turn;
use crate::sql::queries::Query;

/// Rows between two looks at whether it is time to end.
const PORTION: usize = 256;

/// Rows that hold a turn.
pub struct Rows {
    /// None behind the last one.
    on: Option<On>,
}

struct On {
    rows: SendableRowStream,
    /// Resolves when it is time to end, with what the client is told.
    end: Pin<Box<dyn Future<Output = PgWireError> + Send>>,
    query: Arc<Query>,
    /// Those that the query has not been told of.
    fresh: usize,
    held: Arc<Held>,
    /// Gives the turn back when it is time.
    _watch: JoinSet<()>,
}

/// The turn, until it is time.
struct Held {
    turn: Mutex<Option<Arc<Turn>>>,
    over: AtomicBool,
}

impl Rows {
    /// The rows of a statement with its turn.
    pub(super) fn new(rows: SendableRowStream, hold: Hold) -> Self {
        let Hold { turn, deadline, late } = hold;
        let query = Arc::clone(&turn.listed.query);
        let held = Arc::new(Held { turn: Mutex::new(Some(turn)), over: AtomicBool::new(false) });
        let (watched, until) = (Arc::clone(&held), ended(Arc::clone(&query), deadline, late.clone()));
        let mut watch = JoinSet::new();
        watch.spawn(async move {
            until.await;
            watched.over.store(true, Ordering::Relaxed);
            drop(watched.turn.lock().take());
        });
        let until = ended(Arc::clone(&query), deadline, late);
        let end = Box::pin(async move { told(&until.await) });
        Self { on: Some(On { rows, end, query, fresh: 0, held, _watch: watch }) }
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
        // Without a turn nothing more is read.
        if self.held.over.load(Ordering::Relaxed) {
            return self.end.poll_unpin(context).map(|error| Some(Err(error)));
        }
        let next = self.rows.as_mut().poll_next(context);
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
