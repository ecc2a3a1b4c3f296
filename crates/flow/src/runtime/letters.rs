//! The documents on a pipeline's side streams: dead letters, late events and copies to be retried.
//!
//! Each says why, with the code whose page explains it, and the position of the event in its input, so that nothing is
//! lost and everything can be found again.

use std::fmt::Write as _;

use bytes::Bytes;
use headwater_base::{Micros, Name};
use headwater_log::Offset;
use serde_json::{Value, json};

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

impl Retry {
    /// The document around the event as it came in.
    pub fn encode(&self, pipeline: &Name, stream: &str, event: &[u8]) -> Bytes {
        let kept: serde_json::Map<String, Value> = self
            .kept
            .iter()
            .map(|(step, json)| (step.clone(), serde_json::from_slice(json).unwrap_or(Value::Null)))
            .collect();
        let mut letter = serde_json::Map::new();
        letter.insert("id".to_owned(), Value::from(self.id.clone()));
        letter.insert("attempt".to_owned(), Value::from(self.attempt));
        letter.insert("failed".to_owned(), json!(self.failed));
        letter.insert("pipeline".to_owned(), Value::from(pipeline.as_str()));
        letter.insert(
            "position".to_owned(),
            json!({"stream": stream, "partition": self.partition, "offset": self.offset}),
        );
        letter.insert("record_time_ms".to_owned(), Value::from(self.time_ms));
        letter.insert("kept".to_owned(), Value::Object(kept));
        with_event(letter, event)
    }

    /// Reads a copy back: itself and the event. None for anything else.
    pub fn decode(text: &[u8]) -> Option<(Self, Bytes)> {
        #[derive(serde::Deserialize)]
        struct Written<'a> {
            id: String,
            attempt: u32,
            failed: Vec<String>,
            position: At,
            record_time_ms: i64,
            kept: serde_json::Map<String, Value>,
            #[serde(borrow)]
            event: &'a serde_json::value::RawValue,
        }
        #[derive(serde::Deserialize)]
        struct At {
            partition: u32,
            offset: Offset,
        }
        let written: Written<'_> = serde_json::from_slice(text).ok()?;
        let kept = written.kept.into_iter().map(|(step, json)| (step, Bytes::from(json.to_string()))).collect();
        let retry = Self {
            id: written.id,
            attempt: written.attempt,
            failed: written.failed,
            partition: written.position.partition,
            offset: written.position.offset,
            time_ms: written.record_time_ms,
            kept,
        };
        Some((retry, Bytes::copy_from_slice(written.event.get().as_bytes())))
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
