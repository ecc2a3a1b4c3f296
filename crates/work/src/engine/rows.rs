//! What the engine keeps in the log's spaces, row by row: keys and encodings.
//!
//! Each shard has a space. A key is the execution's key (a hash of its id), a tag, and what the tag needs; a prefix is
//! never searched for on a hot path, because a space is a hash table: the head names the rows there are.

use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::tables::Written;
use headwater_kernel::port::workflows::ExecutionState;
use headwater_kernel::port::{Cause, Document};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition::Resource;
use crate::definition::resource::{Pattern, Service};
use crate::execution::record::codec::{Fetch, Large, Reader, Writer};
use crate::execution::{Attempt, StartTask, ThreadId, Timer};
use crate::hash;
use crate::tasks::Call;

/// Shards of a node; a row's shard follows from its key, so the number can never change.
pub(super) const SHARDS: usize = 4;

/// The space of definitions, by hash.
pub(super) const DEFINITIONS: &str = "work/definitions";
/// The space of published versions: `workflow`, a zero byte, the version as eight bytes.
pub(super) const VERSIONS: &str = "work/versions";

/// An execution's key: the beginning of a hash of its id.
pub(super) type Key = [u8; 16];

/// What a row is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    /// [`Head`].
    Head = b'h',
    /// The evaluator's header.
    Header = b'e',
    /// Where a thread stands.
    Thread = b't',
    /// What a thread holds.
    Data = b'd',
    /// A task under way: [`Task`].
    Task = b'o',
    /// When a timer is due.
    Timer = b'w',
    /// Something for another execution: [`super::message::Message`].
    Message = b'm',
    /// A Map Run under way: [`super::map_run::Record`].
    MapRun = b'r',
    /// How far a Map Run is.
    Progress = b'p',
    /// Bounds of a Map Run that were changed while it ran.
    Bounds = b'l',
    /// The hash of a blob that the execution points to.
    Blob = b'b',
}

impl Tag {
    const ALL: [Self; 11] = [
        Self::Head,
        Self::Header,
        Self::Thread,
        Self::Data,
        Self::Task,
        Self::Timer,
        Self::Message,
        Self::MapRun,
        Self::Progress,
        Self::Bounds,
        Self::Blob,
    ];

    /// The tag of that byte.
    pub(super) fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| *tag as u8 == byte)
    }
}

/// The key of an execution.
pub(super) fn key_of(workflow: &str, name: &str) -> Key {
    let digest = hash::sha256(format!("{workflow}/{name}").as_bytes());
    digest.first_chunk().copied().unwrap_or_default()
}

/// The shard of an execution.
pub(super) fn shard_of(key: &Key) -> usize {
    usize::from(key[0]) % SHARDS
}

/// The space of a shard.
pub(super) fn space_of(shard: usize) -> String {
    format!("work/{shard}")
}

/// The key of a row.
pub(super) fn row(key: &Key, tag: Tag, rest: &[u8]) -> Bytes {
    let mut row = Vec::with_capacity(17 + rest.len());
    row.extend_from_slice(key);
    row.push(tag as u8);
    row.extend_from_slice(rest);
    Bytes::from(row)
}

/// The rows that are left of an ended execution, its alarm's apart, as far as they are `there`: a head that says more than
/// there is names no rows without end.
pub(super) fn left(key: &Key, head: Option<&Head>, there: impl Fn(&Bytes) -> bool) -> Vec<Bytes> {
    let mut left = vec![row(key, Tag::Head, &[]), row(key, Tag::Header, &[])];
    let Some(head) = head else { return left };
    for attempt in &head.maps {
        let rest = attempt_bytes(attempt);
        left.extend([Tag::Progress, Tag::MapRun, Tag::Bounds].map(|tag| row(key, tag, &rest)));
    }
    for id in head.threads.iter().flat_map(|(first, end)| *first..*end).map(ThreadId::to_be_bytes) {
        let thread = row(key, Tag::Thread, &id);
        if !there(&thread) {
            break;
        }
        left.extend([thread, row(key, Tag::Data, &id)]);
    }
    left.extend(super::payloads::pointers(key, head).take_while(there));
    left
}

