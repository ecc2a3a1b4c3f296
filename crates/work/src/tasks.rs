//! Tasks: what a Task state calls, from its resource's name and parameters to a plan that the engine carries out.
//!
//! A plan is *internal* (table writes, stream appends, starts of executions: all in the commit of the execution's own
//! step, so exactly once) or *external* (a future that is run once the step is durable: at least once, with an
//! idempotency key). Planning itself writes nothing and waits for nothing.
//!
//! Patterns. Without one, a task is over with its answer. `.waitForTaskToken`: the answer is what was submitted, the
//! task ends by its token. `.sync` and `.sync:2`: what was started must be over; an internal plan's first start is the
//! execution to wait for, and [`start::ended`] says what its end comes to; an external plan's future waits itself.
//!
//! What it is NOT: retry, time-outs, tokens and the journal are the engine's; activities are nobody's task here.
//! Specification: the optimised integrations of AWS Step Functions for the names that begin with `arn:aws:states:::`.

mod approval;
mod blob;
mod client;
mod events;
mod failure;
mod http;
mod lambda;
mod lookup;
mod parameters;
mod pipeline;
mod publish;
pub mod start;
mod table;
pub mod trial;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::tables::{TransactError, Write, Written};
use headwater_kernel::port::workflows::{ExecutionView, StartExecution};
use headwater_kernel::port::{Cause, Columnar, Context, Enrich, FunctionKind, LookupKind, Outlets, Reconcile};
use headwater_log::Append;
use headwater_store::blobs::Blobs;
use headwater_store::disk::RealDisk;
use serde_json::Value;

use crate::definition::Resource;
use crate::definition::resource::{Pattern, Service};
use crate::execution::Failure;

pub use approval::doubted;
pub use blob::WRITTEN;
pub use client::{HttpClient, Settings};
pub use lookup::Lookups;

/// The code of a start's problem: there is no such workflow. Tasks tell their caller so by name.
pub const NO_WORKFLOW: &str = "HW-WORK-020";
/// The code of a start's problem: the name belongs to an execution with another input.
pub const NAME_TAKEN: &str = "HW-WORK-021";

/// What tasks may use. What is None is not wired; a task that needs it fails and says so.
#[derive(Clone)]
pub struct Services {
    /// Tables, log, secrets and the data folder.
    pub context: Context,
    /// The table of lookups.
    pub lookups: &'static [LookupKind],
    /// The functions that are built in.
    pub functions: Vec<FunctionKind>,
    /// Pipelines on demand.
    pub enrich: Option<Arc<dyn Enrich>>,
    /// Pipelines in batch.
    pub reconcile: Option<Arc<dyn Reconcile>>,
    /// HTTP with credentials.
    pub outlets: Option<Arc<dyn Outlets>>,
    /// HTTP without.
    pub http: HttpClient,
    /// Lookups that were asked before.
    pub built: Lookups,
    /// Bytes by content and by name.
    pub blobs: Option<Arc<Blobs>>,
    /// Reads Parquet files.
    pub columnar: Option<Columnar>,
}

/// One attempt at a task.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// What is called.
    pub resource: &'a Resource,
    /// With what.
    pub parameters: &'a Value,
    /// The effect's identity, `execution/visit/attempt`: the same when the engine tries one attempt again.
    pub key: &'a str,
    /// The caller's state machine in full: partition, region and account of what it starts.
    pub machine_arn: &'a str,
    /// The token, for a callback.
    pub token: Option<&'a str>,
    /// The time of the step.
    pub now: Micros,
    /// When the state's `TimeoutSeconds` is over.
    pub deadline: Option<Micros>,
    /// What the execution came of, one hop further: for the events and executions that the task makes.
    pub cause: Option<&'a Cause>,
}

