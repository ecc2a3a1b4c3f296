//! The news of executions on the default bus, in the shape of "Step Functions Execution Status Change".
//!
//! They are part of the commit that changed the status, so there is exactly one for each change.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use headwater_base::{Micros, partition_of};
use headwater_kernel::port::bus::DEFAULT_BUS;
use headwater_kernel::port::workflows::ExecutionState;
use headwater_log::{Append, Log, Stream};
use headwater_wire::batch::{Builder, Compression};
use serde_json::{Value, json};

use super::status_text;
use super::turn::Turn;
use crate::execution::Status;

/// The events' source.
pub const SOURCE: &str = "headwater.workflow";
/// Their type.
pub const KIND: &str = "Step Functions Execution Status Change";

/// A batch is closed at this size.
const BATCH_BYTES: usize = 256 * 1024;
/// Input and output larger than this are left out, as the service does.
const PAYLOAD_BYTES_MAX: usize = 248 * 1024;

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
        let detail = detail(turn, state).to_string();
        let partition = partition_of(id.as_bytes(), bus.config.partitions.max(1));
        let (done, builder) =
            self.open.entry(partition).or_insert_with(|| (BytesMut::new(), Builder::new(Compression::None)));
        if !builder.is_empty() && builder.bytes() + detail.len() > BATCH_BYTES {
            done.unsplit(std::mem::replace(builder, Builder::new(Compression::None)).finish());
        }
        let number = turn.head.redrives;
        let event_id = format!("{id}/{}/{number}", status_text(state));
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
        builder.push(at.millis(), Some(id.as_bytes()), Some(detail.as_bytes()), &headers);
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

fn detail(turn: &Turn, state: ExecutionState) -> Value {
    let identity = &turn.execution.identity;
    let millis = |at: Micros| json!(at.millis());
    let payload = |value: &Value| {
        let text = value.to_string();
        let fits = text.len() <= PAYLOAD_BYTES_MAX;
        (if fits { json!(text) } else { Value::Null }, json!({ "included": fits }))
    };
    let (input, input_details) = payload(&turn.execution.input);
    let mut detail = json!({
        "executionArn": identity.execution_arn,
        "stateMachineArn": identity.machine_arn,
        "name": identity.name,
        "status": status_text(state),
        "startDate": millis(turn.head.started),
        "stopDate": Value::Null,
        "input": input,
        "inputDetails": input_details,
        "output": Value::Null,
        "outputDetails": Value::Null,
        "error": Value::Null,
        "cause": Value::Null,
    });
    if state == ExecutionState::Running {
        return detail;
    }
    detail["stopDate"] = turn.head.stopped.map_or(Value::Null, millis);
    match &turn.execution.status {
        Status::Succeeded(output) => (detail["output"], detail["outputDetails"]) = payload(output),
        Status::Failed(failure) | Status::TimedOut(failure) | Status::Aborted(failure) => {
            detail["error"] = json!(failure.error);
            detail["cause"] = json!(failure.cause);
        }
        Status::Running => {}
    }
    detail
}
