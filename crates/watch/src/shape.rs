//! `Shape`: how series are cut, how far they are told ahead, and what counts as an anomaly. Checked once, when a spec is
//! read; every number below may be relied on.

use headwater_base::Micros;

use crate::holidays::Holidays;

/// The number of an interval: its start in intervals since 1970. Intervals are UTC's; no clock is put back in between.
pub type Index = i64;

/// Which deviations count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Too much and too little.
    Both,
    /// Too little.
    Below,
    /// Too much.
    Above,
}

/// What an interval without a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing is known of it.
    Unknown,
    /// Nothing happened: windows without events are not given out.
    Zero,
}

/// How series are forecast and judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Length of an interval, in microseconds, above zero.
    pub interval_micros: i64,
    /// Lengths of the seasons in intervals, from the shortest to the longest; one at least.
    pub seasons: Vec<i64>,
    /// How many of the longest season are kept, three at least.
    pub cycles: i64,
    /// How many intervals ahead of its own a forecast is made, one at least.
    pub horizon: i64,
    /// Half the width of the band, in [`crate::model::Told::error`]s.
    pub width: f64,
    /// Half the width of the band at least, in the values' own unit.
    pub tolerance: f64,
    /// So many intervals in succession outside the band, on one side, are an anomaly.
    pub sustain: u32,
    /// Which side counts.
    pub side: Side,
    /// What an interval without a value means.
    pub missing: Missing,
    /// Days of their own kind.
    pub holidays: Holidays,
}

impl Shape {
    /// The shortest season.
    pub fn short(&self) -> i64 {
        self.seasons.first().copied().unwrap_or(1)
    }

    /// The longest season.
    pub fn long(&self) -> i64 {
        self.seasons.last().copied().unwrap_or(1)
    }

    /// Intervals of history that are kept.
    pub fn history(&self) -> i64 {
        self.long() * self.cycles
    }

    /// Points kept for each series: its history, and the forecasts that still wait for their interval.
    pub fn points(&self) -> i64 {
        self.history() + self.horizon
    }

    /// The interval that holds `time`.
    pub const fn index(&self, time: Micros) -> Index {
        time.0.div_euclid(self.interval_micros)
    }

    /// When an interval begins.
    pub const fn start(&self, index: Index) -> Micros {
        Micros(index.saturating_mul(self.interval_micros))
    }
}
