//! What goes from time to time: blobs that nobody points to, and the history of executions that are gone.
//!
//! Rows of an ended execution go by their timer, when its workflow's retention time is over or more are kept than
//! `Limits::executions_kept`. This follows them: the history stream is trimmed to the first piece of whatever execution
//! is still there. Where that is old, because its execution runs for a year, it is copied to the stream's end
//! ([`carry`]) and the next collection frees what it held back. What `blob:write` keeps has a name in the bucket
//! [`WRITTEN`] that goes by age.

pub(super) mod carry;

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ahash::HashSet;
use headwater_base::{Micros, Name, Problem};
use headwater_kernel::unit::{awaited, bug};
use headwater_log::Offset;
use headwater_store::blobs::BlobId;

use super::message::Message;
use super::rows::{self, Head, SHARDS, Tag};
use super::{Engine, Inner, journal, refused};
use crate::tasks::WRITTEN;
use carry::Holder;

/// How often.
const EVERY: Duration = Duration::from_secs(3_600);
/// How long after it was put a blob is surely pointed to.
const REST: Duration = Duration::from_secs(600);
/// How long what `blob:write` keeps is kept after it was last written.
const WRITTEN_FOR: Duration = Duration::from_secs(90 * 86_400);

/// What is still wanted.
struct Wanted {
    blobs: HashSet<BlobId>,
    /// Where the first wanted piece of history is, by shard.
    history: Vec<Offset>,
    /// What has history, and where the stream ends, by shard.
    holders: Vec<(Vec<Holder>, Offset)>,
}

impl Engine {
    /// Removes blobs that nobody points to and history that belongs to nobody. Answers how many blobs went.
    ///
    /// # Errors
    /// `HW-WORK-051` when the disk refuses, `HW-WORK-034` when the log does.
    pub async fn collect(&self) -> Result<u64, Problem> {
        let inner = Arc::clone(&self.0);
        let swept = tokio::task::spawn_blocking(move || {
            let wanted = inner.wanted();
            inner.sweep(&wanted).map(|removed| (removed, wanted.history, wanted.holders))
        });
        let broken = |error: io::Error| {
            Problem::new("HW-WORK-051", "the blobs that nobody points to cannot be removed").because(error)
        };
        let swept = swept.await.map_err(|error| broken(io::Error::other(error)))?;
        let (removed, history, holders) = swept.map_err(broken)?;
        let stream = Name::new(journal::STREAM)?;
        for (partition, first) in (0..).zip(history) {
            let start = self.0.log.ends(&stream, partition).map_err(|error| refused(&error))?.start;
            if first > start {
                self.0.log.trim(&stream, partition, first).await.map_err(|error| refused(&error))?;
            }
        }
        let inner = Arc::clone(&self.0);
        let carried = tokio::task::spawn_blocking(move || inner.carry_worthy(holders)).await;
        carried.map_err(|error| Problem::new("HW-WORK-034", error.to_string())).map(|()| removed)
    }
}

impl Inner {
    /// Carries the history of old executions forward, so that the next collection frees what is behind it.
    fn carry_worthy(&self, holders: Vec<(Vec<Holder>, Offset)>) {
        for holder in holders.into_iter().flat_map(|(holders, end)| carry::worth(holders, end)) {
            match self.carry(&holder.key, carry::COMMIT_PIECES) {
                Ok(_) => {}
                Err(problem) if problem.code == "HW-WORK-034" => {
                    tracing::info!(cause = problem.title, "history is not carried forward");
                    return;
                }
                Err(problem) => tracing::warn!(code = problem.code, title = problem.title, "history stays where it is"),
            }
        }
    }

    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted { blobs: HashSet::default(), history: Vec::new(), holders: Vec::new() };
        for shard in 0..SHARDS {
            // Looked at first: an execution that is not among the rows yet begins behind it.
            let partition = u32::try_from(shard).unwrap_or(0);
            let ends = Name::new(journal::STREAM).ok().and_then(|stream| self.log.ends(&stream, partition).ok());
            let end = ends.map_or(0, |ends| ends.durable);
            let (mut first, mut holders) = (end, Vec::new());
            self.log.for_each(&rows::space_of(shard), &mut |row, value| {
                let Some((key, tag, _)) = rows::split(row) else { return };
                if tag == Tag::Blob as u8 {
                    wanted.blobs.extend(<[u8; 32]>::try_from(value).ok().map(BlobId::from));
                } else if tag == Tag::Message as u8 {
                    // Its sender may be gone before it is read.
                    wanted.blobs.extend(Message::blobs(value).into_iter().map(BlobId::from));
                } else if tag == Tag::Head as u8 {
                    // Of a head that cannot be read nothing is known, so nothing goes.
                    let (begins, events) = Head::decode(value).map_or((0, u64::MAX), |head| (head.first, head.events));
                    if begins >= 0 {
                        holders.push(Holder { first: begins, events, key });
                    }
                    first = if begins < 0 { first } else { first.min(begins) };
                }
            });
            wanted.history.push(first);
            wanted.holders.push((holders, end));
        }
        wanted
    }

    fn sweep(&self, wanted: &Wanted) -> io::Result<u64> {
        let Some(blobs) = &self.services.blobs else { return Ok(0) };
        if let Ok(bucket) = Name::new(WRITTEN) {
            let old = |written: Micros| self.clock.now().since(written) > WRITTEN_FOR;
            for named in blobs.list(&bucket, "")?.into_iter().filter(|named| old(named.written)) {
                blobs.unname(&bucket, &named.key)?;
            }
        }
        // Between a blob and the durable row that points to it lies one commit.
        let now = self.clock.elapsed();
        let resting = {
            let mut rested = self.rested.lock();
            let resting = rested.is_none_or(|last| now.saturating_sub(last) >= REST);
            if resting {
                *rested = Some(now);
            }
            resting
        };
        blobs.sweep(resting, &|id| wanted.blobs.contains(id))
    }
}

/// Collects from time to time, until the engine is gone.
pub(super) async fn run(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(inner) = inner.upgrade() else { return };
        let collected = awaited(Engine(inner).collect()).await;
        match collected.unwrap_or_else(|said| Err(bug("the collection of what nobody needs", &said))) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "blobs that nobody points to are gone"),
            Err(problem) => tracing::warn!(code = problem.code, title = problem.title, "nothing is collected"),
        }
    }
}
