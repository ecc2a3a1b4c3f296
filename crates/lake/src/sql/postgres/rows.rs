//! The rows of an answer on their way to a client of PostgreSQL, until they end, the time is up or somebody ends them.
//!
//! Whether it is time is looked at where the next row is not there yet, and once in many rows.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use datafusion_postgres::pgwire::api::results::SendableRowStream;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::data::DataRow;
use futures::{FutureExt as _, Stream};
use tokio::time::sleep_until;

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
    _turn: Arc<Turn>,
}

impl Rows {
    /// The rows of a statement with its turn.
    pub(super) fn new(rows: SendableRowStream, hold: Hold) -> Self {
        let Hold { turn, deadline, late } = hold;
        let query = Arc::clone(&turn.listed.query);
        let running = Arc::clone(&query);
        let end = async move {
            tokio::select! {
                () = sleep_until(deadline) => told(&late),
                problem = running.ended() => told(&problem),
            }
        };
        Self { on: Some(On { rows, end: Box::pin(end), query, fresh: 0, _turn: turn }) }
    }
}

impl On {
    /// What comes next, nothing behind the last one.
    fn next(&mut self, context: &mut Context<'_>) -> Poll<Option<PgWireResult<DataRow>>> {
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
