//! The kinds of this crate: rows for the kernel's table.

pub mod pipeline;
