//! Consumer groups: which member reads which partition, and how far each group has come.
//!
//! [`group`] is the state machine of one group, without clock, lock or wait. This module keeps the groups, hands time
//! and requests to them, lets callers wait for what others must do first, and writes what must survive: group metadata
//! when an assignment is agreed, and committed offsets. Both live in the log's space `groups` and are durable before
//! anyone is answered, so that members go on after a restart as if nothing had happened.
//!
//! What it is NOT: it neither chooses assignments (the leading member does, eagerly or cooperatively) nor knows what
//! subscriptions mean, except to protect subscribed streams from offset deletion.
//!
//! # Source
//! Apache Kafka 4.1, classic group protocol: `GroupMetadataManager.java`, `ClassicGroup.java`; KIP-62, 345, 394, 429.

mod group;
mod offsets;
mod record;
mod requests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Clock, Limits};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};
use tracing::{debug, info, warn};

use crate::{Commit, Delta, Log, LogError, Sequence, Ticket, append_durable};
use group::{Effects, Group};

pub use group::Phase;
pub use offsets::{Committed, OffsetEntry};
pub use requests::{
    Described, DescribedMember, GroupError, Identity, Join, Joined, JoinedMember, Leaver, Listed, Protocol, Sync,
    Synced,
};

/// The log's space for groups and offsets.
pub const SPACE: &str = "groups";
/// Offsets of a group without members are forgotten after this time (Kafka's `offsets.retention.minutes`).
pub const OFFSETS_RETENTION: Duration = Duration::from_secs(7 * 86_400);

/// How often old offsets are looked for.
const SWEEP: Duration = Duration::from_secs(600);
/// A member's id begins with so much of its client's name.
const NAME_CHARS_MAX: usize = 200;
/// The shortest pause of the timer.
const TICK_MIN: Duration = Duration::from_millis(2);

/// All consumer groups of a log.
pub struct Groups {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    limits: Arc<Limits>,
    groups: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
    /// Makes member ids unique, also over restarts.
    run: u64,
    members: AtomicU64,
    /// When the timer will look next.
    armed: Mutex<Duration>,
    sooner: Notify,
}

/// One group with those who wait for it.
struct Slot {
    id: Arc<str>,
    held: Mutex<Held>,
}

struct Held {
    group: Group,
    joins: HashMap<u64, oneshot::Sender<Result<Joined, GroupError>>>,
    syncs: HashMap<u64, oneshot::Sender<Result<Synced, GroupError>>>,
    waiters: u64,
    /// Changes that are not yet in the log.
    dirty: bool,
    /// Where the newest change is in the log, of the group or its offsets.
    sequence: Option<Sequence>,
    /// Taken out of the table: whoever holds it must look again.
    gone: bool,
}

impl Groups {
    /// Restores the groups of a log.
    pub fn open(log: Arc<dyn Log>, clock: Arc<dyn Clock>, limits: Arc<Limits>) -> Arc<Self> {
        let mut groups = HashMap::new();
        let now = clock.elapsed();
        log.for_each(SPACE, &mut |key, value| {
            let Some(id) = record::group_of(key) else { return };
            let known: &mut Arc<Slot> =
                groups.entry(Arc::from(id)).or_insert_with_key(|id| Slot::new(Arc::clone(id), Group::new(clock.now())));
            if record::is_group(key) {
                match record::decode(value, now) {
                    Some(group) => known.held.lock().group = group,
                    None => warn!(group = id, "stored group cannot be read; its members must join again"),
                }
            }
        });
        info!(groups = groups.len(), "consumer groups restored");
        let run = u64::try_from(clock.now().0).unwrap_or(0);
        Arc::new(Self {
            log,
            clock,
            limits,
            groups: Mutex::new(groups),
            run,
            members: AtomicU64::new(0),
            armed: Mutex::new(Duration::MAX),
            sooner: Notify::new(),
        })
    }

