//! A pipeline's life on a node: one thread that reads what is appended, carries events through a [`Core`] and appends
//! one commit for each micro-batch: records, state changes, positions and watermarks.
//!
//! Exactly once: a commit is one record of the write-ahead log and names the epoch of its owner. It stands behind its
//! input in the same log, so it can never become durable without it; a crash leaves all of it or nothing; a second
//! owner shuts out the first. The thread does not wait for the disk between micro-batches: the log's order is enough.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ahash::HashMap;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use headwater_base::{Clock, Limits, Micros, Name, Problem};
use headwater_log::{Commit, Delta, Log, LogError, Offset, Stream, View};
use tracing::{info, warn};

use crate::compile::{self, Layout, Plan};
use crate::doc::Fault;
use crate::operators::Advance;
use crate::runtime::asking::{Asking, Inbox, Reply};
use crate::runtime::core::{self, Chain, Core, Input, Surroundings};
use crate::runtime::cursor::{Cursor, Pulled};
use crate::runtime::figures::Figures;
use crate::runtime::outbox::{self, Outbox};
use crate::runtime::overlay::Appended;
use crate::runtime::park::{self, StopSignal};
use crate::runtime::positions::Positions;
use crate::spec::Start;

/// Records of one micro-batch: enough to spread the cost of a commit, few enough for a latency of milliseconds.
const BATCH_RECORDS: usize = 1_024;
/// Records taken from one partition before the next one has its turn.
const TURN_RECORDS: usize = 256;
/// Record bytes of one micro-batch.
const BATCH_BYTES: usize = 1 << 20;
/// How long a thread works before whoever waits for its processor has a turn: the system lets a thread keep one for
/// milliseconds once it has it, whatever its priority, and a request is not to wait for as long.
const STRETCH: Duration = Duration::from_micros(1_500);
/// Records between two looks at the time for that.
const STRETCH_RECORDS: usize = 8;
/// How long questions gather while events are read; they go out at the end of a micro-batch anyway. An answer is taken at
/// the beginning of the next one, so that few events wait longer for it.
const GATHER: Duration = Duration::from_millis(2);
/// A micro-batch begins at the earliest this long after the one before it, unless a full one waits: under a stream of
/// small requests, those of a few milliseconds share one commit. A first event after a pause waits for nothing.
const PACE: Duration = Duration::from_millis(4);
/// How often a commit that is larger than the log takes is tried with half as much: down to a single event.
const HALVINGS_MAX: u32 = BATCH_RECORDS.ilog2();
/// Commits that may wait for the disk.
const COMMITS_MAX: usize = 256;
/// How often a thread without work looks around: for idle partitions, retries that have become due, new partitions.
const IDLE: Duration = Duration::from_millis(250);
/// How often the size of the state is taken, which locks all of it once, part by part.
const MEASURE: Duration = Duration::from_secs(5);
/// The shortest nap: deadlines are met to within this.
const NAP_MIN: Duration = Duration::from_millis(1);
/// The longest nap while a deadline by the node's clock is near.
const NAP_MAX: Duration = Duration::from_millis(20);

const LAYOUT: &[u8] = b"layout";

/// What a pipeline's thread is made of.
#[derive(Clone)]
pub struct Setup {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Grows when the user asks for empty state.
    pub epoch: u64,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// How lookup and score steps ask, by step.
    pub asking: HashMap<usize, Arc<Asking>>,
    /// Where answers come in; also wakes the thread.
    pub inbox: Arc<Inbox>,
    /// Counters.
    pub figures: Arc<Figures>,
    /// Whether what it writes may come back to it.
    pub circle: bool,
    /// Asks to stop.
    pub stop: StopSignal,
}

/// Why a life ended.
enum End {
    /// Somebody asked for it.
    Stopped,
    /// Begin anew from what is durable: streams have changed.
    Anew,
    /// Begin anew with smaller commits: one was larger than the log takes.
    Smaller,
    /// It cannot go on.
    Failed(Problem),
}

