//! An execution: where each of its threads stands, as plain data.
//!
//! A *thread* walks the states of one machine. The first one walks the outermost machine; a Parallel or Map state
//! starts one for each branch or item and waits for them. There is no call stack and no future: everything an
//! execution is stands in [`Execution`], which encodes to bytes (`record`) after every step and goes on from them.
//!
//! Invariants: a thread is in `ready` exactly when its phase is `Enter`, `Rerun` or `Redrive`, and none is once the
//! execution has ended; of an ended execution those threads are left that it can be taken up again with; the event
//! numbers given out are 1, 2, 3, ...

pub mod event;
mod fault;
mod handle;
pub mod history;
mod join;
mod map;
pub mod map_run;
pub mod record;
mod redrive;
mod run;
mod scope;
mod states;
mod tasks;
mod test_choice;
pub mod trial;
pub(crate) mod weight;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use headwater_base::{Micros, Problem};
use serde_json::{Map, Value};

use crate::definition::{Definition, Flavor, MachineId, StateId};

pub use event::{Attempt, Effect, Event, Given, StartTask, Step, Timer};
pub use history::HistoryEvent;
pub use map_run::MapRun;
pub use trial::Trial;

/// A thread's number in its execution, never used twice.
pub type ThreadId = u32;

/// One run of a state machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Execution {
    /// The hash of the definition it is pinned to.
    pub definition: [u8; 32],
    /// The machine it runs: 0, or an item processor for a child of a distributed Map.
    pub machine: MachineId,
    /// What it is called.
    pub identity: Arc<Identity>,
    /// How it is kept.
    pub flavor: Flavor,
    /// When it began.
    pub started: Micros,
    /// What it began with.
    pub input: Arc<Value>,
    /// The item of a distributed Map that it is for.
    pub item: Option<Item>,
    /// Whether it is over, and how.
    pub status: Status,
    /// Number of the last event.
    pub events: u64,
    /// How often it was taken up again.
    pub redrives: u32,
    visits: u64,
    next_thread: ThreadId,
    ready: VecDeque<ThreadId>,
    threads: BTreeMap<ThreadId, Thread>,
}

/// The names the context object and history show.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Identity {
    /// The execution's name in full.
    pub execution_arn: String,
    /// Its short name, unique for its state machine.
    pub name: String,
    /// The state machine's name in full.
    pub machine_arn: String,
    /// Its short name.
    pub machine_name: String,
    /// The role it was started under.
    pub role_arn: String,
    /// The region tasks are shown to run in.
    pub region: String,
}

/// Whether an execution is over, and how.
#[derive(Clone, Debug, PartialEq, Default)]
#[expect(missing_docs, reason = "the language's own words")]
pub enum Status {
    #[default]
    Running,
    Succeeded(Arc<Value>),
    Failed(Failure),
    TimedOut(Failure),
    Aborted(Failure),
}

/// An error by name and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Failure {
    /// `States.Timeout`, or a name of the task's own.
    pub error: Option<String>,
    /// For people.
    pub cause: Option<String>,
}

/// An item of a Map.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// From 0.
    pub index: u64,
    /// As it was before any `ItemSelector`.
    pub value: Value,
}

/// What walks one machine.
#[derive(Clone, Debug, PartialEq)]
struct Thread {
    parent: Option<ThreadId>,
    /// Number of the branch or item among its siblings.
    slot: u32,
    machine: MachineId,
    state: StateId,
    /// The event the next one follows.
    cursor: u64,
    /// The event of entering the state, and the one that followed.
    entered: u64,
    entered_after: u64,
    entered_at: Micros,
    /// Number of this stay in a state, in the execution.
    visit: u64,
    /// Failures of this stay that were retried.
    attempt: u32,
    /// The same, for each retrier.
    retried: Vec<u32>,
    phase: Phase,
    data: Data,
}

/// What a thread holds that is large and seldom changes.
#[derive(Clone, Debug, PartialEq, Default)]
struct Data {
    /// Input of the state it is in; its output once it is done.
    input: Arc<Value>,
    /// Variables of its own scope.
    variables: Map<String, Value>,
    /// The item it is for.
    item: Option<Item>,
    /// Items of the Map it runs.
    items: Arc<Vec<Value>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    /// About to enter its state.
    Enter,
    /// About to try its state again.
    Rerun,
    /// The same, after the execution had ended.
    Redrive,
    /// In a Wait state.
    Waiting,
    /// A task is under way.
    Working { timeout: bool, heartbeat_s: Option<u64>, beat_at: Micros },
    /// Between two attempts.
    Backoff,
    /// Branches are under way, `open` of them; those that are done answered with so many bytes.
    Joining { open: u32, bytes: u64 },
    /// Items are under way, `open` of them; `next` is the first not begun.
    Mapping { next: u32, open: u32, bytes: u64 },
    /// A distributed Map is under way.
    MapRun,
    /// What it waited for is over and its state is being left; never at the end of a step.
    Leaving,
    /// Finished, waiting for its siblings.
    Done,
}

