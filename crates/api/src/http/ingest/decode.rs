//! Turns a request's body into events: CloudEvents in its three HTTP modes, JSON objects and arrays, NDJSON.
//!
//! An event's record carries the payload as its value and the CloudEvents attributes as `ce_*` headers (the binary
//! mode of the Kafka binding), so that pipelines and Kafka clients see the payload itself. Payload bytes are kept as
//! they were sent.
//!
//! # Source
//! CloudEvents 1.0.2: HTTP protocol binding 3.1 to 3.3, Kafka protocol binding 3.2.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use headwater_base::{Event, Micros, Problem};
use headwater_wire::cloudevents;
use hyper::HeaderMap;
use serde_json::value::RawValue;

use crate::http::body::charset;

/// Events of one body, at most: each takes far more memory than the few bytes that may make it one.
pub const EVENTS_MAX: usize = 100_000;

/// How a body is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/cloudevents+json`.
    Structured,
    /// `application/cloudevents-batch+json`.
    Batch,
    /// Attributes in `ce-*` headers, the payload as the body.
    Binary,
    /// One JSON object, or an array of them.
    Json,
    /// One JSON object on each line.
    Lines,
}

/// What a request says about all its events.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// The key: `.a.b` names a field of each event, anything else is the key itself, which they share.
    pub key: Option<Bytes>,
    /// `.a.b` of the field that identifies an event, for plain JSON, which has no id of its own.
    pub id: Option<String>,
}

/// One event on its way to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Chooses the partition.
    pub key: Option<Bytes>,
    /// The payload.
    pub value: Bytes,
    /// CloudEvents attributes.
    pub headers: Vec<(String, Bytes)>,
    /// When it happened.
    pub time: Option<Micros>,
    /// Source and id, joined by a zero byte: equal for the same event sent twice.
    pub identity: Option<String>,
}

/// An event or why it is none, with its place in the body: a line of NDJSON, an index of an array, both from 1.
#[derive(Debug)]
pub struct Item {
    /// From 1.
    pub number: u32,
    /// The event.
    pub event: Result<Incoming, Problem>,
}

impl Format {
    /// Chooses by media type and headers.
    ///
    /// # Errors
    /// `HW-API-007` for a type that holds no events, `HW-API-110` for JSON in another charset than UTF-8: its bytes are
    /// kept as they are, and whoever reads them takes them for UTF-8 (RFC 8259, section 8.1).
    pub fn of(headers: &HeaderMap, media_type: &str) -> Result<Self, Problem> {
        let format = Self::named(headers, media_type)?;
        match charset(headers) {
            Some(other) if format != Self::Binary && !matches!(other.as_str(), "utf-8" | "utf8" | "us-ascii") => {
                let shown: String = other.chars().take(40).collect();
                let fact = format!("the events are said to be in the charset `{}`", shown.escape_debug());
                Err(Problem::new("HW-API-110", fact).help("send them in UTF-8; JSON is in no other"))
            }
            _ => Ok(format),
        }
    }

    fn named(headers: &HeaderMap, media_type: &str) -> Result<Self, Problem> {
        match media_type {
            cloudevents::STRUCTURED => Ok(Self::Structured),
            cloudevents::BATCH => Ok(Self::Batch),
            _ if headers.contains_key("ce-specversion") => Ok(Self::Binary),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/json-lines" => {
                Ok(Self::Lines)
            }
            "application/json" => Ok(Self::Json),
            _ => Err(Problem::new("HW-API-007", format!("events cannot be sent as `{}`", media_type.escape_debug()))
                .help(
                    "send `application/json`, `application/x-ndjson`, `application/cloudevents+json` or \
                 `application/cloudevents-batch+json`",
                )),
        }
    }
}

/// Reads the events of a body. Only [`Format::Lines`] gives faulty items; any other body is taken or refused whole.
///
/// # Errors
/// `HW-API-006` for more than [`EVENTS_MAX`] events, `HW-API-008` for text that is not JSON, `HW-API-013` for an event
/// that lacks the field that `key` or `id` asks for, and `HW-API-101` to `HW-API-103` for what is no CloudEvent.
pub fn decode(format: Format, headers: &HeaderMap, body: &Bytes, hints: &Hints) -> Result<Vec<Item>, Problem> {
    match format {
        Format::Structured => one(record(cloudevents::from_json(body)?, hints)),
        Format::Binary => one(binary(headers, body, hints)),
        Format::Batch => numbered(few(cloudevents::from_json_batch(body)?)?, |event| record(event, hints)),
        Format::Json => match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => {
                let raws: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| not_json(&error, 0))?;
                numbered(few(raws)?, |raw| plain(body, raw.get().as_bytes(), hints, 0))
            }
            _ => one(plain(body, body, hints, 0)),
        },
        Format::Lines => few(lines(body, hints)),
    }
}

/// The events of a body, or `HW-API-006`.
fn few<T>(events: Vec<T>) -> Result<Vec<T>, Problem> {
    if events.len() > EVENTS_MAX {
        let fact = format!("the body has more than {EVENTS_MAX} events, which is the limit");
        return Err(Problem::new("HW-API-006", fact).help("send them in several requests"));
    }
    Ok(events)
}

fn one(event: Result<Incoming, Problem>) -> Result<Vec<Item>, Problem> {
    Ok(vec![Item { number: 1, event: Ok(event?) }])
}

fn numbered<T>(all: Vec<T>, each: impl Fn(T) -> Result<Incoming, Problem>) -> Result<Vec<Item>, Problem> {
    all.into_iter()
        .zip(1_u32..)
        .map(|(event, number)| {
            let event = each(event)
                .map_err(|problem| problem.because(format!("in event {number} of the array, counted from 1")))?;
            Ok(Item { number, event: Ok(event) })
        })
        .collect()
}

