//! The heart of a pipeline: events in, steps, records and state changes out. The same code runs on a node's thread
//! ([`super::task`]) and over files ([`super::files`]).
//!
//! What it is NOT: it reads no stream, waits for nothing and writes nothing anywhere durable. Records go to a [`Sink`],
//! state changes and positions are taken out by [`Core::drain`] and become durable together, or not at all.
//!
//! One event: decode -> event time -> steps -> outputs. An event that must wait (an answer, its turn) is parked and
//! taken up again by [`Core::answered`], [`Core::expire`] or the event before it; until then its offset stays open. One
//! that has gone on without its answer may be kept until that comes (`owed`); its offset stays open, too.

mod ask;
mod chain;
mod emit;
mod ledger;
mod owed;
mod run;
mod stateful;
mod tally;
mod tested;

pub use ask::key_of;
pub use chain::Chain;
pub use ledger::{Deltas, WATERMARKS, position_key, watermarks};
pub use tally::Tally;

use std::sync::Arc;
use std::time::Duration;

use ahash::{HashMap, RandomState};
use bytes::Bytes;
use headwater_base::{Clock, Micros, Name, Problem};
use headwater_kernel::letter::Place;
use headwater_kernel::port::{Cause, Json, LookupError};
use headwater_log::Offset;
use headwater_wire::batch::Record;
use smallvec::SmallVec;

use crate::compile::{Plan, Step, Work};
use crate::doc::{Doc, Fault, Memory};
use crate::operators::{Emission, Observed, Watermarks};
use crate::path::Path;
use crate::program::{Env, Meta};
use crate::runtime::asking::Asking;
use crate::runtime::figures::Figures;
use crate::runtime::letters::{Reason, Retry};
use crate::runtime::outbox::Sink;
use crate::runtime::overlay::Kept;
use crate::runtime::parking::{For, Holds, Parking, Ticket};
use crate::runtime::positions::{Open, Positions};

use chain::Verdict;
use run::Run;
use tested::Tested;

/// Which input a record comes from: a place in the list of inputs that the core was built with.
pub type InputIndex = usize;

/// One input: a partition of the source stream or of the retry stream.
#[derive(Clone, Debug)]
pub struct Input {
    /// The stream's (or file's) name.
    pub stream: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// Whether it holds copies to be retried.
    pub retry: bool,
    /// How far it has been processed.
    pub positions: Positions,
    /// Where this life went on: of the offsets before, those still open waited when an earlier life ended.
    pub resumed: Offset,
    /// Its position has changed since the last commit.
    pub moved: bool,
}

/// What a core needs besides its plan.
pub struct Surroundings {
    /// State below the changes of one commit.
    pub kept: Box<dyn Kept + Send>,
    /// The lookup and score steps' way to ask, by step.
    pub asking: HashMap<usize, Arc<Asking>>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub figures: Arc<Figures>,
    /// How chains of events are begun and cut.
    pub chain: Chain,
    /// Events that may wait before no more are to be offered: all of them may go on at once.
    pub waiting_max: usize,
}

/// A pipeline at work.
pub struct Core {
    plan: Arc<Plan>,
    around: Surroundings,
    runs: Vec<Run>,
    inputs: Vec<Input>,
    env: Env,
    /// What conditions gave for the event at hand.
    tested: Tested,
    watermarks: Watermarks,
    /// The watermark that operators have seen: behind the global one while an event waits.
    held: Micros,
    parking: Parking<Flight>,
    /// Lanes matter only where an event can be overtaken.
    lanes: bool,
    owed: owed::Budget,
    hasher: RandomState,
    now: Micros,
    /// The monotonic side of `now`, by which lookups know what has expired.
    elapsed: Duration,
    emissions: Vec<Emission>,
    scratch: Vec<u8>,
    /// That of the event before, for the next one.
    memory: Memory,
    paths: Paths,
    tally: Tally,
}

/// The fields that the pipeline itself reads and writes.
struct Paths {
    id: Path,
    revision: Path,
    enrichment: Path,
}

