//! Pipelines at their border: records in, records out, over a log in memory.

mod bad_input;
mod bench;
mod circles;
mod edits;
mod exactly_once;
mod figures;
mod files;
mod lookups;
mod oracle;
mod powercut;
mod reconcile;
mod stateful;
mod stateless;
