//! The documents on a pipeline's side streams: dead letters, late events and copies to be retried.
//!
//! Each says why, with the code whose page explains it, and the position of the event in its input, so that nothing is
//! lost and everything can be found again.

use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use headwater_base::{Micros, Name};
use headwater_log::Offset;
use serde_json::{Value, json};

use crate::doc::{self, Doc};
use crate::operators::value::{render_int, render_text};
use crate::path::Path;

/// Where an event stood in its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The stream, or a file's name.
    pub stream: &'a str,
    /// The partition; 0 for a file.
    pub partition: u32,
    /// The offset, or a file's line.
    pub offset: Offset,
}

/// Why an event is on a side stream.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    /// `HW-FLOW-*`.
    pub code: &'a str,
    /// In words, without the event's data.
    pub words: &'a str,
    /// The step, if it was one.
    pub step: Option<&'a Name>,
}

/// More of an event than this is cut off in a dead letter; the whole of it stays in the input stream.
const DATA_BYTES_MAX: usize = 256 * 1024;

/// A dead letter.
pub fn dead(pipeline: &Name, place: Place<'_>, reason: Reason<'_>, at: Micros, data: &[u8]) -> Bytes {
    let cut = data.get(..DATA_BYTES_MAX).filter(|_| data.len() > DATA_BYTES_MAX);
    let shown = cut.unwrap_or(data);
    let mut letter = head(pipeline, place, reason, at);
    match std::str::from_utf8(shown) {
        Ok(text) => {
            letter.insert("data".to_owned(), Value::from(text));
        }
        Err(_) => {
            letter.insert("data".to_owned(), Value::from(base64(shown)));
            letter.insert("encoding".to_owned(), Value::from("base64"));
        }
    }
    if cut.is_some() {
        letter.insert("data_bytes".to_owned(), Value::from(data.len()));
    }
    Bytes::from(Value::Object(letter).to_string())
}

/// A late event: the event itself, unchanged, beside the reason.
pub fn late(
    pipeline: &Name,
    place: Place<'_>,
    reason: Reason<'_>,
    at: Micros,
    time: Micros,
    bound: Micros,
    event: &[u8],
) -> Bytes {
    let mut letter = head(pipeline, place, reason, at);
    letter.insert("time".to_owned(), Value::from(time.to_string()));
    letter.insert("bound".to_owned(), Value::from(bound.to_string()));
    with_event(letter, event)
}

/// A copy of an event whose lookups failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// The event's id.
    pub id: String,
    /// Tries so far.
    pub attempt: u32,
    /// Steps whose lookups failed.
    pub failed: Vec<String>,
    /// Where the event stood in the pipeline's input.
    pub partition: u32,
    /// Where the event stood in the pipeline's input.
    pub offset: Offset,
    /// The record's time in milliseconds.
    pub time_ms: i64,
    /// What stateful steps added at the first revision, by step.
    pub kept: Vec<(String, Bytes)>,
}

/// Where a copy's fields are.
struct Fields {
    id: Path,
    attempt: Path,
    failed: Path,
    partition: Path,
    offset: Path,
    record_time_ms: Path,
    kept: Path,
    event: Path,
}

static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    let position = Path::field("position");
    Fields {
        id: Path::field("id"),
        attempt: Path::field("attempt"),
        failed: Path::field("failed"),
        partition: position.child("partition"),
        offset: position.child("offset"),
        record_time_ms: Path::field("record_time_ms"),
        kept: Path::field("kept"),
        event: Path::field("event"),
    }
});

impl Retry {
    /// The document around the event as it came in. Every first event of a key that no cache knows costs one, so it is
    /// written as text at once.
    pub fn encode(&self, pipeline: &Name, stream: &str, event: &[u8]) -> Bytes {
        let mut text = Vec::with_capacity(event.len() + 384);
        text.extend_from_slice(b"{\"id\":");
        render_text(&mut text, &self.id);
        text.extend_from_slice(b",\"attempt\":");
        render_int(&mut text, self.attempt.into());
        text.extend_from_slice(b",\"failed\":[");
        for (index, step) in self.failed.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            render_text(&mut text, step);
        }
        text.extend_from_slice(b"],\"pipeline\":");
        render_text(&mut text, pipeline.as_str());
        text.extend_from_slice(b",\"position\":{\"stream\":");
        render_text(&mut text, stream);
        text.extend_from_slice(b",\"partition\":");
        render_int(&mut text, self.partition.into());
        text.extend_from_slice(b",\"offset\":");
        render_int(&mut text, self.offset.into());
        text.extend_from_slice(b"},\"record_time_ms\":");
        render_int(&mut text, self.time_ms.into());
        text.extend_from_slice(b",\"kept\":{");
        for (index, (step, json)) in self.kept.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            render_text(&mut text, step);
            text.push(b':');
            text.extend_from_slice(json);
        }
        text.extend_from_slice(b"},\"event\":");
        text.extend_from_slice(event);
        text.push(b'}');
        Bytes::from(text)
    }

    /// Reads a copy back: itself and the event. None for anything else.
    pub fn decode(text: &Bytes) -> Option<(Self, Bytes)> {
        let doc = Doc::around_event(text.clone()).ok()?;
        let fields = &*FIELDS;
        let failed = match doc.get(&fields.failed)? {
            doc::Value::Array(steps) => {
                steps.iter().map(|step| Some(step.to_str()?.to_owned())).collect::<Option<_>>()?
            }
            _ => return None,
        };
        let kept = doc.json(&fields.kept)?;
        let kept = match &*kept {
            b"{}" => Vec::new(),
            kept => {
                let kept: serde_json::Map<String, Value> = serde_json::from_slice(kept).ok()?;
                kept.into_iter().map(|(step, json)| (step, Bytes::from(json.to_string()))).collect()
            }
        };
        let retry = Self {
            id: doc.str(&fields.id)?.to_owned(),
            attempt: u32::try_from(doc.i64(&fields.attempt)?).ok()?,
            failed,
            partition: u32::try_from(doc.i64(&fields.partition)?).ok()?,
            offset: doc.i64(&fields.offset)?,
            time_ms: doc.i64(&fields.record_time_ms)?,
            kept,
        };
        Some((retry, doc.json(&fields.event)?))
    }
}

fn head(pipeline: &Name, place: Place<'_>, reason: Reason<'_>, at: Micros) -> serde_json::Map<String, Value> {
    let mut letter = serde_json::Map::new();
    letter.insert("reason".to_owned(), Value::from(reason.words));
    letter.insert("code".to_owned(), Value::from(reason.code));
    letter.insert(
        "position".to_owned(),
        json!({"stream": place.stream, "partition": place.partition, "offset": place.offset}),
    );
    letter.insert("pipeline".to_owned(), Value::from(pipeline.as_str()));
    if let Some(step) = reason.step {
        letter.insert("step".to_owned(), Value::from(step.as_str()));
    }
    letter.insert("at".to_owned(), Value::from(at.to_string()));
    letter
}

/// Writes `letter` with the event's own text as its last field, byte for byte.
fn with_event(letter: serde_json::Map<String, Value>, event: &[u8]) -> Bytes {
    let mut text = Value::Object(letter).to_string().into_bytes();
    text.pop();
    text.extend_from_slice(b",\"event\":");
    text.extend_from_slice(event);
    text.push(b'}');
    Bytes::from(text)
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let index = (group >> (18 - 6 * place)) as usize & 63;
            let letter = LETTERS.get(index).copied().filter(|_| place <= chunk.len()).unwrap_or(b'=');
            let _ = text.write_char(char::from(letter));
        }
    }
    text
}

#[cfg(test)]
mod tests;
