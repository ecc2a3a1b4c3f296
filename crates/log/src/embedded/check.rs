//! A check of every segment of a log that nobody has open: whether each batch is still as it was filed.
//!
//! What it is NOT: a start. Nothing is changed, and what lies behind the last checkpoint is not looked at: it comes again
//! from the write-ahead log, which [`super::tail()`] looks at.

use std::io;
use std::path::{Path, PathBuf};

use headwater_base::Problem;
use headwater_store::disk::{Disk, DiskFile};
use headwater_store::state::{Snapshots, State};
use headwater_wire::batch::{self, Header};

use super::filer::Record;
use super::open::{at_start, decode};
use super::segment::{self, Segment};
use super::{FILED, STREAMS, catalog};
use crate::{Offset, Stream};

/// Bytes read at a time.
const READ_BYTES: usize = 4 << 20;
/// No batch is larger than a commit.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// Damaged segments that are told one by one.
const TOLD_MAX: usize = 100;

/// What a check has found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Segments looked at.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Segments that are damaged.
    pub damaged: u64,
    /// `HW-LOG-007` for each of the first of them.
    pub damage: Vec<Problem>,
}

/// A segment to look at.
struct Place {
    /// Stream and partition, as people are told.
    of: String,
    path: PathBuf,
    base: Offset,
    /// How much of the file counts.
    length: u64,
}

/// Reads all segments of the log in a data folder and calls `progress` with the bytes looked at and those there are. Hold
/// the folder's lock meanwhile.
///
/// # Errors
/// When the checkpoint cannot be read: `HW-STORE-004`, `HW-STORE-005`, `HW-LOG-004`; `HW-LOG-002` when the disk refuses.
/// Damage of segments is none of them.
pub fn check(disk: &dyn Disk, folder: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Checked, Problem> {
    let refused = |error: io::Error| at_start("cannot read the segments", folder, &error);
    let state = State::default();
    Snapshots::read_in(disk, &folder.join("state"), &state)?;
    let mut streams = Vec::new();
    if let Some(space) = state.space(STREAMS) {
        space.for_each_durable(&mut |_, value| streams.push(decode(value)));
    }
    let mut places = Vec::new();
    for stream in streams {
        find(disk, folder, &state, &stream?, &mut places).map_err(refused)?;
    }
    let all: u64 = places.iter().map(|place| place.length).sum();
    let mut checked = Checked::default();
    for place in places {
        let file = match disk.open(&place.path, false) {
            Ok(file) => file,
            // What a trim behind the checkpoint has removed is not missed; the next start tells anything else.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(refused(error)),
        };
        let before = checked.bytes;
        let bad = first_bad(&*file, &place, &mut |bytes| progress(before + bytes, all)).map_err(refused)?;
        checked.segments += 1;
        checked.bytes += place.length;
        progress(checked.bytes, all);
        let Some(at) = bad else { continue };
        checked.damaged += 1;
        if checked.damage.len() < TOLD_MAX {
            let problem = Problem::new("HW-LOG-007", format!("a segment of {} is damaged at byte `{at}`", place.of));
            let help = "what stands before can be read; restore the data folder from a backup, or let the records go by \
                        retention or a trim";
            checked.damage.push(problem.at(place.path.display().to_string(), 0, 0).help(help));
        }
    }
    Ok(checked)
}

/// Lists the segments of a stream that the checkpoint knows.
fn find(disk: &dyn Disk, root: &Path, state: &State, stream: &Stream, places: &mut Vec<Place>) -> io::Result<()> {
    let Some(records) = state.space(FILED) else { return Ok(()) };
    for index in 0..stream.config.partitions {
        let key = [&stream.id.to_be_bytes()[..], &index.to_be_bytes()].concat();
        let Some(record) = records.get(&key).and_then(|bytes| Record::decode(&bytes)) else { continue };
        let folder = catalog::folder(root, &stream.name, stream.id).join(index.to_string());
        for base in segment::bases(disk, &folder)? {
            let path = Segment::log_path(&folder, base);
            let length = match base {
                base if base > record.base => continue,
                base if base == record.base => record.length,
                _ => disk.open(&path, false)?.len()?,
            };
            let of = format!("stream `{}`, partition `{index}`,", stream.name);
            places.push(Place { of, path, base, length });
        }
    }
    Ok(())
}

/// Where the first batch stands that is none, has changed, or is not behind the one before.
fn first_bad(file: &dyn DiskFile, place: &Place, each: &mut dyn FnMut(u64)) -> io::Result<Option<u64>> {
    let mut window = vec![0; READ_BYTES];
    let mut next = place.base;
    let mut at = 0;
    while at < place.length {
        let left = usize::try_from(place.length - at).unwrap_or(usize::MAX);
        let count = window.len().min(left);
        let got = file.read_at(window.get_mut(..count).unwrap_or_default(), at)?;
        let bytes = window.get(..got).unwrap_or_default();
        let mut whole = 0;
        for (header, range) in batch::split(bytes).map_while(Result::ok) {
            let batch = bytes.get(range.clone()).unwrap_or_default();
            if header.base_offset < next || header.verify(batch).is_err() {
                return Ok(Some(at + range.start as u64));
            }
            next = header.last_offset().saturating_add(1);
            whole = range.end;
        }
        if whole == 0 {
            let needed = Header::parse(bytes).map_or(0, |header| header.total_bytes());
            if needed <= window.len() || needed > left.min(BATCH_BYTES_MAX) {
                return Ok(Some(at));
            }
            window.resize(needed, 0);
        }
        at += whole as u64;
        each(at);
    }
    Ok(None)
}
