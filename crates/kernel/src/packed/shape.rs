//! `Shape`: the text around a document's values. Documents of one table differ in their values and in little else, so
//! the names of fields, quotes and commas are kept once and the values of each.
//!
//! What it is NOT: a parser. Any text goes in and comes out byte by byte; one that is no JSON is only kept less tightly.

/// The longest text of a shape. A longer one is that of one document, most likely.
const TEXT_BYTES_MAX: usize = 1_024;

/// A text with gaps where values stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    text: Vec<u8>,
    /// Places in `text`, in order.
    gaps: Vec<u16>,
}

impl Shape {
    /// The shape that every text has: one value and nothing around it.
    pub fn whole() -> Self {
        Self { text: Vec::new(), gaps: vec![0] }
    }

    /// Takes `text` apart: becomes its shape, and `values` what stood in its gaps. False where the shape is too long;
    /// both hold nothing of use then. A value that is the document's key is not written again.
    pub fn read(&mut self, text: &[u8], key: &[u8], values: &mut Vec<u8>) -> bool {
        self.text.clear();
        self.gaps.clear();
        values.clear();
        let mut rest = text;
        while let Some(first) = rest.first() {
            if self.text.len() > TEXT_BYTES_MAX {
                return false;
            }
            let length = match first {
                b'"' => match string_bytes(rest) {
                    Some(length) => length,
                    None => return false,
                },
                b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => rest.iter().position(ends_value).unwrap_or(rest.len()),
                _ => 1,
            };
            let Some((token, behind)) = rest.split_at_checked(length) else { return false };
            match (first, token) {
                (b'"', [quote, value @ .., _]) if !is_name(behind) => {
                    self.text.push(*quote);
                    self.gap(value, key, values);
                    self.text.push(*quote);
                }
                (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', value) => self.gap(value, key, values),
                (_, other) => self.text.extend_from_slice(other),
            }
            rest = behind;
        }
        self.text.len() <= TEXT_BYTES_MAX
    }

    fn gap(&mut self, value: &[u8], key: &[u8], values: &mut Vec<u8>) {
        // The text is at most a byte over its bound.
        self.gaps.push(self.text.len() as u16);
        if value == key { write_number(values, 0) } else { write_value(values, value) }
    }

    /// Puts a text together again. None where `values` are those of another shape. Bytes behind them do not matter.
    pub fn write(&self, key: &[u8], mut values: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.text.len() + values.len() + key.len());
        let mut from = 0;
        for gap in &self.gaps {
            let gap = usize::from(*gap);
            out.extend_from_slice(self.text.get(from..gap)?);
            from = gap;
            let (length, rest) = read_number(values)?;
            values = match length.checked_sub(1) {
                None => {
                    out.extend_from_slice(key);
                    rest
                }
                Some(length) => {
                    let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                    out.extend_from_slice(value);
                    rest
                }
            };
        }
        out.extend_from_slice(self.text.get(from..)?);
        Some(out)
    }
}

/// Writes a value behind its length; a length of 0 stands for the key.
pub(super) fn write_value(out: &mut Vec<u8>, value: &[u8]) {
    write_number(out, value.len() as u64 + 1);
    out.extend_from_slice(value);
}

/// The bytes of the string that `text` begins with, quotes included.
fn string_bytes(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Whether what stands before `behind` is a field's name.
fn is_name(behind: &[u8]) -> bool {
    behind.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

fn ends_value(byte: &u8) -> bool {
    matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace()
}

/// Writes a number in seven bits a byte, low ones first.
pub(super) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what [`write_number`] wrote; and what stands behind it.
pub(super) fn read_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut shift, mut rest) = (0, 0, bytes);
    loop {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some((number, rest));
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
}
