//! `EventFields`: what a table's columns need of an event, found in one pass over its text. What no column needs is passed
//! over; of the rest it is noted where it lies, and read when a column asks for it.
//!
//! Of equal names the last one counts, as everywhere. The whole text is checked by the rules of pipelines
//! (`headwater_base::json::scan`): half of a surrogate pair, a number beyond a double or more than 127 nested containers
//! make an event that is no JSON, also where no column looks. Tables take documents of any JSON; of one that fails by these
//! rules, they hold only for what columns look at.

use std::borrow::Cow;
use std::cell::OnceCell;

use headwater_base::json::scan::{self, Extent, Flaw, Key, Scan};
use headwater_base::json::tag::{last_of, tag};
use headwater_base::json::{unescape, unquoted};
use headwater_base::never;
use headwater_kernel::path::Path;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Misfit;
use super::numeral::Numeral;
use crate::columns::{Data, Scalar};

/// The fields that are looked for.
#[derive(Debug, Default)]
pub(super) struct EventFields {
    branch: Branch,
    slots: usize,
    /// Slots up to the last one of which a tree may be wanted.
    trees: usize,
    /// Whether events are documents of a table.
    documents: bool,
}

/// Where a column's value is found.
#[derive(Debug)]
pub(super) struct Wanted {
    slot: usize,
    /// What leads on from there, where the path goes through a list.
    rest: Option<Path>,
    /// An object or an array there is looked into.
    built: bool,
}

/// The fields of one object.
#[derive(Debug, Default)]
struct Branch {
    places: Vec<Place>,
    /// The tag of the name of each.
    tags: Vec<u32>,
}

#[derive(Debug)]
struct Place {
    name: String,
    /// Where what stands here goes, if a column wants it.
    slot: Option<usize>,
    /// What columns want within it.
    within: Branch,
}

/// An event that has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Event<'e> {
    text: &'e str,
    /// Where in the text what was found lies; nowhere, if nothing was.
    slots: &'e [Extent],
    /// What was found, built once a column asks for it.
    trees: &'e [OnceCell<Value>],
}

/// A value that is looked at.
#[derive(Debug)]
pub(super) enum View<'a> {
    Null,
    Boolean(bool),
    Number(Numeral<'a>),
    Text(Cow<'a, str>),
    /// An object or an array.
    Tree(&'a Value),
    /// An object that nobody looks into.
    Object,
    /// An array that nobody looks into.
    Array,
}

impl EventFields {
    /// None yet, of events or of documents of a table.
    pub fn new(documents: bool) -> Self {
        Self { documents, ..Self::default() }
    }

    /// Adds a field that holds such data, and answers where it will be found.
    pub fn want(&mut self, path: &Path, data: &Data) -> Wanted {
        let (names, rest) = path.split_at_index();
        let built = rest.is_some() || !matches!(data, Data::One(scalar) if *scalar != Scalar::Json);
        let Some((first, names)) = names.split_first() else {
            never!("a path that begins with an index");
            return Wanted { slot: usize::MAX, rest, built: false };
        };
        let slot = self.branch.want(first, names, self.slots);
        self.slots = self.slots.max(slot + 1);
        if built {
            self.trees = self.trees.max(slot + 1);
        }
        Wanted { slot, rest, built }
    }

    /// Whether none is looked for.
    pub const fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// Room for what is built of one event: none where no column looks into objects and arrays.
    pub fn trees(&self) -> Vec<OnceCell<Value>> {
        let mut trees = Vec::new();
        trees.resize_with(self.trees, OnceCell::new);
        trees
    }

    /// Reads an event: where each of the fields lies. `slots` is memory of events before.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read<'e>(
        &self,
        event: &'e [u8],
        slots: &'e mut Vec<Extent>,
        trees: &'e [OnceCell<Value>],
    ) -> Result<Event<'e>, Misfit> {
        let no_json = |place: String| Misfit(format!("the event is no JSON: {place}"));
        let text =
            std::str::from_utf8(event).map_err(|error| no_json(format!("byte {} is no UTF-8", error.valid_up_to())))?;
        slots.clear();
        slots.resize(self.slots, Extent::default());
        let mut read = scan::whole(event, |scan| self.branch.read(scan, 0, slots, checked));
        if read.is_err() && self.documents {
            slots.fill(Extent::default());
            read = scan::whole(event, |scan| self.branch.read(scan, 0, slots, loose));
        }
        match read {
            Ok(()) => Ok(Event { text, slots: slots.as_slice(), trees }),
            Err(met) => Err(match scan::value(text) {
                Ok(()) => Misfit("the event is no JSON object".to_owned()),
                Err(flaw) => no_json(place(event, if self.documents { met } else { flaw })),
            }),
        }
    }
}

impl Wanted {
    /// What was found of it.
    pub fn of<'e>(&self, event: &Event<'e>) -> View<'e> {
        let view = self.found(event);
        match (&self.rest, view) {
            (None, view) => view,
            (Some(rest), View::Tree(tree)) => rest.find(tree).map_or(View::Null, View::from),
            (Some(_), _) => View::Null,
        }
    }

    fn found<'e>(&self, event: &Event<'e>) -> View<'e> {
        let extent = event.slots.get(self.slot).copied().unwrap_or_default();
        let text = event.text.get(extent.start as usize..extent.end as usize).unwrap_or_default();
        let tree = event.trees.get(self.slot).filter(|_| self.built);
        match (text.as_bytes().first(), tree) {
            (None | Some(b'n'), _) => View::Null,
            (Some(b't'), _) => View::Boolean(true),
            (Some(b'f'), _) => View::Boolean(false),
            (Some(b'"'), _) => View::Text(string(text)),
            (Some(b'{' | b'['), Some(tree)) => View::Tree(tree.get_or_init(|| built(text))),
            (Some(b'{'), None) => View::Object,
            (Some(b'['), None) => View::Array,
            (Some(_), _) => View::Number(Numeral::Written(text)),
        }
    }
}

