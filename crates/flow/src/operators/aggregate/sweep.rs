//! When keys are looked through for those that are over: a part of the state at a time, all of it once in a while of event
//! time, such as a coarsest pane, and only where any key may be due.
//!
//! What it is NOT: an index of the keys by the time at which each is due. That would hold every key a second time, for as
//! long as the longest window is.

use headwater_base::Micros;

use crate::operators::state::PARTS;

/// How far the keys have been looked through.
#[derive(Debug)]
pub(super) struct Sweep {
    /// No key is due before this.
    soonest: Micros,
    /// The same of the keys that a sweep under way has left in place, and of those that have come since it began.
    left: Micros,
    /// The same of the keys that have come since the last call, which a part of the state may not show yet.
    fresh: Micros,
    /// The part that comes next, while a sweep is under way.
    part: Option<u32>,
    /// The while in which the last sweep began.
    pane: i64,
}

impl Default for Sweep {
    /// Of a state without keys.
    fn default() -> Self {
        Self { soonest: Micros::MAX, left: Micros::MAX, fresh: Micros::MAX, part: None, pane: i64::MIN }
    }
}

impl Sweep {
    /// A key will be due then, and not before.
    pub(super) fn comes_due(&mut self, due: Micros) {
        self.soonest = self.soonest.min(due);
        self.left = self.left.min(due);
        self.fresh = self.fresh.min(due);
    }

    /// The part to be looked through at `watermark`, until [`Self::done`]; `grain` is the length of a while. Between
    /// two calls stands a commit.
    pub(super) fn next(&mut self, watermark: Micros, grain: i64) -> Option<u32> {
        let fresh = std::mem::replace(&mut self.fresh, Micros::MAX);
        if self.part.is_none() {
            let pane = watermark.0.div_euclid(grain.max(1));
            if watermark < self.soonest || pane <= self.pane {
                return None;
            }
            self.pane = pane;
            self.left = fresh;
            self.part = Some(0);
        }
        self.part
    }

    /// All keys in the part that [`Self::next`] named have been looked at, and are expected again or about to be deleted.
    pub(super) fn done(&mut self) {
        self.part = self.part.map(|part| part + 1).filter(|part| *part < PARTS);
        if self.part.is_none() {
            self.soonest = self.left;
        }
    }

    /// Whether parts are left to be looked through.
    pub(super) const fn is_under_way(&self) -> bool {
        self.part.is_some()
    }
}