/// A row's key taken apart.
pub(super) fn split(row: &[u8]) -> Option<(Key, u8, &[u8])> {
    let (key, rest) = row.split_first_chunk::<16>()?;
    let (tag, rest) = rest.split_first()?;
    Some((*key, *tag, rest))
}

/// An attempt as a part of a key.
pub(super) fn attempt_bytes(attempt: &Attempt) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&attempt.thread.to_be_bytes());
    bytes[4..12].copy_from_slice(&attempt.visit.to_be_bytes());
    bytes[12..].copy_from_slice(&attempt.number.to_be_bytes());
    bytes
}

/// The attempt that a part of a key names.
pub(super) fn attempt_of(bytes: &[u8]) -> Option<Attempt> {
    let (thread, rest) = bytes.split_first_chunk()?;
    let (visit, rest) = rest.split_first_chunk()?;
    let number = rest.first_chunk()?;
    Some(Attempt {
        thread: u32::from_be_bytes(*thread),
        visit: u64::from_be_bytes(*visit),
        number: u32::from_be_bytes(*number),
    })
}

/// What a timer of the engine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Alarm {
    /// The language's.
    Of(Timer),
    /// The step before stopped at its bound.
    Continue,
    /// What is kept of an ended execution goes.
    Expire,
}

/// An alarm as a part of a key.
pub(super) type AlarmKey = [u8; 17];

impl Alarm {
    /// As a part of a key.
    pub(super) fn bytes(&self) -> AlarmKey {
        let (tag, attempt) = match self {
            Self::Of(Timer::Wait(attempt)) => (0, Some(attempt)),
            Self::Of(Timer::Retry(attempt)) => (1, Some(attempt)),
            Self::Of(Timer::Timeout(attempt)) => (2, Some(attempt)),
            Self::Of(Timer::Heartbeat(attempt)) => (3, Some(attempt)),
            Self::Of(Timer::Execution) => (4, None),
            Self::Continue => (5, None),
            Self::Expire => (6, None),
        };
        let mut bytes = [0; 17];
        bytes[0] = tag;
        if let Some(attempt) = attempt {
            bytes[1..].copy_from_slice(&attempt_bytes(attempt));
        }
        bytes
    }

    /// The alarm that a part of a key names.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let attempt = attempt_of(rest)?;
        let alarm = match tag {
            0 => Self::Of(Timer::Wait(attempt)),
            1 => Self::Of(Timer::Retry(attempt)),
            2 => Self::Of(Timer::Timeout(attempt)),
            3 => Self::Of(Timer::Heartbeat(attempt)),
            4 => Self::Of(Timer::Execution),
            5 => Self::Continue,
            6 => Self::Expire,
            _ => return None,
        };
        // An alarm has one key, by which its row goes.
        (alarm.bytes() == bytes).then_some(alarm)
    }
}

/// What becomes of an external task that was under way when the node crashed: nobody knows whether it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// It is done again, with the same idempotency key.
    #[default]
    Retry,
    /// It waits until a person ends it by its token, which is in an event `Task Outcome Unknown` on the default bus.
    Ask,
    /// It fails with `States.TaskUnknown`, which retriers and catchers see.
    Fail,
}

/// The task of another execution that waits for this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) key: Key,
    pub(super) attempt: Attempt,
}

/// What is known of an execution without its evaluator's state; all that is kept of an ended one besides its history.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) workflow: String,
    pub(super) name: String,
    pub(super) version: Option<u64>,
    pub(super) definition: [u8; 32],
    /// The machine it runs: 0, or an item processor.
    pub(super) machine: u32,
    pub(super) express: bool,
    pub(super) state: ExecutionState,
    pub(super) started: Micros,
    pub(super) stopped: Option<Micros>,
    /// Hash of the input: the same name with the same input is the same execution.
    pub(super) input: [u8; 16],
    /// Where its first and its newest piece of history are.
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) events: u64,
    /// The threads there are, as ranges: first and one past the last.
    pub(super) threads: Vec<(ThreadId, ThreadId)>,
    pub(super) parent: Option<Parent>,
    pub(super) map_run: Option<String>,
    /// Its own Map Runs, of which the figures stay.
    pub(super) maps: Vec<Attempt>,
    /// What becomes of a task of which nobody knows whether it was done.
    pub(super) unknown: Unknown,
    /// How long it is kept after its end.
    pub(super) retention_s: u64,
    pub(super) redrives: u32,
    pub(super) redriven: Option<Micros>,
    /// The tokens that it was last taken up again with, and when; the newest is the last.
    pub(super) redrive_tokens: Vec<(String, Micros)>,
    pub(super) cause: Option<Cause>,
    /// Why it does not go on although it has not ended.
    pub(super) parked: Option<String>,
    /// How many rows point to blobs.
    pub(super) blobs: u32,
    /// The alias that drew its version.
    pub(super) alias: Option<String>,
}

