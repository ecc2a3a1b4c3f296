//! Kind Stream: a named, partitioned, retained, owned sequence of events.
//!
//! A stream may exist without a resource (a Kafka client created it); applying a resource of its name adopts it.
//! Invariants: a change of the spec never deletes records by itself and never shrinks partitions; what the spec does
//! not say stays as the log has it.

use std::sync::Arc;

use headwater_base::{Limits, Name, Problem, Size, Span};
use headwater_log::{BATCH_BYTES_MAX, Cleanup, StreamConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::kind::{self, ApplyOptions, Kind, Ref, View};
use crate::reconcile::{Observed, Owned, Plan, StreamObject};
use crate::resource::{Draft, Resource};
use crate::schema::{self, Validator};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Stream",
    plural: "streams",
    short: &["st"],
    doc: "A named, partitioned, retained sequence of events; also a Kafka topic of the same name.",
    schema: kind::schema::<StreamSpec>,
    example: EXAMPLE,
    effective,
    validate,
    change,
    refs,
    reconcile,
};

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Stream
metadata:
  name: orders
  labels: {team: checkout}
spec:
  description: One event for each step of an order.
  owner: checkout@example.com
  partitions: 8
  retention: {time: 7d, size: 10GiB}
  schema:
    onMismatch: dead-letter
    deadLetter: orders.dead
    json:
      type: object
      required: [id, time, kind]
      properties:
        id: {type: string}
        time: {type: string}
        kind: {enum: [placed, paid, shipped]}
";

/// The spec. Without any key a stream has 4 partitions and keeps events for 7 days.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StreamSpec {
    /// What the events mean, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Number of partitions; can grow, never shrink. Default 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub partitions: Option<u32>,
    /// How long and how much is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// What old events come to. Default `delete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<CleanupSpec>,
    /// The largest batch, as sent. Default 1 MiB, at most 8 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_batch: Option<Size>,
    /// What an event has to look like on its first level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSpec>,
}

/// How long and how much is kept. A bound that is not given does not apply; without `retention` it is 7 days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retention {
    /// Age at which events may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// Size of a partition at which its oldest events go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
}

/// What old events come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CleanupSpec {
    /// They go once they are too old or the partition is too large.
    Delete,
    /// The newest event of each key stays.
    Compact,
    /// Both.
    CompactDelete,
}

/// What an event has to look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchemaSpec {
    /// A JSON Schema (draft 2020-12) for the event's data.
    pub json: Map<String, Value>,
    /// What happens to an event that does not fit. Default `refuse`.
    #[serde(default)]
    pub on_mismatch: OnMismatch,
    /// The stream that takes events that do not fit, for `onMismatch: dead-letter`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Name>,
}

/// What happens to an event that does not fit the schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnMismatch {
    /// The sender gets an error.
    #[default]
    Refuse,
    /// It goes to the dead-letter stream with the reason.
    DeadLetter,
    /// It is taken, with the reason in the header `headwater-mismatch`.
    Mark,
}

/// How a stream is kept where nobody said anything; also for streams that Kafka clients create by naming them.
pub fn default_config(limits: &Limits) -> StreamConfig {
    StreamConfig {
        partitions: 4,
        retention_ms: Some(7 * 86_400_000),
        retention_bytes: None,
        cleanup: Cleanup::Delete,
        batch_bytes_max: u32::try_from(limits.batch_bytes).unwrap_or(u32::MAX),
        segment_bytes: 256 * 1024 * 1024,
        segment_ms: 7 * 86_400_000,
        delete_retention_ms: 86_400_000,
        append_time: false,
    }
}

