//! The port of durable workflows: starting executions, following them, ending their tasks from outside.
//!
//! A workflow is a resource of kind Workflow; an execution is `<workflow>/<name>`.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_base::{Micros, Problem};
use serde_json::{Map, Value};

use super::{Cause, Json};

/// Region and account in the names that executions see of themselves.
pub const PLACE: &str = "us-east-1:000000000000";

/// Starts an execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartExecution {
    /// Name of the Workflow resource.
    pub workflow: String,
    /// A published version; None runs what is there now.
    pub version: Option<u64>,
    /// An alias, which draws a version by its weights; instead of `version`.
    pub alias: Option<String>,
    /// The execution's name, an idempotency key; drawn if None.
    pub name: Option<String>,
    /// The input's JSON text; `{}` if None.
    pub input: Option<Json>,
    /// The event it was started by.
    pub cause: Option<Cause>,
}

/// Calls one task of those that executions call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTask {
    /// Its name in full: `arn:aws:states:::aws-sdk:dynamodb:putItem`.
    pub resource: String,
    /// What it is called with, a JSON object's text.
    pub parameters: Json,
    /// An idempotency key: the same for each try of one call.
    pub key: String,
    /// The event that it is called for, and one step more.
    pub cause: Option<Cause>,
}

/// How far an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the language's own words")]
pub enum ExecutionState {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
    PendingRedrive,
}

impl ExecutionState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Running, Self::Succeeded, Self::Failed, Self::TimedOut, Self::Aborted, Self::PendingRedrive];

    /// Its name as the service writes it: `RUNNING`, `TIMED_OUT`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
            Self::PendingRedrive => "PENDING_REDRIVE",
        }
    }

    /// The state of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// An execution as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionView {
    /// `<workflow>/<name>`.
    pub id: String,
    /// The workflow.
    pub workflow: String,
    /// The version it was started as, if any.
    pub version: Option<u64>,
    /// The alias that drew the version, if one did.
    pub alias: Option<String>,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: ExecutionState,
    /// When it began.
    pub started: Micros,
    /// When it ended.
    pub stopped: Option<Micros>,
    /// What it began with.
    pub input: Option<Json>,
    /// What it came to.
    pub output: Option<Json>,
    /// The name of the error it ended with.
    pub error: Option<String>,
    /// What is known of that error.
    pub cause: Option<String>,
    /// How often it was taken up again.
    pub redrives: u32,
    /// When it was last.
    pub redriven: Option<Micros>,
    /// The Map Run it is an item of.
    pub map_run: Option<String>,
}

/// Which executions to list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionQuery {
    /// Only of this workflow.
    pub workflow: Option<String>,
    /// Only started as this version.
    pub version: Option<u64>,
    /// Only started by this alias.
    pub alias: Option<String>,
    /// Only in this state.
    pub state: Option<ExecutionState>,
    /// Only those that were taken up again, or only others.
    pub redriven: Option<bool>,
    /// Only items of this Map Run.
    pub map_run: Option<String>,
    /// Continues behind an earlier page.
    pub after: Option<String>,
    /// At most so many.
    pub count: usize,
}

/// What the executions of one workflow come to; items of Map Runs do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutionCounts {
    /// How many there are in each state, in the order of [`ExecutionState::ALL`].
    pub states: [u64; ExecutionState::ALL.len()],
    /// When the newest began.
    pub started: Micros,
}

impl ExecutionCounts {
    /// Counts one more.
    pub fn add(&mut self, state: ExecutionState, started: Micros) {
        for (count, one) in self.states.iter_mut().zip(ExecutionState::ALL) {
            *count += u64::from(one == state);
        }
        self.started = self.started.max(started);
    }
}

/// How a task ended that somebody outside was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// With this output.
    Success(Json),
    /// With this error.
    Failure {
        /// Its name.
        error: Option<String>,
        /// What is known of it.
        cause: Option<String>,
    },
}

/// What an activity's worker is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityTask {
    /// The right to end it.
    pub token: String,
    /// Its input.
    pub input: Json,
}

