//! A member of a group, and what it says of itself.
//!
//! What it is NOT: it decides nothing about its group.

use std::collections::HashSet;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::super::requests::{Identity, Join, Protocol};

#[derive(Debug)]
pub(in super::super) struct Member {
    pub(in super::super) identity: Identity,
    pub(in super::super) client_id: String,
    pub(in super::super) client_host: String,
    pub(in super::super) session: Duration,
    pub(in super::super) rebalance: Duration,
    pub(in super::super) protocols: Vec<Protocol>,
    pub(in super::super) assignment: Bytes,
    /// When silence ends its membership.
    pub(in super::super) deadline: Duration,
    /// Who waits for its join.
    pub(in super::super) join: Option<u64>,
    /// Who waits for its sync.
    pub(in super::super) sync: Option<u64>,
}

impl Member {
    pub(super) const fn waits(&self) -> bool {
        self.join.is_some() || self.sync.is_some()
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.protocols.iter().any(|protocol| protocol.name == name)
    }
}

impl Identity {
    /// Whether both are the same member, by id or by its own name.
    pub(super) fn is(&self, other: &Self) -> bool {
        (!other.member_id.is_empty() && self.member_id == other.member_id)
            || (other.instance.is_some() && self.instance == other.instance)
    }
}

pub(super) fn session_of(request: &Join) -> Duration {
    Duration::from_millis(u64::try_from(request.session_timeout_ms).unwrap_or(0))
}

/// Clients of the first protocol version name none: their session counts.
pub(super) fn rebalance_of(timeout_ms: i32, session: Duration) -> Duration {
    u64::try_from(timeout_ms).map_or(session, Duration::from_millis)
}

/// Adds the streams of a subscription.
pub(super) fn read_topics(mut metadata: &[u8], topics: &mut HashSet<String>) -> Option<()> {
    metadata.try_get_i16().ok()?;
    for _ in 0..metadata.try_get_i32().ok()?.max(0) {
        let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        topics.insert(std::str::from_utf8(metadata.get(..length)?).ok()?.to_owned());
        metadata.advance(length);
    }
    Some(())
}
