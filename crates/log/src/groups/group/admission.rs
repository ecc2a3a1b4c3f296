//! Admission: a client becomes a member, comes back, or takes a static member's place.
//!
//! Whatever changes the members ends in the next generation; see [`super::generation`].

use std::time::Duration;

use bytes::Bytes;
use headwater_base::Limits;

use super::super::requests::{GroupError, Identity, Join};
use super::member::{Member, rebalance_of, session_of};
use super::{Effects, Group, Phase};

impl Group {
    /// `new_id` is used if the member has none yet.
    pub(in super::super) fn join(
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
}
