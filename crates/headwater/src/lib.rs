//! The `headwater` binary's parts: the node's wiring ([`node`]) and the command line ([`cli`]).
//!
//! What it is NOT: it holds no behaviour of the platform; [`node`] is the one place where crates are put together, and
//! each verb of [`cli`] talks HTTP to a node or calls a crate.

pub mod cli;
pub mod client;
pub mod config;
mod figures;
pub mod folder;
pub mod node;
pub mod outline;
pub mod output;
pub mod ports;
pub mod problems;
#[cfg(test)]
mod reference;
pub mod solution;
