//! Kind Pipe: one stream or table to one target, with filters and an optional question in between.

use std::sync::Arc;

use headwater_base::{Name, Problem, Span};
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::reconcile::{Observed, Plan};
use headwater_kernel::resource::{Draft, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{pattern, plan, target_problems, target_refs};
use crate::spec::{DeliverySpec, InputShape, Start, TargetSpec};
use crate::subscription;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Pipe",
    plural: "pipes",
    short: &["pp"],
    doc: "Takes the events of one stream, or the changes of one table, through filters and an optional enrichment to one target.",
    schema: kind::schema::<PipeSpec>,
    example: EXAMPLE,
    effective: kind::effective::<PipeSpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

/// The unit kind that runs a pipe.
pub const UNIT: &str = "pipe";

/// The most filters of one pipe.
const FILTERS_MAX: usize = 20;

const EXAMPLE: &str = r#"apiVersion: headwater.dev/v1
kind: Pipe
metadata: {name: price-complete-runs}
spec:
  source: {type: table, table: runs, shape: dynamodb}
  filter:
    - dynamodb: {NewImage: {status: {S: [COMPLETE]}, totalCost: {S: [{exists: false}]}}}
  target: {type: workflow, workflow: price-run}
"#;

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipeSpec {
    /// What the pipe is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Where events come from.
    pub source: PipeSource,
    /// Event patterns; an event that matches one of them passes. Without any, all events pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<Map<String, Value>>,
    /// Asked for each event that passes; its answer takes the event's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrichment: Option<EnrichmentSpec>,
    /// Where events go.
    pub target: TargetSpec,
    /// Sends events to the target together, as one array: to a workflow or a destination. Without it they go one by
    /// one, and in no array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSpec>,
    /// A pipe that is not enabled reads nothing; once enabled it goes on where it stopped.
    #[serde(default = "crate::spec::yes")]
    pub enabled: bool,
    /// The stream that takes what cannot be delivered. Default `<name>.dead`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Name>,
}

/// How events go to a target together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchSpec {
    /// Events of one array, at most. An array of one event is an array, too.
    #[schemars(range(min = 1, max = 100))]
    pub size: u32,
    /// How long the first of them waits for others. Default 0s: an array takes the events that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Span>,
}

/// Where a pipe's events come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum PipeSource {
    /// A stream.
    Stream(StreamSource),
    /// The changes of a table.
    Table(TableSource),
}

/// A stream as a pipe's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamSource {
    /// The stream.
    pub stream: Name,
    /// Where a new pipe begins to read. Default: at events that arrive from now on.
    #[serde(default)]
    pub start: Start,
}

/// A table's changes as a pipe's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TableSource {
    /// The table.
    pub table: Name,
    /// How a change is written. Default `plain`.
    #[serde(default)]
    pub shape: Shape,
    /// Where a new pipe begins to read. Default: at changes that are made from now on.
    #[serde(default)]
    pub start: Start,
}

/// How a table's change is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// As an event of `source` `headwater.tables/TABLE` and `detail-type` `headwater.table.changed`, whose `detail` is the
    /// change: `{eventName, table, key, version, time, oldImage, newImage}`.
    #[default]
    Plain,
    /// As a record of a DynamoDB stream: `{eventName, dynamodb: {Keys, NewImage, OldImage}}` with typed values.
    Dynamodb,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum EnrichmentSpec {
    /// The stateless steps of a pipeline.
    Pipeline(PipelineEnrichment),
    /// An Express workflow; its output is the answer.
    Workflow(WorkflowEnrichment),
    /// A Destination; its answer is the answer.
    Destination(DestinationEnrichment),
}

/// A pipeline that is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PipelineEnrichment {
    /// The pipeline.
    pub pipeline: Name,
    /// What it is asked with. Default: the whole event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputShape>,
    /// How often and how long it is tried, and in which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// A workflow that is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowEnrichment {
    /// The workflow, of type Express.
    pub workflow: Name,
    /// What it is asked with. Default: the whole event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputShape>,
    /// Events of one execution, at most. With more than one, its input is an array of what each event is asked with,
    /// and its output an array of as many answers in the same order. Default 1: one event, and no array.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 100))]
    pub batch: u32,
    /// How often and how long it is tried, and in which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

/// A destination that is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationEnrichment {
    /// The Destination.
    pub destination: Name,
    /// What it is asked with. Default: the whole event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<InputShape>,
    /// Events of one request, at most. With more than one, the request is an array of what each event is asked with,
    /// and the answer an array of as many answers in the same order. Default 1: one event, and no array.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    #[schemars(range(min = 1, max = 100))]
    pub batch: u32,
    /// How often and how long it is tried, and in which order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliverySpec>,
}

impl PipeSource {
    /// The stream that is read, and where a new pipe begins.
    ///
    /// # Errors
    /// `HW-BASE-001` for a table whose name is too long.
    pub fn stream(&self) -> Result<(Name, Start), Problem> {
        match self {
            Self::Stream(source) => Ok((source.stream.clone(), source.start)),
            Self::Table(source) => Ok((Name::new(&format!("table.{}.changes", source.table))?, source.start)),
        }
    }

    /// How what is read is to be seen.
    pub const fn shape(&self) -> Shape {
        match self {
            Self::Stream(_) => Shape::Plain,
            Self::Table(source) => source.shape,
        }
    }
}

