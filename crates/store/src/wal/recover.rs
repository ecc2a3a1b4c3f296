//! Reading the write-ahead log back after a stop of any kind.
//!
//! The order of segments is their numbers'; frames are taken as long as sequences follow on. At the first bad group
//! of a segment the rest is searched for a good one: if there is one, synced bytes were damaged and nothing is
//! guessed. A later segment may go on with exactly the missing sequence: then an earlier recovery ended here too.
//! A file whose header page cannot be read may be the newest segment, so it is searched in the same way.
//!
//! What was read may be in the machine's memory only, if the process alone ended before its last sync: the last segment
//! is synced before anything is said to be there.

use std::path::{Path, PathBuf};

use headwater_base::Problem;

use super::Options;
use super::layout::{self, GroupHeader, PAGE_BYTES, SegmentHeader};
use crate::disk::{Disk, DiskFile};

/// Bytes searched at a time behind a bad group.
const SEARCH_BYTES: usize = 1 << 20;

/// What the folder holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Segments that hold frames, oldest first.
    pub segments: Vec<FoundSegment>,
    /// Files that can be used for new segments.
    pub free: Vec<PathBuf>,
    /// The last sequence found, or `after`.
    pub last: u64,
    /// The highest segment number seen.
    pub number: u64,
}

#[derive(Debug)]
pub(super) struct FoundSegment {
    pub path: PathBuf,
    /// Its last frame; the one before its first when it has none.
    pub last: u64,
}

enum End {
    /// Space was used up, or the log was closed in order.
    Clean,
    /// There is a bad group at this place.
    Bad(u64),
}

/// Reads all segments and calls `each` with the frames behind `after`.
pub(super) fn recover(
    disk: &dyn Disk,
    options: &Options,
    after: u64,
    each: &mut dyn FnMut(u64, &[u8]) -> Result<(), Problem>,
) -> Result<Found, Problem> {
    let refused = |error: std::io::Error| {
        Problem::new("HW-STORE-002", "cannot read the write-ahead log")
            .at(options.folder.display().to_string(), 0, 0)
            .because(error)
    };
    disk.create_dir(&options.folder).map_err(refused)?;
    let mut found = Found { last: after, ..Found::default() };
    let mut segments = Vec::new();
    let mut headless = Vec::new();
    let mut names = disk.files(&options.folder).map_err(refused)?;
    names.sort();
    for name in names.iter().filter(|name| name.ends_with(".wal")) {
        let path = options.folder.join(name);
        let file = disk.open(&path, false).map_err(refused)?;
        let mut page = [0; PAGE_BYTES];
        let got = file.read_at(&mut page, 0).map_err(refused)?;
        match SegmentHeader::decode(page.get(..got).unwrap_or_default()) {
            Some(header) => segments.push((header, path, file)),
            None => {
                headless.push((path.clone(), file));
                found.free.push(path);
            }
        }
    }
    segments.sort_by_key(|(header, ..)| header.number);
    found.number = segments.last().map_or(0, |(header, ..)| header.number);
    // A segment whose successor begins at or before the first wanted frame is not needed; its file may even be
    // half-way to its next life.
    let unneeded =
        segments.windows(2).take_while(|pair| matches!(pair, [_, (next, ..)] if next.first <= after + 1)).count();
    found.free.extend(segments.drain(..unneeded).map(|(_, path, _)| path));
    match segments.first() {
        Some((header, ..)) if header.first > after + 1 => {
            return Err(gap(options, after + 1, header.first));
        }
        None if after > 0 => return Err(gap(options, after + 1, after + 1)),
        _ => {}
    }
    // The sequence that must come next; None before the first segment.
    let mut expected: Option<u64> = None;
    // Earlier groups were synced before the next one was written.
    if let Some((.., newest)) = segments.last() {
        newest.sync().map_err(refused)?;
    }
    for (header, path, file) in segments {
        if let Some(expected) = expected
            && header.first != expected
        {
            return Err(gap(options, expected, header.first));
        }
        let mut next = header.first;
        let end = read_segment(&*file, header, &mut next, after, each).map_err(|fault| match fault {
            Fault::Io(error) => refused(error),
            Fault::Caller(problem) => *problem,
        })?;
        if let End::Bad(at) = end
            && let Some(later) = search(&*file, header.number, next, at).map_err(refused)?
        {
            return Err(damaged(&path, at, next, later));
        }
        expected = Some(next);
        found.segments.push(FoundSegment { path, last: next - 1 });
    }
    let next = expected.unwrap_or(after + 1);
    for (path, file) in headless {
        if let Some(later) = behind_header(&*file, found.number + 1, next).map_err(refused)? {
            return Err(damaged(&path, 0, next, later));
        }
    }
    found.last = after.max(expected.map_or(0, |next| next - 1));
    if let Some(expected) = expected
        && expected <= after
    {
        // The checkpoint stands on frames that were durable and are gone now.
        return Err(gap(options, expected, after + 1));
    }
    Ok(found)
}

