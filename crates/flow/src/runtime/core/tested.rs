//! What the conditions of measures gave for the event at hand: several steps test the same, and so do several measures of
//! one step.
//!
//! Invariant: nothing is remembered past a change of the event.

use crate::doc::Fault;

/// What each gave, by its place in the plan; of the first 64.
#[derive(Debug, Default)]
pub(super) struct Tested {
    known: u64,
    yes: u64,
}

impl Tested {
    /// The event has changed, or is another one.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// What the condition at `place` gives, which `ask` says unless it is known.
    ///
    /// # Errors
    /// What `ask` says.
    pub fn of(&mut self, place: usize, ask: impl FnOnce() -> Result<bool, Fault>) -> Result<bool, Fault> {
        let Some(bit) = u32::try_from(place).ok().and_then(|place| 1_u64.checked_shl(place)) else { return ask() };
        if self.known & bit == 0 {
            let yes = ask()?;
            self.known |= bit;
            self.yes |= if yes { bit } else { 0 };
        }
        Ok(self.yes & bit > 0)
    }
}

#[cfg(test)]
mod tests;
