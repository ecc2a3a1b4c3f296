//! Kind Table: keyed documents over a compacted stream `table.<name>`, with a view that answers in microseconds.

use std::sync::Arc;

use headwater_base::{Limits, Name, Problem, Span};
use headwater_log::{Cleanup, StreamConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::kind::{self, ApplyOptions, Kind, View};
use crate::reconcile::{Observed, Owned, Plan, StreamObject, UnitSpec};
use crate::resource::{Draft, Resource};
use crate::schema;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "Table",
    plural: "tables",
    short: &["tb"],
    doc: "Keyed documents, each with a version. A write is an event of the compacted stream `table.<name>` first.",
    schema: kind::schema::<TableSpec>,
    example: EXAMPLE,
    effective: kind::effective::<TableSpec>,
    validate,
    change,
    refs: kind::no_refs,
    reconcile,
};

/// The unit kind that keeps a table's view up to date.
pub const VIEW_UNIT: &str = "table-view";

const EXAMPLE: &str = "\
apiVersion: headwater.dev/v1
kind: Table
metadata: {name: users}
spec:
  description: What is known of each user.
  key: user_id
  ttl: 90d
  schema:
    type: object
    required: [user_id]
    properties:
      user_id: {type: string}
";

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TableSpec {
    /// What a document says, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The document's field that is its key, for imports that do not give keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A JSON Schema (draft 2020-12) that every written document has to fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Map<String, Value>>,
    /// Age at which a document that nobody writes again goes. Without it documents stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// Partitions of the stream below. Cannot change. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 256))]
    pub partitions: u32,
}

fn one() -> u32 {
    1
}

/// Name of the stream below a table.
pub fn stream_name(table: &str) -> Result<Name, Problem> {
    Name::new(&format!("table.{table}"))
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: TableSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if let Err(problem) = stream_name(draft.name.as_str()) {
        problems.push(draft.origin.blame("/metadata/name", problem));
    }
    if let Some(Err(problem)) = spec.schema.map(|schema| schema::compile(&Value::Object(schema))) {
        problems.push(draft.origin.blame("/spec/schema", problem));
    }
    problems
}

fn change(old: &Resource, new: &Draft, _: &ApplyOptions) -> Vec<Problem> {
    let partitions = |spec: &Value| spec.get("partitions").and_then(Value::as_u64).unwrap_or(1);
    let (before, after) = (partitions(old.effective()), partitions(&new.spec));
    if before == after {
        return Vec::new();
    }
    let fact = format!("`spec.partitions` is {after}; the table has {before}, and where a key lies cannot change");
    let problem = Problem::new("HW-KERNEL-014", fact).help("create a new table and import the documents");
    vec![new.origin.blame("/spec/partitions", problem)]
}

fn reconcile(resource: &Arc<Resource>, _: &Observed) -> Plan {
    let Ok(name) = stream_name(resource.metadata.name.as_str()) else { return Plan::default() };
    let partitions = resource.effective().get("partitions").and_then(Value::as_u64).unwrap_or(1);
    let config = StreamConfig {
        partitions: u32::try_from(partitions).unwrap_or(1),
        retention_ms: None,
        cleanup: Cleanup::Compact,
        ..super::stream::default_config(&Limits::default())
    };
    Plan {
        streams: vec![StreamObject { name: name.clone(), config, extra: Vec::new(), alter: false }],
        units: vec![UnitSpec::of(VIEW_UNIT, resource)],
        owns: vec![Owned::Stream(name), Owned::View(resource.metadata.name.clone())],
        ..Plan::default()
    }
}
