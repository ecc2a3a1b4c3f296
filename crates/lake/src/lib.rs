//! The lake: streams written as Iceberg tables of Parquet files, and the catalog that gives them to other engines.
//!
//! The only crate that names iceberg, arrow and parquet. What it is NOT: a query engine, and no reader of its own tables
//! beyond their metadata. A table's truth is its pointer in the log; files that no pointer leads to do not count.

pub mod catalog;
pub mod charts;
pub mod columns;
pub mod commit;
pub mod dashboards;
pub mod datasets;
pub mod feed;
pub mod figures;
pub mod files;
pub mod kinds;
pub mod layout;
pub mod lease;
pub mod positions;
pub mod rows;
pub mod sql;
pub mod tables;
pub mod tail;
#[cfg(test)]
mod testing;

pub use catalog::LakeCatalog;
pub use dashboards::Dashboards;
pub use datasets::{Datasets, Parts};
