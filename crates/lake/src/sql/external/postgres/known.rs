//! What is known of the columns of servers' tables, so that a server is asked for them once in a while and not for each
//! statement.
//!
//! A statement takes the columns as they are known for [`KEPT_MAX`]; what it reads is held against them, and what has
//! changed meanwhile is forgotten. A server that was away is not asked again for [`AWAY_MAX`]. Lists take what is known,
//! however old it is, have it asked for behind them, and wait only for servers of which nothing is known.
//!
//! Invariants: of a table one question is under way at a time, and others wait for its answer; each ends in its time,
//! also when nobody waits for it any more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use headwater_base::{Clock, Problem};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::columns::Column;
use super::connect::{BUSY, unreachable};
use crate::kinds::external_table::postgres::PostgresSpec;
use crate::sql::fault;

/// How long statements take columns for those that the table has.
const KEPT_MAX: Duration = Duration::from_secs(60);
/// How long a server that was away is not asked again.
const AWAY_MAX: Duration = Duration::from_secs(5);
/// How long a question may take, the wait for a connection with it.
const ASK_MAX: Duration = Duration::from_secs(30);
/// How long a list waits for a server that it knows nothing of.
const LIST_MAX: Duration = Duration::from_secs(1);
/// Tables, and servers, of which something is kept in mind.
const TABLES_MAX: usize = 1_024;
/// What is told of a server that is away.
const AWAY: &str = "HW-LAKE-056";
/// What a question is called in a problem.
const QUESTION: &str = "the question for a table's columns";

/// The columns of a table.
pub type Columns = Arc<[Column]>;

/// What is known of all tables.
pub struct Known {
    clock: Arc<dyn Clock>,
    tables: Mutex<HashMap<String, Arc<Table>>>,
    /// Servers that have not answered when they were asked last.
    away: Mutex<HashSet<String>>,
}

/// A table of a server.
struct Table {
    name: String,
    spec: PostgresSpec,
    said: Mutex<Said>,
    /// Held by whoever asks.
    asking: tokio::sync::Mutex<()>,
}

/// What its server has said, and when.
#[derive(Default)]
struct Said {
    columns: Option<Columns>,
    /// None where they may be others by now.
    since: Option<Duration>,
    /// What it said last, if it gave no columns.
    refusal: Option<(Duration, Problem)>,
}

impl Said {
    fn fresh(&self, now: Duration) -> Option<Columns> {
        let is_fresh = self.since.is_some_and(|since| now < since + KEPT_MAX);
        self.columns.clone().filter(|_| is_fresh)
    }

    fn refused(&self, now: Duration) -> Option<&Problem> {
        self.refusal.as_ref().filter(|(at, _)| now < *at + AWAY_MAX).map(|(_, problem)| problem)
    }

    /// What a statement goes by; nothing if the server has to be asked. What it says at once it is asked again: somebody
    /// may have put it right.
    fn now(&self, now: Duration) -> Option<Result<Columns, Problem>> {
        let away = || self.refused(now).filter(|problem| problem.code == AWAY).cloned();
        self.fresh(now).map(Ok).or_else(|| away().map(Err))
    }
}

