//! The kernel's own kinds, one file for each.

pub mod secret;
pub mod stream;
pub mod table;
