//! Batch beside stream: recomputes what a pipeline should have said about a span of event time, compares it with what
//! its output streams say, and writes what is missing or wrong.
//!
//! The input is what the source stream still holds, and from the late stream the events it no longer holds. It goes
//! through the same steps as the running pipeline, with nothing too late. Windows and sessions are compared row by row;
//! events by id: one that is missing, or that went out with failed lookups, is written again (as revision 2).
//!
//! A correction carries on the chain that its events belong to, as what it stands for would have done. So it begins no
//! circle that is not counted: where what it belongs to has too many steps, that is cut here as it was by the pipeline,
//! and is missing nowhere. One without a chain is as an event that comes from outside: the first pipeline of a circle that
//! reads it begins one. And nothing reconciles by itself: each correction is written once for somebody who asks.
//!
//! What it is NOT: a comparison of lookup answers. They may have changed since, which is no fault of the pipeline's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Clock, Limits, Micros, Name, Problem};
use headwater_kernel::port::Cause;
use headwater_log::{Append, Commit, Log, LogError, Offset, View, append_when_room};
use headwater_wire::batch::{self, Record};
use serde::Serialize;
use serde_json::Value;

use crate::compile::{KeyedConfig, Plan, Work};
use crate::doc::Doc;
use crate::operators::Advance;
use crate::runtime::asking::{Inbox, Reply};
use crate::runtime::backends::Backends;
use crate::runtime::core::{Chain, Core, Input, Surroundings};
use crate::runtime::figures::Figures;
use crate::runtime::files::Memory;
use crate::runtime::outbox::{self, Outbox, Refused, Sink, Target};
use crate::runtime::park;
use crate::runtime::positions::Positions;

/// What is recomputed, and whether differences are repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First event time.
    pub from: Micros,
    /// First event time behind it.
    pub to: Micros,
    /// Writes corrections.
    pub repair: bool,
}

/// What a reconciliation found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Events read.
    pub events: u64,
    /// By output stream.
    pub streams: BTreeMap<String, Differences>,
    /// Records written to repair.
    pub repaired: u64,
}

/// What one output stream says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Differences {
    /// Rows or events compared.
    pub compared: u64,
    /// Recomputed, and not in the stream.
    pub missing: u64,
    /// In the stream with another content; for events: with failed lookups that now succeed.
    pub wrong: u64,
    /// In the stream, and not recomputed.
    pub extra: u64,
}

/// What a reconciliation works with.
pub struct Around<'a> {
    /// The log.
    pub log: &'a Arc<dyn Log>,
    /// The clock.
    pub clock: &'a Arc<dyn Clock>,
    /// The bounds.
    pub limits: &'a Arc<Limits>,
    /// The pipeline's backends.
    pub backends: &'a Backends,
}

const BATCH_RECORDS: usize = 1_024;
const READ_BYTES: usize = 1 << 20;
/// Bytes of one commit of repairs, unless its only batch is larger. All repairs of a span may be more than the log takes.
const COMMIT_BYTES: usize = 1 << 20;

/// Recomputes a span and compares. Blocks: call it on a thread that may.
///
/// # Errors
/// `HW-FLOW-017` for a pipeline over files, 041 and 043 as a running pipeline, `HW-FLOW-049` when a repair is refused.
pub fn reconcile(plan: &Arc<Plan>, span: Span, around: &Around<'_>) -> Result<Report, Problem> {
    let Some((source, _)) = &plan.input else {
        return Err(Problem::new("HW-FLOW-017", "a pipeline over files has nothing to reconcile with"));
    };
    let mut report = Report::default();
    let mut outbox = outbox::open(&**around.log, &plan.streams)?;
    let mut found = recompute(plan, source, span, around, &outbox, &mut report.events)?;
    for (target, name) in plan.streams.iter().enumerate() {
        let kind = Kind::of(plan, target);
        let Some(kind) = kind else { continue };
        let said = said(around, name, kind)?;
        let rows = found.remove(&target).unwrap_or_default();
        let differences = compare(kind, target, &rows, &said, span, &mut outbox);
        report.streams.insert(name.to_string(), differences);
    }
    let wanted = outbox.records() as u64;
    if span.repair && wanted > 0 {
        write(&**around.log, outbox.take())?;
        report.repaired = wanted;
    }
    Ok(report)
}