/// An event on its way through the steps.
struct Flight {
    input: InputIndex,
    /// Where its record was read.
    offset: Offset,
    /// Where the event stood in the source: the same, unless it is retried.
    at: (u32, Offset),
    time_ms: i64,
    key: Option<Bytes>,
    /// What the records that come of it carry, when it belongs to a chain of events.
    cause: Option<Box<Cause>>,
    lane: Option<u64>,
    doc: Doc,
    time: Micros,
    step: usize,
    late: Option<Micros>,
    late_told: bool,
    /// Counts in operators: a first revision, not retried.
    first: Option<bool>,
    failed: SmallVec<[usize; 2]>,
    retry: Option<Box<Retry>>,
    kept: Vec<(usize, Bytes)>,
    /// As it was at the step that it went past without an answer, which is still to come.
    second: Option<Box<Doc>>,
    /// Bytes that it counts for among the events that are remembered for their second revisions.
    owes: usize,
}

impl Flight {
    /// Whether watermarks go by it, here and behind the outputs.
    fn counts_in_time(&self) -> bool {
        self.retry.is_none() && self.late.is_none()
    }
}

/// An event that cannot be processed, as a dead letter tells of it.
struct Rejected<'a> {
    input: InputIndex,
    at: (u32, Offset),
    key: Option<&'a [u8]>,
    data: &'a [u8],
    time_ms: i64,
    cause: Option<&'a Cause>,
}

/// How far one go at an event came.
enum Progress {
    /// It is done.
    Done,
    /// It waits.
    Waits(For),
    /// Its first revision is done, and it is kept for its second one.
    Owes,
}

impl Core {
    /// Builds a core that starts at `inputs` with the watermarks of an earlier life, if there was one.
    pub fn new(
        plan: Arc<Plan>,
        inputs: Vec<Input>,
        around: Surroundings,
        restored: Option<(Watermarks, Micros)>,
    ) -> Result<Self, Problem> {
        let runs = plan.steps.iter().map(|step| Run::of(&plan, step)).collect::<Result<_, _>>()?;
        let partitions = u32::try_from(inputs.iter().filter(|input| !input.retry).count()).unwrap_or(u32::MAX);
        let (watermarks, held) = match restored {
            Some((mut watermarks, held)) => {
                watermarks.grow(partitions);
                (watermarks, held)
            }
            None => (Watermarks::new(plan.watermark.clone(), partitions), Micros::MIN),
        };
        let lanes = !around.asking.is_empty();
        let owed = owed::Budget::of(&plan, around.waiting_max);
        let (now, elapsed) = (around.clock.now(), around.clock.elapsed());
        let tally = Tally::of(&plan);
        Ok(Self {
            plan,
            around,
            runs,
            inputs,
            env: Env::new(),
            tested: Tested::default(),
            watermarks,
            held,
            parking: Parking::default(),
            lanes,
            owed,
            hasher: RandomState::new(),
            now,
            elapsed,
            emissions: Vec::new(),
            scratch: Vec::new(),
            memory: Memory::default(),
            paths: Paths {
                id: Path::field("id"),
                revision: Path::field("revision"),
                enrichment: Path::field("enrichment"),
            },
            tally,
        })
    }

    /// The plan.
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The inputs.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Counts tickets from behind `serial`, see [`crate::runtime::asking::Inbox::first_serial`].
    pub const fn count_from(&mut self, serial: u64) {
        self.parking.count_from(serial);
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.parking.len()
    }

    /// Whether as many events wait as may.
    pub fn is_full(&self) -> bool {
        self.waiting() >= self.around.waiting_max
    }

    /// When the next waiting event gives up waiting.
    pub fn deadline(&mut self) -> Option<Duration> {
        self.parking.deadline()
    }

    /// Reads the clock for the events that follow.
    pub fn tick(&mut self) {
        self.now = self.around.clock.now();
        self.elapsed = self.around.clock.elapsed();
    }

