//! The durable engine: executions of workflows over the event log.
//!
//! Executions hash to shards ([`shard`]). A shard runs the pure evaluator and appends, for whatever has gathered, one
//! commit with everything that became true: rows of its space, pieces of history, timers, tasks to do, and what internal
//! tasks write. Answers and external tasks follow once it is durable. A restart reads the rows and goes on.
//!
//! What it is NOT: it knows no state of the language (the evaluator's) and no task (the table of tasks).
//!
//! Invariants: an execution's name is an idempotency key; it is pinned to the hash of its definition; an internal effect
//! is in the commit of the step that asked for it; an external one begins after that commit is durable, and every try of
//! one attempt has the same idempotency key.

mod activities;
mod call;
mod collect;
mod dispatch;
mod events;
mod express;
mod index;
pub mod journal;
mod line;
mod list;
mod map_run;
mod message;
mod payloads;
mod port;
mod queue;
pub mod rewrite;
mod rows;
mod shard;
mod timers;
mod token;
mod turn;
mod waiters;
mod workflow;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use ahash::HashMap;
use bytes::Bytes;
use headwater_base::{Clock, Micros, Moved, Name, Problem};
use headwater_kernel::port::Json;
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView, PLACE, StartExecution};
use headwater_kernel::unit::{awaited, bug};
use headwater_log::{Log, LogError, View};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::definition::Definition;
use crate::execution::{Attempt, Event, Failure, Identity, Status};
use crate::hash;
use crate::limits::Limits;
use crate::tasks::Services;
use line::Lines;
use queue::{Command, Queue, Room};
use rows::{Head, Key, SHARDS, Tag};

pub use rows::Unknown;
pub use workflow::Workflow;

/// What an engine is made of.
pub struct Parts {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Bounds of the node.
    pub node_limits: Arc<headwater_base::Limits>,
    /// Bounds of definitions and executions.
    pub limits: Limits,
    /// What tasks may use.
    pub services: Services,
    /// Where external tasks run.
    pub handle: Handle,
    /// Chance for tokens and seeds; never the same twice, known to nobody.
    pub secret: [u8; 32],
    /// External tasks under way at once.
    pub tasks_in_flight: NonZeroUsize,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// How often a write waits for a table's view to catch up before it fails.
const BEHIND_MAX: u32 = 3;

/// What its parts share.
struct Inner {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// Ended executions that a shard keeps.
    kept: usize,
    /// Bytes of executions under way that a shard keeps as values, and beyond which it takes up no more for one commit.
    cache_bytes_max: usize,
    services: Services,
    handle: Handle,
    secret: [u8; 32],
    drawn: AtomicU64,
    closed: AtomicBool,
    workflows: RwLock<HashMap<String, Arc<Workflow>>>,
    definitions: Mutex<HashMap<[u8; 32], Arc<Definition>>>,
    queues: [Arc<Queue>; SHARDS],
    /// A permit for each byte that clients may have waiting there, and how many there are.
    room: Arc<Semaphore>,
    room_bytes: usize,
    activities: activities::Activities,
    dispatch: Lines<(Key, Attempt)>,
    express_ready: Lines<Key>,
    in_flight: Mutex<HashMap<(Key, Attempt), tokio::task::AbortHandle>>,
    maps: map_run::Runs,
    waiters: waiters::Waiters,
    recent: Mutex<list::Recent>,
    index: Mutex<index::Index>,
    /// When blobs were last swept for good.
    rested: Mutex<Option<std::time::Duration>>,
    figures: Figures,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// What all executions need has ended, and why.
    broken: watch::Sender<Option<Problem>>,
    /// Hears that the clock was moved, by which timers are due.
    moved: Arc<Moved>,
    me: std::sync::Weak<Inner>,
}

/// Counters of an engine.
#[derive(Default)]
struct Figures {
    started: AtomicU64,
    ended: AtomicU64,
    running: AtomicU64,
    steps: AtomicU64,
    commits: AtomicU64,
    tasks: AtomicU64,
    failed_tasks: AtomicU64,
    items: AtomicU64,
    timers: [AtomicU64; SHARDS],
    parked: AtomicU64,
}

impl Engine {
    /// Opens the engine and takes up what the log holds.
    ///
    /// # Errors
    /// `HW-WORK-034` when the log refuses.
    pub async fn open(parts: Parts) -> Result<Self, Problem> {
        let Parts { log, clock, node_limits, limits, services, handle, secret, tasks_in_flight } = parts;
        let history = Name::new(journal::STREAM)?;
        let made = [
            (history.clone(), journal::config(&node_limits)),
            (Name::new(map_run::STREAM)?, map_run::config(&node_limits)),
            (
                Name::new(headwater_kernel::port::bus::DEFAULT_BUS)?,
                headwater_kernel::kinds::stream::default_config(&node_limits),
            ),
        ];
        for (name, config) in made {
            if log.stream(name.as_str()).is_none() {
                log.create(name, config, Vec::new()).await.map_err(|error| refused(&error))?;
            }
        }
        let (dispatch, tasks) = line::lines(tasks_in_flight.get());
        let (express_ready, runs) = line::lines(limits.express_at_once_max);
        let inner = Arc::new_cyclic(|me: &std::sync::Weak<Inner>| Inner {
            log: Arc::clone(&log),
            clock,
            limits,
            kept: node_limits.executions_kept.div_ceil(SHARDS),
            cache_bytes_max: node_limits.execution_cache_bytes / SHARDS,
            services,
            handle: handle.clone(),
            secret,
            drawn: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            workflows: RwLock::default(),
            definitions: Mutex::default(),
            queues: std::array::from_fn(|_| Arc::default()),
            room: Arc::new(Semaphore::new(node_limits.execution_requests_bytes)),
            room_bytes: node_limits.execution_requests_bytes,
            activities: activities::Activities::default(),
            dispatch,
            express_ready,
            in_flight: Mutex::default(),
            maps: map_run::Runs::default(),
            waiters: waiters::Waiters::default(),
            recent: Mutex::default(),
            index: Mutex::default(),
            rested: Mutex::default(),
            figures: Figures::default(),
            threads: Mutex::default(),
            broken: watch::Sender::new(None),
            moved: {
                let me = me.clone();
                Arc::new(move || {
                    if let Some(inner) = me.upgrade() {
                        inner.look();
                    }
                })
            },
            me: me.clone(),
        });
        inner.clock.on_move(Arc::downgrade(&inner.moved));
        inner.recall();
        let engine = Self(inner);
        if let Err(problem) = engine.open_shards(&history).await {
            // Those that were opened must not go on alone.
            engine.close().await;
            return Err(problem);
        }
        handle.spawn(collect::run(Arc::downgrade(&engine.0)));
        for line in runs {
            engine.0.run_vital("Express executions", express::run(Arc::downgrade(&engine.0), line));
        }
        for line in tasks {
            engine.0.run_vital("the dispatch of tasks", dispatch::run(Arc::downgrade(&engine.0), line));
        }
        Ok(engine)
    }

