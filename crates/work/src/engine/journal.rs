//! The history of executions: pieces in the stream `headwater.work.history`, one for each commit of an execution.
//!
//! A piece is one record: the execution's id as key, a JSON array of events as value, and in the header `p` the offset
//! of the piece before it. The execution's head names its first and its newest piece, so reading goes backwards from
//! piece to piece and nothing of history stays in memory. A shard writes the partition of its number and no other.
//!
//! Pieces may be copied to the end, as they are and chained anew, and the head then names the copies
//! ([`super::collect`]); an execution that runs for long holds nobody else's history back so.
//!
//! Invariant: a piece is part of the commit that changed the execution; its offset is known before the commit because
//! nobody else writes there. Where somebody did, the head is put right at once and reading looks a little further.

use bytes::{Bytes, BytesMut};
use headwater_base::{Limits, Name, Problem};
use headwater_kernel::kinds::stream::default_config;
use headwater_log::{Append, Log, StreamConfig, View};
use headwater_wire::batch::{self, Builder, Compression};
use serde::Deserialize;
use serde_json::{Value, json};

use super::payloads;
use super::rows::SHARDS;
use crate::execution::HistoryEvent;
use crate::execution::record::codec::{Fetch, Large};

/// Name of the stream.
pub const STREAM: &str = "headwater.work.history";

/// A piece is closed at this size, well below what a batch may have.
const PIECE_BYTES: usize = 384 * 1024;
/// An event larger than this loses its details, as the service marks it.
const EVENT_BYTES_MAX: usize = 640 * 1024;
/// Records looked at behind an offset for the piece that should be there.
const BEYOND_MAX: i64 = 10_000;

/// How the stream is kept: as long as an execution needs it; the engine trims it ([`super::collect`]).
pub(super) fn config(limits: &Limits) -> StreamConfig {
    StreamConfig {
        partitions: SHARDS.try_into().unwrap_or(1),
        retention_ms: None,
        retention_bytes: None,
        ..default_config(limits)
    }
}

/// Pieces of one commit, for the partition of a shard.
pub(super) struct Pieces {
    partition: u32,
    next: i64,
    inline_max: usize,
    done: BytesMut,
    builder: Builder,
}

impl Pieces {
    /// Pieces that will begin at the offset `next`, with payloads of at most `inline_max` bytes in them.
    pub(super) fn new(shard: usize, next: i64, inline_max: usize) -> Self {
        let partition = u32::try_from(shard).unwrap_or(0);
        Self { partition, next, inline_max, done: BytesMut::new(), builder: Builder::new(Compression::None) }
    }

    /// Adds events of an execution behind its piece at `previous` (-1 for none), and what they name to `large`. Answers
    /// where they begin and end.
    pub(super) fn add(
        &mut self,
        id: &str,
        previous: i64,
        history: &[HistoryEvent],
        large: &mut Large,
    ) -> Option<(i64, i64)> {
        let mut named = payloads::Named::new(self.inline_max, large);
        let mut previous = previous;
        let mut first = None;
        let mut value: Vec<u8> = Vec::with_capacity(256 * history.len());
        let time_ms = history.first()?.at.millis();
        let mut close = |pieces: &mut Self, value: &mut Vec<u8>| {
            value.push(b']');
            previous = pieces.push(id, previous, time_ms, value);
            first.get_or_insert(previous);
            value.clear();
        };
        for event in history {
            let start = value.len();
            value.push(if start == 0 { b'[' } else { b',' });
            event.write(&mut value, &mut named);
            if value.len() - start > EVENT_BYTES_MAX {
                value.truncate(start + 1);
                // Writing to memory cannot fail.
                let _ = serde_json::to_writer(&mut value, &cut(event.to_json()));
            }
            if value.len() > PIECE_BYTES {
                close(self, &mut value);
            }
        }
        if !value.is_empty() {
            close(self, &mut value);
        }
        Some((first?, previous))
    }

    /// Adds copies of an execution's pieces behind its piece at `previous` (-1 for none). Answers where they begin and
    /// end.
    pub(super) fn copy(&mut self, id: &str, mut previous: i64, copies: &[Copied]) -> Option<(i64, i64)> {
        let mut first = None;
        for copied in copies {
            previous = self.push(id, previous, copied.time_ms, &copied.value);
            first.get_or_insert(previous);
        }
        Some((first?, previous))
    }

    /// Adds one piece; answers where it will be.
    fn push(&mut self, id: &str, previous: i64, time_ms: i64, value: &[u8]) -> i64 {
        if self.builder.bytes() + value.len() > PIECE_BYTES && !self.builder.is_empty() {
            let builder = std::mem::replace(&mut self.builder, Builder::new(Compression::None));
            self.done.unsplit(builder.finish());
        }
        let header = previous.to_be_bytes();
        self.builder.push(time_ms, Some(id.as_bytes()), Some(value), &[("p", &header)]);
        let at = self.next;
        self.next += 1;
        at
    }

