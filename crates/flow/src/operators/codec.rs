//! Bytes of operator states: varints and a reader that answers nonsense with an error.
//!
//! What it is NOT: a general serializer. Each state writes its own fields, behind a version byte.
//!
//! Invariants: a [`Reader`] never panics and never allocates more than its input could fill. Integers are LEB128
//! varints, signed ones zigzagged, as in Protocol Buffers ("Encoding", section "Base 128 Varints").

use std::fmt;

use headwater_base::Micros;

/// A state that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("corrupt operator state: {what}")]
pub struct Corrupt {
    /// What was expected there.
    pub what: &'static str,
}

/// Shorthand for the error.
pub const fn corrupt<T>(what: &'static str) -> Result<T, Corrupt> {
    Err(Corrupt { what })
}

/// Appends an unsigned varint.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed varint.
#[inline]
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a signed varint of up to 128 bits.
#[inline]
pub fn put_i128(out: &mut Vec<u8>, value: i128) {
    // The same bytes, without arithmetic on 128 bits.
    if let Ok(value) = i64::try_from(value) {
        return put_i64(out, value);
    }
    let mut value = ((value << 1) ^ (value >> 127)) as u128;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a float's bits.
#[inline]
pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends a length and the bytes.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what the `put_*` functions wrote.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({} bytes left)", self.rest.len())
    }
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Starts behind the version byte, which has to be `version`.
    pub fn versioned(bytes: &'a [u8], version: u8) -> Result<Self, Corrupt> {
        match bytes.split_first() {
            Some((&first, rest)) if first == version => Ok(Self { rest }),
            _ => corrupt("an unknown version"),
        }
    }

    /// Bytes left.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// What has not been read yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Everything has to have been read.
    pub fn end(&self) -> Result<(), Corrupt> {
        if self.rest.is_empty() { Ok(()) } else { corrupt("bytes behind the end") }
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Corrupt> {
        let Some((&first, rest)) = self.rest.split_first() else { return corrupt("an early end") };
        self.rest = rest;
        Ok(first)
    }

    /// `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else { return corrupt("an early end") };
        self.rest = rest;
        Ok(taken)
    }

    /// An unsigned varint.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Corrupt> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return corrupt("a number over 64 bits");
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// An unsigned varint of at most 32 bits.
    pub fn u32(&mut self) -> Result<u32, Corrupt> {
        u32::try_from(self.u64()?).or(corrupt("a number over 32 bits"))
    }

    /// Passes over one varint of any width.
    #[inline]
    pub fn skip_varint(&mut self) -> Result<(), Corrupt> {
        while self.byte()? >= 0x80 {}
        Ok(())
    }

    /// A signed varint.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, Corrupt> {
        let value = self.u64()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A signed varint of up to 128 bits.
    #[inline]
    pub fn i128(&mut self) -> Result<i128, Corrupt> {
        // Almost always 64 bits are enough.
        let mut small = *self;
        if let Ok(value) = small.i64() {
            *self = small;
            return Ok(i128::from(value));
        }
        let mut value: u128 = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            if shift == 126 && byte > 3 {
                return corrupt("a number over 128 bits");
            }
            value |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((value >> 1) as i128 ^ -((value & 1) as i128));
            }
            shift += 7;
        }
    }

    /// A float.
    #[inline]
    pub fn f64(&mut self) -> Result<f64, Corrupt> {
        match self.take(8)?.try_into() {
            Ok(bytes) => Ok(f64::from_bits(u64::from_le_bytes(bytes))),
            Err(_) => corrupt("an early end"),
        }
    }

    /// A length and that many bytes.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Corrupt> {
        let count = self.count()?;
        self.take(count)
    }

    /// A length and that many bytes of UTF-8.
    pub fn text(&mut self) -> Result<&'a str, Corrupt> {
        std::str::from_utf8(self.bytes()?).or(corrupt("text that is not UTF-8"))
    }

    /// A number of things that take at least a byte each, so that it cannot exceed what is left.
    #[inline]
    pub fn count(&mut self) -> Result<usize, Corrupt> {
        match usize::try_from(self.u64()?) {
            Ok(count) if count <= self.left() => Ok(count),
            _ => corrupt("a length beyond the end"),
        }
    }

    /// A time written as its distance from `base`.
    pub fn time(&mut self, base: Micros) -> Result<Micros, Corrupt> {
        Ok(Micros(base.0.wrapping_add(self.i64()?)))
    }
}

/// Appends a time as its distance from `base`.
pub fn put_time(out: &mut Vec<u8>, base: Micros, time: Micros) {
    put_i64(out, time.0.wrapping_sub(base.0));
}

#[cfg(test)]
mod tests;
