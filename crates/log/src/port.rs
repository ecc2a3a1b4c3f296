//! The `Log` port: what every user of the event log may ask of it, whichever engine is below.
//!
//! A log is a set of streams, each split into partitions of record batches, plus named key-value spaces (operator
//! state, consumer groups, resources). One [`Commit`] changes any number of both, atomically: after a crash either
//! all of it is there or nothing is.
//!
//! Two positions matter everywhere. What is *appended* has its offsets and its place in the order; what is *durable*
//! has also been synced. Readers outside see durable data only. A pipeline may read appended data, because its own
//! commit stands behind its input in the same write-ahead log and can never become durable without it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use headwater_base::{Micros, Name};
use headwater_store::state::Space;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::Batches;

/// A partition's record number, from 0. Kafka's offset.
pub type Offset = i64;

/// Place of a commit in the write-ahead log; grows by one with each commit.
pub type Sequence = u64;

/// What a stream's old records come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleanup {
    /// Whole segments go once they are too old or the partition is too large.
    Delete,
    /// The newest record of each key stays.
    Compact,
    /// Both.
    CompactDelete,
}

/// The largest batch that any stream takes: a commit has room for several, and so has whoever reads.
pub const BATCH_BYTES_MAX: u32 = 8 << 20;

/// How a stream is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamConfig {
    /// Number of partitions; can grow, never shrink.
    pub partitions: u32,
    /// Age at which records may go; None keeps them.
    pub retention_ms: Option<i64>,
    /// Size at which a partition's oldest segments go; None does not look at size.
    pub retention_bytes: Option<i64>,
    /// What old records come to.
    pub cleanup: Cleanup,
    /// The largest batch, as sent (Kafka's `max.message.bytes`); at most [`BATCH_BYTES_MAX`].
    pub batch_bytes_max: u32,
    /// A segment file is closed at this size.
    pub segment_bytes: u64,
    /// A segment file is closed at this age.
    pub segment_ms: i64,
    /// How long a deletion marker stays readable in a compacted stream.
    pub delete_retention_ms: i64,
    /// Replaces the producers' timestamps by the time of arrival (Kafka's `LogAppendTime`).
    pub append_time: bool,
}

impl StreamConfig {
    /// Bytes of the largest batch that it takes: of one that is older than [`BATCH_BYTES_MAX`], no more either.
    pub fn batch_bytes(&self) -> usize {
        self.batch_bytes_max.min(BATCH_BYTES_MAX) as usize
    }
}

/// A stream as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The name; also the Kafka topic.
    pub name: Name,
    /// Differs between a stream and one created later under the same name (Kafka's topic id).
    pub id: u128,
    /// How it is kept.
    pub config: StreamConfig,
    /// Configuration keys the log does not use itself but gives back (Kafka's DescribeConfigs).
    pub extra: Vec<(String, String)>,
    /// When it was created.
    pub created: Micros,
}

/// Record batches for one partition.
#[derive(Debug)]
pub struct Append {
    /// The stream.
    pub stream: Name,
    /// The partition.
    pub partition: u32,
    /// One or more whole RecordBatch v2, back to back; the log writes base offset, leader epoch and, where the stream says
    /// so, the time of arrival into them. The log keeps this memory as long as it keeps the batches: they are not to be
    /// a small part of something large.
    pub batches: BytesMut,
}

/// One key's new value in a space; None deletes the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Option<Bytes>,
}

/// Everything that becomes true at once.
#[derive(Debug, Default)]
pub struct Commit {
    /// Records.
    pub appends: Vec<Append>,
    /// State: space -> its changes, later ones of the same key winning.
    pub deltas: Vec<(Arc<str>, Vec<Delta>)>,
    /// Refused with [`LogError::Fenced`] unless this owner's epoch is the newest handed out by [`Log::fence`].
    pub fence: Option<(Name, u64)>,
    /// Refused with [`LogError::Moved`] unless these partitions end here, and with [`LogError::Repeated`] where an
    /// idempotent producer sent it before: for what was decided by looking at all that is appended.
    pub ends: Vec<(Name, u32, Offset)>,
    /// What it says frees space, as a deletion does: it may use what an almost full disk has kept for that.
    pub frees: bool,
}

