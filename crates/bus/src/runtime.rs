//! What runs: readers of streams, the scheduler, deliveries, replays.

pub mod buses;
pub mod cohort;
pub mod deliver;
pub mod dispatch;
pub mod figures;
pub mod put;
pub mod reader;
pub mod replay;
pub mod scheduler;
pub mod station;
pub mod writer;

#[cfg(test)]
#[path = "../../testkit/src/disk.rs"]
#[expect(dead_code, reason = "this crate cuts the power only")]
mod disk;
#[cfg(test)]
#[path = "../../kernel/src/memory.rs"]
#[expect(dead_code, reason = "this crate never holds the disk back")]
mod memory;
#[cfg(test)]
mod tests;
