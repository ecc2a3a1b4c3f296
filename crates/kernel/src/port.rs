//! The ports feature crates meet through: what one offers and another uses, without knowing each other.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Micros, Problem};
use serde_json::Value;

pub mod bus;
pub mod catalog;
pub mod charts;
pub mod columnar;
pub mod forecast;
pub mod function;
pub mod outlet;
pub mod picture;
pub mod solutions;
pub mod sql;
pub mod tables;
pub mod workflows;

pub use bus::{Bus, Cause};
pub use catalog::Catalog;
pub use charts::Charts;
pub use columnar::Columnar;
pub use function::FunctionKind;
pub use outlet::{Outlet, Outlets};
pub use picture::Pictures;
pub use solutions::Solutions;
pub use sql::Sql;
pub use tables::{Document, Tables};
pub use workflows::Workflows;

/// A JSON value as its text, as it will be written into an event. Cheap to clone.
pub type Json = Bytes;

/// Why a lookup gave no answer; the caller's policy (retry, circuit breaker, mark the event) decides what follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The backend did not answer in time.
    #[error("no answer within {0} ms")]
    Timeout(u64),
    /// The backend failed; another try may help.
    #[error("{0}")]
    Unavailable(String),
    /// The backend answered that this key can never be looked up; no other try helps.
    #[error("{0}")]
    Rejected(String),
}

/// How deep answers are nested that go into events without being looked at.
pub const JSON_DEPTH_MAX: usize = 64;

/// A source of facts about a key. Cache, single flight, retry, circuit breaker and metrics belong to the caller.
pub trait Lookup: Send + Sync {
    /// The answer, if it can be had at once without waiting for anything (memory, a mapped file); `Ok(None)` = the key
    /// is unknown. None = ask [`Lookup::get`].
    fn at_once(&self, key: &str) -> Option<Result<Option<Json>, LookupError>>;

    /// Whether what [`Lookup::at_once`] answers was written as JSON by whoever answers, nested at most
    /// [`JSON_DEPTH_MAX`] deep, so that nobody need look at it again. False where it was taken from somebody.
    fn writes_json(&self) -> bool {
        false
    }

    /// Asks the backend. `Ok(None)` = the key is unknown there.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Json>, LookupError>>;
}

/// Builds a lookup from its part of a pipeline's spec: `{type: http, url: ...}`.
pub type BuildLookup = fn(&Value, &Context) -> Result<Arc<dyn Lookup>, Problem>;

/// One row of the table of lookups.
#[derive(Clone, Copy)]
pub struct LookupKind {
    /// The spec's `type`.
    pub name: &'static str,
    /// JSON Schema of the spec.
    pub schema: fn() -> Value,
    /// What is wrong with a spec that fits the schema; reads no file, secret or stream.
    pub check: fn(&Value) -> Result<(), Problem>,
    /// Builds one.
    pub build: BuildLookup,
}

/// One record a source read, before any decoding beyond its framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// A JSON object's text.
    pub value: Bytes,
    /// Where it stood, for dead letters: a line number, a byte offset.
    pub position: u64,
    /// Why the input could not be turned into JSON; `value` then holds the raw input.
    pub fault: Option<String>,
}

/// A finite source of records: a file, standard input.
pub trait Source: Send {
    /// The next records, at most `count`; empty at the end.
    ///
    /// # Errors
    /// `HW-CONNECT-*` when the input cannot be read any further.
    fn next(&mut self, count: usize) -> Result<Vec<SourceRecord>, Problem>;

    /// (done, total) bytes for a progress bar; total is None for a pipe.
    fn progress(&self) -> (u64, Option<u64>);
}

/// Builds a source from its part of a pipeline's spec.
pub type BuildSource = fn(&Value, &Context) -> Result<Box<dyn Source>, Problem>;

/// One row of the table of sources.
#[derive(Clone, Copy)]
pub struct SourceKind {
    /// The spec's `type`.
    pub name: &'static str,
    /// JSON Schema of the spec.
    pub schema: fn() -> Value,
    /// Builds one.
    pub build: BuildSource,
}

/// What a connector may use while it is built.
#[derive(Clone)]
pub struct Context {
    /// Folder that relative file names start from.
    pub folder: std::path::PathBuf,
    /// Reads a secret by its resource name.
    pub secrets: Arc<dyn Secrets>,
    /// The node's tables; None in a run over files without a node, where tables are files.
    pub tables: Option<Arc<dyn Tables>>,
    /// The node's log; None in a run over files.
    pub log: Option<Arc<dyn headwater_log::Log>>,
}

impl Context {
    /// For connectors of a process that is no node: no table, no log, and no secret.
    pub fn without_node(folder: impl Into<std::path::PathBuf>) -> Self {
        Self { folder: folder.into(), secrets: Arc::new(NoSecrets), tables: None, log: None }
    }
}

/// Secret values, by the name of the Secret resource. Values are never logged, stored or shown.
pub trait Secrets: Send + Sync {
    /// The value.
    ///
    /// # Errors
    /// `HW-KERNEL-*` when there is no such secret or its reference cannot be read.
    fn read(&self, name: &str) -> Result<Bytes, Problem>;
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn read(&self, name: &str) -> Result<Bytes, Problem> {
        Err(Problem::new("HW-KERNEL-012", format!("there is no secret `{name}`")))
    }
}

/// Values kept by pipelines for reading at high rate.
pub trait Features: Send + Sync {
    /// The durable feature values of one entity's key as a JSON object, or None if there are none.
    fn read(&self, entity: &str, key: &str) -> Option<Json>;

    /// The entities that can be read.
    fn entities(&self) -> Vec<String>;
}

/// The same enrichment as a running pipeline's, on demand.
pub trait Enrich: Send + Sync {
    /// Runs the stateless steps and lookups of `pipeline` on one event and gives the enriched event back. Nothing is
    /// stored.
    fn enrich<'a>(&'a self, pipeline: &'a str, event: Json) -> BoxFuture<'a, Result<Json, Problem>>;
}

/// Recomputing what a pipeline has said about a span of event time, in batch.
pub trait Reconcile: Send + Sync {
    /// Compares what was said of `from..to` with the input, and repairs it if told to; answers the report as a JSON object.
    fn reconcile<'a>(
        &'a self,
        pipeline: &'a str,
        from: Micros,
        to: Micros,
        repair: bool,
    ) -> BoxFuture<'a, Result<Value, Problem>>;
}
