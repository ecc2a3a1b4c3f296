//! A reader's life on its thread: rounds of reading, writing and resting.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Name, Problem};
use headwater_kernel::unit::{bug, contained};
use headwater_log::cursor::Pulled;
use headwater_log::park::{self, StopSignal};
use headwater_log::{Delta, LogError, Offset};
use headwater_wire::batch::Record;
use tracing::{info, warn};

use super::members::position;
use super::{Command, Reader, Setup};
use crate::letter::Place;
use crate::runtime::cohort::{self, Cohort, Matching, Member};
use crate::runtime::figures::Figures;
use crate::runtime::writer::Writer;
use crate::subscription::{Effect, Happened};

/// Records of one micro-batch of one cohort.
const BATCH_RECORDS: usize = 1_024;
/// Records taken from one partition before the next one has its turn.
const TURN_RECORDS: usize = 256;
/// Bytes of records, and of what they lead to, in one micro-batch.
const BATCH_BYTES: usize = 1 << 20;
/// A micro-batch begins at the earliest this long after the one before it, unless a full one waits.
const PACE: Duration = Duration::from_millis(4);
/// How often a thread without work looks around.
const IDLE: Duration = Duration::from_millis(250);
/// A position that no effect moved is written down this often.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Why a round ended a reader's life.
pub(super) enum End {
    Stopped,
    Failed(Problem),
}

pub(super) struct Life<'a> {
    pub(super) setup: &'a Setup,
    pub(super) reader: &'a Arc<Reader>,
    pub(super) stop: &'a StopSignal,
    pub(super) space: Arc<str>,
    pub(super) fence: Option<(Name, u64)>,
    pub(super) next_id: u64,
    pub(super) cohorts: Vec<Cohort>,
    /// The subscription that is being taken in.
    pub(super) joining: Option<Arc<Member>>,
    /// Cohorts of earlier lives: position, and how many subscriptions have not come back yet.
    pub(super) earlier: HashMap<u64, (usize, Vec<Offset>)>,
    pub(super) writer: Writer,
    pub(super) unsynced: VecDeque<BoxFuture<'a, Result<(), LogError>>>,
    pub(super) matching: Matching,
    pub(super) looked: Duration,
    pub(super) saved: Duration,
}

/// An event that leads to something.
pub(super) struct Item {
    pub(super) partition: usize,
    /// The position behind it.
    pub(super) next: Offset,
    pub(super) record: Record,
    pub(super) effects: Vec<(usize, Effect)>,
}

/// Why a micro-batch has to be read again before anything of it is written.
enum Broken {
    /// The matcher of a cohort cannot be built, or met a bug with an event: whose pattern it is shows once each
    /// subscription stands alone.
    Matcher,
    /// A subscription goes on no further.
    Member(String, Problem),
}

/// What one reading found.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    records: usize,
    more: bool,
    broken: Option<Broken>,
}

impl<'a> Life<'a> {
    pub(super) fn new(setup: &'a Setup, reader: &'a Arc<Reader>, stop: &'a StopSignal) -> Self {
        Self {
            setup,
            reader,
            stop,
            space: Arc::from(format!("bus/{}", setup.stream)),
            fence: None,
            next_id: 0,
            cohorts: Vec::new(),
            joining: None,
            earlier: HashMap::new(),
            writer: Writer::new(Arc::clone(&setup.log), Arc::clone(&setup.tables)),
            unsynced: VecDeque::new(),
            matching: Matching::default(),
            looked: setup.clock.elapsed(),
            saved: setup.clock.elapsed(),
        }
    }

    pub(super) fn run(&mut self) -> Result<(), Problem> {
        let lived = self.begin().and_then(|()| self.live());
        match lived {
            Ok(()) | Err(End::Stopped) => Ok(()),
            Err(End::Failed(problem)) => Err(problem),
        }
    }

