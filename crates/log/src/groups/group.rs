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

mod admission;
mod generation;
mod member;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use headwater_base::Micros;

pub(super) use self::member::Member;
use self::member::read_topics;
use super::requests::{Described, DescribedMember, GroupError, Identity, Joined, Leaver, Synced};

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
        let (mut changed, mut fewer) = (false, false);
        let answers = leavers.iter().map(|leaver| {
            let identity = &leaver.identity;
            if self.pending.remove(&identity.member_id).is_some() {
                fewer = true;
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
        } else if fewer {
            self.await_fewer(now, &mut effects);
        }
        (answers, effects)
    }

    /// Lets what is due at `now` happen.
    pub(super) fn expire(&mut self, now: Duration, wall: Micros) -> Effects {
        let mut effects = Effects::default();
        let pending = self.pending.len();
        self.pending.retain(|_, until| *until > now);
        let fewer = self.pending.len() != pending;
        let mut changed = false;
        let due = |member: &Member| !member.waits() && member.deadline <= now;
        while let Some(index) = self.members.iter().position(due) {
            self.remove(index, &mut effects);
            changed = true;
        }
        if changed {
            self.after_removal(now, wall, &mut effects);
        } else if fewer {
            self.await_fewer(now, &mut effects);
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

    /// Whoever was given an id and has not come with it never was a member: only a generation in the making has waited
    /// for it.
    fn await_fewer(&mut self, now: Duration, effects: &mut Effects) {
        if self.phase == Phase::Preparing {
            self.rebalance(now, effects);
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
