//! Running aggregates of a key over several sliding windows at once, readable after every event.

use std::sync::Arc;
use std::time::Duration;

use headwater_base::Micros;

use crate::operators::{Advance, ConfigError, Corrupt, Input, Measure, Position, State};

/// An aggregate step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateConfig {
    /// The windows with the names they have in the spec (`10m`), shortest first.
    pub windows: Vec<(String, Duration)>,
    /// Also measures over all time, under the window name `all`; keys are then kept for ever.
    pub all: bool,
    /// What is measured.
    pub measures: Vec<Measure>,
}

/// The aggregate operator.
#[derive(Debug)]
pub struct Aggregate {
    shape: Arc<Shape>,
}

/// What the bytes of a key's state mean; enough to read them without the operator.
#[derive(Debug)]
pub struct Shape {
    config: AggregateConfig,
}

impl Aggregate {
    /// Builds the operator.
    ///
    /// # Errors
    /// No window at all, windows that are not in order, or no measure.
    pub fn new(config: AggregateConfig) -> Result<Self, ConfigError> {
        Ok(Self { shape: Arc::new(Shape { config }) })
    }

    /// For readers of features: shared with the operator, needs nothing else of it.
    pub fn shape(&self) -> Arc<Shape> {
        Arc::clone(&self.shape)
    }

    /// Takes one event and writes the values after it behind `out`, as a JSON object of fields `<measure>_<window>`
    /// (`failures_10m`), as of the newest event time of the key. Inputs as for [`super::Operator::event`].
    ///
    /// # Errors
    /// [`Corrupt`] when the key's state cannot be read; nothing has been changed then.
    pub fn event(
        &mut self,
        _state: &mut dyn State,
        _key: &[u8],
        _time: Micros,
        _position: Position,
        _inputs: &[Input<'_>],
        out: &mut Vec<u8>,
    ) -> Result<(), Corrupt> {
        out.extend_from_slice(b"{}");
        Ok(())
    }

    /// Deletes keys whose windows are all empty at `watermark`, a bounded number with each call.
    ///
    /// # Errors
    /// [`Corrupt`] when a state cannot be read.
    pub fn advance(&mut self, _state: &mut dyn State, _watermark: Micros) -> Result<Advance, Corrupt> {
        Ok(Advance::Done)
    }

    /// Rebuilds the timer of one entry of the operator's space.
    ///
    /// # Errors
    /// [`Corrupt`] when the state cannot be read.
    pub fn restore(&mut self, _key: &[u8], _value: &[u8]) -> Result<(), Corrupt> {
        Ok(())
    }

    /// What the stored bytes depend on; see [`super::Operator::layout`].
    pub fn layout(&self) -> String {
        String::new()
    }
}

impl Shape {
    /// The values of a key's state as of `at`, as [`Aggregate::event`] writes them.
    ///
    /// # Errors
    /// [`Corrupt`] when the state cannot be read.
    pub fn render(&self, _value: &[u8], _at: Micros, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        out.extend_from_slice(b"{}");
        let _ = &self.config;
        Ok(())
    }

    /// The names of the fields that [`Self::render`] writes, in order.
    pub fn fields(&self) -> Vec<String> {
        Vec::new()
    }
}
