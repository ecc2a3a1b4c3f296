//! Values with their unit in the text: defaults of spans, percentages (`10%`), and the windows of aggregates.

use std::borrow::Cow;

use headwater_base::units::{SPAN_OR_ALL_PATTERN, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A default for serde: a span of `MILLIS`.
pub(super) const fn span<const MILLIS: u64>() -> Span {
    Span::from_millis(MILLIS)
}

/// A share in a spec: `0%` to `100%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(pub u8);

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number =
            text.strip_suffix('%').and_then(|number| number.parse::<u8>().ok()).filter(|number| *number <= 100);
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

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(100|[0-9]{1,2})%$", "examples": ["10%"]})
    }
}

/// The name of the window without a beginning.
const ALL: &str = "all";

/// A window of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AggregateWindow {
    /// As long as this.
    Last(Span),
    /// Everything: `all`.
    All,
}

impl TryFrom<String> for AggregateWindow {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == ALL {
            return Ok(Self::All);
        }
        Span::try_from(text).map(Self::Last).map_err(|error| format!("{error}, or `{ALL}`"))
    }
}

impl From<AggregateWindow> for String {
    fn from(window: AggregateWindow) -> Self {
        match window {
            AggregateWindow::Last(span) => span.to_string(),
            AggregateWindow::All => ALL.to_owned(),
        }
    }
}

impl JsonSchema for AggregateWindow {
    fn schema_name() -> Cow<'static, str> {
        "AggregateWindow".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": SPAN_OR_ALL_PATTERN, "examples": ["10m", "all"]})
    }
}

/// A default for serde: a share of `OF_100`.
pub(super) const fn percent<const OF_100: u8>() -> Percent {
    Percent(OF_100)
}
