//! A forecast's life on a node: one thread that reads its stream, carries the records through [`Cohorts`] and appends
//! one commit for what came of them: verdicts, forecasts, dead letters, the series that changed and how far it read.
//!
//! Exactly once: that commit names the epoch of its owner and stands behind its input in the same log, so a crash leaves
//! all of it or nothing, and a second owner shuts out the first. A life begins with what the last commit says. Since a
//! forecast and the series it was made from are one commit, what a value is held against is what stands in the log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Clock, Limits, Name, Problem};
use headwater_kernel::letter;
use headwater_log::cursor::{self, Cursor, Pulled};
use headwater_log::outbox::Outbox;
use headwater_log::park::{self, StopSignal};
use headwater_log::{Commit, Delta, Log, LogError, Offset, View, append_durable};
use headwater_wire::batch::Record;
use tokio::sync::Notify;
use tracing::warn;

use crate::cohorts::{Cohorts, Progress, Taken};
use crate::figures::Figures;
use crate::follow::Coming;
use crate::kinds::forecast;
use crate::reader::Reader;
use crate::shape::Shape;
use crate::state::{self, Restored};

/// Records taken from one partition before the next one has its turn, and a commit is due.
const TURN_RECORDS: usize = 1_024;

/// The key of what the state was written for.
const WRITTEN: &[u8] = b"written";

/// Places of the streams in the outbox.
const FORECASTS: usize = 0;
const VERDICTS: usize = 1;
const DEAD: usize = 2;

/// What a life is made of.
pub struct Setup {
    /// The forecast.
    pub name: Name,
    /// Its stream.
    pub stream: Name,
    /// Where it writes: forecasts, verdicts, dead letters.
    pub outputs: [Name; 3],
    /// How it forecasts.
    pub shape: Arc<Shape>,
    /// Holidays that come while it runs.
    pub coming: Arc<Coming>,
    /// What it reads of a record.
    pub reader: Reader,
    /// The most cohorts.
    pub cohorts: usize,
    /// How far an interval may end ahead of the clock.
    pub ahead: Duration,
    /// Grows when the user asks for empty state.
    pub epoch: u64,
    /// The log.
    pub log: Arc<dyn Log>,
    /// The clock: for what is implausible, and for when a letter was written; nothing is forecast or judged by it.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// Counters.
    pub figures: Arc<Figures>,
    /// Wakes the thread.
    pub wake: Arc<Notify>,
    /// Asks it to stop.
    pub stop: StopSignal,
}

/// Why a life ended.
enum End {
    Stopped,
    Failed(Problem),
}

/// Runs a forecast until it is asked to stop. Call it on a thread of its own.
///
/// # Errors
/// `HW-WATCH-020` for a stream that is missing or another one, 021 for state that cannot be read, 022 for the log.
pub fn run(setup: &Setup) -> Result<(), Problem> {
    let lived = Life::begin(setup).and_then(|mut life| {
        loop {
            life.round()?;
        }
    });
    match lived {
        Ok(()) | Err(End::Stopped) => Ok(()),
        Err(End::Failed(problem)) => Err(problem),
    }
}

struct Life<'a> {
    setup: &'a Setup,
    space: Arc<str>,
    fence: (Name, u64),
    stream_id: u128,
    cohorts: Cohorts,
    cursors: Vec<Cursor>,
    outbox: Outbox,
}

/// What is kept of whom the state belongs to.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Written {
    epoch: u64,
    stream: String,
}

impl<'a> Life<'a> {
    /// Shuts out earlier owners and takes up what the last commit says.
    fn begin(setup: &'a Setup) -> Result<Self, End> {
        let log = &setup.log;
        let owner = Name::new(&format!("{}.{}", forecast::UNIT, setup.name)).map_err(End::Failed)?;
        let fenced = wait(setup, log.fence(&owner))?.map_err(|error| failed(setup, &error))?;
        let Some(stream) = log.stream(setup.stream.as_str()) else { return Err(End::Failed(missing(&setup.stream))) };
        let space = forecast::space(setup.name.as_str());
        let mut cohorts = Cohorts::new(Arc::clone(&setup.shape), setup.reader.clone(), setup.cohorts);
        let written = Written { epoch: setup.epoch, stream: format!("{:032x}", stream.id) };
        let before: Option<Written> =
            log.get(&space, WRITTEN, View::Appended).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match before {
            Some(before) if before.epoch < setup.epoch => {
                wait(setup, log.drop_space(&space))?.map_err(|error| failed(setup, &error))?;
            }
            Some(before) if before != written => return Err(End::Failed(missing(&setup.stream))),
            _ => restore(setup, &space, &mut cohorts)?,
        }
        let mut life = Self {
            setup,
            space: Arc::from(space),
            fence: (owner, fenced),
            stream_id: stream.id,
            cohorts,
            cursors: Vec::new(),
            outbox: Outbox::open(&**log, &setup.outputs).map_err(|error| failed(setup, &error))?,
        };
        let value = Bytes::from(serde_json::to_vec(&written).unwrap_or_default());
        life.append(vec![Delta { key: Bytes::from_static(WRITTEN), value: Some(value) }])?;
        Ok(life)
    }

