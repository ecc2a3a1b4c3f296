//! What a program sees beside the event: where it came from and what time it is, as `%stream`, `%partition`, `%offset`,
//! `%ingested`, `%time` and `%now`. One `Env` serves a pipeline's thread for all its events.

use std::cell::OnceCell;

use chrono::DateTime;
use headwater_base::Micros;
use vrl::compiler::runtime::Runtime;
use vrl::path::OwnedSegment;
use vrl::value::{ObjectMap, Value};

use crate::doc;

/// Where an event came from and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta<'a> {
    /// The stream, or the file's name.
    pub stream: &'a str,
    /// The partition.
    pub partition: u32,
    /// The offset, or the line.
    pub offset: i64,
    /// When it was ingested: the record's timestamp.
    pub ingested: Micros,
    /// Its event time, if it has one.
    pub time: Option<Micros>,
    /// The processing time. The caller's clock, so that a run over files can be repeated.
    pub now: Micros,
}

/// A program's surroundings.
#[derive(Debug, Default)]
pub struct Env {
    pub(super) runtime: Runtime,
    pub(super) metadata: Metadata,
}

/// The values of `%` paths; cheap to set for each event, as most programs look at one of them or none.
#[derive(Debug)]
pub(super) struct Metadata {
    stream: Value,
    partition: Value,
    offset: Value,
    ingested: Moment,
    time: Moment,
    now: Moment,
    whole: OnceCell<Value>,
}

/// A time that becomes a value once somebody looks at it: the calendar's arithmetic is not done for each event.
#[derive(Debug, Default)]
struct Moment {
    at: Option<Micros>,
    value: OnceCell<Value>,
}

impl Env {
    /// Surroundings in which every `%` path is null.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what the next programs see.
    pub fn set(&mut self, meta: &Meta<'_>) {
        let metadata = &mut self.metadata;
        if metadata.stream.to_str() != Some(meta.stream) {
            metadata.stream = meta.stream.into();
        }
        metadata.partition = i64::from(meta.partition).into();
        metadata.offset = meta.offset.into();
        metadata.ingested.set(Some(meta.ingested));
        metadata.time.set(meta.time);
        metadata.now.set(Some(meta.now));
        metadata.whole.take();
    }
}

impl Default for Metadata {
    fn default() -> Self {
        const NULL: Value = Value::Null;
        Self {
            stream: NULL,
            partition: NULL,
            offset: NULL,
            ingested: Moment::default(),
            time: Moment::default(),
            now: Moment::default(),
            whole: OnceCell::new(),
        }
    }
}

impl Moment {
    fn set(&mut self, at: Option<Micros>) {
        // `%now` is the same for all events of a micro-batch.
        if self.at != at {
            self.at = at;
            self.value.take();
        }
    }

    fn value(&self) -> &Value {
        self.value.get_or_init(|| self.at.map_or(Value::Null, timestamp))
    }
}

impl Metadata {
    fn fields(&self) -> [(&'static str, &Value); 6] {
        [
            ("ingested", self.ingested.value()),
            ("now", self.now.value()),
            ("offset", &self.offset),
            ("partition", &self.partition),
            ("stream", &self.stream),
            ("time", self.time.value()),
        ]
    }

    /// The time that chooses an event's keys: its own, or else that of its record.
    pub(super) fn event_time(&self) -> Option<Micros> {
        doc::time(self.time.value()).or_else(|| doc::time(self.ingested.value()))
    }

    /// The event's time in whole seconds.
    pub(super) fn seconds(&self) -> Option<i64> {
        match self.time.value() {
            Value::Timestamp(time) => Some(time.timestamp()),
            _ => None,
        }
    }

    pub(super) fn get(&self, path: &[OwnedSegment]) -> Option<&Value> {
        match path {
            [OwnedSegment::Field(name)] => match name.as_str() {
                "ingested" => Some(self.ingested.value()),
                "now" => Some(self.now.value()),
                "offset" => Some(&self.offset),
                "partition" => Some(&self.partition),
                "stream" => Some(&self.stream),
                "time" => Some(self.time.value()),
                _ => None,
            },
            _ => {
                let whole = || {
                    let fields = self.fields().into_iter();
                    Value::Object(fields.map(|(name, value)| (name.into(), value.clone())).collect::<ObjectMap>())
                };
                self.whole.get_or_init(whole).get(path)
            }
        }
    }
}

/// The VRL timestamp of a time; null beyond the years it can hold.
pub(super) fn timestamp(time: Micros) -> Value {
    DateTime::from_timestamp_micros(time.0).map_or(Value::Null, Value::Timestamp)
}
