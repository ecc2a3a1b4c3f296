//! The partitioned, durable event log.

pub mod groups;
pub mod port;

pub use port::*;