/// The events of all lines, or of one line too many.
fn lines(body: &Bytes, hints: &Hints) -> Vec<Item> {
    body.split(|byte| *byte == b'\n')
        .zip(1_u32..)
        .filter(|(line, _)| !line.trim_ascii().is_empty())
        .take(EVENTS_MAX + 1)
        .map(|(line, number)| Item { number, event: plain(body, line, hints, number) })
        .collect()
}

/// A JSON object without an envelope.
fn plain(body: &Bytes, text: &[u8], hints: &Hints, line: u32) -> Result<Incoming, Problem> {
    let text = text.trim_ascii();
    let value: &RawValue = serde_json::from_slice(text).map_err(|error| not_json(&error, line))?;
    if !value.get().starts_with('{') {
        return Err(Problem::new("HW-API-008", format!("an event must be a JSON object, not {}", kind_of(value)))
            .at("body", line, 0)
            .help("wrap it, as in `{\"value\": 1}`"));
    }
    let identity = match &hints.id {
        Some(path) => Some(format!("\0{}", required(text, path, "id", line)?)),
        None => None,
    };
    let key = key_of(hints, text, line)?;
    Ok(Incoming { key, value: slice(body, text), headers: Vec::new(), time: None, identity })
}

/// Attributes in headers, the payload as the body.
fn binary(headers: &HeaderMap, body: &Bytes, hints: &Hints) -> Result<Incoming, Problem> {
    let mut texts = Vec::new();
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("ce-")) {
        let Ok(text) = std::str::from_utf8(value.as_bytes()) else {
            return Err(Problem::new("HW-API-103", format!("the header `{name}` is not UTF-8")));
        };
        texts.push((name.as_str(), text));
    }
    let content_type = headers.get(hyper::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_none_or(cloudevents::is_json) && !body.is_empty() {
        serde_json::from_slice::<&RawValue>(body).map_err(|error| not_json(&error, 0))?;
    }
    record(cloudevents::from_headers(texts, content_type, body.clone())?, hints)
}

/// An event as a record: the payload is the value, the attributes are headers named as the Kafka binding names them.
fn record(event: Event, hints: &Hints) -> Result<Incoming, Problem> {
    let hinted = key_of(hints, &event.data, 0)?;
    let identity = Some(format!("{}\0{}", event.source, event.id));
    let mut headers = vec![
        ("ce_specversion".to_owned(), Bytes::from_static(b"1.0")),
        ("ce_id".to_owned(), Bytes::from(event.id)),
        ("ce_source".to_owned(), Bytes::from(event.source)),
        ("ce_type".to_owned(), Bytes::from(event.kind)),
    ];
    if let Some(subject) = event.subject {
        headers.push(("ce_subject".to_owned(), Bytes::from(subject)));
    }
    if let Some(time) = event.time {
        headers.push(("ce_time".to_owned(), Bytes::from(time.to_string())));
    }
    if let Some(content_type) = event.content_type {
        headers.push(("content-type".to_owned(), Bytes::from(content_type)));
    }
    headers.extend(event.headers.into_iter().map(|(name, value)| (format!("ce_{name}"), value)));
    Ok(Incoming { key: hinted.or(event.key), value: event.data, headers, time: event.time, identity })
}

fn key_of(hints: &Hints, text: &[u8], line: u32) -> Result<Option<Bytes>, Problem> {
    match &hints.key {
        Some(path) if path.starts_with(b".") => {
            required(text, &String::from_utf8_lossy(path), "key", line).map(|key| Some(Bytes::from(key)))
        }
        literal => Ok(literal.clone()),
    }
}

/// The text of the field at `path`, or `HW-API-013` naming the parameter that asked for it.
fn required(text: &[u8], path: &str, parameter: &str, line: u32) -> Result<String, Problem> {
    pick(text, path).ok_or_else(|| {
        Problem::new("HW-API-013", format!("the event has no `{}`, which `{parameter}` asks for", path.escape_debug()))
            .at("body", line, 0)
    })
}

/// The scalar at `.a.b` of a JSON object as text.
fn pick(text: &[u8], path: &str) -> Option<String> {
    let mut current: &RawValue = serde_json::from_slice(text).ok()?;
    for step in path.split('.').skip(1) {
        let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(current.get()).ok()?;
        current = members.get(step).copied()?;
    }
    match current.get().as_bytes().first()? {
        b'"' => serde_json::from_str(current.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(current.get().to_owned()),
    }
}

/// The part of `body` that `text` points into, shared; a copy when it lies elsewhere.
fn slice(body: &Bytes, text: &[u8]) -> Bytes {
    let (start, at) = (body.as_ptr() as usize, text.as_ptr() as usize);
    match at.checked_sub(start) {
        Some(from) if from + text.len() <= body.len() => body.slice(from..from + text.len()),
        _ => Bytes::copy_from_slice(text),
    }
}

fn kind_of(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn not_json(error: &serde_json::Error, line: u32) -> Problem {
    let (line, column) = match line {
        0 => (error.line(), error.column()),
        line => (line as usize, error.column()),
    };
    let text = error.to_string();
    let fact = text.rsplit_once(" at line ").map_or(text.as_str(), |(fact, _)| fact);
    Problem::new("HW-API-008", format!("this is not JSON: {fact}")).at(
        "body",
        u32::try_from(line).unwrap_or(0),
        u32::try_from(column).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests;
