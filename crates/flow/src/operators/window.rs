//! Tumbling and sliding windows.

use std::time::Duration;

use headwater_base::Micros;

use crate::operators::{Advance, ConfigError, Corrupt, Emission, Input, Measure, Operator, Outcome, Position, State};

/// A window step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowConfig {
    /// Length of a window.
    pub size: Duration,
    /// A window begins at each multiple of this; equal to `size` for tumbling windows.
    pub every: Duration,
    /// How far behind the watermark events are still taken.
    pub lateness: Duration,
    /// What is measured.
    pub measures: Vec<Measure>,
}

/// The window operator.
#[derive(Debug)]
pub struct Windows {
    config: WindowConfig,
}

impl Windows {
    /// Builds the operator.
    ///
    /// # Errors
    /// A size or step of zero, a step over the size, or more than 1,000 windows over each event.
    pub fn new(config: WindowConfig) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }
}

impl Operator for Windows {
    fn event(
        &mut self,
        _: &mut dyn State,
        _: &[u8],
        _: Micros,
        _: Position,
        _: &[Input<'_>],
        _: &mut Vec<Emission>,
    ) -> Result<Outcome, Corrupt> {
        Ok(Outcome::Taken)
    }

    fn advance(&mut self, _: &mut dyn State, _: Micros, _: &mut Vec<Emission>) -> Result<Advance, Corrupt> {
        Ok(Advance::Done)
    }

    fn restore(&mut self, _: &[u8], _: &[u8]) -> Result<(), Corrupt> {
        Ok(())
    }

    fn measures(&self) -> &[Measure] {
        &self.config.measures
    }

    fn layout(&self) -> String {
        String::new()
    }
}
