//! A pipeline over a file, without a node: the same plan and the same [`Core`] as on a node, state in memory, records
//! to a callback by the name of their stream.
//!
//! Time is the input's own: no partition is idle, and the end of the input closes every window and session. An event too
//! far ahead of the clock is a dead letter here as well: it would make all behind it late. Nobody waits for an event here,
//! so lookups are given all the time their tries take.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ahash::HashMap;
use bytes::Bytes;
use headwater_base::{Clock, Limits, Name, Problem};
use headwater_kernel::port::{Cause, Context, LookupKind, Source, SourceKind};
use headwater_log::Offset;
use headwater_wire::batch::Record;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::compile::Plan;
use crate::doc::Fault;
use crate::operators::Advance;
use crate::runtime::asking::{Inbox, Reply};
use crate::runtime::backends::connect;
use crate::runtime::core::{Chain, Core, Deltas, Input, Surroundings};
use crate::runtime::figures::Figures;
use crate::runtime::outbox::{Refused, Sink, Target};
use crate::runtime::overlay::Kept;
use crate::runtime::park;
use crate::runtime::positions::Positions;
use crate::spec::SourceSpec;

/// Records read at once.
const BATCH_RECORDS: usize = 1_024;

/// What a run over a file needs.
pub struct Surrounding<'a> {
    /// Rows of lookups.
    pub lookups: &'a [LookupKind],
    /// What connectors may use.
    pub context: Context,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
    /// Where lookups run.
    pub handle: Handle,
}

/// What a run tells while it goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input read.
    pub done_bytes: u64,
    /// Bytes there are; None for a pipe.
    pub total_bytes: Option<u64>,
    /// Events read.
    pub events: u64,
}

/// Takes a record: stream, key, value (None deletes the key).
pub type Write<'a> = dyn FnMut(&str, Option<&[u8]>, Option<&[u8]>) -> io::Result<()> + 'a;

/// Opens the source that a plan's spec names, or `instead` of it (`{type: file, path: ...}`).
///
/// # Errors
/// `HW-FLOW-048` when the pipeline reads a stream and nothing is given instead, else what the source says.
pub fn open(
    plan: &Plan,
    instead: Option<&Value>,
    kinds: &[SourceKind],
    context: &Context,
) -> Result<Box<dyn Source>, Problem> {
    let spec = match (instead, &plan.spec.source) {
        (Some(instead), _) => instead.clone(),
        (None, SourceSpec::Stream(source) | SourceSpec::Http(source)) => {
            let problem = Problem::new(
                "HW-FLOW-048",
                format!("pipeline `{}` reads stream `{}`, which needs a node", plan.name, source.stream),
            );
            return Err(problem.help("name a file to read instead with `--input FILE`"));
        }
        (None, source @ (SourceSpec::File(_) | SourceSpec::Stdin(_))) => {
            serde_json::to_value(source).unwrap_or_default()
        }
    };
    let word = spec.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some(kind) = kinds.iter().find(|kind| kind.name == word) else {
        return Err(Problem::new("HW-FLOW-048", format!("there is no source of type `{word}` to run over")));
    };
    (kind.build)(&spec, context)
}

