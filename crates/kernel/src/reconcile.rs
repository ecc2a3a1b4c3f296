//! What a kind's reconcile function says, and the difference between that and what is there.
//!
//! A reconcile function is PURE: a resource and what the log has, in; a [`Plan`], out. It starts and writes nothing.
//! The supervisor alone compares plans with what is there ([`difference`]) and acts; `apply --dry-run` prints the same
//! difference and does not act.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use headwater_base::Name;
use headwater_log::{Stream, StreamConfig};
use serde::Serialize;

use crate::resource::Resource;

/// What is there, as far as a reconcile function may look.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The log's streams by name.
    pub streams: HashMap<Name, Arc<Stream>>,
}

/// What a resource wants to be there.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Streams that should exist.
    pub streams: Vec<StreamObject>,
    /// Those among them that it reads: their events are somebody else's, and they stay when it goes.
    pub reads: Vec<Name>,
    /// Units that should run.
    pub units: Vec<UnitSpec>,
    /// Secrets that should be readable.
    pub secrets: Vec<Name>,
    /// What goes for good when the resource is deleted.
    pub owns: Vec<Owned>,
}

/// A stream that should exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamObject {
    /// Its name.
    pub name: Name,
    /// How it should be kept.
    pub config: StreamConfig,
    /// Further configuration, see [`Stream::extra`].
    pub extra: Vec<(String, String)>,
    /// Changes an existing stream to this configuration; otherwise only a missing one is created.
    pub alter: bool,
}

/// A unit that should run.
#[derive(Clone, Debug)]
pub struct UnitSpec {
    /// Which row of the table of unit kinds starts it.
    pub kind: &'static str,
    /// Its name, unique within its unit kind.
    pub name: String,
    /// Changes when the unit has to be started anew.
    pub hash: u64,
    /// The resource it runs for.
    pub resource: Arc<Resource>,
}

/// Something a resource owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owned {
    /// A stream with its records.
    Stream(Name),
    /// A key-value space of the log.
    Space(String),
    /// A table's view.
    View(Name),
    /// A folder of the data folder, with all that is in it.
    Folder(PathBuf),
    /// Something outside the data folder: who knows how to remove it, and what it is in their words.
    Outside(&'static str, String),
}

/// One step from what is there to what should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// What happens.
    pub verb: Verb,
    /// To what: `stream/orders`, `pipeline/enrich`.
    pub object: String,
    /// Why, or what changes: `retention_ms 3600000 -> 86400000`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What an [`Action`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Makes an object.
    Create,
    /// Changes an object.
    Alter,
    /// Removes an object for good.
    Delete,
    /// Starts a unit.
    Start,
    /// Stops a unit and starts it with its new spec.
    Restart,
    /// Stops a unit.
    Stop,
}

impl UnitSpec {
    /// The unit that runs for `resource` under the resource's name. It starts anew when the effective spec or the
    /// state epoch changes.
    pub fn of(kind: &'static str, resource: &Arc<Resource>) -> Self {
        let mut hasher = DefaultHasher::new();
        resource.metadata.uid.hash(&mut hasher);
        resource.metadata.state_epoch.hash(&mut hasher);
        resource.effective().to_string().hash(&mut hasher);
        Self { kind, name: resource.metadata.name.to_string(), hash: hasher.finish(), resource: Arc::clone(resource) }
    }

    /// `kind/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// The units that run now: id -> hash of the spec they run with.
pub type Running = BTreeMap<String, u64>;

/// The steps from what is there to what `plans` want, in the order they are taken: units that must stop first, then
/// objects, then units that start. `running` is compared with ALL plans, so pass those of every resource.
pub fn difference(plans: &[Plan], observed: &Observed, running: &Running) -> Vec<Action> {
    let mut actions = Vec::new();
    let wanted: BTreeMap<String, u64> =
        plans.iter().flat_map(|plan| &plan.units).map(|unit| (unit.id(), unit.hash)).collect();
    for id in running.keys().filter(|id| !wanted.contains_key(*id)) {
        actions.push(Action { verb: Verb::Stop, object: id.clone(), detail: String::new() });
    }
    // Each stream is made once.
    let mut objects: Vec<(&StreamObject, bool)> = plans.iter().flat_map(Plan::objects).collect();
    objects.sort_by_key(|(object, is_read)| (&object.name, object.turn(*is_read)));
    objects.dedup_by_key(|(object, _)| &object.name);
    for (object, _) in objects {
        actions.extend(object.action(observed));
    }
    for (id, hash) in &wanted {
        match running.get(id) {
            None => actions.push(Action { verb: Verb::Start, object: id.clone(), detail: String::new() }),
            Some(old) if old != hash => {
                actions.push(Action { verb: Verb::Restart, object: id.clone(), detail: "its spec changed".to_owned() });
            }
            Some(_) => {}
        }
    }
    actions
}

impl Plan {
    /// Its streams, and whether it reads them.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&StreamObject, bool)> {
        self.streams.iter().map(|object| (object, self.reads.contains(&object.name)))
    }
}

impl StreamObject {
    /// Whose wish counts where several want a stream to be there, the least first: its own resource says how it is kept;
    /// then come those that write to it, and at last those that read it.
    pub(crate) fn turn(&self, is_read: bool) -> (bool, bool) {
        (!self.alter, is_read)
    }

    /// What has to happen to the stream, if anything. Partitions never shrink and records are never deleted here: a
    /// smaller number of partitions than there is stands for the number there is.
    pub fn action(&self, observed: &Observed) -> Option<Action> {
        let object = format!("stream/{}", self.name);
        let Some(stream) = observed.streams.get(&self.name) else {
            let detail = match self.config.partitions {
                1 => "1 partition".to_owned(),
                count => format!("{count} partitions"),
            };
            return Some(Action { verb: Verb::Create, object, detail });
        };
        if !self.alter {
            return None;
        }
        let changes = self.changes(stream);
        (!changes.is_empty()).then(|| Action { verb: Verb::Alter, object, detail: changes.join(", ") })
    }

    /// The configuration the stream should be altered to: as wanted, with the partitions it has at least.
    pub fn target(&self, stream: &Stream) -> StreamConfig {
        StreamConfig { partitions: self.config.partitions.max(stream.config.partitions), ..self.config.clone() }
    }

    fn changes(&self, stream: &Stream) -> Vec<String> {
        let fields = |config: &StreamConfig| serde_json::to_value(config).unwrap_or_default();
        let (old, new) = (fields(&stream.config), fields(&self.target(stream)));
        let mut changes = Vec::new();
        for (field, value) in new.as_object().into_iter().flatten() {
            let before = old.get(field).unwrap_or(&serde_json::Value::Null);
            if before != value {
                changes.push(format!("{field} {before} -> {value}"));
            }
        }
        if self.extra != stream.extra {
            changes.push("further configuration".to_owned());
        }
        changes
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Alter => "alter",
            Self::Delete => "delete",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.object)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

#[cfg(test)]
mod tests;
