//! Replays: an archive's events of a span of time, put on their bus again, marked with the replay's name.
//!
//! Exactly once: the records given out and how far the replay has come are one commit, so a replay goes on after a crash
//! where it was. Rules see `replay-name` in the envelope; archives leave marked events alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::{Clock, Limits, Micros, Name, Problem};
use headwater_kernel::port::bus::ReplayRequest;
use headwater_kernel::resource::Resource;
use headwater_kernel::unit::{self, Haste, bug, contained};
use headwater_log::cursor::{Cursor, Pulled};
use headwater_log::outbox::Outbox;
use headwater_log::park::{self, StopSignal};
use headwater_log::{Commit, DISK_RETRY, Delta, Log, LogError, Offset, View, append_when_room};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::{self, header};
use crate::kinds::archive::{ArchiveSpec, stream_name};

/// Holds every replay by name.
pub const SPACE: &str = "bus/replays";
/// The most replays remembered.
const REPLAYS_MAX: usize = 1_000;
/// Replays under way at once.
const RUNNING_MAX: usize = 10;
/// Events of one commit.
const BATCH_RECORDS: usize = 512;
const BATCH_BYTES: usize = 256 * 1024;

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Under way.
    Running,
    /// All events are out.
    Completed,
    /// Ended by somebody.
    Cancelled,
    /// Ended by a fault.
    Failed,
}

/// A replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Replay {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    archive: String,
    /// The stream of the bus.
    bus: Name,
    from: Micros,
    to: Micros,
    rules: Vec<String>,
    state: State,
    started: Micros,
    /// When it ended, however it did.
    ended: Option<Micros>,
    replayed_to: Option<Micros>,
    reason: Option<String>,
    events: u64,
    /// Events of the archive that were not given out: they cannot be read any more, or the bus does not take them.
    #[serde(default)]
    left_out: u64,
    next: Offset,
    /// The archive's end when the replay began.
    end: Offset,
}

/// The replays of a node.
pub struct Replays {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    running: Mutex<BTreeMap<String, StopSignal>>,
}

/// A replay's place among those under way. Dropped it is free again, however the replay has ended.
struct Place {
    replays: Arc<Replays>,
    name: String,
    stop: StopSignal,
}

impl Place {
    /// Runs the replay on a thread of its own.
    fn spawn(self, replay: Replay) -> Result<(), Problem> {
        let name = self.name.clone();
        let spawned = unit::spawn("bus-replay".to_owned(), Haste::Later, move || self.run(replay));
        spawned.map(drop).map_err(|error| Problem::new("HW-BUS-024", format!("no thread for replay `{name}`: {error}")))
    }

    fn run(self, replay: Replay) {
        let ran = contained(|| self.replays.run(replay, &self.stop)).unwrap_or_else(|said| {
            // Otherwise it would count as under way until the next start, which would meet the bug again.
            self.replays.fail(&self.name, &bug(format_args!("replay `{}`", self.name), &said))
        });
        if let Err(problem) = ran {
            tracing::warn!(replay = self.name, code = problem.code, title = problem.title, "a replay stopped");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.replays.running.lock().remove(&self.name);
    }
}

impl Replays {
    /// The replays that the log knows; those under way go on.
    pub fn open(log: Arc<dyn Log>, clock: Arc<dyn Clock>, limits: Arc<Limits>) -> Arc<Self> {
        let replays = Arc::new(Self { log, clock, limits, running: Mutex::default() });
        for replay in replays.all().into_iter().filter(|replay| replay.state == State::Running) {
            let name = replay.name.clone();
            let place = replays.place(&mut replays.running.lock(), &name);
            if let Err(problem) = place.spawn(replay) {
                tracing::warn!(replay = name, code = problem.code, title = problem.title, "a replay does not go on");
            }
        }
        replays
    }

