//! What one walk through an event found: the leaves of the fields that rules name, and where in arrays they stand.
//!
//! What it is NOT: a parsed event. Keys and values that no rule names are passed over; strings without escapes stay
//! where they are. Of two equal keys in one object the last one counts.
//!
//! Places: the event is place 0. An array and each of its elements that is an object or array are places of their own,
//! numbered in document order, so that everything below place `p` lies in `p..end(p)`. A scalar in an array belongs to
//! the place that holds the array: it commits a rule to no element.

use crate::json::{self, Broken, RawText, Scanner};
use crate::limits;
use crate::matcher::{Leaf, LeafKind};
use crate::number;
use crate::paths::{Map, Node, Paths, ROOT, hasher};

/// No value, no field.
pub(crate) const NONE: u32 = u32::MAX;

/// A leaf of a named field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    /// [`NONE`] once a later equal key has replaced it.
    field: u32,
    pub place: u32,
    /// The field's next value in document order, or [`NONE`].
    pub next: u32,
    start: u32,
    end: u32,
    /// Whether `start..end` is in the arena of resolved escapes rather than in the event.
    resolved: bool,
    kind: LeafKind,
}

/// A place: the event, an array, or an element of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub parent: u32,
    /// The place behind the last one below this.
    pub end: u32,
}

/// Why an event cannot be read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Halt {
    Broken(Broken),
    Deep(usize),
    Long,
}

impl From<Broken> for Halt {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Buffers of one walk, kept from event to event.
#[derive(Debug)]
pub(crate) struct Reading {
    pub values: Vec<Value>,
    arena: Vec<u8>,
    pub places: Vec<Place>,
    /// Fields with values, in document order of their last value.
    pub present: Vec<u32>,
    /// For each field: the walk that found it, and its first value.
    heads: Vec<(u64, u32)>,
    /// For each node of the paths: the object that had it last, and the values found there.
    seen: Vec<Seen>,
    /// The same for keys with dots, which reach a node from several objects.
    seen_dotted: Map<(u64, Node), Seen>,
    walk: u64,
    objects: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    object: u64,
    from: u32,
    to: u32,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            arena: Vec::new(),
            places: Vec::new(),
            present: Vec::new(),
            heads: Vec::new(),
            seen: Vec::new(),
            seen_dotted: Map::with_hasher(hasher()),
            walk: 0,
            objects: 0,
        }
    }
}

impl Reading {
    /// Walks through an event.
    pub fn read(&mut self, event: &[u8], paths: &Paths, fields: usize) -> Result<(), Halt> {
        if event.len() > limits::EVENT_BYTES_MAX {
            return Err(Halt::Long);
        }
        self.walk += 1;
        self.values.clear();
        self.arena.clear();
        self.present.clear();
        self.places.clear();
        self.places.push(Place { parent: 0, end: NONE });
        self.seen_dotted.clear();
        self.heads.resize(fields, (0, NONE));
        self.seen.resize(paths.len(), Seen::default());
        let mut walk = Walk { scanner: Scanner::new(event), paths, reading: self };
        walk.scanner.expect(b'{', "a JSON object")?;
        walk.object(ROOT, 0, 0)?;
        walk.scanner.end()?;
        self.link();
        Ok(())
    }

    /// Chains the values of each field.
    fn link(&mut self) {
        for index in (0..self.values.len()).rev() {
            let Some(value) = self.values.get_mut(index) else { continue };
            let Some(head) = self.heads.get_mut(value.field as usize) else { continue };
            if head.0 != self.walk {
                *head = (self.walk, NONE);
                self.present.push(value.field);
            }
            value.next = head.1;
            head.1 = u32::try_from(index).unwrap_or(NONE);
        }
    }

    /// The indexes of a field's values in document order.
    #[inline]
    pub fn of(&self, field: u32) -> impl Iterator<Item = (u32, Value)> + '_ {
        let mut at = match self.heads.get(field as usize) {
            Some((walk, first)) if *walk == self.walk => *first,
            _ => NONE,
        };
        std::iter::from_fn(move || {
            let index = at;
            let value = *self.values.get(index as usize)?;
            at = value.next;
            Some((index, value))
        })
    }

    /// A value's leaf.
    #[inline]
    pub fn leaf<'a>(&'a self, event: &'a [u8], value: Value) -> Leaf<'a> {
        let text = if value.resolved { &*self.arena } else { event };
        Leaf { bytes: text.get(value.start as usize..value.end as usize).unwrap_or_default(), kind: value.kind }
    }

    /// Whether two leaves of one rule could contradict each other.
    pub fn has_elements(&self) -> bool {
        self.places.len() > 1
    }

    fn add_place(&mut self, parent: u32) -> u32 {
        let place = count(self.places.len());
        self.places.push(Place { parent, end: NONE });
        place
    }

    fn close_place(&mut self, place: u32) {
        let end = count(self.places.len());
        if let Some(place) = self.places.get_mut(place as usize) {
            place.end = end;
        }
    }

    /// Drops what an earlier equal key of the same object brought.
    fn replace(&mut self, object: u64, node: Node, dotted: bool) {
        let earlier = if dotted {
            self.seen_dotted.get(&(object, node)).copied()
        } else {
            self.seen.get(node as usize).filter(|seen| seen.object == object).copied()
        };
        if let Some(earlier) = earlier
            && let Some(values) = self.values.get_mut(earlier.from as usize..earlier.to as usize)
        {
            values.iter_mut().for_each(|value| value.field = NONE);
        }
    }

    fn remember(&mut self, object: u64, node: Node, dotted: bool, from: usize) {
        let seen = Seen { object, from: count(from), to: count(self.values.len()) };
        if dotted {
            self.seen_dotted.insert((object, node), seen);
        } else if let Some(entry) = self.seen.get_mut(node as usize) {
            *entry = seen;
        }
    }
}