impl Commit {
    /// The streams that it appends to, as [`Log::room`] is asked.
    pub fn streams(&self) -> Vec<&str> {
        self.appends.iter().map(|append| append.stream.as_str()).collect()
    }
}

/// Where an [`Append`] landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Offset of the first record.
    pub first: Offset,
    /// Offset of the last record.
    pub last: Offset,
    /// The time written into the batches, if the stream keeps the time of arrival.
    pub append_time: Option<Micros>,
    /// The partition's first offset at that moment.
    pub log_start: Offset,
    /// An idempotent producer sent it before: nothing was written, these are the first sending's offsets.
    pub duplicate: bool,
}

/// A commit that has its place in the order and is on its way to the disk.
#[derive(Debug)]
pub struct Ticket {
    /// Its place.
    pub sequence: Sequence,
    /// Where its appends landed, in their order.
    pub placed: Vec<Placed>,
}

/// The ends of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The first offset that can be read.
    pub start: Offset,
    /// One past the last durable record (Kafka's high watermark).
    pub durable: Offset,
    /// One past the last record not part of an open transaction (Kafka's last stable offset); `durable` for now.
    pub stable: Offset,
    /// One past the last appended record.
    pub appended: Offset,
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Everything that has its place: only for readers whose effects go through [`Log::append`].
    Appended,
    /// What has been synced.
    Durable,
}

/// What a read found: whole batches, the first of which may begin before the wanted offset.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The batches.
    pub batches: Batches,
    /// The partition's ends at that moment.
    pub ends: Ends,
}

/// Why the log refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There is no such stream.
    #[error("no stream `{0}`")]
    UnknownStream(String),
    /// The stream has no such partition.
    #[error("stream `{0}` has no partition {1}")]
    UnknownPartition(Name, u32),
    /// A stream of that name exists.
    #[error("stream `{0}` exists already")]
    StreamExists(Name),
    /// A configuration that cannot be, in words.
    #[error("{0}")]
    Config(String),
    /// The offset lies outside what can be read.
    #[error("offset {wanted} is outside {start}..={end}")]
    OffsetOutOfRange {
        /// Asked for.
        wanted: Offset,
        /// First readable.
        start: Offset,
        /// One past the last.
        end: Offset,
    },
    /// A batch with a wrong checksum, length or count, in words.
    #[error("corrupt batch: {0}")]
    CorruptBatch(String),
    /// A batch that only this stream refuses, such as a record without key in a compacted stream.
    #[error("invalid record: {0}")]
    InvalidRecord(String),
    /// A batch over the stream's limit.
    #[error("batch of {bytes} bytes; the limit of this stream is {limit}")]
    BatchTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A producer's sequence number is not the next one (Kafka error 45).
    #[error("producer {producer}: sequence {got} is not {wanted}")]
    OutOfOrderSequence {
        /// The producer id.
        producer: i64,
        /// Sent.
        got: i32,
        /// Due.
        wanted: i32,
    },
    /// A producer's epoch is older than one seen (Kafka error 47).
    #[error("producer {0}: epoch {1} is fenced")]
    ProducerFenced(i64, i16),
    /// A newer owner has taken over.
    #[error("`{0}` at epoch {1} is fenced by a newer owner")]
    Fenced(Name, u64),
    /// A partition does not end where the commit was decided; look at it again and decide anew.
    #[error("partition {1} of stream `{0}` ends at {2}")]
    Moved(Name, u32, Offset),
    /// An idempotent producer sent the records of a decided commit before.
    #[error("the records were appended before")]
    Repeated,
    /// Too much is unsynced; wait for [`Log::room`] and append again. Nothing was written.
    #[error("{0} bytes wait to be synced, which is the limit")]
    Full(usize),
    /// A bound of `Limits` is reached, in words.
    #[error("{0}")]
    Limit(String),
    /// The disk refused, in words. After a failed sync the process ends instead.
    #[error("disk: {0}")]
    Disk(String),
    /// The log has been closed.
    #[error("the log is closed")]
    Closed,
}