    /// Takes a record. `again` = it waited when an earlier life ended, and has been judged then.
    pub fn offer(&mut self, input: InputIndex, record: Record, again: bool, out: &mut dyn Sink) {
        self.tally.events += 1;
        let offset = record.offset;
        let Some(source) = self.inputs.get_mut(input) else { return };
        source.moved = true;
        source.positions.pass(offset);
        let before = again.then(|| source.positions.release(offset)).map(Option::unwrap_or_default);
        let (partition, is_retry) = (source.partition, source.retry);
        let chain = self.chain(input, &record);
        let Some(value) = record.value else {
            // A deletion in a compacted stream: there is no event in it.
            Figures::add(&self.around.figures.dropped, 1);
            return;
        };
        let mut at = (partition, offset);
        let mut time_ms = record.timestamp;
        let cause = match chain {
            Verdict::Goes(cause) => cause,
            Verdict::Ends(cause, fault) => {
                Figures::add(&self.around.figures.cut, 1);
                let (key, cause) = (record.key.as_deref(), Some(&*cause));
                let event = Rejected { input, at, key, data: &value, time_ms, cause };
                return self.dead(event, None, &fault, out);
            }
            // It stays where it was read.
            Verdict::Ended => return Figures::add(&self.around.figures.cut, 1),
        };
        let (retry, value) = if is_retry {
            let Some((retry, event)) = Retry::decode(&value) else {
                let fault = Fault::new("HW-FLOW-039", "this is no copy that a pipeline wrote");
                let (key, cause) = (record.key.as_deref(), cause.as_deref());
                let event = Rejected { input, at, key, data: &value, time_ms, cause };
                return self.dead(event, None, &fault, out);
            };
            Figures::add(&self.around.figures.retries, 1);
            at = (retry.partition, retry.offset);
            time_ms = retry.time_ms;
            (Some(Box::new(retry)), event)
        } else {
            (None, value)
        };
        let doc = match Doc::new_in(value.clone(), std::mem::take(&mut self.memory)) {
            Ok(doc) => doc,
            Err(fault) => {
                let (key, cause) = (record.key.as_deref(), cause.as_deref());
                let event = Rejected { input, at, key, data: &value, time_ms, cause };
                return self.dead(event, None, &fault, out);
            }
        };
        let mut flight = Flight {
            input,
            offset,
            at,
            time_ms,
            key: record.key,
            cause,
            lane: None,
            doc,
            time: Micros::from_millis(time_ms),
            step: 0,
            late: None,
            late_told: false,
            first: None,
            failed: SmallVec::new(),
            retry,
            kept: Vec::new(),
            second: None,
            owes: 0,
        };
        let judged = before.map(|open| match open {
            Open::Waits(late) => late,
            Open::Owed => {
                flight.retry = Some(Box::new(owed::revision(&flight)));
                None
            }
        });
        if let Err(fault) = self.judge(&mut flight, judged) {
            return self.dead_flight(&flight, None, &fault, out);
        }
        if self.lanes && flight.retry.is_none() {
            flight.lane = self.lane(&flight);
        }
        self.go(flight, None, out);
    }

    /// Takes raw input that its source could not turn into a record.
    pub fn refuse(&mut self, input: InputIndex, offset: Offset, fault: &Fault, data: &[u8], out: &mut dyn Sink) {
        self.tally.events += 1;
        let Some(source) = self.inputs.get_mut(input) else { return };
        source.moved = true;
        source.positions.pass(offset);
        let at = (source.partition, offset);
        let event = Rejected { input, at, key: None, data, time_ms: self.now.millis(), cause: None };
        self.dead(event, None, fault, out);
    }

    /// Nothing is to be had of the offsets `from..to`: what waited there counts as what was not read; what was owed its
    /// second revision is told of.
    pub fn pass_over(&mut self, input: InputIndex, from: Offset, to: Offset, out: &mut dyn Sink) {
        let Some(source) = self.inputs.get_mut(input) else { return };
        source.moved = true;
        source.positions.pass(to - 1);
        let gone: Vec<(Offset, Open)> =
            source.positions.open().range(from..to).map(|(offset, open)| (*offset, *open)).collect();
        for (offset, _) in &gone {
            source.positions.release(*offset);
        }
        let partition = source.partition;
        for (offset, _) in gone.into_iter().filter(|(_, open)| *open == Open::Owed) {
            self.unpaid(input, (partition, offset), out);
        }
    }

    /// The answer to a parked event's lookup has come.
    pub fn answered(
        &mut self,
        ticket: Ticket,
        step: usize,
        answer: Result<Option<Json>, LookupError>,
        out: &mut dyn Sink,
    ) {
        let Some(mut flight) = self.parking.take(ticket, For::Answer(step)) else { return self.missed(ticket) };
        let plan = Arc::clone(&self.plan);
        if let Some(Step { work: Work::Lookup(lookup), .. }) = plan.steps.get(step) {
            ask::take_answer(&mut flight, step, &lookup.into, answer);
        }
        self.go_on(flight, ticket, out);
    }

