//! How finely time is cut: from years to minutes.

use std::time::Duration;

/// One grain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// A year.
    Year,
    /// A month.
    Month,
    /// A day.
    Day,
    /// An hour.
    Hour,
    /// A minute.
    Minute,
}

const ALL: [(Grain, &str); 5] = [
    (Grain::Year, "year"),
    (Grain::Month, "month"),
    (Grain::Day, "day"),
    (Grain::Hour, "hour"),
    (Grain::Minute, "minute"),
];

const HOUR: u64 = 3_600;

impl Grain {
    /// The grain of this word.
    pub fn of(word: &str) -> Option<Self> {
        ALL.iter().find(|(_, name)| *name == word).map(|(grain, _)| *grain)
    }

    /// Its word, which SQL's `date_trunc` and intervals take as well.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
        }
    }

    /// The grain that cuts a time into some dozens of pieces, a few hundred at most; days where all there is is shown.
    pub fn fitting(time: Option<Duration>) -> Self {
        match time.map(|time| time.as_secs() / HOUR) {
            Some(0..=5) => Self::Minute,
            Some(6..=167) => Self::Hour,
            Some(168..=8_783) | None => Self::Day,
            Some(8_784..=87_599) => Self::Month,
            Some(_) => Self::Year,
        }
    }
}