/// Durable executions of workflows. Ids that name nothing give `HW-WORK-*`.
pub trait Workflows: Send + Sync {
    /// Starts an execution; durable when the future resolves. The same name with the same input gives the same one
    /// while it runs.
    fn start(&self, request: StartExecution) -> BoxFuture<'_, Result<ExecutionView, Problem>>;

    /// Runs an Express workflow to its end in memory.
    fn run(&self, request: StartExecution) -> BoxFuture<'_, Result<ExecutionView, Problem>>;

    /// Calls a task outside any execution; what it does is durable when the future resolves. Answers its output.
    ///
    /// # Errors
    /// `HW-WORK-061` for one that fails however often it is called, `HW-WORK-062` for one that may be done later.
    fn call_task(&self, call: CallTask) -> BoxFuture<'_, Result<Json, Problem>>;

    /// One execution.
    fn describe(&self, id: &str) -> Result<ExecutionView, Problem>;

    /// One execution, after waiting at most `patience` for its end.
    fn wait<'a>(&'a self, id: &'a str, patience: Duration) -> BoxFuture<'a, Result<ExecutionView, Problem>> {
        let _ = patience;
        Box::pin(async move { self.describe(id) })
    }

    /// The definition an execution is pinned to, as its text.
    fn definition(&self, id: &str) -> Result<Json, Problem>;

    /// Executions, and where the next page begins; a page may be short although there is a next one.
    fn list(&self, query: &ExecutionQuery) -> Result<(Vec<ExecutionView>, Option<String>), Problem>;

    /// What the executions of each workflow come to, also of workflows that were deleted since.
    fn counts(&self) -> BTreeMap<String, ExecutionCounts>;

    /// Events of an execution behind number `after`, in the shape of `GetExecutionHistory` with times in seconds.
    fn history(&self, id: &str, after: u64, count: usize, reverse: bool) -> Result<Vec<Value>, Problem>;

    /// Ends an execution as aborted.
    fn stop<'a>(
        &'a self,
        id: &'a str,
        error: Option<String>,
        cause: Option<String>,
    ) -> BoxFuture<'a, Result<Micros, Problem>>;

    /// Takes up a failed execution again where it failed. The same token within a quarter of an hour is the same
    /// redrive, also across a restart: it answers when that was.
    fn redrive<'a>(&'a self, id: &'a str, token: Option<String>) -> BoxFuture<'a, Result<Micros, Problem>>;

    /// Ends a task by its token.
    fn end_task<'a>(&'a self, token: &'a str, end: TaskEnd) -> BoxFuture<'a, Result<(), Problem>>;

    /// Says that a task is being worked on.
    fn heartbeat<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), Problem>>;

    /// Waits at most `patience` for a task of an activity.
    fn poll_activity<'a>(
        &'a self,
        activity: &'a str,
        worker: Option<String>,
        patience: Duration,
    ) -> BoxFuture<'a, Result<Option<ActivityTask>, Problem>>;

    /// Runs one state on trial: request and answer in the shape of `TestState`.
    fn test_state(&self, request: Map<String, Value>) -> BoxFuture<'_, Result<Map<String, Value>, Problem>>;

    /// What is wrong with a definition, in the shape of `ValidateStateMachineDefinition`'s answer.
    fn validate(&self, definition: &str, express: bool, warnings: bool, count: usize) -> Map<String, Value>;

    /// A Map Run in the shape of `DescribeMapRun`.
    fn map_run(&self, id: &str) -> Result<Map<String, Value>, Problem>;

    /// Map Runs of an execution.
    fn map_runs(&self, execution: &str) -> Result<Vec<Map<String, Value>>, Problem>;

    /// Changes a Map Run's bounds while it runs: `maxConcurrency`, `toleratedFailureCount`,
    /// `toleratedFailurePercentage`.
    fn update_map_run<'a>(&'a self, id: &'a str, change: Map<String, Value>) -> BoxFuture<'a, Result<(), Problem>>;

    /// The text of the definition that a workflow had as a version, which is a generation of its resource.
    /// `HW-WORK-020` where there is no such workflow or version.
    fn version_definition(&self, workflow: &str, version: u64) -> Result<Json, Problem>;
}
