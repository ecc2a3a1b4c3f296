//! The segment files: which is written, which hold frames still needed, which can be used again.
//!
//! A thread keeps one spare file ready once the current segment fills up. New files are allocated and then written
//! with zeros, a little at a time, because the first write to merely allocated blocks costs a journal commit at
//! every sync. Only the very first file is not, so that an empty folder opens at once.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_base::Problem;
use parking_lot::{Condvar, Mutex};

use super::layout::PAGE_BYTES;
use super::recover::Found;
use super::{Options, Shared};
use crate::disk::{self, Disk, DiskFile};

/// Zeros written between two syncs.
const ZERO_BYTES: u64 = 1 << 20;
/// How long the spare thread waits after the disk refused.
const RETRY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    used: VecDeque<Used>,
    spares: VecDeque<Slot>,
    /// Bytes left in the current segment.
    remaining: u64,
    /// Whether the current segment holds a synced group.
    synced: bool,
    /// Why no spare could be made.
    fault: Option<String>,
    /// A spare is wanted now.
    wanted: bool,
    next_name: u64,
    /// The highest segment number in use when the log was opened.
    number: u64,
    stop: bool,
}

/// A file for a segment.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub path: PathBuf,
    pub file: Arc<dyn DiskFile>,
}

#[derive(Debug)]
struct Used {
    slot: Slot,
    last: u64,
}

impl Slots {
    /// Takes over what recovery found; makes a first file when there is none to use.
    pub fn new(disk: &dyn Disk, options: &Options, found: Found) -> Result<Self, Problem> {
        let refused = |error: io::Error| {
            if disk::is_full(&error) {
                let fact = format!("cannot allocate {} bytes for the write-ahead log", options.segment_bytes);
                return disk::full(&fact, &options.folder, &error);
            }
            Problem::new("HW-STORE-002", "cannot open the write-ahead log")
                .at(options.folder.display().to_string(), 0, 0)
                .because(error)
        };
        let names = found.free.iter().chain(found.segments.iter().map(|segment| &segment.path));
        let next_name =
            names.filter_map(|path| path.file_stem()?.to_str()?.parse::<u64>().ok()).max().map_or(0, |n| n + 1);
        let mut state = State {
            used: VecDeque::new(),
            spares: VecDeque::new(),
            remaining: 0,
            synced: false,
            fault: None,
            wanted: false,
            next_name,
            number: found.number,
            stop: false,
        };
        for path in found.free {
            let slot = Slot { file: disk.open(&path, false).map_err(refused)?, path };
            // An allocation that was cut short, or a file of another size, is of no use.
            if slot.file.len().map_err(refused)? == options.segment_bytes && state.spares.len() < options.spares {
                state.spares.push_back(slot);
            } else {
                disk.remove(&slot.path).map_err(refused)?;
            }
        }
        for segment in found.segments {
            let file = disk.open(&segment.path, false).map_err(refused)?;
            state.used.push_back(Used { slot: Slot { path: segment.path, file }, last: segment.last });
        }
        // A process that was killed may have made a file whose name is not durable yet.
        disk.sync_dir(&options.folder).map_err(refused)?;
        if state.spares.is_empty() {
            let slot = create(disk, options, &mut state.next_name, false, &|| false).map_err(refused)?;
            state.spares.push_back(slot);
        }
        Ok(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Whether `reserved` bytes fit into what is allocated and leave `kept`; otherwise why not, if the disk refused.
    pub fn room_for(&self, reserved: u64, kept: u64, segment_bytes: u64) -> Result<(), Option<String>> {
        let mut state = self.state.lock();
        // Behind the current segment at most half of each spare may be lost to a frame that does not fit any more. So
        // the last of them has more left than is to be kept.
        let spare = (segment_bytes.saturating_sub(PAGE_BYTES as u64) / 2) * state.spares.len() as u64;
        if reserved + kept <= state.remaining || reserved <= spare {
            return Ok(());
        }
        state.wanted = true;
        self.changed.notify_all();
        Err(state.fault.clone())
    }

    /// Why no spare can be made at the moment.
    pub fn fault(&self) -> Option<String> {
        self.state.lock().fault.clone()
    }

    /// The disk has no room even for what is allocated, or has it again.
    pub fn set_fault(&self, fault: Option<String>) {
        self.state.lock().fault = fault;
    }

    /// The next file to write, once there is one; None when stopped. What was current holds frames up to `last`.
    pub fn rotate(&self, current: Option<Slot>, last: u64) -> Option<Slot> {
        let mut state = self.state.lock();
        if let Some(slot) = current {
            state.used.push_back(Used { slot, last });
        }
        state.remaining = 0;
        state.synced = false;
        loop {
            if let Some(slot) = state.spares.pop_front() {
                return Some(slot);
            }
            if state.stop {
                return None;
            }
            state.wanted = true;
            self.changed.notify_all();
            self.changed.wait(&mut state);
        }
    }

    /// The current segment has so many bytes left, and all of it is synced.
    pub fn written(&self, remaining: u64, segment_bytes: u64) {
        let mut state = self.state.lock();
        state.remaining = remaining;
        state.synced = true;
        if state.spares.is_empty() && !state.wanted && remaining < segment_bytes / 4 * 3 {
            state.wanted = true;
            self.changed.notify_all();
        }
    }

    /// Makes the files of segments up to `upto` spares, or removes them when there are enough.
    pub fn release(&self, disk: &dyn Disk, options: &Options, upto: u64) {
        let mut state = self.state.lock();
        // The newest synced segment stays: it proves up to where the log went.
        let keep = usize::from(!state.synced);
        let mut removed = Vec::new();
        while state.used.len() > keep && state.used.front().is_some_and(|used| used.last <= upto) {
            let Some(used) = state.used.pop_front() else { break };
            if state.spares.len() < options.spares {
                state.spares.push_back(used.slot);
                state.fault = None;
            } else {
                removed.push(used.slot.path);
            }
        }
        self.changed.notify_all();
        drop(state);
        for path in removed {
            if let Err(error) = disk.remove(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a used write-ahead log segment");
            }
        }
    }

    /// The number that the first new segment comes behind.
    pub fn first_number(&self) -> u64 {
        self.state.lock().number
    }

    pub fn held_bytes(&self, segment_bytes: u64) -> u64 {
        let state = self.state.lock();
        state.used.len() as u64 * segment_bytes + segment_bytes.saturating_sub(state.remaining)
    }

    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.changed.notify_all();
    }
}

/// Makes a file of a segment's size whose space and name are durable.
fn create(
    disk: &dyn Disk,
    options: &Options,
    next_name: &mut u64,
    zero: bool,
    stopped: &dyn Fn() -> bool,
) -> io::Result<Slot> {
    let path = options.folder.join(format!("{next_name:06}.wal"));
    *next_name += 1;
    let file = disk.open(&path, true)?;
    let made = fill(&*file, options.segment_bytes, zero, stopped).and_then(|()| disk.sync_dir(&options.folder));
    if let Err(error) = made {
        // Not worth more than a line: the file is found and used or removed at the next start.
        if let Err(error) = disk.remove(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove an incomplete write-ahead log segment");
        }
        return Err(error);
    }
    Ok(Slot { path, file })
}

fn fill(file: &dyn DiskFile, bytes: u64, zero: bool, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    file.allocate(bytes)?;
    if zero {
        let zeros = vec![0; usize::try_from(ZERO_BYTES.min(bytes)).unwrap_or(0)];
        let mut at = 0;
        while at < bytes && !stopped() {
            let count = usize::try_from((bytes - at).min(ZERO_BYTES)).unwrap_or(0);
            file.write_at(zeros.get(..count).unwrap_or(&zeros), at)?;
            file.sync()?;
            at += count as u64;
        }
    }
    file.sync()
}

/// Starts the thread that keeps a spare ready.
pub(super) fn spawn<T: Send + 'static>(shared: Arc<Shared<T>>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("hw-wal-spare".into()).spawn(move || keep_spare(&shared))
}

