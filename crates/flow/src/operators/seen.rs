//! How many different values there were in each of several sliding windows, from one small structure.
//!
//! A value is in a window exactly if it was *last* seen inside it. So one time for each value answers for all windows
//! at once, where panes would hold the value again and again. Up to [`EXACT_MAX`] values this is exact. Beyond that
//! each register of a HyperLogLog (512 of them: standard error 4.6 %) keeps those of its ranks that are the largest of
//! some window: a rank goes when a newer one is as large.
//!
//! Times are ticks (numbers of the finest pane), kept modulo 2^24; the reader turns them into ages against the newest
//! tick of the key, which is why entries out of all windows are dropped whenever that moves.
//!
//! # Source
//! Y. Chabchoub, G. Hébrail, "Sliding HyperLogLog", 2010 ("list of future possible maxima").

use smallvec::SmallVec;

use crate::operators::codec::{Corrupt, Reader, corrupt, put_u64};
use crate::operators::distinct::{estimate, register};

/// Values counted exactly.
pub const EXACT_MAX: usize = 64;
/// Ticks that the longest window may have.
pub const TICKS_MAX: i64 = 1 << 23;

const PRECISION: u32 = 9;
const TICK_BITS: u32 = 24;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;

/// Values and when they were last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    sketch: bool,
    /// Exact: `hash << 24 | tick`, in order of hash. Sketch: `(register << 6 | rank) << 24 | tick`, in order of
    /// register, then age, youngest first; the rank grows with the age.
    entries: Vec<u64>,
}

/// Age of an entry in ticks at `head`.
const fn age(entry: u64, head: i64) -> i64 {
    ((head as u64).wrapping_sub(entry) & TICK_MASK) as i64
}

const fn stamp(head: i64, age: i64) -> u64 {
    (head.wrapping_sub(age) as u64) & TICK_MASK
}

impl Seen {
    /// Forgets everything, keeps its memory.
    pub fn clear(&mut self) {
        self.sketch = false;
        self.entries.clear();
    }

    /// Adds the hash of a value seen `since` ticks before `head`.
    pub fn add(&mut self, hash: u64, head: i64, since: i64) {
        if self.sketch {
            return self.add_rank(hash, head, since);
        }
        let at = self.entries.partition_point(|entry| entry >> TICK_BITS < hash);
        let full = self.entries.len() >= EXACT_MAX;
        match self.entries.get_mut(at).filter(|entry| **entry >> TICK_BITS == hash) {
            Some(entry) => {
                if since < age(*entry, head) {
                    *entry = hash << TICK_BITS | stamp(head, since);
                }
            }
            None if !full => self.entries.insert(at, hash << TICK_BITS | stamp(head, since)),
            None => {
                self.sketch = true;
                for entry in std::mem::take(&mut self.entries) {
                    self.add_rank(entry >> TICK_BITS, head, age(entry, head));
                }
                self.add_rank(hash, head, since);
            }
        }
    }

    fn add_rank(&mut self, hash: u64, head: i64, since: i64) {
        let (register, rank) = register(hash, PRECISION);
        let (register, rank) = (register as u64, u64::from(rank));
        let first = self.entries.partition_point(|entry| entry >> (TICK_BITS + 6) < register);
        let mut at = first;
        // Younger ones stay; one of them that is as large makes this one needless.
        while let Some(entry) = self.entries.get(at).filter(|entry| **entry >> (TICK_BITS + 6) == register) {
            if age(*entry, head) > since {
                break;
            }
            if entry >> TICK_BITS & 63 >= rank {
                return;
            }
            at += 1;
        }
        // Of the same age it is the largest now; older ones that are not larger go.
        if at > first
            && let Some(entry) = self.entries.get(at - 1)
            && age(*entry, head) == since
        {
            at -= 1;
        }
        let rest = self.entries.get(at..).unwrap_or_default();
        let needless =
            rest.iter().take_while(|entry| **entry >> (TICK_BITS + 6) == register && **entry >> TICK_BITS & 63 <= rank);
        let needless = needless.count();
        let entry = (register << 6 | rank) << TICK_BITS | stamp(head, since);
        self.entries.splice(at..at + needless, [entry]);
    }

