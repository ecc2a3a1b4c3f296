//! The kernel's own kinds, one file for each.

pub mod secret;
pub mod stream;
pub mod table;

/// Whether resources of a kind hold events that others write: they go after what may write to them.
pub(crate) fn holds_events(kind: &str) -> bool {
    kind == stream::KIND.name || kind == table::KIND.name
}
