//! The listeners: HTTP ([`http`]), Kafka (`kafka`) and the AWS protocols ([`aws`]). They decode, call a port and encode.
//!
//! What it is NOT: it holds no behaviour of the platform. Streams, offsets and groups are the log's, resources and
//! tables the kernel's, enrichment and features the pipelines'.
//!
//! Invariant: until there is authentication every listener is reachable from this machine only ([`address::listen`]).

pub mod address;
pub mod aws;
pub mod http;
pub mod kafka;
#[cfg(test)]
mod testing;