/// Tokens of redrives that are remembered, and how long each counts: as in Step Functions.
const REDRIVE_TOKENS_MAX: usize = 10;
const REDRIVE_TOKEN_US: i64 = 15 * 60 * 1_000_000;

/// The states by their numbers in a row, which never change.
const STATES: [ExecutionState; 6] = [
    ExecutionState::Running,
    ExecutionState::Succeeded,
    ExecutionState::Failed,
    ExecutionState::TimedOut,
    ExecutionState::Aborted,
    ExecutionState::PendingRedrive,
];

impl Head {
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.workflow, self.name)
    }

    /// When it was taken up again with this token, where that counts still.
    pub(super) fn redriven_with(&self, token: &str, now: Micros) -> Option<Micros> {
        let known = self.redrive_tokens.iter().find(|(known, _)| known == token);
        known.map(|(_, at)| *at).filter(|at| now.0.saturating_sub(at.0) < REDRIVE_TOKEN_US)
    }

    /// Remembers with which token it is taken up again.
    pub(super) fn note_redrive(&mut self, token: String, now: Micros) {
        self.redrive_tokens.retain(|(known, _)| *known != token);
        self.redrive_tokens.push((token, now));
        let surplus = self.redrive_tokens.len().saturating_sub(REDRIVE_TOKENS_MAX);
        self.redrive_tokens.drain(..surplus);
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.byte(4);
        writer.text(&self.workflow);
        writer.text(&self.name);
        writer.option(self.version.as_ref(), |writer, version| writer.number(*version));
        writer.raw(&self.definition);
        writer.number(u64::from(self.machine));
        writer.byte(u8::from(self.express));
        let state = STATES.iter().position(|state| *state == self.state).unwrap_or(0);
        writer.number(state as u64);
        writer.time(self.started);
        writer.option(self.stopped.as_ref(), |writer, at| writer.time(*at));
        writer.raw(&self.input);
        for offset in [self.first, self.last] {
            writer.time(Micros(offset));
        }
        writer.number(self.events);
        writer.list(&self.threads, |writer, (first, end)| {
            writer.number(u64::from(*first));
            writer.number(u64::from(*end));
        });
        writer.option(self.parent.as_ref(), |writer, parent| {
            writer.raw(&parent.key);
            writer.raw(&attempt_bytes(&parent.attempt));
        });
        writer.option(self.map_run.as_ref(), |writer, run| writer.text(run));
        writer.list(&self.maps, |writer, attempt| writer.raw(&attempt_bytes(attempt)));
        writer.number(self.unknown as u64);
        writer.number(self.retention_s);
        writer.number(u64::from(self.redrives));
        writer.option(self.redriven.as_ref(), |writer, at| writer.time(*at));
        writer.option(self.cause.as_ref(), cause);
        writer.option(self.parked.as_ref(), |writer, reason| writer.text(reason));
        writer.number(u64::from(self.blobs));
        writer.option(self.alias.as_ref(), |writer, alias| writer.text(alias));
        writer.list(&self.redrive_tokens, |writer, (token, at)| {
            writer.text(token);
            writer.time(*at);
        });
        Bytes::from(writer.bytes)
    }

    /// Reads a head.
    ///
    /// # Errors
    /// `HW-WORK-002` when the bytes are none.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Problem> {
        Reader::new(bytes).whole(read_head).ok_or_else(|| damaged("an execution's head"))
    }
}

