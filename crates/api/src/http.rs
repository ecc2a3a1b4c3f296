//! The HTTP listener: events in, records out, resources, documents, features, health and figures.
//!
//! A handler decodes, calls a port and encodes; it holds no behaviour of its own. Every address is a row of
//! [`routes::ROUTES`], from which the router and the OpenAPI document follow; every refusal is a problem
//! ([`fault::Fault`]).

pub mod answer;
pub mod body;
pub mod documents;
pub mod enrich;
pub mod fault;
pub mod features;
pub mod guard;
pub mod health;
pub mod ingest;
pub mod metrics;
pub mod observe;
pub mod openapi;
pub mod query;
pub mod routes;
pub mod server;
pub mod tail;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use headwater_base::{Clock, Limits, Name};
use headwater_kernel::port::{Enrich, Features, Tables};
use headwater_kernel::schema::Validator;
use headwater_log::Log;
use tokio::sync::watch;

pub use server::serve;

/// Gives the schema check of a stream, if it has one.
pub type Validators = Arc<dyn Fn(&Name) -> Option<Arc<Validator>> + Send + Sync>;

/// What the node hands to the listener.
pub struct Parts {
    /// The event log.
    pub log: Arc<dyn Log>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// Schemas of streams.
    pub validator: Validators,
    /// Each kind's name and the schema of its resources, for `/openapi.json`.
    pub schemas: Vec<(&'static str, serde_json::Value)>,
    /// Documents.
    pub tables: Arc<dyn Tables>,
    /// Features.
    pub features: Arc<dyn Features>,
    /// Enrichment on demand.
    pub enrich: Arc<dyn Enrich>,
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
    /// Ids seen lately.
    pub dedupe: ingest::dedupe::Dedupe,
    /// Room for bodies.
    pub bodies: body::Bodies,
    /// Figures of this listener.
    pub counters: observe::Counters,
    /// Chooses the partition of requests without a key.
    pub round: AtomicU64,
}

impl Api {
    /// A listener's state over the node's parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            dedupe: ingest::dedupe::Dedupe::new(parts.limits.dedupe_ids),
            bodies: body::Bodies::new(&parts.limits),
            counters: observe::Counters::default(),
            round: AtomicU64::new(0),
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
