//! The HTTP listener: events in, records out, resources, documents, features, health, figures and the console.
//!
//! A handler decodes, calls a port and encodes; it holds no behaviour of its own. Every address is a row of
//! [`routes::all`], from which the router and the OpenAPI document follow; every refusal is a problem
//! ([`fault::Fault`]).

pub mod answer;
mod aside;
pub mod body;
pub mod bus;
mod charts;
pub mod console;
mod deletions;
pub mod documents;
mod drafts;
pub mod enrich;
pub mod executions;
pub mod fault;
pub mod features;
pub mod groups;
pub mod guard;
pub mod health;
pub mod iceberg;
pub mod ingest;
pub mod live;
pub mod metrics;
pub mod observe;
pub mod openapi;
mod patience;
mod pipelines;
mod principal;
pub mod query;
pub mod reconcile;
pub mod resources;
pub mod routes;
pub mod server;
mod solutions;
mod sql;
pub mod tail;
pub mod transactions;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use headwater_base::{Clock, Limits};
use headwater_kernel::Kernel;
use headwater_kernel::dedupe::Dedupe;
use headwater_kernel::port::{Bus, Catalog, Charts, Enrich, Features, Reconcile, Solutions, Sql, Tables, Workflows};
use headwater_log::Log;
use headwater_log::groups::Groups;
use tokio::sync::watch;

pub use server::serve;

/// What the node hands to the listener.
pub struct Parts {
    /// Resources, tables, the log, the clock and the bounds.
    pub kernel: Arc<Kernel>,
    /// Consumer groups.
    pub groups: Arc<Groups>,
    /// Features.
    pub features: Arc<dyn Features>,
    /// Enrichment on demand.
    pub enrich: Arc<dyn Enrich>,
    /// Events for rules.
    pub bus: Arc<dyn Bus>,
    /// Batch beside stream.
    pub reconcile: Arc<dyn Reconcile>,
    /// Rows for statements, where they are served.
    pub sql: Option<Arc<dyn Sql>>,
    /// Rows for charts, where they are served.
    pub charts: Option<Arc<dyn Charts>>,
    /// Executions of workflows, where they are served.
    pub workflows: Option<Arc<dyn Workflows>>,
    /// Tables of the lake, where they are served.
    pub catalog: Option<Arc<dyn Catalog>>,
    /// Solutions that can be applied by name, where they are offered.
    pub solutions: Option<Arc<dyn Solutions>>,
    /// Figures of the other parts.
    pub figures: Vec<metrics::Figures>,
    /// What `/readyz` asks.
    pub readiness: health::Readiness,
    /// Turns true when the node stops.
    pub stop: watch::Receiver<bool>,
}

/// What the handlers share: the node's parts, and what belongs to the listener itself.
pub struct Api {
    parts: Parts,
    /// The event log.
    pub log: Arc<dyn Log>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// Documents.
    pub tables: Arc<dyn Tables>,
    /// Ids seen lately.
    pub dedupe: Dedupe,
    /// Room for bodies.
    pub bodies: body::Bodies,
    /// Figures for those who follow live.
    pub live: live::Live,
    /// Figures of this listener.
    pub counters: observe::Counters,
    /// Chooses the partition of requests without a key.
    pub round: AtomicU64,
}

impl Api {
    /// A listener's state over the node's parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        let kernel = parts.kernel.clone();
        let limits = kernel.limits().clone();
        Arc::new(Self {
            log: kernel.log().clone(),
            clock: kernel.clock().clone(),
            tables: kernel.tables().clone(),
            dedupe: Dedupe::new(limits.dedupe_ids),
            bodies: body::Bodies::new(&limits),
            live: live::Live::default(),
            counters: observe::Counters::default(),
            round: AtomicU64::new(0),
            limits,
            parts,
        })
    }
}

impl std::ops::Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

#[cfg(test)]
mod tests;
