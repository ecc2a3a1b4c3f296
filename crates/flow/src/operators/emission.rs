//! What windows and sessions give out, and the JSON documents of it.
//!
//! Consumers upsert by [`Emission::id`]: a higher revision replaces a lower one, a tombstone removes.

use bytes::Bytes;
use headwater_base::Micros;

use crate::operators::Measure;
use crate::operators::value::{Value, render_int, render_key, render_text, render_time};

/// Something to be told downstream.
#[derive(Clone, Debug, PartialEq)]
pub enum Emission {
    /// A session's newest revision.
    Session(SessionRow),
    /// A window's newest revision.
    Window(WindowRow),
    /// A session that has become part of another.
    Tombstone(Tombstone),
}

/// A session as known at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    /// Whose session.
    pub key: Bytes,
    /// Stays the same through all revisions.
    pub session_id: u128,
    /// Grows by one each time the session is given out.
    pub revision: u32,
    /// No more events are expected.
    pub closed: bool,
    /// Time of the first event.
    pub start: Micros,
    /// Time of the last event.
    pub end: Micros,
    /// Number of events.
    pub events: u64,
    /// The most [`super::Event::hops`] of its events; no part of the document.
    pub hops: u32,
    /// The first value of the path; None when the step has no path.
    pub entry: Option<Value>,
    /// The last value of the path, also when the path itself was cut at its maximum.
    pub exit: Option<Value>,
    /// Values in the order of (event time, position), the earliest up to the maximum.
    pub path: Option<Vec<Value>>,
    /// One value for each measure, in their order.
    pub measures: Vec<Value>,
}

/// A window of one key as known at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowRow {
    /// Whose window.
    pub key: Bytes,
    /// First time inside.
    pub start: Micros,
    /// First time behind it.
    pub end: Micros,
    /// Grows by one each time the window is given out.
    pub revision: u32,
    /// Number of events.
    pub events: u64,
    /// The most [`super::Event::hops`] of its events; no part of the document.
    pub hops: u32,
    /// One value for each measure, in their order.
    pub measures: Vec<Value>,
}

/// The end of an id given out before: what had it is part of `merged_into` now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Whose session it was.
    pub key: Bytes,
    /// The id that goes.
    pub session_id: u128,
    /// One more than the last revision given out under it.
    pub revision: u32,
    /// The session that has its events now.
    pub merged_into: u128,
    /// The most [`super::Event::hops`] of the events of both.
    pub hops: u32,
}

impl Emission {
    /// The key of the record or document: a session's id, or `key/start` of a window.
    pub fn id(&self) -> String {
        match self {
            Self::Session(row) => session_id(row.session_id),
            Self::Tombstone(tombstone) => session_id(tombstone.session_id),
            Self::Window(row) => format!("{}/{}", String::from_utf8_lossy(&row.key), row.start),
        }
    }

    /// Whose it is.
    pub const fn key(&self) -> &Bytes {
        match self {
            Self::Session(row) => &row.key,
            Self::Window(row) => &row.key,
            Self::Tombstone(tombstone) => &tombstone.key,
        }
    }

    /// The event time a downstream step goes by: the end of what is described; None for a tombstone.
    pub const fn time(&self) -> Option<Micros> {
        match self {
            Self::Session(row) => Some(row.end),
            Self::Window(row) => Some(Micros(row.end.0.saturating_sub(1))),
            Self::Tombstone(_) => None,
        }
    }

    /// How many steps of a chain of events lie behind it; 0 = it belongs to none.
    pub const fn hops(&self) -> u32 {
        match self {
            Self::Session(row) => row.hops,
            Self::Window(row) => row.hops,
            Self::Tombstone(tombstone) => tombstone.hops,
        }
    }

    /// The JSON document, fields always in the same order; None for a tombstone, whose record has no value.
    pub fn render(&self, measures: &[Measure]) -> Option<Bytes> {
        match self {
            Self::Session(row) => Some(row.render(measures).into()),
            Self::Window(row) => Some(row.render(measures).into()),
            Self::Tombstone(_) => None,
        }
    }
}

/// A session's id as text: 32 hexadecimal digits.
pub fn session_id(id: u128) -> String {
    format!("{id:032x}")
}

impl SessionRow {
    fn render(&self, measures: &[Measure]) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"key\":");
        render_key(&mut out, &self.key);
        field(&mut out, "session_id");
        render_text(&mut out, &session_id(self.session_id));
        number(&mut out, "revision", i128::from(self.revision));
        field(&mut out, "closed");
        Value::Bool(self.closed).render(&mut out);
        time(&mut out, "start", self.start);
        time(&mut out, "end", self.end);
        number(&mut out, "duration_ms", i128::from(self.end.0.saturating_sub(self.start.0) / 1_000));
        number(&mut out, "events", i128::from(self.events));
        if let Some(path) = &self.path {
            field(&mut out, "entry");
            self.entry.as_ref().unwrap_or(&Value::Null).render(&mut out);
            field(&mut out, "exit");
            self.exit.as_ref().unwrap_or(&Value::Null).render(&mut out);
            field(&mut out, "path");
            out.push(b'[');
            for (index, value) in path.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                value.render(&mut out);
            }
            out.push(b']');
        }
        measured(&mut out, measures, &self.measures);
        out.push(b'}');
        out
    }
}

impl WindowRow {
    fn render(&self, measures: &[Measure]) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        out.extend_from_slice(b"{\"key\":");
        render_key(&mut out, &self.key);
        time(&mut out, "window_start", self.start);
        time(&mut out, "window_end", self.end);
        number(&mut out, "revision", i128::from(self.revision));
        number(&mut out, "events", i128::from(self.events));
        measured(&mut out, measures, &self.measures);
        out.push(b'}');
        out
    }
}

fn field(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    render_text(out, name);
    out.push(b':');
}

fn number(out: &mut Vec<u8>, name: &str, value: i128) {
    field(out, name);
    render_int(out, value);
}

fn time(out: &mut Vec<u8>, name: &str, value: Micros) {
    field(out, name);
    render_time(out, value);
}

fn measured(out: &mut Vec<u8>, measures: &[Measure], values: &[Value]) {
    field(out, "measures");
    out.push(b'{');
    for (index, (measure, value)) in measures.iter().zip(values).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        render_text(out, &measure.name);
        out.push(b':');
        value.render(out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests;
