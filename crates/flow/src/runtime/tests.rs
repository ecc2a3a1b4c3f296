//! Pipelines at their border: records in, records out, over a log in memory.

mod bench;
mod exactly_once;
mod files;
mod lookups;
mod powercut;
mod reconcile;
mod stateful;
mod stateless;
