//! The news of executions on the default bus, in the shape of "Step Functions Execution Status Change".
//!
//! They are part of the commit that changed the status, so there is exactly one for each change.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use headwater_base::partition_of;
use headwater_kernel::port::bus::DEFAULT_BUS;
use headwater_kernel::port::workflows::ExecutionState;
use headwater_log::{Append, Log, Stream};
use headwater_wire::batch::{Builder, Compression};
use serde_json::Value;

use super::turn::Turn;
use crate::execution::Status;
use crate::execution::history::{Fields, json, text};
use crate::size;

/// The events' source.
pub const SOURCE: &str = "headwater.workflow";
/// Their type.
pub const KIND: &str = "Step Functions Execution Status Change";

/// A batch is closed at this size.
const BATCH_BYTES: usize = 256 * 1024;
/// Where input and output as they stand in the news are larger together, the input is left out; where the output alone
/// is, that is left out, too, as the service does.
const PAYLOADS_BYTES_MAX: usize = 248 * 1024;
/// Characters of an error and of a cause, of which the rest is left out: the service has no longer ones, and the news
/// have to fit into a batch.
const ERROR_CHARS_MAX: usize = 256;
const CAUSE_CHARS_MAX: usize = 32_768;

/// News of one commit.
pub(super) struct Told {
    bus: Option<Arc<Stream>>,
    open: BTreeMap<u32, (BytesMut, Builder)>,
}

impl Told {
    pub(super) fn new(log: &dyn Log) -> Self {
        Self { bus: log.stream(DEFAULT_BUS), open: BTreeMap::new() }
    }

    /// Tells that an execution has come to `state`.
    pub(super) fn add(&mut self, turn: &Turn, state: ExecutionState) {
        let Some(bus) = &self.bus else { return };
        let id = turn.head.id();
        let ended = state != ExecutionState::Running;
        let at = if ended { turn.head.stopped.unwrap_or(turn.head.started) } else { turn.head.started };
        let detail = detail(turn, state);
        let partition = partition_of(id.as_bytes(), bus.config.partitions.max(1));
        let (done, builder) =
            self.open.entry(partition).or_insert_with(|| (BytesMut::new(), Builder::new(Compression::None)));
        if !builder.is_empty() && builder.bytes() + detail.len() > BATCH_BYTES {
            done.unsplit(std::mem::replace(builder, Builder::new(Compression::None)).finish());
        }
        let number = turn.head.redrives;
        let event_id = format!("{id}/{}/{number}", state.name());
        let time = at.to_string();
        let arn = &turn.execution.identity.execution_arn;
        let mut headers: Vec<(&str, &[u8])> = vec![
            ("ce_specversion", b"1.0"),
            ("ce_id", event_id.as_bytes()),
            ("ce_source", SOURCE.as_bytes()),
            ("ce_type", KIND.as_bytes()),
            ("ce_subject", arn.as_bytes()),
            ("ce_time", time.as_bytes()),
            ("content-type", b"application/json"),
        ];
        let cause = turn.head.cause.as_ref();
        let (cause_id, hops) = (
            cause.map_or_else(|| id.clone(), |cause| cause.id.clone()),
            cause.map_or(1, |cause| cause.hops.saturating_add(1)).to_string(),
        );
        headers.push(("ce_causationid", cause_id.as_bytes()));
        headers.push(("ce_hops", hops.as_bytes()));
        builder.push(at.millis(), Some(id.as_bytes()), Some(&detail), &headers);
    }

    pub(super) fn finish(self) -> Vec<Append> {
        let Some(bus) = self.bus else { return Vec::new() };
        let append = |(partition, (mut batches, builder)): (u32, (BytesMut, Builder))| {
            batches.unsplit(builder.finish());
            Append { stream: bus.name.clone(), partition, batches }
        };
        self.open.into_iter().map(append).collect()
    }
}

/// What the news say, as the service says it.
fn detail(turn: &Turn, state: ExecutionState) -> Vec<u8> {
    let identity = &turn.execution.identity;
    let mut out = Vec::with_capacity(768);
    let mut fields = Fields::open(&mut out);
    for (name, shown) in [
        ("executionArn", identity.execution_arn.as_str()),
        ("stateMachineArn", &identity.machine_arn),
        ("name", &identity.name),
        ("status", state.name()),
    ] {
        text(shown, fields.field(name));
    }
    let ended = state != ExecutionState::Running;
    let status = if ended { &turn.execution.status } else { &Status::Running };
    json(&turn.head.started.millis(), fields.field("startDate"));
    json(&turn.head.stopped.filter(|_| ended).map(|at| at.millis()), fields.field("stopDate"));
    let output = if let Status::Succeeded(output) = status { Some(output) } else { None };
    let output = output.map(|output| shown(output, PAYLOADS_BYTES_MAX));
    let taken = output.as_ref().map_or(0, |output| output.as_ref().map_or(PAYLOADS_BYTES_MAX, Vec::len));
    let input = shown(&turn.execution.input, PAYLOADS_BYTES_MAX - taken);
    payload(&mut fields, ["input", "inputDetails"], Some(input));
    payload(&mut fields, ["output", "outputDetails"], output);
    let failure = match status {
        Status::Failed(failure) | Status::TimedOut(failure) | Status::Aborted(failure) => Some(failure),
        Status::Running | Status::Succeeded(_) => None,
    };
    let (error, cause) = failure.map_or((None, None), |failure| (failure.error.as_deref(), failure.cause.as_deref()));
    json(&error.map(|error| beginning(error, ERROR_CHARS_MAX)), fields.field("error"));
    json(&cause.map(|cause| beginning(cause, CAUSE_CHARS_MAX)), fields.field("cause"));
    fields.close();
    out
}

/// A payload's JSON text as a JSON string; None where that is larger than `bytes_max`.
fn shown(payload: &Value, bytes_max: usize) -> Option<Vec<u8>> {
    // A string is no shorter than its text: what is far too large is not written for nothing.
    if size::of(payload).0 > bytes_max {
        return None;
    }
    let mut shown = Vec::new();
    text(&payload.to_string(), &mut shown);
    (shown.len() <= bytes_max).then_some(shown)
}

fn beginning(text: &str, chars_max: usize) -> &str {
    let end = text.char_indices().nth(chars_max).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

/// A payload, which may be left out, and whether it is there; null for both where there is none.
fn payload(fields: &mut Fields<'_>, [name, details]: [&str; 2], shown: Option<Option<Vec<u8>>>) {
    let included = shown.as_ref().map(Option::is_some);
    fields.field(name).extend_from_slice(shown.flatten().as_deref().unwrap_or(b"null"));
    let details = fields.field(details);
    match included {
        Some(included) => details.extend_from_slice(format!("{{\"included\":{included}}}").as_bytes()),
        None => details.extend_from_slice(b"null"),
    }
}
