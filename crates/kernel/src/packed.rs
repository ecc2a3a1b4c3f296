//! `Packed`: documents by key in as little memory as they need. A million small documents are mostly what is put around
//! them: an allocation each, a key twice, a time, the names of fields over and over.
//!
//! Documents stand one behind the other in segments, each as the values that its text has of its own (`shape`), and are
//! found by an index of four bytes. Segments go round: the oldest gives its room away, and of what stands in it that
//! stays which was asked for since the last time (FIFO with reinsertion, which is CLOCK without pointers). So a flood of
//! keys seen once does not drive out the busy ones.
//!
//! Invariants: what comes out is byte by byte what went in; segments and index have at most `bytes_max` once something
//! has been put in, but for an index that has just grown; a document in the index is in exactly one segment.
//!
//! # Source
//! Rumble, Kejriwal and Ousterhout, "Log-structured memory for DRAM-based storage"; Corbató, "A paging experiment with
//! the Multics system" (CLOCK).

mod shape;

use std::collections::VecDeque;

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashTable;

use shape::{Shape, read_number, write_number, write_value};

/// Two numbers that go with a document; what they mean is for its owner to say.
pub type Marks = [u64; 2];

/// The largest segment: places in one have sixteen bits.
const SEGMENT_BYTES_MAX: usize = 1 << 16;
/// The smallest.
const SEGMENT_BYTES_MIN: usize = 256;
/// A document with more than this part of a segment has one of its own.
const OWN_PART: usize = 4;
/// The largest room, for which there are numbers enough of the largest segments.
const BYTES_MAX: usize = 1 << 30;
/// Numbers of segments have sixteen bits.
const SEGMENTS_MAX: usize = 1 << 16;
/// Shapes that are told apart: a record has seven bits for them.
const SHAPES_MAX: usize = 64;
/// Segments that may stay whole in a row before one gives half of itself away: what one document waits for is bounded.
const WHOLE_MAX: u32 = 4;
/// The place of the shape that every text has.
const WHOLE: usize = 0;

/// What a record begins with: its size (two bytes, 0 = all of its segment), flags, the key's length (two bytes). Behind it
/// stand the key, the two numbers, the values.
const HEAD: usize = 5;
/// What a record has at most around its key and its document's text.
const AROUND_BYTES: usize = 64;
/// Where the flags stand: the shape, and whether somebody has asked for the document.
const FLAGS: usize = 2;
const USED: u8 = 0x80;

/// Documents by key.
#[derive(Debug)]
pub struct Packed {
    hasher: RandomState,
    bytes_max: usize,
    count_max: usize,
    /// Numbers are written as what they differ by from these.
    base: Marks,
    segment_bytes: usize,
    index: HashTable<At>,
    /// By number; empty where a number is free.
    segments: Vec<Vec<u8>>,
    /// The numbers that are not free, oldest first.
    order: VecDeque<u16>,
    free: Vec<u16>,
    /// The segment to which is added.
    open: Option<u16>,
    /// Of all segments.
    segments_bytes: usize,
    shapes: Vec<Shape>,
    /// Lent to each document that is put in.
    shape: Shape,
    values: Vec<u8>,
    record: Vec<u8>,
}

/// Where a record stands: its segment in the upper half, its place there in the lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At(u32);

/// A document that was found.
#[derive(Debug)]
pub struct Held<'a> {
    /// Its numbers.
    pub marks: Marks,
    key: &'a [u8],
    shape: &'a Shape,
    values: &'a [u8],
}

struct Record<'a> {
    /// Bytes of all of it.
    size: usize,
    flags: u8,
    key: &'a [u8],
    body: &'a [u8],
}

impl Held<'_> {
    /// Its text.
    pub fn value(&self) -> Bytes {
        match self.shape.write(self.key, self.values) {
            Some(text) => Bytes::from(text),
            None => {
                headwater_base::never!("values that are not of their shape");
                Bytes::new()
            }
        }
    }
}

