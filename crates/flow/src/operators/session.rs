//! Session windows.

use std::time::Duration;

use headwater_base::Micros;

use crate::operators::{Advance, ConfigError, Corrupt, Emission, Input, Measure, Operator, Outcome, Position, State};

/// When a session is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Once the watermark has passed its end, and again for each revision after that.
    Close,
    /// Also while it is open, once for each micro-batch that changed it.
    Update,
}

/// A session step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Events further apart than this are in different sessions; exactly this far apart is still together.
    pub gap: Duration,
    /// How far behind the watermark events are still taken.
    pub lateness: Duration,
    /// What is measured.
    pub measures: Vec<Measure>,
    /// Longest path kept; None for a step without a path.
    pub path_max: Option<usize>,
    /// When it is given out.
    pub emit: Emit,
}

/// The session operator.
#[derive(Debug)]
pub struct Sessions {
    config: SessionConfig,
}

impl Sessions {
    /// Builds the operator.
    ///
    /// # Errors
    /// A gap of zero, or a path of zero.
    pub fn new(config: SessionConfig) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }
}

impl Operator for Sessions {
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
