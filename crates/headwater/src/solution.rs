//! Solutions: what is shipped in the binary ([`package`]), traffic to try them with ([`traffic`], [`feed`]), and whether
//! they do what they promise ([`run`], [`trial`], [`live`]).
//!
//! What it is NOT: part of a node. Everything here talks to a node from outside, over HTTP and Kafka's protocol, as its
//! users do.

pub mod catalogue;
pub mod checks;
pub mod client;
pub mod feed;
pub mod live;
pub mod node;
pub mod package;
pub mod reader;
pub mod run;
pub mod traffic;
pub mod trial;
