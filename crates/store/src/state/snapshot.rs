//! Snapshots of all spaces: a base file and files of changes on top, so that recovery reads them and the tail of the
//! write-ahead log, and a checkpoint writes only what has changed.
//!
//! ```text
//! state/manifest    crc32c (8 hex digits) newline, JSON: sequence, files, how many entries large spaces have
//! state/NNNNNN.kv   "HWSTATE1", then blocks { bytes u32 | crc32c u32 | records }
//! record            1 space name | 2 put key value | 3 delete key | 4 drop space; lengths are u32
//! ```
//! Drops come first in a file, and it names a key once at most: the blocks behind the drops are read in any order, by
//! several threads.
//!
//! # Invariants
//! - A snapshot is fuzzy: it is taken while commits go on. It is exact once every frame behind its sequence has been
//!   applied on top, and it is published only when all commits that may shine through it are durable.
//! - A file is named in the manifest only after it was synced. A damaged one is an error, never skipped.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_base::Problem;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::State;
use crate::disk::{self, Disk, DiskFile};

const MAGIC: &[u8; 8] = b"HWSTATE1";
const BLOCK_BYTES: usize = 256 << 10;
/// Bytes written between two syncs, so that a large snapshot never stands in the write-ahead log's way for long.
const SYNC_BYTES: u64 = 4 << 20;
/// Files of changes on top of a base, at most.
const FILES_MAX: usize = 16;

const SPACE: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;
const DROP: u8 = 4;
/// A put of nothing under nothing.
const PUT_BYTES_MIN: u64 = 9;
/// Entries of a space worth making room for ahead.
const ROOM_MIN: u64 = 1_024;
/// Bytes of a file for each thread that reads it, at least, and such threads at most.
const THREAD_BYTES: u64 = 8 << 20;
const THREADS_MAX: u64 = 8;

/// A manifest that does not count yet.
const NEW: &str = "manifest.new";

