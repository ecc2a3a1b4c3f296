//! What runs: readers of streams, the scheduler, deliveries, replays.

pub mod batch;
pub mod buses;
pub mod cohort;
pub mod deliver;
pub mod desk;
pub mod dispatch;
pub mod figures;
pub mod put;
pub mod reader;
pub mod replay;
pub mod reports;
pub mod scheduler;
pub mod station;
pub mod writer;

#[cfg(test)]
mod tests;
