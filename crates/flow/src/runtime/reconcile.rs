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
//! What a running pipeline has refused as too far ahead of the clock stays refused: time has come to it since, but nobody
//! can believe it now any more than then.
//!
//! Invariant: what is held at once, the operators' state, the results, and what the streams say of them, is within
//! [`Limits::reconcile_bytes`]; a span that needs more is refused.
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
use serde::{Deserialize, Serialize};
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
/// `HW-FLOW-017` for a pipeline over files, 041 and 043 as a running pipeline, `HW-FLOW-049` when a repair is refused,
/// `HW-FLOW-053` when the span needs too much memory.
pub fn reconcile(plan: &Arc<Plan>, span: Span, around: &Around<'_>) -> Result<Report, Problem> {
    let Some((source, _)) = &plan.input else {
        return Err(Problem::new("HW-FLOW-017", "a pipeline over files has nothing to reconcile with"));
    };
    let mut report = Report::default();
    let mut outbox = outbox::open(&**around.log, &plan.streams)?;
    let mut held = Held { limit: around.limits.reconcile_bytes, state: 0, results: 0 };
    let mut found = recompute(plan, source, span, around, &outbox, &mut held, &mut report.events)?;
    // It has gone with the core.
    held.state = 0;
    for (target, name) in plan.streams.iter().enumerate() {
        let kind = Kind::of(plan, target);
        let Some(kind) = kind else { continue };
        let rows = found.remove(&target).unwrap_or_default();
        let before = held.results;
        let said = said(around, name, kind, span, &rows, &mut held)?;
        held.results = before;
        let differences = compare(kind, target, &rows, &said, &mut outbox);
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

/// A record for an output stream.
struct Row {
    key: Option<Bytes>,
    json: Bytes,
    time_ms: i64,
    /// Of what is recomputed: the chain that it carries on.
    cause: Option<Cause>,
}

/// The newest record of an output stream under one identity.
struct Said {
    /// Without the JSON of an event, which is not compared.
    row: Row,
    revision: u64,
    /// Of an event: it went out with failed lookups.
    failed: bool,
}

/// What a row takes besides its bytes, about.
const ROW_BYTES: usize = 256;

/// What a row takes in a map, about.
fn weight(id: &str, row: Option<&Row>) -> usize {
    ROW_BYTES + id.len() + row.map_or(0, |row| row.json.len() + row.key.as_ref().map_or(0, Bytes::len))
}

/// What is held in memory.
struct Held {
    limit: usize,
    state: usize,
    results: usize,
}

impl Held {
    fn check(&self) -> Result<(), Problem> {
        let Self { limit, state, results } = self;
        if state + results <= *limit {
            return Ok(());
        }
        let fact = format!(
            "reconciling this span takes more than {limit} bytes of memory: {state} of state and {results} of results so far"
        );
        let help =
            "name a shorter span with `--from` and `--to`; a larger `reconcileBytes` in `headwater.yaml` takes more";
        Err(Problem::new("HW-FLOW-053", fact).help(help))
    }
}

/// What a recomputation says to a stream: identity -> the last record; None where the stream refuses it, and for a row
/// outside the span. What the stream says there stays.
type Rows = BTreeMap<String, Option<Row>>;

/// Runs the input of a span through the steps: target -> what it says there.
fn recompute(
    plan: &Arc<Plan>,
    source: &Name,
    span: Span,
    around: &Around<'_>,
    outbox: &Outbox,
    held: &mut Held,
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
    let mut sink = Collected { plan, span, outbox, found: HashMap::new(), bytes: 0 };
    let margin = margin(plan);
    let from = if is_of_all_time(plan) { Micros::MIN } else { span.from.minus(margin) };
    let to = span.to.plus(margin);
    let ahead = letters(plan, plan.dead, source, around, held, "HW-FLOW-032")?;
    // What the source still holds is taken from there.
    let mut late = match plan.late {
        Some(target) => letters(plan, target, source, around, held, "HW-FLOW-033")?,
        None => BTreeSet::new(),
    };
    let aside = held.results;
    let mut replies: Vec<Reply> = Vec::new();
    let mut take = |core: &mut Core, sink: &mut Collected<'_>, partition: u32, record: Record| {
        if !is_within(plan, &record, from, to) || ahead.contains(&(partition, record.offset)) {
            return Ok(());
        }
        *events += 1;
        core.expire(around.clock.elapsed(), sink);
        core.offer(partition as usize, record, true, sink);
        core.send();
        while core.is_full() {
            settle(core, sink, &inbox, around, &mut replies);
        }
        if events.is_multiple_of(BATCH_RECORDS as u64) {
            memory.apply(core.drain());
            held.state = memory.bytes();
        }
        held.results = aside + sink.bytes;
        held.check()
    };
    for partition in 0..width {
        each(around, source, partition, &mut |record| {
            late.remove(&(partition, record.offset));
            take(&mut core, &mut sink, partition, record)
        })?;
    }
    if let Some(name) = plan.late.and_then(|target| plan.streams.get(target)) {
        let width = around.log.stream(name.as_str()).map_or(0, |stream| stream.config.partitions);
        for partition in 0..width {
            each(around, name, partition, &mut |record| match original(&record) {
                Some((partition, original)) if late.remove(&(partition, original.offset)) => {
                    take(&mut core, &mut sink, partition, original)
                }
                _ => Ok(()),
            })?;
        }
    }
    let mut replies = Vec::new();
    while core.waiting() > 0 {
        settle(&mut core, &mut sink, &inbox, around, &mut replies);
    }
    while core.finish(&mut sink)? == Advance::More {
        memory.apply(core.drain());
        held.state = memory.bytes();
        held.results = aside + sink.bytes;
        held.check()?;
    }
    held.results = sink.bytes;
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

/// Where in its input the events stood that this pipeline has put aside, for the reason of this code.
fn letters(
    plan: &Plan,
    target: Target,
    source: &Name,
    around: &Around<'_>,
    held: &mut Held,
    code: &str,
) -> Result<BTreeSet<(u32, Offset)>, Problem> {
    /// A place in the set, about.
    const PLACE_BYTES: usize = 32;
    let mut found = BTreeSet::new();
    let Some(name) = plan.streams.get(target) else { return Ok(found) };
    let width = around.log.stream(name.as_str()).map_or(0, |stream| stream.config.partitions);
    for partition in 0..width {
        each(around, name, partition, &mut |record| {
            let Some(letter) = record.value.as_ref().and_then(|text| serde_json::from_slice::<Letter>(text).ok())
            else {
                return Ok(());
            };
            let Letter { code: of, pipeline, position } = letter;
            // Other pipelines may write to the same stream, and this one may have read another.
            if of != code || pipeline != plan.name.as_str() || position.stream != source.as_str() {
                return Ok(());
            }
            if found.insert((position.partition, position.offset)) {
                held.results += PLACE_BYTES;
            }
            held.check()
        })?;
    }
    Ok(found)
}

/// What a letter says of whose it is.
#[derive(Deserialize)]
struct Letter {
    code: String,
    pipeline: String,
    position: Position,
}

/// Where an event stood.
#[derive(Deserialize)]
struct Position {
    stream: String,
    partition: u32,
    offset: Offset,
}

/// The event inside a late letter, at its own position.
fn original(record: &Record) -> Option<(u32, Record)> {
    let Letter { position: Position { partition, offset, .. }, .. } =
        serde_json::from_slice(record.value.as_ref()?).ok()?;
    let value = Doc::new(record.value.clone()?).ok()?.json(&crate::path::Path::field("event"))?;
    Some((partition, Record { offset, value: Some(value), ..record.clone() }))
}

/// Every durable record of a partition.
fn each(
    around: &Around<'_>,
    stream: &Name,
    partition: u32,
    take: &mut dyn FnMut(Record) -> Result<(), Problem>,
) -> Result<(), Problem> {
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
            records.flatten().filter(|record| record.offset >= next).try_for_each(&mut *take)?;
        }
        if last == next {
            return Ok(());
        }
        next = last;
    }
}

