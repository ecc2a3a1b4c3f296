//! How far a pipeline has come in one partition: everything before `next` is done, but for the offsets in `open`.
//!
//! Events that wait for a lookup stay open while later ones of other keys are done, so a restart reads the open ones
//! again and nothing else. With each stands how it was judged: event time goes on while it waits, so a second judgement
//! would be another one. An event whose first revision is out and whose second one is still owed stays open, too. The
//! bytes are part of each commit, which makes input, state and output one fact.

use std::collections::BTreeMap;

use headwater_base::Micros;
use headwater_log::Offset;

use crate::operators::codec::{Corrupt, Reader, put_i64, put_time, put_u64};

const VERSION: u8 = 2;
/// With second revisions that are owed.
const VERSION_OWED: u8 = 3;

/// The position of a pipeline in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    next: Offset,
    open: BTreeMap<Offset, Open>,
}

/// Why an event that was begun is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It waits; of a late event with the bound that it was before.
    Waits(Option<Micros>),
    /// Its first revision is out, marked as failed, and an answer is still to come for its second one.
    Owed,
}

impl Default for Open {
    fn default() -> Self {
        Self::Waits(None)
    }
}

impl Positions {
    /// Begins at `next`.
    pub const fn at(next: Offset) -> Self {
        Self { next, open: BTreeMap::new() }
    }

    /// The first offset nobody has begun.
    pub const fn next(&self) -> Offset {
        self.next
    }

    /// The first offset that a restart has to read.
    pub fn first(&self) -> Offset {
        self.open.first_key_value().map_or(self.next, |(first, _)| *first)
    }

    /// Offsets begun and not done.
    pub const fn open(&self) -> &BTreeMap<Offset, Open> {
        &self.open
    }

    /// Everything up to and including `offset` has been begun and done, unless [`Self::hold`] says otherwise.
    pub fn pass(&mut self, offset: Offset) {
        self.next = self.next.max(offset.saturating_add(1));
    }

    /// The event at `offset` is not done.
    pub fn hold(&mut self, offset: Offset, open: Open) {
        self.open.insert(offset, open);
    }

    /// The event at `offset` no longer waits: it is done, or taken up again. Answers why it was open.
    pub fn release(&mut self, offset: Offset) -> Option<Open> {
        self.open.remove(&offset)
    }

    /// The bytes that go into the commit.
    pub fn encode(&self) -> Vec<u8> {
        let owes = self.open.values().any(|open| *open == Open::Owed);
        let mut out = vec![if owes { VERSION_OWED } else { VERSION }];
        put_i64(&mut out, self.next);
        put_u64(&mut out, self.open.len() as u64);
        let (mut before, mut base) = (self.next, Micros(0));
        for (offset, open) in self.open.iter().rev() {
            let mut tagged = u64::try_from(before.saturating_sub(*offset)).unwrap_or(0);
            if owes {
                tagged = tagged << 1 | u64::from(*open == Open::Owed);
            }
            let late = match open {
                Open::Waits(late) => *late,
                Open::Owed => None,
            };
            put_u64(&mut out, tagged << 1 | u64::from(late.is_some()));
            before = *offset;
            if let Some(bound) = late {
                put_time(&mut out, base, bound);
                base = bound;
            }
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let owes = bytes.first() == Some(&VERSION_OWED);
        let mut reader = Reader::versioned(bytes, if owes { VERSION_OWED } else { VERSION })?;
        let next = reader.i64()?;
        let mut open = BTreeMap::new();
        let (mut before, mut base) = (next, Micros(0));
        for _ in 0..reader.count()? {
            let tagged = reader.u64()?;
            let late = if tagged & 1 > 0 { Some(reader.time(base)?) } else { None };
            base = late.unwrap_or(base);
            let (distance, is_owed) = if owes { (tagged >> 2, tagged & 2 > 0) } else { (tagged >> 1, false) };
            before = before.saturating_sub(distance as i64);
            open.insert(before, if is_owed { Open::Owed } else { Open::Waits(late) });
        }
        reader.end()?;
        Ok(Self { next, open })
    }
}

#[cfg(test)]
mod tests;