    /// Lets go on, marked as failed, whatever has waited too long. Lookups go by this time, too, until the next tick.
    pub fn expire(&mut self, elapsed: Duration, out: &mut dyn Sink) {
        self.elapsed = elapsed;
        while let Some((ticket, step)) = self.parking.expired(elapsed) {
            let Some(mut flight) = self.parking.take(ticket, For::Answer(step)) else { continue };
            self.remember(&mut flight);
            flight.failed.push(step);
            self.go_on(flight, ticket, out);
        }
    }

    /// Takes an event on behind the step whose answer it waited for.
    fn go_on(&mut self, mut flight: Flight, ticket: Ticket, out: &mut dyn Sink) {
        self.passed(&flight);
        flight.step += 1;
        self.go(flight, Some(ticket), out);
    }

    /// Counts an event that goes on from its step.
    fn passed(&mut self, flight: &Flight) {
        let failed = flight.failed.last() == Some(&flight.step);
        self.tally.at(flight.step, |tally| {
            tally.passed += 1;
            tally.failed += u64::from(failed);
        });
    }

    /// Event time, and what it says about the event; `judged` = what it said in an earlier life.
    fn judge(&mut self, flight: &mut Flight, judged: Option<Option<Micros>>) -> Result<(), Fault> {
        if let Some(path) = &self.plan.time {
            let Some(time) = flight.doc.time(path) else {
                return Err(Fault::new("HW-FLOW-031", format!("there is no time at `{path}`")));
            };
            flight.time = time;
        }
        let of_source = self.inputs.get(flight.input).filter(|input| !input.retry);
        let Some(source) = of_source else { return Ok(()) };
        if let Some(late) = judged {
            flight.late = late;
            return Ok(());
        }
        match self.watermarks.observe(source.partition, flight.time, self.now) {
            Observed::OnTime => {}
            Observed::Late { bound } => flight.late = Some(bound),
            Observed::Implausible { bound } => {
                return Err(Fault::new(
                    "HW-FLOW-032",
                    format!("the event time {} is after {bound}, which is implausible", flight.time),
                ));
            }
        }
        Ok(())
    }

    fn lane(&self, flight: &Flight) -> Option<u64> {
        match &self.plan.key {
            Some(path) => flight.doc.key(path).map(|key| self.hasher.hash_one(&key)),
            None => flight.key.as_ref().map(|key| self.hasher.hash_one(key)),
        }
    }

    /// Takes an event as far as it comes, then those that waited for it.
    fn go(&mut self, flight: Flight, ticket: Option<Ticket>, out: &mut dyn Sink) {
        let mut next = SmallVec::<[(Flight, Option<Ticket>); 2]>::from_iter([(flight, ticket)]);
        while let Some((mut flight, ticket)) = next.pop() {
            let free = match self.steps(&mut flight, ticket, out) {
                Progress::Done => {
                    self.owed.done(&flight);
                    self.memory = flight.doc.into_memory();
                    let Some(ticket) = ticket else { continue };
                    if let Some(input) = self.inputs.get_mut(flight.input) {
                        input.positions.release(flight.offset);
                        input.moved = true;
                    }
                    self.parking.leave(ticket)
                }
                Progress::Owes => self.keep(flight, ticket),
                Progress::Waits(what) => {
                    let ticket = ticket.unwrap_or_else(|| self.park(&flight));
                    let step = flight.step;
                    self.parking.put(ticket, flight, what);
                    if what == For::Answer(step) {
                        self.ask_later(ticket, step);
                    }
                    continue;
                }
            };
            for ticket in [free.oldest, free.follower].into_iter().flatten() {
                next.extend(self.parking.take(ticket, For::Turn).map(|flight| (flight, Some(ticket))));
            }
        }
    }

    fn park(&mut self, flight: &Flight) -> Ticket {
        if let Some(input) = self.inputs.get_mut(flight.input) {
            let open = if owed::is_owed(flight) { Open::Owed } else { Open::Waits(flight.late) };
            input.positions.hold(flight.offset, open);
        }
        let holds = flight.counts_in_time().then(|| self.holds(flight.time));
        self.parking.enter(flight.lane, holds)
    }

    /// What an event of that time holds back while it waits. One that was behind the watermark when it came may fall
    /// behind by as much again as events may be out of order, but not become late.
    fn holds(&self, time: Micros) -> Holds {
        let (watermark, config) = (self.watermarks.watermark(), &self.plan.watermark);
        let in_order = time >= watermark;
        let until = if in_order { time } else { watermark.plus(config.disorder).min(time.plus(config.lateness)) };
        Holds { watermark, until }
    }