impl Branch {
    /// Adds what stands under these names, one within the other, and answers where it goes: to `next`, if nobody wanted
    /// it before.
    fn want(&mut self, name: &str, names: &[&str], next: usize) -> usize {
        let known = self.position(name.as_bytes());
        if known.is_none() {
            self.tags.push(tag(name.as_bytes()));
            self.places.push(Place { name: name.to_owned(), slot: None, within: Self::default() });
        }
        let place = match known {
            Some(at) => self.places.get_mut(at),
            None => self.places.last_mut(),
        };
        match (place, names) {
            (Some(place), []) => *place.slot.get_or_insert(next),
            (Some(place), [name, names @ ..]) => place.within.want(name, names, next),
            (None, _) => {
                never!("it has just been found or added");
                next
            }
        }
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        let wanted = tag(name);
        let mut at = self.tags.len();
        loop {
            at = last_of(self.tags.get(..at)?, wanted)?;
            if self.places.get(at)?.name.as_bytes() == name {
                return Some(at);
            }
        }
    }

    /// What is wanted under that name.
    fn find(&self, key: Key, text: &[u8]) -> Option<&Place> {
        let quoted = key.span.of(text);
        let at = match key.escaped {
            false => self.position(unquoted(quoted)),
            true => self.position(unescape(quoted).as_bytes()),
        };
        self.places.get(at?)
    }

    /// Reads an object that lies within `outside` containers. What no column needs, `pass` passes.
    fn read(
        &self,
        scan: &mut Scan<'_>,
        outside: u32,
        slots: &mut [Extent],
        pass: impl Fn(&mut Scan<'_>, u32) -> Result<(), Flaw> + Copy,
    ) -> Result<(), Flaw> {
        scan.members(outside, |scan, key| match self.find(key, scan.bytes) {
            Some(place) => place.read(scan, outside + 1, slots, pass),
            None => pass(scan, outside + 1),
        })
    }

    fn clear(&self, slots: &mut [Extent]) {
        self.places.iter().for_each(|place| place.clear(slots));
    }
}

impl Place {
    /// Reads what stands here. It takes the place of what stood under the same name before.
    fn read(
        &self,
        scan: &mut Scan<'_>,
        outside: u32,
        slots: &mut [Extent],
        pass: impl Fn(&mut Scan<'_>, u32) -> Result<(), Flaw> + Copy,
    ) -> Result<(), Flaw> {
        let start = scan.at as u32;
        self.within.clear(slots);
        let is_looked_into = !self.within.places.is_empty() && scan.peek() == b'{';
        match (self.slot, is_looked_into) {
            // A column may have all of it built.
            (Some(_), true) => self.within.read(scan, outside, slots, checked)?,
            (Some(_), false) => checked(scan, outside)?,
            (None, true) => self.within.read(scan, outside, slots, pass)?,
            (None, false) => pass(scan, outside)?,
        }
        self.put(Extent { start, end: scan.at as u32 }, slots);
        Ok(())
    }

    fn put(&self, extent: Extent, slots: &mut [Extent]) {
        if let Some(slot) = self.slot.and_then(|slot| slots.get_mut(slot)) {
            *slot = extent;
        }
    }

    fn clear(&self, slots: &mut [Extent]) {
        self.put(Extent::default(), slots);
        self.within.clear(slots);
    }
}

/// Passes a value that lies within `outside` containers, by the rules of pipelines.
fn checked(scan: &mut Scan<'_>, outside: u32) -> Result<(), Flaw> {
    scan.value(outside, |_| {})
}

/// Passes a value that only has to be JSON, which is how tables look at it.
fn loose(scan: &mut Scan<'_>, outside: u32) -> Result<(), Flaw> {
    let text = scan.bytes;
    let rest = serde_json::Deserializer::from_slice(text.get(scan.at..).unwrap_or_default());
    let mut values = rest.into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => {
            scan.at += values.byte_offset();
            Ok(())
        }
        // That says where.
        _ => checked(scan, outside),
    }
}

/// The text of a string with its quotes, which is a part of what it was found in unless it has escapes.
fn string(quoted: &str) -> Cow<'_, str> {
    let text = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if text.contains('\\') { Cow::Owned(unescape(quoted.as_bytes())) } else { Cow::Borrowed(text) }
}

/// The tree of a text that has been checked.
fn built(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| {
        never!("JSON that was checked: {error}");
        Value::Null
    })
}

/// Where in the text, without the text: the line, and the byte of the line.
fn place(text: &[u8], flaw: Flaw) -> String {
    // What ends too early is wrong where it ends.
    let at = flaw.at.min(text.len().saturating_sub(1));
    let before = text.get(..at).unwrap_or_default();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("line {line}, column {}", at - line_start + 1)
}

impl<'a> From<&'a Value> for View<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Boolean(*value),
            Value::Number(number) => Self::Number(Numeral::Held(number)),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            tree => Self::Tree(tree),
        }
    }
}

impl View<'_> {
    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Number(number) if number.number().is_f64() => "a decimal number",
            Self::Number(_) => "a whole number",
            Self::Text(_) => "a string",
            Self::Tree(Value::Array(_)) | Self::Array => "an array",
            Self::Tree(_) | Self::Object => "an object",
        }
    }
}

#[cfg(test)]
mod tests;