/// An index as it is stored; an event's length is bounded far below.
fn count(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}

struct Walk<'e, 'r> {
    scanner: Scanner<'e>,
    paths: &'r Paths,
    reading: &'r mut Reading,
}

impl Walk<'_, '_> {
    /// Walks an object, its brace being taken.
    fn object(&mut self, node: Node, place: u32, depth: usize) -> Result<(), Halt> {
        if depth > limits::EVENT_DEPTH_MAX {
            return Err(Halt::Deep(self.scanner.at));
        }
        self.reading.objects += 1;
        let object = self.reading.objects;
        if self.scanner.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.scanner.string()?;
            self.scanner.expect(b':', "a colon")?;
            if let Some((child, dotted)) = self.find(node, key)? {
                let from = self.reading.values.len();
                self.reading.replace(object, child, dotted);
                self.value(child, place, depth)?;
                self.reading.remember(object, child, dotted, from);
            } else {
                self.scanner.skip()?;
            }
            if !self.scanner.take(b',') {
                return Ok(self.scanner.expect(b'}', "a comma or a closing brace")?);
            }
        }
    }

    /// The node that a key leads to, and whether it took several steps.
    #[inline]
    fn find(&mut self, node: Node, key: RawText<'_>) -> Result<Option<(Node, bool)>, Halt> {
        if key.escaped {
            let mut resolved = Vec::new();
            json::unescape(key, &mut resolved)?;
            return Ok(self.look_up(node, &resolved));
        }
        Ok(self.look_up(node, key.raw))
    }

    #[inline]
    fn look_up(&self, node: Node, key: &[u8]) -> Option<(Node, bool)> {
        if let Some(child) = self.paths.child(node, key) {
            return Some((child, false));
        }
        if !key.contains(&b'.') {
            return None;
        }
        self.paths.descend(node, key).map(|child| (child, true))
    }

    /// Walks a value of the field or path `node`.
    #[inline]
    fn value(&mut self, node: Node, place: u32, depth: usize) -> Result<(), Halt> {
        match self.scanner.peek() {
            Some(b'{') if self.paths.has_children(node) => {
                self.scanner.at += 1;
                self.object(node, place, depth + 1)
            }
            Some(b'{') => Ok(self.scanner.skip()?),
            Some(b'[') => {
                self.scanner.at += 1;
                self.array(node, place, depth + 1)
            }
            Some(b'"') => {
                let text = self.scanner.string()?;
                if let Some(field) = self.paths.field(node) {
                    self.add_text(field, place, text)?;
                }
                Ok(())
            }
            _ => {
                let start = self.scanner.at;
                let text = self.scanner.scalar()?;
                if let Some(field) = self.paths.field(node) {
                    let digits = matches!(text.first(), Some(b'-' | b'0'..=b'9'));
                    if digits && !number::is_number(text) {
                        return Err(Broken { at: start, expected: "a number" }.into());
                    }
                    let kind = Leaf::scalar(text).kind;
                    self.add(field, place, start, start + text.len(), false, kind);
                }
                Ok(())
            }
        }
    }

    /// Walks an array, its bracket being taken.
    fn array(&mut self, node: Node, place: u32, depth: usize) -> Result<(), Halt> {
        if depth > limits::EVENT_DEPTH_MAX {
            return Err(Halt::Deep(self.scanner.at));
        }
        if self.scanner.take(b']') {
            return Ok(());
        }
        let mut array = None;
        loop {
            match self.scanner.peek() {
                Some(b'{') if !self.paths.has_children(node) => self.scanner.skip()?,
                Some(b'{' | b'[') => {
                    let array = *array.get_or_insert_with(|| self.reading.add_place(place));
                    let element = self.reading.add_place(array);
                    self.value(node, element, depth)?;
                    self.reading.close_place(element);
                }
                _ => self.value(node, place, depth)?,
            }
            if !self.scanner.take(b',') {
                if let Some(array) = array {
                    self.reading.close_place(array);
                }
                return Ok(self.scanner.expect(b']', "a comma or a closing bracket")?);
            }
        }
    }

    fn add_text(&mut self, field: u32, place: u32, text: RawText<'_>) -> Result<(), Halt> {
        if !text.escaped {
            self.add(field, place, text.start, text.start + text.raw.len(), false, LeafKind::Text);
            return Ok(());
        }
        let start = self.reading.arena.len();
        json::unescape(text, &mut self.reading.arena)?;
        let end = self.reading.arena.len();
        self.add(field, place, start, end, true, LeafKind::Text);
        Ok(())
    }

    #[inline]
    fn add(&mut self, field: u32, place: u32, start: usize, end: usize, resolved: bool, kind: LeafKind) {
        let (start, end) = (count(start), count(end));
        self.reading.values.push(Value { field, place, next: NONE, start, end, resolved, kind });
    }
}
