//! Bytes at rest: the disk port, the one write-ahead log, and key-value state held in memory.
//!
//! | module | noun |
//! |---|---|
//! | [`blobs`] | bytes by the hash of their content, and names for them |
//! | [`process`] | what the system grants: open files, pages |
//! | [`disk`] | files and folders behind a trait, so that tests can cut the power |
//! | [`wal`] | the one write-ahead log: group commit, recovery |
//! | [`state`] | named key-value spaces with two views and incremental snapshots |
//! | [`tables`] | the view of the tables: documents in SQLite, derived from compacted streams |
//!
//! What it is NOT: it knows nothing of streams, partitions or pipelines; those live above, in `log` and `flow`.
//!
//! # Limits
//! A WAL frame is at most 32 MiB (half a WAL segment); a state key and a value at most 16 MiB each.

pub mod blobs;
pub mod disk;
pub mod process;
pub mod state;
pub mod tables;
pub mod wal;