/// What an output stream says of what was recomputed and, for rows, of the span besides: identity -> the newest record,
/// unless it was deleted.
fn said(
    around: &Around<'_>,
    name: &Name,
    kind: Kind,
    span: Span,
    rows: &Rows,
    held: &mut Held,
) -> Result<BTreeMap<String, Said>, Problem> {
    let mut said: BTreeMap<String, Said> = BTreeMap::new();
    let width = around.log.stream(name.as_str()).map_or(0, |stream| stream.config.partitions);
    for partition in 0..width {
        each(around, name, partition, &mut |record| {
            let Some(value) = &record.value else {
                if let (Kind::Rows, Some(key)) = (kind, &record.key) {
                    forget(&mut said, &String::from_utf8_lossy(key), held);
                }
                return Ok(());
            };
            let Ok(json) = serde_json::from_slice::<Value>(value) else { return Ok(()) };
            let Some(id) = identity(kind, record.key.as_deref(), &json) else { return Ok(()) };
            let revision = revision(&json);
            if said.get(&id).is_some_and(|before| before.revision > revision) {
                return Ok(());
            }
            forget(&mut said, &id, held);
            if !rows.contains_key(&id) && (kind == Kind::Events || !is_of(span, &json)) {
                return Ok(());
            }
            // Of its own: the record is a part of the whole batch.
            let text = if kind == Kind::Rows { Bytes::copy_from_slice(value) } else { Bytes::new() };
            let key = record.key.as_deref().map(Bytes::copy_from_slice);
            let row = Row { key, json: text, time_ms: record.timestamp, cause: None };
            held.results += weight(&id, Some(&row));
            said.insert(id, Said { row, revision, failed: has_failed(&json) });
            held.check()
        })?;
    }
    Ok(said)
}

