//! Blocks of bytes in few allocations: what a shard's entries lie in.
//!
//! ```text
//! page     blocks, each from a multiple of 8 bytes on
//! block    length u16 | bytes | nothing, up to a size that blocks come in
//! free     the next free place of that size u32 | nothing
//! place    page | its unit of 8 bytes (13 bits); or the highest bit and the number of a large block
//! ```
//! A large block is an allocation of its own: one of more than a quarter of a page.
//!
//! What it is NOT: it does not know which blocks are in use. Whoever has a [`Place`] frees it, once, and then forgets it.
//!
//! # Invariants
//! - A block lies where it is until it is freed, or [`Arena::compact`] is told of it.
//! - A block in a page takes less than an eighth more than its bytes and their length come to in units. A page takes an
//!   eighth of what is held already at most: of a few blocks each is a large one, and nothing is held for others.
//! - Compacting when [`Arena::is_sparse`] says so copies no more than six bytes for each one freed, and keeps what is held
//!   below twice what is in use, and a KiB.

use headwater_base::never;

const UNIT: usize = 8;
const PAGE_BITS: u32 = 13;
const PAGE_BYTES: usize = UNIT << PAGE_BITS;
/// What is less is no page, but a few large blocks.
const PAGE_BYTES_MIN: usize = 512;
const BLOCK_BYTES_MAX: usize = PAGE_BYTES / 4;
/// Large blocks whose list is kept when all of them are free.
const LISTED_MIN: usize = 64;
/// What a processor reads of memory at once.
const LINE_BYTES: usize = 64;
/// What is not worth being given back.
const SPARE_BYTES: usize = 1 << 10;

/// Marks the places of large blocks.
const LARGE: u32 = 1 << 31;
const PAGES_MAX: usize = (LARGE >> PAGE_BITS) as usize;
/// The end of a list of free places, and a place where nothing is.
const NOWHERE: u32 = u32::MAX;

/// Pages with blocks.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Filled one after the other; what is left of each is its vector's capacity.
    pages: Vec<Vec<u8>>,
    /// The first free place of each class of sizes.
    free: Vec<u32>,
    large: Vec<Box<[u8]>>,
    /// Numbers of large blocks that are free.
    large_free: Vec<u32>,
    /// Bytes of all pages, of the blocks in use in them, of all large blocks, and of what has been freed since the pages
    /// were compacted.
    held: usize,
    used: usize,
    large_bytes: usize,
    freed: usize,
    /// There are more pages than when [`Arena::is_sparse`] was last asked.
    has_grown: bool,
}

/// Where a block is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(u32);

/// What [`Arena::free`] has to know of a block, so that it need not read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(u16);

impl Place {
    fn large(self) -> Option<usize> {
        (self.0 & LARGE > 0).then_some((self.0 & !LARGE) as usize)
    }
}

/// Units of a block of so many bytes; none where it is a large one. Up to 16 it may have any number of them, from there
/// on eight numbers between one power of two and the next.
fn units(length: usize) -> Option<usize> {
    let bytes = length.checked_add(size_of::<u16>()).filter(|bytes| *bytes <= BLOCK_BYTES_MAX)?;
    let units = bytes.div_ceil(UNIT);
    Some(units.next_multiple_of(1 << steps(units)))
}

/// How often the steps between one size and the next have doubled below so many units.
fn steps(units: usize) -> u32 {
    (units - 1).checked_ilog2().unwrap_or(0).saturating_sub(3)
}

/// The class of blocks of so many units, which must be a size that they come in.
fn class(units: usize) -> usize {
    let steps = steps(units);
    ((units - 1) >> steps) + 8 * steps as usize
}

fn write(into: &mut [u8], parts: &[&[u8]]) {
    let mut rest = into;
    for part in parts {
        let Some((head, tail)) = rest.split_at_mut_checked(part.len()) else { return };
        head.copy_from_slice(part);
        rest = tail;
    }
}

/// The bytes of the block that a page goes on with.
fn content(page: &[u8]) -> Option<&[u8]> {
    let (length, rest) = page.split_first_chunk()?;
    rest.get(..usize::from(u16::from_le_bytes(*length)))
}

