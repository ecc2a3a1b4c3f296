//! One pass over JSON text: is it valid, and where do an object's members lie?
//!
//! Accepts exactly the texts that a full parse into a value accepts (RFC 8259; in addition: at most 127 nested
//! containers, no lone surrogate escapes, no number beyond the range of a double), so that an event which is never
//! parsed in full is refused for the same reasons as one that is. What it is NOT: it builds no values.

use super::tag::tag;
use super::{unescape, unquoted};

/// The deepest nesting of arrays and objects, the outermost one counted.
pub const DEPTH_MAX: u32 = 127;

/// Too many containers within each other.
const TOO_DEEP: &str = "more than 127 nested arrays and objects";

/// What is wrong with a text, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The byte.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// The name of a member, with its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it lies.
    pub span: Extent,
    /// It holds a backslash, so its text is not its name.
    pub escaped: bool,
}

/// Where something lies in its text: a name, a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// Arrays and objects that have been checked before: the members of an object that is a part of another one's text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// In order, by their places in the text around.
    pub extents: &'a [Extent],
    /// Where in that text the object begins.
    pub base: u32,
}

impl Key {
    /// The tag of its name in `text`, where it lies.
    #[inline]
    pub fn tag(self, text: &[u8]) -> u32 {
        let quoted = self.span.of(text);
        if self.escaped { tag(unescape(quoted).as_bytes()) } else { tag(unquoted(quoted)) }
    }

    /// Whether that is its name in `text`, where it lies.
    #[inline]
    pub fn is(self, text: &[u8], name: &str) -> bool {
        let quoted = self.span.of(text);
        if self.escaped { unescape(quoted) == name } else { unquoted(quoted) == name.as_bytes() }
    }
}

impl Known<'_> {
    /// Where the value at `at` of the object's own text ends, if it is the next of them.
    fn take(&mut self, at: usize) -> Option<usize> {
        let (next, rest) = self.extents.split_first()?;
        if next.start as usize != self.base as usize + at {
            return None;
        }
        self.extents = rest;
        next.end.checked_sub(self.base).map(|end| end as usize)
    }
}

impl Extent {
    /// What lies there.
    #[inline]
    pub fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// Reads a whole text that is one object, calling `member` for each of its members in order, with where its value lies.
/// `text` is UTF-8; `outside` containers count as being around its members; what is `known` is passed over. `inner` gets
/// where the arrays and objects right within its members lie, in order: they are passed over when such a member is looked
/// into.
///
/// # Errors
/// The first thing that is wrong.
pub fn object(
    text: &[u8],
    outside: u32,
    mut known: Known<'_>,
    mut member: impl FnMut(Key, Extent),
    mut inner: impl FnMut(Extent),
) -> Result<(), Flaw> {
    whole(text, |scan| {
        scan.members(0, |scan, key| {
            let start = scan.at as u32;
            match known.take(scan.at) {
                Some(end) => scan.at = end,
                None => scan.value(outside, &mut inner)?,
            }
            member(key, Extent { start, end: scan.at as u32 });
            Ok(())
        })
    })
}

/// Checks a whole text that is one value of any type.
///
/// # Errors
/// The first thing that is wrong.
pub fn value(text: &str) -> Result<(), Flaw> {
    whole(text.as_bytes(), |scan| scan.value(0, |_| {}))
}

/// Reads a whole text: what `read` passes, and nothing but space around it.
///
/// # Errors
/// What `read` says, and that there is more.
#[inline]
pub fn whole<'a>(text: &'a [u8], read: impl FnOnce(&mut Scan<'a>) -> Result<(), Flaw>) -> Result<(), Flaw> {
    if u32::try_from(text.len()).is_err() {
        return Err(Flaw { at: 0, what: "a text of 4 GiB or more" });
    }
    let mut scan = Scan { bytes: text, at: 0 };
    scan.space();
    read(&mut scan)?;
    scan.end()
}

/// A place in a text.
#[derive(Debug)]
pub struct Scan<'a> {
    /// The text.
    pub bytes: &'a [u8],
    /// The byte that comes next.
    pub at: usize,
}

