//! Kind EventType: what events of one type say: full state or a sparse notice, a schema with versions, who sends and who
//! reads them, an example.
//!
//! What it is NOT: a gate. Events are checked where they come in, by the schema of their stream; this is what teams agree
//! on, and the agreement is checked: versions are compatible, the example fits, nothing published changes.

mod compatibility;

use std::sync::Arc;

use headwater_base::Problem;
use headwater_kernel::kind::{self, ApplyOptions, Kind, View};
use headwater_kernel::reconcile::{Observed, Plan};
use headwater_kernel::resource::{Draft, Resource};
use headwater_kernel::schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use compatibility::breaks;

/// The row of this kind.
pub const KIND: Kind = Kind {
    name: "EventType",
    plural: "eventtypes",
    short: &["et"],
    doc: "What events of one type say: full or sparse, schema with versions, producers, consumers, an example.",
    schema: kind::schema::<EventTypeSpec>,
    example: EXAMPLE,
    effective: kind::effective::<EventTypeSpec>,
    validate,
    change,
    refs: kind::no_refs,
    reconcile,
};

const EXAMPLE: &str = r#"apiVersion: headwater.dev/v1
kind: EventType
metadata: {name: lease-signed}
spec:
  type: LeaseSigned
  source: leasing
  state: full
  producers: [leasing-service]
  consumers: [finance, property-management]
  compatibility: backward
  versions:
    - version: 1
      schema:
        type: object
        required: [lease, unit]
        properties: {lease: {type: string}, unit: {type: string}}
    - version: 2
      schema:
        type: object
        required: [lease, unit]
        properties: {lease: {type: string}, unit: {type: string}, rent: {type: number}}
  example: {lease: l-17, unit: A-204, rent: 2150}
"#;

/// The spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventTypeSpec {
    /// What such an event means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The events' `type`, the envelope's `detail-type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The events' `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How much an event says. Default `full`.
    #[serde(default)]
    pub state: State,
    /// Where the rest of a sparse event's state is to be had, for people: an address, a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// Who sends such events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub producers: Vec<String>,
    /// Who reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<String>,
    /// What each version owes to the one before it. Default `backward`.
    #[serde(default)]
    pub compatibility: Compatibility,
    /// The versions, the oldest first; one that was applied never changes.
    pub versions: Vec<VersionSpec>,
    /// An event's content, in the newest version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
}

/// How much an event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Everything that a consumer needs.
    #[default]
    Full,
    /// That something happened, and to what; consumers ask for the rest.
    Sparse,
}

/// What a version owes to the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compatibility {
    /// Nothing.
    None,
    /// Who reads the new version can read events of the old one.
    #[default]
    Backward,
    /// Who reads the old version can read events of the new one.
    Forward,
    /// Both.
    Full,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionSpec {
    /// Its number; each is larger than the one before.
    #[schemars(range(min = 1))]
    pub version: u32,
    /// A JSON Schema (draft 2020-12) of the event's content.
    pub schema: Map<String, Value>,
}

fn validate(draft: &Draft, _: &View<'_>) -> Vec<Problem> {
    let spec: EventTypeSpec = match kind::decode(&draft.spec, "/spec", &draft.origin) {
        Ok(spec) => spec,
        Err(problem) => return vec![problem],
    };
    let blame = |pointer: &str, problem: Problem| draft.origin.blame(pointer, problem);
    let mut problems = Vec::new();
    if spec.versions.is_empty() {
        problems.push(blame("/spec/versions", Problem::new("HW-BUS-050", "an event type has at least one version")));
    }
    for (number, version) in spec.versions.iter().enumerate() {
        let at = format!("/spec/versions/{number}/schema");
        problems.extend(schema::compile(&Value::Object(version.schema.clone())).err().map(|fault| blame(&at, fault)));
    }
    for (number, pair) in spec.versions.windows(2).enumerate() {
        let [old, new] = pair else { continue };
        if new.version <= old.version {
            let fact = format!("version {} does not follow version {}", new.version, old.version);
            let at = format!("/spec/versions/{}/version", number + 1);
            problems
                .push(blame(&at, Problem::new("HW-BUS-050", fact).help("list versions from the oldest to the newest")));
        }
        let (older, newer) = (Value::Object(old.schema.clone()), Value::Object(new.schema.clone()));
        let backward = matches!(spec.compatibility, Compatibility::Backward | Compatibility::Full);
        let forward = matches!(spec.compatibility, Compatibility::Forward | Compatibility::Full);
        let mut found: Vec<(String, &str)> = Vec::new();
        if backward {
            found.extend(breaks(&newer, &older).into_iter().map(|fact| (fact, "backward")));
        }
        if forward {
            found.extend(breaks(&older, &newer).into_iter().map(|fact| (fact, "forward")));
        }
        for (fact, direction) in found {
            let title = format!("version {} is not {direction} compatible with {}: {fact}", new.version, old.version);
            let problem = Problem::new("HW-BUS-051", title)
                .help("make the change compatible, make another event type, or set `compatibility`");
            problems.push(blame(&format!("/spec/versions/{}/schema", number + 1), problem));
        }
    }
    if let (Some(example), Some(newest)) = (&spec.example, spec.versions.last())
        && let Ok(compiled) = schema::compile(&Value::Object(newest.schema.clone()))
        && let Some(fault) = compiled.validate(example).err()
    {
        let fact = format!("the example does not fit version {}: {fault}", newest.version);
        problems.push(blame("/spec/example", Problem::new("HW-BUS-052", fact)));
    }
    problems
}

/// What was published stays: consumers were written against it.
fn change(old: &Resource, new: &Draft, _: &ApplyOptions) -> Vec<Problem> {
    let read = |spec: &Value| serde_json::from_value::<EventTypeSpec>(spec.clone()).ok();
    let (Some(before), Some(after)) = (read(old.effective()), read(&new.spec)) else { return Vec::new() };
    let mut problems = Vec::new();
    for version in &before.versions {
        let fact = match after.versions.iter().find(|other| other.version == version.version) {
            Some(same) if same.schema == version.schema => continue,
            Some(_) => format!("version {} has been published and cannot change", version.version),
            None => format!("version {} has been published and cannot go", version.version),
        };
        let problem = Problem::new("HW-BUS-053", fact).help("add a version behind it");
        problems.push(new.origin.blame("/spec/versions", problem));
    }
    problems
}

fn reconcile(_: &Arc<Resource>, _: &Observed) -> Plan {
    Plan::default()
}

#[cfg(test)]
mod tests;