impl EnrichmentSpec {
    /// What it is asked with.
    pub const fn input(&self) -> Option<&InputShape> {
        match self {
            Self::Pipeline(PipelineEnrichment { input, .. })
            | Self::Workflow(WorkflowEnrichment { input, .. })
            | Self::Destination(DestinationEnrichment { input, .. }) => input.as_ref(),
        }
    }

    /// How it is tried, where the target does not say.
    pub const fn delivery(&self) -> Option<&DeliverySpec> {
        match self {
            Self::Pipeline(PipelineEnrichment { delivery, .. })
            | Self::Workflow(WorkflowEnrichment { delivery, .. })
            | Self::Destination(DestinationEnrichment { delivery, .. }) => delivery.as_ref(),
        }
    }

    /// Events of one request, at most.
    pub const fn batch(&self) -> u32 {
        match self {
            Self::Pipeline(_) => 1,
            Self::Workflow(WorkflowEnrichment { batch, .. })
            | Self::Destination(DestinationEnrichment { batch, .. }) => *batch,
        }
    }
}

const fn one() -> u32 {
    1
}

const fn is_one(batch: &u32) -> bool {
    *batch == 1
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: PipeSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let target = std::slice::from_ref(&spec.target);
    let mut problems = target_problems(target, "/spec/target", &draft.origin);
    if let Err(problem) = spec.source.stream() {
        problems.push(draft.origin.blame("/spec/source", problem));
    }
    if spec.filter.len() > FILTERS_MAX {
        let fact = format!("`spec.filter` has {} patterns; the limit is {FILTERS_MAX}", spec.filter.len());
        problems.push(draft.origin.blame("/spec/filter", Problem::new("HW-BUS-003", fact)));
    }
    for (number, filter) in spec.filter.iter().enumerate() {
        problems.extend(pattern(filter, &format!("/spec/filter/{number}"), &draft.origin).err());
    }
    if spec.batch.is_some() && !matches!(spec.target, TargetSpec::Workflow(_) | TargetSpec::Destination(_)) {
        let fact =
            format!("`spec.batch` is for a workflow or a destination; the target is a {}", spec.target.type_name());
        let help = "leave `batch` out: the target takes each event by itself";
        problems.push(draft.origin.blame("/spec/batch", Problem::new("HW-BUS-007", fact).help(help)));
    }
    let window = spec.batch.as_ref().and_then(|batch| batch.window);
    if let (Some(window), Some(delivery)) = (window, spec.target.delivery())
        && window.duration() >= delivery.age.duration()
    {
        let fact = format!("events wait `{window}` for others and are given up at the age of `{}`", delivery.age);
        let help = "let the first one wait for less, or `delivery.age` be more";
        problems.push(draft.origin.blame("/spec/batch/window", Problem::new("HW-BUS-008", fact).help(help)));
    }
    if let Some(input) = spec.enrichment.as_ref().and_then(EnrichmentSpec::input) {
        let fault = subscription::input(Some(input), "enrichment").err();
        problems.extend(fault.map(|problem| draft.origin.blame("/spec/enrichment/input", problem)));
    }
    if let Some(delivery) = spec.enrichment.as_ref().and_then(EnrichmentSpec::delivery) {
        let fault = subscription::order(Some(delivery), "enrichment").err();
        problems.extend(fault.map(|problem| draft.origin.blame("/spec/enrichment/delivery/orderBy", problem)));
    }
    problems
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<PipeSpec>(spec.clone()) else { return Vec::new() };
    let mut refs = target_refs(std::slice::from_ref(&spec.target), "/spec/target");
    for reference in &mut refs {
        // One target, so that its place has no number.
        reference.at = reference.at.replacen("/spec/target/0/", "/spec/target/", 1);
    }
    let (kind, name, at, needed) = match &spec.source {
        PipeSource::Stream(source) => ("Stream", &source.stream, "/spec/source/stream", false),
        PipeSource::Table(source) => ("Table", &source.table, "/spec/source/table", true),
    };
    refs.push(Ref { kind, name: name.to_string(), at: at.to_owned(), needed });
    let asked = match &spec.enrichment {
        Some(EnrichmentSpec::Pipeline(asked)) => Some(("Pipeline", &asked.pipeline, "pipeline")),
        Some(EnrichmentSpec::Workflow(asked)) => Some(("Workflow", &asked.workflow, "workflow")),
        Some(EnrichmentSpec::Destination(asked)) => Some(("Destination", &asked.destination, "destination")),
        None => None,
    };
    refs.extend(asked.map(|(kind, name, field)| Ref {
        kind,
        name: name.to_string(),
        at: format!("/spec/enrichment/{field}"),
        needed: true,
    }));
    refs
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let Ok(spec) = serde_json::from_value::<PipeSpec>(resource.effective().clone()) else { return Plan::default() };
    // A table makes its own stream.
    let source = match &spec.source {
        PipeSource::Stream(source) => Some((source.stream.clone(), 1)),
        PipeSource::Table(_) => None,
    };
    let target = std::slice::from_ref(&spec.target);
    let mut plan = plan(UNIT, resource, source, target, spec.dead_letter.as_ref());
    if !spec.enabled {
        plan.units.clear();
    }
    plan
}
