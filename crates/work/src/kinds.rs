//! Kinds of this crate.

pub mod activity;
pub mod workflow;
