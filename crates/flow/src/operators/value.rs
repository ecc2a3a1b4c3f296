//! A measured value, and JSON text of it.
//!
//! What it is NOT: a document. Values are small: a number, a text, a list of a few.

use std::io::Write;

use headwater_base::Micros;

use crate::operators::codec::{Corrupt, Reader, corrupt, put_bytes, put_f64, put_i64};

/// A value a measure keeps or gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing was measured.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number; sums may exceed 64 bits.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Box<str>),
    /// JSON text of an array or object, kept as it came.
    Json(Box<str>),
    /// Several, in order.
    List(Vec<Value>),
}

impl Value {
    /// Appends the value as JSON. Floats that JSON cannot write become null.
    pub fn render(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(number) => render_int(out, *number),
            Self::Float(number) => render_float(out, *number),
            Self::Text(text) => render_text(out, text),
            Self::Json(text) => out.extend_from_slice(text.as_bytes()),
            Self::List(values) => {
                out.push(b'[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    value.render(out);
                }
                out.push(b']');
            }
        }
    }

    /// The value as a number, where it is one; for feature vectors.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(yes) => Some(f64::from(u8::from(*yes))),
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Appends the value's bytes. A sum beyond 64 bits and a list are results and never stored.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null | Self::List(_) => out.push(0),
            Self::Bool(false) => out.push(1),
            Self::Bool(true) => out.push(2),
            Self::Int(number) => match i64::try_from(*number) {
                Ok(number) => {
                    out.push(3);
                    put_i64(out, number);
                }
                Err(_) => {
                    out.push(4);
                    put_f64(out, *number as f64);
                }
            },
            Self::Float(number) => {
                out.push(4);
                put_f64(out, *number);
            }
            Self::Text(text) => put_text(out, text),
            Self::Json(text) => put_json(out, text),
        }
    }

    /// Reads what [`Self::put`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Corrupt> {
        Ok(match reader.byte()? {
            0 => Self::Null,
            1 => Self::Bool(false),
            2 => Self::Bool(true),
            3 => Self::Int(i128::from(reader.i64()?)),
            4 => Self::Float(reader.f64()?),
            5 => Self::Text(reader.text()?.into()),
            6 => Self::Json(reader.text()?.into()),
            _ => return corrupt("an unknown kind of value"),
        })
    }

    /// Reads what [`Self::put`] wrote and appends it as JSON: as [`Self::read`] and [`Self::render`], without memory for
    /// the text.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn render_read(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let mut behind = *reader;
        match behind.byte()? {
            5 => render_text(out, behind.text()?),
            6 => out.extend_from_slice(behind.text()?.as_bytes()),
            _ => {
                Self::read(reader)?.render(out);
                return Ok(());
            }
        }
        *reader = behind;
        Ok(())
    }

    /// Passes over what [`Self::put`] wrote, and answers its bytes. What a text holds is looked at by who reads it.
    ///
    /// # Errors
    /// [`Corrupt`] for anything else.
    pub fn skip<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Corrupt> {
        let bytes = reader.rest();
        match reader.byte()? {
            0..=2 => {}
            3 => reader.skip_varint()?,
            4 => {
                reader.take(8)?;
            }
            5 | 6 => {
                reader.bytes()?;
            }
            _ => return corrupt("an unknown kind of value"),
        }
        Ok(bytes.get(..bytes.len() - reader.left()).unwrap_or_default())
    }
}

/// Appends the bytes of a [`Value::Text`].
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(5);
    put_bytes(out, text.as_bytes());
}

/// Appends the bytes of a [`Value::Json`].
pub fn put_json(out: &mut Vec<u8>, text: &str) {
    out.push(6);
    put_bytes(out, text.as_bytes());
}

/// Appends a whole number.
pub fn render_int(out: &mut Vec<u8>, number: i128) {
    let negative = number < 0;
    let mut rest = number.unsigned_abs();
    let mut digits = [0; 40];
    let mut at = digits.len();
    loop {
        at -= 1;
        // Division of 128-bit numbers is slow and almost never needed.
        let digit = if let Ok(small) = u64::try_from(rest) {
            rest = u128::from(small / 10);
            (small % 10) as u8
        } else {
            let digit = (rest % 10) as u8;
            rest /= 10;
            digit
        };
        if let Some(slot) = digits.get_mut(at) {
            *slot = b'0' + digit;
        }
        if rest == 0 {
            break;
        }
    }
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Appends a float in its shortest form; null for what JSON cannot write.
pub fn render_float(out: &mut Vec<u8>, number: f64) {
    match serde_json::Number::from_f64(number) {
        // Writing into memory cannot fail.
        Some(number) => drop(serde_json::to_writer(out, &number)),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a text in quotes.
pub fn render_text(out: &mut Vec<u8>, text: &str) {
    // Writing into memory cannot fail.
    drop(serde_json::to_writer(out, text));
}

/// Appends a key as a text in quotes; what is no UTF-8 in it is replaced.
pub fn render_key(out: &mut Vec<u8>, key: &[u8]) {
    match std::str::from_utf8(key) {
        Ok(text) => render_text(out, text),
        Err(_) => render_text(out, &String::from_utf8_lossy(key)),
    }
}

/// Appends a time in quotes.
pub fn render_time(out: &mut Vec<u8>, time: Micros) {
    // Writing into memory cannot fail, and there is nothing in a time that a text could not hold as it is.
    drop(write!(out, "\"{time}\""));
}

#[cfg(test)]
mod tests;