/// The keys of the spec that set something in the log, with what they go back to when they leave the spec.
fn managed() -> [(&'static str, Value); 4] {
    [
        ("partitions", json!(4)),
        ("retention", json!({ "time": "7d" })),
        ("cleanup", json!("delete")),
        ("maxBatch", json!(Size::from_bytes(Limits::default().batch_bytes as u64))),
    ]
}

/// The spec, and the defaults of keys that an earlier spec set and this one does not: they go back. Keys that no spec
/// ever set stay as the log has them, which is what adopting a stream means.
fn effective(spec: &Value, before: Option<&Value>) -> Value {
    let mut effective = spec.as_object().cloned().unwrap_or_default();
    for (key, default) in managed() {
        if before.is_some_and(|before| before.get(key).is_some()) && !effective.contains_key(key) && key != "partitions"
        {
            effective.insert(key.to_owned(), default);
        }
    }
    Value::Object(effective)
}

fn validate(draft: &Draft, view: &View<'_>) -> Vec<Problem> {
    let spec: StreamSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if let Some(table) = draft.name.as_str().strip_prefix("table.").filter(|table| view.has("Table", table)) {
        let fact = format!("the stream `{}` belongs to the table `{table}`", draft.name);
        let problem = Problem::new("HW-KERNEL-027", fact).help(format!("change `Table/{table}` instead"));
        problems.push(draft.origin.blame("/metadata/name", problem));
    }
    if let Some(size) = spec.max_batch.filter(|size| size.bytes() > u64::from(BATCH_BYTES_MAX)) {
        let limit = Size::from_bytes(u64::from(BATCH_BYTES_MAX));
        let problem = Problem::new("HW-KERNEL-009", format!("`spec.maxBatch` is {size}; the limit is {limit}"))
            .help("keep what is larger elsewhere, and its address in the event");
        problems.push(draft.origin.blame("/spec/maxBatch", problem));
    }
    if let Some(schema) = &spec.schema {
        if let Err(problem) = Validator::compile(schema) {
            problems.push(draft.origin.blame("/spec/schema/json", problem));
        }
        if schema.on_mismatch == OnMismatch::DeadLetter && schema.dead_letter.is_none() {
            let problem = Problem::new("HW-KERNEL-008", "the key `deadLetter` is missing in `spec.schema`")
                .help("`onMismatch: dead-letter` needs the name of the stream that takes what does not fit");
            problems.push(draft.origin.blame("/spec/schema", problem));
        }
        if schema.dead_letter.as_ref() == Some(&draft.name) {
            let problem = Problem::new("HW-KERNEL-009", "a stream cannot be its own dead-letter stream");
            problems.push(draft.origin.blame("/spec/schema/deadLetter", problem));
        }
    }
    problems
}

fn change(old: &Resource, new: &Draft, _: &ApplyOptions) -> Vec<Problem> {
    let partitions = |spec: &Value| spec.get("partitions").and_then(Value::as_u64);
    match (partitions(old.effective()), partitions(&new.spec)) {
        (Some(before), Some(after)) if after < before => {
            let fact = format!("`spec.partitions` is {after}; the stream has {before} and partitions never shrink");
            let problem =
                Problem::new("HW-KERNEL-014", fact).help("create a new stream and let a pipeline copy the events");
            vec![new.origin.blame("/spec/partitions", problem)]
        }
        _ => Vec::new(),
    }
}

fn refs(spec: &Value) -> Vec<Ref> {
    let stream = spec.pointer("/schema/deadLetter").and_then(Value::as_str);
    let named = |name: &str| Ref {
        kind: "Stream",
        name: name.to_owned(),
        at: "/spec/schema/deadLetter".to_owned(),
        needed: false,
    };
    stream.map(named).into_iter().collect()
}

fn reconcile(resource: &Arc<Resource>, observed: &Observed) -> Plan {
    let spec: StreamSpec = serde_json::from_value(resource.effective().clone()).unwrap_or_default();
    let name = resource.metadata.name.clone();
    let there = observed.streams.get(&name);
    let base = there.map_or_else(|| default_config(&Limits::default()), |stream| stream.config.clone());
    let mut streams = vec![StreamObject {
        config: config(&spec, base),
        extra: there.map(|stream| stream.extra.clone()).unwrap_or_default(),
        alter: true,
        name: name.clone(),
    }];
    if let Some(dead) = spec.schema.and_then(|schema| schema.dead_letter) {
        let config = default_config(&Limits::default());
        streams.push(StreamObject { name: dead, config, extra: Vec::new(), alter: false });
    }
    Plan { streams, owns: vec![Owned::Stream(name)], ..Plan::default() }
}

/// `base` with everything that the spec says.
fn config(spec: &StreamSpec, base: StreamConfig) -> StreamConfig {
    let millis = |span: Span| i64::try_from(span.millis()).unwrap_or(i64::MAX);
    let bytes = |size: Size| i64::try_from(size.bytes()).unwrap_or(i64::MAX);
    let (retention_ms, retention_bytes) = match &spec.retention {
        Some(retention) => (retention.time.map(millis), retention.size.map(bytes)),
        None => (base.retention_ms, base.retention_bytes),
    };
    StreamConfig {
        partitions: spec.partitions.unwrap_or(base.partitions),
        retention_ms,
        retention_bytes,
        cleanup: match spec.cleanup {
            Some(CleanupSpec::Delete) => Cleanup::Delete,
            Some(CleanupSpec::Compact) => Cleanup::Compact,
            Some(CleanupSpec::CompactDelete) => Cleanup::CompactDelete,
            None => base.cleanup,
        },
        batch_bytes_max: spec
            .max_batch
            .map_or(base.batch_bytes_max, |size| u32::try_from(size.bytes()).unwrap_or(u32::MAX)),
        ..base
    }
}

/// The spec that describes a stream as the log keeps it.
pub(crate) fn spec_of(config: &StreamConfig) -> Value {
    let span = |millis: i64| Span::from_millis(u64::try_from(millis).unwrap_or(0));
    let size = |bytes: i64| Size::from_bytes(u64::try_from(bytes).unwrap_or(0));
    let retention = Retention { time: config.retention_ms.map(span), size: config.retention_bytes.map(size) };
    let spec = StreamSpec {
        partitions: Some(config.partitions),
        retention: (retention != Retention::default()).then_some(retention),
        cleanup: Some(match config.cleanup {
            Cleanup::Delete => CleanupSpec::Delete,
            Cleanup::Compact => CleanupSpec::Compact,
            Cleanup::CompactDelete => CleanupSpec::CompactDelete,
        }),
        max_batch: Some(Size::from_bytes(u64::from(config.batch_bytes_max))),
        ..StreamSpec::default()
    };
    serde_json::to_value(spec).unwrap_or_default()
}

/// The validator of a stream's resource, if its spec has a schema.
///
/// # Errors
/// `HW-KERNEL-026` when the schema does not compile.
pub fn validator(resource: &Resource) -> Result<Option<schema::Validator>, Problem> {
    let spec: StreamSpec = serde_json::from_value(resource.effective().clone()).unwrap_or_default();
    spec.schema.as_ref().map(Validator::compile).transpose()
}

#[cfg(test)]
mod tests;