    /// One past the last offset.
    pub(super) const fn next(&self) -> i64 {
        self.next
    }

    /// The append, if there is anything.
    pub(super) fn finish(mut self, stream: &Name) -> Option<Append> {
        if !self.builder.is_empty() {
            self.done.unsplit(self.builder.finish());
        }
        (!self.done.is_empty()).then(|| Append {
            stream: stream.clone(),
            partition: self.partition,
            batches: self.done,
        })
    }
}

/// A piece that is written another time.
pub(super) struct Copied {
    pub(super) time_ms: i64,
    pub(super) value: Bytes,
}

/// A piece as it is in the stream.
pub(super) struct Piece {
    /// The offset of the one before it.
    pub(super) previous: i64,
    pub(super) time_ms: i64,
    pub(super) value: Bytes,
}

impl Piece {
    /// The number of its first event; 0 where it cannot be read.
    pub(super) fn begins(&self) -> u64 {
        #[derive(Deserialize)]
        struct Event {
            id: u64,
        }
        serde_json::from_slice::<Vec<Event>>(&self.value)
            .ok()
            .and_then(|all| all.first().map(|event| event.id))
            .unwrap_or(0)
    }
}

/// An event without what makes it large.
fn cut(mut event: Value) -> Value {
    for details in event.as_object_mut().into_iter().flatten().filter_map(|(_, value)| value.as_object_mut()) {
        for field in ["input", "output", "parameters"] {
            if details.shift_remove(field).is_some() {
                details.insert(format!("{field}Details"), json!({"truncated": true}));
            }
        }
        details.shift_remove("assignedVariables");
    }
    event
}

/// Reads a partition's pieces.
pub(super) struct Reader<'a> {
    pub(super) log: &'a dyn Log,
    pub(super) stream: &'a Name,
    pub(super) shard: usize,
    pub(super) id: &'a str,
    /// Where large payloads are.
    pub(super) fetch: Fetch<'a>,
}

impl Reader<'_> {
    /// The events of the piece of this execution at `offset`, and the offset of the one before it.
    ///
    /// # Errors
    /// `HW-WORK-036` when it is not there, or a blob that it names.
    pub(super) fn piece(&self, offset: i64) -> Result<(i64, Vec<Value>), Problem> {
        let piece = self.find(offset)?;
        let events = events(&piece.value, self.fetch).ok_or_else(|| gone(self.id))?;
        Ok((piece.previous, events))
    }

    /// The piece of this execution at `offset`; it names none but one before that, so whoever goes from piece to piece
    /// comes to an end.
    ///
    /// # Errors
    /// `HW-WORK-036` when it is not there.
    pub(super) fn find(&self, offset: i64) -> Result<Piece, Problem> {
        let partition = u32::try_from(self.shard).unwrap_or(0);
        let mut from = offset;
        while from < offset.saturating_add(BEYOND_MAX) {
            let fetched = self
                .log
                .read(self.stream, partition, from, 1, View::Durable)
                .map_err(|error| gone(self.id).because(error))?;
            if fetched.batches.is_empty() {
                break;
            }
            for found in fetched.batches.each() {
                let (header, bytes) = found.map_err(|error| gone(self.id).because(error))?;
                let records = batch::records(&bytes, 64 << 20).map_err(|error| gone(self.id).because(error))?;
                for record in records {
                    let record = record.map_err(|error| gone(self.id).because(error))?;
                    if record.offset >= from && record.key.as_deref() == Some(self.id.as_bytes()) {
                        let previous = previous(&record.headers).filter(|previous| *previous < offset);
                        let previous = previous.ok_or_else(|| gone(self.id))?;
                        let value = record.value.unwrap_or_default();
                        return Ok(Piece { previous, time_ms: record.timestamp, value });
                    }
                }
                from = from.max(header.last_offset() + 1);
            }
        }
        Err(gone(self.id))
    }
}

/// The events of a piece, with their payloads; None when it is none, or a blob that it names is not there.
pub(super) fn events(piece: &[u8], fetch: Fetch<'_>) -> Option<Vec<Value>> {
    let mut events: Vec<Value> = serde_json::from_slice(piece).ok()?;
    events.iter_mut().try_for_each(|event| payloads::fill(event, fetch))?;
    Some(events)
}

fn previous(headers: &[(Bytes, Option<Bytes>)]) -> Option<i64> {
    let (_, previous) = headers.iter().find(|(name, _)| name.as_ref() == b"p")?;
    Some(i64::from_be_bytes(previous.as_deref()?.try_into().ok()?))
}

fn gone(id: &str) -> Problem {
    Problem::new("HW-WORK-036", format!("the history of `{id}` cannot be read"))
        .help("`headwater doctor` checks the data folder; what an execution came to does not depend on its history")
}
