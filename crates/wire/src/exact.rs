//! JSON as a tree whose numbers keep their text, for whoever may not lose a digit.
//!
//! What it is NOT: a replacement of `serde_json::Value`, whose numbers are machine words: this is for documents that
//! are taken apart and written again, where `12345678901234567890.10` has to stay what it was.
//!
//! Invariants: what was read is RFC 8259 to a depth of [`DEPTH_MAX`]; of a key named twice the last value counts, in
//! the first one's place; numbers are written as they were read.

use std::fmt;

use serde_json::Value;

/// How deep values may be nested.
pub const DEPTH_MAX: usize = 128;

/// Objects larger than this look for repeated keys by hash.
const SMALL: usize = 16;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exact {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number's text, by RFC 8259.
    Number(Box<str>),
    /// A string.
    String(String),
    /// An array.
    List(Vec<Exact>),
    /// An object, in the order of its text; no key comes twice.
    Map(Vec<(String, Exact)>),
}

/// Where a text stops being JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte `{at}`: {fault}")]
pub struct Fault {
    /// Bytes before the fault.
    pub at: usize,
    /// What was expected.
    pub fault: &'static str,
}

impl Exact {
    /// Reads one value.
    ///
    /// # Errors
    /// Text that is no JSON, or too deeply nested.
    pub fn read(text: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(text)
            .map_err(|error| Fault { at: error.valid_up_to(), fault: "the text is not UTF-8" })?;
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        match reader.peek() {
            None => Ok(value),
            Some(_) => Err(reader.fault("nothing may follow the value")),
        }
    }

    /// The value of a key, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// How deep it is nested; 0 for a value that holds no other.
    pub fn depth(&self) -> usize {
        match self {
            Self::List(items) => items.iter().map(Self::depth).max().map_or(0, |depth| depth + 1),
            Self::Map(fields) => fields.iter().map(|(_, value)| value.depth()).max().map_or(0, |depth| depth + 1),
            _ => 0,
        }
    }

    /// About how many bytes it has as JSON.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 4,
            Self::Number(text) => text.len(),
            Self::String(text) => 2 + text.len(),
            Self::List(items) => 2 + items.iter().map(|item| 1 + item.bytes()).sum::<usize>(),
            Self::Map(fields) => 2 + fields.iter().map(|(name, value)| 4 + name.len() + value.bytes()).sum::<usize>(),
        }
    }

    /// As a machine's value; None where a number would lose digits.
    pub fn to_value(&self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Number(text) => Value::Number(machine_number(text)?),
            Self::String(text) => Value::String(text.clone()),
            Self::List(items) => Value::Array(items.iter().map(Self::to_value).collect::<Option<_>>()?),
            Self::Map(fields) => {
                let fields = fields.iter().map(|(name, value)| Some((name.clone(), value.to_value()?)));
                Value::Object(fields.collect::<Option<_>>()?)
            }
        })
    }
}

impl From<&Value> for Exact {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => Self::Number(number.to_string().into()),
            Value::String(text) => Self::String(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                Self::Map(fields.iter().map(|(name, value)| (name.clone(), Self::from(value))).collect())
            }
        }
    }
}

