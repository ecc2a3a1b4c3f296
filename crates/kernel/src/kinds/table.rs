//! Kind Table: keyed documents over a compacted stream `table.<name>`, with a view that answers in microseconds; with
//! `changes`, every write is also told in `table.<name>.changes`.

use std::sync::Arc;

use headwater_base::{Limits, Name, Problem, Span};
use headwater_log::{Cleanup, StreamConfig};
use headwater_wire::change::Images;
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
  indexes:
    - {name: by_plan, fields: [plan, since]}
  changes: {images: newAndOldImages}
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
    /// The field that says when a document goes: seconds since 1970, or a time by RFC 3339. A document without it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_field: Option<String>,
    /// Fields by which documents are found in order, besides the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<IndexSpec>,
    /// Tells of every write in the stream `table.<name>.changes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangesSpec>,
    /// Partitions of the stream below. Cannot change. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 256))]
    pub partitions: u32,
}

/// A secondary index. A document is in it if it has all of the fields as strings, numbers or booleans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IndexSpec {
    /// What queries call it.
    pub name: String,
    /// Its fields, the first deciding first; dots lead into objects.
    #[schemars(length(min = 1, max = 8))]
    pub fields: Vec<String>,
}

/// How changes are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangesSpec {
    /// What of a document goes into its changes. Default `newAndOldImages`.
    #[serde(default)]
    #[schemars(with = "ImagesSpec")]
    pub images: Images,
    /// How long changes are kept. Default 7 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Span>,
}

/// The schema of [`Images`], which a codec holds.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
enum ImagesSpec {
    KeysOnly,
    NewImage,
    OldImage,
    NewAndOldImages,
}

/// Most indexes of a table.
const INDEXES_MAX: usize = 16;

fn one() -> u32 {
    1
}

/// Name of the stream below a table.
pub fn stream_name(table: &str) -> Result<Name, Problem> {
    Name::new(&format!("table.{table}"))
}

/// Name of the stream that tells of a table's changes.
pub fn changes_name(table: &str) -> Result<Name, Problem> {
    Name::new(&format!("table.{table}.changes"))
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
    if let Some(table) = draft.name.as_str().strip_suffix(".changes") {
        let fact =
            format!("a table cannot be called `{}`: its stream would be that of the changes of `{table}`", draft.name);
        problems.push(draft.origin.blame("/metadata/name", Problem::new("HW-KERNEL-009", fact)));
    }
    if let Err(problem) = changes_name(draft.name.as_str()) {
        problems.push(draft.origin.blame("/metadata/name", problem));
    }
    problems.extend(
        check_indexes(&spec.indexes)
            .map(|(at, fact)| draft.origin.blame(&format!("/spec/indexes/{at}"), Problem::new("HW-KERNEL-009", fact))),
    );
    if let Some(Err(problem)) = spec.schema.map(|schema| schema::compile(&Value::Object(schema))) {
        problems.push(draft.origin.blame("/spec/schema", problem));
    }
    problems
}

/// What is wrong with the indexes, and with which.
fn check_indexes(indexes: &[IndexSpec]) -> impl Iterator<Item = (usize, String)> {
    let faults = indexes.iter().enumerate().filter_map(|(at, index)| {
        let twice = indexes.iter().take(at).any(|before| before.name == index.name);
        let fault = match index {
            _ if at >= INDEXES_MAX => format!("a table has at most {INDEXES_MAX} indexes"),
            IndexSpec { name, .. } if name.is_empty() => "an index has no name".to_owned(),
            IndexSpec { name, .. } if twice => format!("the index `{}` comes twice", name.escape_debug()),
            IndexSpec { name, fields } if fields.iter().any(|field| field.is_empty()) => {
                format!("a field of the index `{}` has no name", name.escape_debug())
            }
            _ => return None,
        };
        Some((at, fault))
    });
    faults.collect::<Vec<_>>().into_iter()
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

fn reconcile(resource: &Arc<Resource>, observed: &Observed) -> Plan {
    let table = resource.metadata.name.as_str();
    let (Ok(name), Ok(changes)) = (stream_name(table), changes_name(table)) else { return Plan::default() };
    let spec = |key: &str| resource.effective().get(key);
    let partitions = spec("partitions").and_then(Value::as_u64).unwrap_or(1);
    let partitions = u32::try_from(partitions).unwrap_or(1);
    let config = StreamConfig {
        partitions,
        retention_ms: None,
        cleanup: Cleanup::Compact,
        ..super::stream::default_config(&Limits::default())
    };
    let mut streams = vec![StreamObject { name: name.clone(), config, extra: Vec::new(), alter: false }];
    let mut owns = vec![Owned::Stream(name), Owned::View(resource.metadata.name.clone())];
    let told = spec("changes").cloned().and_then(|spec| serde_json::from_value::<ChangesSpec>(spec).ok());
    // Changes that are not told any more stay until the table goes.
    if told.is_some() || observed.streams.contains_key(&changes) {
        owns.push(Owned::Stream(changes.clone()));
    }
    if let Some(told) = told {
        let base = super::stream::default_config(&Limits::default());
        let retention = told.retention.map(|span| i64::try_from(span.millis()).unwrap_or(i64::MAX));
        let config = StreamConfig { partitions, retention_ms: retention.or(base.retention_ms), ..base };
        streams.push(StreamObject { name: changes, config, extra: Vec::new(), alter: true });
    }
    Plan { streams, units: vec![UnitSpec::of(VIEW_UNIT, resource)], owns, ..Plan::default() }
}
