//! The table of lookups: one row and one file for each `type` a pipeline's lookup step may name.
//!
//! What it is NOT: caching, retries and time-outs belong to the caller (`headwater_flow::lookup`). A lookup answers one
//! question once.

mod file;
mod http;
mod latest;
mod mmdb;
mod options;
mod ranges;
mod table;

use headwater_kernel::port::LookupKind;

pub(crate) use http::address;

/// Every lookup.
pub const LOOKUPS: &[LookupKind] = &[
    LookupKind { name: "table", schema: table::schema, check: table::check, build: table::build },
    LookupKind { name: "latest", schema: latest::schema, check: latest::check, build: latest::build },
    LookupKind { name: "file", schema: file::schema, check: file::check, build: file::build },
    LookupKind { name: "mmdb", schema: mmdb::schema, check: mmdb::check, build: mmdb::build },
    LookupKind { name: "ranges", schema: ranges::schema, check: ranges::check, build: ranges::build },
    LookupKind { name: "http", schema: http::schema, check: http::check, build: http::build },
    LookupKind { name: "score", schema: http::score_schema, check: http::check_score, build: http::build_score },
];

#[cfg(test)]
mod tests;