impl fmt::Display for Exact {
    /// Its JSON without blanks, or with `{:#}` over several lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return lines(f, self, 0);
        }
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Number(text) => f.write_str(text),
            Self::String(text) => string(f, text),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    f.write_str(if index == 0 { "[" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Self::Map(fields) => {
                for (index, (name, value)) in fields.iter().enumerate() {
                    f.write_str(if index == 0 { "{" } else { "," })?;
                    string(f, name)?;
                    f.write_str(":")?;
                    value.fmt(f)?;
                }
                f.write_str(if fields.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

/// JSON with a line for each member and item, as `serde_json` writes it.
fn lines(f: &mut fmt::Formatter<'_>, value: &Exact, depth: usize) -> fmt::Result {
    let line = |f: &mut fmt::Formatter<'_>, depth: usize| write!(f, "\n{:width$}", "", width = 2 * depth);
    match value {
        Exact::List(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                f.write_str(if index == 0 { "[" } else { "," })?;
                line(f, depth + 1)?;
                lines(f, item, depth + 1)?;
            }
            line(f, depth)?;
            f.write_str("]")
        }
        Exact::Map(fields) if !fields.is_empty() => {
            for (index, (name, value)) in fields.iter().enumerate() {
                f.write_str(if index == 0 { "{" } else { "," })?;
                line(f, depth + 1)?;
                string(f, name)?;
                f.write_str(": ")?;
                lines(f, value, depth + 1)?;
            }
            line(f, depth)?;
            f.write_str("}")
        }
        other => write!(f, "{other}"),
    }
}

fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&serde_json::to_string(text).map_err(|_| fmt::Error)?)
}

/// The length of the number that a text begins with (RFC 8259 section 6); 0 = it begins with none.
fn number_length(text: &[u8]) -> usize {
    let digits = |from: usize| text.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = if text.get(at) == Some(&b'0') { 1 } else { digits(at) };
    if whole == 0 {
        return 0;
    }
    at += whole;
    if text.get(at) == Some(&b'.') && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

/// The JSON number that a text begins with: `0` of `0].a`, `1.5` of `1.5 AND`, `1` of `1-2`; empty if it begins with none.
pub fn leading_number(text: &str) -> &str {
    text.get(..number_length(text.as_bytes())).unwrap_or_default()
}

/// Whether a text is a JSON number.
pub fn is_number(text: &str) -> bool {
    !text.is_empty() && number_length(text.as_bytes()) == text.len()
}

/// A number as a machine's, unless that would be another number.
fn machine_number(text: &str) -> Option<serde_json::Number> {
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    let exact = number.is_i64() || number.is_u64() || scaled(text) == scaled(&number.to_string());
    exact.then_some(number)
}

/// A number's sign, its digits without zeros at either end, and the power of ten of the last one: equal for equal
/// numbers, however they are written. None for what is no JSON number.
pub fn scaled(text: &str) -> Option<(bool, String, i64)> {
    if !is_number(text) {
        return None;
    }
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - trimmed.len()).ok()?;
    let trimmed = trimmed.trim_start_matches('0');
    if trimmed.is_empty() {
        return Some((false, String::new(), 0));
    }
    // An exponent of more digits than fit is one that no other number shares by chance.
    let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 });
    let power = exponent.saturating_sub(i64::try_from(fraction.len()).ok()?).saturating_add(zeros);
    Some((negative, trimmed.to_owned(), power))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, fault: &'static str) -> Fault {
        Fault { at: self.at, fault }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&mut self) -> Option<u8> {
        let blanks = self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blanks;
        self.rest().first().copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Exact, Fault> {
        if depth > DEPTH_MAX {
            return Err(self.fault("values are nested too deeply"));
        }
        match self.peek() {
            Some(b'"') => self.string().map(Exact::String),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.map(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let words = [("null", Exact::Null), ("true", Exact::Bool(true)), ("false", Exact::Bool(false))];
                for (word, value) in words {
                    if self.rest().starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.fault("a value is expected"))
            }
        }
    }

    fn number(&mut self) -> Result<Exact, Fault> {
        let length = number_length(self.rest());
        let text = self.text.get(self.at..self.at + length).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| self.fault("a number is expected"))?;
        self.at += length;
        match self.rest().first() {
            // `01`, `1.`, `1e`
            Some(b'0'..=b'9' | b'.' | b'e' | b'E') => Err(self.fault("a number's end is expected")),
            _ => Ok(Exact::Number(text.into())),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let mut end = start + 1;
        let mut plain = true;
        loop {
            match self.text.as_bytes().get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    end += 2;
                }
                Some(0..0x20) => return Err(Fault { at: end, fault: "a control character has to be escaped" }),
                Some(_) => end += 1,
                None => return Err(Fault { at: start, fault: "the string does not end" }),
            }
        }
        self.at = end + 1;
        let raw = |from, to| self.text.get(from..to).unwrap_or_default();
        if plain {
            return Ok(raw(start + 1, end).to_owned());
        }
        serde_json::from_str(raw(start, end + 1)).map_err(|_| Fault { at: start, fault: "an escape is none" })
    }

    fn list(&mut self, depth: usize) -> Result<Exact, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Exact::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(Exact::List(items));
            }
            if !self.take(b',') {
                return Err(self.fault("a comma or a closing bracket is expected"));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Exact, Fault> {
        self.at += 1;
        let mut fields = Vec::new();
        if self.take(b'}') {
            return Ok(Exact::Map(fields));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault("a key in quotes is expected"));
            }
            let key = self.string()?;
            if !self.take(b':') {
                return Err(self.fault("a colon is expected"));
            }
            fields.push((key, self.value(depth + 1)?));
            if self.take(b'}') {
                return Ok(Exact::Map(last_of_each(fields)));
            }
            if !self.take(b',') {
                return Err(self.fault("a comma or a closing brace is expected"));
            }
        }
    }
}

/// Leaves the last value of each key, in the place of its first.
fn last_of_each(fields: Vec<(String, Exact)>) -> Vec<(String, Exact)> {
    let repeated = if fields.len() <= SMALL {
        fields.iter().enumerate().any(|(at, (key, _))| fields.iter().take(at).any(|(before, _)| before == key))
    } else {
        let keys: std::collections::HashSet<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
        keys.len() < fields.len()
    };
    if !repeated {
        return fields;
    }
    let mut places = std::collections::HashMap::with_capacity(fields.len());
    let mut kept: Vec<(String, Exact)> = Vec::with_capacity(fields.len());
    for (key, value) in fields {
        let place = *places.entry(key.clone()).or_insert(kept.len());
        match kept.get_mut(place) {
            Some((_, old)) => *old = value,
            None => kept.push((key, value)),
        }
    }
    kept
}

#[cfg(test)]
mod tests;
