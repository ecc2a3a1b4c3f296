//! Reading JSON where it lies: a scanner over bytes that hands out slices and skips what nobody asks for.
//!
//! What it is NOT: a validator. A skipped value is only checked for balanced brackets and closed strings, because an
//! event was validated when it was ingested; what is handed out follows RFC 8259, but for control characters and
//! invalid UTF-8 inside strings, which are compared as the bytes they are.

/// Where the text stops being JSON, and what would have been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Bytes from the start of the text.
    pub at: usize,
    /// What the reader expected.
    pub expected: &'static str,
}

/// A string as it stands between its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawText<'a> {
    /// The bytes between the quotes.
    pub raw: &'a [u8],
    /// Whether a backslash is among them.
    pub escaped: bool,
    /// Where the first of them is.
    pub start: usize,
}

/// A position in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next byte that is not blank, left where it is.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes the byte `wanted` if it comes next.
    #[inline]
    pub fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub fn expect(&mut self, wanted: u8, expected: &'static str) -> Result<(), Broken> {
        if self.take(wanted) { Ok(()) } else { Err(self.broken(expected)) }
    }

    pub fn broken(&self, expected: &'static str) -> Broken {
        Broken { at: self.at.min(self.bytes.len()), expected }
    }

    /// Takes a string.
    #[inline]
    pub fn string(&mut self) -> Result<RawText<'a>, Broken> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        let (end, escaped) = string_end(self.bytes, start).ok_or(Broken { at: start, expected: "a closing quote" })?;
        self.at = end + 1;
        Ok(RawText { raw: self.bytes.get(start..end).unwrap_or_default(), escaped, start })
    }

    /// Takes a number, `true`, `false` or `null` as its text; a number is checked by whoever reads it.
    #[inline]
    pub fn scalar(&mut self) -> Result<&'a [u8], Broken> {
        self.peek();
        let start = self.at;
        while let Some(b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.') = self.bytes.get(self.at) {
            self.at += 1;
        }
        let text = self.bytes.get(start..self.at).unwrap_or_default();
        match text.first() {
            Some(b'-' | b'0'..=b'9') => Ok(text),
            Some(_) if matches!(text, b"true" | b"false" | b"null") => Ok(text),
            _ => Err(Broken { at: start, expected: "a value" }),
        }
    }

    /// Passes over one value of any kind.
    #[inline]
    pub fn skip(&mut self) -> Result<(), Broken> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{' | b'[') => self.skip_nested(),
            _ => self.scalar().map(|_| ()),
        }
    }

    /// Passes over an object or array without recursion, so that no depth is too deep.
    fn skip_nested(&mut self) -> Result<(), Broken> {
        let mut depth = 0_usize;
        loop {
            let byte = *self.bytes.get(self.at).ok_or(Broken { at: self.at, expected: "a closing bracket" })?;
            self.at += 1;
            match byte {
                b'"' => {
                    let end = string_end(self.bytes, self.at);
                    self.at = end.ok_or(Broken { at: self.at, expected: "a closing quote" })?.0 + 1;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
    }

    /// Refuses anything but blanks behind the value.
    pub fn end(&mut self) -> Result<(), Broken> {
        if self.peek().is_none() { Ok(()) } else { Err(self.broken("the end")) }
    }
}

const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);

/// The closing quote of the string whose first byte is at `at`, and whether a backslash comes before it. Eight bytes
/// at a time: strings are most of an event.
#[inline]
fn string_end(bytes: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        while let Some(chunk) = bytes.get(at..)?.first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let hits = zero_bytes(word ^ QUOTES) | zero_bytes(word ^ BACKSLASHES);
            if hits != 0 {
                at += (hits.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        loop {
            match *bytes.get(at)? {
                b'"' => return Some((at, escaped)),
                b'\\' => {
                    escaped = true;
                    at += 2;
                    break;
                }
                _ => at += 1,
            }
        }
    }
}

/// The high bit of each zero byte; only the lowest one is exact, and only that one is used.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Appends a string's content with its escapes resolved; half of a surrogate pair becomes U+FFFD.
pub(crate) fn unescape(text: RawText<'_>, out: &mut Vec<u8>) -> Result<(), Broken> {
    let mut rest = text.raw;
    let broken = |rest: &[u8]| Broken { at: text.start + text.raw.len() - rest.len(), expected: "an escape sequence" };
    while let Some(backslash) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, tail) = rest.split_at(backslash);
        out.extend_from_slice(plain);
        let [_, kind, tail @ ..] = tail else { return Err(broken(tail)) };
        rest = tail;
        match kind {
            b'"' | b'\\' | b'/' => out.push(*kind),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let first = hex(rest).ok_or_else(|| broken(rest))?;
                rest = rest.get(4..).unwrap_or_default();
                let mut code = first;
                if (0xD800..0xDC00).contains(&first)
                    && let Some(second) = rest.strip_prefix(b"\\u").and_then(hex)
                    && (0xDC00..0xE000).contains(&second)
                {
                    rest = rest.get(6..).unwrap_or_default();
                    code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                }
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(broken(rest)),
        }
    }
    out.extend_from_slice(rest);
    Ok(())
}

fn hex(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>()?.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}

/// Whether a text is one JSON value by RFC 8259, to a depth of 128.
pub(crate) fn is_value(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    std::str::from_utf8(text).is_ok() && strict(&mut scanner, 0).is_ok() && scanner.end().is_ok()
}

/// Takes one value and checks all of it.
pub(crate) fn strict(scanner: &mut Scanner<'_>, depth: usize) -> Result<(), Broken> {
    if depth > crate::limits::EVENT_DEPTH_MAX {
        return Err(scanner.broken("less nesting"));
    }
    match scanner.peek() {
        Some(b'"') => strict_string(scanner),
        Some(b'{') => {
            scanner.at += 1;
            if scanner.take(b'}') {
                return Ok(());
            }
            loop {
                scanner.peek();
                strict_string(scanner)?;
                scanner.expect(b':', "a colon")?;
                strict(scanner, depth + 1)?;
                if !scanner.take(b',') {
                    return scanner.expect(b'}', "a comma or a closing brace");
                }
            }
        }
        Some(b'[') => {
            scanner.at += 1;
            if scanner.take(b']') {
                return Ok(());
            }
            loop {
                strict(scanner, depth + 1)?;
                if !scanner.take(b',') {
                    return scanner.expect(b']', "a comma or a closing bracket");
                }
            }
        }
        _ => {
            let start = scanner.at;
            let text = scanner.scalar()?;
            let number = matches!(text.first(), Some(b'-' | b'0'..=b'9'));
            if number && !crate::number::is_number(text) {
                Err(Broken { at: start, expected: "a number" })
            } else {
                Ok(())
            }
        }
    }
}

fn strict_string(scanner: &mut Scanner<'_>) -> Result<(), Broken> {
    let text = scanner.string()?;
    if let Some(control) = text.raw.iter().position(|byte| *byte < 0x20) {
        return Err(Broken { at: text.start + control, expected: "an escaped control character" });
    }
    if text.escaped { unescape(text, &mut Vec::new()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