    /// Runs the groups' timers until `stop` becomes true or its sender is gone.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut swept = self.clock.elapsed();
        loop {
            let next = self.tick().await;
            let now = self.clock.elapsed();
            if now.saturating_sub(swept) >= SWEEP {
                swept = now;
                if let Err(refusal) = self.expire_offsets().await {
                    warn!(%refusal, "old offsets not removed");
                }
            }
            let pause = next.map_or(SWEEP, |next| next.saturating_sub(now)).clamp(TICK_MIN, SWEEP);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.sooner.notified() => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Lets every deadline that has passed take effect; answers when the next one is due, in the clock's elapsed time.
    pub async fn tick(&self) -> Option<Duration> {
        let slots: Vec<_> = self.groups.lock().values().cloned().collect();
        let mut next = None;
        let mut changed = Vec::new();
        for slot in slots {
            let mut held = slot.held.lock();
            let now = self.clock.elapsed();
            if held.group.deadline().is_some_and(|deadline| deadline <= now) {
                let effects = held.group.expire(now, self.clock.now());
                held.deliver(effects);
                changed.push(Arc::clone(&slot));
            }
            next = match (next, held.group.deadline()) {
                (Some(next), Some(deadline)) => Some(deadline.min(next)),
                (next, deadline) => next.or(deadline),
            };
        }
        *self.armed.lock() = next.unwrap_or(Duration::MAX);
        for slot in changed {
            if let Err(refusal) = self.settle(&slot).await {
                warn!(group = %slot.id, %refusal, "group not saved");
            }
        }
        next
    }

    /// Joins a group; waits until all its members have.
    ///
    /// # Errors
    /// As Kafka's JoinGroup.
    pub async fn join(&self, request: Join) -> Result<Joined, GroupError> {
        check_group_id(&request.group)?;
        request.check()?;
        let known = request.identity.instance.as_deref().unwrap_or(&request.client_id);
        let short: String = known.chars().take(NAME_CHARS_MAX).collect();
        let new_id = format!("{short}-{:x}-{:x}", self.run, self.members.fetch_add(1, Ordering::Relaxed));
        let (slot, answer) = loop {
            let first = request.identity.member_id.is_empty();
            let slot = self.slot(&request.group, first)?.ok_or(GroupError::UnknownMember)?;
            let mut held = slot.held.lock();
            if held.gone {
                continue;
            }
            let waiter = held.next_waiter();
            let (sender, receiver) = oneshot::channel();
            held.joins.insert(waiter, sender);
            let effects = held.group.join(request, new_id, waiter, self.clock.elapsed(), &self.limits);
            held.deliver(effects);
            self.arm(&held.group);
            drop(held);
            break (slot, receiver);
        };
        let joined = answer.await.map_err(|_| GroupError::Closed)?;
        self.settle(&slot).await?;
        joined
    }

    /// Hands in, or waits for, the assignment of a generation.
    ///
    /// # Errors
    /// As Kafka's SyncGroup.
    pub async fn sync(&self, request: Sync) -> Result<Synced, GroupError> {
        check_group_id(&request.group)?;
        let slot = self.slot(&request.group, false)?.ok_or(GroupError::UnknownMember)?;
        let answer = {
            let mut held = slot.held.lock();
            let waiter = held.next_waiter();
            let (sender, receiver) = oneshot::channel();
            held.syncs.insert(waiter, sender);
            let effects = held.group.sync(request, waiter, self.clock.elapsed());
            held.deliver(effects);
            self.arm(&held.group);
            receiver
        };
        let synced = answer.await.map_err(|_| GroupError::Closed)?;
        self.settle(&slot).await?;
        synced
    }

    /// Says that a member is alive.
    ///
    /// # Errors
    /// As Kafka's Heartbeat; `RebalanceInProgress` asks the member to join again.
    pub fn heartbeat(&self, group: &str, identity: &Identity, generation: i32) -> Result<(), GroupError> {
        check_group_id(group)?;
        let slot = self.slot(group, false)?.ok_or(GroupError::UnknownMember)?;
        let mut held = slot.held.lock();
        held.group.heartbeat(identity, generation, self.clock.elapsed())
    }

    /// Removes members; an answer for each, in their order.
    ///
    /// # Errors
    /// When the group cannot be named, or the change cannot be stored.
    pub async fn leave(&self, group: &str, leavers: &[Leaver]) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        check_group_id(group)?;
        let Some(slot) = self.slot(group, false)? else {
            return Ok(leavers.iter().map(|_| Err(GroupError::UnknownMember)).collect());
        };
        let answers = {
            let mut held = slot.held.lock();
            let (answers, effects) = held.group.leave(leavers, self.clock.elapsed(), self.clock.now());
            held.deliver(effects);
            self.arm(&held.group);
            answers
        };
        self.settle(&slot).await?;
        Ok(answers)
    }