/// Writes repairs in as many commits as they need. Each stands for itself: what a crash leaves out is found again.
fn write(log: &dyn Log, appends: Vec<Append>) -> Result<(), Problem> {
    let stop = park::StopSignal::default();
    let mut appends = appends.into_iter().peekable();
    let mut last = None;
    while let Some(first) = appends.next() {
        let mut bytes = first.batches.len();
        let mut commit = Commit { appends: vec![first], ..Commit::default() };
        while let Some(next) = appends.next_if(|next| bytes + next.batches.len() <= COMMIT_BYTES) {
            bytes += next.batches.len();
            commit.appends.push(next);
        }
        let appended = park::wait(append_when_room(log, &mut commit), &stop).unwrap_or(Err(LogError::Closed));
        last = Some(appended.map_err(|error| refused(&error))?.sequence);
    }
    match last {
        Some(sequence) => park::wait(log.durable(sequence), &stop).unwrap_or(Ok(())).map_err(|error| refused(&error)),
        None => Ok(()),
    }
}

/// How a stream is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Rows of windows or sessions, by record key.
    Rows,
    /// Events, by id.
    Events,
}

impl Kind {
    /// None for side streams, tables and values of aggregates: they say what was known at the time.
    fn of(plan: &Plan, target: Target) -> Option<Self> {
        let rows = plan.steps.iter().any(|step| matches!(&step.work, Work::Keyed(work) if work.output == target));
        let events = plan.outputs.iter().any(|output| output.target == target && output.table.is_none());
        match (rows, events) {
            (true, false) => Some(Self::Rows),
            (false, true) => Some(Self::Events),
            _ => None,
        }
    }
}

/// A record of an output stream.
struct Row {
    key: Option<Bytes>,
    json: Value,
    time_ms: i64,
    /// Of what is recomputed: the chain that it carries on.
    cause: Option<Cause>,
}

/// What a recomputation says to a stream: identity -> the last record; None where the stream refuses it.
type Rows = BTreeMap<String, Option<Row>>;

/// Runs the input of a span through the steps: target -> what it says there.
fn recompute(
    plan: &Arc<Plan>,
    source: &Name,
    span: Span,
    around: &Around<'_>,
    outbox: &Outbox,
    events: &mut u64,
) -> Result<HashMap<Target, Rows>, Problem> {
    let width = around.log.stream(source.as_str()).map_or(0, |stream| stream.config.partitions);
    let input = |partition| Input::new(Arc::from(source.as_str()), partition, false, Positions::at(0));
    let inbox = Arc::new(Inbox::default());
    let memory = Memory::default();
    let surroundings = Surroundings {
        kept: Box::new(memory.clone()),
        asking: around.backends.asking_patiently(&inbox),
        clock: Arc::clone(around.clock),
        figures: Arc::new(Figures::default()),
        // Chains go on and are cut. None begins: an event with which the running pipeline begins one has no step behind it.
        chain: Chain { hops_max: around.limits.event_hops, begins: false },
        waiting_max: BATCH_RECORDS,
    };
    // All partitions are read one after the other, so nothing may be due before all have been: the watermark moves at
    // the end alone.
    let mut core = Core::new(Arc::clone(plan), (0..width).map(input).collect(), surroundings, None)?;
    let mut sink = Collected { plan, outbox, found: HashMap::new() };
    let margin = margin(plan);
    let from = if is_of_all_time(plan) { Micros::MIN } else { span.from.minus(margin) };
    let to = span.to.plus(margin);
    let mut replies: Vec<Reply> = Vec::new();
    let mut seen: BTreeSet<(u32, Offset)> = BTreeSet::new();
    let mut take = |core: &mut Core, sink: &mut Collected<'_>, partition: u32, record: Record| {
        if !is_within(plan, &record, from, to) || !seen.insert((partition, record.offset)) {
            return;
        }
        *events += 1;
        core.expire(around.clock.elapsed(), sink);
        core.offer(partition as usize, record, true, sink);
        core.send();
        while core.is_full() {
            settle(core, sink, &inbox, around, &mut replies);
        }
    };
    for partition in 0..width {
        each(around, source, partition, &mut |record| take(&mut core, &mut sink, partition, record))?;
    }
    if let Some(name) = plan.late.and_then(|target| plan.streams.get(target)) {
        let width = around.log.stream(name.as_str()).map_or(0, |stream| stream.config.partitions);
        for partition in 0..width {
            each(around, name, partition, &mut |record| {
                if let Some((partition, original)) = original(&record) {
                    take(&mut core, &mut sink, partition, original);
                }
            })?;
        }
    }
    let mut replies = Vec::new();
    while core.waiting() > 0 {
        settle(&mut core, &mut sink, &inbox, around, &mut replies);
    }
    while core.finish(&mut sink)? == Advance::More {
        memory.apply(core.drain());
    }
    Ok(sink.found)
}

