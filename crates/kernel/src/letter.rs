//! Dead letters: what every one of them says of an event that could not be taken, and the letter of a unit that reads
//! a stream. Pipelines, rules and HTTP's schemas have letters of their own, made of the same parts.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use headwater_base::Micros;
use headwater_log::Offset;
use headwater_wire::base64;
use serde::Serialize;

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place<'a> {
    /// The stream; for a schedule its id, for a file its name.
    pub stream: &'a str,
    /// The partition; 0 where there is none.
    pub partition: u32,
    /// The offset; for a schedule its time, for a file the line.
    pub offset: Offset,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.stream, self.partition, self.offset)
    }
}

/// More of an event than this is cut off in a letter; the whole of it stays in its stream.
const DATA_BYTES_MAX: usize = 256 * 1024;

/// An event's bytes as a letter holds them: flattened into it. No byte is changed: what is no text is base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Data {
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    /// How many there were, where some were cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_bytes: Option<usize>,
    /// How many there were.
    #[serde(skip)]
    whole: usize,
}

impl Data {
    /// The beginning of an event that stays in its stream.
    pub fn cut(bytes: &[u8]) -> Self {
        Self::new(bytes.get(..DATA_BYTES_MAX).unwrap_or(bytes), bytes.len())
    }

    /// All of an event that is nowhere else.
    pub fn whole(bytes: &[u8]) -> Self {
        Self::new(bytes, bytes.len())
    }

    /// None of the bytes, only how many there were: for a letter that has to be small.
    #[must_use]
    pub fn left_out(&self) -> Self {
        Self { data: String::new(), encoding: None, data_bytes: Some(self.whole), whole: self.whole }
    }

    fn new(shown: &[u8], whole: usize) -> Self {
        let is_cut = shown.len() < whole;
        let text = match std::str::from_utf8(shown) {
            Ok(text) => Some(text),
            // The cut went through a character, which makes no bytes of a text.
            Err(error) if is_cut && error.error_len().is_none() => {
                shown.get(..error.valid_up_to()).and_then(|shown| std::str::from_utf8(shown).ok())
            }
            Err(_) => None,
        };
        let (data, encoding) = match text {
            Some(text) => (text.to_owned(), None),
            None => (base64::encode(shown), Some("base64")),
        };
        Self { data, encoding, data_bytes: is_cut.then_some(whole), whole }
    }
}

/// Who could not take it.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// What it is, which is the field with its name: `dataset`, `forecast`.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The code whose page explains the letters.
    pub code: &'a str,
}

#[derive(Serialize)]
struct Letter<'a> {
    reason: &'a str,
    code: &'a str,
    position: Place<'a>,
    #[serde(flatten)]
    owner: BTreeMap<&'a str, &'a str>,
    at: String,
    #[serde(flatten)]
    data: Data,
}

/// The letter of a unit that reads a stream.
pub fn encode(owner: Owner<'_>, place: Place<'_>, reason: &str, at: Micros, data: &[u8]) -> Bytes {
    let letter = Letter {
        reason,
        code: owner.code,
        position: place,
        owner: BTreeMap::from([(owner.kind, owner.name)]),
        at: at.to_string(),
        data: Data::cut(data),
    };
    Bytes::from(serde_json::to_vec(&letter).unwrap_or_default())
}

#[cfg(test)]
mod tests;
