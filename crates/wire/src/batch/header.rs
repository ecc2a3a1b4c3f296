//! The 61 bytes before a batch's records: parsed, checked and patched in place without touching the rest.

use std::ops::Range;

use headwater_base::Micros;

use super::{BatchError, Compression};

/// Bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;

/// Bytes of base offset and length, which the length field does not count.
const PREFIX_BYTES: usize = 12;
/// The checksum covers everything from here.
const CHECKED_FROM: usize = 21;

const AT_LEADER_EPOCH: usize = 12;
const AT_CRC: usize = 17;
const AT_ATTRIBUTES: usize = 21;
const AT_MAX_TIMESTAMP: usize = 35;

pub(super) const COMPRESSION_MASK: i16 = 0x07;
pub(super) const APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
pub(super) const CONTROL: i16 = 0x20;

/// A batch's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes behind this field.
    pub length: i32,
    /// Epoch of the leader that took it.
    pub leader_epoch: i32,
    /// The format, 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Compression and flags.
    pub attributes: i16,
    /// Offset of the last record, from the first.
    pub last_offset_delta: i32,
    /// Time of the first record, in milliseconds; the records' times count from it.
    pub base_timestamp: i64,
    /// The largest time, in milliseconds.
    pub max_timestamp: i64,
    /// The idempotent producer, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Its number of the first record, or -1.
    pub base_sequence: i32,
    /// Records in the batch.
    pub count: i32,
}

impl Header {
    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// Too few bytes, another format, or lengths and counts that cannot be. The checksum is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let truncated = BatchError::Truncated { needed: HEADER_BYTES, have: bytes.len() };
        let raw: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(truncated)?;
        let header = Self {
            base_offset: i64::from_be_bytes(field(raw, 0)),
            length: i32::from_be_bytes(field(raw, 8)),
            leader_epoch: i32::from_be_bytes(field(raw, AT_LEADER_EPOCH)),
            magic: i8::from_be_bytes(field(raw, 16)),
            crc: u32::from_be_bytes(field(raw, AT_CRC)),
            attributes: i16::from_be_bytes(field(raw, AT_ATTRIBUTES)),
            last_offset_delta: i32::from_be_bytes(field(raw, 23)),
            base_timestamp: i64::from_be_bytes(field(raw, 27)),
            max_timestamp: i64::from_be_bytes(field(raw, AT_MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(field(raw, 43)),
            producer_epoch: i16::from_be_bytes(field(raw, 51)),
            base_sequence: i32::from_be_bytes(field(raw, 53)),
            count: i32::from_be_bytes(field(raw, 57)),
        };
        if header.magic != 2 {
            return Err(BatchError::Magic(header.magic));
        }
        if usize::try_from(header.length).is_ok_and(|length| length >= HEADER_BYTES - PREFIX_BYTES) {
            if header.count < 0
                || header.last_offset_delta < 0
                || header.count > header.last_offset_delta.saturating_add(1)
            {
                let Self { count, last_offset_delta, .. } = header;
                return Err(BatchError::Count { count, last_offset_delta });
            }
            return Ok(header);
        }
        Err(BatchError::Length(header.length))
    }

    /// Checks the batch that begins at the front of `bytes` against this header of it: enough bytes, right checksum.
    ///
    /// # Errors
    /// `Truncated` or `Checksum`.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), BatchError> {
        let needed = self.total_bytes();
        let checked = bytes.get(CHECKED_FROM..needed).ok_or(BatchError::Truncated { needed, have: bytes.len() })?;
        let computed = crc32c::crc32c(checked);
        if computed == self.crc { Ok(()) } else { Err(BatchError::Checksum { stated: self.crc, computed }) }
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// A number that stands for nothing.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::of(self.attributes & COMPRESSION_MASK)
    }

    /// Whether the batch carries a transaction's end instead of records.
    pub const fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether the batch is part of a transaction.
    pub const fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the records' time is that of their arrival.
    pub const fn is_append_time(&self) -> bool {
        self.attributes & APPEND_TIME != 0
    }

