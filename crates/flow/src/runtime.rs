//! A running pipeline.

pub mod asking;
pub mod backends;
pub mod core;
pub mod dedupe;
pub mod enrich;
pub mod figures;
pub mod files;
pub mod letters;
pub mod outbox;
pub mod overlay;
pub mod parking;
pub mod pipelines;
pub mod positions;
pub mod reconcile;
pub mod task;

pub use headwater_log::{cursor, park};

#[cfg(test)]
#[path = "../../testkit/src/disk.rs"]
#[expect(dead_code, reason = "this crate cuts the power only")]
mod disk;
#[cfg(test)]
#[path = "../../kernel/src/memory.rs"]
#[expect(dead_code, reason = "this crate never holds the disk back")]
pub(crate) mod memory;
#[cfg(test)]
mod tests;
