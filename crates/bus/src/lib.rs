//! The event bus: rules, pipes, schedules and reports that take events to targets, with a policy for delivery.
//!
//! How an event travels: a reader of its stream ([`runtime::reader`]) sees it as patterns see it ([`event`]) and finds the
//! subscriptions that take it ([`runtime::cohort`]); what it leads to ([`subscription`]) is written in one commit with how
//! far the reader has come ([`runtime::writer`]): records, documents, and what waits to be delivered outside
//! ([`pending`]). A task for each subscription makes those deliveries ([`runtime::dispatch`]).
//!
//! What it is NOT: it knows no protocol of the outside; destinations are handed in as outlets.

pub mod compile;
pub mod event;
pub mod kinds;
pub mod letter;
pub mod pending;
pub mod report;
pub mod runtime;
pub mod spec;
pub mod subscription;

pub use headwater_kernel::schedule;