impl Packed {
    /// Room for `count_max` documents and `bytes_max` bytes of them, at most 1 GiB. Numbers near `base` need less room.
    pub fn new(bytes_max: usize, count_max: usize, base: Marks) -> Self {
        let bytes_max = bytes_max.min(BYTES_MAX);
        // Small enough that the oldest segment is a small part of all documents.
        let segment_bytes = (bytes_max / 64).min(count_max.saturating_mul(4));
        Self {
            hasher: RandomState::new(),
            bytes_max,
            count_max,
            base,
            segment_bytes: segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            index: HashTable::new(),
            segments: Vec::new(),
            order: VecDeque::new(),
            free: Vec::new(),
            open: None,
            segments_bytes: 0,
            shapes: vec![Shape::whole()],
            shape: Shape::default(),
            values: Vec::new(),
            record: Vec::new(),
        }
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes of segments and index. Shapes, of which there are few, are not counted.
    pub fn bytes(&self) -> usize {
        self.segments_bytes + self.index.allocation_size()
    }

    /// Whether one more document of so many bytes, its key among them, would drive out none.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.len() < self.count_max && self.fits(self.segment_bytes.max(bytes.saturating_add(AROUND_BYTES)))
    }

    /// Whether there is room for one more segment of so many bytes, and a number.
    fn fits(&self, bytes: usize) -> bool {
        self.bytes().saturating_add(bytes) <= self.bytes_max && self.order.len() < SEGMENTS_MAX
    }

    /// Whether there is a document of this key. That alone does not keep it.
    pub fn holds(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The document of a key.
    pub fn get(&mut self, key: &str) -> Option<Held<'_>> {
        let at = self.find(key)?;
        if let Some(flags) = self.segments.get_mut(at.segment()).and_then(|bytes| bytes.get_mut(at.place() + FLAGS)) {
            *flags |= USED;
        }
        let record = record(&self.segments, at)?;
        let (first, rest) = read_number(record.body)?;
        let (second, values) = read_number(rest)?;
        let [a, b] = self.base;
        let marks = [a.wrapping_add(unfold(first)), b.wrapping_add(unfold(second))];
        let shape = self.shapes.get(usize::from(record.flags & !USED))?;
        Some(Held { marks, key: record.key, shape, values })
    }

    /// Puts a document in, in the place of the key's earlier one; says how many others had to go. One that is larger than
    /// a quarter of the room, or whose key is, is not kept.
    pub fn put(&mut self, key: &str, marks: Marks, value: &[u8]) -> u64 {
        let Ok(key_bytes) = u16::try_from(key.len()) else {
            self.remove(key);
            return 0;
        };
        let mut record = self.pack(key, key_bytes, marks, value);
        let mut evicted = 0;
        if record.len() > self.bytes_max / 4 || self.count_max == 0 {
            self.remove(key);
        } else if !self.overwrite(key, &record) {
            self.remove(key);
            let mut tries = 0;
            while self.len() >= self.count_max && !self.order.is_empty() {
                let sifted = self.sift(self.kept(tries), &mut evicted);
                self.open = self.open.or(sifted);
                tries += 1;
            }
            if let Some(at) = self.append(&mut record, &mut evicted) {
                let Self { index, segments, hasher, .. } = self;
                let hash = hasher.hash_one(key.as_bytes());
                index.insert_unique(hash, at, |at| hash_at(hasher, segments, *at));
            }
        }
        if record.capacity() <= SEGMENT_BYTES_MAX {
            self.record = record;
        }
        evicted
    }

    /// Forgets the document of a key.
    pub fn remove(&mut self, key: &str) {
        let Self { index, segments, hasher, .. } = self;
        let hash = hasher.hash_one(key.as_bytes());
        let Ok(entry) = index.find_entry(hash, |at| is_of(segments, *at, key)) else { return };
        let (at, _) = entry.remove();
        if let Some(bytes) = segments.get_mut(at.segment())
            && is_own(bytes)
        {
            self.segments_bytes -= bytes.len();
            *bytes = Vec::new();
            // A look at every number costs no more than a document of that size does.
            if let Some(place) = self.order.iter().position(|number| *number == at.number()) {
                self.order.remove(place);
            }
            self.free.push(at.number());
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.bytes_max, self.count_max, self.base);
    }

    fn find(&self, key: &str) -> Option<At> {
        let hash = self.hasher.hash_one(key.as_bytes());
        self.index.find(hash, |at| is_of(&self.segments, *at, key)).copied()
    }