/// Runs a plan over a source to its end. Blocks: call it on a thread that may.
///
/// # Errors
/// What the source, a lookup's builder or the state say; `HW-FLOW-049` when `write` fails.
pub fn run(
    plan: &Arc<Plan>,
    name: &str,
    mut source: Box<dyn Source>,
    around: &Surrounding<'_>,
    write: &mut Write<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Arc<Figures>, Problem> {
    let inbox = Arc::new(Inbox::default());
    let backends = connect(plan, around.lookups, &around.context, &around.clock, &around.handle)?;
    let figures = Arc::new(Figures::of(plan));
    let memory = Memory::default();
    let input = Input::new(Arc::from(name), 0, false, Positions::at(0));
    let surroundings = Surroundings {
        kept: Box::new(memory.clone()),
        asking: backends.asking_patiently(&inbox),
        clock: Arc::clone(&around.clock),
        figures: Arc::clone(&figures),
        chain: Chain::default(),
        waiting_max: around.limits.lookups_in_flight,
    };
    let mut core = Core::new(Arc::clone(plan), vec![input], surroundings, None)?;
    let mut lines = Lines { streams: &plan.streams, write, failed: None };
    let mut replies: Vec<Reply> = Vec::new();
    let mut told = Progress::default();
    let mut ended = false;
    loop {
        core.tick();
        inbox.take(&mut replies);
        for Reply { ticket, step, answer } in replies.drain(..) {
            core.answered(ticket, step, answer, &mut lines);
        }
        core.expire(around.clock.elapsed(), &mut lines);
        let full = core.is_full();
        if !ended && !full {
            let records = source.next(BATCH_RECORDS)?;
            ended = records.is_empty();
            told.events += records.len() as u64;
            for record in records {
                take(&mut core, record, around.clock.now().millis(), &mut lines);
            }
            (told.done_bytes, told.total_bytes) = source.progress();
            progress(told);
        }
        while core.advance(&mut lines)? == Advance::More {
            memory.apply(core.drain());
        }
        core.send();
        memory.apply(core.drain());
        lines.check()?;
        if ended && core.waiting() == 0 {
            break;
        }
        if ended || full {
            park::nap(&inbox.wake, Duration::from_millis(20));
        }
    }
    while core.finish(&mut lines)? == Advance::More {
        memory.apply(core.drain());
    }
    lines.check()?;
    progress(told);
    Ok(figures)
}

fn take(core: &mut Core, record: headwater_kernel::port::SourceRecord, time_ms: i64, out: &mut dyn Sink) {
    let offset = Offset::try_from(record.position).unwrap_or(Offset::MAX);
    match record.fault {
        Some(fault) => core.refuse(0, offset, &Fault::new("HW-FLOW-040", fault), &record.value, out),
        None => {
            let record =
                Record { offset, timestamp: time_ms, key: None, value: Some(record.value), headers: Vec::new() };
            core.offer(0, record, false, out);
        }
    }
}

/// Hands records to the callback; the first failure stops the run.
struct Lines<'a, 'w> {
    streams: &'a [Name],
    write: &'a mut Write<'w>,
    failed: Option<io::Error>,
}

impl Lines<'_, '_> {
    fn check(&mut self) -> Result<(), Problem> {
        match self.failed.take() {
            Some(error) => Err(Problem::new("HW-FLOW-049", format!("the output cannot be written: {error}"))),
            None => Ok(()),
        }
    }
}

impl Sink for Lines<'_, '_> {
    fn put(
        &mut self,
        target: Target,
        _: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        _: Option<&Cause>,
    ) -> Result<(), Refused> {
        if let (Some(stream), None) = (self.streams.get(target), &self.failed) {
            self.failed = (self.write)(stream.as_str(), key, value).err();
        }
        Ok(())
    }
}

/// State of a run.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Spaces>>);

#[derive(Default)]
struct Spaces {
    by_name: HashMap<Arc<str>, HashMap<Bytes, Bytes>>,
    bytes: usize,
}

/// What an entry takes besides its key and value, about.
const ENTRY_BYTES: usize = 128;

impl Memory {
    /// Makes changes part of it.
    pub fn apply(&self, deltas: Deltas) {
        let mut spaces = self.0.lock();
        let Spaces { by_name, bytes } = &mut *spaces;
        for (space, deltas) in deltas {
            let space = by_name.entry(space).or_default();
            for delta in deltas {
                let before = match delta.value {
                    // All of a commit is one piece of memory, of which some would keep the whole.
                    Some(value) => {
                        *bytes += ENTRY_BYTES + delta.key.len() + value.len();
                        space.insert(Bytes::copy_from_slice(&delta.key), Bytes::copy_from_slice(&value))
                    }
                    None => space.remove(&delta.key),
                };
                if let Some(before) = before {
                    *bytes = bytes.saturating_sub(ENTRY_BYTES + delta.key.len() + before.len());
                }
            }
        }
    }

    /// How much memory it takes, about.
    pub fn bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

impl Kept for Memory {
    fn look(&self, space: &str, key: &[u8], seen: &mut dyn FnMut(Option<&[u8]>)) {
        let spaces = self.0.lock();
        seen(spaces.by_name.get(space).and_then(|space| space.get(key)).map(|value| &**value));
    }

    fn for_part(&self, space: &str, part: u32, each: &mut dyn FnMut(&[u8], &[u8])) {
        // It has one.
        if part == 0
            && let Some(space) = self.0.lock().by_name.get(space)
        {
            space.iter().for_each(|(key, value)| each(key, value));
        }
    }
}
