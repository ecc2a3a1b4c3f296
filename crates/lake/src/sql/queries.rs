//! The statements that run now: who asked what, how far each is, and how somebody else ends it.
//!
//! Invariants: a statement is listed as long as it has its turn, also where others share that (`shared.rs`), so there are
//! no more than run at a time; the first one who ends it is the one who is named. Nothing here costs anything for each row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::runtime_env::RuntimeEnv;
use headwater_base::{Micros, Principal, Problem};
use headwater_kernel::port::sql::{RunningQuery, Via};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::fault;
use super::memory::Memory;

/// Characters of a statement that are shown.
const TEXT_CHARS_MAX: usize = 2_000;

/// A connection of PostgreSQL's protocol: the number and the secret that a request to cancel has to name.
pub type Backend = (i32, Bytes);

/// Who asks what.
pub struct Asked<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// How it came.
    pub via: Via,
    /// The statement.
    pub text: &'a str,
    /// The connection, where it can be told to end what it runs.
    pub backend: Option<Backend>,
}

/// Those that run.
#[derive(Default)]
pub struct Queries {
    last: AtomicU64,
    all: Mutex<BTreeMap<u64, Arc<Query>>>,
    /// Connections whose statement waits for its turn.
    waiting: Mutex<BTreeSet<Backend>>,
}

/// One that runs.
pub struct Query {
    id: u64,
    principal: Principal,
    via: Via,
    text: String,
    started: Micros,
    backend: Option<Backend>,
    rows: AtomicU64,
    memory: OnceLock<Arc<Memory>>,
    /// Why it ends before its time.
    end: watch::Sender<Option<Problem>>,
}

/// Keeps a statement listed.
pub struct Listed {
    queries: Arc<Queries>,
    /// The statement.
    pub query: Arc<Query>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.queries.all.lock().remove(&self.query.id);
    }
}

/// Keeps it known that a connection's statement waits for its turn.
pub struct Waiting {
    queries: Arc<Queries>,
    backend: Backend,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.queries.waiting.lock().remove(&self.backend);
    }
}

impl Queries {
    /// A connection's statement waits for its turn, until the answer is dropped. It is what the connection means by a
    /// request to cancel; what it has in the list are rows of earlier ones that it fetches later.
    pub fn wait(self: &Arc<Self>, backend: Backend) -> Waiting {
        self.waiting.lock().insert(backend.clone());
        Waiting { queries: Arc::clone(self), backend }
    }

    /// Lists a statement that has got its turn.
    pub fn enter(self: &Arc<Self>, asked: Asked<'_>, now: Micros) -> Listed {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let query = Arc::new(Query {
            id,
            principal: asked.principal.clone(),
            via: asked.via,
            text: shortened(asked.text),
            started: now,
            backend: asked.backend,
            rows: AtomicU64::new(0),
            memory: OnceLock::new(),
            end: watch::Sender::new(None),
        });
        self.all.lock().insert(id, Arc::clone(&query));
        Listed { queries: Arc::clone(self), query }
    }

    /// Whether some connection's statement waits for its turn.
    #[cfg(test)]
    pub fn has_waiting(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    /// Those that `principal` sees, the oldest first.
    pub fn seen_by(&self, principal: &Principal) -> Vec<RunningQuery> {
        self.all.lock().values().filter(|query| query.is_seen_by(principal)).map(|query| query.shown()).collect()
    }

    /// Ends a statement that `by` sees.
    ///
    /// # Errors
    /// `HW-LAKE-073`.
    pub fn cancel(&self, id: u64, by: &Principal) -> Result<(), Problem> {
        let found = self.all.lock().get(&id).filter(|query| query.is_seen_by(by)).cloned();
        let query = found.ok_or_else(|| fault::no_query(id))?;
        query.stop(fault::cancelled(&format!("by `{by}`")));
        Ok(())
    }

    /// Ends what a connection began last; whether there was anything, and nothing of it waits for its turn.
    pub fn cancel_of(&self, backend: &Backend) -> bool {
        if self.waiting.lock().contains(backend) {
            return false;
        }
        let found = self.all.lock().values().rev().find(|query| query.backend.as_ref() == Some(backend)).cloned();
        let Some(query) = found else { return false };
        query.stop(fault::cancelled("by its own client"));
        true
    }
}

impl Query {
    /// Whether a principal may know of it, and end it.
    fn is_seen_by(&self, principal: &Principal) -> bool {
        principal.is_admin() || *principal == self.principal
    }

    fn shown(&self) -> RunningQuery {
        let bytes = |memory: &Arc<Memory>| memory.used() as u64;
        RunningQuery {
            id: self.id,
            principal: self.principal.clone(),
            via: self.via,
            text: self.text.clone(),
            started: self.started,
            rows: self.rows.load(Ordering::Relaxed),
            memory_bytes: self.memory.get().map(bytes),
        }
    }

    fn stop(&self, why: Problem) {
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            if first {
                *end = Some(why);
            }
            first
        });
    }

    /// Resolves once somebody ends it, with what whoever asked is told.
    pub async fn ended(&self) -> Problem {
        let mut end = self.end.subscribe();
        // The sender is this query's own: it does not go while it is borrowed.
        let why = end.wait_for(Option::is_some).await.ok().and_then(|why| (*why).clone());
        why.unwrap_or_else(fault::closed)
    }

    /// What whoever asked is told, if somebody has ended it: for work that waits for nothing.
    pub fn why_ended(&self) -> Option<Problem> {
        self.end.borrow().clone()
    }

    /// Takes note of rows that are on their way.
    pub fn count(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// An environment like `shared` in which what this query reserves is counted for it as well.
    pub fn metered(&self, shared: &RuntimeEnv) -> Arc<RuntimeEnv> {
        self.memory.get_or_init(|| Memory::new(shared)).environment(shared)
    }

    /// The rows of a plan that is carried out in what [`Self::metered`] answers.
    pub fn within(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        match self.memory.get() {
            Some(memory) => memory.within(rows),
            None => rows,
        }
    }

    /// Its plan has ended, and another one begins.
    pub fn renew(&self) {
        if let Some(memory) = self.memory.get() {
            memory.renew();
        }
    }

    /// Bytes that it has of the memory of queries.
    pub fn reserved(&self) -> usize {
        self.memory.get().map_or(0, |memory| memory.used())
    }

    /// What its answer takes beside what the engine takes, where that is counted.
    pub fn reservation(&self) -> Option<MemoryReservation> {
        self.memory.get().map(|memory| memory.reserve("the answer"))
    }
}

/// The beginning of a statement.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
