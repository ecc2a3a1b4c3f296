//! What idempotent producers have sent to a partition: enough to tell a repeat from a gap.
//!
//! Kept from the batches' own headers, so the write-ahead log needs no words for it; written to the snapshot at each
//! checkpoint and rebuilt from there and the log's tail.
//!
//! # Source
//! Apache Kafka, `ProducerStateManager.java`, `ProducerAppendInfo.java`: the last five batches, sequence numbers that
//! wrap at 2^31, a new epoch begins at 0, an unknown producer may begin anywhere.

use std::collections::VecDeque;

use ahash::HashMap;
use headwater_base::Micros;
use headwater_wire::batch::Header;

use crate::{LogError, Offset};

/// Batches remembered for each producer.
const BATCHES: usize = 5;

/// The producers of one partition.
#[derive(Debug, Default)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer>,
    /// Changed or gone since the last checkpoint.
    changed: ahash::HashSet<i64>,
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub epoch: i16,
    pub seen: Micros,
    pub batches: VecDeque<Sent>,
}

/// One of its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub first: Offset,
    pub last: Offset,
}

/// What a batch is to its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the next one.
    Next,
    /// It was sent before, and landed here.
    Repeat(Sent),
}

/// The sequence number `count` behind `sequence`; wraps to 0 behind the largest.
fn behind(sequence: i32, count: i32) -> i32 {
    ((i64::from(sequence) + i64::from(count)) & i64::from(i32::MAX)) as i32
}

impl Producers {
    /// A producer, if it is known.
    pub fn get(&self, id: i64) -> Option<&Producer> {
        self.by_id.get(&id)
    }

    /// Takes in producers as a commit has left them, and forgets others where there are too many.
    pub fn put(&mut self, producers: Vec<(i64, Producer)>, most: usize) {
        for (id, producer) in producers {
            if !self.by_id.contains_key(&id) && self.by_id.len() >= most {
                self.evict(most);
            }
            self.changed.insert(id);
            self.by_id.insert(id, producer);
        }
    }

    /// Takes in a batch that recovery has found; one that the snapshot knew already changes nothing.
    pub fn recovered(&mut self, header: &Header, now: Micros, most: usize) {
        let known = self.by_id.get(&header.producer_id);
        let newest = known.and_then(|producer| producer.batches.back());
        if newest.is_none_or(|sent| sent.last < header.last_offset()) {
            let producer = Producer::after(known.cloned(), header, now);
            self.put(vec![(header.producer_id, producer)], most);
        }
    }

    /// Forgets those not seen since `since`.
    pub fn expire(&mut self, since: Micros) {
        let gone: Vec<i64> = self.by_id.iter().filter(|(_, one)| one.seen < since).map(|(id, _)| *id).collect();
        for id in gone {
            self.by_id.remove(&id);
            self.changed.insert(id);
        }
    }

    /// Forgets the tenth not seen for longest.
    fn evict(&mut self, most: usize) {
        let mut seen: Vec<(Micros, i64)> = self.by_id.iter().map(|(id, one)| (one.seen, *id)).collect();
        seen.sort_unstable();
        for (_, id) in seen.into_iter().take((most / 10).max(1)) {
            self.by_id.remove(&id);
            self.changed.insert(id);
        }
    }

    /// What changed since the last call: id -> the producer's bytes, or None when it is gone.
    pub fn take_changes(&mut self) -> Vec<(i64, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|id| (id, self.by_id.get(&id).map(Producer::encode))).collect()
    }

    /// Takes in a producer from a snapshot.
    pub fn load(&mut self, id: i64, bytes: &[u8]) {
        if let Some(producer) = Producer::decode(bytes) {
            self.by_id.insert(id, producer);
        }
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }
}

impl Producer {
    /// Judges a batch by what is known of its producer.
    ///
    /// # Errors
    /// `ProducerFenced` and `OutOfOrderSequence`.
    pub fn judge(known: Option<&Self>, header: &Header) -> Result<Verdict, LogError> {
        let Some(producer) = known else { return Ok(Verdict::Next) };
        if header.producer_epoch < producer.epoch {
            return Err(LogError::ProducerFenced(header.producer_id, header.producer_epoch));
        }
        let refuse = |wanted| {
            Err(LogError::OutOfOrderSequence { producer: header.producer_id, got: header.base_sequence, wanted })
        };
        if header.producer_epoch > producer.epoch {
            return if header.base_sequence == 0 { Ok(Verdict::Next) } else { refuse(0) };
        }
        let last_sequence = behind(header.base_sequence, header.last_offset_delta);
        let repeat = producer
            .batches
            .iter()
            .find(|sent| sent.first_sequence == header.base_sequence && sent.last_sequence == last_sequence);
        if let Some(sent) = repeat {
            return Ok(Verdict::Repeat(*sent));
        }
        match producer.batches.back() {
            Some(sent) if behind(sent.last_sequence, 1) != header.base_sequence => {
                refuse(behind(sent.last_sequence, 1))
            }
            _ => Ok(Verdict::Next),
        }
    }

    /// The producer after a batch that has its offsets.
    pub fn after(known: Option<Self>, header: &Header, now: Micros) -> Self {
        let mut batches = match known {
            Some(producer) if producer.epoch == header.producer_epoch => producer.batches,
            _ => VecDeque::with_capacity(BATCHES),
        };
        if batches.len() >= BATCHES {
            batches.pop_front();
        }
        batches.push_back(Sent {
            first_sequence: header.base_sequence,
            last_sequence: behind(header.base_sequence, header.last_offset_delta),
            first: header.base_offset,
            last: header.last_offset(),
        });
        Self { epoch: header.producer_epoch, seen: now, batches }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 + self.batches.len() * 24);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.seen.0.to_le_bytes());
        for sent in &self.batches {
            out.extend_from_slice(&sent.first_sequence.to_le_bytes());
            out.extend_from_slice(&sent.last_sequence.to_le_bytes());
            out.extend_from_slice(&sent.first.to_le_bytes());
            out.extend_from_slice(&sent.last.to_le_bytes());
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(10)?;
        let (epoch, seen) = head.split_at_checked(2)?;
        let sent = |raw: &[u8]| {
            Some(Sent {
                first_sequence: i32::from_le_bytes(raw.get(..4)?.try_into().ok()?),
                last_sequence: i32::from_le_bytes(raw.get(4..8)?.try_into().ok()?),
                first: i64::from_le_bytes(raw.get(8..16)?.try_into().ok()?),
                last: i64::from_le_bytes(raw.get(16..24)?.try_into().ok()?),
            })
        };
        Some(Self {
            epoch: i16::from_le_bytes(epoch.try_into().ok()?),
            seen: Micros(i64::from_le_bytes(seen.try_into().ok()?)),
            batches: rest.chunks(24).map(sent).collect::<Option<_>>()?,
        })
    }
}
