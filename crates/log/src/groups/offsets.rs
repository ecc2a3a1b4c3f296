//! Committed offsets: written to the log's space `groups`, read from there, never held twice.
//!
//! An offset belongs to the stream that had its name when it was committed: one that is made anew under that name is
//! read from its beginning.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use headwater_base::Micros;
use tracing::debug;

use super::{GroupError, Groups, Identity, OFFSETS_RETENTION, Phase, SPACE, check_group_id, record};
use crate::{Commit, Delta, LogError, Offset, View};

/// The longest text with an offset (Kafka's `offset.metadata.max.bytes`).
pub(super) const METADATA_BYTES_MAX: usize = 4096;

const VERSION: u8 = 2;

/// How far a group has come in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next record to read.
    pub offset: Offset,
    /// Epoch of the leader that it came from, or -1.
    pub leader_epoch: i32,
    /// The client's own text.
    pub metadata: String,
    /// When it was committed.
    pub at: Micros,
}

/// An offset with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetEntry {
    /// The stream.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// How far.
    pub committed: Committed,
}

impl Groups {
    /// Stores offsets, each with an answer in its order; durable when the future resolves.
    ///
    /// # Errors
    /// When the member may not commit, or the log refuses: then none is stored.
    pub async fn commit(
        &self,
        group: &str,
        identity: &Identity,
        generation: i32,
        entries: &[OffsetEntry],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        if group.len() > record::GROUP_BYTES_MAX {
            return Err(GroupError::InvalidGroupId);
        }
        let mut deltas = Vec::with_capacity(entries.len());
        let answers = entries.iter().map(|entry| {
            if entry.committed.metadata.len() > METADATA_BYTES_MAX {
                return Err(GroupError::MetadataTooLarge);
            }
            let key = record::offset_key(group, &entry.topic, entry.partition);
            deltas.push(Delta { key, value: Some(encode(&entry.committed, self.stream_id(&entry.topic))) });
            Ok(())
        });
        let answers: Vec<_> = answers.collect();
        let is_empty = deltas.is_empty();
        let mut commit = Commit { deltas: vec![(Arc::from(SPACE), deltas)], ..Commit::default() };
        loop {
            let slot = self.slot(group, generation < 0)?.ok_or(GroupError::IllegalGeneration)?;
            // In one with the check: what has waited for room may find that the generation, or the group, is another one.
            let appended = {
                let mut held = slot.held.lock();
                if held.gone {
                    continue;
                }
                held.group.check_commit(identity, generation, self.clock.elapsed())?;
                if is_empty {
                    return Ok(answers);
                }
                let appended = self.log.append(&mut commit);
                if let Ok(ticket) = &appended {
                    held.sequence = Some(ticket.sequence);
                }
                appended
            };
            match appended {
                Ok(ticket) => {
                    self.log.durable(ticket.sequence).await?;
                    return Ok(answers);
                }
                Err(LogError::Full(_)) => self.log.room(&[]).await,
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    /// The offset of one partition.
    pub fn committed(&self, group: &str, topic: &str, partition: u32) -> Option<Committed> {
        let value = self.log.get(SPACE, &record::offset_key(group, topic, partition), View::Durable)?;
        self.of_stream(topic, &value)
    }

    /// The id of the stream that has this name; 0 while none has.
    fn stream_id(&self, topic: &str) -> u128 {
        self.log.stream(topic).map_or(0, |stream| stream.id)
    }

    /// An offset as stored, if it is of the stream that has the name now.
    fn of_stream(&self, topic: &str, value: &[u8]) -> Option<Committed> {
        let (committed, of) = decode(value)?;
        (of == self.stream_id(topic)).then_some(committed)
    }

    /// All offsets of a group, by stream and partition.
    pub fn all_committed(&self, group: &str) -> Vec<OffsetEntry> {
        // All offsets of all groups are looked through for it.
        if !self.groups.lock().contains_key(group) {
            return Vec::new();
        }
        let entry = |(key, value): (Bytes, Bytes)| {
            let (topic, partition) = record::offset_place(&key)?;
            let committed = self.of_stream(&topic, &value)?;
            Some(OffsetEntry { topic, partition, committed })
        };
        self.stored_offsets(group).into_iter().filter_map(entry).collect()
    }

    /// Forgets offsets, each with an answer in its order; durable when the future resolves.
    ///
    /// # Errors
    /// When there is no such group, or the log refuses.
    pub async fn delete_offsets(
        &self,
        group: &str,
        places: &[(String, u32)],
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        check_group_id(group)?;
        let slot = self.groups.lock().get(group).cloned().ok_or(GroupError::NotFound)?;
        let subscribed = slot.held.lock().group.subscriptions();
        let mut deltas = Vec::with_capacity(places.len());
        let answers = places.iter().map(|(topic, partition)| {
            if subscribed.as_ref().is_none_or(|topics| topics.contains(topic)) {
                return Err(GroupError::Subscribed);
            }
            deltas.push(Delta { key: record::offset_key(group, topic, *partition), value: None });
            Ok(())
        });
        let answers = answers.collect();
        self.write(deltas).await?;
        Ok(answers)
    }

    /// Forgets groups that have had no member for [`OFFSETS_RETENTION`], and no commit either.
    ///
    /// # Errors
    /// The log's refusal.
    pub async fn expire_offsets(&self) -> Result<(), GroupError> {
        let slots: Vec<_> = self.groups.lock().values().cloned().collect();
        let before = self.clock.now().minus(OFFSETS_RETENTION);
        for slot in slots {
            let known = slot.held.lock().sequence;
            if let Some(sequence) = known {
                self.log.durable(sequence).await?;
            }
            let appended = {
                let mut held = slot.held.lock();
                let group = &held.group;
                // Whoever commits meanwhile is not idle.
                let is_idle = held.sequence == known && group.phase() == Phase::Empty && group.empty_since() <= before;
                if held.gone || !is_idle {
                    continue;
                }
                let offsets = self.stored_offsets(&slot.id);
                let old = |value: &Bytes| decode(value).is_none_or(|(committed, _)| committed.at <= before);
                let deltas: Vec<Delta> = offsets
                    .iter()
                    .filter(|(_, value)| old(value))
                    .map(|(key, _)| Delta { key: key.clone(), value: None })
                    .collect();
                if deltas.len() == offsets.len() {
                    debug!(group = %slot.id, "group forgotten");
                    self.end(&slot, &mut held, deltas)
                } else if deltas.is_empty() {
                    continue;
                } else {
                    self.append(deltas)
                }
            };
            match appended {
                Ok(ticket) => self.log.durable(ticket.sequence).await?,
                // The next sweep finds them again.
                Err(LogError::Full(_)) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(())
    }
}

fn encode(committed: &Committed, stream: u128) -> Bytes {
    let mut out = BytesMut::with_capacity(37 + committed.metadata.len());
    out.put_u8(VERSION);
    out.put_u128(stream);
    out.put_i64(committed.offset);
    out.put_i32(committed.leader_epoch);
    out.put_i64(committed.at.0);
    out.put_slice(committed.metadata.as_bytes());
    out.freeze()
}

/// An offset, and the id of its stream.
fn decode(mut value: &[u8]) -> Option<(Committed, u128)> {
    if value.try_get_u8().ok()? != VERSION {
        return None;
    }
    let of = value.try_get_u128().ok()?;
    let offset = value.try_get_i64().ok()?;
    let leader_epoch = value.try_get_i32().ok()?;
    let at = Micros(value.try_get_i64().ok()?);
    Some((Committed { offset, leader_epoch, metadata: String::from_utf8(value.to_vec()).ok()?, at }, of))
}
