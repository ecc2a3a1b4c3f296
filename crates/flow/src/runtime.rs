//! A running pipeline.

pub mod asking;
pub mod backends;
pub mod circles;
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
mod tests;
