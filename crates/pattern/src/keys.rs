//! One table of everything that values are looked up as in a rule set: a field, how its value is read, and bytes; and
//! what a value that spells them leads to.
//!
//! What it is NOT: a map for each field. With many rules a look-up costs the memory it waits for, so a slot is eight
//! bytes, the key's bytes, what they lead to and the tree's node lie side by side in the tree's records, and an event's
//! look-ups go through the table in rounds: no step of a round waits for another, so the processor fetches for all at
//! once.

use ahash::RandomState;
use smallvec::SmallVec;

use crate::paths::hasher;
use crate::reading::NONE;

/// Where a value that spells a key leads: the mark of the test it satisfies and the node that this opens, either of
/// them [`NONE`]; and the wildcard that must match first, or [`NONE`].
pub(crate) type Entry = [u32; 3];

/// The table. A key's record is `[scope, bytes, entries]`, the bytes four to a number, and the entries.
#[derive(Debug)]
pub(crate) struct Keys {
    state: RandomState,
    /// A power of two, at least half of them free; searched from where the hash points.
    slots: Vec<Slot>,
}

/// The upper half of a key's hash, and where its record begins or [`NONE`].
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: u32,
    at: u32,
}

const FREE: Slot = Slot { tag: 0, at: NONE };

/// Look-ups under way.
pub(crate) type Probes<'v> = SmallVec<[Probe<'v>; PROBES]>;

/// How many look-ups go through the table together.
pub(crate) const PROBES: usize = 32;

/// A look-up under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'v> {
    hash: u64,
    scope: u32,
    /// What the record at `slot` begins with.
    begins: u32,
    slot: Slot,
    bytes: &'v [u8],
    /// The value whose bytes these are.
    pub text: &'v [u8],
}

impl<'v> Probe<'v> {
    pub fn new(hash: u64, scope: u32, bytes: &'v [u8], text: &'v [u8]) -> Self {
        Self { hash, scope, begins: NONE, slot: FREE, bytes, text }
    }
}

impl Keys {
    /// A table for so many keys.
    pub fn new(count: usize) -> Self {
        let slots = (count * 2).next_power_of_two().max(2);
        Self { state: hasher(), slots: vec![FREE; slots] }
    }

    /// The hash of a key whose bytes are read at once.
    #[inline]
    pub fn hash(&self, scope: u32, bytes: &[u8]) -> u64 {
        self.state.hash_one((scope, bytes))
    }

    /// The hash of a key whose bytes were hashed one by one.
    #[inline]
    pub fn hash_grown(&self, scope: u32, grown: u64) -> u64 {
        self.state.hash_one((scope, grown))
    }

    /// Adds a key by writing its record.
    pub fn insert(&mut self, records: &mut Vec<u32>, hash: u64, scope: u32, bytes: &[u8], entries: &[Entry]) {
        let mask = self.slots.len() - 1;
        let at = count(records.len());
        records.extend([scope, count(bytes.len()), count(entries.len())]);
        records.extend(bytes.chunks(4).map(packed));
        records.extend(entries.as_flattened());
        let mut place = hash as usize & mask;
        while let Some(slot) = self.slots.get_mut(place) {
            if slot.at == NONE {
                *slot = Slot { tag: tag(hash), at };
                return;
            }
            place = (place + 1) & mask;
        }
    }

    /// Hands out what each of some keys leads to, and forgets them.
    #[inline]
    pub fn find_all(&self, records: &[u32], probes: &mut Probes<'_>, mut found: impl FnMut(&Entry, &[u8])) {
        let mask = self.slots.len() - 1;
        for probe in &mut *probes {
            probe.slot = self.slots.get(probe.hash as usize & mask).copied().unwrap_or(FREE);
        }
        for probe in &mut *probes {
            probe.begins = records.get(probe.slot.at as usize).copied().unwrap_or(NONE);
        }
        for probe in probes.drain(..) {
            if probe.slot.at == NONE {
                continue;
            }
            let Probe { hash, scope, begins, slot, bytes, text } = probe;
            let entries = (begins == scope && slot.tag == tag(hash)).then(|| entries(records, slot.at, scope, bytes));
            let entries = entries.flatten().unwrap_or_else(|| self.find(records, hash, scope, bytes));
            entries.iter().for_each(|entry| found(entry, text));
        }
    }

    /// What a key leads to.
    #[inline]
    pub fn find<'r>(&self, records: &'r [u32], hash: u64, scope: u32, bytes: &[u8]) -> &'r [Entry] {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        while let Some(slot) = self.slots.get(place).filter(|slot| slot.at != NONE) {
            if slot.tag == tag(hash)
                && let Some(entries) = entries(records, slot.at, scope, bytes)
            {
                return entries;
            }
            place = (place + 1) & mask;
        }
        &[]
    }
}

/// The entries of the record that begins here, if it is this key's.
#[inline]
fn entries<'r>(records: &'r [u32], at: u32, scope: u32, bytes: &[u8]) -> Option<&'r [Entry]> {
    let [its_scope, length, entries, rest @ ..] = records.get(at as usize..)? else { return None };
    if (*its_scope, *length as usize) != (scope, bytes.len()) {
        return None;
    }
    let (words, rest) = rest.split_at_checked(bytes.len().div_ceil(4))?;
    if spells(words, bytes) { rest.as_chunks().0.get(..*entries as usize) } else { None }
}

/// The part of a hash that does not choose the slot.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[inline]
fn spells(words: &[u32], bytes: &[u8]) -> bool {
    let (whole, rest) = bytes.as_chunks::<4>();
    whole.iter().zip(words).all(|(chunk, word)| u32::from_le_bytes(*chunk) == *word)
        && (rest.is_empty() || words.last() == Some(&packed(rest)))
}

/// Up to four bytes as a number.
#[inline]
fn packed(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn count(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}
