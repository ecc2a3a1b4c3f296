//! The documents on a pipeline's side streams: dead letters, late events and copies to be retried.
//!
//! Each says why, with the code whose page explains it, and the position of the event in its input, so that nothing is
//! lost and everything can be found again.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use headwater_base::{Micros, Name};
use headwater_kernel::letter::{Data, Place};
use headwater_log::Offset;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::doc::{self, Doc};
use crate::operators::value::{render_int, render_text};
use crate::path::Path;

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

/// What letters begin with.
#[derive(Serialize)]
struct Head<'a> {
    reason: &'a str,
    code: &'a str,
    position: Place<'a>,
    pipeline: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    at: String,
}

impl<'a> Head<'a> {
    fn new(pipeline: &'a Name, place: Place<'a>, reason: Reason<'a>, at: Micros) -> Self {
        Self {
            reason: reason.words,
            code: reason.code,
            position: place,
            pipeline: pipeline.as_str(),
            step: reason.step.map(Name::as_str),
            at: at.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Dead<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(flatten)]
    data: Data,
}

#[derive(Serialize)]
struct Late<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    time: String,
    bound: String,
}

/// A dead letter.
pub fn dead(pipeline: &Name, place: Place<'_>, reason: Reason<'_>, at: Micros, data: &[u8]) -> Bytes {
    let letter = Dead { head: Head::new(pipeline, place, reason, at), data: Data::cut(data) };
    Bytes::from(serde_json::to_vec(&letter).unwrap_or_default())
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
    let head = Head::new(pipeline, place, reason, at);
    with_event(&Late { head, time: time.to_string(), bound: bound.to_string() }, event)
}

/// A copy of an event whose lookups failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// The event's id.
    pub id: String,
    /// Tries so far; a copy is at least the first.
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
                // As it was written: a number that is read and written again may differ in its last digit, and the second
                // revision says what the first one said.
                let parts: BTreeMap<String, &RawValue> = serde_json::from_slice(kept).ok()?;
                let text = |json: &RawValue| Bytes::copy_from_slice(json.get().as_bytes());
                parts.into_iter().map(|(step, json)| (step, text(json))).collect()
            }
        };
        let retry = Self {
            id: doc.str(&fields.id)?.to_owned(),
            attempt: u32::try_from(doc.i64(&fields.attempt)?).ok().filter(|attempt| *attempt > 0)?,
            failed,
            partition: u32::try_from(doc.i64(&fields.partition)?).ok()?,
            offset: doc.i64(&fields.offset)?,
            time_ms: doc.i64(&fields.record_time_ms)?,
            kept,
        };
        Some((retry, doc.json(&fields.event)?))
    }
}

/// Writes `letter` with the event's own text as its last field, byte for byte.
fn with_event(letter: &Late<'_>, event: &[u8]) -> Bytes {
    let mut text = serde_json::to_vec(letter).unwrap_or_default();
    text.pop();
    text.extend_from_slice(b",\"event\":");
    text.extend_from_slice(event);
    text.push(b'}');
    Bytes::from(text)
}

#[cfg(test)]
mod tests;
