//! The spec of a Pipeline resource, as its author writes it.
//!
//! Only shapes and units are checked here (unknown keys, types, durations); whether programs compile and names fit
//! together is [`crate::compile`]'s business. Durations are texts such as `250ms`, `30s`, `10m`, `1h`, `7d`; paths
//! into an event begin with `.`. The structs are the wire form: nothing else in the crate is written to or read from
//! YAML.

use headwater_base::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod output;
mod source;
mod step;
mod units;

pub use output::*;
pub use source::*;
pub use step::*;
pub use units::{AggregateWindow, Percent};

/// What a pipeline reads, does and writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineSpec {
    /// Where events come from.
    pub source: SourceSpec,
    /// Event time; without it the records' own time is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeSpec>,
    /// Path of the order key: events of one key keep their order. Default: the record's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is done to each event, in this order.
    #[serde(default)]
    pub steps: Vec<StepSpec>,
    /// Where the events go that come out of the last step.
    #[serde(default)]
    pub outputs: Vec<OutputSpec>,
    /// Dead letters: events that cannot be processed, with reason and position. Default: stream `<pipeline>.dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<SideSpec>,
    /// What happens to events whose lookups failed. Without it they go on marked as failed, and that is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySpec>,
    /// Events too late for a window or session. Default: stream `<pipeline>.late`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<SideSpec>,
}

/// Event time and its watermark: the largest time seen in a partition less `disorder`, and over partitions the
/// smallest of those that are not idle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeSpec {
    /// Path of the time: RFC 3339 text, or seconds, milliseconds or microseconds since 1970.
    pub field: String,
    /// How far out of order events are expected to be. Default: `5s`.
    #[serde(default = "units::span::<5_000>")]
    pub disorder: Span,
    /// How long windows and sessions still take corrections behind the watermark. Default: `1m`.
    #[serde(default = "units::span::<60_000>")]
    pub lateness: Span,
    /// A partition without events for this long no longer holds the watermark back. Default: `10s`.
    #[serde(default = "units::span::<10_000>")]
    pub idle: Span,
    /// An event further ahead of the node's clock than this is implausible and becomes a dead letter. Default: `1h`.
    #[serde(default = "units::span::<3_600_000>")]
    pub ahead: Span,
}

#[cfg(test)]
mod tests;
