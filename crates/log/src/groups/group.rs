//! One consumer group as a state machine: requests and time in, answers out. No clock, no lock, no wait.
//!
//! ```text
//! Empty --join--> Preparing --all joined, or time is up--> Completing --leader's sync--> Stable
//!   ^                ^                                          |                          |
//!   |                +----- member joins, leaves or falls silent, in any phase ------------+
//!   +--- last member gone
//! ```
//! Invariants: a generation never comes twice; members of a generation agree on one protocol; the leader is a member;
//! a member that waits for a join or sync never times out by silence.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Limits, Micros};

use super::requests::{
    Described, DescribedMember, GroupError, Identity, Join, Joined, JoinedMember, Leaver, Protocol, Sync, Synced,
};

/// A group's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No members.
    Empty,
    /// Waits for members to join.
    Preparing,
    /// Waits for the leader's assignment.
    Completing,
    /// Assigned.
    Stable,
}

impl Phase {
    /// Kafka's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// Answers that became ready, and whether the group must be stored.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) joins: Vec<(u64, Result<Joined, GroupError>)>,
    pub(super) syncs: Vec<(u64, Result<Synced, GroupError>)>,
    pub(super) store: bool,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) phase: Phase,
    pub(super) generation: i32,
    pub(super) protocol_type: String,
    pub(super) protocol: Option<String>,
    pub(super) leader: Option<String>,
    /// In the order of joining.
    pub(super) members: Vec<Member>,
    /// Ids given out that have not joined yet, and until when they may.
    pending: HashMap<String, Duration>,
    /// When the present phase ends by itself.
    phase_until: Option<Duration>,
    /// Since when there is no member.
    pub(super) empty_since: Micros,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) identity: Identity,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session: Duration,
    pub(super) rebalance: Duration,
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// When silence ends its membership.
    pub(super) deadline: Duration,
    /// Who waits for its join.
    pub(super) join: Option<u64>,
    /// Who waits for its sync.
    pub(super) sync: Option<u64>,
}

impl Group {
    pub(super) fn new(now: Micros) -> Self {
        Self {
            phase: Phase::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: None,
            leader: None,
            members: Vec::new(),
            pending: HashMap::new(),
            phase_until: None,
            empty_since: now,
        }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn protocol_type(&self) -> &str {
        &self.protocol_type
    }

    pub(super) const fn empty_since(&self) -> Micros {
        self.empty_since
    }

    /// When something happens by itself next.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let sessions = self.members.iter().filter(|member| !member.waits()).map(|member| member.deadline);
        sessions.chain(self.pending.values().copied()).chain(self.phase_until).min()
    }

    // ---- joining ----

    /// `new_id` is used if the member has none yet.
    pub(super) fn join(
        &mut self,
        request: Join,
        new_id: String,
        waiter: u64,
        now: Duration,
        limits: &Limits,
    ) -> Effects {
        let mut effects = Effects::default();
        if let Err(refusal) = self.try_join(request, new_id, waiter, now, limits, &mut effects) {
            effects.joins.push((waiter, Err(refusal)));
        }
        effects
    }

    fn try_join(
        &mut self,
        request: Join,
        new_id: String,
        waiter: u64,
        now: Duration,
        limits: &Limits,
        effects: &mut Effects,
    ) -> Result<(), GroupError> {
        if !self.admits(&request) {
            return Err(GroupError::InconsistentProtocol);
        }
        if request.identity.member_id.is_empty() {
            if let Some(instance) = &request.identity.instance
                && let Some(index) = self.member_of_instance(instance)
            {
                self.replace_static(index, request, new_id, waiter, now, effects);
                return Ok(());
            }
            if self.members.len() + self.pending.len() >= limits.group_members {
                return Err(GroupError::Full);
            }
            if request.two_steps && request.identity.instance.is_none() {
                self.pending.insert(new_id.clone(), now + session_of(&request));
                return Err(GroupError::MemberIdRequired(new_id));
            }
            self.add(request, new_id, waiter, now, effects);
            return Ok(());
        }
        if self.pending.remove(&request.identity.member_id).is_some() {
            let id = request.identity.member_id.clone();
            self.add(request, id, waiter, now, effects);
            return Ok(());
        }
        let index = self.find(&request.identity)?;
        self.rejoin(index, request, waiter, now, effects);
        Ok(())
    }