    async fn open_shards(&self, history: &Name) -> Result<(), Problem> {
        let inner = &self.0;
        for index in 0..SHARDS {
            let owner = Name::new(&format!("work.{index}"))?;
            let epoch = inner.log.fence(&owner).await.map_err(|error| refused(&error))?;
            let (done, items) = mpsc::unbounded_channel();
            let (shard_inner, history) = (Arc::clone(inner), history.clone());
            // Recovery reads every row of the shard.
            let opened = tokio::task::spawn_blocking(move || {
                shard::Shard::open(&shard_inner, index, (owner, epoch), history, done)
            });
            let shard = opened.await.map_err(|error| Problem::new("HW-WORK-034", error.to_string()))??;
            inner.run_vital("what follows commits of workflows", shard::complete(Arc::clone(inner), items));
            let thread = std::thread::Builder::new().name(format!("work-{index}")).spawn(move || shard.run());
            let thread = thread.map_err(|error| Problem::new("HW-WORK-034", error.to_string()))?;
            inner.threads.lock().push(thread);
        }
        Ok(())
    }

    /// Stops the shards; what is under way outside is cut off and taken up by the next start.
    pub async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.queues.iter().for_each(|queue| queue.close());
        for (_, task) in self.0.in_flight.lock().drain() {
            task.abort();
        }
        self.0.maps.stop();
        let threads = std::mem::take(&mut *self.0.threads.lock());
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok()));
        if !matches!(joined.await, Ok(true)) {
            tracing::warn!("a workflow shard ended by a bug in the program");
        }
    }

    /// Resolves once something has ended that executions need, by a bug or because the log is not this engine's any more:
    /// some or all of them do not go on before the next start.
    pub async fn broken(&self) -> Problem {
        let mut broken = self.0.broken.subscribe();
        let problem = match broken.wait_for(Option::is_some).await {
            Ok(problem) => problem.clone(),
            Err(_) => None,
        };
        match problem {
            Some(problem) => problem,
            None => std::future::pending().await,
        }
    }

    /// Figures: name without `hw_work_`, value.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other number")]
    pub fn figures(&self) -> Vec<(&'static str, f64)> {
        let figures = &self.0.figures;
        let mut all: Vec<(&'static str, f64)> = [
            ("executions_started_total", &figures.started),
            ("executions_ended_total", &figures.ended),
            ("executions_running", &figures.running),
            ("events_total", &figures.steps),
            ("commits_total", &figures.commits),
            ("tasks_total", &figures.tasks),
            ("tasks_failed_total", &figures.failed_tasks),
            ("map_items_total", &figures.items),
            ("executions_parked_total", &figures.parked),
        ]
        .into_iter()
        .map(|(name, counter)| (name, counter.load(Ordering::Relaxed) as f64))
        .collect();
        all.push(("tasks_in_flight", self.0.in_flight.lock().len() as f64));
        let timers = figures.timers.iter().map(|timers| timers.load(Ordering::Relaxed)).sum::<u64>();
        all.push(("timers", timers as f64));
        all.push(("queued", self.0.queues.iter().map(|queue| queue.len()).sum::<usize>() as f64));
        all
    }
}

