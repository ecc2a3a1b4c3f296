//! Carrying history forward: what an old execution has in the history stream is copied to its end, so that what ended
//! since can be trimmed.
//!
//! Pieces are read here, off the shards' threads; a shard writes the copies and, once all of them are there, the head
//! that names them. Nothing is trimmed before the collection after that, so whoever reads by an older head finds its
//! pieces.
//!
//! Invariant: a collection copies at most half as many pieces as it makes free, whatever runs for how long.

use bytes::Bytes;
use headwater_base::{Name, Problem};
use headwater_log::{Offset, View};
use tokio::sync::oneshot;

use crate::engine::journal::{self, Copied, Reader};
use crate::engine::queue::Command;
use crate::engine::rows::{self, Head, Key, Tag};
use crate::engine::{Inner, port};
use crate::execution::record::codec;

/// Bytes of pieces in one commit, after which it is closed.
const COMMIT_BYTES: usize = 256 * 1024;
/// Pieces in one commit at most.
pub(super) const COMMIT_PIECES: usize = 1_000;
/// How often an execution that has gone on meanwhile is followed before it waits for the next collection.
const FOLLOWED_MAX: usize = 4;

/// An execution that holds back the history behind its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Holder {
    /// Where its history begins.
    pub(in crate::engine) first: Offset,
    /// Its events; it has no more pieces than that.
    pub(in crate::engine) events: u64,
    pub(in crate::engine) key: Key,
}

/// Those of a shard's executions that are worth carrying to the end of the stream: the oldest ones, as long as each few
/// more of them leave twice as much free as they have.
pub(in crate::engine) fn worth(mut holders: Vec<Holder>, end: Offset) -> Vec<Holder> {
    holders.sort_unstable();
    // What those that are not chosen yet cost, and from where on they hold back.
    let (mut cost, mut from) = (0_u64, holders.first().map_or(end, |oldest| oldest.first));
    let mut count = 0;
    for (place, holder) in holders.iter().enumerate() {
        cost = cost.saturating_add(holder.events.saturating_mul(2));
        let next = holders.get(place + 1).map_or(end, |next| next.first);
        if u64::try_from(next - from).is_ok_and(|free| cost <= free) {
            (cost, from, count) = (0, next, place + 1);
        }
    }
    holders.truncate(count);
    holders
}

impl Inner {
    /// Copies an execution's history to the end of its stream, in commits of at most `pieces_max` pieces, and lets its
    /// head name the copies, durably. False where it went on faster than it was followed. Waits for its shard: not for
    /// async threads.
    ///
    /// # Errors
    /// `HW-WORK-034` when the engine stops or the log refuses, `HW-WORK-036` for history that cannot be read.
    pub(in crate::engine) fn carry(&self, key: &Key, pieces_max: usize) -> Result<bool, Problem> {
        let shard = rows::shard_of(key);
        let stream = Name::new(journal::STREAM)?;
        // The newest piece that is copied, and where the first and the last copy are.
        let (mut known, mut copied): (i64, Option<(i64, i64)>) = (-1, None);
        for _ in 0..FOLLOWED_MAX {
            let row = self.row(key, Tag::Head, &[], View::Durable);
            let Some(row) = row else { return Ok(true) };
            let head = Head::decode(&row)?;
            let id = head.id();
            let reader = Reader { log: &*self.log, stream: &stream, shard, id: &id, fetch: &codec::nowhere };
            let mut offsets = Vec::new();
            let mut at = head.last;
            while at >= 0 && at != known {
                offsets.push(at);
                at = reader.find(at)?.previous;
            }
            if at != known {
                // It is another execution of the same name by now.
                return Ok(false);
            }
            offsets.reverse();
            for some in offsets.chunks(pieces_max.max(1)) {
                copied = Some(self.copy(&reader, some, copied)?);
            }
            known = head.last;
            let Some(to) = copied else { return Ok(true) };
            let (reply, answer) = oneshot::channel();
            self.push(shard, Command::Carried { key: *key, from: (head.first, head.last), to, reply });
            if answer.blocking_recv().map_err(|_| port::stopping())?? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Copies some pieces behind those that are copied already; answers where all of the copies begin and end.
    fn copy(&self, reader: &Reader<'_>, offsets: &[i64], copied: Option<(i64, i64)>) -> Result<(i64, i64), Problem> {
        let (mut placed, mut copies, mut bytes) = (copied, Vec::new(), 0);
        for (place, offset) in offsets.iter().enumerate() {
            let piece = reader.find(*offset)?;
            bytes += piece.value.len();
            // Not a slice of what was read, which would hold all of it.
            copies.push(Copied { time_ms: piece.time_ms, value: Bytes::copy_from_slice(&piece.value) });
            if bytes < COMMIT_BYTES && place + 1 < offsets.len() {
                continue;
            }
            let previous = placed.map_or(-1, |(_, last)| last);
            let (reply, answer) = oneshot::channel();
            let (id, copies) = (reader.id.to_owned(), std::mem::take(&mut copies));
            self.push(reader.shard, Command::Copy { id, previous, copies, reply });
            let (first, last) = answer.blocking_recv().map_err(|_| port::stopping())??;
            placed = Some((placed.map_or(first, |(first, _)| first), last));
            bytes = 0;
        }
        placed.ok_or_else(port::stopping)
    }
}

#[cfg(test)]
mod tests;