fn settle(
    core: &mut Core,
    sink: &mut Collected<'_>,
    inbox: &Arc<Inbox>,
    around: &Around<'_>,
    replies: &mut Vec<Reply>,
) {
    core.send();
    park::nap(&inbox.wake, Duration::from_millis(20));
    inbox.take(replies);
    for Reply { ticket, step, answer } in replies.drain(..) {
        core.answered(ticket, step, answer, sink);
    }
    core.expire(around.clock.elapsed(), sink);
}

/// How far events outside the span reach into its rows.
fn margin(plan: &Plan) -> Duration {
    let reach = plan.steps.iter().map(|step| match &step.work {
        // A session reaches as far as its events follow each other: a day is more than any person's visit.
        Work::Keyed(work) => match &work.config {
            KeyedConfig::Sessions(config) => config.gap.saturating_mul(2).max(Duration::from_secs(86_400)),
            KeyedConfig::Windows(config) => config.size,
        },
        Work::Aggregate(work) => work.config.windows.iter().map(|(_, span)| *span).max().unwrap_or_default(),
        Work::Dedupe(work) => work.within,
        Work::Filter(_) | Work::Transform(_) | Work::Lookup(_) => Duration::ZERO,
    });
    reach.max().unwrap_or_default()
}

/// Whether values are of everything that a key has had: no part of the input is too old for them.
fn is_of_all_time(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(&step.work, Work::Aggregate(work) if work.config.all.is_some()))
}

fn is_within(plan: &Plan, record: &Record, from: Micros, to: Micros) -> bool {
    let time = match (&plan.time, &record.value) {
        (Some(path), Some(value)) => Doc::new(value.clone()).ok().and_then(|doc| doc.time(path)),
        _ => Some(Micros::from_millis(record.timestamp)),
    };
    time.is_some_and(|time| from <= time && time < to)
}

/// The event inside a late letter, at its own position.
fn original(record: &Record) -> Option<(u32, Record)> {
    let letter: Value = serde_json::from_slice(record.value.as_ref()?).ok()?;
    let position = letter.get("position")?;
    let partition = u32::try_from(position.get("partition")?.as_u64()?).ok()?;
    let offset = position.get("offset")?.as_i64()?;
    let value = Doc::new(record.value.clone()?).ok()?.json(&crate::path::Path::field("event"))?;
    Some((partition, Record { offset, value: Some(value), ..record.clone() }))
}

/// Every durable record of a partition.
fn each(around: &Around<'_>, stream: &Name, partition: u32, take: &mut dyn FnMut(Record)) -> Result<(), Problem> {
    let mut next = around.log.ends(stream, partition).map_err(|error| unreadable(stream, &error))?.start;
    loop {
        let fetched = around
            .log
            .read(stream, partition, next, READ_BYTES, View::Durable)
            .map_err(|error| unreadable(stream, &error))?;
        if fetched.batches.is_empty() {
            return Ok(());
        }
        let mut last = next;
        for (header, bytes) in fetched.batches.each().flatten() {
            last = last.max(header.last_offset() + 1);
            let Ok(records) = batch::records(&bytes, around.limits.batch_decompressed_bytes) else { continue };
            records.flatten().filter(|record| record.offset >= next).for_each(&mut *take);
        }
        if last == next {
            return Ok(());
        }
        next = last;
    }
}

/// What an output stream says: identity -> the newest record; None where it was deleted.
fn said(around: &Around<'_>, name: &Name, kind: Kind) -> Result<BTreeMap<String, Option<Row>>, Problem> {
    let mut said = BTreeMap::new();
    let width = around.log.stream(name.as_str()).map_or(0, |stream| stream.config.partitions);
    for partition in 0..width {
        each(around, name, partition, &mut |record| match &record.value {
            Some(value) => {
                let Ok(json) = serde_json::from_slice::<Value>(value) else { return };
                if let Some(id) = identity(kind, record.key.as_deref(), &json) {
                    let newer = said
                        .get(&id)
                        .and_then(Option::as_ref)
                        .is_none_or(|before: &Row| revision(&before.json) <= revision(&json));
                    if newer {
                        let row = Row { key: record.key.clone(), json, time_ms: record.timestamp, cause: None };
                        said.insert(id, Some(row));
                    }
                }
            }
            None => {
                if let (Kind::Rows, Some(key)) = (kind, &record.key) {
                    said.insert(String::from_utf8_lossy(key).into_owned(), None);
                }
            }
        })?;
    }
    Ok(said)
}

fn identity(kind: Kind, key: Option<&[u8]>, json: &Value) -> Option<String> {
    match kind {
        Kind::Rows => key.map(|key| String::from_utf8_lossy(key).into_owned()),
        Kind::Events => json
            .get("id")
            .and_then(|id| id.as_str().map(str::to_owned).or_else(|| id.as_number().map(ToString::to_string))),
    }
}

