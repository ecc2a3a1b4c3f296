//! One alternative of a field: a value, or an expression such as `{"prefix": "a"}`; and how it judges one value.
//!
//! What it is NOT: fast on its own over many rules; `index` finds the few alternatives worth asking.

use std::collections::BTreeSet;
use std::fmt;

use crate::address::{self, Address};
use crate::fold;
use crate::number::{self, Rank};
use crate::wildcard::Wildcard;

/// A leaf of an event: a string's content, or a number's or literal's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf<'a> {
    pub bytes: &'a [u8],
    pub kind: LeafKind,
}

/// What kind of leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeafKind {
    Text,
    /// A number that has a value, by its rank.
    Number(Rank),
    /// `true`, `false`, `null`, or a number compared by its text.
    Literal,
}

impl<'a> Leaf<'a> {
    /// The leaf of a number or literal as the event spells it.
    #[inline]
    pub fn scalar(bytes: &'a [u8]) -> Self {
        let first = bytes.first().copied().unwrap_or_default();
        let kind = match first {
            b'-' | b'0'..=b'9' => number::rank(bytes).map_or(LeafKind::Literal, LeafKind::Number),
            _ => LeafKind::Literal,
        };
        Self { bytes, kind }
    }
}

/// One alternative.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Matcher {
    /// A string.
    Text(Box<[u8]>),
    /// A string that spells an IP address: any spelling of the address.
    Address(Address),
    Number(Rank),
    /// `true`, `false`, `null`, or a number compared by its text.
    Literal(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    /// The three that fold hold their text folded.
    FoldedPrefix(Box<[u8]>),
    FoldedSuffix(Box<[u8]>),
    IgnoreCase(Box<[u8]>),
    Wildcard(Wildcard),
    /// Numbers of a closed interval.
    Between(Rank, Rank),
    /// Addresses of a closed interval.
    Block(Address, Address),
    /// Any leaf.
    Exists,
    /// No leaf.
    Absent,
    /// Any leaf but these.
    But(But),
}

/// What `anything-but` excludes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum But {
    Texts(BTreeSet<Box<[u8]>>),
    Numbers(BTreeSet<Rank>),
    IgnoreCase(BTreeSet<Box<[u8]>>),
    Prefixes(Vec<Box<[u8]>>),
    Suffixes(Vec<Box<[u8]>>),
    Wildcards(Vec<Wildcard>),
}

impl Matcher {
    /// Whether a value satisfies it; [`Matcher::Absent`] is satisfied by none.
    pub fn accepts(&self, leaf: Leaf<'_>) -> bool {
        let text = (leaf.kind == LeafKind::Text).then_some(leaf.bytes);
        match self {
            Self::Text(wanted) => text == Some(wanted),
            Self::Address(wanted) => text.and_then(address::parse) == Some(*wanted),
            Self::Number(wanted) => leaf.kind == LeafKind::Number(*wanted),
            Self::Literal(wanted) => leaf.kind == LeafKind::Literal && leaf.bytes == &**wanted,
            Self::Prefix(wanted) => text.is_some_and(|text| text.starts_with(wanted)),
            Self::Suffix(wanted) => text.is_some_and(|text| text.ends_with(wanted)),
            Self::FoldedPrefix(wanted) => text.is_some_and(|text| fold::folded(text).starts_with(wanted)),
            Self::FoldedSuffix(wanted) => text.is_some_and(|text| fold::folded(text).ends_with(wanted)),
            Self::IgnoreCase(wanted) => text.is_some_and(|text| fold::folded(text) == *wanted),
            Self::Wildcard(wildcard) => text.is_some_and(|text| wildcard.matches(text)),
            Self::Between(low, high) => {
                matches!(leaf.kind, LeafKind::Number(number) if (*low..=*high).contains(&number))
            }
            Self::Block(first, last) => text
                .and_then(address::parse)
                .is_some_and(|address| address.v6 == first.v6 && (first..=last).contains(&&address)),
            Self::Exists => true,
            Self::Absent => false,
            Self::But(but) => !but.excludes(leaf),
        }
    }
}

impl But {
    fn excludes(&self, leaf: Leaf<'_>) -> bool {
        if let Self::Numbers(numbers) = self {
            return matches!(leaf.kind, LeafKind::Number(number) if numbers.contains(&number));
        }
        if leaf.kind != LeafKind::Text {
            return false;
        }
        let text = leaf.bytes;
        match self {
            Self::Numbers(_) => false,
            Self::Texts(texts) => texts.contains(text),
            Self::IgnoreCase(texts) => texts.contains(&fold::folded(text)),
            Self::Prefixes(prefixes) => prefixes.iter().any(|prefix| text.starts_with(prefix)),
            Self::Suffixes(suffixes) => suffixes.iter().any(|suffix| text.ends_with(suffix)),
            Self::Wildcards(wildcards) => wildcards.iter().any(|wildcard| wildcard.matches(text)),
        }
    }
}

impl fmt::Display for Leaf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.bytes);
        if self.kind == LeafKind::Text { write!(f, "\"{text}\"") } else { f.write_str(&text) }
    }
}