    /// Whether the batch is as a producer makes it: at least one record, and an offset for each without gaps.
    pub const fn is_dense(&self) -> bool {
        self.count > 0 && self.count == self.last_offset_delta.saturating_add(1)
    }

    /// Offset of the last record.
    pub const fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(self.last_offset_delta as i64)
    }

    /// Bytes of the whole batch, header included.
    pub const fn total_bytes(&self) -> usize {
        // `parse` refuses lengths below 49.
        self.length.unsigned_abs() as usize + PREFIX_BYTES
    }
}

/// Batches that stand back to back in `bytes`, each with the range of its bytes. Ends after the first error; a cut-off
/// last batch is one.
pub const fn split(bytes: &[u8]) -> Split<'_> {
    Split { bytes, at: 0 }
}

/// What [`split`] returns.
#[derive(Clone, Debug)]
pub struct Split<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Split<'_> {
    type Item = Result<(Header, Range<usize>), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let header = match Header::parse(rest) {
            Ok(header) if header.total_bytes() <= rest.len() => header,
            Ok(header) => {
                self.at = self.bytes.len();
                return Some(Err(BatchError::Truncated { needed: header.total_bytes(), have: rest.len() }));
            }
            Err(error) => {
                self.at = self.bytes.len();
                return Some(Err(error));
            }
        };
        let range = self.at..self.at + header.total_bytes();
        self.at = range.end;
        Some(Ok((header, range)))
    }
}

/// Writes the base offset into the batch at the front of `batch`; the checksum does not cover it.
pub fn set_base_offset(batch: &mut [u8], offset: i64) {
    put(batch, 0, offset.to_be_bytes());
}

/// Writes the leader epoch into the batch at the front of `batch`; the checksum does not cover it.
pub fn set_leader_epoch(batch: &mut [u8], epoch: i32) {
    put(batch, AT_LEADER_EPOCH, epoch.to_be_bytes());
}

/// Makes `time` the time of every record of the batch at the front of `batch`, and renews the checksum.
pub fn set_append_time(batch: &mut [u8], time: Micros) {
    let Ok(header) = Header::parse(batch) else { return };
    put(batch, AT_ATTRIBUTES, (header.attributes | APPEND_TIME).to_be_bytes());
    put(batch, AT_MAX_TIMESTAMP, time.millis().to_be_bytes());
    seal(batch, header.total_bytes());
}

/// Computes and writes the checksum of the batch in the first `total` bytes.
pub(super) fn seal(batch: &mut [u8], total: usize) {
    let Some(checked) = batch.get(CHECKED_FROM..total) else { return };
    let crc = crc32c::crc32c(checked);
    put(batch, AT_CRC, crc.to_be_bytes());
}

/// Writes every field of `header` but the checksum.
pub(super) fn write(batch: &mut [u8], header: &Header) {
    put(batch, 0, header.base_offset.to_be_bytes());
    put(batch, 8, header.length.to_be_bytes());
    put(batch, AT_LEADER_EPOCH, header.leader_epoch.to_be_bytes());
    put(batch, 16, header.magic.to_be_bytes());
    put(batch, AT_ATTRIBUTES, header.attributes.to_be_bytes());
    put(batch, 23, header.last_offset_delta.to_be_bytes());
    put(batch, 27, header.base_timestamp.to_be_bytes());
    put(batch, AT_MAX_TIMESTAMP, header.max_timestamp.to_be_bytes());
    put(batch, 43, header.producer_id.to_be_bytes());
    put(batch, 51, header.producer_epoch.to_be_bytes());
    put(batch, 53, header.base_sequence.to_be_bytes());
    put(batch, 57, header.count.to_be_bytes());
}

/// `N` bytes of the header; every caller passes a constant place within it.
const fn field<const N: usize>(raw: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    let mut index = 0;
    while index < N {
        out[index] = raw[at + index];
        index += 1;
    }
    out
}

fn put<const N: usize>(batch: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = batch.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}
