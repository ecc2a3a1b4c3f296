//! The kind of this crate.

pub mod dataset;