/// The event log.
///
/// What answers with a future waits for room by itself, and answers once it is durable. Until it is polled nothing
/// happens; dropped halfway, it may have happened.
pub trait Log: Send + Sync {
    /// Creates a stream.
    fn create(
        &self,
        name: Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>>;

    /// Changes a stream's configuration or grows its partitions.
    fn alter(
        &self,
        name: &Name,
        config: StreamConfig,
        extra: Vec<(String, String)>,
    ) -> BoxFuture<'_, Result<Arc<Stream>, LogError>>;

    /// Deletes a stream with its records.
    fn delete(&self, name: &Name) -> BoxFuture<'_, Result<(), LogError>>;

    /// One stream, if there is one of that name.
    fn stream(&self, name: &str) -> Option<Arc<Stream>>;

    /// All streams, by name.
    fn streams(&self) -> Vec<Arc<Stream>>;

    /// Gives a commit its place: checks it, assigns offsets, hands it to the writer. Never waits for the disk.
    /// Readers with [`View::Appended`] see it at once, all others after [`Log::durable`].
    ///
    /// An accepted commit's batches are the log's: they are taken out of it, not copied. Of a refused one nothing is
    /// taken, so that it can be tried again after [`LogError::Full`].
    ///
    /// # Errors
    /// Nothing has been written then, of any part.
    fn append(&self, commit: &mut Commit) -> Result<Ticket, LogError>;

    /// Resolves when everything up to and including `sequence` is durable and visible.
    fn durable(&self, sequence: Sequence) -> BoxFuture<'_, Result<(), LogError>>;

    /// Resolves when [`Log::append`] has room again after [`LogError::Full`], for a commit that appends to `streams`
    /// ([`Commit::streams`]): what another stream waits for holds up nobody else.
    fn room(&self, streams: &[&str]) -> BoxFuture<'_, ()>;

    /// Reads whole batches from the one that holds `from`, up to about `bytes_max` but always at least one. Empty
    /// at the end. Reads memory or a file of this machine: call it where a few milliseconds do not hurt.
    fn read(
        &self,
        stream: &Name,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        view: View,
    ) -> Result<Fetched, LogError>;

    /// [`Log::read`] where memory has what is wanted, which takes microseconds; None where a file would have to be read.
    fn read_in_memory(
        &self,
        stream: &Name,
        partition: u32,
        from: Offset,
        bytes_max: usize,
        view: View,
    ) -> Result<Option<Fetched>, LogError>;

    /// The ends of a partition.
    fn ends(&self, stream: &Name, partition: u32) -> Result<Ends, LogError>;

    /// The first record at or after `time`, with its own time; None when there is none. Reads files and unpacks batches.
    fn find_time(&self, stream: &Name, partition: u32, time: Micros) -> Result<Option<(Offset, Micros)>, LogError>;

    /// The first record with the largest time of all, with that time; None when there is no record. Reads files and
    /// unpacks batches.
    fn newest(&self, stream: &Name, partition: u32) -> Result<Option<(Offset, Micros)>, LogError>;

    /// Makes everything before `offset` unreadable, and answers the new start.
    fn trim(&self, stream: &Name, partition: u32, offset: Offset) -> BoxFuture<'_, Result<Offset, LogError>>;

    /// Notifies `waiter` once, as soon as the end under `view` is above `after` (now, if it is already), or when the
    /// stream goes away. Register before reading to miss nothing.
    fn wake_after(
        &self,
        stream: &Name,
        partition: u32,
        after: Offset,
        view: View,
        waiter: &Arc<Notify>,
    ) -> Result<(), LogError>;

    /// The value of a key in a space.
    fn get(&self, space: &str, key: &[u8], view: View) -> Option<Bytes> {
        let mut found = None;
        self.look(space, key, view, &mut |value| found = value.map(Bytes::copy_from_slice));
        found
    }

    /// Shows the value of a key in a space to `seen`, once, in its place: for hot paths that only read it. It runs under
    /// the lock of the key's part of the space, where commits wait for it, so it must be short and must not ask the log.
    fn look(&self, space: &str, key: &[u8], view: View, seen: &mut dyn FnMut(Option<&[u8]>));

    /// A space, if it is there: for who looks into it again and again, and would have it found by its name each time.
    fn space(&self, name: &str) -> Option<FoundSpace>;

    /// Says which keys of which spaces will be looked at next, so that memory is waited for once and not for each of
    /// them. A hint: it changes nothing and waits for nobody.
    fn foresee(&self, keys: &[(&str, &[u8])]);

    /// Keys and durable values of a space whose key begins with `prefix`, in key order, from behind `after`, at most
    /// `count`. Meant for start-up, listings and tools, not for hot paths.
    fn scan(&self, space: &str, prefix: &[u8], after: Option<&[u8]>, count: usize) -> Vec<(Bytes, Bytes)>;

    /// Calls `each` with every durable key and value of a space, in no order; for an operator restoring its state.
    fn for_each(&self, space: &str, each: &mut dyn FnMut(&[u8], &[u8]));

    /// Calls `each` with every key and newest value in one of the [`SPACE_PARTS`] parts of a space, counted from 0, in no
    /// order: for who goes through a space a bit at a time. The part is locked meanwhile, and commits wait for it.
    fn for_part(&self, space: &str, part: u32, each: &mut dyn FnMut(&[u8], &[u8]));

    /// Bytes that a space takes in memory, with all overhead; 0 where there is none. Locks each part of it once.
    fn space_bytes(&self, space: &str) -> u64;

    /// Deletes a whole space.
    fn drop_space(&self, space: &str) -> BoxFuture<'_, Result<(), LogError>>;

    /// Takes over as the one writer of `owner`, shutting out every earlier one.
    fn fence(&self, owner: &Name) -> BoxFuture<'_, Result<u64, LogError>>;

    /// A new id for an idempotent producer, never handed out twice.
    fn producer_id(&self) -> BoxFuture<'_, Result<i64, LogError>>;

    /// Figures for metrics and `doctor`: name -> value, names as in `hw_log_*` without the prefix.
    fn figures(&self) -> Vec<(&'static str, f64)>;
}

/// A space that [`Log::space`] has found.
#[derive(Clone, Debug)]
pub struct FoundSpace(Arc<Space>);

impl FoundSpace {
    pub(crate) const fn new(space: Arc<Space>) -> Self {
        Self(space)
    }

    /// Whether it has been dropped since: what has its name now, if anything, is another space.
    pub fn is_dropped(&self) -> bool {
        self.0.is_dropped()
    }

    /// Shows the value of a key to `seen`, as [`Log::look`].
    pub fn look(&self, key: &[u8], view: View, seen: &mut dyn FnMut(Option<&[u8]>)) {
        match view {
            View::Appended => self.0.look(key, seen),
            View::Durable => self.0.look_durable(key, seen),
        }
    }
}

/// Parts of a space; see [`Log::for_part`].
pub const SPACE_PARTS: u32 = headwater_store::state::PARTS;

/// How long a writer that waits for a disk pauses after [`LogError::Disk`] before it tries again.
pub const DISK_RETRY: Duration = Duration::from_millis(250);

/// Appends a commit as soon as there is room for it.
///
/// # Errors
/// What [`Log::append`] says, but for [`LogError::Full`].
pub async fn append_when_room(log: &dyn Log, commit: &mut Commit) -> Result<Ticket, LogError> {
    loop {
        match log.append(commit) {
            Err(LogError::Full(_)) => log.room(&commit.streams()).await,
            other => return other,
        }
    }
}

/// Appends a commit as soon as there is room for it, and waits until it is durable.
///
/// # Errors
/// What [`append_when_room`] and [`Log::durable`] say.
pub async fn append_durable(log: &dyn Log, commit: &mut Commit) -> Result<Ticket, LogError> {
    let ticket = append_when_room(log, commit).await?;
    log.durable(ticket.sequence).await.map(|()| ticket)
}
