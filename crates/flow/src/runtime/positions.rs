//! How far a pipeline has come in one partition: everything before `next` is done, but for the offsets in `open`.
//!
//! Events that wait for a lookup stay open while later ones of other keys are done, so a restart reads the open ones
//! again and nothing else. The bytes are part of each commit, which makes input, state and output one fact.

use std::collections::BTreeSet;

use headwater_log::Offset;

use crate::operators::codec::{Corrupt, Reader, put_i64, put_u64};

const VERSION: u8 = 1;

/// The position of a pipeline in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    next: Offset,
    open: BTreeSet<Offset>,
}

impl Positions {
    /// Begins at `next`.
    pub const fn at(next: Offset) -> Self {
        Self { next, open: BTreeSet::new() }
    }

    /// The first offset nobody has begun.
    pub const fn next(&self) -> Offset {
        self.next
    }

    /// The first offset that a restart has to read.
    pub fn first(&self) -> Offset {
        self.open.first().copied().unwrap_or(self.next)
    }

    /// Offsets begun and not done.
    pub const fn open(&self) -> &BTreeSet<Offset> {
        &self.open
    }

    /// Everything up to and including `offset` has been begun and done, unless [`Self::hold`] says otherwise.
    pub fn pass(&mut self, offset: Offset) {
        self.next = self.next.max(offset.saturating_add(1));
    }

    /// The event at `offset` waits for something.
    pub fn hold(&mut self, offset: Offset) {
        self.open.insert(offset);
    }

    /// The event at `offset` no longer waits: it is done.
    pub fn release(&mut self, offset: Offset) {
        self.open.remove(&offset);
    }

    /// The bytes that go into the commit.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_i64(&mut out, self.next);
        put_u64(&mut out, self.open.len() as u64);
        let mut before = self.next;
        for offset in self.open.iter().rev() {
            put_i64(&mut out, before.saturating_sub(*offset));
            before = *offset;
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::versioned(bytes, VERSION)?;
        let next = reader.i64()?;
        let mut open = BTreeSet::new();
        let mut before = next;
        for _ in 0..reader.count()? {
            before = before.saturating_sub(reader.i64()?);
            open.insert(before);
        }
        reader.end()?;
        Ok(Self { next, open })
    }
}

#[cfg(test)]
mod tests;
