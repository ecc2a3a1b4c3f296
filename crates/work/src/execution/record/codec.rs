//! Bytes of records: variable-length numbers, length-prefixed text, JSON values with exact numbers.
//!
//! Not JSON text, because a double must come back with the same bits and an integer with all its digits.
//!
//! A payload above the writer's bound leaves the record: its bytes go into [`Writer::large`] and the record names them
//! by their hash. Whoever reads fetches them by it.

use headwater_base::Micros;
use serde_json::{Map, Number, Value};

/// Containers inside each other that are read; what is written stays below it.
const DEPTH_MAX: usize = 256;

/// Items for which a list inside another one takes room before they are read.
const NESTED_MAX: usize = 1_024;

/// The tag of a payload that is kept elsewhere.
const ELSEWHERE: u8 = 9;

/// The count of a list that is kept elsewhere as a whole.
const LIST_ELSEWHERE: u64 = u64::MAX;

/// Encoded payloads that are kept beside records, by their hash.
pub(crate) type Large = Vec<([u8; 32], Vec<u8>)>;

/// Answers the bytes behind a hash.
pub(crate) type Fetch<'a> = &'a dyn Fn(&[u8; 32]) -> Option<Vec<u8>>;

/// For records that name nothing.
pub(crate) fn nowhere(_: &[u8; 32]) -> Option<Vec<u8>> {
    None
}

pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) large: Large,
    inline_max: usize,
}

impl Default for Writer {
    fn default() -> Self {
        Self::within(usize::MAX)
    }
}

impl Writer {
    /// A writer that keeps payloads of more than `inline_max` bytes out of the record.
    pub(crate) const fn within(inline_max: usize) -> Self {
        Self { bytes: Vec::new(), large: Vec::new(), inline_max }
    }

    /// A value that may be large.
    pub(crate) fn payload(&mut self, value: &Value) {
        let start = self.bytes.len();
        self.value(value);
        if self.bytes.len() - start > self.inline_max {
            let encoded = self.bytes.split_off(start);
            let hash = crate::hash::sha256(&encoded);
            self.byte(ELSEWHERE);
            self.raw(&hash);
            self.large.push((hash, encoded));
        }
    }

    /// Values each of which may be large, as all of them together may be.
    pub(crate) fn payloads(&mut self, values: &[Value]) {
        let start = self.bytes.len();
        self.list(values, Self::payload);
        if self.bytes.len() - start > self.inline_max {
            let encoded = self.bytes.split_off(start);
            let hash = crate::hash::sha256(&encoded);
            self.number(LIST_ELSEWHERE);
            self.raw(&hash);
            self.large.push((hash, encoded));
        }
    }

    /// A part of the record that may be large as a whole, however small each value in it is.
    pub(crate) fn apart(&mut self, write: impl FnOnce(&mut Self)) {
        let mut part = Self::default();
        write(&mut part);
        let away = part.bytes.len() > self.inline_max;
        self.byte(u8::from(away));
        if away {
            let hash = crate::hash::sha256(&part.bytes);
            self.raw(&hash);
            self.large.push((hash, part.bytes));
        } else {
            self.bytes(&part.bytes);
        }
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// LEB128.
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.byte(number.to_le_bytes()[0]);
    }

    pub(crate) fn time(&mut self, time: Micros) {
        self.raw(&time.0.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn option<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        items.iter().for_each(|item| write(self, item));
    }

    pub(crate) fn fields(&mut self, fields: &Map<String, Value>) {
        self.number(fields.len() as u64);
        for (key, value) in fields {
            self.text(key);
            self.value(value);
        }
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.byte(0),
            Value::Bool(value) => self.byte(1 + u8::from(*value)),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => {
                    self.byte(3);
                    self.number(number);
                }
                (None, Some(number)) => {
                    self.byte(4);
                    self.number(number.unsigned_abs());
                }
                _ => {
                    self.byte(5);
                    self.raw(&number.as_f64().unwrap_or(0.0).to_le_bytes());
                }
            },
            Value::String(text) => {
                self.byte(6);
                self.text(text);
            }
            Value::Array(items) => {
                self.byte(7);
                self.list(items, Self::value);
            }
            Value::Object(fields) => {
                self.byte(8);
                self.fields(fields);
            }
        }
    }
}

/// Every method answers None when the bytes end early or make no sense.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
    fetch: Fetch<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self::with(bytes, &nowhere)
    }

    /// A reader that fetches what is kept elsewhere.
    pub(crate) fn with(bytes: &'a [u8], fetch: Fetch<'a>) -> Self {
        Self { rest: bytes, depth: 0, fetch }
    }

    /// A value that may have been large.
    pub(crate) fn payload(&mut self) -> Option<Value> {
        let Some((&ELSEWHERE, rest)) = self.rest.split_first() else { return self.value() };
        let (hash, rest) = rest.split_first_chunk()?;
        self.rest = rest;
        Reader::new(&(self.fetch)(hash)?).value()
    }

    /// Values that may have been large, each or all together.
    pub(crate) fn payloads(&mut self) -> Option<Vec<Value>> {
        let start = self.rest;
        if self.number()? == LIST_ELSEWHERE {
            let list = (self.fetch)(self.raw(32)?.first_chunk()?)?;
            return Reader::with(&list, self.fetch).list(Reader::payload);
        }
        self.rest = start;
        self.list(Reader::payload)
    }

    /// What all of the bytes are; None where some follow its end.
    pub(crate) fn whole<T>(mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        read(&mut self).filter(|_| self.is_empty())
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// A part of the record that may have been large as a whole.
    pub(crate) fn apart<T>(&mut self, read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Option<T> {
        match self.byte()? {
            0 => read(&mut Reader::with(self.bytes()?, self.fetch)),
            1 => {
                let part = (self.fetch)(self.raw(32)?.first_chunk()?)?;
                read(&mut Reader::new(&part))
            }
            _ => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn raw(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.raw(1)?.first().copied()
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    pub(crate) fn time(&mut self) -> Option<Micros> {
        Some(Micros(i64::from_le_bytes(self.raw(8)?.try_into().ok()?)))
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.raw(length)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    pub(crate) fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        // An item is at least a byte.
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= self.rest.len())?;
        // False lengths of lists inside each other would each take room for all the bytes there are.
        let room = if self.depth == 0 { length } else { length.min(NESTED_MAX) };
        let mut items = Vec::with_capacity(room);
        for _ in 0..length {
            items.push(read(self)?);
        }
        Some(items)
    }

    pub(crate) fn fields(&mut self) -> Option<Map<String, Value>> {
        let length = self.number()?;
        let mut fields = Map::new();
        for _ in 0..length {
            fields.insert(self.text()?, self.value()?);
        }
        Some(fields)
    }

    pub(crate) fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Number(Number::from(self.number()?)),
            4 => Value::Number(Number::from(0_i64.checked_sub_unsigned(self.number()?)?)),
            5 => Value::Number(Number::from_f64(f64::from_le_bytes(self.raw(8)?.try_into().ok()?))?),
            6 => Value::String(self.text()?),
            tag @ (7 | 8) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return None;
                }
                let value =
                    if tag == 7 { Value::Array(self.list(Self::value)?) } else { Value::Object(self.fields()?) };
                self.depth -= 1;
                value
            }
            _ => return None,
        })
    }
}