fn content_mut(page: &mut [u8]) -> Option<&mut [u8]> {
    let (length, rest) = page.split_first_chunk_mut()?;
    rest.get_mut(..usize::from(u16::from_le_bytes(*length)))
}

fn length(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

impl Arena {
    /// Adds a block of these parts.
    pub fn add(&mut self, parts: &[&[u8]]) -> Place {
        let length = length(parts);
        let Some(units) = units(length) else { return self.add_large(parts) };
        let Some(place) = self.take(units) else { return self.add_large(parts) };
        self.used += units * UNIT;
        self.write(place, length, parts);
        place
    }

    /// Sets a block to these parts in its place, if that has the size they need.
    pub fn set(&mut self, place: Place, parts: &[&[u8]]) -> bool {
        let length = length(parts);
        if let Some(large) = place.large() {
            let block = self.large.get_mut(large).filter(|block| block.len() == length);
            return block.map(|block| write(block, parts)).is_some();
        }
        let fits = units(length).is_some_and(|units| units == usize::from(self.size(place).0));
        if fits {
            self.write(place, length, parts);
        }
        fits
    }

    /// The bytes of a block.
    pub fn get(&self, place: Place) -> &[u8] {
        match place.large() {
            Some(large) => self.large.get(large).map(Box::as_ref),
            None => self.at(place).and_then(content),
        }
        .unwrap_or_default()
    }

    /// Reads of a block what looking at it will wait for: its first lines, without waiting for its length.
    pub fn touch(&self, place: Place) -> u8 {
        let block = match place.large() {
            Some(large) => self.large.get(large).map(Box::as_ref),
            None => self.at(place),
        };
        block.map_or(0, |block| block.first().unwrap_or(&0) ^ block.get(LINE_BYTES).unwrap_or(&0))
    }

    /// The bytes of a block, to be changed.
    pub fn get_mut(&mut self, place: Place) -> &mut [u8] {
        match place.large() {
            Some(large) => self.large.get_mut(large).map(Box::as_mut),
            None => self.at_mut(place).and_then(content_mut),
        }
        .unwrap_or_default()
    }

    /// What to free a block with.
    pub fn size(&self, place: Place) -> Size {
        let units = if place.large().is_none() { units(self.get(place).len()) } else { None };
        Size(units.unwrap_or(0) as u16)
    }

    /// Frees a block.
    pub fn free(&mut self, place: Place, size: Size) {
        let bytes = match place.large() {
            Some(large) => self.free_large(large),
            None => {
                let units = usize::from(size.0);
                self.used -= units * UNIT;
                self.give(place, units);
                units * UNIT
            }
        };
        self.freed += bytes;
    }

    /// Whether so little of what is held is in use that it is time to [compact](Self::compact) it: less than half, or less
    /// than three quarters where there has just been a need for more.
    pub fn is_sparse(&mut self) -> bool {
        let wanted = if std::mem::take(&mut self.has_grown) { self.held / 4 * 3 } else { self.held / 2 };
        self.used < wanted && self.freed >= self.held / 8 && self.held > SPARE_BYTES
    }

    /// Moves the blocks at these places, which must be all that are in use, into as few pages as hold them.
    pub fn compact<'a>(&mut self, places: impl Iterator<Item = &'a mut Place>) {
        let pages = std::mem::take(&mut self.pages);
        self.free = Vec::new();
        (self.held, self.used, self.freed) = (0, 0, 0);
        let old = Self { pages, ..Self::default() };
        for place in places.filter(|place| place.large().is_none()) {
            *place = self.add(&[old.get(*place)]);
        }
        self.has_grown = false;
    }

    /// Bytes of all that is held, in use or not.
    pub fn bytes(&self) -> usize {
        let lists = self.pages.capacity() * size_of::<Vec<u8>>()
            + self.large.capacity() * size_of::<Box<[u8]>>()
            + (self.free.capacity() + self.large_free.capacity()) * size_of::<u32>();
        self.held + self.large_bytes + lists
    }

    fn add_large(&mut self, parts: &[&[u8]]) -> Place {
        let number = self.large_free.pop().or_else(|| u32::try_from(self.large.len()).ok());
        let Some(number) = number.filter(|number| *number < LARGE - 1) else {
            never!("two billion large blocks, which with their table are 64 GiB of lists alone");
            return Place(NOWHERE);
        };
        let block = parts.concat().into_boxed_slice();
        self.large_bytes += block.len();
        match self.large.get_mut(number as usize) {
            Some(free) => *free = block,
            None => self.large.push(block),
        }
        Place(number | LARGE)
    }

    /// Frees a large block, and answers its bytes.
    fn free_large(&mut self, number: usize) -> usize {
        let Some(block) = self.large.get_mut(number) else { return 0 };
        let bytes = std::mem::take(block).len();
        self.large_bytes -= bytes;
        self.large_free.push(number as u32);
        if self.large_free.len() == self.large.len() {
            self.large.clear();
            self.large.shrink_to(LISTED_MIN);
            self.large_free.clear();
            self.large_free.shrink_to(LISTED_MIN);
        }
        bytes
    }

    /// A place in a page that nobody uses, unless the block is to be a large one.
    fn take(&mut self, units: usize) -> Option<Place> {
        let first = self.free.get(class(units)).map_or(NOWHERE, |first| *first);
        if first == NOWHERE {
            return self.extend(units);
        }
        let next =
            self.at(Place(first)).and_then(<[u8]>::first_chunk).map_or(NOWHERE, |next| u32::from_le_bytes(*next));
        if let Some(first) = self.free.get_mut(class(units)) {
            *first = next;
        }
        Some(Place(first))
    }

    /// Puts a place in front of the free ones.
    fn give(&mut self, place: Place, units: usize) {
        let class = class(units);
        if self.free.len() <= class {
            self.free.resize(class + 1, NOWHERE);
        }
        let Some(first) = self.free.get_mut(class) else { return };
        let next = std::mem::replace(first, place.0);
        if let Some(block) = self.at_mut(place).and_then(<[u8]>::first_chunk_mut) {
            *block = next.to_le_bytes();
        }
    }

    /// A place behind the last one, in a new page where this one is full.
    fn extend(&mut self, units: usize) -> Option<Place> {
        if let Some(place) = self.extend_page(units) {
            return Some(place);
        }
        let share = ((self.held + self.large_bytes) / 8).checked_ilog2().map_or(0, |share| 1 << share);
        let bytes = PAGE_BYTES.min(share);
        // Behind 16 GiB of pages any block is a large one.
        if bytes < PAGE_BYTES_MIN || units * UNIT > bytes / 4 || self.pages.len() >= PAGES_MAX {
            return None;
        }
        while let rest @ 1.. = self.units_left() {
            let units = rest >> steps(rest) << steps(rest);
            if let Some(place) = self.extend_page(units) {
                self.give(place, units);
            }
        }
        self.held += bytes;
        self.has_grown = true;
        self.pages.push(Vec::with_capacity(bytes));
        self.extend_page(units)
    }

    /// A place behind the last one in the same page.
    fn extend_page(&mut self, units: usize) -> Option<Place> {
        let left = self.units_left();
        let number = self.pages.len().checked_sub(1)?;
        let page = self.pages.last_mut().filter(|_| units <= left)?;
        let place = (number << PAGE_BITS) | (page.len() / UNIT);
        page.resize(page.len() + units * UNIT, 0);
        u32::try_from(place).ok().map(Place)
    }

    fn units_left(&self) -> usize {
        self.pages.last().map_or(0, |page| (page.capacity().min(PAGE_BYTES) - page.len()) / UNIT)
    }

    fn write(&mut self, place: Place, length: usize, parts: &[&[u8]]) {
        if let Some((head, rest)) = self.at_mut(place).and_then(<[u8]>::split_first_chunk_mut) {
            *head = (length as u16).to_le_bytes();
            write(rest, parts);
        }
    }

    /// A page from a place on.
    fn at(&self, place: Place) -> Option<&[u8]> {
        self.pages.get((place.0 >> PAGE_BITS) as usize)?.get(offset(place)..)
    }

    fn at_mut(&mut self, place: Place) -> Option<&mut [u8]> {
        self.pages.get_mut((place.0 >> PAGE_BITS) as usize)?.get_mut(offset(place)..)
    }
}

const fn offset(place: Place) -> usize {
    (place.0 & ((1 << PAGE_BITS) - 1)) as usize * UNIT
}

#[cfg(test)]
mod tests;
