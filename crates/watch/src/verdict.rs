//! Verdicts: an actual value against the band that was stored for its interval, and when that becomes an anomaly.

use serde::{Deserialize, Serialize};

use crate::series::Band;
use crate::shape::{Index, Shape, Side};

/// Scores end here: a value outside a band without width has no other.
const SCORE_MAX: f64 = 1_000.0;

/// What is said of an interval's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The distance from what was expected, in halves of the band: beyond 1 it is outside. Negative below.
    pub score: f64,
    /// It is outside, on a side that counts.
    pub is_outside: bool,
    /// So many in succession are that it is an anomaly.
    pub is_anomaly: bool,
    /// What has begun or ended with this interval.
    pub change: Option<Change>,
    /// The first interval of the anomaly that goes on, begins or ends here.
    pub since: Option<Index>,
}

/// What happened to an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has begun.
    Began,
    /// This interval is no longer part of it.
    Ended,
}

impl Change {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Ended => "ended",
        }
    }
}

/// Intervals in succession outside the band on one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// -1 below, 1 above, 0 none.
    side: i8,
    count: u32,
    /// The first of them.
    from: Index,
}

impl Run {
    /// Judges an interval's value. One that is missing leaves a run as it is: nothing is known of it.
    pub fn judge(&mut self, shape: &Shape, index: Index, value: f64, band: &Band) -> Option<Verdict> {
        let score = score(value - band.predicted, band.half?);
        let counts = match shape.side {
            Side::Both => true,
            Side::Below => score < 0.0,
            Side::Above => score > 0.0,
        };
        let is_outside = counts && score.abs() > 1.0;
        let side = if !is_outside {
            0
        } else if score < 0.0 {
            -1
        } else {
            1
        };
        let before = *self;
        let was_anomaly = before.count >= shape.sustain;
        *self = match side {
            0 => Self::default(),
            side if side == before.side => Self { count: before.count.saturating_add(1), ..before },
            // Where one interval is an anomaly, one that goes over to the other side goes on.
            side if was_anomaly && shape.sustain <= 1 => Self { side, count: 1, from: before.from },
            side => Self { side, count: 1, from: index },
        };
        let is_anomaly = self.count >= shape.sustain;
        let (change, since) = match (was_anomaly, is_anomaly) {
            (false, true) => (Some(Change::Began), Some(self.from)),
            (true, false) => (Some(Change::Ended), Some(before.from)),
            (true, true) => (None, Some(self.from)),
            (false, false) => (None, None),
        };
        Some(Verdict { score, is_outside, is_anomaly, change, since })
    }
}

fn score(off: f64, half: f64) -> f64 {
    let score = if half > 0.0 { off / half } else { off * f64::INFINITY };
    if score.is_nan() { 0.0 } else { score.clamp(-SCORE_MAX, SCORE_MAX) }
}