    /// Begins a replay.
    ///
    /// # Errors
    /// `HW-BUS-040` a name that is taken, `-041` no archive, `-042` an empty span, `-043` too many.
    pub async fn begin(
        self: &Arc<Self>,
        request: ReplayRequest,
        archive: Option<Arc<Resource>>,
    ) -> Result<(), Problem> {
        let name = Name::new(&request.name)?;
        let spec = archive.and_then(|archive| serde_json::from_value::<ArchiveSpec>(archive.effective().clone()).ok());
        let Some(spec) = spec else {
            return Err(Problem::new("HW-BUS-041", format!("there is no archive `{}`", cut(&request.archive)))
                .help("`headwater get archives` lists them"));
        };
        if request.to <= request.from {
            let fact = format!("the span from {} to {} is empty", request.from, request.to);
            return Err(Problem::new("HW-BUS-042", fact).help("`to` is the first time behind the span"));
        }
        let place = self.reserve(name.as_str())?;
        let stream = stream_name(&request.archive)?;
        let ends = self.log.ends(&stream, 0).map_err(|error| failed(name.as_str(), &error))?;
        let found = self.log.find_time(&stream, 0, request.from).map_err(|error| failed(name.as_str(), &error))?;
        let replay = Replay {
            name: name.to_string(),
            description: request.description,
            archive: request.archive,
            bus: Name::new(&spec.source)?,
            from: request.from,
            to: request.to,
            rules: request.rules,
            state: State::Running,
            started: self.clock.now(),
            ended: None,
            replayed_to: None,
            reason: None,
            events: 0,
            left_out: 0,
            next: found.map_or(ends.durable, |(offset, _)| offset),
            end: ends.durable,
        };
        // The oldest that have ended make room.
        let all = self.all();
        let mut over: Vec<&Replay> = all.iter().filter(|replay| replay.state != State::Running).collect();
        over.sort_by_key(|replay| replay.started);
        let surplus = (all.len() + 1).saturating_sub(REPLAYS_MAX);
        let mut deltas = vec![delta(&replay)];
        deltas.extend(over.iter().take(surplus).map(|replay| Delta { key: key(&replay.name), value: None }));
        let mut commit = Commit { deltas: vec![(Arc::from(SPACE), deltas)], ..Commit::default() };
        let ticket = append_when_room(&*self.log, &mut commit).await.map_err(|error| failed(name.as_str(), &error))?;
        // It runs from here on, also when nobody waits any more; what it gives out stands behind this commit.
        place.spawn(replay)?;
        self.log.durable(ticket.sequence).await.map_err(|error| failed(name.as_str(), &error))
    }

    /// A place among those under way, for a replay that is there neither under way nor ended.
    ///
    /// # Errors
    /// `HW-BUS-040` a name that is taken, `-043` too many.
    fn reserve(self: &Arc<Self>, name: &str) -> Result<Place, Problem> {
        let mut running = self.running.lock();
        if running.contains_key(name) || self.log.get(SPACE, &key(name), View::Appended).is_some() {
            return Err(Problem::new("HW-BUS-040", format!("there is a replay `{name}` already"))
                .help("choose another name: it is in every event that the replay gives out"));
        }
        if running.len() >= RUNNING_MAX {
            return Err(Problem::new("HW-BUS-043", format!("{RUNNING_MAX} replays are under way, which is the limit"))
                .help("wait for one to end, or cancel it"));
        }
        Ok(self.place(&mut running, name))
    }

    fn place(self: &Arc<Self>, running: &mut BTreeMap<String, StopSignal>, name: &str) -> Place {
        let stop = StopSignal::default();
        running.insert(name.to_owned(), stop.clone());
        Place { replays: Arc::clone(self), name: name.to_owned(), stop }
    }

    /// Asks a replay to end; what is out stays out.
    ///
    /// # Errors
    /// `HW-BUS-044` when none of that name is under way.
    pub fn cancel(&self, name: &str) -> Result<(), Problem> {
        match self.running.lock().get(name) {
            Some(stop) => {
                stop.set();
                Ok(())
            }
            None => Err(Problem::new("HW-BUS-044", format!("no replay `{}` is under way", cut(name)))),
        }
    }

    /// All replays, as they are shown.
    pub fn list(&self) -> Vec<Map<String, Value>> {
        self.all().into_iter().map(shown).collect()
    }

    /// The replay of a name, as it is shown.
    pub fn find(&self, name: &str) -> Option<Map<String, Value>> {
        let value = self.log.get(SPACE, &key(name), View::Durable)?;
        serde_json::from_slice(&value).ok().map(shown)
    }

    fn all(&self) -> Vec<Replay> {
        let entries = self.log.scan(SPACE, b"", None, REPLAYS_MAX + RUNNING_MAX);
        entries.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok()).collect()
    }

    /// Gives events out until the archive's end at the beginning is reached.
    fn run(&self, mut replay: Replay, stop: &StopSignal) -> Result<(), Problem> {
        let stream = stream_name(&replay.archive)?;
        let mut cursor = Cursor::new(stream, 0, replay.next, self.limits.batch_decompressed_bytes);
        let ended = loop {
            if stop.is_set() {
                break (State::Cancelled, Some("cancelled".to_owned()));
            }
            match self.step(&mut replay, &mut cursor, stop) {
                Ok(true) => {}
                Ok(false) => break (State::Completed, left_out(&replay)),
                Err(LogError::Closed) => return Ok(()),
                Err(error) => break (State::Failed, Some(error.to_string())),
            }
        };
        self.end(replay, ended)
    }

    /// Ends a replay by a fault, with what its last commit says of it.
    fn fail(&self, name: &str, fault: &Problem) -> Result<(), Problem> {
        let row = self.log.get(SPACE, &key(name), View::Appended);
        let replay = row.and_then(|row| serde_json::from_slice::<Replay>(&row).ok());
        let Some(replay) = replay.filter(|replay| replay.state == State::Running) else { return Ok(()) };
        self.end(replay, (State::Failed, Some(format!("{}: {}", fault.code, fault.title))))
    }

    fn end(&self, mut replay: Replay, ended: (State, Option<String>)) -> Result<(), Problem> {
        (replay.state, replay.reason) = ended;
        replay.ended = Some(self.clock.now());
        let mut commit = Commit { deltas: vec![(Arc::from(SPACE), vec![delta(&replay)])], ..Commit::default() };
        self.append(&mut commit, &StopSignal::default()).map(drop).map_err(|error| failed(&replay.name, &error))
    }

