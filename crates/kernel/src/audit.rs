//! The audit stream: one event for each change of a resource or a table by a user, in the same commit as the change.
//!
//! Invariants: what is in the log has its audit event, and the other way round; an event holds names and outcomes,
//! never a spec, a document or a secret.

use headwater_base::{Limits, Micros, Name, Principal, Problem};
use headwater_log::{Append, StreamConfig};
use headwater_wire::batch::{Builder, Compression};
use serde::{Deserialize, Serialize};

use crate::kinds::stream::default_config;
use crate::resource::rfc3339;

/// Name of the stream.
pub const STREAM: &str = "headwater.audit";

/// Who acts where nobody is named: whoever runs the node, and the node itself.
pub const LOCAL: &str = "local";

/// How `principal` is called. It is whom a request names, and believed, until identities exist; requests of Kafka and AWS
/// name nobody, and neither do those of the Iceberg catalog.
pub fn who(principal: &Principal) -> String {
    if principal.is_admin() { LOCAL.to_owned() } else { principal.to_string() }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    #[serde(with = "rfc3339")]
    pub time: Micros,
    /// Who, as [`who`] calls them.
    pub who: String,
    /// What was asked for: `apply`, `delete`, `put`, `import`.
    pub verb: String,
    /// Of which kind.
    pub kind: String,
    /// Of which name.
    pub name: String,
    /// The generation that came out.
    pub generation: u64,
    /// What became of it: `created`, `configured`, `deleting`, `deleted`; `rewritten` where only the text is another.
    pub outcome: String,
}

/// The stream's name.
///
/// # Errors
/// None in practice: the name is a constant.
pub fn stream() -> Result<Name, Problem> {
    Name::new(STREAM)
}

/// How the stream is kept: one partition, so that there is one order; a year.
pub fn config(limits: &Limits) -> StreamConfig {
    StreamConfig { partitions: 1, retention_ms: Some(365 * 86_400_000), ..default_config(limits) }
}

/// The append of `entries`; None without entries.
pub fn append(entries: &[Entry]) -> Option<Append> {
    let stream = stream().ok()?;
    let mut builder = Builder::new(Compression::None);
    for entry in entries {
        let key = crate::resource::id(&entry.kind, &entry.name);
        let value = serde_json::to_vec(entry).ok()?;
        builder.push(entry.time.millis(), Some(key.as_bytes()), Some(&value), &[]);
    }
    (!entries.is_empty()).then(|| Append { stream, partition: 0, batches: builder.finish() })
}
