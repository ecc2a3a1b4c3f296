//! The stateful operators: running aggregates, windows and sessions over event time.
//!
//! What it is NOT: nothing here reads a log, a clock or VRL, waits, or draws a random number. An operator is a function
//! of (its state, the event, the watermark), so the same input gives the same output after any crash, and the tests
//! can hold it against `batch`, which computes the same results from the whole list of events at once.
//!
//! How the runtime drives an [`Operator`], for each micro-batch:
//! 1. [`time::Watermarks::observe`] for each event: on time, late, or implausible (the last two go to side streams);
//! 2. [`Operator::event`] for each event that is on time, in the order of its partition;
//! 3. [`time::Watermarks::advance`], then [`Operator::advance`] — also when the watermark has not moved, because it
//!    gives out what the events of this batch have revised. While it says [`Advance::More`], commit and call again;
//! 4. one commit with the outputs, the changes of [`state::State`], the watermarks and the input positions.
//!
//! After a restart: build the operator anew, call [`Operator::restore`] for each entry of its space, then
//! [`Operator::advance`] with the restored watermark.
//!
//! Invariants: everything durable goes through [`state::State`]; what is in memory besides (timers, decoded states) is
//! rebuilt from it. After an `advance` it holds all that the events before have changed.
//! An event is late when it lies before `watermark - lateness`, whatever the state holds, so that neither restarts nor
//! the cut of micro-batches move an event from one side to the other.

use headwater_base::Micros;

pub mod aggregate;
#[cfg(test)]
mod batch;
pub mod codec;
pub mod distinct;
pub mod emission;
pub mod hash;
mod live;
pub mod measure;
pub mod number;
pub mod seen;
pub mod session;
pub mod state;
pub mod time;
pub mod timers;
pub mod value;
pub mod window;

pub use aggregate::{Aggregate, AggregateConfig};
pub use codec::Corrupt;
pub use emission::{Emission, SessionRow, Tombstone, WindowRow};
pub use measure::{Input, Kind, Measure};
pub use session::{Emit, SessionConfig, Sessions};
pub use state::{Change, MemoryState, State};
pub use time::{Observed, WatermarkConfig, Watermarks};
pub use value::Value;
pub use window::{WindowConfig, Windows};

/// Where an event stood in its source: partition and offset (of a file: 0 and the line). Breaks ties between events of
/// one time, so that results do not depend on the order of arrival.
pub type Position = (u32, i64);

/// The most [`Event::hops`] that a state keeps: 30 bits, which stand above a revision's 32 in one number.
pub const HOPS_MAX: u32 = (1 << 30) - 1;

/// One event, with what its step has computed of it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Whose event.
    pub key: &'a [u8],
    /// When it happened.
    pub time: Micros,
    /// Where it stood.
    pub position: Position,
    /// How many steps of a chain of events lie behind what comes of it; 0 = it belongs to none.
    pub hops: u32,
    /// One [`Input`] for each measure, in their order; a session step with a path takes one more, the value that goes
    /// onto the path.
    pub inputs: &'a [Input<'a>],
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the state.
    Taken,
    /// It lies before `watermark - lateness` and changed nothing.
    Late {
        /// The time from which events were still taken.
        bound: Micros,
    },
}

/// Whether an [`Operator::advance`] got through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// Everything due has been given out.
    Done,
    /// [`ADVANCE_MAX`] keys have been handled and more are due: commit, then call again.
    More,
}

/// Keys that one call of `advance` handles at most, so that a jump of the watermark cannot fill the memory.
pub const ADVANCE_MAX: usize = 8_192;

/// Keys that are forgotten together, so that memory is waited for once and not for each: see [`State::foresee`].
pub(crate) const FORGOTTEN_TOGETHER: usize = 16;

/// A configuration that cannot be, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// What windows and sessions have in common; see the module for how it is driven.
pub trait Operator: Send {
    /// Takes one event. What it gives out at once goes behind `out`; what it changes is in `state` after the next
    /// [`Self::advance`].
    ///
    /// # Errors
    /// [`Corrupt`] when the key's state cannot be read; nothing has been changed then.
    fn event(&mut self, state: &mut dyn State, event: &Event<'_>, out: &mut Vec<Emission>) -> Result<Outcome, Corrupt>;

    /// Moves the watermark (never back) and gives out what has become due, in order of time, then key.
    ///
    /// # Errors
    /// [`Corrupt`] when a state cannot be read.
    fn advance(
        &mut self,
        state: &mut dyn State,
        watermark: Micros,
        out: &mut Vec<Emission>,
    ) -> Result<Advance, Corrupt>;

    /// Rebuilds the timers of one entry of the operator's space.
    ///
    /// # Errors
    /// [`Corrupt`] when the state cannot be read.
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corrupt>;

    /// The measures, whose names [`Emission::render`] needs.
    fn measures(&self) -> &[Measure];

    /// What the stored bytes depend on. A changed pipeline may keep its state only if this text stays the same.
    fn layout(&self) -> String;
}

#[cfg(test)]
mod tests;