/// Runs a pipeline until it is asked to stop. Call it on a thread of its own.
///
/// # Errors
/// `HW-FLOW-020` state that does not fit, 030 a missing stream, 041 unreadable state, 042 another owner, 043 the log,
/// 060 more state than a pipeline may hold.
pub fn run(setup: &Setup, started: &dyn Fn()) -> Result<(), Problem> {
    let mut halvings = 0;
    loop {
        let end = match Life::begin(setup, halvings) {
            Ok(mut life) => {
                started();
                life.live()
            }
            Err(end) => end,
        };
        match end {
            End::Stopped => return Ok(()),
            End::Failed(problem) => return Err(problem),
            End::Anew => info!(pipeline = %setup.plan.name, "pipeline begins anew from its last commit"),
            End::Smaller => {
                halvings += 1;
                info!(pipeline = %setup.plan.name, halvings, "pipeline begins anew with smaller commits");
            }
        }
    }
}

struct Life<'a> {
    setup: &'a Setup,
    core: Core,
    sources: Vec<Source>,
    outbox: Outbox,
    fence: (Name, u64),
    unsynced: VecDeque<BoxFuture<'a, Result<(), LogError>>>,
    replies: Vec<Reply>,
    turn: usize,
    looked: Duration,
    measured: Duration,
    /// When whoever waits for this thread's processor last had a turn.
    gave_way: Duration,
    /// Since when questions have gathered.
    gathers: Duration,
    /// The streams it reads and writes, as it found them.
    found: Vec<Arc<Stream>>,
    /// How often what one commit may hold has been halved.
    halvings: u32,
}

struct Source {
    cursor: Cursor,
    /// Waits between tries, for a partition of the retry stream.
    delay: Option<Duration>,
    /// Offsets before this were read in an earlier life; only those in `open` are taken again.
    resumed: Offset,
    open: BTreeSet<Offset>,
}

impl Source {
    /// What was open before `offset` and has not been read again: it has gone from the input.
    fn passed_by(&mut self, offset: Offset) -> BTreeSet<Offset> {
        if self.open.first().is_none_or(|first| *first >= offset) {
            return BTreeSet::new();
        }
        let rest = self.open.split_off(&offset);
        std::mem::replace(&mut self.open, rest)
    }
}

/// What one round of reading found.
#[derive(Default)]
struct Round {
    records: usize,
    bytes: usize,
    /// When the first retry becomes due.
    due: Option<Micros>,
    /// Input is left that the round had no room for.
    more: bool,
}

