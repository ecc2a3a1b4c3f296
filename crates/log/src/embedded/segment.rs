//! A partition's segment file: batches as sent, from a base offset on, with a sparse index in memory.
//!
//! ```text
//! <base offset, 20 digits>.log   batches, back to back
//! <base offset, 20 digits>.idx   "HWINDEX1" | crc32c u32 | length u64 | next i64 | newest time i64 | opened i64 |
//!                                { offset i64 | place u64 | newest time before i64 } ...
//! ```
//! What it is NOT: trusted beyond what a checkpoint names. The index is only a help: when it is missing, damaged or
//! behind, the headers are read instead.

use std::io;
use std::path::{Path, PathBuf};

use headwater_base::Micros;
use headwater_store::disk::{Disk, DiskFile};
use headwater_wire::batch::{HEADER_BYTES, Header};

use crate::Offset;

/// Bytes of batches for each index entry.
const INDEX_BYTES: u64 = 64 << 10;
/// Bytes read at a time when headers are read.
const SCAN_BYTES: usize = 1 << 20;
const MAGIC: &[u8; 8] = b"HWINDEX1";
const HEAD_BYTES: usize = 44;

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub base: Offset,
    /// Bytes that are filed.
    pub length: u64,
    /// One past the last record.
    pub next: Offset,
    /// The newest record time, in milliseconds.
    pub newest_ms: i64,
    /// When it was begun.
    pub opened: Micros,
    pub index: Vec<Entry>,
}

/// An index entry: the batch at `place` begins with `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub offset: Offset,
    pub place: u64,
    /// The newest record time in all batches before, in milliseconds.
    pub newest_before_ms: i64,
}

impl Segment {
    pub fn new(base: Offset, opened: Micros) -> Self {
        Self { base, length: 0, next: base, newest_ms: i64::MIN, opened, index: Vec::new() }
    }

    pub fn log_path(folder: &Path, base: Offset) -> PathBuf {
        folder.join(format!("{base:020}.log"))
    }

    pub fn index_path(folder: &Path, base: Offset) -> PathBuf {
        folder.join(format!("{base:020}.idx"))
    }

    /// Takes note of a batch that follows the ones before.
    pub fn note(&mut self, first: Offset, last: Offset, newest_ms: i64, bytes: u64) {
        if self.index.last().is_none_or(|entry| self.length - entry.place >= INDEX_BYTES) {
            self.index.push(Entry { offset: first, place: self.length, newest_before_ms: self.newest_ms });
        }
        self.length += bytes;
        self.next = last + 1;
        self.newest_ms = self.newest_ms.max(newest_ms);
    }

    /// A place at or before the batch that holds `offset`, or the first one behind it.
    pub fn place_of(&self, offset: Offset) -> u64 {
        let behind = self.index.partition_point(|entry| entry.offset <= offset);
        behind.checked_sub(1).and_then(|at| self.index.get(at)).map_or(0, |entry| entry.place)
    }

    /// A place at or before the first batch with a record at or after `time_ms`.
    pub fn place_of_time(&self, time_ms: i64) -> u64 {
        let behind = self.index.partition_point(|entry| entry.newest_before_ms < time_ms);
        behind.checked_sub(1).and_then(|at| self.index.get(at)).map_or(0, |entry| entry.place)
    }

    /// Calls `each` with header and place of the batches from `place` on, until it answers false.
    pub fn scan(
        file: &dyn DiskFile,
        place: u64,
        length: u64,
        each: &mut dyn FnMut(&Header, u64) -> bool,
    ) -> io::Result<u64> {
        let mut window = vec![0; SCAN_BYTES.min(usize::try_from(length.saturating_sub(place)).unwrap_or(SCAN_BYTES))];
        let mut window_at = place;
        let mut filled = 0;
        let mut at = place;
        while at + HEADER_BYTES as u64 <= length {
            let mut within = usize::try_from(at - window_at).unwrap_or(usize::MAX);
            if within.saturating_add(HEADER_BYTES) > filled {
                filled = file.read_at(&mut window, at)?;
                window_at = at;
                within = 0;
            }
            let bytes = window.get(within..filled).unwrap_or_default();
            let Ok(header) = Header::parse(bytes) else { break };
            if at + header.total_bytes() as u64 > length || !each(&header, at) {
                break;
            }
            at += header.total_bytes() as u64;
        }
        Ok(at)
    }

