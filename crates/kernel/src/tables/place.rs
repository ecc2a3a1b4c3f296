//! A document's place in an index: bytes in whose order its fields' values are, so that SQLite compares them as bytes.
//!
//! Booleans come before numbers, numbers before strings; numbers are ordered by value, however long they are, strings
//! by their UTF-8. Places of several values stand one behind the other, so that a place of fewer values is the beginning
//! of all that go on from it.

use headwater_wire::exact::{Exact, scaled};

const BOOL: u8 = 0x10;
const NUMBER: u8 = 0x20;
const STRING: u8 = 0x30;

/// Appends a value's place; false for a value that has none.
pub(super) fn push(out: &mut Vec<u8>, value: &Exact) -> bool {
    match value {
        Exact::Bool(bool) => out.extend([BOOL, u8::from(*bool)]),
        Exact::Number(text) => return number(out, text),
        Exact::String(text) => {
            out.push(STRING);
            for byte in text.bytes() {
                out.push(byte);
                if byte == 0 {
                    out.push(0xff);
                }
            }
            out.extend([0, 1]);
        }
        Exact::Null | Exact::List(_) | Exact::Map(_) => return false,
    }
    true
}

/// The first byte of the places of values of this one's type.
pub(super) fn kind(value: &Exact) -> Option<u8> {
    let mut out = Vec::new();
    push(&mut out, value).then(|| out.first().copied()).flatten()
}

/// The least place above all that begin with `place`; None when there is none.
pub(super) fn above(mut place: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = place.pop() {
        if last < 0xff {
            place.push(last + 1);
            return Some(place);
        }
    }
    None
}

/// Sign, place of the first digit, digits; of a negative number all but the sign turned over.
fn number(out: &mut Vec<u8>, text: &str) -> bool {
    let Some((negative, digits, power)) = scaled(text) else { return false };
    out.push(NUMBER);
    if digits.is_empty() {
        out.push(1);
        return true;
    }
    let first = power.saturating_add(i64::try_from(digits.len()).unwrap_or(i64::MAX));
    let mut magnitude = (first.cast_unsigned() ^ (1 << 63)).to_be_bytes().to_vec();
    magnitude.extend(digits.bytes());
    magnitude.push(0);
    if negative {
        magnitude.iter_mut().for_each(|byte| *byte = !*byte);
    }
    out.push(if negative { 0 } else { 2 });
    out.extend(magnitude);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(push(&mut out, &Exact::read(text.as_bytes()).unwrap()), "{text}");
        out
    }

    #[test]
    fn places_are_in_the_order_of_the_values() {
        let ordered = [
            "false",
            "true",
            "-1e300",
            "-20",
            "-19.5",
            "-2",
            "-1.5",
            "-1",
            "-0.01",
            "0",
            "1e-9",
            "0.5",
            "1",
            "1.5",
            "1.50000000000000000000001",
            "2",
            "19",
            "20",
            "12345678901234567890",
            "1e300",
            r#""""#,
            r#""\u0000""#,
            r#""\u0000a""#,
            r#""a""#,
            r#""a\u0000""#,
            r#""ab""#,
            r#""b""#,
            r#""é""#,
        ];
        for (at, a) in ordered.iter().enumerate() {
            for (other, b) in ordered.iter().enumerate() {
                assert_eq!(place(a).cmp(&place(b)), at.cmp(&other), "{a} {b}");
            }
        }
        assert_eq!(place("1.0"), place("10e-1"));
        for text in ["null", "[]", "{}"] {
            assert!(!push(&mut Vec::new(), &Exact::read(text.as_bytes()).unwrap()));
        }
        assert_eq!((above(vec![1, 0xff]), above(vec![0xff])), (Some(vec![2]), None));
    }
}