    /// The record of a document; its size is still to be written.
    fn pack(&mut self, key: &str, key_bytes: u16, marks: Marks, value: &[u8]) -> Vec<u8> {
        let Self { shapes, shape, values, .. } = self;
        let known = if shape.read(value, key.as_bytes(), values) {
            let known = shapes.iter().position(|known| *known == *shape);
            if known.is_none() && shapes.len() < SHAPES_MAX {
                shapes.push(shape.clone());
                Some(shapes.len() - 1)
            } else {
                known
            }
        } else {
            None
        };
        if known.is_none() {
            values.clear();
            write_value(values, value);
        }
        let [a, b] = self.base;
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        record.extend_from_slice(&[0, 0, known.unwrap_or(WHOLE) as u8]);
        record.extend_from_slice(&key_bytes.to_le_bytes());
        record.extend_from_slice(key.as_bytes());
        for (mark, base) in marks.into_iter().zip([a, b]) {
            write_number(&mut record, fold(mark.wrapping_sub(base)));
        }
        record.extend_from_slice(&self.values);
        self.values.clear();
        self.values.shrink_to(SEGMENT_BYTES_MAX);
        record
    }

    /// Puts a record where the key's earlier one stands, if it fits there well: what is written often, such as a counter,
    /// drives out nothing then.
    fn overwrite(&mut self, key: &str, new: &[u8]) -> bool {
        let Some(at) = self.find(key) else { return false };
        let old = record(&self.segments, at).map_or(0, |record| record.size);
        if !(old / 2..=old).contains(&new.len()) {
            return false;
        }
        let place = self.segments.get_mut(at.segment()).and_then(|bytes| bytes.get_mut(at.place()..));
        let place = place.and_then(|bytes| bytes.get_mut(FLAGS..new.len()));
        let (Some(place), Some(new)) = (place, new.get(FLAGS..)) else { return false };
        let used = place.first().map_or(0, |flags| flags & USED);
        place.copy_from_slice(new);
        if let Some(flags) = place.first_mut() {
            *flags |= used;
        }
        true
    }

    /// Finds a place for a record.
    fn append(&mut self, record: &mut [u8], evicted: &mut u64) -> Option<At> {
        let number = if record.len() > self.segment_bytes / OWN_PART {
            while !self.fits(record.len()) && !self.order.is_empty() {
                self.sift(0, evicted);
            }
            self.begin(record.len())?
        } else {
            let size = u16::try_from(record.len()).ok()?;
            if let Some(head) = record.first_chunk_mut() {
                *head = size.to_le_bytes();
            }
            self.with_room(record.len(), evicted)?
        };
        let bytes = self.segments.get_mut(usize::from(number))?;
        let at = At::new(number, bytes.len());
        bytes.extend_from_slice(record);
        Some(at)
    }

    /// A segment with room for a small record.
    fn with_room(&mut self, size: usize, evicted: &mut u64) -> Option<u16> {
        for tries in 0.. {
            let has_room = |number: &u16| {
                let bytes = self.segments.get(usize::from(*number));
                bytes.is_some_and(|bytes| bytes.len() + size <= self.segment_bytes)
            };
            if let Some(open) = self.open.filter(has_room) {
                return Some(open);
            }
            if self.fits(self.segment_bytes) {
                self.open = self.begin(self.segment_bytes);
                return self.open;
            }
            if self.order.is_empty() {
                return None;
            }
            // An index that has grown takes a segment's room.
            let kept = if self.bytes() > self.bytes_max { 0 } else { self.kept(tries) };
            self.open = self.sift(kept, evicted);
        }
        None
    }

    /// How much of the oldest segment may stay, after so many that have gone by.
    const fn kept(&self, tries: u32) -> usize {
        if tries < WHOLE_MAX { self.segment_bytes } else { self.segment_bytes / 2 }
    }

