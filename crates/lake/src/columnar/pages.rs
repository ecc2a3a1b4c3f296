//! The pages of a Parquet file, whose heads are looked at before they are decoded.
//!
//! A head says how large its page is once it is decompressed, and how many values it has: a few bytes can say a lot of
//! both. So each head is admitted against what a batch may take, and what columns still hold of pages before counts as
//! well. What it is NOT: a decoder. A head that the decoder could read otherwise than it is read here is refused.
//!
//! # Source
//! Apache Parquet, "File Format", `PageHeader`.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::footer::{I32, Left, STRUCT, passed};
use super::{Blob, Onward};

/// The largest page, decompressed or not.
const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The largest page where only decompressing it shows how large it is; no byte of it becomes more than 1,032.
const PACKED_BYTES_MAX: u64 = 1024 * 1024;
/// What a head is usually in, and what it has to be in, with its statistics.
const HEAD_BYTES: [usize; 2] = [4 * 1024, 1024 * 1024];
/// The head of a value that is as long as it likes.
const VALUE_BYTES: u64 = 16;

/// A file of which only pages are read.
pub(super) struct Pages {
    pub(super) blob: Blob,
    pub(super) budget: Arc<Budget>,
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.blob.len()
    }
}

impl ChunkReader for Pages {
    type T = BufReader<Opened>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let onward = Onward { blob: Arc::clone(&self.blob.0), at: start };
        Ok(BufReader::new(Opened { budget: Some(Arc::clone(&self.budget)), onward }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.blob.get_bytes(start, length)
    }
}

/// A head that is about to be read. The decoder opens some that it has read before, and reads nothing then.
pub(super) struct Opened {
    budget: Option<Arc<Budget>>,
    onward: Onward,
}

impl Read for Opened {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(budget) = self.budget.take() {
            budget.admit(&self.onward)?;
        }
        self.onward.read(into)
    }
}

/// What a batch may take.
pub(super) struct Budget {
    chunks: Vec<Chunk>,
    rows: u64,
    bytes_max: u64,
    state: Mutex<State>,
}

/// A column of a row group.
struct Chunk {
    begin: u64,
    end: u64,
    column: usize,
    packing: Compression,
    /// Bytes that each value takes once more, where a row can have any number of them.
    repeated: Option<u64>,
}

#[derive(Default)]
struct State {
    /// Bytes of this batch.
    taken: u64,
    /// By column, the dictionary and the page that it is at.
    held: HashMap<usize, [u64; 2]>,
}

impl Budget {
    /// That of a file which is decoded so many rows at a time.
    ///
    /// # Errors
    /// What is wrong with its columns.
    pub(super) fn new(metadata: &ParquetMetaData, rows: usize, bytes_max: u64) -> Result<Self, String> {
        let mut chunks = Vec::new();
        for group in metadata.row_groups() {
            for (column, chunk) in group.columns().iter().enumerate() {
                let (begin, length) = chunk.byte_range();
                let end = begin.checked_add(length).ok_or("a column ends nowhere")?;
                let column_of = chunk.column_descr();
                let repeated = (column_of.max_rep_level() > 0).then(|| width(column_of.type_length()));
                chunks.push(Chunk { begin, end, column, packing: chunk.compression(), repeated });
            }
        }
        chunks.retain(|chunk| chunk.begin < chunk.end);
        chunks.sort_by_key(|chunk| chunk.begin);
        let mut ends = 0;
        for chunk in &chunks {
            if chunk.begin < ends {
                return Err("its columns lie within each other".to_owned());
            }
            ends = chunk.end;
        }
        Ok(Self { chunks, rows: rows as u64, bytes_max, state: Mutex::default() })
    }

    /// Begins a batch. What columns hold of the last one's pages is taken from it.
    pub(super) fn begin(&self) {
        let mut state = self.state.lock();
        state.taken = state.held.values().flatten().sum();
    }

    fn admit(&self, onward: &Onward) -> io::Result<()> {
        let at = onward.at;
        let refused = |fact: String| io::Error::new(io::ErrorKind::InvalidData, fact);
        let before = self.chunks.partition_point(|chunk| chunk.begin <= at);
        let chunk = before.checked_sub(1).and_then(|index| self.chunks.get(index)).filter(|chunk| at < chunk.end);
        let Some(chunk) = chunk else { return Err(refused(format!("a page at {at} is of no column"))) };
        let mut head = None;
        for length in HEAD_BYTES {
            let mut bytes = vec![0_u8; length];
            let got = onward.blob.read_at(&mut bytes, at)?;
            head = Head::of(bytes.get(..got).unwrap_or_default());
            if head.is_some() {
                break;
            }
        }
        let head = head.ok_or_else(|| refused(format!("the head of the page at {at} is none")))?;
        let bytes_max = match chunk.packing {
            Compression::GZIP(_) | Compression::LZ4 => PACKED_BYTES_MAX,
            Compression::BROTLI(_) => return Err(refused("pages packed by Brotli are not read".to_owned())),
            _ => PAGE_BYTES_MAX,
        };
        if head.unpacked > PAGE_BYTES_MAX || head.packed > bytes_max {
            let fact = format!("the page at {at} has {} bytes, {} unpacked", head.packed, head.unpacked);
            return Err(refused(format!("{fact}; the limits are {bytes_max} and {PAGE_BYTES_MAX}")));
        }
        // Each has a byte, and memory is taken for as many as there are said to be.
        if head.kind == DICTIONARY && head.values > head.bytes() {
            return Err(refused(format!("the dictionary at {at} has more values than bytes")));
        }
        let takes = self.takes(chunk, &head);
        let mut state = self.state.lock();
        state.taken = state.taken.saturating_add(takes);
        if state.taken > self.bytes_max {
            return Err(refused(format!("{} rows have pages of more than {} bytes", self.rows, self.bytes_max)));
        }
        let [dictionary, page] = state.held.entry(chunk.column).or_default();
        if head.kind == DICTIONARY {
            *dictionary = takes;
        } else {
            *page = head.bytes();
        }
        Ok(())
    }