/// `HW-WORK-002`.
pub(super) fn damaged(what: &str) -> Problem {
    Problem::new("HW-WORK-002", format!("a record of an execution cannot be read: {what}"))
        .help("restore the node's data folder from a backup, or start the execution again")
}

fn read_head(reader: &mut Reader<'_>) -> Option<Head> {
    // The first version pointed to no blobs, the second knew no aliases, the third no tokens of redrives.
    let version = reader.byte().filter(|version| (1..=4).contains(version))?;
    Some(Head {
        workflow: reader.text()?,
        name: reader.text()?,
        version: reader.option(Reader::number)?,
        definition: reader.raw(32)?.try_into().ok()?,
        machine: reader.small()?,
        express: reader.byte()? == 1,
        state: *STATES.get(usize::try_from(reader.number()?).ok()?)?,
        started: reader.time()?,
        stopped: reader.option(Reader::time)?,
        input: reader.raw(16)?.try_into().ok()?,
        first: reader.time()?.0,
        last: reader.time()?.0,
        events: reader.number()?,
        threads: reader.list(|reader| Some((reader.small()?, reader.small()?))).filter(|ranges| rise(ranges))?,
        parent: reader.option(|reader| {
            Some(Parent { key: reader.raw(16)?.try_into().ok()?, attempt: attempt_of(reader.raw(16)?)? })
        })?,
        map_run: reader.option(Reader::text)?,
        maps: reader.list(|reader| attempt_of(reader.raw(16)?))?,
        unknown: match reader.number()? {
            0 => Unknown::Retry,
            1 => Unknown::Ask,
            2 => Unknown::Fail,
            _ => return None,
        },
        retention_s: reader.number()?,
        redrives: reader.small()?,
        redriven: reader.option(Reader::time)?,
        cause: reader.option(read_cause)?,
        parked: reader.option(Reader::text)?,
        blobs: if version == 1 { 0 } else { reader.small()? },
        alias: if version < 3 { None } else { reader.option(Reader::text)? },
        redrive_tokens: match version {
            1..=3 => Vec::new(),
            _ => reader.list(|reader| Some((reader.text()?, reader.time()?)))?,
        },
    })
}

/// Whether ranges of threads stand one behind the other, with something in each.
fn rise(ranges: &[(ThreadId, ThreadId)]) -> bool {
    let mut from = 0;
    ranges.iter().all(|(first, end)| {
        let behind = *first >= from && first < end;
        from = *end;
        behind
    })
}

pub(super) fn cause(writer: &mut Writer, cause: &Cause) {
    writer.text(&cause.id);
    writer.number(u64::from(cause.hops));
}

pub(super) fn read_cause(reader: &mut Reader<'_>) -> Option<Cause> {
    Some(Cause { id: reader.text()?, hops: reader.small()? })
}

/// A task under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Task {
    pub(super) start: StartTask,
    /// How long a heartbeat may be in coming.
    pub(super) heartbeat_us: Option<i64>,
    /// When the state's time is over.
    pub(super) deadline: Option<Micros>,
    /// Its effect is done; only the end from outside is missing (a token, the end of what it started).
    pub(super) submitted: bool,
    /// Nobody knows whether a crash came before or after it, and a person has been asked.
    pub(super) asked: bool,
    /// What its writes did, where its answer says so; the execution takes that in its next commit.
    pub(super) written: Option<Vec<Written>>,
}

