//! Wildcards: `*` stands for any bytes, `\*` and `\\` for themselves.
//!
//! What it is NOT: a regular expression or an automaton. A wildcard is its literal pieces in order; the first must
//! start the value, the last must end it, and those between are found from left to right, so that a match costs one
//! linear search (two-way, `memchr::memmem`) whatever the value.

use std::collections::{BTreeSet, HashSet};

use memchr::memmem;
use smallvec::SmallVec;

use crate::limits;

/// A parsed wildcard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wildcard {
    /// All literal pieces, one after the other.
    text: Box<[u8]>,
    /// Where each piece ends in `text`; always at least one, and one means no star.
    ends: SmallVec<[u32; 4]>,
}

impl Wildcard {
    /// Reads a wildcard.
    ///
    /// # Errors
    /// Says what is wrong, in the service's words, which count positions from the quote before the text.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut pieces = vec![Vec::new()];
        let mut bytes = text.bytes().enumerate().peekable();
        while let Some((at, byte)) = bytes.next() {
            let literal = match byte {
                b'*' if bytes.peek().is_some_and(|(_, next)| *next == b'*') => {
                    return Err(Fault::Invalid(format!("Consecutive wildcard characters at pos {}", at + 1)));
                }
                b'*' => {
                    pieces.push(Vec::new());
                    continue;
                }
                b'\\' => match bytes.next() {
                    Some((_, escaped @ (b'*' | b'\\'))) => escaped,
                    _ => return Err(Fault::Invalid(format!("Invalid escape character at pos {}", at + 1))),
                },
                byte => byte,
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(literal);
            }
        }
        if is_complex(&pieces) {
            return Err(Fault::TooComplex);
        }
        let (mut text, mut ends) = (Vec::new(), SmallVec::new());
        for piece in pieces {
            text.extend(piece);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Ok(Self { text: text.into(), ends })
    }

    /// Whether the whole value matches.
    pub fn matches(&self, value: &[u8]) -> bool {
        if value.len() < self.text.len() {
            return false;
        }
        let (first, last) = self.ends();
        if self.ends.len() == 1 {
            return first == value;
        }
        let Some(rest) = value.strip_prefix(first) else { return false };
        let Some(mut rest) = rest.strip_suffix(last) else { return false };
        for piece in self.pieces().take(self.ends.len() - 1).skip(1) {
            let Some(at) = memmem::find(rest, piece) else { return false };
            rest = rest.get(at + piece.len()..).unwrap_or_default();
        }
        true
    }

    /// What every match starts with, and ends with; both are empty only between stars.
    pub fn ends(&self) -> (&[u8], &[u8]) {
        (self.piece(0), self.piece(self.ends.len() - 1))
    }

    /// A text that every match contains: the longest piece.
    pub fn required(&self) -> &[u8] {
        self.pieces().max_by_key(|piece| piece.len()).unwrap_or_default()
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|number| self.piece(number))
    }

    fn piece(&self, number: usize) -> &[u8] {
        let end = |number: usize| self.ends.get(number).map(|end| *end as usize);
        let start = number.checked_sub(1).map_or(Some(0), end);
        start.zip(end(number)).and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default()
    }
}

/// What is wrong with a wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Invalid(String),
    TooComplex,
}

/// Whether one value can be at more than [`limits::WILDCARD_PLACES_MAX`] places of the wildcard at once, where a star
/// and what follows it are two places. The service refuses such wildcards because its automaton visits every place;
/// ours does not care, but a rule has to mean the same on both sides.
fn is_complex(pieces: &[Vec<u8>]) -> bool {
    const STAR: Option<u8> = None;
    let stars = pieces.len() - 1;
    if stars == 0 {
        return false;
    }
    if stars * 2 > limits::WILDCARD_PLACES_MAX {
        return true;
    }
    // Most wildcards are simple by far, and this bound shows it without a search: a star, what follows it, and how
    // often the piece behind can be half found at once.
    let bound: usize = pieces.iter().skip(1).map(|piece| 2 + overlaps(piece)).sum();
    if bound <= limits::WILDCARD_PLACES_MAX {
        return false;
    }
    let mut items: Vec<Option<u8>> = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        items.extend((number > 0).then_some(STAR));
        items.extend(piece.iter().copied().map(Some));
    }
    let letters: BTreeSet<u8> = items.iter().filter_map(|item| *item).collect();
    let close = |places: BTreeSet<usize>| -> BTreeSet<usize> {
        let after: Vec<usize> = places.iter().filter(|at| items.get(**at) == Some(&STAR)).map(|at| at + 1).collect();
        places.into_iter().chain(after).filter(|at| *at < items.len()).collect()
    };
    let mut seen: HashSet<BTreeSet<usize>> = HashSet::new();
    let mut open = vec![close(BTreeSet::from([0]))];
    while let Some(places) = open.pop() {
        if places.len() > limits::WILDCARD_PLACES_MAX || seen.len() > SETS_MAX {
            return true;
        }
        for letter in &letters {
            let next = places.iter().filter_map(|at| match items.get(*at)? {
                None => Some(*at),
                Some(wanted) => (wanted == letter).then_some(at + 1),
            });
            let next = close(next.collect());
            if !next.is_empty() && !seen.contains(&next) {
                seen.insert(next.clone());
                open.push(next);
            }
        }
    }
    false
}

/// How many beginnings of a piece can end at one place of a value: the longest chain of borders of any proper prefix.
fn overlaps(piece: &[u8]) -> usize {
    // By length of a prefix: its longest border, and the length of its chain of borders.
    let (mut borders, mut most) = (vec![(0_usize, 0_usize), (0, 1)], usize::from(piece.len() > 1));
    let of = |borders: &[(usize, usize)], length: usize| borders.get(length).copied().unwrap_or_default();
    for length in 2..piece.len() {
        let last = piece.get(length - 1);
        let (mut border, _) = of(&borders, length - 1);
        while border > 0 && piece.get(border) != last {
            (border, _) = of(&borders, border);
        }
        border += usize::from(piece.get(border) == last);
        let (_, chain) = of(&borders, border);
        borders.push((border, chain + 1));
        most = most.max(chain + 1);
    }
    most
}

/// Sets of places looked at before a wildcard counts as too complex without further proof.
const SETS_MAX: usize = 2_000;

#[cfg(test)]
mod tests;
