//! seen