/// What an execution begins with.
#[derive(Clone, Debug)]
pub struct Begin {
    /// What it is called.
    pub identity: Identity,
    /// How it is kept.
    pub flavor: Flavor,
    /// 0, or an item processor.
    pub machine: MachineId,
    /// Its input.
    pub input: Value,
    /// The item of a distributed Map that it is for.
    pub item: Option<Item>,
}

impl Execution {
    /// Begins an execution and runs it to its first effects.
    ///
    /// # Errors
    /// `HW-WORK-005` when the input is too large or nests too deep.
    pub fn start(definition: &Definition, begin: Begin, given: &Given<'_>) -> Result<(Self, Step), Problem> {
        admit(&begin.input, given)?;
        let mut execution = Self::idle(definition, begin, given.now);
        let step = run::start(definition, &mut execution, given);
        Ok((execution, step))
    }

    /// An execution that has not begun: what is shown of one that runs in memory elsewhere.
    pub fn idle(definition: &Definition, begin: Begin, now: Micros) -> Self {
        Self {
            definition: definition.hash,
            machine: begin.machine,
            identity: Arc::new(begin.identity),
            flavor: begin.flavor,
            started: now,
            input: Arc::new(begin.input),
            item: begin.item,
            status: Status::Running,
            events: 0,
            redrives: 0,
            visits: 0,
            next_thread: 0,
            ready: VecDeque::new(),
            threads: BTreeMap::new(),
        }
    }

    /// Takes one event and runs to the next effects.
    ///
    /// # Errors
    /// `HW-WORK-003` when the definition is not the one this execution is pinned to, `HW-WORK-004` when the event is
    /// for an attempt that is over (a late or second result), `HW-WORK-005` when what it carries is too large,
    /// `HW-WORK-006` when the execution has ended. The execution is unchanged then.
    pub fn step(&mut self, definition: &Definition, event: Event, given: &Given<'_>) -> Result<Step, Problem> {
        self.pinned(definition)?;
        if self.status != Status::Running {
            return Err(Problem::new("HW-WORK-006", format!("execution `{}` has ended", self.identity.name)));
        }
        run::step(definition, self, event, given)
    }

    /// The threads there are, ascending.
    pub fn thread_ids(&self) -> impl Iterator<Item = ThreadId> {
        self.threads.keys().copied()
    }

    fn pinned(&self, definition: &Definition) -> Result<(), Problem> {
        if definition.hash == self.definition {
            return Ok(());
        }
        let (own, other) = (crate::hash::hex(&self.definition), crate::hash::hex(&definition.hash));
        let title = format!("execution `{}` is pinned to definition `{own}`, not `{other}`", self.identity.name);
        Err(Problem::new("HW-WORK-003", title).help("keep a definition for as long as executions of it run"))
    }

    /// What each thread waits for, for people: the state's name and the phase.
    pub fn positions(&self, definition: &Definition) -> Vec<(String, String)> {
        self.threads
            .values()
            .filter_map(|thread| {
                let state = definition.state(thread.machine, thread.state)?;
                Some((state.name.clone(), format!("{:?}", thread.phase)))
            })
            .collect()
    }
}

/// Refuses a payload that comes from outside and is too large or nests too deep.
fn admit(value: &Value, given: &Given<'_>) -> Result<(), Problem> {
    let (size, depth) = crate::size::of(value);
    let limits = given.limits;
    if size > limits.payload_bytes_max {
        let title = format!("the payload has {size} bytes; the limit is {} bytes", limits.payload_bytes_max);
        return Err(Problem::new("HW-WORK-005", title).help("put the data in a blob and pass its name"));
    }
    if depth > limits.value_depth_max {
        let title = format!("the payload nests {depth} levels deep; the limit is {}", limits.value_depth_max);
        return Err(Problem::new("HW-WORK-005", title).help("flatten the data"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
