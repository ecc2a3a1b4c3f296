//! For one field: value -> the keyed tests it satisfies, without asking each of them.
//!
//! What it is NOT: complete. Tests with intervals, `exists` or `anything-but` are not here; a rule is found by its
//! other fields, or through its group (`tree`), and such tests are then asked directly. Nor does it hold what a value
//! is looked up as; all fields share one table (`keys`), and this knows what to ask it for.

use aho_corasick::AhoCorasick;

use crate::address::{self, Address};
use crate::affixes::{self, Affixes, From};
use crate::fold;
use crate::keys::{Entry, Keys, Probe, Probes};
use crate::matcher::{Leaf, LeafKind, Matcher};
use crate::paths::{Map, hasher};
use crate::reading::NONE;
use crate::wildcard::Wildcard;

/// As what a value is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Text,
    Address,
    Number,
    Literal,
    IgnoreCase,
    Prefix,
    Suffix,
    FoldedPrefix,
    FoldedSuffix,
}

const ROLES: u32 = 9;
/// How many fields have scopes of their own.
pub(crate) const FIELDS_MAX: u32 = u32::MAX / ROLES;

/// Something to look values up as.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub field: u32,
    pub role: Role,
    pub bytes: Box<[u8]>,
}

impl Key {
    /// The field and the role as one number.
    pub fn scope(&self) -> u32 {
        scope(self.field, self.role)
    }

    /// Its hash in the table.
    pub fn hash(&self, keys: &Keys) -> u64 {
        match self.role {
            Role::Prefix | Role::FoldedPrefix => keys.hash_grown(self.scope(), affixes::hash(From::Start, &self.bytes)),
            Role::Suffix | Role::FoldedSuffix => keys.hash_grown(self.scope(), affixes::hash(From::End, &self.bytes)),
            _ => keys.hash(self.scope(), &self.bytes),
        }
    }
}

#[inline]
fn scope(field: u32, role: Role) -> u32 {
    field.wrapping_mul(ROLES).wrapping_add(role as u32)
}

/// The key by which the values that satisfy an alternative are found; none for a wildcard that begins and ends with a
/// star, and for alternatives that are not keyed.
pub(crate) fn key(field: u32, matcher: &Matcher) -> Option<Key> {
    let (role, bytes) = match matcher {
        Matcher::Text(text) => (Role::Text, text.clone()),
        Matcher::Address(address) => (Role::Address, spelled(*address).into()),
        Matcher::Number(number) => (Role::Number, number.to_le_bytes().into()),
        Matcher::Literal(text) => (Role::Literal, text.clone()),
        Matcher::IgnoreCase(text) => (Role::IgnoreCase, text.clone()),
        Matcher::Prefix(text) => (Role::Prefix, text.clone()),
        Matcher::Suffix(text) => (Role::Suffix, text.clone()),
        Matcher::FoldedPrefix(text) => (Role::FoldedPrefix, text.clone()),
        Matcher::FoldedSuffix(text) => (Role::FoldedSuffix, text.clone()),
        Matcher::Wildcard(wildcard) => {
            let (first, last) = wildcard.ends();
            if first.len() >= last.len() && (!first.is_empty() || wildcard.required().is_empty()) {
                (Role::Prefix, first.into())
            } else if !last.is_empty() {
                (Role::Suffix, last.into())
            } else {
                return None;
            }
        }
        Matcher::Between(..) | Matcher::Block(..) | Matcher::Exists | Matcher::Absent | Matcher::But(_) => return None,
    };
    Some(Key { field, role, bytes })
}

fn spelled(address: Address) -> [u8; 17] {
    let mut bytes = [u8::from(address.v6); 17];
    bytes[..16].copy_from_slice(&address.number.to_le_bytes());
    bytes
}

/// The keyed tests of one field.
#[derive(Debug, Default)]
pub(crate) struct FieldIndex {
    field: u32,
    /// Bits of the roles that values are looked up in.
    roles: u16,
    prefixes: Affixes,
    suffixes: Affixes,
    folded_prefixes: Affixes,
    folded_suffixes: Affixes,
    pieces: Option<Pieces>,
}

/// Buffers of look-ups, kept from event to event.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    folded: Vec<u8>,
    tried: Vec<u64>,
    tries: u64,
}

/// What look-ups of all fields read.
#[derive(Clone, Copy)]
pub(crate) struct Shelf<'a> {
    pub keys: &'a Keys,
    pub records: &'a [u32],
    pub wildcards: &'a [Wildcard],
}

impl Shelf<'_> {
    /// Ends look-ups that were begun.
    #[inline]
    pub fn find_all(self, probes: &mut Probes<'_>, mut found: impl FnMut(&Entry)) {
        self.keys.find_all(self.records, probes, |entry, text| {
            let [_, _, wildcard] = entry;
            if *wildcard == NONE || self.wildcards.get(*wildcard as usize).is_some_and(|one| one.matches(text)) {
                found(entry);
            }
        });
    }
}

impl FieldIndex {
    pub fn new(field: u32) -> Self {
        Self { field, ..Self::default() }
    }

    /// Takes note of a key of this field.
    pub fn insert(&mut self, key: &Key) {
        self.roles |= 1 << key.role as u16;
        match key.role {
            Role::Prefix => self.prefixes.insert(key.bytes.len()),
            Role::Suffix => self.suffixes.insert(key.bytes.len()),
            Role::FoldedPrefix => self.folded_prefixes.insert(key.bytes.len()),
            Role::FoldedSuffix => self.folded_suffixes.insert(key.bytes.len()),
            Role::Text | Role::Address | Role::Number | Role::Literal | Role::IgnoreCase => {}
        }
    }