    /// All groups, by name.
    pub fn list(&self) -> Vec<Listed> {
        let slots: Vec<_> = self.groups.lock().values().cloned().collect();
        let mut listed: Vec<Listed> = slots
            .iter()
            .map(|slot| {
                let held = slot.held.lock();
                Listed {
                    group: slot.id.to_string(),
                    protocol_type: held.group.protocol_type().to_owned(),
                    phase: held.group.phase(),
                }
            })
            .collect();
        listed.sort_by(|left, right| left.group.cmp(&right.group));
        listed
    }

    /// One group with its members; None when there is none of that name.
    pub fn describe(&self, group: &str) -> Option<Described> {
        let slot = self.groups.lock().get(group).cloned()?;
        let described = slot.held.lock().group.describe();
        Some(described)
    }

    /// Deletes a group without members, with its offsets.
    ///
    /// # Errors
    /// `NonEmpty`, `NotFound`, or the log's refusal.
    pub async fn delete(&self, group: &str) -> Result<(), GroupError> {
        check_group_id(group)?;
        let slot = self.groups.lock().get(group).cloned().ok_or(GroupError::NotFound)?;
        loop {
            let known = slot.held.lock().sequence;
            if let Some(sequence) = known {
                // An offset is found, to be deleted, once it is durable.
                self.log.durable(sequence).await?;
            }
            let appended = {
                let mut held = slot.held.lock();
                if held.gone {
                    return Err(GroupError::NotFound);
                }
                if held.group.phase() != Phase::Empty {
                    return Err(GroupError::NonEmpty);
                }
                if held.sequence != known {
                    continue;
                }
                let offsets = self.stored_offsets(group);
                self.end(&slot, &mut held, offsets.into_iter().map(|(key, _)| Delta { key, value: None }).collect())
            };
            match appended {
                Ok(ticket) => return Ok(self.log.durable(ticket.sequence).await?),
                Err(LogError::Full(_)) => self.log.room(&[]).await,
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    /// Appends the end of a group, with what else goes.
    fn end(&self, slot: &Slot, held: &mut Held, mut deltas: Vec<Delta>) -> Result<Ticket, LogError> {
        deltas.push(Delta { key: record::group_key(&slot.id), value: None });
        let ticket = self.append(deltas)?;
        // Not before: a group whose end the log refused would be back after a restart.
        held.gone = true;
        self.groups.lock().remove(&slot.id);
        Ok(ticket)
    }

    /// The group's slot, made when it is not there and `create` says so.
    fn slot(&self, group: &str, create: bool) -> Result<Option<Arc<Slot>>, GroupError> {
        let mut groups = self.groups.lock();
        if let Some(slot) = groups.get(group) {
            return Ok(Some(Arc::clone(slot)));
        }
        if !create {
            return Ok(None);
        }
        if groups.len() >= self.limits.groups {
            return Err(GroupError::Log(LogError::Limit(format!(
                "{} consumer groups, which is the limit",
                groups.len()
            ))));
        }
        let id: Arc<str> = Arc::from(group);
        let slot = Slot::new(Arc::clone(&id), Group::new(self.clock.now()));
        groups.insert(id, Arc::clone(&slot));
        debug!(group, "group created");
        Ok(Some(slot))
    }

    /// Wakes the timer when a group needs it earlier than it would look.
    fn arm(&self, group: &Group) {
        if let Some(deadline) = group.deadline() {
            let mut armed = self.armed.lock();
            if deadline < *armed {
                *armed = deadline;
                self.sooner.notify_one();
            }
        }
    }

    /// Writes the group's changes, if any, and waits until they are durable.
    async fn settle(&self, slot: &Slot) -> Result<(), GroupError> {
        loop {
            let appended = {
                let mut held = slot.held.lock();
                if held.dirty && !held.gone {
                    let value = Some(record::encode(&held.group));
                    let appended = self.append(vec![Delta { key: record::group_key(&slot.id), value }]);
                    if let Ok(ticket) = &appended {
                        held.dirty = false;
                        held.sequence = Some(ticket.sequence);
                    }
                    appended.map(|ticket| Some(ticket.sequence))
                } else {
                    Ok(held.sequence)
                }
            };
            match appended {
                Ok(Some(sequence)) => return Ok(self.log.durable(sequence).await?),
                Ok(None) => return Ok(()),
                Err(LogError::Full(_)) => self.log.room(&[]).await,
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    fn append(&self, deltas: Vec<Delta>) -> Result<Ticket, LogError> {
        self.log.append(&mut Commit { deltas: vec![(Arc::from(SPACE), deltas)], ..Commit::default() })
    }

    /// Writes and waits until it is durable.
    async fn write(&self, deltas: Vec<Delta>) -> Result<(), GroupError> {
        if deltas.is_empty() {
            return Ok(());
        }
        let mut commit = Commit { deltas: vec![(Arc::from(SPACE), deltas)], ..Commit::default() };
        append_durable(&*self.log, &mut commit).await?;
        Ok(())
    }

    fn stored_offsets(&self, group: &str) -> Vec<(Bytes, Bytes)> {
        const PAGE: usize = 10_000;
        let prefix = record::offsets_prefix(group);
        let mut found: Vec<(Bytes, Bytes)> = Vec::new();
        loop {
            let after = found.last().map(|(key, _)| key.clone());
            let page = self.log.scan(SPACE, &prefix, after.as_deref(), PAGE);
            let last = page.len() < PAGE;
            found.extend(page);
            if last {
                return found;
            }
        }
    }
}

impl Slot {
    fn new(id: Arc<str>, group: Group) -> Arc<Self> {
        let held = Held {
            group,
            joins: HashMap::new(),
            syncs: HashMap::new(),
            waiters: 0,
            dirty: false,
            sequence: None,
            gone: false,
        };
        Arc::new(Self { id, held: Mutex::new(held) })
    }
}

impl Held {
    const fn next_waiter(&mut self) -> u64 {
        self.waiters += 1;
        self.waiters
    }

    /// Hands answers to those who wait for them; some may have left.
    fn deliver(&mut self, effects: Effects) {
        for (waiter, answer) in effects.joins {
            if let Some(sender) = self.joins.remove(&waiter) {
                let _ = sender.send(answer);
            }
        }
        for (waiter, answer) in effects.syncs {
            if let Some(sender) = self.syncs.remove(&waiter) {
                let _ = sender.send(answer);
            }
        }
        self.dirty |= effects.store;
    }
}

/// A name for a group with members: any text of some length.
fn check_group_id(group: &str) -> Result<(), GroupError> {
    if group.is_empty() || group.len() > record::GROUP_BYTES_MAX { Err(GroupError::InvalidGroupId) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
