//! The partitioned, durable event log.

pub mod embedded;
pub mod groups;
pub mod port;

pub use embedded::EmbeddedLog;
pub use port::*;
