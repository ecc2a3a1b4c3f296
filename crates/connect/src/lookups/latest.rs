//! `{type: latest, stream: prices}`: the newest durable value of a stream's records with that key.
//!
//! The stream is followed when it is asked, so an answer is as fresh as the stream and no task runs. `field: .price` gives a part of
//! the value. A record without value deletes its key; records without key or whose value is not JSON are passed over.
//!
//! A stream with more keys or bytes than are held here answers nothing more, and is not read any further: it would have
//! to be read from its beginning to know which keys there still are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Name, Problem};
use headwater_kernel::port::{Context, Json, Lookup, LookupError};
use headwater_log::{Batches, Log, LogError, View};
use headwater_wire::batch;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::options::{Options, steps, walk};

/// What is held of one stream.
const BOUNDS: Bounds = Bounds { keys: 2_000_000, bytes: 512 * 1024 * 1024 };
const READ_BYTES: usize = 1 << 20;
const UNPACKED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Reads that a pipeline's thread may do for one question; more are done on the side.
const READS_AT_ONCE: usize = 2;

pub(super) fn schema() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "required": ["type", "stream"],
        "properties": {
            "type": {"const": "latest"},
            "stream": {"type": "string", "description": "The stream that is followed."},
            "field": {"type": "string", "description": "Path of the part of the value that is the answer. Default: all of it."}
        }
    })
}

pub(super) fn check(spec: &Value) -> Result<(), Problem> {
    read(spec).map(drop)
}

/// The stream, and the way to the part of the value that is the answer.
fn read(spec: &Value) -> Result<(Name, Vec<String>), Problem> {
    let options = Options::new(spec, &["stream", "field"])?;
    let field = options.optional_text("field")?.map(steps).unwrap_or_default();
    Ok((Name::new(options.text("stream")?)?, field))
}

pub(super) fn build(spec: &Value, context: &Context) -> Result<Arc<dyn Lookup>, Problem> {
    let (stream, field) = read(spec)?;
    let Some(log) = &context.log else {
        return Err(Problem::new("HW-CONNECT-108", format!("the stream `{stream}` cannot be followed without a node"))
            .help("run the pipeline on a node, or use a `file` lookup"));
    };
    let inner = Inner { log: Arc::clone(log), stream, field, bounds: BOUNDS, state: Mutex::default() };
    Ok(Arc::new(Latest(Arc::new(inner))))
}

struct Latest(Arc<Inner>);

struct Inner {
    log: Arc<dyn Log>,
    stream: Name,
    field: Vec<String>,
    bounds: Bounds,
    state: Mutex<State>,
}

/// The most keys and bytes of values.
#[derive(Clone, Copy)]
struct Bounds {
    keys: usize,
    bytes: usize,
}

#[derive(Default)]
struct State {
    /// Which stream of that name was read: one created anew starts over.
    id: Option<u128>,
    values: HashMap<Box<str>, Json>,
    bytes: usize,
    /// The next offset of each partition.
    next: Vec<i64>,
    /// There was more than the bounds allow.
    full: bool,
}

impl Inner {
    /// Reads what is new, by at most `reads` reads; whether the end was reached.
    fn follow(&self, state: &mut State, mut reads: usize) -> Result<bool, LookupError> {
        let failed = |error: LogError| LookupError::Unavailable(error.to_string());
        let Some(stream) = self.log.stream(self.stream.as_str()) else {
            *state = State::default();
            return Ok(true);
        };
        if state.id != Some(stream.id) {
            *state = State { id: Some(stream.id), ..State::default() };
        }
        if state.full {
            return Err(self.over());
        }
        state.next.resize(stream.config.partitions as usize, 0);
        for partition in 0..stream.config.partitions {
            loop {
                let ends = self.log.ends(&self.stream, partition).map_err(failed)?;
                let from = state.next.get(partition as usize).copied().unwrap_or(0).max(ends.start);
                if from >= ends.durable {
                    break;
                }
                if reads == 0 {
                    return Ok(false);
                }
                reads -= 1;
                let fetched =
                    self.log.read(&self.stream, partition, from, READ_BYTES, View::Durable).map_err(failed)?;
                let next = self.take_in(state, &fetched.batches, from)?;
                if next <= from {
                    break;
                }
                if let Some(known) = state.next.get_mut(partition as usize) {
                    *known = next;
                }
            }
        }
        Ok(true)
    }

    fn take_in(&self, state: &mut State, batches: &Batches, from: i64) -> Result<i64, LookupError> {
        let damaged = |error: batch::BatchError| LookupError::Unavailable(format!("damaged batch: {error}"));
        let mut next = from;
        for part in batches.each() {
            let (header, bytes) = part.map_err(damaged)?;
            next = next.max(header.last_offset() + 1);
            if header.is_control() {
                continue;
            }
            for record in batch::records(&bytes, UNPACKED_BYTES_MAX).map_err(damaged)? {
                let record = record.map_err(damaged)?;
                let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else { continue };
                if record.offset < from {
                    continue;
                }
                let value = match &record.value {
                    None => None,
                    // A slice would keep the whole batch.
                    Some(value) if self.field.is_empty() => {
                        if serde_json::from_slice::<&RawValue>(value).is_err() {
                            continue;
                        }
                        Some(Bytes::copy_from_slice(value))
                    }
                    Some(value) => {
                        let Ok(value) = serde_json::from_slice::<Value>(value) else { continue };
                        walk(&value, &self.field).map(|part| Bytes::from(part.to_string()))
                    }
                };
                state.put(key, value);
                if state.values.len() > self.bounds.keys || state.bytes > self.bounds.bytes {
                    *state = State { id: state.id, full: true, ..State::default() };
                    return Err(self.over());
                }
            }
        }
        Ok(next)
    }

    fn over(&self) -> LookupError {
        let (stream, Bounds { keys, bytes }) = (&self.stream, self.bounds);
        LookupError::Unavailable(format!("the stream `{stream}` has more than {keys} keys or {bytes} bytes of values"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, key: &str, value: Option<Json>) {
        let old = match value {
            None => self.values.remove(key),
            Some(value) => {
                self.bytes += value.len();
                self.values.insert(key.into(), value)
            }
        };
        self.bytes -= old.map_or(0, |old| old.len());
    }
}

impl Lookup for Latest {
    fn at_once(&self, key: &str) -> Option<Result<Option<Json>, LookupError>> {
        let mut state = self.0.lock();
        match self.0.follow(&mut state, READS_AT_ONCE) {
            Ok(true) => Some(Ok(state.values.get(key).cloned())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Json>, LookupError>> {
        let inner = Arc::clone(&self.0);
        let key = key.to_owned();
        Box::pin(async move {
            let read = move || {
                let mut state = inner.lock();
                inner.follow(&mut state, usize::MAX)?;
                Ok(state.values.get(key.as_str()).cloned())
            };
            tokio::task::spawn_blocking(read)
                .await
                .unwrap_or_else(|_| Err(LookupError::Unavailable("the node is stopping".to_owned())))
        })
    }
}

#[cfg(test)]
mod tests;
