//! What a micro-batch writes to streams, gathered as record batches for one commit.
//!
//! Keys choose the partition as Kafka's clients do; records without a key stay on one partition for a whole
//! micro-batch, then move on, so that they share batches.

use bytes::BytesMut;
use headwater_base::Name;
use headwater_base::partition::partition_of;
use headwater_wire::batch::{Builder, Compression};

use crate::port::{Append, Cleanup, Log, LogError};

/// A stream of an outbox, by its number.
pub type Target = usize;

/// Why a stream takes a record not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is over the stream's limit.
    Oversize {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It has no key, and the stream is compacted by key.
    NoKey,
}

/// Room for a record's framing, generous.
const RECORD_OVERHEAD_BYTES: usize = 32;
/// Room for a header's framing, generous.
const HEADER_OVERHEAD_BYTES: usize = 8;

/// A batch is closed at this size, so that readers get along with small buffers.
const BATCH_BYTES: usize = 256 * 1024;

/// Records on their way into a commit.
#[derive(Default)]
pub struct Outbox {
    streams: Vec<Open>,
    records: usize,
}

struct Open {
    name: Name,
    batch_bytes_max: usize,
    compacted: bool,
    sticky: u32,
    partitions: Vec<Partition>,
}

#[derive(Default)]
struct Partition {
    done: Vec<BytesMut>,
    builder: Option<Builder>,
    /// Bytes of each batch of the commit before: those of the next one begin with room for about as much.
    before: Vec<usize>,
}

impl Outbox {
    /// An outbox to these streams, numbered in their order.
    ///
    /// # Errors
    /// [`LogError::UnknownStream`].
    pub fn open(log: &dyn Log, names: &[Name]) -> Result<Self, LogError> {
        let mut outbox = Self::default();
        names.iter().try_for_each(|name| outbox.add(log, name).map(drop))?;
        Ok(outbox)
    }

    /// Adds a stream behind those there are.
    ///
    /// # Errors
    /// [`LogError::UnknownStream`].
    pub fn add(&mut self, log: &dyn Log, name: &Name) -> Result<Target, LogError> {
        let Some(stream) = log.stream(name.as_str()) else { return Err(LogError::UnknownStream(name.to_string())) };
        self.streams.push(Open {
            name: name.clone(),
            batch_bytes_max: stream.config.batch_bytes(),
            compacted: stream.config.cleanup != Cleanup::Delete,
            sticky: 0,
            partitions: (0..stream.config.partitions.max(1)).map(|_| Partition::default()).collect(),
        });
        Ok(self.streams.len() - 1)
    }

    /// Records gathered since the last [`Self::take`].
    pub const fn records(&self) -> usize {
        self.records
    }

    /// Takes everything gathered, for one commit: an append for each batch, so that none is copied behind another.
    pub fn take(&mut self) -> Vec<Append> {
        let mut appends = Vec::new();
        for stream in &mut self.streams {
            let count = u32::try_from(stream.partitions.len()).unwrap_or(1);
            let mut used = false;
            for (partition, slot) in (0_u32..).zip(&mut stream.partitions) {
                let Some(builder) = slot.builder.take() else { continue };
                used = true;
                slot.done.push(builder.finish());
                slot.before.clear();
                slot.before.extend(slot.done.iter().map(BytesMut::len));
                let append = |batches| Append { stream: stream.name.clone(), partition, batches };
                appends.extend(slot.done.drain(..).map(append));
            }
            if used {
                stream.sticky = (stream.sticky + 1) % count;
            }
        }
        self.records = 0;
        appends
    }

    /// Whether the stream takes a record: for who writes several of which all or none are to be written.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn check(
        &self,
        target: Target,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Refused> {
        self.streams.get(target).map_or(Ok(()), |stream| stream.check(key, value, headers).map(drop))
    }

    /// Takes one record; `value` = None deletes the key in a compacted stream.
    ///
    /// # Errors
    /// When the stream would refuse the record; nothing has been taken then.
    pub fn put(
        &mut self,
        target: Target,
        time_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Refused> {
        let Some(stream) = self.streams.get_mut(target) else {
            headwater_base::never!("stream {target} is not in the outbox");
            return Ok(());
        };
        let bytes = stream.check(key, value, headers)?;
        let limit = stream.batch_bytes_max;
        let count = u32::try_from(stream.partitions.len()).unwrap_or(1);
        let partition = key.map_or(stream.sticky, |key| partition_of(key, count));
        let Some(slot) = stream.partitions.get_mut(partition as usize) else { return Ok(()) };
        if let Some(builder) =
            slot.builder.take_if(|builder| builder.bytes() + bytes > limit.min(BATCH_BYTES.max(bytes)))
        {
            slot.done.push(builder.finish());
        }
        // With a little to spare, because what has to grow is copied.
        let room = slot.before.get(slot.done.len()).map_or(0, |before| before + before / 8).max(bytes);
        slot.builder
            .get_or_insert_with(|| Builder::with_capacity(Compression::None, room))
            .push(time_ms, key, value, headers);
        self.records += 1;
        Ok(())
    }
}

impl Open {
    /// The bytes that a record takes, if the stream takes it.
    fn check(&self, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, &[u8])]) -> Result<usize, Refused> {
        let headed: usize = headers.iter().map(|(name, value)| name.len() + value.len() + HEADER_OVERHEAD_BYTES).sum();
        let bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headed + RECORD_OVERHEAD_BYTES;
        let limit = self.batch_bytes_max;
        if bytes + headwater_wire::batch::HEADER_BYTES > limit {
            return Err(Refused::Oversize { bytes, limit });
        }
        if key.is_none() && self.compacted {
            return Err(Refused::NoKey);
        }
        Ok(bytes)
    }
}
