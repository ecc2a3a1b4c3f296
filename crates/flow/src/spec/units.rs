//! Values with their unit in the text: defaults of spans, and percentages (`10%`).

use std::borrow::Cow;

use headwater_base::units::Span;
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

/// A default for serde: a share of `OF_100`.
pub(super) const fn percent<const OF_100: u8>() -> Percent {
    Percent(OF_100)
}
