//! A resource: what a user wants to be there, and how far the node has come with it.
//!
//! What the user wrote (`spec`) is kept as written; what the kind made of it (`effective`, defaults filled in) is kept
//! beside it, so that a diff shows only what somebody wrote. Follows the Kubernetes API conventions: `generation`
//! counts changes of the spec, `observedGeneration` says which of them the status speaks of.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_base::{Micros, Name, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::origin::Origin;

/// The one version of all resources.
pub const API_VERSION: &str = "headwater.dev/v1";

/// A resource as the node keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// [`API_VERSION`].
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// Name of its kind.
    pub kind: String,
    /// Who it is.
    pub metadata: Metadata,
    /// What the user wants, as written.
    pub spec: Value,
    /// What the kind made of the spec: defaults filled in.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub effective: Value,
    /// How far the node has come.
    #[serde(default)]
    pub status: Status,
}

/// Who a resource is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Its name, unique within its kind.
    pub name: Name,
    /// For selecting.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// For tools and people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Counts the changes of the spec, from 1; 0 for what exists without a resource.
    #[serde(default)]
    pub generation: u64,
    /// Differs after every write: of the spec, labels, annotations, the author's text, or the mark of a deletion. No version
    /// comes twice, also not of a name that was deleted and made again; 0 for what exists without a resource. A status is
    /// no write.
    #[serde(default, rename = "resourceVersion", skip_serializing_if = "is_zero")]
    pub version: u64,
    /// Differs between a resource and one created later under the same name.
    #[serde(default)]
    pub uid: String,
    /// When it was created.
    #[serde(default, with = "rfc3339")]
    pub created: Micros,
    /// Grows when the user asks for an empty state (`--reset-state`); a unit drops state of an older epoch.
    #[serde(default, rename = "stateEpoch", skip_serializing_if = "is_zero")]
    pub state_epoch: u64,
    /// When its deletion began; it goes once everything that it stands for is gone.
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub deleting: Option<Micros>,
    /// With it go streams that the node made for it and that nothing else names.
    #[serde(default, rename = "deletingMade", skip_serializing_if = "std::ops::Not::not")]
    pub deleting_made: bool,
}

/// Whether a resource is as its spec wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// It is.
    True,
    /// It is not, and will not be by waiting alone.
    False,
    /// Being worked on.
    #[default]
    Unknown,
}

/// The one condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The generation this speaks of.
    #[serde(default, rename = "observedGeneration")]
    pub observed_generation: u64,
    /// Whether it is as the spec wants it.
    #[serde(default)]
    pub ready: Ready,
    /// One word for programs.
    #[serde(default)]
    pub reason: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A resource somebody hands in, with where it was written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Name of its kind, as the registry spells it.
    pub kind: String,
    /// Its name.
    pub name: Name,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The generation it is meant to change; None changes whatever is there.
    pub generation: Option<u64>,
    /// The version it is meant to change; None changes whatever is there.
    pub version: Option<u64>,
    /// The spec.
    pub spec: Value,
    /// Where it was written.
    pub origin: Origin,
    /// As it was written, where that is kept.
    pub text: Option<Arc<str>>,
}

impl Status {
    /// The reason of a resource that waits for one that does not exist, perhaps for ever.
    pub const WAITING: &str = "Waiting";

    /// As wanted.
    pub fn ready(reason: &str, message: impl Into<String>) -> Self {
        Self { observed_generation: 0, ready: Ready::True, reason: reason.to_owned(), message: message.into() }
    }

    /// Not as wanted.
    pub fn failed(reason: &str, message: impl Into<String>) -> Self {
        Self { ready: Ready::False, ..Self::ready(reason, message) }
    }

    /// Not as wanted, because of a problem.
    pub fn broken(problem: &Problem) -> Self {
        Self::failed("Failed", format!("{}: {}", problem.code, problem.title))
    }

    /// On its way.
    pub fn pending(reason: &str, message: impl Into<String>) -> Self {
        Self { ready: Ready::Unknown, ..Self::ready(reason, message) }
    }

    /// Whether it is on its way and gets there by itself.
    pub fn is_underway(&self) -> bool {
        self.ready == Ready::Unknown && self.reason != Self::WAITING
    }
}

impl Resource {
    /// `Kind/name`: its key in the log and in messages.
    pub fn id(&self) -> String {
        id(&self.kind, self.metadata.name.as_str())
    }

    /// The spec with defaults, or as written where there are none.
    pub fn effective(&self) -> &Value {
        if self.effective.is_null() { &self.spec } else { &self.effective }
    }

    /// As people write it and as lists show it: without `effective`, with what the node manages where it is
    /// known.
    pub fn shown(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.shift_remove("effective");
        }
        value
    }

    /// What the user wrote alone: what `diff` compares.
    pub fn written(&self) -> Value {
        written(&self.kind, &self.metadata.name, &self.metadata.labels, &self.metadata.annotations, &self.spec)
    }

    /// As a draft, for validating what is stored already.
    pub fn draft(&self) -> Draft {
        Draft {
            kind: self.kind.clone(),
            name: self.metadata.name.clone(),
            labels: self.metadata.labels.clone(),
            annotations: self.metadata.annotations.clone(),
            generation: None,
            version: None,
            spec: self.spec.clone(),
            origin: Origin::resource(&self.id()),
            text: None,
        }
    }
}

impl Draft {
    /// `Kind/name`.
    pub fn id(&self) -> String {
        id(&self.kind, self.name.as_str())
    }

    /// What `diff` compares.
    pub fn written(&self) -> Value {
        written(&self.kind, &self.name, &self.labels, &self.annotations, &self.spec)
    }
}

/// `Kind/name`.
pub fn id(kind: &str, name: &str) -> String {
    format!("{kind}/{name}")
}

fn written(
    kind: &str,
    name: &Name,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
    spec: &Value,
) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(name));
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), json!(labels));
    }
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), json!(annotations));
    }
    json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Times as RFC 3339 text in documents that people read.
pub mod rfc3339 {
    use headwater_base::Micros;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the time as text.
    pub fn serialize<S: Serializer>(time: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    /// Reads the time from text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
        let text = String::deserialize(deserializer)?;
        Micros::parse_rfc3339(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no RFC 3339 time")))
    }

    /// The same where the time may be missing.
    pub mod option {
        use super::{Deserialize, Deserializer, Error, Micros, Serializer};

        /// Writes the time as text.
        pub fn serialize<S: Serializer>(time: &Option<Micros>, serializer: S) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => serializer.collect_str(time),
                None => serializer.serialize_none(),
            }
        }

        /// Reads the time from text.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Micros>, D::Error> {
            let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
            let time = Micros::parse_rfc3339(&text);
            time.map(Some).ok_or_else(|| D::Error::custom(format!("`{text}` is no RFC 3339 time")))
        }
    }
}
