//! Where events go: `outputs`, side streams and retries of a pipeline's spec.

use headwater_base::{Name, units::Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units;

/// Where events go that come out of the last step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum OutputSpec {
    /// A stream.
    Stream(StreamOutput),
    /// A table's document.
    Table(TableOutput),
}

/// An output to a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamOutput {
    /// The stream.
    pub stream: Name,
    /// Takes only events for which this VRL expression is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Path of the record's key. Default: the key the event came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// An output to a table: the event becomes the document of its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableOutput {
    /// The table.
    pub table: Name,
    /// Takes only events for which this VRL expression is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Path of the document's key. An event without it becomes a dead letter.
    pub key: String,
    /// Deletes the document instead, for events for which this VRL expression is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<String>,
    /// Writes only these paths, as a document of these names. Default: the whole event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<std::collections::BTreeMap<String, String>>,
}

/// A side stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SideSpec {
    /// The stream.
    pub stream: Name,
}

/// What happens to events whose lookups failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    /// The stream that holds copies of the events as they came in. Keep it as short and as closed as the input stream.
    /// Copies that wait on another one when this changes are not tried again.
    pub stream: Name,
    /// How long until the next try. Default: `5s`.
    #[serde(default = "units::span::<5_000>")]
    pub delay: Span,
    /// Tries before the copy becomes a dead letter. Default: 5.
    #[serde(default = "default_attempts")]
    pub attempts: u32,
}

const fn default_attempts() -> u32 {
    5
}
