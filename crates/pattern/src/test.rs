//! A test: one field and its alternatives, shared by every rule that says the same.
//!
//! What it is NOT: a unit test.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use crate::matcher::{Leaf, LeafKind, Matcher};

/// A field and what it may be.
#[derive(Debug)]
pub(crate) struct Test {
    pub field: u32,
    /// Whether `exists: false` is among the alternatives.
    pub absent: bool,
    /// Plain strings, where there are too many to try one after the other.
    texts: BTreeSet<Box<[u8]>>,
    others: SmallVec<[Matcher; 1]>,
    pub kind: Kind,
}

/// How a rule set finds the values that satisfy a test, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// By looking the value up.
    Keyed,
    /// By the interval a number or address lies in.
    Ranged,
    /// Any value may; the field must be there.
    Present,
    /// Even no value may.
    Open,
}

const TEXTS_MIN: usize = 8;

impl Test {
    pub fn new(field: u32, matchers: &[Matcher]) -> Self {
        let is_text = |matcher: &&Matcher| matches!(matcher, Matcher::Text(_));
        let many = matchers.iter().filter(is_text).count() >= TEXTS_MIN;
        let mut test =
            Self { field, absent: false, texts: BTreeSet::new(), others: SmallVec::new(), kind: kind(matchers) };
        for matcher in matchers {
            match matcher {
                Matcher::Absent => test.absent = true,
                Matcher::Text(text) if many => {
                    test.texts.insert(text.clone());
                }
                other => test.others.push(other.clone()),
            }
        }
        test
    }

    /// Whether a value satisfies the test.
    #[inline]
    pub fn accepts(&self, leaf: Leaf<'_>) -> bool {
        (leaf.kind == LeafKind::Text && self.texts.contains(leaf.bytes))
            || self.others.iter().any(|matcher| matcher.accepts(leaf))
    }

    /// The alternatives of a test whose kind is [`Kind::Ranged`].
    pub fn ranges(&self) -> &[Matcher] {
        &self.others
    }
}

fn kind(matchers: &[Matcher]) -> Kind {
    let one = |matcher: &Matcher| match matcher {
        Matcher::Text(_) | Matcher::Address(_) | Matcher::Number(_) | Matcher::Literal(_) => Kind::Keyed,
        Matcher::Prefix(_) | Matcher::Suffix(_) | Matcher::FoldedPrefix(_) | Matcher::FoldedSuffix(_) => Kind::Keyed,
        Matcher::IgnoreCase(_) | Matcher::Wildcard(_) => Kind::Keyed,
        Matcher::Between(..) | Matcher::Block(..) => Kind::Ranged,
        Matcher::Exists | Matcher::But(_) => Kind::Present,
        Matcher::Absent => Kind::Open,
    };
    let worst = matchers.iter().map(one).max().unwrap_or(Kind::Open);
    // Intervals beside values: neither index alone finds them all.
    if worst == Kind::Ranged && matchers.iter().any(|matcher| one(matcher) == Kind::Keyed) {
        return Kind::Present;
    }
    worst
}
