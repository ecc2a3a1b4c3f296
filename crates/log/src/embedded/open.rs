//! Opening: load the newest checkpoint, see that the rest is whole, cut the segments to it, apply the write-ahead log's
//! tail.
//!
//! # Invariants
//! - No segment is changed before the write-ahead log has been read through: where that is damaged, what the segments hold
//!   behind the checkpoint may be all that is left of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use headwater_base::{Clock, Limits, Name, Problem};
use headwater_store::disk::{self, Disk};
use headwater_store::state::{Snapshots, State};
use headwater_store::wal::{self, Wal};
use headwater_wire::batch;
use parking_lot::{Condvar, Mutex, RwLock};

use super::catalog::{self, Catalog};
use super::filer::{Filer, Item, Record};
use super::frame::{self, Change};
use super::home;
use super::partition::Partition;
use super::segment::{self, Segment};
use super::{Core, Done, FILED, META, Options, PRODUCERS, STARTS, STREAMS, Sequencer};
use crate::{Offset, Stream, View};

/// Bytes of recovered batches that are filed together.
const FILE_BYTES: usize = 4 << 20;

/// What recovery works on.
struct Recovery<'a> {
    disk: &'a dyn Disk,
    root: &'a Path,
    limits: &'a Limits,
    clock: &'a dyn Clock,
    state: &'a State,
    filer: &'a Filer,
    catalog: Catalog,
    items: Vec<Item>,
    bytes: usize,
    doubts: Vec<Doubt>,
    unsettled: Vec<Unsettled>,
}

/// What a partition's files become once it is known that the start succeeds.
struct Unsettled {
    folder: PathBuf,
    /// The segments that stay, in order.
    kept: Vec<Offset>,
    /// A segment that is longer than the checkpoint says, and how long it says.
    cut: Option<(Offset, u64)>,
}

impl Unsettled {
    fn settle(&self, disk: &dyn Disk) -> io::Result<()> {
        if let Some((base, length)) = self.cut {
            disk.open(&Segment::log_path(&self.folder, base), false)?.set_len(length)?;
        }
        segment::tidy(disk, &self.folder, &self.kept)
    }
}

/// Something of a partition that the checkpoint names and that is not there. The tail of the write-ahead log says
/// whether that is damage, or whether the stream was deleted or its records trimmed behind the checkpoint.
struct Doubt {
    stream: Name,
    partition: [u8; 20],
    /// One past the last record that is missing.
    next: Offset,
    damage: Problem,
}

impl Doubt {
    /// Whether a change of a key says that nothing is missing.
    fn is_settled_by(&self, space: &str, key: &[u8], value: Option<&[u8]>) -> bool {
        match (space, value) {
            (STREAMS, None) => key == self.stream.as_str().as_bytes(),
            (STARTS, Some(start)) => key == self.partition && offset(start).is_some_and(|start| start >= self.next),
            _ => false,
        }
    }
}