impl<'a> Life<'a> {
    /// Shuts out earlier owners and takes up what the last commit says.
    fn begin(setup: &'a Setup, halvings: u32) -> Result<Self, End> {
        let plan = &setup.plan;
        let log = &setup.log;
        let Some((stream, start)) = &plan.input else {
            return Err(End::Failed(Problem::new("HW-FLOW-017", "a pipeline over files cannot run on a node")));
        };
        let owner = Name::new(&format!("pipeline.{}", plan.name)).map_err(End::Failed)?;
        let epoch = wait(log.fence(&owner), &setup.stop)?.map_err(|error| failed(&plan.name, &error))?;
        let known = begin_state(setup)?;
        bound_state(setup)?;
        let space = plan.source_space();
        let (mut inputs, mut sources, mut found) = (Vec::new(), Vec::new(), Vec::new());
        // Of copies that nobody tries for a while the positions stay, and so does which stream they are of.
        let (mut read, mut stale) = (known.clone(), Vec::new());
        let retry = plan.retry.as_ref().and_then(|retry| Some((plan.streams.get(retry.target)?, retry.delay)));
        let streams =
            [(stream, None, *start)].into_iter().chain(retry.map(|(name, delay)| (name, Some(delay), Start::Earliest)));
        for (name, delay, start) in streams {
            let Some(stream) = log.stream(name.as_str()) else { return Err(End::Failed(missing(name))) };
            found.push(Arc::clone(&stream));
            let (role, id) = (if delay.is_some() { "retry" } else { "input" }, format!("{:032x}", stream.id));
            let is_other = known.get(role).is_some_and(|known| *known != id);
            read.insert(role.to_owned(), id);
            if is_other {
                // Nothing of it has been read: the positions are those of a stream that is gone, or is not read any more.
                warn!(pipeline = %plan.name, stream = %name, "another stream than before is read, from its beginning");
                stale.extend(positions_beyond(setup, delay.is_some(), stream.config.partitions));
            }
            for partition in 0..stream.config.partitions {
                let key = core::position_key(delay.is_some(), partition);
                let positions = match log.get(&space, &key, View::Appended).filter(|_| !is_other) {
                    Some(bytes) => Positions::decode(&bytes).map_err(|error| unreadable(&error))?,
                    None => {
                        let ends = log.ends(name, partition).map_err(|error| failed(&plan.name, &error))?;
                        Positions::at(if start == Start::Latest && !is_other { ends.appended } else { ends.start })
                    }
                };
                sources.push(Source {
                    cursor: Cursor::new(
                        name.clone(),
                        partition,
                        positions.first(),
                        setup.limits.batch_decompressed_bytes,
                    ),
                    delay,
                    resumed: positions.next(),
                    open: positions.open().keys().copied().collect(),
                });
                let stream = Arc::from(name.as_str());
                inputs.push(Input { moved: true, ..Input::new(stream, partition, delay.is_some(), positions) });
            }
        }
        let restored = match log.get(&space, core::WATERMARKS, View::Appended) {
            Some(bytes) => Some(core::watermarks(plan.watermark.clone(), &bytes).map_err(|error| unreadable(&error))?),
            None => None,
        };
        let around = Surroundings {
            kept: Box::new(Appended::new(Arc::clone(log))),
            asking: setup.asking.clone(),
            clock: Arc::clone(&setup.clock),
            figures: Arc::clone(&setup.figures),
            chain: Chain { hops_max: setup.limits.event_hops, begins: setup.circle },
            // What waits may all go on at once, and then stands in one commit.
            waiting_max: share_of(setup.limits.lookups_in_flight, halvings),
        };
        let mut core = Core::new(Arc::clone(plan), inputs, around, restored).map_err(End::Failed)?;
        core.count_from(setup.inbox.first_serial());
        restore(setup, &mut core)?;
        let outbox = outbox::open(&**log, &plan.streams).map_err(End::Failed)?;
        found.extend(plan.streams.iter().filter_map(|name| log.stream(name.as_str())));
        let mut life = Self {
            setup,
            core,
            sources,
            outbox,
            fence: (owner, epoch),
            unsynced: VecDeque::new(),
            replies: Vec::new(),
            turn: 0,
            looked: setup.clock.elapsed(),
            measured: setup.clock.elapsed(),
            gave_way: setup.clock.elapsed(),
            gathers: setup.clock.elapsed(),
            found,
            halvings,
        };
        // What this leaves undone the first round does: its first events are behind no other watermark.
        life.core.resume(&mut life.outbox).map_err(End::Failed)?;
        life.first_commit(read, stale)?;
        Ok(life)
    }

    /// Writes down where this life begins and in which streams, so that `start: latest` means the same after a crash.
    fn first_commit(&mut self, streams: BTreeMap<String, String>, mut own: Vec<Delta>) -> Result<(), End> {
        let layout = Written { epoch: self.setup.epoch, layout: Layout::of(&self.setup.plan), streams };
        let text = serde_json::to_vec(&layout).unwrap_or_default();
        let mut deltas = self.core.drain();
        own.push(Delta { key: Bytes::from_static(LAYOUT), value: Some(Bytes::from(text)) });
        deltas.push((Arc::from(self.setup.plan.source_space()), own));
        let appends = self.outbox.take();
        self.append(Commit { appends, deltas, fence: Some(self.fence.clone()), ..Commit::default() })
    }

