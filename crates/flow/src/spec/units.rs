//! Values with their unit in the text: durations (`250ms`, `7d`) and percentages (`10%`).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A duration in a spec: a whole number with `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Ten years: longer spans are slips of the hand, and shorter ones never overflow microseconds.
const SPAN_MAX_MS: u64 = 3_650 * 86_400_000;

impl Span {
    /// A span of so many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The span as a duration.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The span in microseconds.
    pub fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits)?;
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let millis = number.parse::<u64>().ok()?.checked_mul(*scale)?;
        (millis <= SPAN_MAX_MS).then(|| Self::millis(millis))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shown: String = text.chars().take(40).collect();
        Self::parse(&text)
            .ok_or_else(|| format!("`{}` is not a duration; write `250ms`, `30s`, `10m`, `1h` or `7d`, at most `3650d`", shown.escape_debug()))
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, scale) = UNITS.iter().rev().find(|(_, scale)| millis >= *scale && millis % scale == 0).unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", millis / scale)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(ms|s|m|h|d)$",
            "description": "a whole number with `ms`, `s`, `m`, `h` or `d`",
            "examples": ["250ms", "30s", "10m", "1h", "7d"]
        })
    }
}

/// A default for serde: a span of `MILLIS`.
pub(super) const fn span<const MILLIS: u64>() -> Span {
    Span::millis(MILLIS)
}

/// A share in a spec: `0%` to `100%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(pub u8);

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|number| number.parse::<u8>().ok()).filter(|number| *number <= 100);
        let shown: String = text.chars().take(40).collect();
        number.map(Self).ok_or_else(|| format!("`{}` is not a share; write `0%` to `100%`", shown.escape_debug()))
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        format!("{}%", percent.0)
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(100|[0-9]{1,2})%$", "examples": ["10%"]})
    }
}

/// A default for serde: a share of `OF_100`.
pub(super) const fn percent<const OF_100: u8>() -> Percent {
    Percent(OF_100)
}
