//! `POST /v1/streams/{name}/events`: events in over HTTP, answered after they are durable.
//!
//! Invariant: an event that is answered as accepted or as a duplicate is durable. What it is NOT: a queue; when the
//! log is full the request waits, and the client's time-out is the limit.

pub mod decode;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use headwater_base::{Micros, Problem, closest, partition_of};
use headwater_kernel::dedupe::{self, Window};
use headwater_kernel::kinds::stream::OnMismatch;
use headwater_kernel::letter::Data;
use headwater_kernel::schema::Validator;
use headwater_log::{Append, Commit, Delta, Log, LogError, Placed, Sequence, Stream};
use headwater_wire::batch::{Builder, Compression};
use hyper::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::Api;
use crate::http::answer;
use crate::http::aside::aside;
use crate::http::body::media_type;
use crate::http::fault::{self, Fault};
use crate::http::query::Query;
use decode::{Format, Hints, Incoming, Item, decode};

/// The largest body that the thread which serves the request takes apart and appends; more takes over half a millisecond.
const HERE_BYTES: usize = 64 * 1024;

/// Rejected lines that an answer describes; more are only counted.
const REJECTED_SHOWN: usize = 100;

/// Bytes a record takes beyond its key, value and headers, at most.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// Bytes an id takes in the window beyond its text, at most.
const ID_OVERHEAD_BYTES: usize = 64;

/// Bytes that one request makes of its events; what is a little larger the log could never take as one commit.
const COMMIT_BYTES_MAX: usize = 31 << 20;

/// Query parameters of this address.
pub const QUERY: &[&str] = &["key", "id"];

/// What became of a request's events.
#[derive(Debug, Default)]
struct Outcome {
    accepted: usize,
    duplicates: usize,
    dead_lettered: usize,
    rejected: Vec<(u32, Problem)>,
    rejected_total: usize,
    placed: Vec<(u32, Placed)>,
}

/// An event that the stream takes, and where.
struct Ready {
    stream: Arc<Stream>,
    partition: u32,
    event: Incoming,
    dead: bool,
}

/// Takes events into a stream.
pub async fn publish(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let stream = find_stream(&*api.log, &name)?;
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query(), QUERY)?;
    let key = query.text("key").map(|key| Bytes::copy_from_slice(key.as_bytes()));
    let hints = Hints { key, id: query.text("id").map(str::to_owned) };
    let format = Format::of(&head.headers, &media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;

    let large = body.bytes.len() > HERE_BYTES;
    // The body has its room until the events, which share its memory, are durable.
    let (of, into, bytes) = (Arc::clone(&api), Arc::clone(&stream), body.bytes.clone());
    let examine = move || -> Result<(Vec<Ready>, Outcome), Fault> {
        let mut outcome = Outcome::default();
        let items = decode(format, &head.headers, &bytes, &hints)?;
        Ok((screen(&of, &into, items, &mut outcome)?, outcome))
    };
    let (ready, mut outcome) = if large { aside(examine).await?? } else { examine()? };
    if format != Format::Lines
        && let Some((_, problem)) = outcome.rejected.pop()
    {
        return Err(problem.into());
    }
    let outcome = write(&api, &stream, ready, outcome, large).await?;
    api.counters.events(&stream.name, outcome.accepted, outcome.duplicates, outcome.rejected_total);
    Ok(outcome.answer())
}

/// A stream by its name, or `HW-API-011` with the nearest one.
pub fn find_stream(log: &dyn Log, name: &str) -> Result<Arc<Stream>, Fault> {
    log.stream(name).ok_or_else(|| {
        let streams = log.streams();
        fault::no_stream(name, closest(name, streams.iter().map(|stream| stream.name.as_str())))
    })
}

/// Applies the stream's schema and limits, and chooses partitions; `HW-API-006` where all events together are too much.
fn screen(api: &Api, stream: &Arc<Stream>, items: Vec<Item>, outcome: &mut Outcome) -> Result<Vec<Ready>, Fault> {
    let gate = api.kernel.validator(stream.name.as_str());
    let round = api.round.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut ready = Vec::with_capacity(items.len());
    let mut bytes = 0;
    for item in items {
        let number = item.number;
        match item.event.and_then(|event| admit(api, stream, gate.as_ref(), event)) {
            Ok((target, event, dead)) => {
                let id = event.identity.as_ref().map_or(0, |identity| identity.len() + ID_OVERHEAD_BYTES);
                bytes += record_bytes(&event) + id;
                if bytes > COMMIT_BYTES_MAX {
                    let fact = format!("the events make records of more than {COMMIT_BYTES_MAX} bytes");
                    let problem = Problem::new("HW-API-006", format!("{fact}, which is the limit of one request"));
                    return Err(problem.help("send them in several requests, or with shorter keys and ids").into());
                }
                let partitions = target.config.partitions.max(1);
                let partition = match &event.key {
                    Some(key) => partition_of(key, partitions),
                    None => u32::try_from(round % u64::from(partitions)).unwrap_or(0),
                };
                ready.push(Ready { stream: target, partition, event, dead });
            }
            Err(problem) => {
                outcome.rejected_total += 1;
                if outcome.rejected.len() < REJECTED_SHOWN {
                    outcome.rejected.push((number, problem));
                }
            }
        }
    }
    Ok(ready)
}