    /// A member of the group comes back with its id.
    fn rejoin(&mut self, index: usize, request: Join, waiter: u64, now: Duration, effects: &mut Effects) {
        let Some(member) = self.members.get(index) else { return };
        let same = member.protocols == request.protocols;
        let leads = self.leader.as_deref() == Some(&member.identity.member_id);
        let again = match self.phase {
            Phase::Completing => !same,
            Phase::Stable => leads || !same,
            Phase::Preparing | Phase::Empty => true,
        };
        if again {
            self.update(index, request, waiter, effects);
            self.rebalance(now, effects);
            return;
        }
        // Its answer got lost: it gets it again.
        let answer = self.joined(index);
        effects.joins.push((waiter, Ok(answer)));
        if let Some(member) = self.members.get_mut(index) {
            member.deadline = now + member.session;
        }
    }

    fn add(&mut self, request: Join, id: String, waiter: u64, now: Duration, effects: &mut Effects) {
        if self.members.is_empty() {
            self.protocol_type.clone_from(&request.protocol_type);
        }
        let session = session_of(&request);
        self.members.push(Member {
            identity: Identity { member_id: id, instance: request.identity.instance },
            client_id: request.client_id,
            client_host: request.client_host,
            session,
            rebalance: rebalance_of(request.rebalance_timeout_ms, session),
            protocols: request.protocols,
            assignment: Bytes::new(),
            deadline: now + session,
            join: Some(waiter),
            sync: None,
        });
        self.rebalance(now, effects);
    }

    /// Another client takes the place of a static member.
    fn replace_static(
        &mut self,
        index: usize,
        request: Join,
        new_id: String,
        waiter: u64,
        now: Duration,
        effects: &mut Effects,
    ) {
        let may_skip = request.may_skip_assignment;
        let Some(member) = self.members.get_mut(index) else { return };
        let old_id = std::mem::replace(&mut member.identity.member_id, new_id.clone());
        member.deadline = now + session_of(&request);
        if let Some(old) = member.join.take() {
            effects.joins.push((old, Err(GroupError::FencedInstance)));
        }
        if let Some(old) = member.sync.take() {
            effects.syncs.push((old, Err(GroupError::FencedInstance)));
        }
        let leads = self.leader.as_deref() == Some(&old_id);
        if leads {
            self.leader = Some(new_id);
        }
        let before = self.protocol.clone();
        self.update(index, request, waiter, effects);
        if self.phase != Phase::Stable || self.choose_protocol() != before {
            return self.rebalance(now, effects);
        }
        // Nothing has changed for the others: it goes on with the old assignment.
        if let Some(member) = self.members.get_mut(index) {
            member.join = None;
        }
        let mut answer = self.joined(index);
        if leads && may_skip {
            answer.skip_assignment = true;
        } else if leads {
            // Older clients that lead would share out anew, which nobody waits for.
            answer.leader = old_id;
            answer.members.clear();
        }
        effects.joins.push((waiter, Ok(answer)));
        effects.store = true;
    }

    fn update(&mut self, index: usize, request: Join, waiter: u64, effects: &mut Effects) {
        let Some(member) = self.members.get_mut(index) else { return };
        member.session = session_of(&request);
        member.rebalance = rebalance_of(request.rebalance_timeout_ms, member.session);
        member.protocols = request.protocols;
        member.client_id = request.client_id;
        member.client_host = request.client_host;
        if let Some(old) = member.join.replace(waiter) {
            // The same member on a new connection.
            effects.joins.push((old, Err(GroupError::RebalanceInProgress)));
        }
    }

    /// Whether the request has a protocol that all other members have too.
    fn admits(&self, request: &Join) -> bool {
        if request.protocol_type.is_empty() || request.protocols.is_empty() {
            return false;
        }
        let others = || self.members.iter().filter(|member| !member.identity.is(&request.identity));
        if others().next().is_none() {
            return true;
        }
        let common = |name: &str| others().all(|member| member.knows(name));
        self.protocol_type == request.protocol_type && request.protocols.iter().any(|protocol| common(&protocol.name))
    }

    /// Starts, or goes on with, a new generation.
    fn rebalance(&mut self, now: Duration, effects: &mut Effects) {
        if self.phase != Phase::Preparing {
            for member in &mut self.members {
                member.assignment = Bytes::new();
                if let Some(waiter) = member.sync.take() {
                    member.deadline = now + member.session;
                    effects.syncs.push((waiter, Err(GroupError::RebalanceInProgress)));
                }
            }
            self.phase = Phase::Preparing;
            let longest = self.members.iter().map(|member| member.rebalance).max().unwrap_or_default();
            self.phase_until = Some(now + longest);
        }
        if self.pending.is_empty() && self.members.iter().all(|member| member.join.is_some()) {
            self.complete_join(now, effects);
        }
    }

