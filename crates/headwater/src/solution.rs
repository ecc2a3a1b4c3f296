//! Solutions: what is shipped in the binary ([`package`]) and offered by a node ([`shelf`]), a node to try them on ([`node`], [`client`], [`reader`]), and
//! what each has of its own ([`clickstream`], [`sales_insights`], [`workflow_cost`]).
//!
//! What it is NOT: part of a node. But for the shelf, everything here talks to a node from outside, over HTTP and Kafka's
//! protocol, as its users do.

pub mod checks;
pub mod clickstream;
pub mod client;
pub mod node;
pub mod outcome;
pub mod package;
pub mod reader;
pub mod sales_insights;
pub mod shelf;
pub mod workflow_cost;