fn keep_spare<T>(shared: &Shared<T>) {
    let slots = &shared.slots;
    let mut state = slots.state.lock();
    while !state.stop {
        if !state.wanted || !state.spares.is_empty() {
            state.wanted = false;
            slots.changed.wait(&mut state);
            continue;
        }
        let mut next_name = state.next_name;
        // In a hurry there is no time for zeros.
        let zero = state.remaining > shared.options.segment_bytes / 4;
        drop(state);
        let hurry = || {
            let state = slots.state.lock();
            state.stop || state.remaining < shared.options.segment_bytes / 8
        };
        let made = create(&*shared.disk, &shared.options, &mut next_name, zero, &hurry);
        state = slots.state.lock();
        state.next_name = next_name;
        match made {
            Ok(slot) => {
                // Before the used ones: it has never been written and needs no care.
                state.spares.push_front(slot);
                state.fault = None;
                state.wanted = false;
                slots.changed.notify_all();
                drop(state);
                shared.waiters.room();
                state = slots.state.lock();
            }
            Err(error) => {
                if state.fault.is_none() {
                    tracing::error!(%error, "no space for the write-ahead log; appends are refused until there is");
                }
                let first = state.fault.replace(error.to_string()).is_none();
                if first {
                    drop(state);
                    // Whoever waits for room learns why there is none.
                    shared.waiters.room();
                    state = slots.state.lock();
                }
                if !state.stop {
                    slots.changed.wait_for(&mut state, RETRY);
                }
            }
        }
    }
}
