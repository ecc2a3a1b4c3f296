//! The shape of requests, walked before they are decoded.
//!
//! The decoders reserve memory for as many elements as an array announces. This walk refuses what does not fit the
//! frame, so that a few bytes can never claim gigabytes, and says at which byte a request is malformed.
//!
//! # Source
//! Kafka `clients/src/main/resources/common/message/*Request.json`; flexible versions: KIP-482.

/// A field, and the versions that have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    kind: Kind,
    first: i16,
    last: i16,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// That many bytes.
    Fixed(usize),
    /// A string or null.
    Text,
    /// Bytes or null.
    Blob,
    /// An array of structs, or null.
    Structs(&'static [Field]),
    /// An array of simple values, or null.
    Values(&'static Field),
}

const fn field(kind: Kind) -> Field {
    Field { kind, first: 0, last: i16::MAX }
}

pub(super) const I8: Field = field(Kind::Fixed(1));
pub(super) const I16: Field = field(Kind::Fixed(2));
pub(super) const I32: Field = field(Kind::Fixed(4));
pub(super) const I64: Field = field(Kind::Fixed(8));
pub(super) const UUID: Field = field(Kind::Fixed(16));
pub(super) const TEXT: Field = field(Kind::Text);
pub(super) const BLOB: Field = field(Kind::Blob);

/// An array of structs.
pub(super) const fn list(fields: &'static [Field]) -> Field {
    field(Kind::Structs(fields))
}

/// An array of simple values.
pub(super) const fn plain(value: &'static Field) -> Field {
    field(Kind::Values(value))
}

impl Field {
    /// Only there from a version on.
    pub(super) const fn since(mut self, version: i16) -> Self {
        self.first = version;
        self
    }

    /// Only there up to a version.
    pub(super) const fn until(mut self, version: i16) -> Self {
        self.last = version;
        self
    }
}

/// Walks `body`, which must begin with a struct of `fields`. What follows is ignored, as Kafka does: librdkafka leaves
/// three bytes behind a Metadata request for all topics.
///
/// # Errors
/// The place and the fault.
pub(super) fn check(
    body: &[u8],
    fields: &[Field],
    version: i16,
    flexible: bool,
    elements_max: usize,
) -> Result<(), String> {
    let mut walk = Walk { body, at: 0, version, flexible, elements: elements_max };
    walk.fields(fields).map_err(|fault| format!("at byte {}: {fault}", walk.at))
}

struct Walk<'a> {
    body: &'a [u8],
    at: usize,
    version: i16,
    flexible: bool,
    /// How many more may come.
    elements: usize,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field]) -> Result<(), &'static str> {
        let version = self.version;
        for field in fields.iter().filter(|field| (field.first..=field.last).contains(&version)) {
            self.field(field)?;
        }
        if self.flexible {
            for _ in 0..self.unsigned()? {
                self.unsigned()?;
                let bytes = self.unsigned()?;
                self.skip(bytes as usize)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &Field) -> Result<(), &'static str> {
        match field.kind {
            Kind::Fixed(bytes) => self.skip(bytes),
            Kind::Text => {
                let length = self.length(2)?;
                self.skip(length)
            }
            Kind::Blob => {
                let length = self.length(4)?;
                self.skip(length)
            }
            Kind::Structs(fields) => {
                for _ in 0..self.count()? {
                    self.fields(fields)?;
                }
                Ok(())
            }
            Kind::Values(value) => {
                for _ in 0..self.count()? {
                    self.field(value)?;
                }
                Ok(())
            }
        }
    }

    fn count(&mut self) -> Result<usize, &'static str> {
        let count = self.length(4)?;
        if count > self.body.len() - self.at {
            return Err("an array has more elements than bytes follow");
        }
        self.elements = self.elements.checked_sub(count).ok_or("the request has too many elements")?;
        Ok(count)
    }

    /// A length, 0 for null, of `width` bytes in versions that are not flexible.
    fn length(&mut self, width: usize) -> Result<usize, &'static str> {
        if self.flexible {
            return Ok((self.unsigned()? as usize).saturating_sub(1));
        }
        let from = self.at;
        self.skip(width)?;
        let raw = self.body.get(from..self.at).unwrap_or_default();
        let length = match (raw.first_chunk::<4>(), raw.first_chunk::<2>()) {
            (Some(raw), _) => i32::from_be_bytes(*raw),
            (None, Some(raw)) => i32::from(i16::from_be_bytes(*raw)),
            (None, None) => 0,
        };
        if length < -1 {
            return Err("a length is negative");
        }
        Ok(usize::try_from(length).unwrap_or(0))
    }

    fn unsigned(&mut self) -> Result<u32, &'static str> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.body.get(self.at).ok_or("the request is cut off")?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| "a number is too large");
            }
        }
        Err("a number is too long")
    }

    fn skip(&mut self, bytes: usize) -> Result<(), &'static str> {
        let end = self.at.checked_add(bytes).filter(|end| *end <= self.body.len());
        self.at = end.ok_or("the request is cut off")?;
        Ok(())
    }
}