    fn begin(&mut self, bytes: usize) -> Option<u16> {
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                let number = u16::try_from(self.segments.len()).ok()?;
                self.segments.push(Vec::new());
                number
            }
        };
        *self.segments.get_mut(usize::from(number))? = Vec::with_capacity(bytes);
        self.segments_bytes += bytes;
        self.order.push_back(number);
        Some(number)
    }

    /// Makes the oldest segment the newest, with at most `kept` bytes of what was asked for since it was that; the rest
    /// goes, and the segment, too, where nothing stays. Answers the segment.
    fn sift(&mut self, kept: usize, evicted: &mut u64) -> Option<u16> {
        let number = self.order.pop_front()?;
        self.open = self.open.filter(|open| *open != number);
        let mut bytes = std::mem::take(self.segments.get_mut(usize::from(number))?);
        if is_own(&bytes) {
            self.sift_own(number, bytes, evicted);
            return None;
        }
        let (mut from, mut to) = (0, 0);
        while let Some(record) = bytes.get(from..).and_then(parse) {
            let (size, used) = (record.size, record.flags & USED > 0);
            let (hash, at) = (self.hasher.hash_one(record.key), At::new(number, from));
            if let Ok(mut entry) = self.index.find_entry(hash, |other| *other == at) {
                if used && to + size <= kept {
                    bytes.copy_within(from..from + size, to);
                    if let Some(flags) = bytes.get_mut(to + FLAGS) {
                        *flags &= !USED;
                    }
                    *entry.get_mut() = At::new(number, to);
                    to += size;
                } else {
                    entry.remove();
                    *evicted += 1;
                }
            }
            from += size;
        }
        if to == 0 {
            self.segments_bytes -= self.segment_bytes;
            self.free.push(number);
            return None;
        }
        bytes.truncate(to);
        *self.segments.get_mut(usize::from(number))? = bytes;
        self.order.push_back(number);
        Some(number)
    }

    /// A document that has a segment of its own stays once more if it was asked for.
    fn sift_own(&mut self, number: u16, mut bytes: Vec<u8>, evicted: &mut u64) {
        let at = At::new(number, 0);
        let used = bytes.get(FLAGS).is_some_and(|flags| flags & USED > 0);
        if used {
            if let Some(flags) = bytes.get_mut(FLAGS) {
                *flags &= !USED;
            }
            if let Some(place) = self.segments.get_mut(usize::from(number)) {
                *place = bytes;
            }
            self.order.push_back(number);
            return;
        }
        let hash = parse(&bytes).map_or(0, |record| self.hasher.hash_one(record.key));
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == at) {
            entry.remove();
            *evicted += 1;
        }
        self.segments_bytes -= bytes.len();
        self.free.push(number);
    }
}

impl At {
    fn new(segment: u16, place: usize) -> Self {
        // A place is less than `SEGMENT_BYTES_MAX`.
        Self(u32::from(segment) << 16 | place as u32)
    }

    const fn number(self) -> u16 {
        (self.0 >> 16) as u16
    }

    const fn segment(self) -> usize {
        self.number() as usize
    }

    const fn place(self) -> usize {
        (self.0 & 0xffff) as usize
    }
}

/// The record that `bytes` begin with.
fn parse(bytes: &[u8]) -> Option<Record<'_>> {
    let [a, b, flags, c, d] = *bytes.first_chunk::<HEAD>()?;
    let size = match u16::from_le_bytes([a, b]) {
        0 => bytes.len(),
        size => usize::from(size),
    };
    let (key, body) = bytes.get(HEAD..size)?.split_at_checked(usize::from(u16::from_le_bytes([c, d])))?;
    Some(Record { size, flags, key, body })
}

fn record(segments: &[Vec<u8>], at: At) -> Option<Record<'_>> {
    parse(segments.get(at.segment())?.get(at.place()..)?)
}

fn is_of(segments: &[Vec<u8>], at: At, key: &str) -> bool {
    record(segments, at).is_some_and(|record| record.key == key.as_bytes())
}

fn is_own(segment: &[u8]) -> bool {
    segment.first_chunk() == Some(&[0, 0])
}

fn hash_at(hasher: &RandomState, segments: &[Vec<u8>], at: At) -> u64 {
    record(segments, at).map_or(0, |record| hasher.hash_one(record.key))
}

/// Small differences in either direction as small numbers (zigzag).
const fn fold(difference: u64) -> u64 {
    let signed = difference.cast_signed();
    ((signed << 1) ^ (signed >> 63)).cast_unsigned()
}

const fn unfold(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests;