impl Task {
    /// What is called, as the effect of that name.
    pub(super) fn call<'a>(
        &'a self,
        effect: &'a str,
        machine_arn: &'a str,
        cause: Option<&'a Cause>,
        now: Micros,
    ) -> Call<'a> {
        Call {
            resource: &self.start.resource,
            parameters: &self.start.parameters,
            key: effect,
            machine_arn,
            token: self.start.token.as_deref(),
            now,
            deadline: self.deadline,
            cause,
        }
    }

    /// As a row, with what of it is kept beside the row.
    pub(super) fn encode(&self, inline_max: usize) -> (Bytes, Large) {
        let mut writer = Writer::within(inline_max);
        writer.byte(2);
        writer.raw(&attempt_bytes(&self.start.attempt));
        writer.text(&self.start.state);
        match &self.start.resource {
            Resource::Activity { arn } => {
                writer.byte(0);
                writer.text(arn);
            }
            Resource::Function { arn } => {
                writer.byte(1);
                writer.text(arn);
            }
            Resource::Service(service) => {
                writer.byte(2);
                writer.text(&service.name);
                writer.text(&service.verb);
                writer.byte(match service.pattern {
                    Pattern::Response => 0,
                    Pattern::Sync => 1,
                    Pattern::Sync2 => 2,
                    Pattern::Token => 3,
                });
            }
        }
        writer.payload(&self.start.parameters);
        writer.option(self.start.credentials.as_ref(), Writer::value);
        writer.option(self.start.token.as_ref(), |writer, token| writer.text(token));
        writer.option(self.heartbeat_us.as_ref(), |writer, span| writer.time(Micros(*span)));
        writer.option(self.deadline.as_ref(), |writer, at| writer.time(*at));
        writer.byte(u8::from(self.submitted));
        writer.byte(u8::from(self.asked));
        writer.option(self.written.as_ref(), |writer, done| written(writer, done));
        (Bytes::from(writer.bytes), writer.large)
    }

    /// The row of a task whose writes have been decided, from its row before that.
    pub(super) fn decided(row: &[u8], done: &[Written]) -> Bytes {
        let mut writer = Writer::default();
        // Its last byte says that nothing was known.
        writer.raw(row.get(..row.len().saturating_sub(1)).unwrap_or_default());
        writer.option(Some(&done), |writer, done| written(writer, done));
        Bytes::from(writer.bytes)
    }

    /// Reads a task.
    ///
    /// # Errors
    /// `HW-WORK-002` when the bytes are none.
    pub(super) fn decode(bytes: &[u8], fetch: Fetch<'_>) -> Result<Self, Problem> {
        Reader::with(bytes, fetch).whole(read_task).ok_or_else(|| damaged("a task under way"))
    }
}

fn written(writer: &mut Writer, done: &[Written]) {
    let document = |writer: &mut Writer, document: &Document| {
        writer.text(&document.key);
        writer.number(document.version);
        writer.time(document.updated);
        writer.bytes(&document.value);
    };
    writer.list(done, |writer, one| {
        writer.option(one.old.as_ref(), document);
        writer.option(one.new.as_ref(), document);
    });
}

fn read_written(reader: &mut Reader<'_>) -> Option<Vec<Written>> {
    fn document(reader: &mut Reader<'_>) -> Option<Document> {
        Some(Document {
            key: reader.text()?,
            version: reader.number()?,
            updated: reader.time()?,
            value: Bytes::copy_from_slice(reader.bytes()?),
        })
    }
    reader.list(|reader| Some(Written { old: reader.option(document)?, new: reader.option(document)? }))
}

fn read_task(reader: &mut Reader<'_>) -> Option<Task> {
    // The first version did not keep what writes did.
    let version = reader.byte().filter(|version| (1..=2).contains(version))?;
    let attempt = attempt_of(reader.raw(16)?)?;
    let state = reader.text()?;
    let resource = match reader.byte()? {
        0 => Resource::Activity { arn: reader.text()? },
        1 => Resource::Function { arn: reader.text()? },
        2 => Resource::Service(Service {
            name: reader.text()?,
            verb: reader.text()?,
            pattern: match reader.byte()? {
                0 => Pattern::Response,
                1 => Pattern::Sync,
                2 => Pattern::Sync2,
                3 => Pattern::Token,
                _ => return None,
            },
        }),
        _ => return None,
    };
    let parameters = reader.payload()?.into();
    let credentials = reader.option(Reader::value)?;
    let token = reader.option(Reader::text)?;
    Some(Task {
        start: StartTask { attempt, state, resource, parameters, credentials, token },
        heartbeat_us: reader.option(Reader::time)?.map(|span| span.0),
        deadline: reader.option(Reader::time)?,
        submitted: reader.byte()? == 1,
        asked: reader.byte()? == 1,
        written: if version == 1 { None } else { reader.option(read_written)? },
    })
}
