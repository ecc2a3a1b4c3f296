//! Connectors: what pipelines read besides streams and where they look things up (one file each, one row each in
//! [`SOURCES`] and [`LOOKUPS`]), the destinations that rules deliver to, and the browser that draws pages for
//! reports.
//!
//! What it is NOT: caching, retries, time-outs of a whole lookup, circuit breakers and metrics belong to the caller
//! (`headwater_flow::lookup`) and are written once for all.

pub mod browser;
pub mod destination;
pub mod lookups;
pub mod sources;
mod tls;

pub use lookups::LOOKUPS;
pub use sources::SOURCES;