    /// Runs the steps from where the event stands, and the outputs behind the last one.
    fn steps(&mut self, flight: &mut Flight, ticket: Option<Ticket>, out: &mut dyn Sink) -> Progress {
        let plan = Arc::clone(&self.plan);
        self.set_env(flight);
        self.tested.forget();
        let mut since = self.tally.measures().then(|| self.around.clock.elapsed());
        while let Some(step) = plan.steps.get(flight.step) {
            let outcome = match &step.work {
                Work::Filter(condition) => {
                    condition.test(&flight.doc, &mut self.env).map(|keep| if keep { Next::Go } else { Next::Drop })
                }
                Work::Transform(program) => {
                    self.tested.forget();
                    program.run(&mut flight.doc, &mut self.env).map(|()| Next::Go)
                }
                Work::Lookup(lookup) => {
                    self.tested.forget();
                    self.look(flight, &lookup.ask, &lookup.into)
                }
                Work::Aggregate(_) | Work::Keyed(_) | Work::Dedupe(_) if !self.is_turn(flight, ticket) => {
                    return Progress::Waits(For::Turn);
                }
                Work::Aggregate(work) => self.aggregate(flight, work, out),
                Work::Keyed(work) => self.keyed(flight, work, out),
                Work::Dedupe(work) => self.dedupe(flight, work),
            };
            if let Some(since) = &mut since {
                let now = self.around.clock.elapsed();
                self.tally.sampled(flight.step, now.saturating_sub(*since));
                *since = now;
            }
            self.tally.at(flight.step, |tally| tally.events += 1);
            match outcome {
                Ok(Next::Go) => {
                    self.passed(flight);
                    flight.step += 1;
                }
                Ok(Next::Wait) => return Progress::Waits(For::Answer(flight.step)),
                Ok(Next::Drop) => {
                    Figures::add(&self.around.figures.dropped, 1);
                    self.tally.at(flight.step, |tally| tally.dropped += 1);
                    return Progress::Done;
                }
                Err(fault) => {
                    self.tally.at(flight.step, |tally| tally.dead += 1);
                    self.dead_flight(flight, Some(&step.id), &fault, out);
                    return Progress::Done;
                }
            }
        }
        if !self.is_turn(flight, ticket) {
            return Progress::Waits(For::Turn);
        }
        if self.emit(&plan, flight, out) {
            if ticket.is_some() && owed::is_kept(flight) {
                return Progress::Owes;
            }
            self.copy(flight, 1, out);
        }
        Progress::Done
    }

    fn is_turn(&self, flight: &Flight, ticket: Option<Ticket>) -> bool {
        let in_lane = match ticket {
            Some(ticket) => self.parking.is_first(ticket),
            None => self.parking.is_clear(flight.lane),
        };
        let reached = flight.time.minus(self.plan.watermark.disorder);
        in_lane && (!flight.counts_in_time() || self.parking.may_pass(ticket, reached))
    }

    fn set_env(&mut self, flight: &Flight) {
        let stream = match (&self.plan.input, self.inputs.get(flight.input)) {
            (Some((stream, _)), _) => stream.as_str(),
            (None, Some(input)) => &input.stream,
            (None, None) => "",
        };
        self.env.set(&Meta {
            stream,
            partition: flight.at.0,
            offset: flight.at.1,
            ingested: Micros::from_millis(flight.time_ms),
            time: Some(flight.time),
            now: self.now,
        });
    }

    fn place(&self, input: InputIndex, at: (u32, Offset)) -> (Arc<str>, u32, Offset) {
        let stream = match (&self.plan.input, self.inputs.get(input)) {
            (_, Some(input)) if !input.retry => Arc::clone(&input.stream),
            (Some((stream, _)), _) => Arc::from(stream.as_str()),
            _ => Arc::from(""),
        };
        (stream, at.0, at.1)
    }
}

/// What follows a step.
enum Next {
    Go,
    Drop,
    Wait,
}

fn reason<'a>(fault: &'a Fault, step: Option<&'a Name>) -> Reason<'a> {
    Reason { code: fault.code, words: &fault.reason, step }
}

fn letter_place(place: &(Arc<str>, u32, Offset)) -> Place<'_> {
    Place { stream: &place.0, partition: place.1, offset: place.2 }
}