fn damaged(path: &Path, at: u64, next: u64, later: u64) -> Problem {
    let fact = format!("frame `{next}` is unreadable, but `{later}` behind it was synced");
    Problem::new("HW-STORE-001", format!("the write-ahead log is damaged at byte `{at}`: {fact}"))
        .at(path.display().to_string(), 0, 0)
        .help("restore the data folder from a backup; the disk or something that writes to the folder has damaged it")
}

fn gap(options: &Options, expected: u64, found: u64) -> Problem {
    Problem::new(
        "HW-STORE-003",
        format!("the write-ahead log lacks frame `{expected}`; the next one there is `{found}` or later"),
    )
    .at(options.folder.display().to_string(), 0, 0)
    .help("a segment file was removed or damaged; restore the data folder from a backup")
}

enum Fault {
    Io(std::io::Error),
    Caller(Box<Problem>),
}

fn read_segment(
    file: &dyn DiskFile,
    header: SegmentHeader,
    next: &mut u64,
    after: u64,
    each: &mut dyn FnMut(u64, &[u8]) -> Result<(), Problem>,
) -> Result<End, Fault> {
    let length = file.len().map_err(Fault::Io)?;
    let mut at = PAGE_BYTES as u64;
    let mut group = Vec::new();
    while at + PAGE_BYTES as u64 <= length {
        let Some(read) = read_group(file, header.number, at, length, &mut group).map_err(Fault::Io)? else {
            return Ok(End::Bad(at));
        };
        if read.first != *next {
            return Ok(End::Bad(at));
        }
        if read.frames == 0 {
            return Ok(End::Clean);
        }
        let Some(frames) = layout::frames(&read, &group) else { return Ok(End::Bad(at)) };
        for (sequence, payload) in frames {
            if sequence > after {
                each(sequence, payload).map_err(|problem| Fault::Caller(Box::new(problem)))?;
            }
            *next = sequence + 1;
        }
        at = layout::page_up(at + u64::from(read.bytes));
    }
    Ok(End::Clean)
}

/// Reads the group at `at` into `group`; None when there is no intact one.
fn read_group(
    file: &dyn DiskFile,
    number: u64,
    at: u64,
    length: u64,
    group: &mut Vec<u8>,
) -> std::io::Result<Option<GroupHeader>> {
    group.resize(PAGE_BYTES, 0);
    let got = file.read_at(group, at)?;
    let Some(header) = GroupHeader::decode(group.get(..got).unwrap_or_default(), length - at) else { return Ok(None) };
    let bytes = header.bytes as usize;
    group.resize(bytes, 0);
    if bytes > PAGE_BYTES
        && let Some(rest) = group.get_mut(PAGE_BYTES..)
    {
        let wanted = rest.len();
        if file.read_at(rest, at + PAGE_BYTES as u64)? < wanted {
            return Ok(None);
        }
    }
    Ok(layout::intact(&header, group, number).then_some(header))
}

/// Searches a file without a header for groups of the segment `number`, which it would be; answers the first sequence of
/// one that was written after the group of `next`, and so after the header was synced. One group alone may be torn off a
/// header that never was.
fn behind_header(file: &dyn DiskFile, number: u64, next: u64) -> std::io::Result<Option<u64>> {
    let mut page = [0; PAGE_BYTES];
    let got = file.read_at(&mut page, PAGE_BYTES as u64)?;
    let room = file.len()?.saturating_sub(PAGE_BYTES as u64);
    // Files that have never been written are most of these, and are not read through.
    match GroupHeader::decode(page.get(..got).unwrap_or_default(), room) {
        Some(_) => search(file, number, next + 1, 0),
        None => Ok(None),
    }
}

/// Searches behind a bad group for an intact one that was written later; answers its first sequence.
fn search(file: &dyn DiskFile, number: u64, next: u64, bad: u64) -> std::io::Result<Option<u64>> {
    let length = file.len()?;
    let mut window = vec![0; SEARCH_BYTES];
    let mut group = Vec::new();
    let mut at = bad + PAGE_BYTES as u64;
    while at < length {
        let got = file.read_at(&mut window, at)?;
        if got == 0 {
            break;
        }
        for (index, page) in window.get(..got).unwrap_or_default().chunks(PAGE_BYTES).enumerate() {
            let place = at + (index * PAGE_BYTES) as u64;
            if GroupHeader::decode(page, length - place).is_some_and(|header| header.first >= next)
                && let Some(header) = read_group(file, number, place, length, &mut group)?
            {
                return Ok(Some(header.first));
            }
        }
        at += got as u64;
    }
    Ok(None)
}