/// Where snapshots are kept.
#[derive(Debug)]
pub struct Snapshots {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    manifest: Manifest,
    /// A checkpoint has failed after it took changes out of the state: the next one writes everything.
    whole: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Manifest {
    sequence: u64,
    next: u64,
    files: Vec<Listed>,
    /// Entries of large spaces, about: their tables need not grow, and be built anew each time, while all files are read.
    #[serde(default)]
    entries: Vec<(String, u64)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Listed {
    name: String,
    bytes: u64,
}

impl Snapshots {
    /// Reads the newest snapshot in `folder` into `state`, which must be empty.
    ///
    /// # Errors
    /// `HW-STORE-004` when it is damaged, `HW-STORE-005` when the disk refuses.
    pub fn open(disk: Arc<dyn Disk>, folder: PathBuf, state: &State) -> Result<Self, Problem> {
        let mut snapshots = Self { disk, folder, manifest: Manifest::default(), whole: false };
        match snapshots.load(state) {
            Ok(()) => Ok(snapshots),
            Err(error) => Err(refused(&snapshots.folder, error)),
        }
    }

    /// Reads the newest snapshot in a folder into `state`, which must be empty, and changes nothing there.
    ///
    /// # Errors
    /// As [`Snapshots::open`].
    pub fn read_in(disk: &dyn Disk, folder: &Path, state: &State) -> Result<(), Problem> {
        let names = disk.files(folder).map_err(|error| refused(folder, error))?;
        read(disk, folder, &names, state).map(drop).map_err(|error| refused(folder, error))
    }

    /// The sequence up to which the newest snapshot in a folder stands for the write-ahead log, without reading it; 0
    /// where there is none.
    ///
    /// # Errors
    /// As [`Snapshots::open`].
    pub fn sequence_in(disk: &dyn Disk, folder: &Path) -> Result<u64, Problem> {
        let path = folder.join("manifest");
        let read = |file: Arc<dyn DiskFile>| {
            let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
            decode_manifest(&disk::read_exact_at(&*file, 0, length)?)
        };
        match disk.open(&path, false).and_then(read) {
            Ok(manifest) => Ok(manifest.sequence),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(refused(&path, error)),
        }
    }

    /// The sequence up to which the newest snapshot stands for the write-ahead log.
    pub fn sequence(&self) -> u64 {
        self.manifest.sequence
    }

    /// Whether the newest snapshot stands for the log up to exactly `sequence`, and no later one has failed.
    pub fn is_at(&self, sequence: u64) -> bool {
        self.manifest.sequence == sequence && !self.whole
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.bytes).sum()
    }

    /// Writes what has changed since the last snapshot. Afterwards the snapshot stands for the log up to `sequence`,
    /// all of which must be applied to `state`. `settle` returns once all that is applied by then is durable; false
    /// when it never will be.
    ///
    /// # Errors
    /// What the disk says; the former snapshot stays valid.
    pub fn write(&mut self, state: &State, sequence: u64, settle: &dyn Fn() -> bool) -> io::Result<()> {
        let base = self.manifest.files.first().map_or(0, |file| file.bytes);
        let changes: u64 = self.manifest.files.iter().skip(1).map(|file| file.bytes).sum();
        let all = self.whole || base == 0 || changes > base.max(1 << 20) || self.manifest.files.len() >= FILES_MAX;
        let before = self.manifest.clone();
        self.whole = true;
        // A name is never used again: the manifest of a failed attempt may have got to the disk, and names that file.
        self.manifest.next += 1;
        let written = self.write_file(state, all).inspect_err(|_| self.remove_part())?;
        if !settle() {
            return Err(io::Error::other("the write-ahead log is closed"));
        }
        let entries = state.spaces().into_iter().map(|space| (space.name().to_string(), space.size().0));
        let entries = entries.filter(|(_, entries)| *entries >= ROOM_MIN).collect();
        let mut manifest = Manifest { sequence, next: self.manifest.next, files: before.files.clone(), entries };
        if all {
            manifest.files.clear();
        }
        manifest.files.extend(written);
        self.write_manifest(&manifest).inspect_err(|_| self.remove_part())?;
        self.publish()?;
        self.manifest = manifest;
        self.whole = false;
        for old in before.files.iter().filter(|old| self.manifest.files.iter().all(|now| now.name != old.name)) {
            if let Err(error) = self.disk.remove(&self.folder.join(&old.name)) {
                tracing::warn!(file = %old.name, %error, "cannot remove an old snapshot");
            }
        }
        Ok(())
    }

    /// What the file that is being written is called.
    fn next_name(&self) -> String {
        format!("{:06}.kv", self.manifest.next)
    }

    /// Removes what a failed attempt wrote, which no manifest names yet: on a full disk it takes the space that would let
    /// the next one succeed.
    fn remove_part(&self) {
        let part = self.folder.join(self.next_name());
        if let Err(error) = self.disk.remove(&part)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %part.display(), %error, "cannot remove a part of a snapshot");
        }
    }

    /// Writes the next manifest beside the one that counts.
    fn write_manifest(&self, manifest: &Manifest) -> io::Result<()> {
        let text = serde_json::to_string(manifest).map_err(io::Error::other)?;
        let text = format!("{:08x}\n{text}\n", crc32c::crc32c(text.as_bytes()));
        let file = self.disk.open(&self.folder.join(NEW), true)?;
        file.set_len(0)?;
        file.write_at(text.as_bytes(), 0)?;
        file.sync()
    }

    /// Makes the next manifest the one that counts. Where that fails, it may be it all the same.
    fn publish(&self) -> io::Result<()> {
        self.disk.rename(&self.folder.join(NEW), &self.folder.join("manifest"))?;
        self.disk.sync_dir(&self.folder)
    }

    /// Writes one file; None when there is nothing to say.
    fn write_file(&self, state: &State, all: bool) -> io::Result<Option<Listed>> {
        let name = self.next_name();
        let mut out = Out { snapshots: self, name, file: None, at: 0, synced: 0, block: Vec::new(), space: None };
        let (dropped, spaces) = state.take_dropped();
        if !all {
            for name in &dropped {
                out.enter(name);
                out.block.push(DROP);
            }
        }
        for space in spaces {
            out.space = None;
            for shard in &space.shards {
                let mut block = std::mem::take(&mut out.block);
                let mut entered = out.space.is_some();
                let name = space.name().as_bytes();
                let enter = |block: &mut Vec<u8>, entered: &mut bool| {
                    if !std::mem::replace(entered, true) {
                        block.push(SPACE);
                        field(block, name);
                    }
                };
                let rest = std::cell::RefCell::new((&mut block, &mut entered));
                shard.lock().take_changes(
                    all,
                    &mut |key, value| {
                        let (block, entered) = &mut *rest.borrow_mut();
                        enter(block, entered);
                        block.push(PUT);
                        field(block, key);
                        field(block, value);
                    },
                    &mut |key| {
                        let (block, entered) = &mut *rest.borrow_mut();
                        enter(block, entered);
                        block.push(DELETE);
                        field(block, key);
                    },
                );
                out.block = block;
                out.space = entered.then(|| space.name().clone());
                if out.block.len() >= BLOCK_BYTES {
                    out.flush()?;
                }
            }
        }
        out.finish()
    }

    fn load(&mut self, state: &State) -> io::Result<()> {
        self.disk.create_dir(&self.folder)?;
        let names = self.disk.files(&self.folder)?;
        // Where it is missing, the write-ahead log says whether there ever was one: what it may have named stays.
        let Some(manifest) = read(&*self.disk, &self.folder, &names, state)? else { return Ok(()) };
        self.manifest = manifest;
        // The process may have ended between renaming and this: what an older manifest names goes only now.
        self.disk.sync_dir(&self.folder)?;
        for name in names.iter().filter(|name| *name != "manifest") {
            if self.manifest.files.iter().all(|listed| listed.name != *name) {
                self.disk.remove(&self.folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// Reads what a manifest names; None where none is among the `names` of a folder's files.
fn read(disk: &dyn Disk, folder: &Path, names: &[String], state: &State) -> io::Result<Option<Manifest>> {
    if names.iter().all(|name| name != "manifest") {
        return Ok(None);
    }
    let file = disk.open(&folder.join("manifest"), false)?;
    let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let manifest = decode_manifest(&disk::read_exact_at(&*file, 0, length)?)?;
    let most = manifest.files.iter().map(|file| file.bytes / PUT_BYTES_MIN);
    let entries_max = most.fold(0, u64::saturating_add);
    for (name, entries) in &manifest.entries {
        let entries = usize::try_from((*entries).min(entries_max)).map_err(io::Error::other)?;
        state.space_or_new(name).reserve(entries);
    }
    for listed in &manifest.files {
        let file = disk.open(&folder.join(&listed.name), false)?;
        read_file(&*file, listed, state)?;
    }
    state.dropped.lock().clear();
    Ok(Some(manifest))
}

struct Out<'a> {
    snapshots: &'a Snapshots,
    name: String,
    file: Option<Arc<dyn DiskFile>>,
    at: u64,
    synced: u64,
    block: Vec<u8>,
    space: Option<Arc<str>>,
}

impl Out<'_> {
    fn enter(&mut self, name: &str) {
        self.block.push(SPACE);
        field(&mut self.block, name.as_bytes());
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let file = self.snapshots.disk.open(&self.snapshots.folder.join(&self.name), true)?;
                file.set_len(0)?;
                file.write_at(MAGIC, 0)?;
                self.at = MAGIC.len() as u64;
                self.file.insert(file).clone()
            }
        };
        let bytes = u32::try_from(self.block.len()).map_err(io::Error::other)?;
        let head = [bytes.to_le_bytes(), crc32c::crc32c(&self.block).to_le_bytes()].concat();
        file.write_slices_at(&[io::IoSlice::new(&head), io::IoSlice::new(&self.block)], self.at)?;
        self.at += (head.len() + self.block.len()) as u64;
        self.block.clear();
        self.space = None;
        if self.at - self.synced >= SYNC_BYTES {
            file.sync()?;
            self.synced = self.at;
        }
        // A thread that the system has given a processor keeps it for milliseconds, whatever its priority; with no lock held,
        // whoever waits goes first.
        std::thread::yield_now();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Option<Listed>> {
        self.flush()?;
        let Some(file) = self.file.take() else { return Ok(None) };
        file.sync()?;
        self.snapshots.disk.sync_dir(&self.snapshots.folder)?;
        Ok(Some(Listed { name: self.name, bytes: self.at }))
    }
}

fn field(block: &mut Vec<u8>, bytes: &[u8]) {
    block.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    block.extend_from_slice(bytes);
}

fn refused(place: &Path, error: io::Error) -> Problem {
    let fault = if error.kind() == io::ErrorKind::InvalidData {
        Problem::new("HW-STORE-004", "a snapshot of the state is damaged").help(
            "restore the data folder from a backup; the disk or something that writes to the folder has damaged it",
        )
    } else {
        Problem::new("HW-STORE-005", "cannot read the snapshots of the state")
    };
    fault.at(place.display().to_string(), 0, 0).because(error)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn decode_manifest(bytes: &[u8]) -> io::Result<Manifest> {
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("the manifest is not text"))?;
    let (crc, json) = text.trim_end().split_once('\n').ok_or_else(|| damaged("the manifest is cut off"))?;
    if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(json.as_bytes())) {
        return Err(damaged("the manifest's checksum is wrong"));
    }
    serde_json::from_str(json).map_err(|error| damaged(&error.to_string()))
}

