//! The kinds of this crate.

pub mod bucket;
pub mod dashboard;
pub mod dataset;
pub mod external_table;
pub mod ingest;
pub mod row_policy;
