//! The lake: streams written as Iceberg tables of Parquet files, the catalog that gives them to other engines, and SQL
//! and charts over all that the node keeps.
//!
//! The only crate that names iceberg, arrow, parquet and datafusion. What it is NOT: a second truth. A table is what its
//! pointer in the log leads to; files that no pointer leads to do not count, and queries write nothing.

pub mod catalog;
pub mod charts;
pub mod columnar;
pub mod columns;
pub mod commit;
pub mod dashboards;
pub mod datasets;
pub mod evolution;
pub mod feed;
pub mod figures;
pub mod files;
pub mod ingest;
pub mod ingests;
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
pub use ingests::Ingests;
