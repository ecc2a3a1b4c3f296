//! Durable workflows: the Amazon States Language as a pure machine.
//!
//! A [`Definition`] is read and checked once. An [`Execution`] of it is data: [`Execution::step`] takes one event (a
//! task's result, a timer, an abort) and what the outside gives (time, a seed), advances every thread until it waits
//! for something outside, and answers with the history it made, the effects to dispatch once that is durable, and the
//! records of the execution that changed.
//!
//! What it is NOT: it does no I/O, starts no task, and reads no clock but for the deadline of one JSONata evaluation.
//! It calls no service: what a task does is its caller's. Every bound stands in [`Limits`].

pub mod chance;
pub mod definition;
pub mod execution;
mod hash;
pub mod intrinsic;
pub mod items;
pub mod jsonata;
pub mod limits;
pub mod path;
mod size;
pub mod tasks;
mod time;

pub use chance::Chance;
pub use definition::{Definition, Flavor};
pub use execution::{Begin, Effect, Event, Execution, Given, Identity, Step};
pub use limits::Limits;
