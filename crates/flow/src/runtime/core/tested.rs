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
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_asked_once_until_the_event_changes() {
        let (mut tested, mut asked) = (Tested::default(), Vec::new());
        let mut ask = |tested: &mut Tested, place: usize, yes: bool| {
            tested.of(place, || {
                asked.push(place);
                Ok(yes)
            })
        };
        for place in [0, 1, 63] {
            for yes in [place != 1, place == 1] {
                assert_eq!(ask(&mut tested, place, yes), Ok(place != 1), "the first answer of {place}");
            }
        }
        tested.forget();
        assert_eq!(ask(&mut tested, 0, false), Ok(false));
        for yes in [true, false] {
            assert_eq!(ask(&mut tested, 64, yes), Ok(yes), "there is no room for a 65th");
        }
        assert_eq!(asked, [0, 1, 63, 0, 64, 64]);
    }

    #[test]
    fn a_condition_that_fails_is_asked_again() {
        let mut tested = Tested::default();
        assert!(tested.of(3, || Err(Fault::new("HW-FLOW-121", "no"))).is_err());
        assert_eq!(tested.of(3, || Ok(true)), Ok(true));
    }
}