impl Inner {
    /// Makes the shards look at their timers.
    fn look(&self) {
        self.queues.iter().for_each(|queue| queue.wake());
    }

    /// Runs what all executions need.
    fn run_vital(&self, what: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let me = self.me.clone();
        self.handle.spawn(async move {
            if let Err(said) = awaited(work).await
                && let Some(inner) = me.upgrade()
            {
                inner.fail(bug(what, &said));
            }
        });
    }

    /// Something has ended that executions need.
    fn fail(&self, problem: Problem) {
        if !self.closed.load(Ordering::Acquire) {
            self.broken.send_replace(Some(problem));
        }
    }

    /// A seed that nobody has seen.
    fn seed(&self) -> [u8; 32] {
        let mut text = self.secret.to_vec();
        text.extend_from_slice(&self.drawn.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        hash::sha256(&text)
    }

    /// Waits for a table whose view has to catch up before a write of it can be decided.
    async fn caught_up(&self, table: &Name) {
        if let Some(tables) = &self.services.context.tables {
            // A table that is gone is what the next try says.
            let _ = tables.settled(table.as_str()).await;
        }
    }

    fn queue(&self, shard: usize) -> &Arc<Queue> {
        // The number is always a remainder by their count.
        self.queues.get(shard % SHARDS).unwrap_or(&self.queues[0])
    }

    fn push(&self, shard: usize, command: Command) {
        self.queue(shard).push(command);
    }

    fn push_to(&self, key: &Key, command: Command) {
        self.push(rows::shard_of(key), command);
    }

    /// Room for what a client hands over. What executions have for each other takes none ([`queue`]).
    ///
    /// # Errors
    /// `HW-WORK-034` where others have all of it.
    fn room(&self, bytes: usize) -> Result<Room, Problem> {
        let bytes = bytes.saturating_add(size_of::<Command>()).min(self.room_bytes);
        let room = Arc::clone(&self.room).try_acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX));
        room.map_err(|_| {
            let max = self.room_bytes;
            let fact = format!("what clients ask of workflows waits with {max} bytes, which is the limit");
            Problem::new("HW-WORK-034", fact).help("send it again in a second; nothing of it has happened")
        })
    }

    /// A row of an execution, from the space of its shard.
    fn row(&self, key: &Key, tag: Tag, rest: &[u8], view: View) -> Option<Bytes> {
        self.log.get(&rows::space_of(rows::shard_of(key)), &rows::row(key, tag, rest), view)
    }

    fn perform(&self, key: Key, attempt: Attempt) {
        self.dispatch.push(rows::shard_of(&key), (key, attempt));
    }

    fn cancel(&self, key: &Key, attempt: &Attempt) {
        self.activities.withdraw(*key, *attempt);
        if let Some(task) = self.in_flight.lock().remove(&(*key, *attempt)) {
            task.abort();
        }
    }

    /// Stops an execution whose parent waits for it no more; one of another parent goes on.
    fn stop_child(&self, key: Key, parent: &rows::Parent) {
        let head = self.row(&key, Tag::Head, &[], View::Appended).and_then(|row| Head::decode(&row).ok());
        if head.is_some_and(|head| head.parent.as_ref() == Some(parent)) {
            let cause = Some("the task that waited for it was stopped".to_owned());
            let event = Event::Abort(Failure { error: None, cause });
            self.push_to(&key, Command::Event { key, event, reply: None, room: None });
        }
    }

    /// The head that an execution begins with, and its input.
    ///
    /// # Errors
    /// `HW-WORK-020` for no such workflow, version or alias, `HW-WORK-033` for an input that is no JSON.
    fn head_of(&self, start: &StartExecution, now: Micros) -> Result<(Head, Json), Problem> {
        let version = match &start.alias {
            Some(alias) => Some(self.route(&start.workflow, alias)?),
            None => start.version,
        };
        let workflow = self.workflow(&start.workflow, version)?;
        let input = start.input.clone().unwrap_or_else(|| Json::from_static(b"{}"));
        let name = match &start.name {
            Some(name) => checked(name)?,
            None => crate::Chance::new(self.seed()).uuid(),
        };
        let digest = hash::sha256(&input);
        let head = Head {
            workflow: workflow.name.clone(),
            name,
            version,
            definition: workflow.hash,
            machine: 0,
            express: workflow.express,
            state: ExecutionState::Running,
            started: now,
            stopped: None,
            input: digest.first_chunk().copied().unwrap_or_default(),
            first: -1,
            last: -1,
            events: 0,
            threads: Vec::new(),
            parent: None,
            map_run: None,
            maps: Vec::new(),
            unknown: workflow.unknown,
            retention_s: workflow.retention_s,
            redrives: 0,
            redriven: None,
            redrive_tokens: Vec::new(),
            cause: start.cause.clone(),
            parked: None,
            blobs: 0,
            alias: start.alias.clone(),
        };
        Ok((head, input))
    }
}

