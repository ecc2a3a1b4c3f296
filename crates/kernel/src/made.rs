//! Streams that the node made because a resource writes to them: dead letters, late events, retries, outputs that nobody
//! described. Each bears the resource it was made for as a mark among its further configuration.
//!
//! What it is NOT: what a resource owns ([`Owned`]), which always goes with it. A stream that the node made because somebody
//! asked for it, a resource that reads it ([`Plan::reads`]) or a Kafka client, bears a mark of another name: its events are
//! somebody else's. That one stays, as does one that a client made, or a node that left no marks.
//!
//! [`Plan::reads`]: crate::reconcile::Plan::reads

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use headwater_base::Micros;
use headwater_log::Stream;
use serde_json::Value;

use crate::kind::Registry;
use crate::reconcile::{Observed, Owned};
use crate::resource::{Metadata, Resource};

/// The mark's key in [`Stream::extra`]; Kafka has no setting of this name, so that no client can set it.
pub const MARK: &str = "headwater.made-for";

/// The resource (`Kind/name`) that the node made a stream for; None where somebody else made it.
pub fn made_for(stream: &Stream) -> Option<&str> {
    stream.extra.iter().find(|(key, _)| key == MARK).map(|(_, id)| id.as_str())
}

/// The mark's key of a stream that the node made because somebody asked for it. It tells people; nothing goes by it.
pub const ASKED: &str = "headwater.asked-for-by";

/// What is kept of a Kafka client's id, in characters: it may be as long as a request.
const CLIENT_CHARS_MAX: usize = 100;

/// Who asked for a stream so that the node made it: a resource (`Kind/name`) that reads it, or a Kafka client
/// (`kafka/CLIENT_ID`).
pub fn asked_by(stream: &Stream) -> Option<&str> {
    stream.extra.iter().find(|(key, _)| key == ASKED).map(|(_, who)| who.as_str())
}

/// Further configuration of a stream that a Kafka client has asked for.
pub fn by_kafka(client_id: &str) -> Vec<(String, String)> {
    let client: String = client_id.chars().filter(|c| !c.is_control()).take(CLIENT_CHARS_MAX).collect();
    vec![(ASKED.to_owned(), format!("kafka/{client}"))]
}

/// Whether further configuration of this name is a mark of the node's.
pub fn is_mark(key: &str) -> bool {
    key == MARK || key == ASKED
}

/// Further configuration with the mark of a stream that is made for `id`, which reads it or writes to it.
pub(crate) fn marked(mut extra: Vec<(String, String)>, id: String, is_read: bool) -> Vec<(String, String)> {
    extra.push((if is_read { ASKED } else { MARK }.to_owned(), id));
    extra
}

/// Streams that the node made, by name, that nobody needs once `goes` are gone: one of these names them or is what they
/// were made for, and none of `stays` is that or names them, be it in the text of a query or of a definition. Where one
/// that stays cannot say what it names, there are none.
pub(crate) fn orphans(
    registry: &Registry,
    goes: &[Arc<Resource>],
    stays: &[Arc<Resource>],
    observed: &Observed,
    known: &mut Known,
) -> Vec<Arc<Stream>> {
    let born: HashMap<String, Micros> = goes.iter().map(|one| (one.id(), one.metadata.created)).collect();
    let (mut named, mut owned): (HashSet<String>, HashSet<String>) = Default::default();
    for used in goes.iter().filter_map(|resource| Used::by(resource, registry, observed)) {
        named.extend(used.named);
        owned.extend(used.owned);
    }
    let goes_with = |stream: &Arc<Stream>| {
        let name = stream.name.as_str();
        let Some(id) = made_for(stream).filter(|_| !owned.contains(name)) else { return false };
        // Older than the resource it is of one that had the name before and left it.
        named.contains(name) || born.get(id).is_some_and(|born| stream.created >= *born)
    };
    // There may be thousands of both: each that stays is looked through once, whatever goes.
    let (mut orphans, mut made): (BTreeMap<&str, &Arc<Stream>>, HashMap<&str, Vec<&str>>) = Default::default();
    for stream in observed.streams.values().filter(|stream| goes_with(stream)) {
        orphans.insert(stream.name.as_str(), stream);
        made.entry(made_for(stream).unwrap_or_default()).or_default().push(stream.name.as_str());
    }
    for resource in stays {
        if orphans.is_empty() {
            break;
        }
        let Some(used) = known.of(resource, registry, observed) else { return Vec::new() };
        for name in used.named.iter().chain(&used.owned) {
            orphans.remove(name.as_str());
        }
        for name in made.remove(resource.id().as_str()).into_iter().flatten() {
            orphans.remove(name);
        }
        words(resource.effective(), &mut |word: &str| {
            orphans.remove(word);
        });
    }
    orphans.into_values().cloned().collect()
}

/// Looks at each word of the texts of a spec that may be a stream's name. What a task of a workflow or a query names no
/// kind knows, and a spec that this version cannot read names nothing.
fn words(spec: &Value, look: &mut impl FnMut(&str)) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match spec {
        Value::String(text) => text.split(|c| !is_part(c)).for_each(look),
        Value::Array(all) => {
            for one in all {
                words(one, look);
            }
        }
        Value::Object(fields) => {
            for one in fields.values() {
                words(one, look);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What resources that stay use, for questions that are asked one after the other: each version is looked up once.
#[derive(Default)]
pub(crate) struct Known(HashMap<String, (String, u64, Option<Used>)>);

impl Known {
    /// As [`Used::by`].
    fn of(&mut self, resource: &Arc<Resource>, registry: &Registry, observed: &Observed) -> Option<&Used> {
        let (id, Metadata { uid, version, .. }) = (resource.id(), &resource.metadata);
        if self.0.get(&id).is_none_or(|(of, at, _)| of != uid || at != version) {
            self.0.insert(id.clone(), (uid.clone(), *version, Used::by(resource, registry, observed)));
        }
        self.0.get(&id).and_then(|(.., used)| used.as_ref())
    }
}

/// The streams of one resource.
struct Used {
    /// Those that its spec names, and those that it wants to be there.
    named: HashSet<String>,
    /// Those that go with it.
    owned: HashSet<String>,
}

impl Used {
    /// None where that cannot be said: the kind is unknown, or has a bug.
    fn by(resource: &Arc<Resource>, registry: &Registry, observed: &Observed) -> Option<Self> {
        let kind = registry.kind(&resource.kind)?;
        let (names, plan) = (kind.names(resource).ok()?, kind.plan(resource, observed).ok()?);
        let named = names.into_iter().filter(|reference| reference.kind == "Stream").map(|reference| reference.name);
        let wanted = plan.streams.into_iter().map(|object| object.name.to_string());
        let owned = plan.owns.into_iter().filter_map(|owned| match owned {
            Owned::Stream(name) => Some(name.to_string()),
            _ => None,
        });
        Some(Self { named: named.chain(wanted).collect(), owned: owned.collect() })
    }
}