/// Where one event goes, or why nowhere.
fn admit(
    api: &Api,
    stream: &Arc<Stream>,
    gate: Option<&Validator>,
    mut event: Incoming,
) -> Result<(Arc<Stream>, Incoming, bool), Problem> {
    let (mut target, mut dead) = (stream.clone(), false);
    if let Some(gate) = gate
        && let Some(reason) = gate.mismatch_text(&event.value)
    {
        let refusal =
            || Problem::new("HW-API-015", format!("the event does not fit the schema of `{}`: {reason}", stream.name));
        match (gate.on_mismatch, &gate.dead_letter) {
            (OnMismatch::Mark, _) => event.headers.push(("headwater-mismatch".to_owned(), Bytes::from(reason))),
            (OnMismatch::DeadLetter, Some(name)) => {
                target = api
                    .log
                    .stream(name.as_str())
                    .ok_or_else(|| refusal().because(format!("the dead-letter stream `{name}` is not there yet")))?;
                event.value = dead_letter(stream, &reason, api.clock.now(), &event.value);
                dead = true;
            }
            (OnMismatch::Refuse | OnMismatch::DeadLetter, _) => {
                return Err(refusal().help(format!("`headwater get stream/{} -o yaml` shows the schema", stream.name)));
            }
        }
    }
    let limit = target.config.batch_bytes();
    let bytes = record_bytes(&event) + headwater_wire::batch::HEADER_BYTES;
    if bytes > limit {
        return Err(Problem::new(
            "HW-API-014",
            format!("the event makes a record of {bytes} bytes; the limit of `{}` is {limit}", target.name),
        )
        .help("send a smaller event, or raise `maxBatch` of the stream"));
    }
    Ok((target, event, dead))
}

/// What a dead-letter stream keeps of an event: why, and the event as it came.
#[derive(Serialize)]
struct Letter<'a> {
    reason: &'a str,
    code: &'static str,
    position: Position<'a>,
    at: String,
    /// Whole, as the event has its place in no stream.
    #[serde(flatten)]
    data: Data,
}

/// The stream that did not take it.
#[derive(Serialize)]
struct Position<'a> {
    stream: &'a str,
}

fn dead_letter(stream: &Stream, reason: &str, at: Micros, value: &Bytes) -> Bytes {
    let letter = Letter {
        reason,
        code: "HW-API-015",
        position: Position { stream: stream.name.as_str() },
        at: at.to_string(),
        data: Data::whole(value),
    };
    Bytes::from(serde_json::to_vec(&letter).unwrap_or_default())
}

fn record_bytes(event: &Incoming) -> usize {
    let headers: usize = event.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
    event.value.len() + event.key.as_ref().map_or(0, Bytes::len) + headers + RECORD_OVERHEAD_BYTES
}

/// Writes what is new in one commit and waits until it, and whatever it repeats, is durable. Answers what became of it.
async fn write(
    api: &Arc<Api>,
    stream: &Arc<Stream>,
    mut ready: Vec<Ready>,
    mut outcome: Outcome,
    large: bool,
) -> Result<Outcome, Fault> {
    let identified = ready.iter().any(|ready| ready.event.identity.is_some());
    let window = match identified {
        true => Some(api.dedupe.window(&api.log, stream).await?),
        false => None,
    };
    let now = api.clock.now();
    let sequence = loop {
        // Somebody with a large body may hold the window for long.
        let waits = window.as_ref().is_some_and(|window| window.is_locked());
        let (of, into, window) = (Arc::clone(api), Arc::clone(stream), window.clone());
        let attempt = move || {
            let tried = match &window {
                Some(window) => append(&of, &into, &ready, Some(&mut window.lock()), now, &mut outcome),
                None => append(&of, &into, &ready, None, now, &mut outcome),
            };
            (tried, ready, outcome)
        };
        let tried;
        (tried, ready, outcome) = if large || waits { aside(attempt).await? } else { attempt() };
        match tried {
            Ok(sequence) => break sequence,
            Err(LogError::Full(_)) => api.log.room(&[stream.name.as_str()]).await,
            Err(error) => return Err(error.into()),
        }
    };
    if let Some(sequence) = sequence {
        api.log.durable(sequence).await?;
    }
    Ok(outcome)
}