    /// One commit's worth. False at the end.
    fn step(&self, replay: &mut Replay, cursor: &mut Cursor, stop: &StopSignal) -> Result<bool, LogError> {
        let mut outbox = Outbox::open(&*self.log, std::slice::from_ref(&replay.bus))?;
        let before = replay.clone();
        let mut bytes = 0;
        let mut more = true;
        while outbox.records() < BATCH_RECORDS && bytes < BATCH_BYTES {
            if cursor.next() >= replay.end {
                more = false;
                break;
            }
            match cursor.pull(&*self.log, |_| None)? {
                Pulled::Record(record) => {
                    let time = Micros::from_millis(record.timestamp);
                    if time < replay.from || time >= replay.to {
                        continue;
                    }
                    bytes += record.value.as_ref().map_or(0, Bytes::len);
                    let mut headers: event::Headers = record
                        .headers
                        .iter()
                        .filter_map(|(name, value)| {
                            let name = std::str::from_utf8(name).ok()?;
                            Some((name.to_owned(), value.clone().unwrap_or_default()))
                        })
                        .collect();
                    headers.push((header::REPLAY.to_owned(), replay.name.clone().into()));
                    if !replay.rules.is_empty() {
                        headers.push((header::REPLAY_RULES.to_owned(), replay.rules.join(",").into()));
                    }
                    let headers: Vec<(&str, &[u8])> =
                        headers.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
                    // The bus took it before; that it is too large now means that somebody made its stream smaller.
                    let put = outbox.put(0, record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
                    match put {
                        Ok(()) => {
                            replay.events += 1;
                            replay.replayed_to = Some(replay.replayed_to.map_or(time, |before| before.max(time)));
                        }
                        Err(_) => replay.left_out += 1,
                    }
                }
                Pulled::End => {
                    more = false;
                    break;
                }
                // What came to the archive since the replay began is none of it.
                Pulled::Corrupt { offset: from, last, .. } => replay.left_out += span(from, (last + 1).min(replay.end)),
                Pulled::Gone { from, to } => replay.left_out += span(from, to.min(replay.end)),
                Pulled::NotBefore(_) => {}
            }
        }
        replay.next = cursor.next();
        let deltas = vec![(Arc::from(SPACE), vec![delta(replay)])];
        if !self.append(&mut Commit { appends: outbox.take(), deltas, ..Commit::default() }, stop)? {
            // Nothing of it is out, be it the last: who asked it to stop finds it cancelled, and not complete.
            *replay = before;
            return Ok(true);
        }
        Ok(more)
    }

    /// Appends, and waits for the disk: a replay is in no hurry. False when it was asked to stop before there was room.
    fn append(&self, commit: &mut Commit, stop: &StopSignal) -> Result<bool, LogError> {
        let ticket = loop {
            match self.log.append(commit) {
                Ok(ticket) => break ticket,
                Err(LogError::Full(_)) => {
                    if park::wait(self.log.room(&commit.streams()), stop).is_none() {
                        return Ok(false);
                    }
                }
                // It passes, and is no reason to give a replay up.
                Err(LogError::Disk(_)) => {
                    if stop.is_set() {
                        return Ok(false);
                    }
                    park::pause(DISK_RETRY);
                }
                Err(error) => return Err(error),
            }
        };
        park::wait(self.log.durable(ticket.sequence), &StopSignal::default()).unwrap_or(Ok(()))?;
        Ok(true)
    }
}

/// How many offsets there are from one up to another.
fn span(from: Offset, to: Offset) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

/// What is said of a replay that has come to its end without some events.
fn left_out(replay: &Replay) -> Option<String> {
    let count = replay.left_out;
    let why = "not readable any more, or not taken by the bus";
    (count > 0).then(|| format!("{count} of the archive's events were not given out: {why}"))
}

fn shown(replay: Replay) -> Map<String, Value> {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("name", replay.name.into());
    if let Some(description) = replay.description {
        put("description", description.into());
    }
    put("archive", replay.archive.into());
    put("from", replay.from.to_string().into());
    put("to", replay.to.to_string().into());
    put("rules", replay.rules.into());
    put("state", serde_json::to_value(replay.state).unwrap_or_default());
    put("started", replay.started.to_string().into());
    put("ended", replay.ended.map_or(Value::Null, |time| time.to_string().into()));
    put("replayedTo", replay.replayed_to.map_or(Value::Null, |time| time.to_string().into()));
    put("events", replay.events.into());
    put("leftOut", replay.left_out.into());
    put("reason", replay.reason.map_or(Value::Null, Value::from));
    map
}

fn key(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

fn delta(replay: &Replay) -> Delta {
    Delta { key: key(&replay.name), value: Some(Bytes::from(serde_json::to_vec(replay).unwrap_or_default())) }
}

fn failed(name: &str, error: &LogError) -> Problem {
    Problem::new("HW-BUS-022", format!("replay `{name}`: {error}"))
}

fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}
