//! Which beginnings of a value, or ends of it, are worth looking up: one hash grows along the value and is handed out at
//! each length that occurs, so that a value costs its bytes and the lengths, whatever the number of affixes.
//!
//! What it is NOT: a trie, which would wait for memory at every byte where affixes part.

/// The lengths of prefixes or suffixes.
#[derive(Debug, Default)]
pub(crate) struct Affixes {
    /// Sorted.
    lengths: Vec<usize>,
}

/// Where the reading of a value begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Start,
    End,
}

impl Affixes {
    /// Adds an affix's length; the empty one fits every value.
    pub fn insert(&mut self, length: usize) {
        if let Err(place) = self.lengths.binary_search(&length) {
            self.lengths.insert(place, length);
        }
    }

    /// Hands out the affixes of a value that have one of the lengths, with their hashes.
    #[inline]
    pub fn of<'v>(&self, from: From, value: &'v [u8], mut look_up: impl FnMut(u64, &'v [u8])) {
        let mut grown = 0;
        let mut read = 0;
        for length in self.lengths.iter().copied().take_while(|length| *length <= value.len()) {
            let (more, affix) = match from {
                From::Start => (value.get(read..length), value.get(..length)),
                From::End => {
                    let end = value.len();
                    (value.get(end - length..end - read), value.get(end - length..))
                }
            };
            grown = grow(from, grown, more.unwrap_or_default());
            read = length;
            look_up(grown, affix.unwrap_or_default());
        }
    }
}

/// The hash of an affix.
pub(crate) fn hash(from: From, affix: &[u8]) -> u64 {
    grow(from, 0, affix)
}

/// Takes the bytes that follow in reading direction into a hash.
#[inline]
fn grow(from: From, hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    match from {
        From::Start => bytes.iter().fold(hash, step),
        From::End => bytes.iter().rev().fold(hash, step),
    }
}
