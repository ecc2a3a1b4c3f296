//! Bytes of a segment file: a header page, then groups of frames, each beginning at a page boundary.
//!
//! ```text
//! page 0   "HWWAL001" | number u64 | first sequence u64 | crc32c of the bytes before
//! group    "HWGR" u32 | crc32c u32 | bytes u32 | frames u32 | first sequence u64 | { bytes u32 | payload } ...
//! ```
//! All numbers are little endian. `bytes` counts from the group's start. The checksum covers the segment's number and
//! everything of the group behind the checksum: what a file held in its former life never passes for new.
//! A group without frames says that the log was closed in order.

/// Groups and the header begin at multiples of this.
pub const PAGE_BYTES: usize = 4096;
/// Bytes before a group's first frame.
pub(super) const GROUP_HEADER_BYTES: usize = 24;
/// Bytes before a frame's payload.
pub(super) const FRAME_HEADER_BYTES: usize = 4;
const SEGMENT_MAGIC: &[u8; 8] = b"HWWAL001";
const GROUP_MAGIC: &[u8; 4] = b"HWGR";

/// What page 0 of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Grows with each segment begun, whichever file it lives in.
    pub number: u64,
    /// Sequence of its first frame.
    pub first: u64,
}

/// A group's header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    pub crc: u32,
    pub bytes: u32,
    pub frames: u32,
    pub first: u64,
}

impl SegmentHeader {
    pub fn encode(self) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE_BYTES);
        page.extend_from_slice(SEGMENT_MAGIC);
        page.extend_from_slice(&self.number.to_le_bytes());
        page.extend_from_slice(&self.first.to_le_bytes());
        page.extend_from_slice(&crc32c::crc32c(&page).to_le_bytes());
        page.resize(PAGE_BYTES, 0);
        page
    }

    pub fn decode(page: &[u8]) -> Option<Self> {
        let covered = page.get(..24)?;
        if !covered.starts_with(SEGMENT_MAGIC) || u32_at(page, 24)? != crc32c::crc32c(covered) {
            return None;
        }
        Some(Self { number: u64_at(page, 8)?, first: u64_at(page, 16)? })
    }
}

impl GroupHeader {
    pub fn encode(self) -> [u8; GROUP_HEADER_BYTES] {
        let mut bytes = [0; GROUP_HEADER_BYTES];
        let fields = [&GROUP_MAGIC[..], &self.crc.to_le_bytes(), &self.bytes.to_le_bytes(), &self.frames.to_le_bytes()];
        let all = fields.concat().into_iter().chain(self.first.to_le_bytes());
        bytes.iter_mut().zip(all).for_each(|(into, from)| *into = from);
        bytes
    }

    /// Reads the fields; None unless they can be a group's that ends within `room` bytes.
    pub fn decode(page: &[u8], room: u64) -> Option<Self> {
        if !page.starts_with(GROUP_MAGIC) {
            return None;
        }
        let header = Self {
            crc: u32_at(page, 4)?,
            bytes: u32_at(page, 8)?,
            frames: u32_at(page, 12)?,
            first: u64_at(page, 16)?,
        };
        let least = GROUP_HEADER_BYTES as u64 + u64::from(header.frames) * FRAME_HEADER_BYTES as u64;
        (u64::from(header.bytes) >= least && u64::from(header.bytes) <= room).then_some(header)
    }
}

/// The checksum's start for a segment.
pub(super) fn salt(number: u64) -> u32 {
    crc32c::crc32c(&number.to_le_bytes())
}

/// Whether a whole group's checksum is right.
pub(super) fn intact(header: &GroupHeader, group: &[u8], number: u64) -> bool {
    group.get(8..).is_some_and(|covered| crc32c::crc32c_append(salt(number), covered) == header.crc)
}

/// Calls `each` with the payloads of an intact group; None when lengths do not add up, which the checksum excludes.
pub(super) fn frames<'a>(header: &GroupHeader, group: &'a [u8]) -> Option<Vec<(u64, &'a [u8])>> {
    let mut at = GROUP_HEADER_BYTES;
    let mut found = Vec::with_capacity(header.frames.min(1 << 16) as usize);
    for index in 0..u64::from(header.frames) {
        let bytes = u32_at(group, at)? as usize;
        at += FRAME_HEADER_BYTES;
        found.push((header.first.checked_add(index)?, group.get(at..at.checked_add(bytes)?)?));
        at += bytes;
    }
    (at == group.len()).then_some(found)
}

/// The next page boundary at or behind `at`.
pub(super) const fn page_up(at: u64) -> u64 {
    at.next_multiple_of(PAGE_BYTES as u64)
}

/// The most space that a frame of `bytes` can take, alone in its group.
pub(super) const fn reserved(bytes: usize) -> u64 {
    page_up((bytes + GROUP_HEADER_BYTES + FRAME_HEADER_BYTES) as u64)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
