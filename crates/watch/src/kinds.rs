//! The kinds of this crate.

pub mod alarm;
pub mod forecast;
