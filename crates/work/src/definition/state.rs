//! One state of a definition, as read.

use serde_json::Value;

use super::choice::Rule;
use super::resource::Resource;
use super::template::{Template, Term};
use super::{MachineId, StateId};
use crate::path::Path;

/// The language of a state's expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Language {
    /// Paths and intrinsic functions.
    #[default]
    JsonPath,
    /// `{% %}`.
    Jsonata,
}

/// One state.
#[derive(Debug)]
pub struct State {
    /// Unique in the definition.
    pub name: String,
    /// Of its expressions.
    pub language: Language,
    /// What it does.
    pub kind: Kind,
    /// Where it leads; meaningless for Choice, Succeed and Fail.
    pub next: Next,
    /// `InputPath`.
    pub input_path: Selection,
    /// `Parameters` of a JSONPath state, `Arguments` of a JSONata state.
    pub arguments: Option<Template>,
    /// `ResultSelector`.
    pub result_selector: Option<Template>,
    /// `ResultPath`.
    pub result_path: ResultPath,
    /// `OutputPath`.
    pub output_path: Selection,
    /// `Output` of a JSONata state.
    pub output: Option<Template>,
    /// `Assign`: an object template.
    pub assign: Option<Template>,
    /// In the order they are tried.
    pub retry: Vec<Retrier>,
    /// In the order they are tried.
    pub catch: Vec<Catcher>,
}

/// What a state does.
#[derive(Debug)]
#[expect(missing_docs, reason = "the language's own field names")]
pub enum Kind {
    Pass { result: Option<Value> },
    Task(Box<Task>),
    Choice { rules: Vec<Rule>, default: Option<StateId> },
    Wait(Until),
    Succeed,
    Fail { error: Option<Term>, cause: Option<Term> },
    Parallel { branches: Vec<MachineId> },
    Map(Box<MapState>),
}

impl Kind {
    /// Whether it has a result that differs from its input.
    pub fn has_result(&self) -> bool {
        matches!(self, Self::Task(_) | Self::Parallel { .. } | Self::Map(_))
    }

    /// As the language calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "Pass",
            Self::Task(_) => "Task",
            Self::Choice { .. } => "Choice",
            Self::Wait(_) => "Wait",
            Self::Succeed => "Succeed",
            Self::Fail { .. } => "Fail",
            Self::Parallel { .. } => "Parallel",
            Self::Map(_) => "Map",
        }
    }

    /// The event of entering it.
    pub fn entered(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "PassStateEntered",
            Self::Task(_) => "TaskStateEntered",
            Self::Choice { .. } => "ChoiceStateEntered",
            Self::Wait(_) => "WaitStateEntered",
            Self::Succeed => "SucceedStateEntered",
            Self::Fail { .. } => "FailStateEntered",
            Self::Parallel { .. } => "ParallelStateEntered",
            Self::Map(_) => "MapStateEntered",
        }
    }

    /// The event of leaving it; a Fail state is never left.
    pub fn exited(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "PassStateExited",
            Self::Task(_) => "TaskStateExited",
            Self::Choice { .. } => "ChoiceStateExited",
            Self::Wait(_) => "WaitStateExited",
            Self::Succeed => "SucceedStateExited",
            Self::Fail { .. } => "FailStateExited",
            Self::Parallel { .. } => "ParallelStateExited",
            Self::Map(_) => "MapStateExited",
        }
    }
}

/// Where a state leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To another state of its machine.
    State(StateId),
    /// Out of its machine.
    End,
}

/// `InputPath` and `OutputPath`.
#[derive(Debug, Default)]
pub enum Selection {
    /// `$`, the default.
    #[default]
    Whole,
    /// `null`: an empty object.
    Nothing,
    /// What the path selects.
    Path(Path),
}

/// `ResultPath`.
#[derive(Debug, Default)]
pub enum ResultPath {
    /// `$`, the default: the result takes the input's place.
    #[default]
    Replace,
    /// `null`: the result is dropped.
    Discard,
    /// The result is written into the input.
    At(Path),
}

impl ResultPath {
    /// The input with the result in its place; None where the path leads through what is no container.
    pub fn place(&self, input: &Value, result: &Value) -> Option<Value> {
        match self {
            Self::Replace => Some(result.clone()),
            Self::Discard => Some(input.clone()),
            Self::At(path) => path.write(input.clone(), result.clone()),
        }
    }
}

/// A number of the definition, or where to find it.
#[derive(Debug)]
pub struct Amount {
    /// As the definition names it: `TimeoutSeconds` or `TimeoutSecondsPath`.
    pub field: &'static str,
    /// Where from.
    pub term: Term,
}

/// What a Task state calls.
#[derive(Debug)]
pub struct Task {
    /// What is called.
    pub resource: Resource,
    /// `TimeoutSeconds`.
    pub timeout: Option<Amount>,
    /// `HeartbeatSeconds`.
    pub heartbeat: Option<Amount>,
    /// `Credentials`.
    pub credentials: Option<Template>,
}

/// How long a Wait state waits.
#[derive(Debug)]
pub enum Until {
    /// So many seconds.
    Seconds(Amount),
    /// A point in time.
    Timestamp(Amount),
}

/// How a Map runs its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// Inside the execution.
    Inline,
    /// As executions of their own, of this flavor.
    Distributed(super::Flavor),
}

/// A Map state.
#[derive(Debug)]
pub struct MapState {
    /// What each item runs through.
    pub machine: MachineId,
    /// How.
    pub processor: Processor,
    /// `Items` or `ItemsPath`; the whole effective input when absent.
    pub items: Option<Template>,
    /// `ItemSelector` or the older `Parameters`.
    pub selector: Option<Template>,
    /// `MaxConcurrency`.
    pub max_concurrency: Option<Amount>,
    /// `ToleratedFailureCount`.
    pub tolerated_count: Option<Amount>,
    /// `ToleratedFailurePercentage`.
    pub tolerated_percentage: Option<Amount>,
    /// `ItemReader`, `ItemBatcher` and `ResultWriter` of a distributed Map.
    pub reader: Option<Template>,
    /// See `reader`.
    pub batcher: Option<Template>,
    /// See `reader`.
    pub writer: Option<Template>,
    /// `Label`.
    pub label: Option<String>,
}

/// One entry of `Retry`.
#[derive(Debug, PartialEq)]
pub struct Retrier {
    /// Names it is for.
    pub errors: Vec<String>,
    /// Seconds before the first attempt.
    pub interval_s: u64,
    /// Attempts after the first failure.
    pub attempts_max: u32,
    /// What the delay grows by each time.
    pub backoff_rate: f64,
    /// The longest delay.
    pub delay_max_s: Option<u64>,
    /// Whether a delay is drawn between 0 and what it would be.
    pub jitter: bool,
}

/// One entry of `Catch`.
#[derive(Debug)]
pub struct Catcher {
    /// Names it is for.
    pub errors: Vec<String>,
    /// Where it leads.
    pub next: StateId,
    /// Where the error goes in a JSONPath state.
    pub result_path: ResultPath,
    /// The output of a JSONata state.
    pub output: Option<Template>,
    /// Variables it sets.
    pub assign: Option<Template>,
}