    /// Lets everybody go.
    pub(super) fn end(&mut self, result: Result<(), Problem>) {
        let mut inbox = self.reader.inbox.lock();
        inbox.closed = true;
        for command in inbox.commands.drain(..) {
            if let Command::Join(member, _) = command {
                member.ending.tell(result.clone());
            }
        }
        let there = self.cohorts.drain(..).flat_map(|cohort| cohort.members);
        for member in there.chain(self.joining.take()) {
            member.ending.tell(result.clone());
        }
    }

    /// Shuts out earlier readers of the stream and takes up what they wrote down.
    fn begin(&mut self) -> Result<(), End> {
        let owner = Name::new(&format!("bus.{}", self.setup.stream)).map_err(End::Failed)?;
        let epoch = self.wait(self.setup.log.fence(&owner))?.map_err(|error| self.failed(&error))?;
        self.fence = Some((owner, epoch));
        self.next_id = epoch << 24;
        let mut earlier = HashMap::new();
        self.setup.log.for_each(&self.space, &mut |key, value| {
            if let (Ok(key), Some(position)) = (key.try_into(), cohort::decode(value)) {
                earlier.insert(u64::from_be_bytes(key), position);
            }
        });
        self.earlier = earlier;
        Ok(())
    }

    /// Rounds, until the last subscription has left.
    fn live(&mut self) -> Result<(), End> {
        loop {
            loop {
                let command = self.reader.inbox.lock().commands.pop_front();
                match command {
                    None => break,
                    Some(Command::Join(member, told)) => {
                        self.joining = Some(Arc::clone(&member));
                        self.join(member)?;
                        self.joining = None;
                        // Nobody may be waiting any more.
                        let _ = told.send(());
                    }
                    Some(Command::Leave(id, told)) => {
                        self.leave(&id)?;
                        self.cohorts.retain(|cohort| !cohort.members.is_empty());
                        let _ = told.send(());
                    }
                }
            }
            if self.cohorts.is_empty() {
                let mut inbox = self.reader.inbox.lock();
                if inbox.commands.is_empty() {
                    inbox.closed = true;
                    return Ok(());
                }
                continue;
            }
            self.round()?;
        }
    }

    fn round(&mut self) -> Result<(), End> {
        let elapsed = self.setup.clock.elapsed();
        self.part_full()?;
        let leader = self.leader();
        let until = self.cohorts.get(leader).map(|cohort| cohort.at.clone()).unwrap_or_default();
        let (mut busy, mut more) = (false, false);
        for index in 0..self.cohorts.len() {
            let bound = (index != leader).then_some(until.as_slice());
            let batch = match self.cohorts.get(index) {
                Some(cohort) if !cohort.members.iter().any(|member| member.is_full()) => self.read(index, bound)?,
                _ => continue,
            };
            busy |= batch.records > 0 || batch.broken.is_some();
            more |= batch.more;
            match batch.broken {
                // The others of its cohort read this again without it.
                Some(Broken::Member(id, problem)) => self.let_go_of(index, &id, problem)?,
                Some(Broken::Matcher) => self.halve(index)?,
                None => self.write(index, batch.items)?,
            }
        }
        self.cohorts.retain(|cohort| !cohort.members.is_empty());
        self.merge()?;
        self.look_around(elapsed)?;
        if !busy {
            self.rest()?;
        } else if !more {
            park::pause(PACE.saturating_sub(self.setup.clock.elapsed().saturating_sub(elapsed)));
        }
        Ok(())
    }

    fn leader(&self) -> usize {
        let read = |cohort: &Cohort| cohort.at.iter().sum::<Offset>();
        // One that waits for its deliveries leads nobody: the others would wait with it.
        let free = |cohort: &Cohort| !cohort.members.iter().any(|member| member.is_full());
        let by_read = self.cohorts.iter().enumerate().filter(|(_, cohort)| free(cohort));
        let by_read = by_read.max_by_key(|(_, cohort)| read(cohort));
        by_read.map_or(0, |(index, _)| index)
    }

