//! For one field: value -> the keyed tests it satisfies, without asking each of them.
//!
//! What it is NOT: complete. Tests with intervals, `exists` or `anything-but` are not here; a rule is found by its
//! other fields, or through its group (`ruleset`), and such tests are then asked directly.

use aho_corasick::AhoCorasick;

use crate::address::{self, Address};
use crate::bytetrie::ByteTrie;
use crate::fold;
use crate::matcher::{Leaf, LeafKind, Matcher};
use crate::number::Rank;
use crate::paths::{Map, hasher};
use crate::wildcard::Wildcard;

/// The keyed tests of one field.
#[derive(Debug)]
pub(crate) struct FieldIndex {
    texts: Map<Box<[u8]>, Vec<u32>>,
    addresses: Map<Address, Vec<u32>>,
    numbers: Map<Rank, Vec<u32>>,
    literals: Map<Box<[u8]>, Vec<u32>>,
    ignore_case: Map<Box<[u8]>, Vec<u32>>,
    prefixes: ByteTrie,
    suffixes: ByteTrie,
    folded_prefixes: ByteTrie,
    folded_suffixes: ByteTrie,
    wildcards: Wildcards,
    /// Whether anything needs the folded value.
    folds: bool,
}

/// Buffers of look-ups, kept from event to event.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    folded: Vec<u8>,
    tried: Vec<u64>,
    tries: u64,
}

impl FieldIndex {
    pub fn new() -> Self {
        Self {
            texts: Map::with_hasher(hasher()),
            addresses: Map::with_hasher(hasher()),
            numbers: Map::with_hasher(hasher()),
            literals: Map::with_hasher(hasher()),
            ignore_case: Map::with_hasher(hasher()),
            prefixes: ByteTrie::default(),
            suffixes: ByteTrie::default(),
            folded_prefixes: ByteTrie::default(),
            folded_suffixes: ByteTrie::default(),
            wildcards: Wildcards::default(),
            folds: false,
        }
    }

    /// Adds one alternative of a keyed test.
    pub fn insert(&mut self, matcher: &Matcher, test: u32) {
        match matcher {
            Matcher::Text(text) => self.texts.entry(text.clone()).or_default().push(test),
            Matcher::Address(address) => self.addresses.entry(*address).or_default().push(test),
            Matcher::Number(number) => self.numbers.entry(*number).or_default().push(test),
            Matcher::Literal(text) => self.literals.entry(text.clone()).or_default().push(test),
            Matcher::Prefix(text) => self.prefixes.insert(text.iter().copied(), test),
            Matcher::Suffix(text) => self.suffixes.insert(text.iter().rev().copied(), test),
            Matcher::Wildcard(wildcard) => self.wildcards.list.push((wildcard.clone(), test)),
            Matcher::IgnoreCase(text) => {
                self.folds = true;
                self.ignore_case.entry(text.clone()).or_default().push(test);
            }
            Matcher::FoldedPrefix(text) => {
                self.folds = true;
                self.folded_prefixes.insert(text.iter().copied(), test);
            }
            Matcher::FoldedSuffix(text) => {
                self.folds = true;
                self.folded_suffixes.insert(text.iter().rev().copied(), test);
            }
            Matcher::Between(..) | Matcher::Block(..) | Matcher::Exists | Matcher::Absent | Matcher::But(_) => {
                headwater_base::never!("{matcher:?} is not keyed");
            }
        }
    }

    /// Ends the building.
    pub fn finish(&mut self) {
        self.wildcards.finish();
    }

    /// Hands out the tests that a value satisfies, some maybe twice.
    #[inline]
    pub fn find(&self, leaf: Leaf<'_>, buffers: &mut Buffers, mut found: impl FnMut(u32)) {
        let mut all = |tests: Option<&Vec<u32>>| tests.into_iter().flatten().for_each(|test| found(*test));
        match leaf.kind {
            LeafKind::Number(number) => return all(self.numbers.get(&number)),
            LeafKind::Literal => return all(self.literals.get(leaf.bytes)),
            LeafKind::Text => {}
        }
        let text = leaf.bytes;
        if !self.texts.is_empty() {
            all(self.texts.get(text));
        }
        if !self.addresses.is_empty() {
            all(address::parse(text).and_then(|address| self.addresses.get(&address)));
        }
        self.prefixes.walk(text.iter().copied(), &mut found);
        self.suffixes.walk(text.iter().rev().copied(), &mut found);
        self.wildcards.find(text, buffers, &mut found);
        if self.folds {
            let mut folded = std::mem::take(&mut buffers.folded);
            folded.clear();
            fold::fold(text, &mut folded);
            self.ignore_case.get(&*folded).into_iter().flatten().for_each(|test| found(*test));
            self.folded_prefixes.walk(folded.iter().copied(), &mut found);
            self.folded_suffixes.walk(folded.iter().rev().copied(), &mut found);
            buffers.folded = folded;
        }
    }
}

/// Wildcards of one field. A value is searched once for the longest literal piece of each of them; only those whose
/// piece occurs are tried.
#[derive(Debug, Default)]
struct Wildcards {
    list: Vec<(Wildcard, u32)>,
    pieces: Option<AhoCorasick>,
    /// For each distinct piece: the wildcards that need it.
    by_piece: Vec<Vec<u32>>,
    /// Those without a literal.
    free: Vec<u32>,
}

/// So few are tried one after the other.
const TRIED_MAX: usize = 4;

impl Wildcards {
    fn finish(&mut self) {
        if self.list.len() <= TRIED_MAX {
            return;
        }
        let mut numbers: Map<Box<[u8]>, usize> = Map::with_hasher(hasher());
        let mut pieces: Vec<Box<[u8]>> = Vec::new();
        for (at, (wildcard, test)) in self.list.iter().enumerate() {
            let piece = wildcard.required();
            if piece.is_empty() {
                self.free.push(*test);
                continue;
            }
            let number = *numbers.entry(piece.into()).or_insert(pieces.len());
            if number == pieces.len() {
                pieces.push(piece.into());
                self.by_piece.push(Vec::new());
            }
            if let Some(list) = self.by_piece.get_mut(number) {
                list.push(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
        // It fails only beyond 2 GiB of pieces; trying one after the other stays correct.
        self.pieces = AhoCorasick::new(&pieces).ok();
    }

    fn find(&self, text: &[u8], buffers: &mut Buffers, found: &mut impl FnMut(u32)) {
        let Some(pieces) = &self.pieces else {
            self.list.iter().filter(|(wildcard, _)| wildcard.matches(text)).for_each(|(_, test)| found(*test));
            return;
        };
        self.free.iter().for_each(|test| found(*test));
        buffers.tries += 1;
        if buffers.tried.len() < self.list.len() {
            buffers.tried.resize(self.list.len(), 0);
        }
        for hit in pieces.find_overlapping_iter(text) {
            for at in self.by_piece.get(hit.pattern().as_usize()).into_iter().flatten() {
                let Some(tried) = buffers.tried.get_mut(*at as usize).filter(|tried| **tried != buffers.tries) else {
                    continue;
                };
                *tried = buffers.tries;
                if let Some((_, test)) = self.list.get(*at as usize).filter(|(wildcard, _)| wildcard.matches(text)) {
                    found(*test);
                }
            }
        }
    }
}