impl Scan<'_> {
    /// The byte here; 0, which no JSON token begins with, at the end.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Passes space.
    #[inline]
    pub fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    #[inline]
    fn flaw(&self, what: &'static str) -> Flaw {
        let what = if self.at >= self.bytes.len() { "the text ends too early" } else { what };
        Flaw { at: self.at, what }
    }

    fn end(&mut self) -> Result<(), Flaw> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.flaw("more text behind the end")) }
    }

    #[inline]
    fn colon(&mut self) -> Result<(), Flaw> {
        self.space();
        if self.peek() != b':' {
            return Err(self.flaw("expected `:`"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Passes one object that lies within `outside` containers. Of each member `member` gets the name, and passes the value
    /// that comes next.
    ///
    /// # Errors
    /// The first thing that is wrong, and what `member` says.
    #[inline]
    pub fn members(
        &mut self,
        outside: u32,
        mut member: impl FnMut(&mut Self, Key) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        if self.peek() != b'{' {
            return Err(self.flaw("expected an object"));
        }
        if outside >= DEPTH_MAX {
            return Err(self.flaw(TOO_DEEP));
        }
        self.at += 1;
        self.space();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let start = self.at as u32;
            let escaped = self.string()?;
            let span = Extent { start, end: self.at as u32 };
            self.colon()?;
            member(self, Key { span, escaped })?;
            self.space();
            match self.peek() {
                b',' => {
                    self.at += 1;
                    self.space();
                }
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.flaw("expected `,` or `}`")),
            }
        }
    }

    /// Passes one value that lies within `outside` containers. Without recursion: a bit for each open container
    /// says whether it is an object. Where the containers right within it lie goes to `inner`, in order.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn value(&mut self, outside: u32, inner: impl FnMut(Extent)) -> Result<(), Flaw> {
        // The place is its own meanwhile, so that it can stay in a register: from one token to the next everything waits
        // for it.
        let mut own = Scan { bytes: self.bytes, at: self.at };
        let passed = own.pass(outside, inner);
        self.at = own.at;
        passed
    }

    #[inline]
    fn pass(&mut self, outside: u32, mut inner: impl FnMut(Extent)) -> Result<(), Flaw> {
        let mut objects: u128 = 0;
        let mut depth = 0;
        // Where the container right within it that is open, or was last, begins.
        let mut begun = 0;
        loop {
            let opened = self.peek();
            match opened {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    if depth + outside > DEPTH_MAX {
                        return Err(self.flaw(TOO_DEEP));
                    }
                    if depth == 2 {
                        begun = self.at as u32;
                    }
                    objects = objects << 1 | u128::from(opened == b'{');
                    self.at += 1;
                    self.space();
                    if self.peek() != opened + 2 {
                        if opened == b'{' {
                            self.string()?;
                            self.colon()?;
                        }
                        continue;
                    }
                    self.at += 1;
                    objects >>= 1;
                    depth -= 1;
                    if depth == 1 {
                        inner(Extent { start: begun, end: self.at as u32 });
                    }
                }
                b'-' | b'0'..=b'9' => self.at = number(self.bytes, self.at)?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => return Err(self.flaw("expected a value")),
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                self.space();
                let in_object = objects & 1 == 1;
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        self.space();
                        if in_object {
                            self.string()?;
                            self.colon()?;
                        }
                        break;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return Err(self.flaw(if in_object { "expected `,` or `}`" } else { "expected `,` or `]`" })),
                }
                self.at += 1;
                objects >>= 1;
                depth -= 1;
                if depth == 1 {
                    inner(Extent { start: begun, end: self.at as u32 });
                }
            }
        }
    }

    #[inline]
    fn word(&mut self, word: &'static [u8]) -> Result<(), Flaw> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(());
        }
        Err(Flaw { at: self.at, what: "expected a value" })
    }

    /// Passes a string; answers whether it holds escapes.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn string(&mut self) -> Result<bool, Flaw> {
        // Nearly all are like this: nothing to resolve, and not at the end of the text.
        if self.peek() == b'"' {
            let mut at = self.at + 1;
            while let Some(sixteen) = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
                match plain_bytes(sixteen) {
                    None => at += sixteen.len(),
                    Some(plain) => {
                        at += plain;
                        if self.bytes.get(at) == Some(&b'"') {
                            self.at = at + 1;
                            return Ok(false);
                        }
                        break;
                    }
                }
            }
        }
        let (end, escaped) = any_string(self.bytes, self.at)?;
        self.at = end;
        Ok(escaped)
    }

    /// Passes everything that needs no attention inside a string: sixteen bytes at a time, which is more than most
    /// strings have, so that the processor guesses once for each of them whether it goes on.
    #[inline]
    pub fn plain(&mut self) {
        while let Some(sixteen) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<16>()) {
            if let Some(plain) = plain_bytes(sixteen) {
                self.at += plain;
                return;
            }
            self.at += sixteen.len();
        }
        self.plain_at_end();
    }

    /// The same for the last bytes of the text.
    fn plain_at_end(&mut self) {
        if let Some(eight) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let flags = attention(u64::from_le_bytes(*eight));
            if flags != 0 {
                self.at += flags.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while self.bytes.get(self.at).is_some_and(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)) {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), Flaw> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                let start = self.at - 1;
                let lone = Flaw { at: start, what: "half of a surrogate pair" };
                self.at += 1;
                match self.hex()? {
                    0xDC00..=0xDFFF => return Err(lone),
                    0xD800..=0xDBFF => {
                        if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                            return Err(lone);
                        }
                        self.at += 2;
                        if !(0xDC00..=0xDFFF).contains(&self.hex()?) {
                            return Err(lone);
                        }
                    }
                    _ => {}
                }
            }
            _ => return Err(self.flaw("an unknown escape in a string")),
        }
        Ok(())
    }

    /// Passes four hexadecimal digits.
    ///
    /// # Errors
    /// Another byte.
    pub fn hex(&mut self) -> Result<u32, Flaw> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = (self.peek() as char).to_digit(16) else {
                return Err(self.flaw("expected four hexadecimal digits"));
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    #[inline]
    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }
}

