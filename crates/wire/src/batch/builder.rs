//! Builds a batch record by record.

use bytes::{BufMut, BytesMut};

use super::header::{HEADER_BYTES, Header};
use super::{Compression, records, varint};

/// A batch in the making. Records are written once, straight to their place.
#[derive(Debug)]
pub struct Builder {
    out: BytesMut,
    header: Header,
}

impl Builder {
    /// An empty batch.
    pub fn new(compression: Compression) -> Self {
        Self::with_capacity(compression, 4 * 1024)
    }

    /// An empty batch with room for about `bytes` of records.
    pub fn with_capacity(compression: Compression, bytes: usize) -> Self {
        let mut out = BytesMut::with_capacity(HEADER_BYTES + bytes);
        out.put_bytes(0, HEADER_BYTES);
        let header = Header {
            base_offset: 0,
            length: 0,
            leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: compression.number(),
            last_offset_delta: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            count: 0,
        };
        Self { out, header }
    }

    /// Adds a record.
    pub fn push(&mut self, timestamp_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, &[u8])]) {
        if self.header.count == 0 {
            self.header.base_timestamp = timestamp_ms;
            self.header.max_timestamp = timestamp_ms;
        } else {
            self.header.max_timestamp = self.header.max_timestamp.max(timestamp_ms);
        }
        let timestamp_delta = timestamp_ms.saturating_sub(self.header.base_timestamp);
        let offset_delta = i64::from(self.header.count);
        let length = 1
            + varint::size(timestamp_delta)
            + varint::size(offset_delta)
            + part_bytes(key)
            + part_bytes(value)
            + varint::size(signed(headers.len()))
            + headers
                .iter()
                .map(|(name, value)| part_bytes(Some(name.as_bytes())) + part_bytes(Some(value)))
                .sum::<usize>();
        self.out.reserve(length + 5);
        varint::write(&mut self.out, signed(length));
        self.out.put_u8(0);
        varint::write(&mut self.out, timestamp_delta);
        varint::write(&mut self.out, offset_delta);
        self.part(key);
        self.part(value);
        varint::write(&mut self.out, signed(headers.len()));
        for (name, value) in headers {
            self.part(Some(name.as_bytes()));
            self.part(Some(value));
        }
        self.header.count += 1;
    }

    /// Records so far.
    pub const fn len(&self) -> usize {
        self.header.count.unsigned_abs() as usize
    }

    /// Whether there is no record yet.
    pub const fn is_empty(&self) -> bool {
        self.header.count == 0
    }

    /// Bytes so far, before compression.
    pub fn bytes(&self) -> usize {
        self.out.len()
    }

    /// Makes it a batch of an idempotent producer; `sequence` is the number of the first record.
    pub const fn producer(&mut self, id: i64, epoch: i16, sequence: i32) -> &mut Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = sequence;
        self
    }

    /// The batch: compressed, lengths and checksum written. The base offset is 0, the log's to set.
    pub fn finish(mut self) -> BytesMut {
        self.header.last_offset_delta = (self.header.count - 1).max(0);
        records::close(self.header, self.out)
    }

    fn part(&mut self, part: Option<&[u8]>) {
        let Some(bytes) = part else { return varint::write(&mut self.out, -1) };
        varint::write(&mut self.out, signed(bytes.len()));
        self.out.extend_from_slice(bytes);
    }
}

fn part_bytes(part: Option<&[u8]>) -> usize {
    part.map_or(1, |bytes| varint::size(signed(bytes.len())) + bytes.len())
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