    /// Takes what there is, or rests.
    fn round(&mut self) -> Result<(), End> {
        self.widen()?;
        if let Some(holidays) = self.setup.coming.take() {
            self.cohorts.know(holidays);
        }
        let mut ended = true;
        for partition in 0..self.cursors.len() {
            ended &= self.turn(partition)?;
        }
        self.commit()?;
        self.tell();
        if self.setup.stop.is_set() {
            return Err(End::Stopped);
        }
        if ended {
            self.rest()?;
        }
        Ok(())
    }

    /// Takes records of one partition; whether none are left.
    fn turn(&mut self, partition: usize) -> Result<bool, End> {
        let number = u32::try_from(partition).unwrap_or(u32::MAX);
        for _ in 0..TURN_RECORDS {
            let Some(cursor) = self.cursors.get_mut(partition) else { return Ok(true) };
            match cursor.pull(&*self.setup.log, |_| None).map_err(|error| failed(self.setup, &error))? {
                Pulled::Record(record) => {
                    self.take(&record, number)?;
                    self.cohorts.pass(number, record.offset + 1);
                }
                Pulled::End | Pulled::NotBefore(_) => return Ok(true),
                Pulled::Corrupt { offset, last, fault, bytes } => {
                    self.letter(number, offset, &format!("the batch cannot be read: {fault}"), &bytes)?;
                    self.cohorts.pass(number, last + 1);
                }
                Pulled::Gone { from, to } => {
                    Figures::add(&self.setup.figures.gone, usize::try_from(to - from).unwrap_or(0));
                    warn!(forecast = %self.setup.name, partition, from, to, "events were deleted before they were read");
                    self.cohorts.pass(number, to);
                }
            }
            if self.cohorts.is_full() {
                self.commit()?;
            }
        }
        Ok(false)
    }

    /// Takes one record, in as many commits as it needs: until the last of them its offset is not passed.
    fn take(&mut self, record: &Record, partition: u32) -> Result<(), End> {
        // A record without a value takes a key back; a forecast that was made stays made.
        let Some(value) = &record.value else { return Ok(()) };
        let until = self.setup.clock.now().plus(self.setup.ahead);
        loop {
            match self.cohorts.take(partition, value, until) {
                Ok(Taken::More) => {
                    self.gather(record.timestamp)?;
                    self.commit()?;
                }
                Ok(taken) => {
                    let figures = &self.setup.figures;
                    Figures::add(&figures.events, 1);
                    Figures::add(&figures.late, usize::from(taken == Taken::Late));
                    return self.gather(record.timestamp);
                }
                Err(refused) => return self.letter(partition, record.offset, &refused.0, value),
            }
        }
    }

    fn letter(&mut self, partition: u32, offset: Offset, reason: &str, data: &[u8]) -> Result<(), End> {
        let place = letter::Place { stream: self.setup.stream.as_str(), partition, offset };
        let owner = letter::Owner { kind: forecast::UNIT, name: self.setup.name.as_str(), code: "HW-WATCH-010" };
        let now = self.setup.clock.now();
        let letter = letter::encode(owner, place, reason, now, data);
        Figures::add(&self.setup.figures.letters, 1);
        self.put(DEAD, now.millis(), None, &letter)
    }

    fn put(&mut self, stream: usize, time_ms: i64, key: Option<&[u8]>, value: &[u8]) -> Result<(), End> {
        self.outbox.put(stream, time_ms, key, Some(value), &[]).map_err(|_| {
            let name = self.setup.outputs.get(stream).map_or("", |name| name.as_str());
            let fact = format!("a record of {} bytes is refused by `{name}`", value.len());
            End::Failed(Problem::new("HW-WATCH-022", fact).help("raise `maxBatch` of that stream"))
        })
    }

