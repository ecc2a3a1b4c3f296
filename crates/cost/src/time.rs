//! Points and stretches of time in whole milliseconds.

use std::fmt;

use headwater_base::Micros;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Time(pub i64);

/// A stretch of time; `to` is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: Time,
    /// The first moment behind it.
    pub to: Time,
}

/// No run lasts longer than this, so that price × milliseconds stays exact.
pub const SPAN_MAX_MS: i64 = 10 * 366 * 86_400_000;

impl Time {
    /// Reads RFC 3339, in UTC if the text names no zone. None for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let zoned = Micros::parse_rfc3339(text);
        let zoned = zoned.or_else(|| Micros::parse_rfc3339(&format!("{}Z", text.replacen(' ', "T", 1))));
        zoned.map(|micros| Self(micros.millis()))
    }

    /// From seconds since 1970 with a fraction, as engines write them. None for what no run can have.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let ms = (seconds * 1_000.0).floor();
        (0.0..1e14).contains(&ms).then_some(Self(ms as i64))
    }

    /// The point `ms` later; saturates.
    #[must_use]
    pub fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

impl Span {
    /// Milliseconds of it; 0 when it ends before it begins.
    pub fn ms(self) -> i64 {
        self.to.0.saturating_sub(self.from.0).max(0)
    }

    /// What both have in common, if anything.
    pub fn meet(self, other: Self) -> Option<Self> {
        let both = Self { from: self.from.max(other.from), to: self.to.min(other.to) };
        (both.ms() > 0).then_some(both)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Micros::from_millis(self.0), f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{}` is no RFC 3339 time",
                text.chars().take(40).collect::<String>().escape_debug()
            ))
        })
    }
}
