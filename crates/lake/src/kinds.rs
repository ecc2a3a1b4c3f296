//! The kinds of this crate.

pub mod dashboard;
pub mod dataset;