    /// Everybody is there, or time is up: the next generation begins.
    fn complete_join(&mut self, now: Duration, effects: &mut Effects) {
        // A static member that is late stays: it has until the end of its session.
        self.members.retain(|member| member.join.is_some() || member.identity.instance.is_some());
        let led =
            |id: &String| self.members.iter().any(|member| member.identity.member_id == *id && member.join.is_some());
        if !self.leader.as_ref().is_some_and(led) {
            self.leader = self
                .members
                .iter()
                .find(|member| member.join.is_some())
                .map(|member| member.identity.member_id.clone());
        }
        if self.leader.is_none() && !self.members.is_empty() {
            // Only static members that are all late: wait on.
            let longest = self.members.iter().map(|member| member.rebalance).max().unwrap_or_default();
            self.phase_until = Some(now + longest.max(Duration::from_millis(1)));
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = self.choose_protocol();
        self.phase = Phase::Completing;
        let longest = self.members.iter().map(|member| member.rebalance).max().unwrap_or_default();
        self.phase_until = Some(now + longest);
        for index in 0..self.members.len() {
            let answer = self.joined(index);
            let Some(member) = self.members.get_mut(index) else { continue };
            if let Some(waiter) = member.join.take() {
                member.deadline = now + member.session;
                effects.joins.push((waiter, Ok(answer)));
            }
        }
    }

    /// The protocol that most members like best among those all have.
    fn choose_protocol(&self) -> Option<String> {
        let first = self.members.first()?;
        let common: HashSet<&str> = first
            .protocols
            .iter()
            .map(|protocol| protocol.name.as_str())
            .filter(|name| self.members.iter().all(|member| member.knows(name)))
            .collect();
        let mut votes: HashMap<&str, usize> = HashMap::new();
        for member in &self.members {
            let favourite = member.protocols.iter().find(|protocol| common.contains(protocol.name.as_str()));
            *votes.entry(favourite?.name.as_str()).or_default() += 1;
        }
        // On a tie, the one that the first member likes better.
        let mut best: Option<(&str, usize)> = None;
        for protocol in &first.protocols {
            let count = votes.get(protocol.name.as_str()).copied().unwrap_or(0);
            if count > best.map_or(0, |(_, most)| most) {
                best = Some((&protocol.name, count));
            }
        }
        best.map(|(name, _)| name.to_owned())
    }

    /// What the member at `index` is told of the generation.
    fn joined(&self, index: usize) -> Joined {
        let Some(member) = self.members.get(index) else { return Joined::default() };
        let leads = self.leader.as_deref() == Some(&member.identity.member_id);
        let members = self.members.iter().filter(|_| leads).map(|other| JoinedMember {
            member_id: other.identity.member_id.clone(),
            instance: other.identity.instance.clone(),
            metadata: self.metadata_of(other),
        });
        Joined {
            member_id: member.identity.member_id.clone(),
            generation: self.generation,
            protocol_type: Some(self.protocol_type.clone()),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            members: members.collect(),
            skip_assignment: false,
        }
    }

    fn metadata_of(&self, member: &Member) -> Bytes {
        let chosen = |protocol: &&Protocol| Some(&protocol.name) == self.protocol.as_ref();
        member.protocols.iter().find(chosen).map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }

    // ---- syncing ----

    pub(super) fn sync(&mut self, request: Sync, waiter: u64, now: Duration) -> Effects {
        let mut effects = Effects::default();
        if let Err(refusal) = self.try_sync(request, waiter, now, &mut effects) {
            effects.syncs.push((waiter, Err(refusal)));
        }
        effects
    }

    fn try_sync(&mut self, request: Sync, waiter: u64, now: Duration, effects: &mut Effects) -> Result<(), GroupError> {
        let index = self.find(&request.identity)?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        let other_type = request.protocol_type.is_some_and(|kind| kind != self.protocol_type);
        let other_protocol = request.protocol.is_some() && request.protocol != self.protocol;
        if other_type || other_protocol {
            return Err(GroupError::InconsistentProtocol);
        }
        match self.phase {
            Phase::Empty => Err(GroupError::UnknownMember),
            Phase::Preparing => Err(GroupError::RebalanceInProgress),
            Phase::Completing => {
                let Some(member) = self.members.get_mut(index) else { return Err(GroupError::UnknownMember) };
                if let Some(old) = member.sync.replace(waiter) {
                    effects.syncs.push((old, Err(GroupError::RebalanceInProgress)));
                }
                if self.leader.as_deref() == Some(&member.identity.member_id) {
                    self.assign(request.assignments, now, effects);
                }
                Ok(())
            }
            Phase::Stable => {
                let Some(member) = self.members.get_mut(index) else { return Err(GroupError::UnknownMember) };
                member.deadline = now + member.session;
                let answer = self.synced(index);
                effects.syncs.push((waiter, Ok(answer)));
                Ok(())
            }
        }
    }

    fn assign(&mut self, assignments: Vec<(String, Bytes)>, now: Duration, effects: &mut Effects) {
        let mut assignments: HashMap<String, Bytes> = assignments.into_iter().collect();
        for member in &mut self.members {
            member.assignment = assignments.remove(&member.identity.member_id).unwrap_or_default();
        }
        self.phase = Phase::Stable;
        self.phase_until = None;
        effects.store = true;
        for index in 0..self.members.len() {
            let answer = self.synced(index);
            let Some(member) = self.members.get_mut(index) else { continue };
            if let Some(waiter) = member.sync.take() {
                member.deadline = now + member.session;
                effects.syncs.push((waiter, Ok(answer)));
            } else {
                // It has until the end of its session to ask.
                member.deadline = now + member.session;
            }
        }
    }

    fn synced(&self, index: usize) -> Synced {
        let assignment = self.members.get(index).map(|member| member.assignment.clone()).unwrap_or_default();
        Synced { protocol_type: Some(self.protocol_type.clone()), protocol: self.protocol.clone(), assignment }
    }

    // ---- staying and leaving ----

    pub(super) fn heartbeat(&mut self, identity: &Identity, generation: i32, now: Duration) -> Result<(), GroupError> {
        if self.pending.contains_key(&identity.member_id) {
            return Err(GroupError::UnknownMember);
        }
        let index = self.find(identity)?;
        if generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        if let Some(member) = self.members.get_mut(index) {
            member.deadline = now + member.session;
        }
        if self.phase == Phase::Preparing { Err(GroupError::RebalanceInProgress) } else { Ok(()) }
    }

    pub(super) fn leave(
        &mut self,
        leavers: &[Leaver],
        now: Duration,
        wall: Micros,
    ) -> (Vec<Result<(), GroupError>>, Effects) {
        let mut effects = Effects::default();
        let mut changed = false;
        let answers = leavers.iter().map(|leaver| {
            let identity = &leaver.identity;
            if self.pending.remove(&identity.member_id).is_some() {
                changed = true;
                return Ok(());
            }
            // A static member may be removed by its own name alone, by an administrator.
            let index = match &identity.instance {
                Some(instance) if identity.member_id.is_empty() => {
                    self.member_of_instance(instance).ok_or(GroupError::UnknownMember)?
                }
                _ => self.find(identity)?,
            };
            changed = true;
            self.remove(index, &mut effects);
            Ok(())
        });
        let answers = answers.collect();
        if changed {
            self.after_removal(now, wall, &mut effects);
        }
        (answers, effects)
    }

    /// Lets what is due at `now` happen.
    pub(super) fn expire(&mut self, now: Duration, wall: Micros) -> Effects {
        let mut effects = Effects::default();
        let pending = self.pending.len();
        self.pending.retain(|_, until| *until > now);
        let mut changed = self.pending.len() != pending;
        let due = |member: &Member| !member.waits() && member.deadline <= now;
        while let Some(index) = self.members.iter().position(due) {
            self.remove(index, &mut effects);
            changed = true;
        }
        if changed {
            self.after_removal(now, wall, &mut effects);
        }
        if self.phase_until.is_some_and(|until| until <= now) {
            match self.phase {
                Phase::Preparing => {
                    self.pending.clear();
                    self.members.retain(|member| member.join.is_some() || member.identity.instance.is_some());
                    if self.members.is_empty() {
                        self.after_removal(now, wall, &mut effects);
                    } else {
                        self.complete_join(now, &mut effects);
                    }
                }
                Phase::Completing => {
                    // Those who joined and never asked for their assignment are gone; the leader is, at least.
                    let silent = |member: &Member| member.sync.is_none();
                    while let Some(index) = self.members.iter().position(silent) {
                        self.remove(index, &mut effects);
                    }
                    self.after_removal(now, wall, &mut effects);
                }
                Phase::Empty | Phase::Stable => self.phase_until = None,
            }
        }
        effects
    }

    fn remove(&mut self, index: usize, effects: &mut Effects) {
        let member = self.members.remove(index);
        if let Some(waiter) = member.join {
            effects.joins.push((waiter, Err(GroupError::UnknownMember)));
        }
        if let Some(waiter) = member.sync {
            effects.syncs.push((waiter, Err(GroupError::UnknownMember)));
        }
        if self.leader.as_deref() == Some(&member.identity.member_id) {
            self.leader = None;
        }
    }

    /// Members have gone: the others share out anew, or none is left.
    fn after_removal(&mut self, now: Duration, wall: Micros, effects: &mut Effects) {
        if !self.members.is_empty() {
            return self.rebalance(now, effects);
        }
        if self.phase != Phase::Empty {
            self.generation = self.generation.checked_add(1).unwrap_or(1);
            self.phase = Phase::Empty;
            self.empty_since = wall;
            effects.store = true;
        }
        self.phase_until = None;
        (self.protocol, self.leader) = (None, None);
    }

    // ---- looking ----

    /// Whether the member may commit offsets; keeps it alive.
    pub(super) fn check_commit(
        &mut self,
        identity: &Identity,
        generation: i32,
        now: Duration,
    ) -> Result<(), GroupError> {
        if generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        let index = self.find(identity)?;
        if generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        if self.phase == Phase::Completing {
            return Err(GroupError::RebalanceInProgress);
        }
        if let Some(member) = self.members.get_mut(index) {
            member.deadline = now + member.session;
        }
        Ok(())
    }

    pub(super) fn describe(&self) -> Described {
        let agreed = matches!(self.phase, Phase::Stable);
        let members = self.members.iter().map(|member| DescribedMember {
            identity: member.identity.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: if agreed { self.metadata_of(member) } else { Bytes::new() },
            assignment: member.assignment.clone(),
        });
        Described {
            phase: self.phase,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone().filter(|_| agreed).unwrap_or_default(),
            generation: self.generation,
            members: members.collect(),
        }
    }

    /// The streams that members subscribe to; None when that cannot be told, so that nothing may be taken from them.
    ///
    /// # Source
    /// `ConsumerProtocolSubscription.json`: version, then an array of topics.
    pub(super) fn subscriptions(&self) -> Option<HashSet<String>> {
        let mut topics = HashSet::new();
        if self.members.is_empty() {
            return Some(topics);
        }
        if self.protocol_type != "consumer" {
            return None;
        }
        for member in &self.members {
            for protocol in &member.protocols {
                read_topics(&protocol.metadata, &mut topics)?;
            }
        }
        Some(topics)
    }

    fn member_of_instance(&self, instance: &str) -> Option<usize> {
        self.members.iter().position(|member| member.identity.instance.as_deref() == Some(instance))
    }

    /// The member that `identity` is.
    fn find(&self, identity: &Identity) -> Result<usize, GroupError> {
        if let Some(instance) = &identity.instance {
            let index = self.member_of_instance(instance).ok_or(GroupError::UnknownMember)?;
            let same = self.members.get(index).is_some_and(|member| member.identity.member_id == identity.member_id);
            return if same { Ok(index) } else { Err(GroupError::FencedInstance) };
        }
        let known = |member: &Member| member.identity.member_id == identity.member_id;
        self.members.iter().position(known).ok_or(GroupError::UnknownMember)
    }
}

impl Member {
    const fn waits(&self) -> bool {
        self.join.is_some() || self.sync.is_some()
    }

    fn knows(&self, name: &str) -> bool {
        self.protocols.iter().any(|protocol| protocol.name == name)
    }
}

impl Identity {
    /// Whether both are the same member, by id or by its own name.
    fn is(&self, other: &Self) -> bool {
        (!other.member_id.is_empty() && self.member_id == other.member_id)
            || (other.instance.is_some() && self.instance == other.instance)
    }
}

fn session_of(request: &Join) -> Duration {
    Duration::from_millis(u64::try_from(request.session_timeout_ms).unwrap_or(0))
}

/// Clients of the first protocol version name none: their session counts.
fn rebalance_of(timeout_ms: i32, session: Duration) -> Duration {
    u64::try_from(timeout_ms).map_or(session, Duration::from_millis)
}

fn read_topics(mut metadata: &[u8], topics: &mut HashSet<String>) -> Option<()> {
    use bytes::Buf;
    metadata.try_get_i16().ok()?;
    for _ in 0..metadata.try_get_i32().ok()?.max(0) {
        let length = usize::try_from(metadata.try_get_i16().ok()?).ok()?;
        topics.insert(std::str::from_utf8(metadata.get(..length)?).ok()?.to_owned());
        metadata.advance(length);
    }
    Some(())
}
