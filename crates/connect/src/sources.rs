//! Sources: finite input for `headwater run`, one row for each `type`.
//!
//! What it is NOT: it decodes no further than to the text of one JSON object per event. A piece of input that cannot be
//! read, such as a last line that was cut off, is handed on as a fault with its position and is never lost.

mod csv;
mod file;
mod lines;
mod stdin;

use headwater_kernel::port::SourceKind;

pub(crate) use self::csv::{equal_columns, twice};

/// All sources that can be read without a node.
pub const SOURCES: &[SourceKind] = &[file::KIND, stdin::KIND];

#[cfg(test)]
mod tests;
