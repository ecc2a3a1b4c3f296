//! Durable workflows: the Amazon States Language as a pure machine, and an engine that makes its executions durable.
//!
//! **The machine** (every module but `engine`, `kinds` and `tasks`) is pure. A [`Definition`] is read and checked once. An [`Execution`] of it is data: [`Execution::step`] takes one event (a
//! task's result, a timer, an abort) and what the outside gives (time, a seed), advances every thread until it waits
//! for something outside, and answers with the history it made, the effects to dispatch once that is durable, and the
//! records of the execution that changed.
//!
//! It does no I/O, starts no task, and reads no clock but for the deadline of one JSONata evaluation. Every bound stands
//! in [`Limits`].
//!
//! **The engine** ([`engine`]) journals executions through the event log and carries out their effects; what a task does
//! is a row of the table of [`tasks`]. A Workflow resource ([`kinds`]) gives a definition its name.

pub mod alias;
pub mod chance;
pub mod definition;
pub mod engine;
pub mod execution;
mod hash;
pub mod intrinsic;
pub mod items;
pub mod jsonata;
pub mod kinds;
pub mod limits;
pub mod path;
mod size;
pub mod tasks;
mod time;

pub use chance::Chance;
pub use definition::{Definition, Flavor};
pub use engine::Engine;
pub use execution::{Begin, Effect, Event, Execution, Given, Identity, Step};
pub use limits::Limits;
