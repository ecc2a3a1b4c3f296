//! `Doc`: one JSON object in flight. The event's original bytes, values parsed when somebody asks for them, and edits;
//! [`Doc::encode`] splices the edits into the original bytes.
//!
//! What it is NOT: a general JSON document; the root is an object, numbers behave as in VRL (64-bit integers, doubles).
//! Invariants: whatever no step changed comes out byte for byte, big numbers, number formats and key order included;
//! reading and changing give the same results as a full parse, the same operations and a full encode
//! (`differential` in `program/tests`); a text that a full parse would refuse is refused here.

mod parse;
mod parts;
mod tree;

use bytes::Bytes;
use headwater_base::Micros;
use headwater_base::json::scan;
use vrl::path::OwnedSegment;

use crate::path::Path;
use tree::{Node, Object};

pub(crate) use tree::Memory;
pub use vrl::value::Value;

/// Why an event cannot go on: it becomes a dead letter with this reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// The error code whose page explains it.
    pub code: &'static str,
    /// What is wrong, without the event's data.
    pub reason: String,
}

impl Fault {
    /// Makes a fault of its code and reason.
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

/// One JSON object in flight.
#[derive(Clone, Debug)]
pub struct Doc {
    original: Bytes,
    root: Root,
}

#[derive(Clone, Debug)]
enum Root {
    Object(Object),
    /// A program replaced the whole event.
    Value(Value),
}

impl Doc {
    /// Checks that `text` is one JSON object and indexes its first level.
    ///
    /// # Errors
    /// `HW-FLOW-120` with the byte at which it stops being one.
    pub fn new(text: Bytes) -> Result<Self, Fault> {
        Self::open(text, 1, Memory::default())
    }

    /// As [`Doc::new`], in the memory of an earlier document.
    pub(crate) fn new_in(text: Bytes, memory: Memory) -> Result<Self, Fault> {
        Self::open(text, 1, memory)
    }

    /// As [`Doc::new`] for a document around a whole event, which may be nested as deep as an event by itself.
    ///
    /// # Errors
    /// As [`Doc::new`].
    pub fn around_event(text: Bytes) -> Result<Self, Fault> {
        Self::open(text, 0, Memory::default())
    }

    fn open(text: Bytes, outside: u32, memory: Memory) -> Result<Self, Fault> {
        match Object::open(text.clone(), outside, memory) {
            Ok(object) => Ok(Self { original: text, root: Root::Object(object) }),
            Err(flaw) => {
                Err(Fault::new("HW-FLOW-120", format!("not a JSON object: {} at byte {}", flaw.what, flaw.at)))
            }
        }
    }

    /// The memory of a document that is done with.
    pub(crate) fn into_memory(self) -> Memory {
        match self.root {
            Root::Object(object) => object.into_memory(),
            Root::Value(_) => Memory::default(),
        }
    }

    /// The bytes the event came as.
    pub fn original(&self) -> &Bytes {
        &self.original
    }