impl Known {
    /// Nothing is known yet; `clock` tells how old what is known is.
    pub fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { clock: Arc::clone(clock), tables: Mutex::default(), away: Mutex::default() }
    }

    /// The columns of a table, for a statement: as they are known, or as `ask` tells them.
    ///
    /// # Errors
    /// What `ask` says, or has just said.
    pub async fn columns<F>(self: &Arc<Self>, name: &str, spec: &PostgresSpec, ask: F) -> Result<Columns, Problem>
    where
        F: Future<Output = Result<Vec<Column>, Problem>> + Send + 'static,
    {
        let table = self.table(name, spec);
        let said = table.said.lock().now(self.clock.elapsed());
        match said {
            Some(said) => said,
            // A question goes on without whoever has begun it: others may wait for its answer.
            None => self.asked(table, ask).await.unwrap_or_else(|error| Err(fault::ended(QUESTION, &error))),
        }
    }

    /// The same for a list, which waits for nobody who is away.
    ///
    /// # Errors
    /// What `ask` has said, or that it has said nothing yet.
    pub async fn listed<F>(self: &Arc<Self>, name: &str, spec: &PostgresSpec, ask: F) -> Result<Columns, Problem>
    where
        F: Future<Output = Result<Vec<Column>, Problem>> + Send + 'static,
    {
        let (table, now) = (self.table(name, spec), self.clock.elapsed());
        let (columns, refusal, wants) = {
            let said = table.said.lock();
            let wants = said.fresh(now).is_none() && said.refused(now).is_none();
            (said.columns.clone(), said.refusal.as_ref().map(|(_, problem)| problem.clone()), wants)
        };
        let place = spec.place();
        let waits = columns.is_none() && !self.away.lock().contains(&place);
        let is_asked = table.asking.try_lock().is_err();
        let asked = (wants && (waits || !is_asked)).then(|| self.asked(table, ask));
        if let Some(columns) = columns {
            return Ok(columns);
        }
        if let Some(asked) = asked.filter(|_| waits) {
            if let Ok(answer) = timeout(LIST_MAX, asked).await {
                return answer.unwrap_or_else(|error| Err(fault::ended(QUESTION, &error)));
            }
            self.is_away(place);
        }
        Err(refusal.unwrap_or_else(|| unreachable(name, spec).because("it has not answered yet")))
    }

    /// The columns of a table may be others by now.
    pub fn forget(&self, name: &str) {
        if let Some(table) = self.tables.lock().get(name) {
            table.said.lock().since = None;
        }
    }

    fn table(&self, name: &str, spec: &PostgresSpec) -> Arc<Table> {
        let mut tables = self.tables.lock();
        if let Some(table) = tables.get(name).filter(|table| table.spec == *spec) {
            return Arc::clone(table);
        }
        if tables.len() >= TABLES_MAX {
            tables.clear();
        }
        let (said, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        let table = Arc::new(Table { name: name.to_owned(), spec: spec.clone(), said, asking });
        tables.insert(name.to_owned(), Arc::clone(&table));
        table
    }

    /// Asks, unless somebody else has meanwhile.
    fn asked<F>(self: &Arc<Self>, table: Arc<Table>, ask: F) -> JoinHandle<Result<Columns, Problem>>
    where
        F: Future<Output = Result<Vec<Column>, Problem>> + Send + 'static,
    {
        let known = Arc::clone(self);
        tokio::spawn(async move {
            let _asking = table.asking.lock().await;
            let said = table.said.lock().now(known.clock.elapsed());
            if let Some(said) = said {
                return said;
            }
            let late = |_| {
                let cause = format!("there was no answer in {} s", ASK_MAX.as_secs());
                Err(unreachable(&table.name, &table.spec).because(cause))
            };
            let answer = timeout(ASK_MAX, ask).await.unwrap_or_else(late);
            known.heard(&table, answer)
        })
    }

    /// Keeps in mind what a server says.
    fn heard(&self, table: &Table, answer: Result<Vec<Column>, Problem>) -> Result<Columns, Problem> {
        let now = self.clock.elapsed();
        match answer {
            Ok(columns) => {
                let columns: Columns = columns.into();
                self.away.lock().remove(&table.spec.place());
                *table.said.lock() = Said { columns: Some(Arc::clone(&columns)), since: Some(now), refusal: None };
                Ok(columns)
            }
            // The server was not asked.
            Err(problem) if problem.code == BUSY => Err(problem),
            Err(problem) => {
                if problem.code == AWAY {
                    self.is_away(table.spec.place());
                } else {
                    self.away.lock().remove(&table.spec.place());
                }
                table.said.lock().refusal = Some((now, problem.clone()));
                Err(problem)
            }
        }
    }

    fn is_away(&self, place: String) {
        let mut away = self.away.lock();
        if away.len() >= TABLES_MAX {
            away.clear();
        }
        away.insert(place);
    }
}

#[cfg(test)]
mod tests;