    /// The number of values last seen at most `reach` ticks before `head`, for each of the windows' reaches, which grow.
    pub fn counts(&self, head: i64, reaches: &[i64], counts: &mut Vec<u64>) {
        counts.clear();
        if !self.sketch {
            counts.resize(reaches.len(), 0);
            for entry in &self.entries {
                let age = age(*entry, head);
                for (count, reach) in counts.iter_mut().zip(reaches) {
                    *count += u64::from(age <= *reach);
                }
            }
            return;
        }
        // One histogram of ranks for each window; the last entry of a register within reach holds its largest rank.
        let mut histograms: SmallVec<[[u32; 64]; 4]> = SmallVec::new();
        histograms.resize(reaches.len(), [0; 64]);
        let mut count = |window: usize, entry: u64| {
            let slot = histograms.get_mut(window).and_then(|ranks| ranks.get_mut((entry >> TICK_BITS & 63) as usize));
            if let Some(slot) = slot {
                *slot += 1;
            }
        };
        let mut before = None;
        let mut window = 0;
        for &entry in &self.entries {
            let register = entry >> (TICK_BITS + 6);
            if let Some(before) = before.replace(entry) {
                if before >> (TICK_BITS + 6) != register {
                    (window..reaches.len()).for_each(|window| count(window, before));
                    window = 0;
                }
                let age = age(entry, head);
                while reaches.get(window).is_some_and(|reach| age > *reach) {
                    if before >> (TICK_BITS + 6) == register {
                        count(window, before);
                    }
                    window += 1;
                }
            } else {
                window = reaches.partition_point(|reach| age(entry, head) > *reach);
            }
        }
        if let Some(before) = before {
            (window..reaches.len()).for_each(|window| count(window, before));
        }
        for ranks in &mut histograms {
            let filled: u32 = ranks.iter().sum();
            if let Some(empty) = ranks.first_mut() {
                *empty += (1 << PRECISION) - filled.min(1 << PRECISION);
            }
            counts.push(estimate(ranks, PRECISION));
        }
    }

    /// Appends the bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, (self.entries.len() as u64) << 1 | u64::from(self.sketch));
        if self.sketch {
            out.reserve(self.entries.len() * 5);
            for entry in &self.entries {
                let [a, b, c, d, e, ..] = entry.to_le_bytes();
                out.extend_from_slice(&[a, b, c, d, e]);
            }
        } else {
            for entry in &self.entries {
                out.extend_from_slice(&entry.to_le_bytes());
            }
        }
    }

    /// Reads what [`Self::put`] wrote when the newest tick was `head`, and drops what is more than `reach` ticks before
    /// `now`, which is not before `head`.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn read(&mut self, reader: &mut Reader<'_>, head: i64, now: i64, reach: i64) -> Result<(), Corrupt> {
        self.clear();
        let (sketch, bytes) = entries(reader)?;
        self.sketch = sketch;
        let oldest = reach.saturating_sub(now.saturating_sub(head));
        self.entries.reserve(bytes.len() / width(sketch) + 1);
        let mut keep = |entry: u64| {
            if age(entry, head) <= oldest {
                self.entries.push(entry);
            }
        };
        if self.sketch {
            bytes.as_chunks::<5>().0.iter().for_each(|entry| keep(sketched(entry)));
        } else {
            bytes.as_chunks::<8>().0.iter().for_each(|entry| keep(u64::from_le_bytes(*entry)));
        }
        self.sketch &= !self.entries.is_empty();
        Ok(())
    }

    /// Passes over what [`Self::put`] wrote when the newest tick was `head`, and answers its bytes if they stay the same
    /// when the hash of a value seen so many ticks before is added, or none.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn unchanged<'a>(
        reader: &mut Reader<'a>,
        head: i64,
        added: Option<(u64, i64)>,
    ) -> Result<Option<&'a [u8]>, Corrupt> {
        let all = reader.rest();
        let (sketch, bytes) = entries(reader)?;
        let all = all.get(..all.len() - reader.left()).unwrap_or_default();
        let Some((hash, since)) = added else { return Ok(Some(all)) };
        let is_there = if sketch {
            let (register, rank) = register(hash, PRECISION);
            let (register, rank) = (register as u64, u64::from(rank));
            let entries = bytes.as_chunks::<5>().0;
            let first = entries.partition_point(|entry| sketched(entry) >> (TICK_BITS + 6) < register);
            let rest = entries.iter().skip(first).map(sketched);
            let mut own = rest.take_while(|entry| *entry >> (TICK_BITS + 6) == register);
            own.any(|entry| age(entry, head) <= since && entry >> TICK_BITS & 63 >= rank)
        } else {
            let entries = bytes.as_chunks::<8>().0;
            let at = entries.partition_point(|entry| u64::from_le_bytes(*entry) >> TICK_BITS < hash);
            let entry = entries.get(at).map(|entry| u64::from_le_bytes(*entry));
            entry.is_some_and(|entry| entry >> TICK_BITS == hash && age(entry, head) <= since)
        };
        Ok(is_there.then_some(all))
    }
}

/// Whether what [`Seen::put`] wrote is a sketch, and its entries.
fn entries<'a>(reader: &mut Reader<'a>) -> Result<(bool, &'a [u8]), Corrupt> {
    let tag = reader.u64()?;
    let sketch = tag & 1 > 0;
    match usize::try_from(tag >> 1).ok().and_then(|count| count.checked_mul(width(sketch))) {
        Some(bytes) => Ok((sketch, reader.take(bytes)?)),
        None => corrupt("a length beyond the end"),
    }
}

/// Bytes of an entry.
const fn width(sketch: bool) -> usize {
    if sketch { 5 } else { 8 }
}

/// An entry of a sketch.
const fn sketched(entry: &[u8; 5]) -> u64 {
    let [a, b, c, d, e] = *entry;
    u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
}

#[cfg(test)]
mod tests;