pub(super) fn open(
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    limits: Arc<Limits>,
    clock: Arc<dyn Clock>,
    options: Options,
) -> Result<Core, Problem> {
    let shown = folder.display().to_string();
    let refused = |error: io::Error| at_start("cannot open the data folder", Path::new(&shown), &error);
    make_folders(&*disk, &folder).map_err(refused)?;
    let lock = disk.lock(&folder.join("lock")).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            Problem::new("HW-LOG-001", "the data folder is in use by another process")
                .at(&shown, 0, 0)
                .help("stop the other node, or give this one another folder")
        } else {
            refused(error)
        }
    })?;
    // Before anything is read or changed: a copy must not get as far as that.
    let home = home::settle(&*disk, &folder)?;
    let state = Arc::new(State::default());
    let snapshots = Snapshots::open(disk.clone(), folder.join("state"), &state)?;
    let filer = Arc::new(Filer::new(disk.clone(), folder.join("log"), state.clone(), clock.clone(), &limits, &options));
    let mut recovery = Recovery {
        disk: &*disk,
        root: &folder,
        limits: &limits,
        clock: &*clock,
        state: &state,
        filer: &filer,
        catalog: Catalog::default(),
        items: Vec::new(),
        bytes: 0,
        doubts: Vec::new(),
        unsettled: Vec::new(),
    };
    recovery.load_streams()?;
    let wal_options = wal::Options {
        segment_bytes: options.wal_segment_bytes,
        unsynced_bytes: limits.unsynced_bytes,
        ..wal::Options::new(folder.join("wal"), options.fatal.clone())
    };
    let on_durable: wal::OnDurable<Done> = {
        let (state, filer) = (state.clone(), filer.clone());
        Box::new(move |last, done| became_durable(&state, &filer, last, done))
    };
    let after = snapshots.sequence();
    recovery.examine(&wal_options, after)?;
    recovery.settle()?;
    let wal = Wal::open(
        disk.clone(),
        wal_options,
        after,
        &mut |sequence, payload| recovery.apply(sequence, payload),
        on_durable,
    )?;
    recovery.file()?;
    recovery.remove_orphans();
    let catalog = recovery.catalog;
    for partition in catalog.partitions() {
        partition.durable.store(partition.appended.load(Ordering::Acquire), Ordering::Release);
    }
    let last = wal.durable();
    state.set_durable(last);
    filer.push(last, std::iter::empty());
    let next_producer = state
        .space(META)
        .and_then(|space| space.get(b"next_producer"))
        .and_then(|bytes| Some(i64::from_le_bytes((&*bytes).try_into().ok()?)))
        .unwrap_or(1);
    Ok(Core {
        disk,
        folder,
        home,
        limits,
        options,
        clock,
        state,
        catalog: RwLock::new(catalog),
        deleted: Mutex::default(),
        sequencer: Mutex::new(Sequencer { next_producer }),
        wal,
        filer,
        snapshots: Mutex::new(snapshots),
        keeper: Mutex::new(false),
        keeper_wake: Condvar::new(),
        closed: AtomicBool::new(false),
        wanted_bytes: AtomicUsize::new(0),
        appended_bytes: AtomicU64::new(0),
        checkpoints: AtomicU64::new(0),
        last_checkpoint_ms: AtomicU64::new(0),
        _lock: lock,
    })
}