/// How a task is done.
pub enum Plan {
    /// In the commit of the execution's step.
    Internal(Internal),
    /// Once that commit is durable.
    External(BoxFuture<'static, Result<Value, Failure>>),
}

/// What becomes true together with the execution's step.
pub struct Internal {
    /// Writes of documents, all or nothing.
    pub writes: Vec<Write>,
    /// Records of streams.
    pub appends: Vec<Append>,
    /// Executions to start.
    pub starts: Vec<StartExecution>,
    /// What the task answers.
    pub answer: Answer,
    /// What it comes to when nothing was done.
    pub refused: fn(&Service, Refusal<'_>) -> Failure,
}

/// What an internal plan answers once it is done.
pub enum Answer {
    /// This: it does not depend on what was there.
    Known(Value),
    /// What it makes of what was done.
    Of(Box<dyn FnOnce(&Done) -> Result<Value, Failure> + Send>),
}

/// What was done of an internal plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// By the writes, in their order.
    pub written: Vec<Written>,
    /// By the starts, in their order.
    pub started: Vec<ExecutionView>,
}

/// Why nothing was done of an internal plan.
#[derive(Clone, Copy, Debug)]
pub enum Refusal<'a> {
    /// A write: a condition, or something else. Never [`TransactError::Full`] or [`TransactError::Behind`], which are
    /// waited for.
    Write(&'a TransactError),
    /// A start.
    Start(&'a Problem),
}

/// One row of the table of tasks.
struct Task {
    /// The service, as behind `arn:aws:states:::`, in `arn:aws:states:::aws-sdk:` or behind `arn:headwater:work:::`.
    service: &'static str,
    verb: &'static str,
    patterns: &'static [Pattern],
    plan: fn(&Services, &Service, &Call<'_>) -> Result<Plan, Failure>,
}

const ONLY_ANSWER: &[Pattern] = &[Pattern::Response];
const ANSWER_OR_TOKEN: &[Pattern] = &[Pattern::Response, Pattern::Token];
const ONLY_TOKEN: &[Pattern] = &[Pattern::Token];
const ANSWER_OR_SYNC: &[Pattern] = &[Pattern::Response, Pattern::Sync];
const ALL: &[Pattern] = &[Pattern::Response, Pattern::Sync, Pattern::Sync2, Pattern::Token];

/// Every task.
const TASKS: &[Task] = &[
    Task { service: "table", verb: "get", patterns: ONLY_ANSWER, plan: table::get },
    Task { service: "table", verb: "put", patterns: ONLY_ANSWER, plan: table::put },
    Task { service: "table", verb: "update", patterns: ONLY_ANSWER, plan: table::update },
    Task { service: "table", verb: "delete", patterns: ONLY_ANSWER, plan: table::delete },
    Task { service: "table", verb: "query", patterns: ONLY_ANSWER, plan: table::query },
    Task { service: "dynamodb", verb: "getItem", patterns: ONLY_ANSWER, plan: table::get },
    Task { service: "dynamodb", verb: "putItem", patterns: ONLY_ANSWER, plan: table::put },
    Task { service: "dynamodb", verb: "updateItem", patterns: ONLY_ANSWER, plan: table::update },
    Task { service: "dynamodb", verb: "deleteItem", patterns: ONLY_ANSWER, plan: table::delete },
    Task { service: "aws-sdk:dynamodb", verb: "getItem", patterns: ONLY_ANSWER, plan: table::get },
    Task { service: "aws-sdk:dynamodb", verb: "putItem", patterns: ONLY_ANSWER, plan: table::put },
    Task { service: "aws-sdk:dynamodb", verb: "updateItem", patterns: ONLY_ANSWER, plan: table::update },
    Task { service: "aws-sdk:dynamodb", verb: "deleteItem", patterns: ONLY_ANSWER, plan: table::delete },
    Task { service: "aws-sdk:dynamodb", verb: "query", patterns: ONLY_ANSWER, plan: table::query },
    Task { service: "aws-sdk:dynamodb", verb: "scan", patterns: ONLY_ANSWER, plan: table::scan },
    Task { service: "stream", verb: "publish", patterns: ANSWER_OR_TOKEN, plan: publish::plan },
    Task { service: "events", verb: "putEvents", patterns: ANSWER_OR_TOKEN, plan: events::plan },
    Task { service: "aws-sdk:eventbridge", verb: "putEvents", patterns: ANSWER_OR_TOKEN, plan: events::plan },
    Task { service: "http", verb: "invoke", patterns: ONLY_ANSWER, plan: http::plan },
    Task { service: "lambda", verb: "invoke", patterns: ANSWER_OR_TOKEN, plan: lambda::invoke },
    Task { service: "aws-sdk:lambda", verb: "invoke", patterns: ANSWER_OR_TOKEN, plan: lambda::invoke },
    Task { service: "lookup", verb: "get", patterns: ONLY_ANSWER, plan: lookup::plan },
    Task { service: "states", verb: "startExecution", patterns: ALL, plan: start::plan },
    Task { service: "aws-sdk:sfn", verb: "startExecution", patterns: ANSWER_OR_TOKEN, plan: start::plan },
    Task { service: "approval", verb: "request", patterns: ONLY_TOKEN, plan: approval::plan },
    Task { service: "pipeline", verb: "enrich", patterns: ONLY_ANSWER, plan: pipeline::enrich },
    Task { service: "pipeline", verb: "reconcile", patterns: ANSWER_OR_SYNC, plan: pipeline::reconcile },
    Task { service: "blob", verb: "write", patterns: ONLY_ANSWER, plan: blob::write },
    Task { service: "blob", verb: "read", patterns: ONLY_ANSWER, plan: blob::read },
    Task { service: "aws-sdk:s3", verb: "getObject", patterns: ONLY_ANSWER, plan: blob::get_object },
    Task { service: "aws-sdk:s3", verb: "putObject", patterns: ONLY_ANSWER, plan: blob::put_object },
    Task { service: "aws-sdk:s3", verb: "deleteObject", patterns: ONLY_ANSWER, plan: blob::delete_object },
    Task { service: "aws-sdk:s3", verb: "listObjectsV2", patterns: ONLY_ANSWER, plan: blob::list_objects },
];

/// Plans one attempt at a task.
///
/// # Errors
/// How the task failed before it began: its parameters are wrong, or what it names is not there.
pub fn plan(services: &Services, call: &Call<'_>) -> Result<Plan, Failure> {
    match call.resource {
        Resource::Service(service) => {
            let task = find(service).ok_or_else(|| failure::unknown(service))?;
            (task.plan)(services, service, call)
        }
        Resource::Function { arn } => lambda::by_name(services, arn, call),
        Resource::Activity { arn } => Err(failure::unwired(arn)),
    }
}

/// Whether there is a task of that name and pattern, for the validation of a definition.
pub fn exists(resource: &Resource) -> bool {
    match resource {
        Resource::Service(service) => find(service).is_some(),
        Resource::Function { .. } | Resource::Activity { .. } => true,
    }
}

fn find(service: &Service) -> Option<&'static Task> {
    let named = |task: &&Task| task.service == service.name && task.verb == service.verb;
    TASKS.iter().filter(named).find(|task| task.patterns.contains(&service.pattern))
}

impl Services {
    /// What a context and settings alone give: no lookups, functions, pipelines or destinations. Blobs are in `blobs`
    /// below the context's folder.
    ///
    /// # Errors
    /// `HW-WORK-050` and `HW-WORK-051` when the HTTP client or the blobs cannot be had.
    pub fn new(context: Context, settings: Settings) -> Result<Self, Problem> {
        let http = HttpClient::new(settings)?;
        let folder = context.folder.join("blobs");
        let blobs = Blobs::open(Arc::new(RealDisk), folder.clone()).map_err(|error| {
            Problem::new("HW-WORK-051", format!("the blobs in `{}` cannot be opened", folder.display())).because(error)
        })?;
        Ok(Self {
            context,
            lookups: &[],
            functions: Vec::new(),
            enrich: None,
            reconcile: None,
            outlets: None,
            http,
            built: Lookups::default(),
            blobs: Some(Arc::new(blobs)),
            columnar: None,
        })
    }
}

impl Internal {
    /// A plan that does nothing yet.
    fn new(answer: Answer, refused: fn(&Service, Refusal<'_>) -> Failure) -> Self {
        Self { writes: Vec::new(), appends: Vec::new(), starts: Vec::new(), answer, refused }
    }
}

impl Answer {
    /// The answer.
    ///
    /// # Errors
    /// How the task failed.
    pub fn of(self, done: &Done) -> Result<Value, Failure> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Of(answer) => answer(done),
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internal(internal) => f
                .debug_struct("Internal")
                .field("writes", &internal.writes)
                .field("appends", &internal.appends)
                .field("starts", &internal.starts)
                .finish_non_exhaustive(),
            Self::External(_) => f.write_str("External"),
        }
    }
}

#[cfg(test)]
mod tests;
