//! The partitioned, durable event log.

pub mod port;

pub use port::*;