/// Makes the data folder and those in it. Their names are durable before anything is put into them: what is synced in
/// a folder whose own name is lost is lost.
fn make_folders(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    for own in ["wal", "state", "log"] {
        disk.create_dir(&folder.join(own))?;
    }
    disk.sync_dir(folder)?;
    let parent = folder.parent().map_or(Path::new("/"), |above| match above {
        above if above.as_os_str().is_empty() => Path::new("."),
        above => above,
    });
    match disk.sync_dir(parent) {
        // A folder that we may not read was not made by us.
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// What happens on the writer's thread after each sync, to the frames up to `last`.
///
/// A frame may be written before its changes are applied. Whoever sees its records durable must see these, too.
fn became_durable(state: &State, filer: &Filer, last: u64, done: &mut Vec<Done>) {
    for (sequence, frame) in (0..=last).rev().zip(done.iter().rev()) {
        frame.spaces.iter().for_each(|space| space.wait_applied(sequence));
    }
    state.set_durable(last);
    for item in done.iter().flat_map(|frame| &frame.items) {
        item.partition.durable.store(item.last + 1, Ordering::Release);
    }
    for frame in done.iter() {
        let mut before: Option<&Arc<Partition>> = None;
        for item in &frame.items {
            if before.is_none_or(|before| !Arc::ptr_eq(before, &item.partition)) {
                item.partition.wake(View::Durable);
            }
            before = Some(&item.partition);
        }
    }
    filer.push(last, done.drain(..).flat_map(|frame| frame.items));
}

impl Recovery<'_> {
    fn refused(&self, error: io::Error) -> Problem {
        at_start("cannot recover the log", self.root, &error)
    }

    /// Makes the streams that the snapshot knows.
    fn load_streams(&mut self) -> Result<(), Problem> {
        let mut streams = Vec::new();
        if let Some(space) = self.state.space(STREAMS) {
            space.for_each_durable(&mut |_, value| streams.push(decode(value)));
        }
        for stream in streams {
            self.put_stream(stream?)?;
        }
        if let Some(space) = self.state.space(PRODUCERS) {
            space.for_each_durable(&mut |key, value| {
                if let Some((Some(partition), id)) = self.partition_of(key)
                    && let Ok(id) = <[u8; 8]>::try_from(id)
                {
                    partition.producers.lock().load(i64::from_be_bytes(id), value);
                }
            });
        }
        Ok(())
    }

    /// Reads the write-ahead log for the first time: whether it is whole, and what it says about the doubts.
    fn examine(&mut self, options: &wal::Options, after: u64) -> Result<(), Problem> {
        let mut doubts = std::mem::take(&mut self.doubts);
        wal::examine(self.disk, options, after, &mut |sequence, payload| {
            if doubts.is_empty() {
                return Ok(());
            }
            let frame = frame::decode(payload).ok_or_else(|| frame::unreadable(sequence))?;
            for (name, change) in frame.spaces {
                let Change::Deltas(deltas) = change else { continue };
                for (key, value) in deltas {
                    doubts.retain(|doubt| !doubt.is_settled_by(name, key, value));
                }
            }
            Ok(())
        })?;
        doubts.into_iter().next().map_or(Ok(()), |doubt| Err(doubt.damage))
    }

    /// Brings the files of partitions to what the checkpoint says of them.
    fn settle(&mut self) -> Result<(), Problem> {
        self.unsettled.drain(..).try_for_each(|partition| {
            let settled = partition.settle(self.disk);
            settled.map_err(|error| at_start("cannot open a partition", &partition.folder, &error))
        })
    }

    /// The partition that a key of the log's own spaces names, and the rest of the key.
    fn partition_of<'k>(&self, key: &'k [u8]) -> Option<(Option<Arc<Partition>>, &'k [u8])> {
        let (id, rest) = key.split_at_checked(16)?;
        let (index, rest) = rest.split_at_checked(4)?;
        let id = u128::from_be_bytes(id.try_into().ok()?);
        let index = u32::from_be_bytes(index.try_into().ok()?);
        Some((self.catalog.partition_by_id(id, index), rest))
    }

    fn put_stream(&mut self, stream: Stream) -> Result<(), Problem> {
        let folder = catalog::folder(self.root, &stream.name, stream.id);
        let (disk, state, clock) = (self.disk, self.state, self.clock);
        let mut fault = None;
        let (doubts, unsettled) = (&mut self.doubts, &mut self.unsettled);
        self.catalog.put(Arc::new(stream), &mut |stream, index| {
            let folder = folder.join(index.to_string());
            let partition = Partition::new(stream.clone(), index, folder, 0, 0);
            match open_partition(disk, state, clock, &partition) {
                Ok((files, doubt)) => {
                    unsettled.push(files);
                    doubts.extend(doubt);
                }
                Err(error) => drop(fault.get_or_insert(error)),
            }
            partition
        });
        fault.map_or(Ok(()), Err)
    }

    /// Applies one commit.
    fn apply(&mut self, sequence: u64, payload: &[u8]) -> Result<(), Problem> {
        let Some(frame) = frame::decode(payload) else {
            return Err(frame::unreadable(sequence));
        };
        for append in frame.appends {
            if let Some(partition) = self.catalog.partition_by_id(append.stream, append.partition) {
                self.append(&partition, append.batches);
            }
        }
        for (name, change) in frame.spaces {
            let Change::Deltas(deltas) = change else {
                self.state.drop_space(name);
                continue;
            };
            let space = self.state.space_or_new(name);
            for (key, value) in deltas {
                space.put_durable(key, value);
                match (name, value) {
                    (STREAMS, Some(value)) => {
                        self.put_stream(decode(value)?)?;
                        self.settle()?;
                        // One that the checkpoint knew and has no word of any more is deleted further on.
                        self.doubts.clear();
                    }
                    (STREAMS, None) => {
                        if let Ok(name) = std::str::from_utf8(key) {
                            self.catalog.remove(name);
                        }
                    }
                    (STARTS, Some(value)) => {
                        if let Some((Some(partition), _)) = self.partition_of(key) {
                            partition.start.store(offset(value).unwrap_or(0), Ordering::Release);
                        }
                    }
                    _ => {}
                }
            }
        }
        if self.bytes >= FILE_BYTES {
            self.file()?;
        }
        Ok(())
    }

    fn append(&mut self, partition: &Arc<Partition>, batches: &[u8]) {
        let now = self.clock.now();
        for found in batch::split(batches) {
            let Ok((header, range)) = found else { break };
            if header.producer_id >= 0 {
                partition.producers.lock().recovered(&header, now, self.limits.producers_per_partition);
            }
            let next = partition.appended.load(Ordering::Acquire);
            if header.base_offset < next {
                continue;
            }
            partition.appended.store(header.last_offset() + 1, Ordering::Release);
            let bytes = Bytes::copy_from_slice(batches.get(range).unwrap_or_default());
            self.bytes += bytes.len();
            self.items.push(Item {
                partition: partition.clone(),
                first: header.base_offset,
                last: header.last_offset(),
                newest_ms: header.max_timestamp,
                bytes,
            });
        }
    }

    fn file(&mut self) -> Result<(), Problem> {
        self.bytes = 0;
        let items = std::mem::take(&mut self.items);
        self.filer.file_all(items).map_err(|error| self.refused(error))
    }

    /// Removes what streams deleted before have left.
    fn remove_orphans(&self) {
        let root = self.root.join("log");
        let known: ahash::HashSet<PathBuf> =
            self.catalog.streams().iter().map(|stream| catalog::folder(self.root, &stream.name, stream.id)).collect();
        for name in self.disk.folders(&root).unwrap_or_default() {
            let path = root.join(name);
            if !known.contains(&path)
                && let Err(error) = self.disk.remove_dir(&path)
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove what a deleted stream left");
            }
        }
    }
}

