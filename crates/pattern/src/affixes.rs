//! Which of many prefixes start a value, or suffixes end it: one hash grows along the value and is looked up at each
//! length that occurs, so that a value costs its bytes and the lengths, whatever the number of affixes.
//!
//! What it is NOT: a trie, which would wait for memory at every byte where affixes part.

use smallvec::SmallVec;

use crate::paths::{Map, hasher};

/// Prefixes or suffixes, each with a number the caller knows.
#[derive(Debug)]
pub(crate) struct Affixes {
    from_end: bool,
    /// Sorted.
    lengths: Vec<usize>,
    /// By the hash of the bytes in reading direction; equal hashes are told apart by the text.
    table: Map<u64, SmallVec<[(SmallVec<[u8; 24]>, u32); 1]>>,
}

impl Affixes {
    pub fn prefixes() -> Self {
        Self { from_end: false, lengths: Vec::new(), table: Map::with_hasher(hasher()) }
    }

    pub fn suffixes() -> Self {
        Self { from_end: true, ..Self::prefixes() }
    }

    /// Adds an affix; the empty one fits every value.
    pub fn insert(&mut self, affix: &[u8], entry: u32) {
        if let Err(place) = self.lengths.binary_search(&affix.len()) {
            self.lengths.insert(place, affix.len());
        }
        let hash = self.extend(0, affix, 0, affix.len());
        self.table.entry(hash).or_default().push((SmallVec::from_slice(affix), entry));
    }

    /// Hands out the entries of every affix that fits the value.
    #[inline]
    pub fn find(&self, value: &[u8], mut found: impl FnMut(u32)) {
        let (mut hash, mut read) = (0, 0);
        for length in self.lengths.iter().take_while(|length| **length <= value.len()) {
            hash = self.extend(hash, value, read, *length);
            read = *length;
            for (affix, entry) in self.table.get(&hash).into_iter().flatten() {
                let fits = if self.from_end { value.ends_with(affix) } else { value.starts_with(affix) };
                if fits && affix.len() == *length {
                    found(*entry);
                }
            }
        }
    }

    /// Takes the bytes between two distances from the end where reading begins into a hash.
    #[inline]
    fn extend(&self, hash: u64, value: &[u8], from: usize, to: usize) -> u64 {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
        if self.from_end {
            let bytes = value.get(value.len() - to..value.len() - from).unwrap_or_default();
            return bytes.iter().rev().fold(hash, step);
        }
        value.get(from..to).unwrap_or_default().iter().fold(hash, step)
    }
}
