//! The kinds of this crate.

pub mod forecast;
