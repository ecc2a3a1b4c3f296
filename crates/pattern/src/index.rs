//! For one field: value -> the keyed tests it satisfies, without asking each of them.
//!
//! What it is NOT: complete. Tests with intervals, `exists` or `anything-but` are not here; a rule is found by its
//! other fields, or through its group (`ruleset`), and such tests are then asked directly.

use aho_corasick::AhoCorasick;
use smallvec::SmallVec;

use crate::address::{self, Address};
use crate::affixes::Affixes;
use crate::fold;
use crate::matcher::{Leaf, LeafKind, Matcher};
use crate::number::Rank;
use crate::paths::{Map, hasher};
use crate::wildcard::Wildcard;

/// Tests that one value satisfies. Both sides of an entry lie in the table itself as a rule: a look-up in a large rule
/// set waits for memory, not for the processor.
type Tests = SmallVec<[u32; 4]>;
type Text = SmallVec<[u8; 24]>;

/// The keyed tests of one field.
#[derive(Debug)]
pub(crate) struct FieldIndex {
    texts: Map<Text, Tests>,
    addresses: Map<Address, Tests>,
    numbers: Map<Rank, Tests>,
    literals: Map<Text, Tests>,
    ignore_case: Map<Text, Tests>,
    prefixes: Affixes,
    suffixes: Affixes,
    folded_prefixes: Affixes,
    folded_suffixes: Affixes,
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
            prefixes: Affixes::prefixes(),
            suffixes: Affixes::suffixes(),
            folded_prefixes: Affixes::prefixes(),
            folded_suffixes: Affixes::suffixes(),
            wildcards: Wildcards::new(),
            folds: false,
        }
    }

    /// Adds one alternative of a keyed test.
    pub fn insert(&mut self, matcher: &Matcher, test: u32) {
        match matcher {
            Matcher::Text(text) => self.texts.entry(Text::from_slice(text)).or_default().push(test),
            Matcher::Address(address) => self.addresses.entry(*address).or_default().push(test),
            Matcher::Number(number) => self.numbers.entry(*number).or_default().push(test),
            Matcher::Literal(text) => self.literals.entry(Text::from_slice(text)).or_default().push(test),
            Matcher::Prefix(text) => self.prefixes.insert(text, test),
            Matcher::Suffix(text) => self.suffixes.insert(text, test),
            Matcher::Wildcard(wildcard) => self.wildcards.list.push((wildcard.clone(), test)),
            Matcher::IgnoreCase(text) => {
                self.folds = true;
                self.ignore_case.entry(Text::from_slice(text)).or_default().push(test);
            }
            Matcher::FoldedPrefix(text) => {
                self.folds = true;
                self.folded_prefixes.insert(text, test);
            }
            Matcher::FoldedSuffix(text) => {
                self.folds = true;
                self.folded_suffixes.insert(text, test);
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
        let mut all = |tests: Option<&Tests>| tests.into_iter().flatten().for_each(|test| found(*test));
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
        self.prefixes.find(text, &mut found);
        self.suffixes.find(text, &mut found);
        self.wildcards.find(text, buffers, &mut found);
        if self.folds {
            let mut folded = std::mem::take(&mut buffers.folded);
            folded.clear();
            fold::fold(text, &mut folded);
            self.ignore_case.get(folded.as_slice()).into_iter().flatten().for_each(|test| found(*test));
            self.folded_prefixes.find(&folded, &mut found);
            self.folded_suffixes.find(&folded, &mut found);
            buffers.folded = folded;
        }
    }
}

/// Wildcards of one field. Few are tried one after the other; of many only those whose beginning or end fits the
/// value, or, between two stars, whose longest piece occurs in it.
#[derive(Debug)]
struct Wildcards {
    list: Vec<(Wildcard, u32)>,
    /// These three name places in `list`.
    prefixes: Affixes,
    suffixes: Affixes,
    by_piece: Vec<Vec<u32>>,
    pieces: Option<AhoCorasick>,
    /// Tests of those without any literal.
    free: Vec<u32>,
    few: bool,
}

const FEW_MAX: usize = 4;

impl Wildcards {
    fn new() -> Self {
        Self {
            list: Vec::new(),
            prefixes: Affixes::prefixes(),
            suffixes: Affixes::suffixes(),
            by_piece: Vec::new(),
            pieces: None,
            free: Vec::new(),
            few: true,
        }
    }

    fn finish(&mut self) {
        self.few = self.list.len() <= FEW_MAX;
        if self.few {
            return;
        }
        let mut numbers: Map<&[u8], usize> = Map::with_hasher(hasher());
        let mut pieces: Vec<&[u8]> = Vec::new();
        for ((wildcard, test), at) in self.list.iter().zip(0_u32..) {
            let (first, last) = wildcard.ends();
            let piece = wildcard.required();
            if first.len() >= last.len() && !first.is_empty() {
                self.prefixes.insert(first, at);
            } else if !last.is_empty() {
                self.suffixes.insert(last, at);
            } else if piece.is_empty() && wildcard.matches(b"") && wildcard.matches(b"x") {
                self.free.push(*test);
            } else {
                let number = *numbers.entry(piece).or_insert(pieces.len());
                if number == pieces.len() {
                    pieces.push(piece);
                    self.by_piece.push(Vec::new());
                }
                if let Some(list) = self.by_piece.get_mut(number) {
                    list.push(at);
                }
            }
        }
        match AhoCorasick::new(&pieces) {
            _ if pieces.is_empty() => {}
            Ok(found) => self.pieces = Some(found),
            // Only beyond 2 GiB of pieces.
            Err(_) => self.few = true,
        }
    }

    fn find(&self, text: &[u8], buffers: &mut Buffers, found: &mut impl FnMut(u32)) {
        if self.few {
            self.list.iter().filter(|(wildcard, _)| wildcard.matches(text)).for_each(|(_, test)| found(*test));
            return;
        }
        let mut attempt = |at: u32| {
            if let Some((_, test)) = self.list.get(at as usize).filter(|(wildcard, _)| wildcard.matches(text)) {
                found(*test);
            }
        };
        self.prefixes.find(text, &mut attempt);
        self.suffixes.find(text, &mut attempt);
        if let Some(pieces) = &self.pieces {
            buffers.tries += 1;
            if buffers.tried.len() < self.list.len() {
                buffers.tried.resize(self.list.len(), 0);
            }
            for hit in pieces.find_overlapping_iter(text) {
                for at in self.by_piece.get(hit.pattern().as_usize()).into_iter().flatten() {
                    let tried = buffers.tried.get_mut(*at as usize);
                    if let Some(tried) = tried.filter(|tried| **tried != buffers.tries) {
                        *tried = buffers.tries;
                        attempt(*at);
                    }
                }
            }
        }
        self.free.iter().for_each(|test| found(*test));
    }
}