/// An execution's name: up to 80 characters, none of those that mean something elsewhere.
fn checked(name: &str) -> Result<String, Problem> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    if name.is_empty() || name.chars().count() > 80 || name.contains(bad) {
        let shown: String = name.chars().take(80).collect();
        return Err(Problem::new("HW-WORK-033", format!("`{}` cannot be an execution's name", shown.escape_debug()))
            .help("use 1 to 80 letters, digits, `-`, `_` and `.`"));
    }
    Ok(name.to_owned())
}

/// The names in full of an execution.
fn identity(workflow: &str, name: &str) -> Identity {
    Identity {
        execution_arn: format!("arn:aws:states:{PLACE}:execution:{workflow}:{name}"),
        name: name.to_owned(),
        machine_arn: format!("arn:aws:states:{PLACE}:stateMachine:{workflow}"),
        machine_name: workflow.to_owned(),
        role_arn: "arn:aws:iam::000000000000:role/headwater".to_owned(),
        region: PLACE.split(':').next().unwrap_or_default().to_owned(),
    }
}

fn view(head: &Head, input: Option<Json>) -> ExecutionView {
    ExecutionView {
        id: head.id(),
        workflow: head.workflow.clone(),
        version: head.version,
        alias: head.alias.clone(),
        name: head.name.clone(),
        state: head.state,
        started: head.started,
        stopped: head.stopped,
        input,
        output: None,
        error: None,
        cause: head.parked.clone(),
        redrives: head.redrives,
        redriven: head.redriven,
        map_run: head.map_run.clone(),
    }
}

fn view_ended(head: &Head, input: Option<Json>, status: &Status) -> ExecutionView {
    let mut view = view(head, input);
    match status {
        Status::Running => {}
        Status::Succeeded(output) => view.output = Some(Json::from(output.to_string())),
        Status::Failed(Failure { error, cause })
        | Status::TimedOut(Failure { error, cause })
        | Status::Aborted(Failure { error, cause }) => {
            (view.error, view.cause) = (error.clone(), cause.clone());
        }
    }
    view
}

const fn state_of(status: &Status) -> ExecutionState {
    match status {
        Status::Running => ExecutionState::Running,
        Status::Succeeded(_) => ExecutionState::Succeeded,
        Status::Failed(_) => ExecutionState::Failed,
        Status::TimedOut(_) => ExecutionState::TimedOut,
        Status::Aborted(_) => ExecutionState::Aborted,
    }
}

/// `HW-WORK-034`: the log refused.
fn refused(error: &LogError) -> Problem {
    Problem::new("HW-WORK-034", format!("the journal of executions was refused: {error}"))
        .help("`headwater doctor` checks the data folder and the disk")
}

/// `HW-WORK-021`.
fn name_taken(workflow: &str, name: &str) -> Problem {
    Problem::new(crate::tasks::NAME_TAKEN, format!("there is an execution `{workflow}/{name}`"))
        .help("choose another name; the same name with the same input is the same execution only while it runs")
}

/// `HW-WORK-030`.
fn no_execution(id: &str) -> Problem {
    let shown: String = id.chars().take(120).collect();
    Problem::new("HW-WORK-030", format!("there is no execution `{}`", shown.escape_debug()))
        .help("`headwater get executions` lists them; an ended one goes after its workflow's retention time")
}

/// `HW-WORK-031`.
fn parked(id: &str, reason: &str) -> Problem {
    Problem::new("HW-WORK-031", format!("execution `{id}` is parked: {reason}"))
        .help("it does not go on; start another one, and please report this")
}

#[cfg(test)]
mod tests;