    fn live(&mut self) -> End {
        loop {
            match self.round() {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    /// One micro-batch, or a nap where there is nothing to do.
    fn round(&mut self) -> Result<(), End> {
        if self.setup.stop.is_set() {
            return Err(End::Stopped);
        }
        let elapsed = self.setup.clock.elapsed();
        self.gathers = elapsed;
        self.core.tick();
        self.setup.inbox.take(&mut self.replies);
        let mut busy = !self.replies.is_empty();
        for Reply { ticket, step, answer } in self.replies.drain(..) {
            self.core.answered(ticket, step, answer, &mut self.outbox);
        }
        self.core.expire(elapsed, &mut self.outbox);
        let round = self.read(elapsed)?;
        // Whoever has waited long enough meanwhile goes with this micro-batch, and does not wait for the next one.
        self.core.expire(self.setup.clock.elapsed(), &mut self.outbox);
        busy |= round.records > 0 || round.more;
        let advance = self.core.advance(&mut self.outbox).map_err(End::Failed)?;
        self.core.send();
        busy |= advance == Advance::More;
        if self.outbox.records() > 0 || self.core.has_changes() {
            let commit = Commit {
                appends: self.outbox.take(),
                deltas: self.core.drain(),
                fence: Some(self.fence.clone()),
                ..Commit::default()
            };
            self.append(commit)?;
        }
        self.look_around(elapsed)?;
        if !busy {
            self.rest(elapsed, round.due)?;
        } else if !round.more && advance == Advance::Done {
            let took = self.setup.clock.elapsed().saturating_sub(elapsed);
            park::pause(PACE.saturating_sub(took));
        }
        Ok(())
    }

    /// Reads a micro-batch, taking turns between partitions.
    fn read(&mut self, elapsed: Duration) -> Result<Round, End> {
        let mut round = Round::default();
        let now = self.setup.clock.now();
        let count = self.sources.len();
        let mut ended = 0;
        let mut at = self.turn;
        while ended < count {
            let index = at % count;
            let before = round.records;
            let finished = self.read_turn(index, now, elapsed, &mut round)?;
            ended = if finished && round.records == before { ended + 1 } else { 0 };
            at += 1;
            let [records, bytes] = [BATCH_RECORDS, BATCH_BYTES].map(|amount| share_of(amount, self.halvings));
            if round.records >= records || round.bytes >= bytes {
                round.more = true;
                break;
            }
            if self.core.is_full() {
                break;
            }
        }
        self.turn = at % count.max(1);
        Ok(round)
    }

    /// After a stretch of work, lets whoever waits for this thread's processor go first, and questions that have gathered
    /// go out. No lock is held here.
    fn give_way(&mut self) {
        let clock = &self.setup.clock;
        let elapsed = clock.elapsed();
        if elapsed.saturating_sub(self.gathers) >= GATHER {
            self.core.send();
            self.gathers = elapsed;
        }
        if elapsed.saturating_sub(self.gave_way) >= STRETCH {
            std::thread::yield_now();
            self.gave_way = clock.elapsed();
        }
    }

    /// One partition's turn. Answers whether it had nothing (more).
    fn read_turn(&mut self, index: usize, now: Micros, elapsed: Duration, round: &mut Round) -> Result<bool, End> {
        for taken in 0..share_of(TURN_RECORDS, self.halvings) {
            if self.core.is_full() {
                return Ok(true);
            }
            if taken.is_multiple_of(STRETCH_RECORDS) {
                self.give_way();
            }
            let Some(source) = self.sources.get_mut(index) else { return Ok(true) };
            let delay = source.delay;
            let due = |record: &headwater_wire::batch::Record| {
                let due = Micros::from_millis(record.timestamp).plus(delay?);
                (due > now).then_some(due)
            };
            let pulled =
                source.cursor.pull(&*self.setup.log, due).map_err(|error| failed(&self.setup.plan.name, &error))?;
            match pulled {
                Pulled::Record(record) => {
                    for gone in source.passed_by(record.offset) {
                        self.core.pass_over(index, gone, gone + 1, &mut self.outbox);
                    }
                    let again = record.offset < source.resumed;
                    if again && !source.open.remove(&record.offset) {
                        continue;
                    }
                    round.records += 1;
                    round.bytes += record.value.as_ref().map_or(0, Bytes::len);
                    self.core.offer(index, record, again, &mut self.outbox);
                }
                Pulled::End => {
                    for gone in source.passed_by(Offset::MAX) {
                        self.core.pass_over(index, gone, gone + 1, &mut self.outbox);
                    }
                    self.core.empty(index, elapsed);
                    return Ok(true);
                }
                Pulled::NotBefore(due) => {
                    round.due = Some(round.due.map_or(due, |other| other.min(due)));
                    return Ok(true);
                }
                Pulled::Corrupt { offset, last, fault, bytes } => {
                    let fault = Fault::new(
                        "HW-FLOW-036",
                        format!("the batch of the offsets {offset} to {last} cannot be read: {fault}"),
                    );
                    self.core.refuse(index, offset, &fault, &bytes, &mut self.outbox);
                    self.core.pass_over(index, offset, last + 1, &mut self.outbox);
                    round.records += 1;
                }
                Pulled::Gone { from, to } => {
                    warn!(pipeline = %self.setup.plan.name, from, to, "input was deleted before it was read");
                    // What was read in an earlier life is none of it, but for what that left open.
                    let unread = u64::try_from(to - from.max(source.resumed)).unwrap_or(0);
                    let open = source.passed_by(to).len() as u64;
                    Figures::add(&self.setup.figures.skipped, unread + open);
                    self.core.pass_over(index, from, to, &mut self.outbox);
                    round.records += 1;
                }
            }
        }
        Ok(false)
    }

    /// Hands a commit to the log, and waits only where too many wait for the disk.
    fn append(&mut self, mut commit: Commit) -> Result<(), End> {
        let setup = self.setup;
        loop {
            let has_room = self.unsynced.len() < COMMITS_MAX;
            let Some(first) = self.unsynced.front_mut() else { break };
            let synced = if has_room { first.now_or_never() } else { Some(wait(first, &setup.stop)?) };
            match synced {
                None => break,
                Some(Ok(())) => drop(self.unsynced.pop_front()),
                Some(Err(error)) => return Err(failed(&setup.plan.name, &error)),
            }
        }
        loop {
            match setup.log.append(&mut commit) {
                Ok(ticket) => {
                    Figures::add(&setup.figures.commits, 1);
                    self.unsynced.push_back(setup.log.durable(ticket.sequence));
                    return Ok(());
                }
                Err(LogError::Full(_)) => wait(setup.log.room(&commit.streams()), &setup.stop)?,
                Err(LogError::Limit(_)) if self.halvings < HALVINGS_MAX => return Err(End::Smaller),
                Err(error) => return Err(failed(&setup.plan.name, &error)),
            }
        }
    }

    /// Updates figures, begins anew when a stream has got more partitions, and ends where the state is too large.
    fn look_around(&mut self, elapsed: Duration) -> Result<(), End> {
        if elapsed.saturating_sub(self.looked) < IDLE {
            return Ok(());
        }
        self.looked = elapsed;
        self.tell_lag();
        for found in &self.found {
            let name = &found.name;
            let Some(stream) = self.setup.log.stream(name.as_str()) else { return Err(End::Failed(missing(name))) };
            if stream.id != found.id || stream.config.partitions != found.config.partitions {
                return Err(End::Anew);
            }
        }
        if elapsed.saturating_sub(self.measured) < MEASURE {
            return Ok(());
        }
        self.measured = elapsed;
        bound_state(self.setup)
    }

    fn tell_lag(&self) {
        let input = self.sources.iter().filter(|source| source.delay.is_none());
        let lag = input.map(|source| source.cursor.lag(&*self.setup.log)).sum();
        self.setup.figures.lag.store(lag, Ordering::Relaxed);
    }

    /// Waits for input, an answer, a deadline or the stop signal.
    fn rest(&mut self, elapsed: Duration, due: Option<Micros>) -> Result<(), End> {
        let log = &*self.setup.log;
        if !self.core.is_full() {
            for source in &mut self.sources {
                source
                    .cursor
                    .register(log, &self.setup.inbox.wake)
                    .map_err(|error| failed(&self.setup.plan.name, &error))?;
            }
        }
        self.tell_lag();
        let mut nap = IDLE;
        if let Some(deadline) = self.core.deadline() {
            nap = nap.min(deadline.saturating_sub(elapsed).clamp(NAP_MIN, NAP_MAX));
        }
        if let Some(due) = due {
            nap = nap.min(due.since(self.setup.clock.now()).clamp(NAP_MIN, NAP_MAX));
        }
        park::nap(&self.setup.inbox.wake, nap);
        Ok(())
    }
}

/// What is left of an amount that was halved so often.
fn share_of(amount: usize, halvings: u32) -> usize {
    (amount >> halvings).max(1)
}

/// What is kept about the pipeline that wrote the state.
#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    epoch: u64,
    layout: Layout,
    /// The ids of the streams that the positions are of: the `input`, and that of a `retry`.
    #[serde(default)]
    streams: BTreeMap<String, String>,
}

/// Makes sure that kept state fits the plan; empties it where the user asked for that. Answers which streams the positions
/// are of, where that is known.
fn begin_state(setup: &Setup) -> Result<BTreeMap<String, String>, End> {
    let plan = &setup.plan;
    let space = plan.source_space();
    let Some(bytes) = setup.log.get(&space, LAYOUT, View::Appended) else { return Ok(BTreeMap::new()) };
    let Ok(written) = serde_json::from_slice::<Written>(&bytes) else { return Ok(BTreeMap::new()) };
    let wanted = Layout::of(plan);
    let drop_space = |space: String| -> Result<(), End> {
        wait(setup.log.drop_space(&space), &setup.stop)?.map_err(|error| failed(&plan.name, &error))
    };
    let step_space = |step: &String| format!("pipeline/{}/{step}", plan.name);
    if written.epoch < setup.epoch {
        for step in written.layout.steps.keys().chain(wanted.steps.keys()) {
            drop_space(step_space(step))?;
        }
        if written.layout.source != wanted.source {
            drop_space(space)?;
            return Ok(BTreeMap::new());
        }
        return Ok(written.streams);
    }
    if let Some(problem) = compile::incompatible(&written.layout, &wanted).into_iter().next() {
        return Err(End::Failed(problem));
    }
    for step in written.layout.steps.keys().filter(|step| !wanted.steps.contains_key(*step)) {
        drop_space(step_space(step))?;
    }
    Ok(written.streams)
}

/// Ends positions in partitions that a stream does not have: those of the stream that was read before it.
fn positions_beyond(setup: &Setup, retry: bool, width: u32) -> Vec<Delta> {
    let mut beyond = Vec::new();
    setup.log.for_each(&setup.plan.source_space(), &mut |key, _| {
        let partition = key.last_chunk().map(|number| u32::from_be_bytes(*number));
        if partition.is_some_and(|number| number >= width && core::position_key(retry, number) == key) {
            beyond.push(Delta { key: Bytes::copy_from_slice(key), value: None });
        }
    });
    beyond
}

/// Refuses to go on with more state than a pipeline may hold: what it has stays, and so does its input.
fn bound_state(setup: &Setup) -> Result<(), End> {
    let (plan, limit) = (&setup.plan, setup.limits.state_bytes);
    let steps = plan.steps.iter().map(|step| (step.id.as_str(), setup.log.space_bytes(&plan.space(&step.id))));
    let held: Vec<_> = steps.chain([("source", setup.log.space_bytes(&plan.source_space()))]).collect();
    let bytes: u64 = held.iter().map(|(_, bytes)| bytes).sum();
    if bytes <= limit {
        return Ok(());
    }
    let (most, of) = held.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap_or(("source", 0));
    let fact = format!("pipeline `{}` holds {bytes} bytes of state, {of} of them in `{most}`", plan.name);
    Err(End::Failed(Problem::new("HW-FLOW-060", format!("{fact}; the limit is {limit}")).help(
        "a larger `stateBytes` in `headwater.yaml` lets it go on; or shorten its windows and `within`, and apply it \
         with `--reset-state`",
    )))
}

/// Rebuilds the operators' timers from their spaces.
fn restore(setup: &Setup, core: &mut Core) -> Result<(), End> {
    for (index, step) in setup.plan.steps.iter().enumerate() {
        let mut problem = None;
        setup.log.for_each(&setup.plan.space(&step.id), &mut |key, value| {
            if problem.is_none() {
                problem = core.restore(index, key, value).err();
            }
        });
        if let Some(problem) = problem {
            return Err(End::Failed(problem));
        }
    }
    Ok(())
}

fn wait<F: Future>(future: F, stop: &StopSignal) -> Result<F::Output, End> {
    park::wait(future, stop).ok_or(End::Stopped)
}

fn failed(pipeline: &Name, error: &LogError) -> End {
    End::Failed(match error {
        LogError::Fenced(..) => {
            Problem::new("HW-FLOW-042", format!("pipeline `{pipeline}` has been taken over by another owner"))
        }
        LogError::Closed => return End::Stopped,
        error => Problem::new("HW-FLOW-043", format!("pipeline `{pipeline}`: {error}")),
    })
}

fn missing(name: &Name) -> Problem {
    Problem::new("HW-FLOW-030", format!("there is no stream `{name}`"))
        .help("apply a Stream resource of that name, or the pipeline again")
}

fn unreadable(error: &crate::operators::Corrupt) -> End {
    End::Failed(
        Problem::new("HW-FLOW-041", format!("the pipeline's positions cannot be read: {error}"))
            .help("apply the pipeline with `--reset-state`"),
    )
}
