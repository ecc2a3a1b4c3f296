//! Pipelines: from a YAML spec to events enriched in flight, exactly once.
//!
//! One event's way: [`spec`] (what an author wrote) -> [`compile`] (a checked plan) -> [`runtime`] (one thread per
//! pipeline: read, decode, run the steps, one commit record with outputs, state and positions). The steps stand on
//! [`doc`] (one JSON object in flight), [`program`] (compiled VRL), [`lookup`] (cache and policy around a connector)
//! and [`operators`] (aggregates, windows and sessions as pure functions over state).
//!
//! What it is NOT: it opens no listener and no file of its own; connectors come in as tables of rows
//! (`headwater_kernel::port::{LookupKind, SourceKind}`), streams through `headwater_log::Log`. Only this crate names VRL.

pub mod compile;
pub mod doc;
pub mod kinds;
pub mod lookup;
pub mod operators;
pub mod path;
pub mod program;
pub mod runtime;
pub mod spec;
