//! One pass over JSON text: is it valid, and where do an object's members lie?
//!
//! Accepts exactly the texts that a full parse into a VRL value accepts (RFC 8259; in addition: at most 127 nested
//! containers, no lone surrogate escapes, no number beyond the range of a double), so that an event which is never
//! parsed in full is refused for the same reasons as one that is. What it is NOT: it builds no values.

/// The deepest nesting of arrays and objects, the outermost one counted.
pub(super) const DEPTH_MAX: u32 = 127;

/// Room for the containers within an event's members that is made at once.
const INNER_USUAL: usize = 16;

/// What is wrong with a text, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub at: usize,
    pub what: &'static str,
}

/// Where a member lies in its text: the key with its quotes, and the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spans {
    pub key_start: u32,
    pub key_end: u32,
    /// The key holds a backslash, so its text is not its name.
    pub key_escaped: bool,
    pub value_start: u32,
    pub value_end: u32,
}

/// Where an array or an object lies in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub start: u32,
    pub end: u32,
}

/// Arrays and objects that have been checked before: the members of an object that is a part of another one's text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// In order, by their places in the text around.
    pub extents: &'a [Extent],
    /// Where in that text the object begins.
    pub base: u32,
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

/// Reads a whole text that is one object, calling `member` for each of its members in order. `text` is UTF-8; `outside`
/// containers count as being around its members; what is `known` is passed over. Answers where the arrays and objects
/// right within its members lie: they are passed over when such a member is looked into.
pub(super) fn object(
    text: &[u8],
    outside: u32,
    mut known: Known<'_>,
    mut member: impl FnMut(Spans),
) -> Result<Vec<Extent>, Flaw> {
    if u32::try_from(text.len()).is_err() {
        return Err(Flaw { at: 0, what: "an event of 4 GiB or more" });
    }
    let mut inner = Vec::new();
    let mut scan = Scan { bytes: text, at: 0 };
    scan.space();
    if scan.peek() != b'{' {
        return Err(scan.flaw("expected an object"));
    }
    scan.at += 1;
    scan.space();
    if scan.peek() == b'}' {
        scan.at += 1;
    } else {
        loop {
            let key_start = scan.at;
            let key_escaped = scan.string()?;
            let key_end = scan.at;
            scan.colon()?;
            let value_start = scan.at;
            match known.take(scan.at) {
                Some(end) => scan.at = end,
                None => scan.value(outside, &mut inner)?,
            }
            member(Spans {
                key_start: key_start as u32,
                key_end: key_end as u32,
                key_escaped,
                value_start: value_start as u32,
                value_end: scan.at as u32,
            });
            scan.space();
            match scan.peek() {
                b',' => {
                    scan.at += 1;
                    scan.space();
                }
                b'}' => {
                    scan.at += 1;
                    break;
                }
                _ => return Err(scan.flaw("expected `,` or `}`")),
            }
        }
    }
    scan.end()?;
    Ok(inner)
}

/// Checks a whole text that is one value of any type.
pub(super) fn value(text: &str) -> Result<(), Flaw> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    scan.space();
    scan.value(0, &mut Vec::new())?;
    scan.end()
}

/// A place in a text.
pub(super) struct Scan<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl Scan<'_> {
    /// The byte here; 0, which no JSON token begins with, at the end.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

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

    /// Passes one value that lies within `outside` containers. Without recursion: a bit for each open container
    /// says whether it is an object. Where the containers right within it lie goes to `inner`.
    fn value(&mut self, outside: u32, inner: &mut Vec<Extent>) -> Result<(), Flaw> {
        let mut objects: u128 = 0;
        let mut depth = 0;
        loop {
            let opened = self.peek();
            match opened {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    if depth + outside > DEPTH_MAX {
                        return Err(self.flaw("more than 127 nested arrays and objects"));
                    }
                    if depth == 2 {
                        if inner.capacity() == 0 {
                            inner.reserve(INNER_USUAL);
                        }
                        inner.push(Extent { start: self.at as u32, end: self.at as u32 });
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
                    self.closed(depth, inner);
                }
                b'-' | b'0'..=b'9' => self.number()?,
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
                self.closed(depth, inner);
            }
        }
    }

    /// Notes where a container ended that leaves `depth` of them open.
    #[inline]
    fn closed(&self, depth: u32, inner: &mut [Extent]) {
        if depth == 1
            && let Some(newest) = inner.last_mut()
        {
            newest.end = self.at as u32;
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Flaw> {
        if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(());
        }
        Err(Flaw { at: self.at, what: "expected a value" })
    }

    /// Passes a string; answers whether it holds escapes.
    #[inline]
    pub fn string(&mut self) -> Result<bool, Flaw> {
        if self.peek() != b'"' {
            return Err(self.flaw("expected a string"));
        }
        self.at += 1;
        let mut escaped = false;
        loop {
            self.plain();
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.flaw("a control character inside a string")),
                None => return Err(self.flaw("")),
            }
        }
    }

    /// Passes everything that needs no attention inside a string: sixteen bytes at a time, which is more than most
    /// strings have, so that the processor guesses once for each of them whether it goes on.
    #[inline]
    pub fn plain(&mut self) {
        while let Some(sixteen) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<16>()) {
            let words = u128::from_le_bytes(*sixteen);
            let flags = u128::from(attention(words as u64)) | u128::from(attention((words >> 64) as u64)) << 64;
            if flags != 0 {
                self.at += flags.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 16;
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

    fn number(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.flaw("expected a digit")),
        }
        let mut exponent = false;
        if self.peek() == b'.' {
            self.at += 1;
            if !self.peek().is_ascii_digit() {
                return Err(self.flaw("expected a digit"));
            }
            self.digits();
        }
        if matches!(self.peek(), b'e' | b'E') {
            exponent = true;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            if !self.peek().is_ascii_digit() {
                return Err(self.flaw("expected a digit"));
            }
            self.digits();
        }
        // Only such numbers can exceed a double.
        if exponent || self.at - start > 300 {
            let text = self.bytes.get(start..self.at).and_then(|number| std::str::from_utf8(number).ok());
            if !text.and_then(|number| number.parse::<f64>().ok()).is_some_and(f64::is_finite) {
                return Err(Flaw { at: start, what: "a number out of range" });
            }
        }
        Ok(())
    }

    #[inline]
    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }
}

/// Flags of the bytes that need attention inside a string. "Determine if a word has a zero byte", Bit Twiddling Hacks:
/// the lowest flag is exact.
#[inline]
fn attention(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    ((quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | (word.wrapping_sub(ONES * 0x20) & !word))
        & HIGHS
}