/// One attempt: drops what was sent before, builds the batches, appends. Answers the commit to wait for.
fn append(
    api: &Api,
    stream: &Stream,
    ready: &[Ready],
    window: Option<&mut Window>,
    now: Micros,
    outcome: &mut Outcome,
) -> Result<Option<Sequence>, LogError> {
    let mut batches: BTreeMap<(&str, u32), (Builder, BytesMut, &Stream)> = BTreeMap::new();
    let mut deltas: Vec<Delta> = Vec::new();
    let (mut written, mut identities): (HashSet<&str>, Vec<&str>) = (HashSet::new(), Vec::new());
    let (mut accepted, mut dead_lettered, mut duplicates) = (0, 0, 0);
    for Ready { stream: target, partition, event, dead } in ready {
        if let (Some(window), Some(identity)) = (window.as_deref(), event.identity.as_deref()) {
            if window.has(identity) || !written.insert(identity) {
                duplicates += 1;
                continue;
            }
            deltas.push(window.change(identity, identities.len()));
            identities.push(identity);
        }
        let (builder, done, _) = batches
            .entry((target.name.as_str(), *partition))
            .or_insert_with(|| (Builder::new(Compression::None), BytesMut::new(), target));
        if !builder.is_empty() && builder.bytes() + record_bytes(event) > target.config.batch_bytes() {
            done.unsplit(std::mem::replace(builder, Builder::new(Compression::None)).finish());
        }
        let headers: Vec<(&str, &[u8])> =
            event.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())).collect();
        builder.push(event.time.unwrap_or(now).millis(), event.key.as_deref(), Some(&event.value), &headers);
        if *dead { dead_lettered += 1 } else { accepted += 1 }
    }
    let repeated = (duplicates > 0).then(|| window.as_ref().map_or(0, |window| window.last));
    if batches.is_empty() {
        outcome.duplicates = duplicates;
        return Ok(repeated);
    }
    let mut appends = Vec::with_capacity(batches.len());
    for ((_, partition), (builder, mut done, target)) in batches {
        if !builder.is_empty() {
            done.unsplit(builder.finish());
        }
        appends.push(Append { stream: target.name.clone(), partition, batches: done });
    }
    let places: Vec<(bool, u32)> =
        appends.iter().map(|append| (append.stream == stream.name, append.partition)).collect();
    let deltas = if deltas.is_empty() { Vec::new() } else { vec![(dedupe::space(stream), deltas)] };
    let ticket = api.log.append(&mut Commit { appends, deltas, ..Commit::default() })?;
    (outcome.accepted, outcome.dead_lettered, outcome.duplicates) = (accepted, dead_lettered, duplicates);
    let placed = places.into_iter().zip(ticket.placed).filter(|((here, _), _)| *here);
    outcome.placed = placed.map(|((_, partition), placed)| (partition, placed)).collect();
    if let Some(window) = window.filter(|_| !identities.is_empty()) {
        window.remember(&identities, ticket.sequence);
    }
    Ok(Some(ticket.sequence.max(repeated.unwrap_or(0))))
}

impl Outcome {
    /// 200 unless every line was rejected.
    fn answer(self) -> Response {
        let rejected: Vec<Value> = self
            .rejected
            .iter()
            .map(|(line, problem)| json!({ "line": line, "problem": Fault::from(problem.clone()).body() }))
            .collect();
        let nothing = self.accepted + self.duplicates + self.dead_lettered == 0;
        if nothing && let Some((_, first)) = self.rejected.into_iter().next() {
            let mut fault = Fault::new(StatusCode::UNPROCESSABLE_ENTITY, first);
            fault.members = vec![
                ("accepted", json!(0)),
                ("rejectedTotal", json!(self.rejected_total)),
                ("rejected", json!(rejected)),
            ];
            return fault.into_response();
        }
        let placed: Vec<Value> = self
            .placed
            .iter()
            .map(|(partition, placed)| json!({ "partition": partition, "first": placed.first, "last": placed.last }))
            .collect();
        let mut body = json!({
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "deadLettered": self.dead_lettered,
            "rejectedTotal": self.rejected_total,
            "placed": placed,
        });
        if let (false, Some(members)) = (rejected.is_empty(), body.as_object_mut()) {
            members.insert("rejected".to_owned(), json!(rejected));
        }
        answer::json(StatusCode::OK, &body)
    }
}
