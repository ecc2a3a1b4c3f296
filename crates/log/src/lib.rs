//! The partitioned, durable event log.

mod batches;
pub mod cursor;
pub mod embedded;
pub mod groups;
pub mod outbox;
pub mod park;
pub mod port;

pub use batches::Batches;
pub use embedded::EmbeddedLog;
pub use port::*;
