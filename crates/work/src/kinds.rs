//! Kinds of this crate.

pub mod workflow;