/// Passes a string, whatever is in it: where it ends, and whether it holds escapes.
fn any_string(bytes: &[u8], start: usize) -> Result<(usize, bool), Flaw> {
    let mut scan = Scan { bytes, at: start };
    if scan.peek() != b'"' {
        return Err(scan.flaw("expected a string"));
    }
    scan.at += 1;
    let mut escaped = false;
    loop {
        scan.plain();
        match bytes.get(scan.at) {
            Some(b'"') => return Ok((scan.at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                scan.escape()?;
            }
            Some(_) => return Err(scan.flaw("a control character inside a string")),
            None => return Err(scan.flaw("")),
        }
    }
}

/// Passes a number: where it ends.
#[inline]
fn number(bytes: &[u8], start: usize) -> Result<usize, Flaw> {
    let mut scan = Scan { bytes, at: start };
    if scan.peek() == b'-' {
        scan.at += 1;
    }
    match scan.peek() {
        b'0' => scan.at += 1,
        b'1'..=b'9' => scan.digits(),
        _ => return Err(scan.flaw("expected a digit")),
    }
    let mut exponent = false;
    if scan.peek() == b'.' {
        scan.at += 1;
        if !scan.peek().is_ascii_digit() {
            return Err(scan.flaw("expected a digit"));
        }
        scan.digits();
    }
    if matches!(scan.peek(), b'e' | b'E') {
        exponent = true;
        scan.at += 1;
        if matches!(scan.peek(), b'+' | b'-') {
            scan.at += 1;
        }
        if !scan.peek().is_ascii_digit() {
            return Err(scan.flaw("expected a digit"));
        }
        scan.digits();
    }
    // Only such numbers can exceed a double.
    if exponent || scan.at - start > 300 {
        let text = scan.bytes.get(start..scan.at).and_then(|number| std::str::from_utf8(number).ok());
        if !text.and_then(|number| number.parse::<f64>().ok()).is_some_and(f64::is_finite) {
            return Err(Flaw { at: start, what: "a number out of range" });
        }
    }
    Ok(scan.at)
}

/// How many bytes come before the first one that needs attention inside a string, if one does.
#[inline]
fn plain_bytes(sixteen: &[u8; 16]) -> Option<usize> {
    let words = u128::from_le_bytes(*sixteen);
    let flags = u128::from(attention(words as u64)) | u128::from(attention((words >> 64) as u64)) << 64;
    (flags != 0).then(|| flags.trailing_zeros() as usize / 8)
}

/// Flags of the bytes that need attention inside a string: a quote, a backslash, what is less than a space. "Determine if
/// a word has a zero byte", Bit Twiddling Hacks: the lowest flag is exact.
#[inline]
fn attention(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // Quote and space change places: the quote is then found with what is less than a space.
    let swapped = word ^ (ONES * (b'"' ^ b' ') as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    (swapped.wrapping_sub(ONES * (b' ' + 1) as u64) | backslash.wrapping_sub(ONES)) & !word & HIGHS
}

#[cfg(test)]
mod tests;