    /// Reads a micro-batch of one cohort, taking turns between partitions.
    fn read(&mut self, index: usize, until: Option<&[Offset]>) -> Result<Batch, End> {
        let Self { setup, cohorts, matching, .. } = self;
        let Some(cohort) = cohorts.get_mut(index) else { return Ok(Batch::default()) };
        let ready = contained(|| cohort.ready());
        let ready = ready.unwrap_or_else(|said| Err(bug(format_args!("a matcher of `{}`", setup.stream), &said)));
        if let Err(problem) = ready {
            let broken = match cohort.members.as_slice() {
                [member] => Broken::Member(member.subscription.id(), problem),
                _ => Broken::Matcher,
            };
            return Ok(Batch { broken: Some(broken), ..Batch::default() });
        }
        let now = setup.clock.now();
        let mut batch = Batch::default();
        let (mut bytes, mut ended) = (0, 0);
        let count = cohort.cursors.len();
        while ended < count {
            let partition = cohort.turn % count.max(1);
            let before = batch.records;
            let mut finished = false;
            for _ in 0..TURN_RECORDS {
                if batch.records >= BATCH_RECORDS || bytes >= BATCH_BYTES {
                    batch.more = true;
                    break;
                }
                let Some(cursor) = cohort.cursors.get_mut(partition) else { break };
                if until.and_then(|until| until.get(partition)).is_some_and(|until| cursor.next() >= *until) {
                    finished = true;
                    break;
                }
                let pulled = cursor.pull(&*setup.log, |_| None).map_err(|error| failed(&setup.stream, &error))?;
                let next = cursor.next();
                match pulled {
                    Pulled::Record(record) => {
                        batch.records += 1;
                        bytes += record.value.as_ref().map_or(0, Bytes::len);
                        let number = u32::try_from(partition).unwrap_or(0);
                        let place = Place { stream: setup.stream.as_str(), partition: number, offset: record.offset };
                        let event = Happened {
                            record: &record,
                            view: record.value.as_deref().unwrap_or_default(),
                            place,
                            now,
                            hops_max: setup.limits.event_hops,
                        };
                        let effects = match lead(cohort, &event, matching) {
                            Ok(effects) => effects,
                            Err(broken) => {
                                let broken = Some(broken);
                                return Ok(Batch { broken, records: batch.records, ..Batch::default() });
                            }
                        };
                        bytes += effects.iter().map(|(_, effect)| weight(effect)).sum::<usize>();
                        if !effects.is_empty() {
                            batch.items.push(Item { partition, next, record, effects });
                        }
                    }
                    Pulled::End | Pulled::NotBefore(_) => {
                        finished = true;
                        break;
                    }
                    Pulled::Corrupt { offset, last, fault, .. } => {
                        warn!(stream = %setup.stream, partition, offset, last, fault, "a batch that cannot be read was passed over");
                        batch.records += 1;
                    }
                    Pulled::Gone { from, to } => {
                        warn!(stream = %setup.stream, partition, from, to, "events were deleted before they were read");
                        batch.records += 1;
                    }
                }
            }
            if batch.more {
                break;
            }
            cohort.turn = partition + 1;
            ended = if finished && batch.records == before { ended + 1 } else { 0 };
        }
        Ok(batch)
    }

    /// Updates figures, writes positions down that nothing moved along, and sees streams that have changed.
    fn look_around(&mut self, elapsed: Duration) -> Result<(), End> {
        if elapsed.saturating_sub(self.looked) < IDLE {
            return Ok(());
        }
        self.looked = elapsed;
        self.writer.refresh();
        self.tell_lag();
        let Some(stream) = self.setup.log.stream(self.setup.stream.as_str()) else {
            return Err(missing(&self.setup.stream));
        };
        let width = stream.config.partitions as usize;
        let decompressed_max = self.setup.limits.batch_decompressed_bytes;
        for cohort in &mut self.cohorts {
            if cohort.at.len() < width {
                info!(stream = %self.setup.stream, partitions = width, "a stream has got more partitions");
                cohort.at.resize(width, 0);
                cohort.rewind(&self.setup.stream, decompressed_max);
            }
        }
        if elapsed.saturating_sub(self.saved) >= SAVE_EVERY {
            self.saved = elapsed;
            let dirty: Vec<Delta> = self
                .cohorts
                .iter_mut()
                .filter(|cohort| cohort.dirty)
                .map(|cohort| {
                    cohort.dirty = false;
                    position(cohort.id, cohort.members.len(), &cohort.at)
                })
                .collect();
            if !dirty.is_empty() {
                self.note(vec![(Arc::clone(&self.space), dirty)])?;
            }
        }
        Ok(())
    }

