//! What a KPI is compared with: one word, or a span of time.

use std::borrow::Cow;

use headwater_base::Span;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

const PREVIOUS: &str = "previous";

/// An earlier time, as long as the one that is shown; written as `previous` or as a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CompareSpec {
    /// The one right before.
    Previous,
    /// The one that lies so far back.
    Before(Span),
}

impl TryFrom<String> for CompareSpec {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == PREVIOUS {
            return Ok(Self::Previous);
        }
        let span = Span::try_from(text).map(Self::Before);
        span.map_err(|fault| format!("{fault}; or write `{PREVIOUS}` for the time right before"))
    }
}

impl From<CompareSpec> for String {
    fn from(compare: CompareSpec) -> Self {
        match compare {
            CompareSpec::Previous => PREVIOUS.to_owned(),
            CompareSpec::Before(span) => span.to_string(),
        }
    }
}

impl JsonSchema for CompareSpec {
    fn schema_name() -> Cow<'static, str> {
        "CompareSpec".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = format!("^({PREVIOUS}|[0-9]+(ms|s|m|h|d|w))$");
        json_schema!({ "type": "string", "pattern": pattern, "examples": [PREVIOUS, "7d"] })
    }
}