    /// Puts what is to be told into the commit in the making, with the time of the record that it follows from.
    fn gather(&mut self, time_ms: i64) -> Result<(), End> {
        let figures = &self.setup.figures;
        for told in self.cohorts.told() {
            let stream = if told.is_verdict { VERDICTS } else { FORECASTS };
            Figures::add(if told.is_verdict { &figures.verdicts } else { &figures.forecasts }, 1);
            Figures::add(&figures.anomalies, usize::from(told.is_alarm));
            self.put(stream, time_ms, Some(told.cohort.as_bytes()), told.text.as_bytes())?;
        }
        Ok(())
    }

    /// Commits what has gathered, if anything has.
    fn commit(&mut self) -> Result<(), End> {
        let changed = self.cohorts.drain();
        if changed.is_empty() && self.outbox.records() == 0 {
            return Ok(());
        }
        let deltas = state::encode(&self.cohorts, &changed);
        self.append(deltas)
    }

    /// Commits these deltas with what is in the outbox, and waits until that is durable.
    fn append(&mut self, deltas: Vec<Delta>) -> Result<(), End> {
        let log = &self.setup.log;
        let mut commit = Commit {
            appends: self.outbox.take(),
            deltas: vec![(Arc::clone(&self.space), deltas)],
            fence: Some(self.fence.clone()),
            ..Commit::default()
        };
        wait(self.setup, append_durable(&**log, &mut commit))?.map(drop).map_err(|error| failed(self.setup, &error))
    }

    /// Takes up partitions that the stream has got.
    fn widen(&mut self) -> Result<(), End> {
        let name = &self.setup.stream;
        let stream = self.setup.log.stream(name.as_str()).filter(|stream| stream.id == self.stream_id);
        let Some(stream) = stream else { return Err(End::Failed(missing(name))) };
        for partition in u32::try_from(self.cursors.len()).unwrap_or(u32::MAX)..stream.config.partitions {
            let Progress { next, .. } = self.cohorts.progress(partition);
            self.cursors.push(Cursor::new(name.clone(), partition, next, self.setup.limits.batch_decompressed_bytes));
        }
        Ok(())
    }

    fn tell(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        let lag = self.cursors.iter().map(|cursor| cursor.lag(&*self.setup.log)).sum();
        self.setup.figures.lag.store(lag, Relaxed);
        self.setup.figures.cohorts.store(self.cohorts.len() as u64, Relaxed);
    }

    /// Waits for records.
    fn rest(&mut self) -> Result<(), End> {
        let setup = self.setup;
        cursor::rest(&mut self.cursors, &*setup.log, &setup.wake).map_err(|error| failed(setup, &error))
    }
}

/// Reads what the last life committed.
fn restore(setup: &Setup, space: &str, cohorts: &mut Cohorts) -> Result<(), End> {
    let unreadable = |_| {
        let fact = format!("the state of the forecast `{}` cannot be read", setup.name);
        let problem = Problem::new("HW-WATCH-021", fact);
        End::Failed(problem.help("`headwater apply --reset-state` begins anew with what its stream still has"))
    };
    let mut restored = Restored::default();
    let mut read = Ok(());
    setup.log.for_each(space, &mut |key, value| {
        if read.is_ok() && key != WRITTEN {
            read = restored.take(key, value);
        }
    });
    read.and_then(|()| restored.give(&setup.shape, cohorts)).map_err(unreadable)
}

fn wait<F: Future>(setup: &Setup, future: F) -> Result<F::Output, End> {
    park::wait(future, &setup.stop).ok_or(End::Stopped)
}

fn failed(setup: &Setup, error: &LogError) -> End {
    let name = &setup.name;
    End::Failed(match error {
        LogError::UnknownStream(_) => missing(&setup.stream),
        LogError::Closed => return End::Stopped,
        LogError::Fenced(..) => {
            Problem::new("HW-WATCH-022", format!("another owner has taken over the forecast `{name}`"))
        }
        error => Problem::new("HW-WATCH-022", format!("the forecast `{name}`: {error}")),
    })
}

fn missing(name: &Name) -> Problem {
    Problem::new("HW-WATCH-020", format!("the stream `{name}` is not there, or is not the one that was forecast"))
        .help("offsets of another stream say nothing of it: `headwater apply --reset-state` begins anew, or make a forecast of another name")
}

#[cfg(test)]
mod tests;