    fn tell_lag(&self) {
        for cohort in &self.cohorts {
            let lag = cohort.cursors.iter().map(|cursor| cursor.lag(&*self.setup.log)).sum();
            for member in &cohort.members {
                member.figures.lag.store(lag, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    /// Waits for an event, a subscription, or a delivery that makes room.
    fn rest(&mut self) -> Result<(), End> {
        self.tell_lag();
        let leader = self.leader();
        let Self { setup, cohorts, reader, .. } = self;
        if let Some(cohort) = cohorts.get_mut(leader) {
            for cursor in &mut cohort.cursors {
                cursor.register(&*setup.log, &reader.wake).map_err(|error| failed(&setup.stream, &error))?;
            }
        }
        park::nap(&reader.wake, IDLE);
        Ok(())
    }

    pub(super) fn draw_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn wait<F: Future>(&self, future: F) -> Result<F::Output, End> {
        park::wait(future, self.stop).ok_or(End::Stopped)
    }

    pub(super) fn failed(&self, error: &LogError) -> End {
        failed(&self.setup.stream, error)
    }
}

/// What an event leads to, and for whom by their places in the cohort. `event.view` is the record's value here; each
/// subscription sees it in its own shape.
fn lead(cohort: &Cohort, event: &Happened<'_>, matching: &mut Matching) -> Result<Vec<(usize, Effect)>, Broken> {
    let mut all = Vec::new();
    let place = event.place;
    let taken = match contained(|| cohort.taken(event.record, place.stream, place.partition, matching)) {
        Ok(taken) => taken,
        Err(said) => {
            // Half of what it has found may be in there.
            *matching = Matching::default();
            let [member] = cohort.members.as_slice() else { return Err(Broken::Matcher) };
            let letter = member.subscription.lost_to(&said, event);
            all.push((0, letter.map_err(|problem| Broken::Member(member.subscription.id(), problem))?));
            return Ok(all);
        }
    };
    for (hits, view) in [(taken.plain_hits, &*taken.plain), (taken.typed_hits, taken.typed)] {
        for hit in hits {
            let Some(member) = cohort.members.get(*hit) else { continue };
            Figures::add(&member.figures.matched, 1);
            let led = member.subscription.led(&Happened { view, ..*event });
            let led = led.map_err(|problem| Broken::Member(member.subscription.id(), problem))?;
            all.extend(led.into_iter().map(|effect| (*hit, effect)));
        }
    }
    Ok(all)
}

fn failed(stream: &Name, error: &LogError) -> End {
    End::Failed(match error {
        LogError::Fenced(..) => Problem::new("HW-BUS-021", format!("another reader has taken over `{stream}`")),
        LogError::UnknownStream(_) => return missing(stream),
        LogError::Closed => return End::Stopped,
        error => Problem::new("HW-BUS-022", format!("the reader of `{stream}`: {error}")),
    })
}

pub(super) fn missing(stream: &Name) -> End {
    End::Failed(
        Problem::new("HW-BUS-020", format!("there is no stream `{stream}`"))
            .help("apply a Stream resource of that name, or what reads it again"),
    )
}

/// About how many bytes an effect takes in a commit.
fn weight(effect: &Effect) -> usize {
    match effect {
        Effect::Record(outgoing) => outgoing.value.as_ref().map_or(0, Bytes::len) + 64,
        Effect::Pending { value, .. } => value.len() + 64,
        Effect::Write { .. } | Effect::Dead(_) => 1_024,
        Effect::Log { .. } => 0,
    }
}