    /// Takes the wildcards that have no key, with what they lead to.
    pub fn finish(&mut self, entries: Vec<Entry>, wildcards: &[Wildcard]) {
        self.pieces = (!entries.is_empty()).then(|| Pieces::new(entries, wildcards));
    }

    /// Hands out what a value leads to, some maybe twice; look-ups of the value's own bytes are only begun.
    #[inline]
    pub fn find<'v>(
        &self,
        shelf: Shelf<'_>,
        leaf: Leaf<'v>,
        probes: &mut Probes<'v>,
        buffers: &mut Buffers,
        mut found: impl FnMut(&Entry),
    ) {
        let text = leaf.bytes;
        let keys = shelf.keys;
        let now = |role: Role, bytes: &[u8]| {
            let scope = scope(self.field, role);
            keys.find(shelf.records, keys.hash(scope, bytes), scope, bytes)
        };
        let mut later = |role: Role, bytes: &'v [u8], grown: Option<u64>| {
            let scope = scope(self.field, role);
            let hash = grown.map_or_else(|| keys.hash(scope, bytes), |grown| keys.hash_grown(scope, grown));
            probes.push(Probe::new(hash, scope, bytes, text));
        };
        match leaf.kind {
            LeafKind::Number(number) if self.has(Role::Number) => {
                return now(Role::Number, &number.to_le_bytes()).iter().for_each(found);
            }
            LeafKind::Literal if self.has(Role::Literal) => return later(Role::Literal, text, None),
            LeafKind::Number(_) | LeafKind::Literal => return,
            LeafKind::Text => {}
        }
        if self.has(Role::Text) {
            later(Role::Text, text, None);
        }
        self.prefixes.of(From::Start, text, |grown, bytes| later(Role::Prefix, bytes, Some(grown)));
        self.suffixes.of(From::End, text, |grown, bytes| later(Role::Suffix, bytes, Some(grown)));
        if self.has(Role::Address)
            && let Some(address) = address::parse(text)
        {
            now(Role::Address, &spelled(address)).iter().for_each(&mut found);
        }
        if self.has(Role::IgnoreCase) || self.has(Role::FoldedPrefix) || self.has(Role::FoldedSuffix) {
            buffers.folded.clear();
            fold::fold(text, &mut buffers.folded);
            let folded = buffers.folded.as_slice();
            now(Role::IgnoreCase, folded).iter().for_each(&mut found);
            let mut affix = |role: Role, bytes: &[u8], grown: u64| {
                let scope = scope(self.field, role);
                let hash = keys.hash_grown(scope, grown);
                keys.find(shelf.records, hash, scope, bytes).iter().for_each(&mut found);
            };
            self.folded_prefixes.of(From::Start, folded, |grown, bytes| affix(Role::FoldedPrefix, bytes, grown));
            self.folded_suffixes.of(From::End, folded, |grown, bytes| affix(Role::FoldedSuffix, bytes, grown));
        }
        if let Some(pieces) = &self.pieces {
            pieces.find(shelf.wildcards, text, buffers, found);
        }
    }

    #[inline]
    fn has(&self, role: Role) -> bool {
        self.roles & 1 << role as u16 != 0
    }
}

/// Wildcards between two stars: only those whose longest piece occurs in a value are tried.
#[derive(Debug)]
struct Pieces {
    entries: Vec<Entry>,
    /// By piece: places in `entries`.
    by_piece: Vec<Vec<u32>>,
    /// `None` beyond 2 GiB of pieces: then all are tried.
    search: Option<AhoCorasick>,
}

impl Pieces {
    fn new(entries: Vec<Entry>, wildcards: &[Wildcard]) -> Self {
        let mut numbers: Map<&[u8], usize> = Map::with_hasher(hasher());
        let mut pieces: Vec<&[u8]> = Vec::new();
        let mut by_piece: Vec<Vec<u32>> = Vec::new();
        for ([_, _, wildcard], at) in entries.iter().zip(0_u32..) {
            let Some(wildcard) = wildcards.get(*wildcard as usize) else { continue };
            let number = *numbers.entry(wildcard.required()).or_insert(pieces.len());
            if number == pieces.len() {
                pieces.push(wildcard.required());
                by_piece.push(Vec::new());
            }
            if let Some(list) = by_piece.get_mut(number) {
                list.push(at);
            }
        }
        let search = AhoCorasick::new(&pieces).ok();
        Self { entries, by_piece, search }
    }

    fn find(&self, wildcards: &[Wildcard], text: &[u8], buffers: &mut Buffers, mut found: impl FnMut(&Entry)) {
        let mut attempt = |entry: &Entry| {
            let [_, _, wildcard] = entry;
            if wildcards.get(*wildcard as usize).is_some_and(|wildcard| wildcard.matches(text)) {
                found(entry);
            }
        };
        let Some(search) = &self.search else { return self.entries.iter().for_each(attempt) };
        buffers.tries += 1;
        if buffers.tried.len() < self.by_piece.len() {
            buffers.tried.resize(self.by_piece.len(), 0);
        }
        for hit in search.find_overlapping_iter(text) {
            let piece = hit.pattern().as_usize();
            let Some(tried) = buffers.tried.get_mut(piece).filter(|tried| **tried != buffers.tries) else { continue };
            *tried = buffers.tries;
            let entries = self.by_piece.get(piece).into_iter().flatten();
            entries.filter_map(|at| self.entries.get(*at as usize)).for_each(&mut attempt);
        }
    }
}
