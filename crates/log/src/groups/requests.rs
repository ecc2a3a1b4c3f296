//! What members ask, what they are told, and why they are refused.

use bytes::Bytes;

use super::Phase;
use super::record::TEXT_BYTES_MAX;
use crate::LogError;

/// The shortest and longest session, in milliseconds (Kafka's `group.min.session.timeout.ms`, `group.max…`). Kafka's own
/// least is 6000, to spare its coordinators the heartbeats; kafka-python's suite takes 3000.
const SESSION_MS: std::ops::RangeInclusive<i32> = 1_000..=1_800_000;
/// The most that one member's subscriptions may hold.
const METADATA_BYTES_MAX: usize = 1 << 20;
/// The ways to share out that one member may know; each is compared with those of all others.
const PROTOCOLS_MAX: usize = 100;

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The id that the group gave; empty before that.
    pub member_id: String,
    /// The name that a static member keeps over restarts (KIP-345).
    pub instance: Option<String>,
}

/// One way to share partitions out, with what the member says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Such as `range` or `cooperative-sticky`.
    pub name: String,
    /// The member's subscription.
    pub metadata: Bytes,
}

/// A request to join.
#[derive(Clone, Debug)]
pub struct Join {
    /// The group.
    pub group: String,
    /// Who asks.
    pub identity: Identity,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it is.
    pub client_host: String,
    /// Silence after which it is taken for dead.
    pub session_timeout_ms: i32,
    /// The time it needs to join again.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, …
    pub protocol_type: String,
    /// In order of preference.
    pub protocols: Vec<Protocol>,
    /// The client joins again with the id it is given (KIP-394).
    pub two_steps: bool,
    /// The client understands `skip_assignment` (KIP-814).
    pub may_skip_assignment: bool,
}

impl Join {
    pub(super) fn check(&self) -> Result<(), GroupError> {
        if !SESSION_MS.contains(&self.session_timeout_ms) {
            return Err(GroupError::InvalidSessionTimeout);
        }
        let metadata: usize = self.protocols.iter().map(|protocol| protocol.metadata.len() + protocol.name.len()).sum();
        let mut texts = [&self.protocol_type, &self.client_id, &self.client_host]
            .into_iter()
            .chain(&self.identity.instance)
            .chain(self.protocols.iter().map(|protocol| &protocol.name));
        let is_long = texts.any(|text| text.len() > TEXT_BYTES_MAX);
        if metadata > METADATA_BYTES_MAX || self.protocols.len() > PROTOCOLS_MAX || is_long {
            return Err(GroupError::Full);
        }
        Ok(())
    }
}

/// A member of a new generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Its id.
    pub member_id: String,
    /// The generation.
    pub generation: i32,
    /// The group's kind.
    pub protocol_type: Option<String>,
    /// The way agreed on.
    pub protocol: Option<String>,
    /// Who shares out.
    pub leader: String,
    /// All members, for the leader.
    pub members: Vec<JoinedMember>,
    /// The leader shall keep the assignment there is.
    pub skip_assignment: bool,
}

/// A member as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// Its own name.
    pub instance: Option<String>,
    /// Its subscription.
    pub metadata: Bytes,
}

/// A request for the assignment.
#[derive(Clone, Debug, Default)]
pub struct Sync {
    /// The group.
    pub group: String,
    /// Who asks.
    pub identity: Identity,
    /// Of which generation.
    pub generation: i32,
    /// What the member takes the group for, if it says so.
    pub protocol_type: Option<String>,
    /// The way it thinks agreed on, if it says so.
    pub protocol: Option<String>,
    /// From the leader: member id -> its share.
    pub assignments: Vec<(String, Bytes)>,
}

/// A member's share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// The group's kind.
    pub protocol_type: Option<String>,
    /// The way agreed on.
    pub protocol: Option<String>,
    /// Its share, as the leader wrote it.
    pub assignment: Bytes,
}

/// Who leaves.
#[derive(Clone, Debug, Default)]
pub struct Leaver {
    /// By id, or by its own name with an empty id.
    pub identity: Identity,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub group: String,
    /// Its kind.
    pub protocol_type: String,
    /// Its state.
    pub phase: Phase,
}

/// A group in full.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its state.
    pub phase: Phase,
    /// Its kind.
    pub protocol_type: String,
    /// The way agreed on; empty while there is none.
    pub protocol: String,
    /// Its generation.
    pub generation: i32,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member in full.
#[derive(Clone, Debug)]
pub struct DescribedMember {
    /// Its id and own name.
    pub identity: Identity,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it is.
    pub client_host: String,
    /// Its subscription under the way agreed on.
    pub metadata: Bytes,
    /// Its share.
    pub assignment: Bytes,
}

/// Why a group refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// An empty or overlong name.
    #[error("a group's name has 1 to {} bytes", super::record::GROUP_BYTES_MAX)]
    InvalidGroupId,
    /// No such member.
    #[error("the member is not known to the group")]
    UnknownMember,
    /// The member is of another generation.
    #[error("the generation is not the group's")]
    IllegalGeneration,
    /// No protocol that all members have.
    #[error("the group's members have no protocol in common with this one")]
    InconsistentProtocol,
    /// Too short or too long.
    #[error("a session lasts from {} to {} ms", SESSION_MS.start(), SESSION_MS.end())]
    InvalidSessionTimeout,
    /// The member must join again.
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    /// The member must join again with this id.
    #[error("join again with the member id `{0}`")]
    MemberIdRequired(String),
    /// Another client has taken over the static member.
    #[error("another client has taken over this instance id")]
    FencedInstance,
    /// Too many members, or too large ones.
    #[error("the group is as large as it may be")]
    Full,
    /// A group with members cannot be deleted.
    #[error("the group has members")]
    NonEmpty,
    /// No such group.
    #[error("there is no such group")]
    NotFound,
    /// The group reads the stream whose offsets were to go.
    #[error("the group is subscribed to the topic")]
    Subscribed,
    /// A commit's text is too long.
    #[error("an offset's metadata has at most {} bytes", super::offsets::METADATA_BYTES_MAX)]
    MetadataTooLarge,
    /// The log refused.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The node stops.
    #[error("the groups are closed")]
    Closed,
}