    /// What it holds in memory, about: its text, the index of that, and the JSON that was put in.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.root {
            Root::Object(object) => object.held_bytes(),
            // A program made it of the whole text.
            Root::Value(_) => self.original.len().saturating_mul(4),
        }
    }

    /// The value at a path; None when there is none.
    pub fn get(&self, path: &Path) -> Option<&Value> {
        self.get_at(path.segments())
    }

    /// Text at a path.
    pub fn str(&self, path: &Path) -> Option<&str> {
        self.get(path)?.to_str()
    }

    /// A number at a path.
    pub fn f64(&self, path: &Path) -> Option<f64> {
        match self.get(path)? {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(number.into_inner()),
            _ => None,
        }
    }

    /// A whole number at a path.
    pub fn i64(&self, path: &Path) -> Option<i64> {
        match self.get(path)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// True or false at a path.
    pub fn bool(&self, path: &Path) -> Option<bool> {
        match self.get(path)? {
            Value::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// A point in time at a path: RFC 3339 text, a VRL timestamp, or seconds, milliseconds or microseconds since 1970,
    /// told apart by their size (seconds up to the year 5138, milliseconds up to that year again).
    pub fn time(&self, path: &Path) -> Option<Micros> {
        time(self.get(path)?)
    }

    /// The text that stands for a path's value as a key: a string as it is, numbers, booleans and timestamps as JSON
    /// would write them. None when there is nothing, null, or an array or object.
    pub fn key(&self, path: &Path) -> Option<Bytes> {
        let value = self.get(path)?;
        match value {
            Value::Bytes(_) | Value::String(_) => value.as_bytes().cloned(),
            Value::Integer(number) => Some(Bytes::from(number.to_string())),
            Value::Boolean(true) => Some(Bytes::from_static(b"true")),
            Value::Boolean(false) => Some(Bytes::from_static(b"false")),
            Value::Float(_) => self.json(path),
            Value::Timestamp(_) | Value::Regex(_) => Some(value.coerce_to_bytes()),
            Value::Object(_) | Value::Array(_) | Value::Null => None,
        }
    }

    /// The JSON text at a path: the original bytes where nobody changed them.
    pub fn json(&self, path: &Path) -> Option<Bytes> {
        if let Root::Object(object) = &self.root
            && let Some(text) = object.text(path.segments())
        {
            return Some(text);
        }
        let mut text = Vec::new();
        tree::write_json(self.get(path)?, &mut text);
        Some(Bytes::from(text))
    }

    /// Sets a path to JSON text, which is kept as it is.
    ///
    /// # Errors
    /// `HW-FLOW-120` when `json` is not JSON; the event is unchanged then.
    pub fn set_json(&mut self, path: &Path, json: Bytes) -> Result<(), Fault> {
        let node = Node::json(json)
            .map_err(|flaw| Fault::new("HW-FLOW-120", format!("not JSON: {} at byte {}", flaw.what, flaw.at)))?;
        self.insert_node(path.segments(), node);
        Ok(())
    }

    /// Sets a path to a value; parents that are missing or of another type become objects or arrays.
    pub fn set(&mut self, path: &Path, value: impl Into<Value>) {
        self.set_at(path.segments(), value.into());
    }

    /// Sets a path to text.
    pub fn set_str(&mut self, path: &Path, text: &str) {
        self.set(path, text);
    }

    /// Takes the value at a path out.
    pub fn remove(&mut self, path: &Path) -> Option<Value> {
        self.remove_at(path.segments(), false)
    }

    /// The object's text: the original bytes with the edits spliced in.
    pub fn encode(&self) -> Bytes {
        if let Some(source) = self.unchanged() {
            return source.clone();
        }
        let mut text = Vec::with_capacity(self.original.len() + 512);
        self.write(&mut text);
        Bytes::from(text)
    }

    /// As [`Doc::encode`], for who only looks at it: what has to be put together is, in `memory`.
    pub(crate) fn text<'a>(&'a self, memory: &'a mut Vec<u8>) -> &'a [u8] {
        if let Some(source) = self.unchanged() {
            return source;
        }
        memory.clear();
        self.write(memory);
        memory
    }

    /// The text as it came, if it is still that.
    fn unchanged(&self) -> Option<&Bytes> {
        match &self.root {
            Root::Object(object) if !object.is_changed() => Some(object.source()),
            Root::Object(_) | Root::Value(_) => None,
        }
    }

    fn write(&self, text: &mut Vec<u8>) {
        match &self.root {
            Root::Object(object) => object.write(text),
            Root::Value(value) => tree::write_json(value, text),
        }
    }

    /// Whether the root is an object, as an event's must be; a program can make it something else.
    pub(crate) fn is_object(&self) -> bool {
        matches!(&self.root, Root::Object(_) | Root::Value(Value::Object(_)))
    }

    pub(crate) fn get_at(&self, path: &[OwnedSegment]) -> Option<&Value> {
        match &self.root {
            Root::Object(object) => object.get(path),
            Root::Value(value) => value.get(path),
        }
    }

    /// Whether there is a value at a path, which is not read for it.
    pub(crate) fn has_at(&self, path: &[OwnedSegment]) -> bool {
        match &self.root {
            Root::Object(object) => object.has(path),
            Root::Value(value) => value.get(path).is_some(),
        }
    }

    pub(crate) fn get_mut_at(&mut self, path: &[OwnedSegment]) -> Option<&mut Value> {
        if let Root::Object(object) = &self.root {
            self.root = Root::Value(object.whole().clone());
        }
        match &mut self.root {
            Root::Value(value) => value.get_mut(path),
            Root::Object(_) => None,
        }
    }

    pub(crate) fn set_at(&mut self, path: &[OwnedSegment], value: Value) {
        self.insert_node(path, Node::Value(value));
    }

    /// Sets a path to JSON text that is known to be JSON.
    pub(crate) fn set_checked_json_at(&mut self, path: &[OwnedSegment], json: Bytes) {
        self.insert_node(path, Node::checked_json(json));
    }

    pub(crate) fn remove_at(&mut self, path: &[OwnedSegment], prune: bool) -> Option<Value> {
        match &mut self.root {
            Root::Object(object) if path.is_empty() => {
                let whole = object.whole().clone();
                self.root = Root::Value(Value::Object(Default::default()));
                Some(whole)
            }
            Root::Object(object) => object.remove(path, prune).map(Node::into_value),
            Root::Value(value) => value.remove(path, prune),
        }
    }

    /// As [`Doc::remove_at`] for a path that begins with a field, where nobody wants the value.
    pub(crate) fn discard_at(&mut self, path: &[OwnedSegment]) {
        match &mut self.root {
            Root::Object(object) => drop(object.remove(path, false)),
            Root::Value(value) => drop(value.remove(path, false)),
        }
    }

    fn insert_node(&mut self, path: &[OwnedSegment], node: Node) {
        match (&mut self.root, path) {
            (root, []) => *root = Root::Value(node.into_value()),
            (Root::Object(object), [OwnedSegment::Field(_), ..]) => object.insert(path, node),
            (root @ Root::Object(_), [OwnedSegment::Index(_), ..]) => {
                let mut value = Value::Null;
                value.insert(path, node.into_value());
                *root = Root::Value(value);
            }
            (Root::Value(value), _) => {
                value.insert(path, node.into_value());
            }
        }
    }
}

/// Whether a text is JSON that [`Doc::set_json`] takes.
pub fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| scan::value(text).is_ok())
}

/// A value as a point in time; see [`Doc::time`].
pub fn time(value: &Value) -> Option<Micros> {
    /// The year 5138 in seconds.
    const SECONDS_MAX: i64 = 100_000_000_000;
    match value {
        Value::Bytes(_) | Value::String(_) => Micros::parse_rfc3339(value.to_str()?),
        Value::Timestamp(time) => Some(Micros(time.timestamp_micros())),
        Value::Integer(number) => match number.unsigned_abs() {
            0..=0x17_4876_E800 => number.checked_mul(1_000_000).map(Micros),
            n if n <= SECONDS_MAX as u64 * 1_000 => Some(Micros::from_millis(*number)),
            _ => Some(Micros(*number)),
        },
        Value::Float(number) => {
            let number = number.into_inner();
            let scale = if number.abs() <= SECONDS_MAX as f64 {
                1e6
            } else if number.abs() <= SECONDS_MAX as f64 * 1e3 {
                1e3
            } else {
                1.0
            };
            let micros = (number * scale).round();
            (micros.abs() < 9e18).then_some(Micros(micros as i64))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