fn revision(json: &Value) -> u64 {
    json.get("revision").and_then(Value::as_u64).unwrap_or(1)
}

fn compare(
    kind: Kind,
    target: Target,
    rows: &Rows,
    said: &BTreeMap<String, Option<Row>>,
    span: Span,
    outbox: &mut Outbox,
) -> Differences {
    let mut differences = Differences::default();
    let within = |json: &Value| {
        let start = ["start", "window_start", "time"].iter().find_map(|field| json.get(field)).and_then(Value::as_str);
        start.and_then(Micros::parse_rfc3339).is_none_or(|time| span.from <= time && time < span.to)
    };
    let mut repair = |row: &Row, value: Option<Value>| {
        let text = value.map(|value| value.to_string());
        let (key, value) = (row.key.as_deref(), text.as_deref().map(str::as_bytes));
        // With the number of its revision it may be larger than its stream takes; then it stays as it is.
        let _ = <Outbox as Sink>::put(outbox, target, row.time_ms, key, value, row.cause.as_ref());
    };
    let recomputed = rows.iter().filter_map(|(id, row)| Some((id, row.as_ref()?)));
    for (id, row) in recomputed.filter(|(_, row)| within(&row.json)) {
        differences.compared += 1;
        match said.get(id).and_then(Option::as_ref) {
            None => {
                differences.missing += 1;
                repair(row, Some(row.json.clone()));
            }
            Some(before) if differs(kind, &before.json, &row.json) => {
                differences.wrong += 1;
                let mut json = row.json.clone();
                if let Some(fields) = json.as_object_mut() {
                    fields.insert("revision".to_owned(), Value::from(revision(&before.json) + 1));
                }
                repair(row, Some(json));
            }
            Some(_) => {}
        }
    }
    if kind == Kind::Rows {
        let extra = said
            .iter()
            .filter_map(|(id, row)| Some((id, row.as_ref()?)))
            .filter(|(id, row)| within(&row.json) && !rows.contains_key(*id));
        for (_, row) in extra {
            differences.extra += 1;
            repair(row, None);
        }
    }
    differences
}

fn differs(kind: Kind, before: &Value, after: &Value) -> bool {
    let failed = |json: &Value| json.pointer("/enrichment/status").and_then(Value::as_str) == Some("failed");
    match kind {
        Kind::Events => failed(before) && !failed(after),
        Kind::Rows => {
            let plain = |json: &Value| {
                let mut json = json.clone();
                if let Some(fields) = json.as_object_mut() {
                    fields.retain(|name, _| name != "revision" && name != "closed");
                }
                json
            };
            plain(before) != plain(after)
        }
    }
}

/// Keeps what a recomputation says, by target and identity. What a stream refuses is a dead letter of the running
/// pipeline, and nothing that the stream should have.
struct Collected<'a> {
    plan: &'a Plan,
    /// Knows what the streams take; nothing is put into it.
    outbox: &'a Outbox,
    found: HashMap<Target, Rows>,
}

impl Sink for Collected<'_> {
    fn put(
        &mut self,
        target: Target,
        time_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        cause: Option<&Cause>,
    ) -> Result<(), Refused> {
        let taken = self.takes(target, key, value, cause);
        let Some(kind) = Kind::of(self.plan, target) else { return taken };
        let rows = self.found.entry(target).or_default();
        if taken.is_err() {
            if let (Kind::Rows, Some(key)) = (kind, key) {
                // An earlier revision of it may stand in the stream, and stays.
                rows.insert(String::from_utf8_lossy(key).into_owned(), None);
            }
            return taken;
        }
        match value {
            Some(value) => {
                let Ok(json) = serde_json::from_slice::<Value>(value) else { return Ok(()) };
                if let Some(id) = identity(kind, key, &json) {
                    let key = key.map(Bytes::copy_from_slice);
                    rows.insert(id, Some(Row { key, json, time_ms, cause: cause.cloned() }));
                }
            }
            None => {
                if let Some(key) = key {
                    rows.remove(&String::from_utf8_lossy(key).into_owned());
                }
            }
        }
        Ok(())
    }

    fn takes(
        &self,
        target: Target,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        cause: Option<&Cause>,
    ) -> Result<(), Refused> {
        self.outbox.takes(target, key, value, cause)
    }
}

fn unreadable(stream: &Name, error: &LogError) -> Problem {
    Problem::new("HW-FLOW-043", format!("stream `{stream}` cannot be read: {error}"))
}

fn refused(error: &LogError) -> Problem {
    Problem::new("HW-FLOW-049", format!("the repairs cannot be written: {error}"))
}
