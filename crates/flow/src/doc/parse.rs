//! JSON text that has been checked by `headwater_base::json::scan` -> VRL value, the same value that `parse_json` makes
//! of it.
//!
//! Strings without escapes share the text's bytes. Of equal keys the last one wins. Integers beyond 64 bits with
//! sign become floats.

use bytes::Bytes;
use vrl::value::{KeyString, ObjectMap, Value};

use headwater_base::json::scan::{DEPTH_MAX, Scan};
use headwater_base::json::{unescape, unquoted};
use headwater_base::never;

/// The value that begins at `start`; where it ends is its own to say.
pub(super) fn value(source: &Bytes, start: u32) -> Value {
    Parse { source, scan: Scan { bytes: source, at: start as usize } }.value(0)
}

struct Parse<'a> {
    source: &'a Bytes,
    scan: Scan<'a>,
}

impl Parse<'_> {
    fn value(&mut self, depth: u32) -> Value {
        if depth > DEPTH_MAX {
            never!("nested deeper than the scan allows");
            return Value::Null;
        }
        match self.scan.peek() {
            b'"' => self.string(),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b't' => self.word(4, Value::Boolean(true)),
            b'f' => self.word(5, Value::Boolean(false)),
            b'n' => self.word(4, Value::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, length: usize, value: Value) -> Value {
        self.scan.at += length;
        value
    }

    /// Passes a string: its start, its end, whether it holds escapes.
    fn quoted(&mut self) -> (usize, usize, bool) {
        let start = self.scan.at;
        let escaped = self.scan.string().unwrap_or_else(|flaw| {
            never!("unchecked text: {flaw:?}");
            self.scan.at = self.scan.bytes.len();
            false
        });
        (start, self.scan.at, escaped)
    }

    fn string(&mut self) -> Value {
        let (start, end, escaped) = self.quoted();
        if escaped {
            return Value::from(unescape(self.scan.bytes.get(start..end).unwrap_or_default()));
        }
        Value::from_utf8_or_bytes(self.source.slice(start + 1..(end - 1).max(start + 1)))
    }

    fn key(&mut self) -> KeyString {
        let (start, end, escaped) = self.quoted();
        let quoted = self.scan.bytes.get(start..end).unwrap_or_default();
        if escaped {
            return unescape(quoted).into();
        }
        String::from_utf8_lossy(unquoted(quoted)).into()
    }

    fn object(&mut self, depth: u32) -> Value {
        let mut map = ObjectMap::new();
        self.scan.at += 1;
        self.scan.space();
        while !matches!(self.scan.peek(), b'}' | 0) {
            let key = self.key();
            self.scan.space();
            self.scan.at += 1;
            self.scan.space();
            let value = self.value(depth + 1);
            map.insert(key, value);
            self.comma();
        }
        self.scan.at += 1;
        Value::Object(map)
    }

    fn array(&mut self, depth: u32) -> Value {
        let mut items = Vec::new();
        self.scan.at += 1;
        self.scan.space();
        while !matches!(self.scan.peek(), b']' | 0) {
            items.push(self.value(depth + 1));
            self.comma();
        }
        self.scan.at += 1;
        Value::Array(items)
    }

    fn comma(&mut self) {
        self.scan.space();
        if self.scan.peek() == b',' {
            self.scan.at += 1;
            self.scan.space();
        }
    }

    fn number(&mut self) -> Value {
        let start = self.scan.at;
        let mut integer = true;
        loop {
            match self.scan.peek() {
                b'0'..=b'9' | b'-' => {}
                b'.' | b'e' | b'E' | b'+' => integer = false,
                _ => break,
            }
            self.scan.at += 1;
        }
        if self.scan.at == start {
            never!("unchecked text");
            self.scan.at += 1;
            return Value::Null;
        }
        let text =
            std::str::from_utf8(self.scan.bytes.get(start..self.scan.at).unwrap_or_default()).unwrap_or_default();
        // `-0` is the float -0.0, as in a full parse.
        if integer
            && text != "-0"
            && let Ok(number) = text.parse::<i64>()
        {
            return Value::Integer(number);
        }
        Value::from_f64_or_zero(text.parse().unwrap_or_default())
    }
}