    /// Reads the segment's figures and index: from the index file, and from the headers behind what it knows.
    /// `length` is how much of the file counts.
    pub fn load(disk: &dyn Disk, folder: &Path, base: Offset, length: u64, now: Micros) -> io::Result<Self> {
        let known = Self::read_index(disk, folder, base)?.filter(|known| known.length <= length);
        let mut segment = known.unwrap_or_else(|| Self::new(base, now));
        if segment.length < length {
            let file = disk.open(&Self::log_path(folder, base), false)?;
            let from = segment.length;
            Self::scan(&*file, from, length, &mut |header, _| {
                segment.note(
                    header.base_offset,
                    header.last_offset(),
                    header.max_timestamp,
                    header.total_bytes() as u64,
                );
                true
            })?;
        }
        Ok(segment)
    }

    fn read_index(disk: &dyn Disk, folder: &Path, base: Offset) -> io::Result<Option<Self>> {
        let file = match disk.open(&Self::index_path(folder, base), false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(io::Error::other)?];
        file.read_at(&mut bytes, 0)?;
        Ok(Self::decode_index(base, &bytes))
    }

    /// Writes the index file; it need not be synced.
    pub fn write_index(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        let bytes = self.encode_index();
        let file = disk.open(&Self::index_path(folder, self.base), true)?;
        file.write_at(&bytes, 0)?;
        file.set_len(bytes.len() as u64)
    }

    pub fn encode_index(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + self.index.len() * 24);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.length.to_le_bytes());
        for number in [self.next, self.newest_ms, self.opened.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for entry in &self.index {
            out.extend_from_slice(&entry.offset.to_le_bytes());
            out.extend_from_slice(&entry.place.to_le_bytes());
            out.extend_from_slice(&entry.newest_before_ms.to_le_bytes());
        }
        let crc = checksum(self.base, out.get(12..).unwrap_or_default());
        if let Some(into) = out.get_mut(8..12) {
            into.copy_from_slice(&crc.to_le_bytes());
        }
        out
    }

    pub fn decode_index(base: Offset, bytes: &[u8]) -> Option<Self> {
        let crc = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
        if !bytes.starts_with(MAGIC) || checksum(base, bytes.get(12..)?) != crc {
            return None;
        }
        let number = |at: usize| Some(i64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let entry = |raw: &[u8]| {
            let number = |at: usize| Some(i64::from_le_bytes(raw.get(at..at + 8)?.try_into().ok()?));
            Some(Entry { offset: number(0)?, place: u64::try_from(number(8)?).ok()?, newest_before_ms: number(16)? })
        };
        Some(Self {
            base,
            length: u64::try_from(number(12)?).ok()?,
            next: number(20)?,
            newest_ms: number(28)?,
            opened: Micros(number(36)?),
            index: bytes.get(HEAD_BYTES..)?.chunks(24).map(entry).collect::<Option<_>>()?,
        })
    }
}

fn checksum(base: Offset, bytes: &[u8]) -> u32 {
    use std::hash::Hasher;
    // No CRC here: the index is only a help, and a different sum keeps `crc32c` out of this crate.
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(&base.to_le_bytes());
    hasher.write(bytes);
    let sum = hasher.finish();
    (sum ^ (sum >> 32)) as u32
}

/// Fowler-Noll-Vo 1a, 64 bits.
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The base offsets of the segment files in a folder, in order.
pub(super) fn bases(disk: &dyn Disk, folder: &Path) -> io::Result<Vec<Offset>> {
    let names = disk.files(folder)?;
    let mut bases: Vec<Offset> =
        names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).filter(|base| *base >= 0).collect();
    bases.sort_unstable();
    Ok(bases)
}

/// Removes the files of all segments but those that begin at `kept` (in order), and what an interrupted compaction has
/// left.
pub(super) fn tidy(disk: &dyn Disk, folder: &Path, kept: &[Offset]) -> io::Result<()> {
    let mut names = disk.files(folder)?;
    names.retain(|name| {
        let base = name.strip_suffix(".log").or_else(|| name.strip_suffix(".idx"));
        let base: Option<Offset> = base.and_then(|base| base.parse().ok());
        base.is_some_and(|base| kept.binary_search(&base).is_err()) || name.ends_with(".new")
    });
    if !names.is_empty() {
        // What stands in the place of those that go must not be a rename that is still in memory only.
        disk.sync_dir(folder)?;
    }
    names.iter().try_for_each(|name| disk.remove(&folder.join(name)))
}

#[cfg(test)]
mod tests;
