//! The partitioned, durable event log.

pub mod cursor;
pub mod embedded;
pub mod groups;
pub mod outbox;
pub mod park;
pub mod port;

pub use embedded::EmbeddedLog;
pub use port::*;
