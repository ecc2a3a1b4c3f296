//! How many different values there were: exact while they are few, a sketch after that.
//!
//! Up to [`EXACT_MAX`] values are kept as 40-bit hashes (two of 32 are equal once in two thousand million sets). Beyond
//! that it is a HyperLogLog with 2,048 registers: standard error 2.3 %, 1,280 bytes at most.
//!
//! Invariants: the result depends on the set of values only, never on order or grouping.
//!
//! # Source
//! O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6.

use crate::operators::codec::{Corrupt, Reader, corrupt, put_u64};
use crate::operators::hash::xxh64;
use crate::operators::measure::Input;

/// Values counted exactly.
pub const EXACT_MAX: usize = 32;
/// Bits of a hash that are used.
pub const HASH_BITS: u32 = 40;

const PRECISION: u32 = 11;
const REGISTERS: usize = 1 << PRECISION;
const RANK_BITS: usize = 5;
const DENSE_BYTES: usize = REGISTERS * RANK_BITS / 8;

/// A set's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distinct {
    /// The hashes, in order.
    Exact(Vec<u64>),
    /// The ranks.
    Sketch(Box<[u8; REGISTERS]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

/// The hash of an input; None if there is nothing to count. A text never equals a number of the same digits, and a
/// float that is whole equals that whole number.
pub fn hash(input: &Input<'_>) -> Option<u64> {
    let hash = match *input {
        Input::Skip => return None,
        Input::Unit => 0,
        Input::Bool(yes) => xxh64(&[u8::from(yes)], 1),
        Input::Int(number) => xxh64(&number.to_le_bytes(), 2),
        Input::Float(number) if number as i64 as f64 == number => xxh64(&(number as i64).to_le_bytes(), 2),
        Input::Float(number) => xxh64(&number.to_bits().to_le_bytes(), 3),
        Input::Text(text) => xxh64(text.as_bytes(), 4),
        Input::Json(text) => xxh64(text.as_bytes(), 5),
    };
    Some(hash >> (64 - HASH_BITS))
}

/// Splits a hash into register and rank (the place of the first one bit, from 1) for `1 << precision` registers.
pub const fn register(hash: u64, precision: u32) -> (usize, u8) {
    let below = HASH_BITS - precision;
    let rest = hash & ((1 << below) - 1);
    let rank = if rest == 0 { below + 1 } else { rest.leading_zeros() - (64 - below) + 1 };
    ((hash >> below) as usize, rank as u8)
}

/// The estimate from how many registers hold each rank; `counts` begins with rank 0 and holds ranks up to
/// `HASH_BITS - precision + 1`.
pub fn estimate(counts: &[u32; 64], precision: u32) -> u64 {
    let registers = f64::from(1_u32 << precision);
    let top = (HASH_BITS - precision) as usize;
    let at = |rank: usize| f64::from(counts.get(rank).copied().unwrap_or(0));
    let mut sum = registers * tau(1.0 - at(top + 1) / registers);
    for rank in (1..=top).rev() {
        sum = 0.5 * (sum + at(rank));
    }
    sum += registers * sigma(at(0) / registers);
    (registers * registers / (2.0 * std::f64::consts::LN_2 * sum)).round() as u64
}

fn sigma(share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut scale, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let before = sum;
        sum += power * scale;
        scale += scale;
        if sum == before {
            return sum;
        }
    }
}

fn tau(share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut root, mut scale, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        let before = sum;
        scale *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * scale;
        if sum == before {
            return sum / 3.0;
        }
    }
}

impl Distinct {
    /// Adds the hash of a value; see [`hash`].
    pub fn add(&mut self, hash: u64) {
        match self {
            Self::Exact(hashes) => {
                if let Err(at) = hashes.binary_search(&hash) {
                    hashes.insert(at, hash);
                    if hashes.len() > EXACT_MAX {
                        self.grow();
                    }
                }
            }
            Self::Sketch(ranks) => set(ranks, hash),
        }
    }

    /// Adds all of another set.
    pub fn merge(&mut self, other: &Self) {
        match other {
            Self::Exact(hashes) => hashes.iter().for_each(|hash| self.add(*hash)),
            Self::Sketch(others) => {
                if let Self::Sketch(ranks) = self.grow() {
                    for (rank, other) in ranks.iter_mut().zip(others.iter()) {
                        *rank = (*rank).max(*other);
                    }
                }
            }
        }
    }

