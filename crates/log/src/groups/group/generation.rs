//! A generation: members gather, agree on a protocol and a leader, and get the leader's assignment.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;

use super::super::requests::{GroupError, Joined, JoinedMember, Protocol, Sync, Synced};
use super::member::Member;
use super::{Effects, Group, Phase};

impl Group {
    /// Starts, or goes on with, a new generation.
    pub(super) fn rebalance(&mut self, now: Duration, effects: &mut Effects) {
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
    pub(super) fn complete_join(&mut self, now: Duration, effects: &mut Effects) {
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
    pub(super) fn choose_protocol(&self) -> Option<String> {
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
    pub(super) fn joined(&self, index: usize) -> Joined {
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

    pub(super) fn metadata_of(&self, member: &Member) -> Bytes {
        let chosen = |protocol: &&Protocol| Some(&protocol.name) == self.protocol.as_ref();
        member.protocols.iter().find(chosen).map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }

    pub(in super::super) fn sync(&mut self, request: Sync, waiter: u64, now: Duration) -> Effects {
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
}
