//! A JSON object that is only looked into: where its members lie, and what those hold that somebody read.
//!
//! What it is NOT: an object that can be changed ([`Object`](super::tree)); it becomes one.
//! Invariants: of members with equal keys the last one counts; places within an object count from its first byte, so that
//! they stay right when its text comes to lie elsewhere.

use std::cell::OnceCell;

use bytes::Bytes;
use headwater_base::json::scan::{self, Extent, Key, Known};
use headwater_base::json::tag::tag;
use vrl::path::OwnedSegment;
use vrl::value::Value;

use super::parse;

/// One value in JSON text that has been checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    text: &'a Bytes,
    place: Extent,
    /// Arrays and objects that are known to lie in the text, in order.
    known: &'a [Extent],
}

/// What a piece turned out to hold.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    Value(Value),
    Parts(Parts),
}

/// An object that somebody asked for a part of it.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    parts: Vec<Part>,
    /// The object as one value, once somebody wanted it.
    whole: OnceCell<Box<Value>>,
}

/// One of its members.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub tag: u32,
    pub key: Key,
    pub value: Extent,
    pub seen: OnceCell<Seen>,
}

/// What a short member takes of its object's text, about.
const PART_BYTES: usize = 12;
/// Room for members that is made at once, at most: a text may be long because its values are.
const PARTS_USUAL: usize = 16;

impl<'a> Piece<'a> {
    /// The value that lies at a place of a text; `known` = arrays and objects in that text, in order.
    pub fn new(text: &'a Bytes, place: Extent, known: &'a [Extent]) -> Self {
        Self { text, place, known }
    }

    /// A text that is nothing but the value.
    pub fn all(text: &'a Bytes) -> Self {
        Self { text, place: Extent { start: 0, end: text.len() as u32 }, known: &[] }
    }

    /// Its text.
    pub fn source(self) -> Bytes {
        self.text.slice(self.place.start as usize..self.place.end as usize)
    }

    /// All of it as a value.
    pub fn value(self) -> Value {
        parse::value(self.text, self.place.start)
    }

    /// Looks into it: an object that is asked for a part of it is only indexed, anything else is parsed.
    pub fn see(self, path: &[OwnedSegment]) -> Seen {
        let parts = if path.is_empty() { None } else { self.parts() };
        parts.map_or_else(|| Seen::Value(self.value()), Seen::Parts)
    }

    /// The index of an object; None when it is something else.
    pub fn parts(self) -> Option<Parts> {
        if !self.is_object() {
            return None;
        }
        let text = self.bytes();
        let mut parts = Vec::with_capacity((text.len() / PART_BYTES).min(PARTS_USUAL));
        self.members(|key, value| parts.push(Part { tag: key.tag(text), key, value, seen: OnceCell::new() }));
        Some(Parts { parts, whole: OnceCell::new() })
    }

    /// The JSON text at a path into it, as far as that goes by names.
    pub fn json(self, path: &[OwnedSegment]) -> Option<Bytes> {
        match path {
            [] => Some(self.source()),
            [OwnedSegment::Field(name), rest @ ..] if self.is_object() => {
                let (text, mut found) = (self.bytes(), None);
                self.members(|key, value| {
                    if key.is(text, name) {
                        found = Some(value);
                    }
                });
                self.within(found?).json(rest)
            }
            _ => None,
        }
    }

    fn is_object(self) -> bool {
        self.text.get(self.place.start as usize) == Some(&b'{')
    }

    fn bytes(self) -> &'a [u8] {
        self.place.of(self.text)
    }

    /// A value within it.
    fn within(self, place: Extent) -> Self {
        let start = self.place.start;
        let place = Extent { start: start + place.start, end: start + place.end };
        Self { text: self.text, place, known: &[] }
    }

    /// Reads through an object. What is known to lie in it is passed over; nobody looked for what lies deeper.
    fn members(self, member: impl FnMut(Key, Extent)) {
        let Extent { start, end } = self.place;
        let from = self.known.partition_point(|extent| extent.start < start);
        let to = self.known.partition_point(|extent| extent.start < end);
        let known = Known { extents: self.known.get(from..to).unwrap_or_default(), base: start };
        if scan::object(self.bytes(), 1, known, member, |_| {}).is_err() {
            headwater_base::never!("unchecked text");
        }
    }
}

impl Seen {
    /// The value at a path into the piece, which is the one that has been looked into.
    pub fn get(&self, piece: Piece<'_>, path: &[OwnedSegment]) -> Option<&Value> {
        match self {
            Self::Value(value) => value.get(path),
            Self::Parts(parts) => parts.get(piece, path),
        }
    }

    /// Whether there is a value at a path into the piece.
    pub fn has(&self, piece: Piece<'_>, path: &[OwnedSegment]) -> bool {
        match self {
            Self::Value(value) => value.get(path).is_some(),
            Self::Parts(parts) => parts.has(piece, path),
        }
    }

    /// All of the piece as a value.
    pub fn into_value(self, piece: Piece<'_>) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Parts(parts) => parts.whole.into_inner().map_or_else(|| piece.value(), |whole| *whole),
        }
    }
}

impl Parts {
    /// The members, in their order.
    pub fn into_members(self) -> Vec<Part> {
        self.parts
    }

    fn get(&self, piece: Piece<'_>, path: &[OwnedSegment]) -> Option<&Value> {
        match path {
            [] => {
                let whole: &Value = self.whole.get_or_init(|| Box::new(piece.value()));
                Some(whole)
            }
            [OwnedSegment::Field(name), rest @ ..] => {
                let part = self.find(piece, name)?;
                let piece = piece.within(part.value);
                part.seen.get_or_init(|| piece.see(rest)).get(piece, rest)
            }
            [OwnedSegment::Index(_), ..] => None,
        }
    }

    fn has(&self, piece: Piece<'_>, path: &[OwnedSegment]) -> bool {
        match path {
            [] => true,
            [OwnedSegment::Field(name), rest @ ..] => self.find(piece, name).is_some_and(|part| {
                let piece = piece.within(part.value);
                rest.is_empty() || part.seen.get_or_init(|| piece.see(rest)).has(piece, rest)
            }),
            [OwnedSegment::Index(_), ..] => false,
        }
    }

    /// The last member of that name.
    fn find(&self, piece: Piece<'_>, name: &str) -> Option<&Part> {
        let wanted = tag(name.as_bytes());
        self.parts.iter().rfind(|part| part.tag == wanted && part.key.is(piece.bytes(), name))
    }
}
