//! A batch's records, one after the other, as views into its (decompressed) bytes.

use bytes::{Bytes, BytesMut};

use super::header::{self, HEADER_BYTES, Header};
use super::{BatchError, Compression, varint};

/// Bytes of the smallest record: its length, attributes, time, offset, no key, no value, no headers.
const RECORD_BYTES_MIN: usize = 7;

/// One record. Its parts share the batch's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: i64,
    /// Its time in milliseconds since 1970; -1 when the producer gave none.
    pub timestamp: i64,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; None deletes the key in a compacted stream.
    pub value: Option<Bytes>,
    /// Headers, in order; a name may come twice.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// Opens the batch at the front of `batch` for reading. Unpacks at most `decompressed_max` bytes. The checksum is not
/// computed again: the log did that when the batch came in.
///
/// # Errors
/// A malformed header, an unknown compression, a payload that does not unpack or is too large.
pub fn records(batch: &Bytes, decompressed_max: usize) -> Result<Records, BatchError> {
    let header = Header::parse(batch)?;
    let needed = header.total_bytes();
    if needed > batch.len() {
        return Err(BatchError::Truncated { needed, have: batch.len() });
    }
    let payload = header.compression()?.unpack(batch.slice(HEADER_BYTES..needed), decompressed_max)?;
    Ok(Records { header, payload, at: 0, index: 0, from: 0 })
}

/// Iterator over a batch's records. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Records {
    header: Header,
    payload: Bytes,
    at: usize,
    index: i32,
    /// Where the newest record began.
    from: usize,
}

impl Records {
    /// The batch's header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self) -> Result<Record, &'static str> {
        self.from = self.at;
        let mut at = self.at;
        let bytes = self.payload.as_ref();
        let end = record_end(bytes, &mut at)?;
        let inner = bytes.get(..end).ok_or("it ends behind its batch")?;
        at += 1; // attributes: none are assigned
        let timestamp_delta = varint::read_i64(inner, &mut at).ok_or("its time is malformed")?;
        let offset_delta = varint::read_i32(inner, &mut at).ok_or("its offset is malformed")?;
        if !(0..=self.header.last_offset_delta).contains(&offset_delta) {
            return Err("its offset is outside its batch");
        }
        let key = view(&self.payload, inner, &mut at).ok_or("its key is malformed")?;
        let value = view(&self.payload, inner, &mut at).ok_or("its value is malformed")?;
        let count = varint::read_i32(inner, &mut at).and_then(|count| usize::try_from(count).ok());
        // A header takes at least two bytes.
        let count = count
            .filter(|count| *count <= inner.len().saturating_sub(at) / 2)
            .ok_or("its header count is malformed")?;
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let name = view(&self.payload, inner, &mut at).flatten().ok_or("a header's name is malformed")?;
            let value = view(&self.payload, inner, &mut at).ok_or("a header's value is malformed")?;
            headers.push((name, value));
        }
        if at != end {
            return Err("it is longer than its parts");
        }
        self.at = end;
        let timestamp = if self.header.is_append_time() {
            self.header.max_timestamp
        } else {
            self.header.base_timestamp.saturating_add(timestamp_delta)
        };
        let offset = self.header.base_offset.saturating_add(i64::from(offset_delta));
        Ok(Record { offset, timestamp, key, value, headers })
    }
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.header.count {
            if self.at < self.payload.len() {
                self.at = self.payload.len();
                return Some(Err(BatchError::Record {
                    index: self.index,
                    fault: "the batch has more records than it says",
                }));
            }
            return None;
        }
        match self.read() {
            Ok(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            Err(fault) => {
                let index = self.index;
                self.index = self.header.count;
                self.at = self.payload.len();
                Some(Err(BatchError::Record { index, fault }))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, usize::try_from(self.header.count.saturating_sub(self.index)).ok())
    }
}

/// Checks that a batch holds exactly as many records as it says, by their lengths alone. A compressed one is stored as
/// sent and looked into by its readers: it may say what its bytes can become, up to `decompressed_max`.
///
/// # Errors
/// The first record whose length does not fit, or a count that cannot be.
pub fn check_shape(header: &Header, batch: &[u8], decompressed_max: usize) -> Result<(), BatchError> {
    let compression = header.compression()?;
    let needed = header.total_bytes();
    let payload = batch.get(HEADER_BYTES..needed).ok_or(BatchError::Truncated { needed, have: batch.len() })?;
    if compression != Compression::None {
        let unpacked_max = payload.len().saturating_mul(compression.growth_max()).min(decompressed_max);
        let Header { count, last_offset_delta, .. } = *header;
        return if usize::try_from(count).is_ok_and(|count| count <= unpacked_max / RECORD_BYTES_MIN) {
            Ok(())
        } else {
            Err(BatchError::Count { count, last_offset_delta })
        };
    }
    let mut at = 0;
    for index in 0..header.count {
        at = record_end(payload, &mut at).map_err(|fault| BatchError::Record { index, fault })?;
    }
    if at == payload.len() {
        return Ok(());
    }
    Err(BatchError::Record { index: header.count, fault: "the batch has more records than it says" })
}

/// The batch without the records that `keep` refuses; offsets, times, producer and compression stay as they were.
/// None when no record is left.
///
/// # Errors
/// As [`records`] and its iterator.
pub fn retain(
    batch: &Bytes,
    decompressed_max: usize,
    mut keep: impl FnMut(&Record) -> bool,
) -> Result<Option<BytesMut>, BatchError> {
    let mut reader = records(batch, decompressed_max)?;
    let mut header = reader.header;
    let mut out = BytesMut::zeroed(HEADER_BYTES);
    let mut count = 0;
    while let Some(record) = reader.next() {
        if keep(&record?) {
            out.extend_from_slice(reader.payload.get(reader.from..reader.at).unwrap_or_default());
            count += 1;
        }
    }
    if count == 0 {
        return Ok(None);
    }
    header.count = count;
    Ok(Some(close(header, out)))
}

/// Packs the records that stand behind a gap of [`HEADER_BYTES`] in `out` as `header` says, and writes it.
pub(super) fn close(mut header: Header, mut out: BytesMut) -> BytesMut {
    let compression = header.compression().unwrap_or_default();
    match out.get(HEADER_BYTES..).and_then(|plain| compression.pack(plain)) {
        Some(packed) => {
            out.truncate(HEADER_BYTES);
            out.extend_from_slice(&packed);
        }
        None => header.attributes &= !header::COMPRESSION_MASK,
    }
    header.length = i32::try_from(out.len() - 12).unwrap_or(i32::MAX);
    header::write(&mut out, &header);
    let total = out.len();
    header::seal(&mut out, total);
    out
}

/// Reads a record's length at `at`, moves `at` behind it, and answers where the record ends.
fn record_end(bytes: &[u8], at: &mut usize) -> Result<usize, &'static str> {
    let length =
        varint::read_i32(bytes, at).and_then(|length| usize::try_from(length).ok()).ok_or("its length is malformed")?;
    let end = at.checked_add(length).filter(|end| *end <= bytes.len()).ok_or("it ends behind its batch")?;
    Ok(end)
}

/// Reads a length and that many bytes; a length of -1 stands for none.
fn view(payload: &Bytes, inner: &[u8], at: &mut usize) -> Option<Option<Bytes>> {
    let length = varint::read_i32(inner, at)?;
    if length == -1 {
        return Some(None);
    }
    let from = *at;
    let end = from.checked_add(usize::try_from(length).ok()?).filter(|end| *end <= inner.len())?;
    *at = end;
    Some(Some(payload.slice(from..end)))
}
