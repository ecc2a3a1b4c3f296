//! Kind Archive: keeps the events of a bus, so that a replay can give them out again.

use std::sync::Arc;

use headwater_base::{Limits, Name, Problem, Span};
use headwater_kernel::kind::{self, Kind, Ref, View};
use headwater_kernel::kinds::stream::default_config;
use headwater_kernel::port::bus::DEFAULT_BUS;
use headwater_kernel::reconcile::{Observed, Owned, Plan, StreamObject, UnitSpec};
use headwater_kernel::resource::{Draft, Resource};
use headwater_log::StreamConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{dead_letters, made, pattern, space};

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Archive",
    plural: "archives",
    short: &["ar"],
    doc: "Keeps the events of a stream that match a pattern in the stream `archive.<name>`; a replay gives them out again. What cannot be kept is on `<name>.dead`.",
    schema: kind::schema::<ArchiveSpec>,
    example: EXAMPLE,
    effective: kind::effective::<ArchiveSpec>,
    validate,
    change: kind::no_change_problems,
    refs,
    reconcile,
};

/// The unit kind that runs an archive.
pub const UNIT: &str = "archive";

const EXAMPLE: &str = r"apiVersion: headwater.dev/v1
kind: Archive
metadata: {name: orders}
spec:
  source: bus.default
  pattern: {source: [shop.orders]}
  retention: 90d
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchiveSpec {
    /// What the archive is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The stream whose events are kept. Default `bus.default`.
    #[serde(default = "default_bus")]
    pub source: String,
    /// Only events that match; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Map<String, Value>>,
    /// How long events are kept. Without it they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
}

fn default_bus() -> String {
    DEFAULT_BUS.to_owned()
}

/// The stream that holds an archive.
///
/// # Errors
/// `HW-BASE-001` for a name that is too long.
pub fn stream_name(archive: &str) -> Result<Name, Problem> {
    Name::new(&format!("archive.{archive}"))
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: ArchiveSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if let Err(problem) = Name::new(&spec.source) {
        problems.push(draft.origin.blame("/spec/source", problem));
    }
    if let Err(problem) = stream_name(draft.name.as_str()) {
        problems.push(draft.origin.blame("/metadata/name", problem));
    }
    if let Some(text) = &spec.pattern {
        problems.extend(pattern(text, "/spec/pattern", &draft.origin).err());
    }
    problems
}

fn refs(spec: &Value) -> Vec<Ref> {
    let Ok(spec) = serde_json::from_value::<ArchiveSpec>(spec.clone()) else { return Vec::new() };
    vec![Ref { kind: "Stream", name: spec.source, at: "/spec/source".to_owned(), needed: false }]
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let Ok(spec) = serde_json::from_value::<ArchiveSpec>(resource.effective().clone()) else { return Plan::default() };
    let name = &resource.metadata.name;
    let (Ok(source), Ok(stream)) = (Name::new(&spec.source), stream_name(name.as_str())) else {
        return Plan::default();
    };
    let retention_ms = spec.retention.map(|span| i64::try_from(span.millis()).unwrap_or(i64::MAX));
    // One partition, so that a replay gives events out in their order.
    let config = StreamConfig { partitions: 1, retention_ms, ..default_config(&Limits::default()) };
    let kept = StreamObject { name: stream.clone(), config, extra: Vec::new(), alter: true };
    Plan {
        streams: vec![made(source.clone(), 1), kept, made(dead_letters(name, None), 1)],
        reads: vec![source],
        units: vec![UnitSpec::of(UNIT, resource)],
        owns: vec![Owned::Stream(stream), Owned::Space(space(UNIT, name))],
        ..Plan::default()
    }
}
