//! Streams that the node made because a resource wanted them: dead letters, late events, retries, outputs that nobody
//! described. Each bears the resource it was made for as a mark among its further configuration.
//!
//! What it is NOT: what a resource owns ([`Owned`]), which always goes with it. A stream that a client made bears no mark,
//! neither does one of a node that left none, and both stay.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use headwater_base::Name;
use headwater_log::Stream;

use crate::kind::Registry;
use crate::reconcile::{Observed, Owned};
use crate::resource::Resource;

/// The mark's key in [`Stream::extra`]; Kafka has no setting of this name, so that no client can set it.
pub const MARK: &str = "headwater.made-for";

/// The resource (`Kind/name`) that the node made a stream for; None where somebody else made it.
pub fn made_for(stream: &Stream) -> Option<&str> {
    stream.extra.iter().find(|(key, _)| key == MARK).map(|(_, id)| id.as_str())
}

/// Further configuration with the mark of a stream that is made for `id`.
pub(crate) fn marked(mut extra: Vec<(String, String)>, id: String) -> Vec<(String, String)> {
    extra.push((MARK.to_owned(), id));
    extra
}

/// Streams that the node made, by name, that nobody needs once `goes` are gone: one of these names them or is what they
/// were made for, and none of `stays` names them. Where one that stays cannot say what it names, there are none.
pub(crate) fn orphans(
    registry: &Registry,
    goes: &[Arc<Resource>],
    stays: &[Arc<Resource>],
    observed: &Observed,
) -> Vec<Arc<Stream>> {
    let ids: HashSet<String> = goes.iter().map(|resource| resource.id()).collect();
    let (mut named, mut owned): (HashSet<String>, HashSet<String>) = Default::default();
    for used in goes.iter().filter_map(|resource| Used::by(resource, registry, observed)) {
        named.extend(used.named);
        owned.extend(used.owned);
    }
    let goes_with = |stream: &Arc<Stream>| {
        let name = stream.name.as_str();
        made_for(stream).is_some_and(|id| ids.contains(id) || named.contains(name)) && !owned.contains(name)
    };
    let streams = observed.streams.values().filter(|stream| goes_with(stream));
    let mut orphans: BTreeMap<Name, Arc<Stream>> =
        streams.map(|stream| (stream.name.clone(), Arc::clone(stream))).collect();
    for resource in stays {
        if orphans.is_empty() {
            break;
        }
        let Some(used) = Used::by(resource, registry, observed) else { return Vec::new() };
        orphans.retain(|name, _| !used.named.contains(name.as_str()) && !used.owned.contains(name.as_str()));
    }
    orphans.into_values().collect()
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