fn read_file(file: &dyn DiskFile, listed: &Listed, state: &State) -> io::Result<()> {
    let mut magic = [0; 8];
    if file.read_at(&mut magic, 0)? < magic.len() || magic != *MAGIC || file.len()? < listed.bytes {
        return Err(damaged(&format!("`{}`: not a snapshot, or cut off", listed.name)));
    }
    let blocks = Blocks { file, listed, at: Mutex::new(MAGIC.len() as u64) };
    let mut block = Vec::new();
    // What is dropped goes before anything that has come under its name since.
    while blocks.next(&mut block)? {
        if !blocks.apply(&block, state)? {
            break;
        }
    }
    let left = listed.bytes.saturating_sub(*blocks.at.lock());
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let threads = (left / THREAD_BYTES).clamp(1, cores.min(THREADS_MAX));
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| blocks.apply_rest(Vec::new(), state))).collect();
        let own = blocks.apply_rest(block, state);
        let ended = others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(damaged("a reader failed"))));
        ended.fold(own, |all, one| all.and(one))
    })
}

/// The blocks of a file, taken by several threads.
struct Blocks<'a> {
    file: &'a dyn DiskFile,
    listed: &'a Listed,
    /// Where the next one begins.
    at: Mutex<u64>,
}

impl Blocks<'_> {
    fn fault(&self, what: &str) -> io::Error {
        damaged(&format!("`{}`: {what}", self.listed.name))
    }

    /// Reads the next block; false at the end.
    fn next(&self, block: &mut Vec<u8>) -> io::Result<bool> {
        let mut next = self.at.lock();
        let at = *next;
        if at >= self.listed.bytes {
            return Ok(false);
        }
        let mut head = [0; 8];
        let got = self.file.read_at(&mut head, at)?;
        let number = |raw: Option<&[u8; 4]>| raw.map(|raw| u32::from_le_bytes(*raw));
        let (Some(bytes), Some(crc), 8) = (number(head.first_chunk()), number(head.last_chunk()), got) else {
            return Err(self.fault("cut off"));
        };
        let end = at + 8 + u64::from(bytes);
        if end > self.listed.bytes {
            return Err(self.fault("a block is cut off"));
        }
        *next = end;
        drop(next);
        block.resize(bytes as usize, 0);
        if self.file.read_at(block, at + 8)? < block.len() {
            return Err(self.fault("cut off"));
        }
        if crc32c::crc32c(block) == crc { Ok(true) } else { Err(self.fault("a checksum is wrong")) }
    }

    /// Applies a block; whether it dropped a space.
    fn apply(&self, block: &[u8], state: &State) -> io::Result<bool> {
        apply(block, state).ok_or_else(|| self.fault("a record cannot be read"))
    }

    fn apply_rest(&self, mut block: Vec<u8>, state: &State) -> io::Result<()> {
        while self.next(&mut block)? {
            self.apply(&block, state)?;
        }
        Ok(())
    }
}

/// Applies one block's records, and answers whether it dropped a space; None when they cannot be read. A space holds for
/// the rest of its block.
fn apply(block: &[u8], state: &State) -> Option<bool> {
    let mut rest = block;
    let mut space = None;
    let mut dropped = false;
    while let Some((&tag, tail)) = rest.split_first() {
        rest = tail;
        match tag {
            SPACE => {
                let name = std::str::from_utf8(take(&mut rest)?).ok()?;
                space = Some(state.space_or_new(name));
            }
            PUT => {
                let key = take(&mut rest)?;
                space.as_ref()?.load(key, Some(take(&mut rest)?));
            }
            DELETE => space.as_ref()?.load(take(&mut rest)?, None),
            DROP => {
                state.drop_space(&space.take()?.name().clone());
                dropped = true;
            }
            _ => return None,
        }
    }
    Some(dropped)
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let (field, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some(field)
}
