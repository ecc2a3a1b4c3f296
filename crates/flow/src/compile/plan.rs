//! A checked pipeline: everything a thread needs to run it, without a connector or a stream.

use std::time::Duration;

use headwater_base::Name;

use crate::operators::{AggregateConfig, SessionConfig, WatermarkConfig, WindowConfig};
use crate::path::Path;
use crate::program::{Condition, Program};
use crate::runtime::outbox::Target;
use crate::spec::{PipelineSpec, Start, StepSpec};

/// A checked pipeline.
#[derive(Debug)]
pub struct Plan {
    /// Its name.
    pub name: Name,
    /// What its author wrote.
    pub spec: PipelineSpec,
    /// The stream it reads; None for a pipeline over files.
    pub input: Option<(Name, Start)>,
    /// Where event time is.
    pub time: Option<Path>,
    /// How event time is followed.
    pub watermark: WatermarkConfig,
    /// The order key; None is the record's key.
    pub key: Option<Path>,
    /// The steps.
    pub steps: Vec<Step>,
    /// The outputs.
    pub outputs: Vec<Output>,
    /// All streams it writes; a [`Target`] is a place in this list.
    pub streams: Vec<Name>,
    /// Dead letters.
    pub dead: Target,
    /// Late events; None without a stateful step.
    pub late: Option<Target>,
    /// Retries of failed lookups.
    pub retry: Option<RetryPlan>,
}

/// Retries of failed lookups.
#[derive(Clone, Debug)]
pub struct RetryPlan {
    /// The stream of copies.
    pub target: Target,
    /// How long until the next try.
    pub delay: Duration,
    /// Tries before giving up.
    pub attempts: u32,
}

/// A step of a plan.
#[derive(Debug)]
pub struct Step {
    /// Its id.
    pub id: Name,
    /// What it does.
    pub work: Work,
}

/// What a step does.
#[derive(Debug)]
pub enum Work {
    /// Keeps events for which it is true.
    Filter(Condition),
    /// Changes events.
    Transform(Program),
    /// Adds what is known about a key.
    Lookup(LookupPlan),
    /// Keeps running values.
    Aggregate(AggregatePlan),
    /// Windows or sessions.
    Keyed(KeyedPlan),
    /// Drops what was seen before.
    Dedupe(DedupePlan),
}

/// A lookup or score step.
#[derive(Debug)]
pub struct LookupPlan {
    /// What is asked about.
    pub ask: Ask,
    /// Where the answer goes.
    pub into: Path,
}

/// What a lookup is asked about.
#[derive(Debug)]
pub enum Ask {
    /// A key.
    Key(Path),
    /// A JSON object of fields.
    Fields(Vec<(String, Path)>),
}

/// An aggregate step.
#[derive(Debug)]
pub struct AggregatePlan {
    /// The operator's configuration.
    pub config: AggregateConfig,
    /// The key.
    pub key: Path,
    /// What goes into the measures.
    pub inputs: Vec<InputPlan>,
    /// Where the values go.
    pub into: Option<Path>,
    /// The entity under which the values can be read.
    pub entity: Option<Name>,
    /// The stream of values.
    pub output: Option<Target>,
}

/// A window or session step.
#[derive(Debug)]
pub struct KeyedPlan {
    /// The operator's configuration.
    pub config: KeyedConfig,
    /// The key; None is one for all.
    pub key: Option<Path>,
    /// What goes into the measures, then onto the path.
    pub inputs: Vec<InputPlan>,
    /// Where results go.
    pub output: Target,
}

/// Windows or sessions.
#[derive(Clone, Debug)]
pub enum KeyedConfig {
    /// Windows.
    Windows(WindowConfig),
    /// Sessions.
    Sessions(SessionConfig),
}

/// A dedupe step.
#[derive(Debug)]
pub struct DedupePlan {
    /// What makes an event unique.
    pub key: Path,
    /// How long it is remembered.
    pub within: Duration,
}

/// What one event gives to one measure.
#[derive(Debug)]
pub struct InputPlan {
    /// The value; None for a count.
    pub value: Option<Path>,
    /// Whether it counts.
    pub condition: Option<InputCondition>,
}

/// What an event has to be for a measure to count it.
#[derive(Debug)]
pub struct InputCondition {
    /// What is asked of the event.
    pub condition: Condition,
    /// The condition's place among those of the plan that differ: in one place, all give the same answer.
    pub place: usize,
}

/// An output.
#[derive(Debug)]
pub struct Output {
    /// The stream, also that of a table.
    pub target: Target,
    /// Which events it takes.
    pub when: Option<Condition>,
    /// The record's key.
    pub key: Option<Path>,
    /// The table's part.
    pub table: Option<TablePlan>,
}

/// What an output to a table does besides.
#[derive(Debug)]
pub struct TablePlan {
    /// Events that delete the document.
    pub delete: Option<Condition>,
    /// The document's fields; None is the whole event.
    pub fields: Option<Vec<(String, Path)>>,
}

impl Plan {
    /// Whether any step keeps state.
    pub fn stateful(&self) -> bool {
        self.spec.steps.iter().any(StepSpec::stateful)
    }

    /// The space of a step's state.
    pub fn space(&self, step: &Name) -> String {
        format!("pipeline/{}/{step}", self.name)
    }

    /// The space of positions and watermarks.
    pub fn source_space(&self) -> String {
        format!("pipeline/{}/source", self.name)
    }
}
