//! What rules, pipes and schedules share in their specs: targets, their input, how they are delivered to.

use std::collections::BTreeMap;

use headwater_base::{Name, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where an event goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum TargetSpec {
    /// A stream, exactly once. Another bus is the stream `bus.<name>`.
    Stream(StreamTarget),
    /// A document of a table, exactly once.
    Table(TableTarget),
    /// The input stream of a pipeline, exactly once.
    Pipeline(PipelineTarget),
    /// Batch beside stream: recomputes what a pipeline said about a span of event time, and repairs it.
    Reconcile(ReconcileTarget),
    /// An execution of a workflow, named after the event: a second try does not start a second one.
    Workflow(WorkflowTarget),
    /// A Destination, at least once, with an idempotency key.
    Destination(DestinationTarget),
    /// A line in the node's own log that says which event it was; the event's content is not in it.
    Log(LogTarget),
}

/// What a target gets of an event. Without any of the keys: the whole event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InputShape {
    /// Always this JSON value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant: Option<Value>,
    /// What this path leads to: `$.detail.order`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A text with `<variables>` that is JSON once they are filled in: `{"order": <order>}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Where the template's variables come from: `order: $.detail.order`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// A stream as a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamTarget {
    /// The stream.
    pub stream: Name,
    /// What is written. Without it the event goes on as it came, with its attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputShape>,
    /// Path of the record's key in the event: `$.detail.user`. Default: the key the event came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Makes what is written an event of this source and type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Attributes>,
}

/// The attributes of an event that a rule writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// Where it comes from.
    pub source: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A table as a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TableTarget {
    /// The table.
    pub table: Name,
    /// Path of the document's key in the event: `$.detail.id`. An event without it becomes a dead letter.
    pub key: String,
    /// The document. Default: the whole event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputShape>,
}

/// A pipeline as a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelineTarget {
    /// The pipeline.
    pub pipeline: Name,
    /// What is written to its input. Without it the event goes on as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputShape>,
}

/// A reconciliation as a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReconcileTarget {
    /// The pipeline.
    pub pipeline: Name,
    /// How much event time is recomputed, up to the event's own time.
    pub span: Span,
    /// How long before the event's own time the span ends: late events may still come. Default 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Writes what is missing or wrong; otherwise only tells. Default true.
    #[serde(default = "yes")]
    pub repair: bool,
    /// How often and how long it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// A workflow as a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowTarget {
    /// The workflow.
    pub workflow: Name,
    /// One of its aliases, which draws the version that runs. Default: what the workflow is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The execution's input. Default: the whole event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputShape>,
    /// How often and how long it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// A destination as a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationTarget {
    /// The Destination.
    pub destination: Name,
    /// What is sent. Default: the whole event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputShape>,
    /// How often and how long it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// The node's log as a target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogTarget {
    /// Words that stand in the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a target outside is delivered to. Only what another try may help is tried again: no answer, 408, 425, 429, 5xx.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DeliverySpec {
    /// Tries in all; then the event becomes a dead letter.
    #[schemars(range(min = 1, max = 1000))]
    pub attempts: u32,
    /// Age at which an event is given up.
    pub age: Span,
    /// The first pause; it doubles from try to try, up to ten minutes, less a random part.
    pub pause: Span,
    /// Path of a value in the event: events of the same value are delivered one after the other, and one that fails
    /// holds back those behind it. Without it events are delivered as they come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_by: Option<String>,
    /// Deliveries under way at once.
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: u32,
}

impl Default for DeliverySpec {
    fn default() -> Self {
        Self {
            attempts: 185,
            age: Span::from_millis(86_400_000),
            pause: Span::from_millis(1_000),
            order_by: None,
            concurrency: 16,
        }
    }
}

/// Where a new rule or pipe begins to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At events that arrive from now on.
    #[default]
    Latest,
    /// At the oldest event kept.
    Earliest,
}

pub(crate) fn yes() -> bool {
    true
}

impl TargetSpec {
    /// How it is delivered to, if it lies outside.
    pub fn delivery(&self) -> Option<DeliverySpec> {
        match self {
            Self::Reconcile(ReconcileTarget { delivery, .. })
            | Self::Workflow(WorkflowTarget { delivery, .. })
            | Self::Destination(DestinationTarget { delivery, .. }) => Some(delivery.clone().unwrap_or_default()),
            Self::Stream(_) | Self::Table(_) | Self::Pipeline(_) | Self::Log(_) => None,
        }
    }

    /// What it gets of an event.
    pub const fn input(&self) -> Option<&InputShape> {
        match self {
            Self::Stream(StreamTarget { input, .. })
            | Self::Table(TableTarget { input, .. })
            | Self::Pipeline(PipelineTarget { input, .. })
            | Self::Workflow(WorkflowTarget { input, .. })
            | Self::Destination(DestinationTarget { input, .. }) => input.as_ref(),
            Self::Reconcile(_) | Self::Log(_) => None,
        }
    }
}