fn forget(said: &mut BTreeMap<String, Said>, id: &str, held: &mut Held) {
    if let Some(before) = said.remove(id) {
        held.results = held.results.saturating_sub(weight(id, Some(&before.row)));
    }
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

/// Whether a result belongs to the span; one without a time may.
fn is_of(span: Span, json: &Value) -> bool {
    let start = ["start", "window_start", "time"].iter().find_map(|field| json.get(field)).and_then(Value::as_str);
    start.and_then(Micros::parse_rfc3339).is_none_or(|time| span.from <= time && time < span.to)
}

fn compare(kind: Kind, target: Target, rows: &Rows, said: &BTreeMap<String, Said>, outbox: &mut Outbox) -> Differences {
    let mut differences = Differences::default();
    let mut repair = |row: &Row, value: Option<&[u8]>| {
        // With the number of its revision it may be larger than its stream takes; then it stays as it is.
        let _ = <Outbox as Sink>::put(outbox, target, row.time_ms, row.key.as_deref(), value, row.cause.as_ref());
    };
    for (id, row) in rows.iter().filter_map(|(id, row)| Some((id, row.as_ref()?))) {
        differences.compared += 1;
        let Some(before) = said.get(id) else {
            differences.missing += 1;
            repair(row, Some(&*row.json));
            continue;
        };
        let mut json = parsed(&row.json);
        if differs(kind, before, &json) {
            differences.wrong += 1;
            if let Some(fields) = json.as_object_mut() {
                fields.insert("revision".to_owned(), Value::from(before.revision + 1));
            }
            repair(row, Some(json.to_string().as_bytes()));
        }
    }
    if kind == Kind::Rows {
        for (_, before) in said.iter().filter(|(id, _)| !rows.contains_key(*id)) {
            differences.extra += 1;
            repair(&before.row, None);
        }
    }
    differences
}

fn differs(kind: Kind, before: &Said, after: &Value) -> bool {
    match kind {
        Kind::Events => before.failed && !has_failed(after),
        Kind::Rows => {
            let plain = |json: &Value| {
                let mut json = json.clone();
                if let Some(fields) = json.as_object_mut() {
                    fields.retain(|name, _| name != "revision" && name != "closed");
                }
                json
            };
            plain(&parsed(&before.row.json)) != plain(after)
        }
    }
}

fn has_failed(json: &Value) -> bool {
    json.pointer("/enrichment/status").and_then(Value::as_str) == Some("failed")
}

/// What is kept as text has been read before.
fn parsed(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_default()
}

/// Keeps what a recomputation says, by target and identity. What a stream refuses is a dead letter of the running
/// pipeline, and nothing that the stream should have.
struct Collected<'a> {
    plan: &'a Plan,
    span: Span,
    /// Knows what the streams take; nothing is put into it.
    outbox: &'a Outbox,
    found: HashMap<Target, Rows>,
    bytes: usize,
}

impl Collected<'_> {
    fn keep(&mut self, target: Target, id: String, row: Option<Row>) {
        let rows = self.found.entry(target).or_default();
        let gone = rows.get(&id).map_or(0, |before| weight(&id, before.as_ref()));
        self.bytes = (self.bytes + weight(&id, row.as_ref())).saturating_sub(gone);
        rows.insert(id, row);
    }
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
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        if taken.is_err() {
            if let (Kind::Rows, Some(key)) = (kind, key) {
                // An earlier revision of it may stand in the stream, and stays.
                self.keep(target, text(key), None);
            }
            return taken;
        }
        let Some(value) = value else {
            if let (Some(key), Some(rows)) = (key, self.found.get_mut(&target)) {
                rows.remove(&text(key));
            }
            return Ok(());
        };
        let Ok(json) = serde_json::from_slice::<Value>(value) else { return Ok(()) };
        let Some(id) = identity(kind, key, &json) else { return Ok(()) };
        if is_of(self.span, &json) {
            let (key, json) = (key.map(Bytes::copy_from_slice), Bytes::copy_from_slice(value));
            self.keep(target, id, Some(Row { key, json, time_ms, cause: cause.cloned() }));
        } else if kind == Kind::Rows {
            self.keep(target, id, None);
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
