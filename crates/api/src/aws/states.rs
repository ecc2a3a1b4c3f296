//! Step Functions: each file holds operations on one noun, as rows and functions.

mod activities;
mod aliases;
mod executions;
mod history;
mod machines;
mod map_runs;
mod tags;
mod tasks;
mod trial;
mod versions;

use std::sync::Arc;

use headwater_base::Problem;
use headwater_kernel::Resource;
use serde_json::Value;

use super::arn::{self, Arn};
use super::call::{Call, Operation};
use super::page;
use super::refusal::Refusal;
use super::shape::{Member, Shape, may, must, text};

/// The operations of Step Functions.
pub const OPERATIONS: &[&[Operation]] = &[
    machines::OPERATIONS,
    versions::OPERATIONS,
    aliases::OPERATIONS,
    executions::OPERATIONS,
    history::OPERATIONS,
    tasks::OPERATIONS,
    activities::OPERATIONS,
    map_runs::OPERATIONS,
    trial::OPERATIONS,
    tags::OPERATIONS,
];

/// The engine's codes that have names of their own here.
pub mod codes {
    /// A fault of a definition.
    pub const DEFINITION: &str = "HW-WORK-001";
    /// A Map or Parallel state is tried without a mock.
    pub const NO_MOCK: &str = "HW-WORK-009";
    /// There is no such workflow, or it is not started yet.
    pub const NO_WORKFLOW: &str = "HW-WORK-020";
    /// There is no such execution.
    pub const NO_EXECUTION: &str = "HW-WORK-030";
    /// An execution has the name already.
    pub const EXISTS: &str = "HW-WORK-021";
    /// An execution cannot be taken up again: it is of the other type, or there is nothing left of it to take up.
    pub const NOT_REDRIVABLE: [&str; 2] = ["HW-WORK-035", "HW-WORK-007"];
    /// A token is none.
    pub const NO_TOKEN: &str = "HW-WORK-032";
    /// A token's attempt is over.
    pub const TASK_ENDED: &str = "HW-WORK-004";
    /// A token's execution is over.
    pub const ENDED: &str = "HW-WORK-006";
    /// A page of a list begins behind nothing that is one's.
    pub const NO_PAGE: &str = "HW-WORK-033";
    /// There is no such Map Run.
    pub const NO_MAP_RUN: &str = "HW-WORK-039";
}

/// The kind of state machines here.
const WORKFLOW: &str = "Workflow";

const MACHINE_ARN: Member = must("stateMachineArn", text(1, 256));
const EXECUTION_ARN: Member = must("executionArn", text(1, 256));
const MAX_RESULTS: Member = may("maxResults", Shape::Integer(0, 1_000));
const NEXT_TOKEN: Member = may("nextToken", text(1, 3_096));
const TAGS: Member =
    may("tags", Shape::List(&Shape::Structure(&[must("key", text(1, 128)), may("value", text(0, 256))]), 0, 200));

/// Items on a page where the client does not say.
const PAGE: usize = 100;

/// A state machine and what its name has behind it.
struct Machine {
    resource: Arc<Resource>,
    qualifier: Qualifier,
}

/// What a state machine's name may have behind it: a version or an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Qualifier {
    None,
    Version(u64),
    Alias(String),
}

impl Machine {
    fn name(&self) -> &str {
        self.resource.metadata.name.as_str()
    }

    fn express(&self) -> bool {
        super::native::text(&self.resource, "/type") == Some("express")
    }
}

/// The state machine that a member names. An alias is one that there is.
fn machine(call: &Call, member: &str) -> Result<Machine, Refusal> {
    let given = call.given(member);
    let arn = arn::states(given, &["stateMachine"])?;
    let (name, qualifier) = split(&arn);
    if name.contains('/') {
        return Err(Refusal::validation(format!("{given} names a Map state, and no state machine")));
    }
    let resource = call.aws.find(WORKFLOW, name).ok_or_else(|| no_machine(given))?;
    if let Qualifier::Alias(alias) = &qualifier
        && !aliases::is_there(&resource, alias)
    {
        return Err(no_machine(given));
    }
    Ok(Machine { resource, qualifier })
}

/// `stateMachine:NAME`, `stateMachine:NAME:VERSION` or `stateMachine:NAME:ALIAS`; only a version is a number.
fn split<'a>(arn: &Arn<'a>) -> (&'a str, Qualifier) {
    let rest = arn.behind("stateMachine").unwrap_or_default();
    let Some((name, behind)) = rest.split_once(':') else { return (rest, Qualifier::None) };
    (name, behind.parse::<u64>().map_or_else(|_| Qualifier::Alias(behind.to_owned()), Qualifier::Version))
}

fn no_machine(arn: &str) -> Refusal {
    Refusal::new("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"))
}

fn no_execution(arn: &str) -> Refusal {
    Refusal::new("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"))
}

/// `name` as state machines and activities may be called, and as the node can call them.
fn name(given: &str) -> Result<&str, Refusal> {
    let fits = given.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits && headwater_base::Name::new(given).is_ok() {
        return Ok(given);
    }
    Err(Refusal::new("InvalidName", format!("Invalid Name: '{given}'")))
}

/// The page that a list's members ask for.
fn page(call: &Call, items: Vec<(String, Value)>) -> Result<(Vec<Value>, Option<String>), Refusal> {
    let after = after(call)?;
    Ok(page::cut(items, after.as_deref(), count(call)))
}

fn after(call: &Call) -> Result<Option<String>, Refusal> {
    let token = call.text("nextToken");
    token.map(|token| page::behind(token).ok_or_else(bad_token)).transpose()
}

fn bad_token() -> Refusal {
    Refusal::new("InvalidToken", "Invalid Token: 'Invalid token'")
}

fn count(call: &Call) -> usize {
    let wanted = call.integer("maxResults").and_then(|count| usize::try_from(count).ok());
    wanted.filter(|count| *count > 0).unwrap_or(PAGE)
}

/// An answer with a token for the next page.
fn listed(member: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut answer = serde_json::Map::new();
    answer.insert(member.to_owned(), Value::Array(items));
    if let Some(next) = next {
        answer.insert("nextToken".to_owned(), next.into());
    }
    Value::Object(answer)
}

/// Why a definition was refused, in the service's words where it is the definition.
fn definition_fault(problems: Vec<Problem>) -> Refusal {
    let faults: Vec<&str> = problems.iter().flat_map(diagnostics).collect();
    if faults.is_empty() {
        return problems.into();
    }
    let message = format!("Invalid State Machine Definition: '{}'", faults.join(", "));
    Refusal::new("InvalidDefinition", message)
}

/// The faults of a definition, each with code, fact and place: of a resource it is one, of a state that is tried all.
fn diagnostics(problem: &Problem) -> Vec<&str> {
    if problem.code != codes::DEFINITION {
        return Vec::new();
    }
    match problem.title.strip_prefix("the definition: ") {
        Some(fault) => vec![fault],
        None => problem.causes.iter().map(String::as_str).collect(),
    }
}
