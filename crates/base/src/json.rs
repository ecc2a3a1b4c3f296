//! JSON text by itself: one pass that checks it ([`scan`]), names found by a number ([`tag`]), and strings with their
//! escapes resolved.
//!
//! What it is NOT: a parser; it builds no values. Whoever wants one builds it of the part that it needs.

pub mod scan;
pub mod tag;

use scan::Scan;

/// The text of a JSON string with its quotes that has been checked by [`scan`], escapes resolved.
pub fn unescape(quoted: &[u8]) -> String {
    let inner = unquoted(quoted);
    let mut text = String::with_capacity(inner.len());
    let mut scan = Scan { bytes: inner, at: 0 };
    while scan.at < inner.len() {
        let start = scan.at;
        scan.plain();
        text.push_str(&String::from_utf8_lossy(inner.get(start..scan.at).unwrap_or_default()));
        if scan.peek() != b'\\' {
            // The end, or a byte that a checked text does not hold.
            scan.at += 1;
            continue;
        }
        scan.at += 1;
        let escape = scan.peek();
        scan.at += 1;
        text.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut code = scan.hex().unwrap_or(0xFFFD);
                if (0xD800..0xDC00).contains(&code) {
                    scan.at += 2;
                    let low = scan.hex().unwrap_or(0xDC00);
                    code = 0x10000 + ((code - 0xD800) << 10) + (low & 0x3FF);
                }
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => other as char,
        });
    }
    text
}

/// What stands between the quotes of a JSON string.
#[inline]
pub fn unquoted(quoted: &[u8]) -> &[u8] {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()
}