/// What the disk refused at the start.
pub(super) fn at_start(fact: &str, path: &Path, error: &io::Error) -> Problem {
    if disk::is_full(error) {
        return disk::full(fact, path, error);
    }
    Problem::new("HW-LOG-002", fact).at(path.display().to_string(), 0, 0).because(error)
}

pub(super) fn decode(value: &[u8]) -> Result<Stream, Problem> {
    serde_json::from_slice(value)
        .map_err(|error| Problem::new("HW-LOG-004", "a stream's description cannot be read").because(error))
}

fn offset(value: &[u8]) -> Option<Offset> {
    Some(i64::from_le_bytes(value.try_into().ok()?))
}

/// Looks at a partition's files by what the checkpoint says of them, and changes none.
fn open_partition(
    disk: &dyn Disk,
    state: &State,
    clock: &dyn Clock,
    partition: &Partition,
) -> Result<(Unsettled, Option<Doubt>), Problem> {
    let refused = |error: io::Error| at_start("cannot open a partition", &partition.folder, &error);
    let key = partition.key();
    let own = |space: &str| state.space(space).and_then(|space| space.get(&key));
    let start = own(STARTS).and_then(|bytes| offset(&bytes)).unwrap_or(0);
    let record = own(FILED).and_then(|bytes| Record::decode(&bytes));
    let Some(record) = record else {
        // What is here was filed after the checkpoint and comes again from the write-ahead log.
        partition.start.store(start, Ordering::Release);
        return Ok((Unsettled { folder: partition.folder.clone(), kept: Vec::new(), cut: None }, None));
    };
    let doubt = |fact: String, path: &Path, help: &str| Doubt {
        stream: partition.stream.read().name.clone(),
        partition: key,
        next: record.next,
        damage: Problem::new("HW-LOG-003", fact).at(path.display().to_string(), 0, 0).help(help),
    };
    let (mut found, mut cut) = (None, None);
    let mut segments: Vec<Segment> = Vec::new();
    for base in segment::bases(disk, &partition.folder).map_err(refused)? {
        let path = Segment::log_path(&partition.folder, base);
        if base > record.base || segments.last().is_some_and(|before| before.next > base) {
            // Behind the checkpoint, or merged into the one before.
            continue;
        }
        let file = disk.open(&path, false).map_err(refused)?;
        let mut length = file.len().map_err(refused)?;
        if base == record.base {
            if length < record.length {
                let fact = format!("a segment has `{length}` bytes; the checkpoint says `{}`", record.length);
                let help = "restore the data folder from a backup; the file was cut off by something else";
                found = Some(doubt(fact, &path, help));
                continue;
            }
            if length > record.length {
                length = record.length;
                cut = Some((base, length));
            }
        }
        let segment = Segment::load(disk, &partition.folder, base, length, clock.now()).map_err(refused)?;
        if base == record.base && segment.length < length {
            // The next batch would be written over what stands behind it.
            let help = "restore the data folder from a backup; the disk or something else has damaged the file";
            found = Some(doubt(format!("a segment is damaged at byte `{}`", segment.length), &path, help));
            continue;
        }
        segments.push(segment);
    }
    if segments.last().is_none_or(|last| last.base != record.base) && record.length > 0 && found.is_none() {
        let fact = format!("the segment of offset `{}` is gone", record.base);
        let help = "restore the data folder from a backup; the file was removed by something else";
        found = Some(doubt(fact, &partition.folder, help));
    }
    // A damaged file stays for whoever looks at it.
    let mut kept: Vec<Offset> = segments.iter().map(|segment| segment.base).collect();
    kept.extend(found.is_some().then_some(record.base));
    let files = Unsettled { folder: partition.folder.clone(), kept, cut };
    *partition.segments.write() = segments;
    partition.start.store(start, Ordering::Release);
    partition.appended.store(record.next, Ordering::Release);
    // What was trimmed is not missed.
    Ok((files, found.filter(|_| start < record.next)))
}