    /// The size.
    pub fn count(&self) -> u64 {
        match self {
            Self::Exact(hashes) => hashes.len() as u64,
            Self::Sketch(ranks) => {
                let mut counts = [0; 64];
                for rank in ranks.iter() {
                    if let Some(count) = counts.get_mut(usize::from(*rank)) {
                        *count += 1;
                    }
                }
                estimate(&counts, PRECISION)
            }
        }
    }

    fn grow(&mut self) -> &mut Self {
        if let Self::Exact(hashes) = self {
            let mut ranks = Box::new([0; REGISTERS]);
            for hash in hashes {
                set(&mut ranks, *hash);
            }
            *self = Self::Sketch(ranks);
        }
        self
    }

    /// Appends the bytes: hashes, or pairs of register and rank while that is shorter than all ranks.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Exact(hashes) => {
                put_u64(out, hashes.len() as u64);
                for hash in hashes {
                    out.extend_from_slice(hash.to_le_bytes().get(..5).unwrap_or_default());
                }
            }
            Self::Sketch(ranks) => {
                let set = ranks.iter().filter(|rank| **rank > 0).count();
                if 2 * set + 4 < DENSE_BYTES {
                    put_u64(out, EXACT_MAX as u64 + 1);
                    put_u64(out, set as u64);
                    let mut before = 0;
                    for (register, rank) in ranks.iter().enumerate().filter(|(_, rank)| **rank > 0) {
                        put_u64(out, (register - before) as u64);
                        out.push(*rank);
                        before = register;
                    }
                } else {
                    put_u64(out, EXACT_MAX as u64 + 2);
                    // Eight ranks of five bits in five bytes.
                    for ranks in ranks.as_chunks::<8>().0 {
                        let bits = ranks.iter().rev().fold(0_u64, |bits, rank| bits << RANK_BITS | u64::from(*rank));
                        out.extend_from_slice(bits.to_le_bytes().get(..RANK_BITS).unwrap_or_default());
                    }
                }
            }
        }
    }

    /// Reads what [`Self::put`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        let tag = usize::try_from(reader.u64()?).or(corrupt("a set of unknown kind"))?;
        if tag <= EXACT_MAX {
            let mut hashes = Vec::with_capacity(tag);
            for _ in 0..tag {
                let hash = five(reader)?;
                if hashes.last().is_some_and(|last| *last >= hash) {
                    return corrupt("hashes in order");
                }
                hashes.push(hash);
            }
            return Ok(Self::Exact(hashes));
        }
        let mut ranks = Box::new([0; REGISTERS]);
        if tag == EXACT_MAX + 1 {
            let mut register = 0;
            for _ in 0..reader.count()? {
                register = usize::try_from(reader.u64()?).unwrap_or(REGISTERS).saturating_add(register);
                let rank = reader.byte()?;
                match ranks.get_mut(register) {
                    Some(slot) if u32::from(rank) <= HASH_BITS - PRECISION + 1 => *slot = rank,
                    _ => return corrupt("a register and its rank"),
                }
            }
        } else if tag == EXACT_MAX + 2 {
            for ranks in ranks.as_chunks_mut::<8>().0 {
                let mut bits = five(reader)?;
                for rank in ranks {
                    *rank = ((bits & 31) as u8).min((HASH_BITS - PRECISION + 1) as u8);
                    bits >>= RANK_BITS;
                }
            }
        } else {
            return corrupt("a set of unknown kind");
        }
        Ok(Self::Sketch(ranks))
    }
}

fn five(reader: &mut Reader<'_>) -> Result<u64, Corrupt> {
    Ok(reader.take(5)?.iter().rev().fold(0, |hash, byte| hash << 8 | u64::from(*byte)))
}

fn set(ranks: &mut [u8; REGISTERS], hash: u64) {
    let (register, rank) = register(hash, PRECISION);
    if let Some(slot) = ranks.get_mut(register) {
        *slot = (*slot).max(rank);
    }
}

#[cfg(test)]
mod tests;
