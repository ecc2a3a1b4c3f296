//! CloudEvents 1.0: JSON events, JSON batches and the headers of binary mode, to [`Event`] and back.
//!
//! `data` keeps its bytes: JSON is cut out of the surrounding text and never written anew. The extension
//! `partitionkey` becomes the event's key. Extension values of numbers and booleans become their text.
//!
//! What it is NOT: no HTTP; header names and values come in as text.
//!
//! # Source
//! CloudEvents 1.0.2: "JSON Event Format" §2-4, "HTTP Protocol Binding" §3.1, "Partitioning Extension".

mod json;

use std::borrow::Cow;

use bytes::Bytes;
use headwater_base::{Event, Micros, Problem};

use crate::base64;

pub use json::{from_json, from_json_batch, to_json};

/// The media type of one event in structured mode.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// The media type of a batch.
pub const BATCH: &str = "application/cloudevents-batch+json";

const HELP: &str = "an event has `id`, `source`, `type` and `\"specversion\": \"1.0\"`; see https://cloudevents.io";

/// Reads an event of binary mode: the headers that begin with `ce-` (any others are passed over), and the body.
///
/// # Errors
/// `HW-API-102` and `HW-API-103`, as [`from_json`].
pub fn from_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    content_type: Option<&str>,
    body: Bytes,
) -> Result<Event, Problem> {
    let mut draft = Draft::default();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let Some(name) = name.strip_prefix("ce-") else { continue };
        let Some(value) = decode_header(value) else {
            return Err(
                Problem::new("HW-API-103", format!("the header `ce-{name}` is not percent-encoded UTF-8")).help(HELP)
            );
        };
        draft.set(name, value)?;
    }
    draft.data = body;
    draft.content_type = content_type.map(str::to_owned);
    draft.finish()
}

/// Whether a media type stands for JSON.
pub fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json")
}

/// An event whose attributes come one by one.
#[derive(Default)]
struct Draft {
    id: Option<String>,
    source: Option<String>,
    kind: Option<String>,
    version: Option<String>,
    subject: Option<String>,
    time: Option<Micros>,
    content_type: Option<String>,
    key: Option<Bytes>,
    headers: Vec<(String, Bytes)>,
    data: Bytes,
}

impl Draft {
    fn set(&mut self, name: &str, value: String) -> Result<(), Problem> {
        match name {
            "id" => self.id = Some(value),
            "source" => self.source = Some(value),
            "type" => self.kind = Some(value),
            "specversion" => self.version = Some(value),
            "subject" => self.subject = Some(value),
            "datacontenttype" => self.content_type = Some(value),
            "time" => {
                let Some(time) = Micros::parse_rfc3339(&value) else {
                    let title = format!("`time` is `{}`, which is not an RFC 3339 time", shown(&value));
                    return Err(Problem::new("HW-API-103", title).help("write it as `2026-11-23T08:00:00.25Z`"));
                };
                self.time = Some(time);
            }
            _ if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) => {
                let title = format!("`{}` cannot be an attribute's name", shown(name));
                return Err(Problem::new("HW-API-103", title).help("names are made of a-z and 0-9"));
            }
            _ => {
                let value = Bytes::from(value);
                if name == "partitionkey" {
                    self.key = Some(value.clone());
                }
                self.headers.push((name.to_owned(), value));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Event, Problem> {
        match self.version.as_deref() {
            Some("1.0") => {}
            Some(other) => {
                let title = format!("`specversion` is `{}`, only `1.0` is understood", shown(other));
                return Err(Problem::new("HW-API-102", title).help(HELP));
            }
            None => return Err(missing("specversion")),
        }
        let required = |value: Option<String>, name| value.filter(|text| !text.is_empty()).ok_or_else(|| missing(name));
        Ok(Event {
            id: required(self.id, "id")?,
            source: required(self.source, "source")?,
            kind: required(self.kind, "type")?,
            subject: self.subject.filter(|text| !text.is_empty()),
            time: self.time,
            key: self.key,
            headers: self.headers,
            data: self.data,
            content_type: self.content_type.filter(|text| !text.is_empty()),
        })
    }
}

fn missing(name: &str) -> Problem {
    Problem::new("HW-API-102", format!("the attribute `{name}` is missing or empty")).help(HELP)
}

/// A value as an error may show it: short, and without control characters.
fn shown(value: &str) -> Cow<'_, str> {
    if value.len() <= 60 && !value.contains(char::is_control) {
        return Cow::Borrowed(value);
    }
    let short: String = value.chars().take(60).collect();
    Cow::Owned(short.escape_debug().to_string())
}

/// Undoes one round of quotes and the percent-encoding of a header's value.
fn decode_header(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = inner.unwrap_or(value).bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
                out.push(high << 4 | low);
            }
            b'\\' if inner.is_some() => out.push(bytes.next()?),
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