    /// The most that a page's bytes and values take in memory.
    fn takes(&self, chunk: &Chunk, head: &Head) -> u64 {
        if head.kind == DICTIONARY {
            return head.bytes().saturating_add(head.values.saturating_mul(VALUE_BYTES));
        }
        let values = match chunk.repeated {
            Some(width) => head.values.saturating_mul(width),
            None => 0,
        };
        // Values begin as the one before did, so that each can be as long as all of the page.
        let copies = match chunk.repeated {
            _ if head.encoding != DELTA_BYTE_ARRAY => 1,
            Some(_) => head.values.max(1),
            None => head.values.min(self.rows).max(1),
        };
        head.bytes().saturating_mul(copies).saturating_add(values)
    }
}

/// Bytes that a value takes, or the part of it that is not in its page.
pub(super) fn width(type_length: i32) -> u64 {
    u64::try_from(type_length).unwrap_or_default().max(VALUE_BYTES)
}

/// Types of pages.
const DICTIONARY: u64 = 2;
/// Encodings.
const DELTA_BYTE_ARRAY: u64 = 7;

/// What a page says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    kind: u64,
    packed: u64,
    unpacked: u64,
    values: u64,
    encoding: u64,
}

impl Head {
    /// None for what is no head, or not all of one.
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut head = Self::default();
        let mut left = Left(bytes);
        fields(&mut left, |left, id, kind| match (id, kind) {
            (1, I32) => whole(left).map(|it| head.kind = it),
            (2, I32) => whole(left).map(|it| head.unpacked = it),
            (3, I32) => whole(left).map(|it| head.packed = it),
            (5 | 7 | 8, STRUCT) => fields(left, |left, inner, kind| match (id, inner, kind) {
                (_, 1, I32) => whole(left).map(|it| head.values = head.values.max(it)),
                (5, 2, I32) | (8, 4, I32) => whole(left).map(|it| head.encoding = it),
                (_, 1, _) | (5, 2, _) | (8, 4, _) => None,
                _ => passed(left, kind),
            }),
            (1..=3 | 5 | 7 | 8, _) => None,
            _ => passed(left, kind),
        })?;
        Some(head)
    }

    /// What it has in memory. A page that is not packed is as long as it is, whatever its head says.
    fn bytes(&self) -> u64 {
        self.unpacked.max(self.packed)
    }
}

/// Goes through a struct whose fields are in order, as the decoder takes them to be.
fn fields(left: &mut Left<'_>, mut each: impl FnMut(&mut Left<'_>, u8, u8) -> Option<()>) -> Option<()> {
    let mut id = 0_u8;
    loop {
        let head = left.byte()?;
        if head & 15 == 0 {
            return Some(());
        }
        if head >> 4 == 0 {
            return None;
        }
        id = id.checked_add(head >> 4)?;
        each(left, id, head & 15)?;
    }
}

/// A number of 32 bits that is not below zero.
fn whole(left: &mut Left<'_>) -> Option<u64> {
    let number = left.number()?;
    let number = if number & 1 == 0 { number >> 1 } else { return None };
    i32::try_from(number).ok().map(|_| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_all_there_and_as_the_decoder_reads_it() {
        // A page of data: 100 bytes, 60 of them packed, 9 values, dictionary, and levels.
        let head = [0x15, 0, 0x15, 200, 1, 0x15, 120, 0x2c, 0x15, 18, 0x15, 16, 0x15, 6, 0x15, 6, 0, 0];
        let expected = Head { kind: 0, packed: 60, unpacked: 100, values: 9, encoding: 8 };
        assert_eq!(Head::of(&head), Some(expected));
        assert!((0..head.len()).all(|end| Head::of(&head[..end]).is_none()));
        assert_eq!(Head::of(&[0x15, 0, 0x15, 1, 0]), None, "less than nothing");
        assert_eq!(Head::of(&[0x15, 0, 0x18, 1, b'a', 0]), None, "a size that is a text");
        assert_eq!(Head::of(&[0x05, 4, 200, 1, 0]), None, "a field out of order");
    }
}
