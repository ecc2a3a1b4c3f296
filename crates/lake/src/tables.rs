//! Tables: which version of each is the current one, and what stands behind it. The pointer is a value of a space of the
//! log, so that it changes in one commit with whatever else has to be true then.
//!
//! What it is NOT: it writes no pointer by itself; who commits does that, under its own fence or lock.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::Problem;
use headwater_log::{Delta, Log, View};
use headwater_store::disk::full_behind;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::commit::Version;
use crate::files::{Files, Unanswered};
use crate::lease::Leases;
use crate::positions::EPOCH_KEY;
use crate::tail::Tail;

/// The key of a dataset's pointer in its space.
pub const POINTER: &[u8] = b"table";

/// Metadata of tables kept in memory.
const VERSIONS_MAX: usize = 64;

/// What leads to a table.
#[derive(Debug, Serialize, Deserialize)]
struct Pointer {
    /// Location of the current metadata file.
    metadata: String,
    /// The epoch of a dataset's table, which can be told without reading the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
}

/// The current versions of all tables.
pub struct Tables {
    log: Arc<dyn Log>,
    files: Files,
    /// By location: a metadata file never changes.
    read: Mutex<HashMap<String, Version>>,
    leases: Arc<Leases>,
    /// By dataset: the tails of those that run.
    tails: RwLock<BTreeMap<String, Arc<Tail>>>,
}

impl Tables {
    /// The tables of a log, whose files are there.
    pub fn new(log: Arc<dyn Log>, files: Files) -> Self {
        let leases = Arc::new(Leases::new(files.clone()));
        Self { log, files, read: Mutex::default(), leases, tails: RwLock::default() }
    }

    /// The files of all tables.
    pub const fn files(&self) -> &Files {
        &self.files
    }

    /// The log that holds the pointers.
    pub const fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// Who reads files, and which of them go once nobody does.
    pub const fn leases(&self) -> &Arc<Leases> {
        &self.leases
    }

    /// The tail of a dataset that runs.
    pub fn tail(&self, dataset: &str) -> Option<Arc<Tail>> {
        self.tails.read().get(dataset).cloned()
    }

    /// A new tail of a dataset, in place of the one that it may have had.
    pub fn open_tail(&self, dataset: &str) -> Arc<Tail> {
        let tail = Arc::<Tail>::default();
        self.tails.write().insert(dataset.to_owned(), Arc::clone(&tail));
        tail
    }

    /// Forgets a tail, unless the dataset has got another one.
    pub fn close_tail(&self, dataset: &str, tail: &Arc<Tail>) {
        let mut tails = self.tails.write();
        if tails.get(dataset).is_some_and(|known| Arc::ptr_eq(known, tail)) {
            tails.remove(dataset);
        }
    }

    /// Whether all tails together have more than so many bytes in memory, and this one has its share of them.
    pub fn is_crowded(&self, tail: &Tail, most: usize) -> bool {
        let own = tail.bytes();
        if own == 0 {
            return false;
        }
        let tails = self.tails.read();
        tails.values().map(|tail| tail.bytes()).sum::<usize>() > most && own >= most / tails.len().max(1)
    }

    /// The current version of the table whose pointer stands at a key; None when there is no table.
    ///
    /// # Errors
    /// `HW-LAKE-021` and 063 when its metadata cannot be read.
    pub async fn version(&self, space: &str, key: &[u8], view: View) -> Result<Option<Version>, Problem> {
        let Some(kept) = self.log.get(space, key, view) else { return Ok(None) };
        self.version_of(space, &kept).await.map(Some)
    }

    /// The version that a pointer leads to, as the log keeps it.
    ///
    /// # Errors
    /// As [`Tables::version`].
    pub async fn version_of(&self, space: &str, kept: &[u8]) -> Result<Version, Problem> {
        let pointer = read_pointer(space, kept)?;
        if let Some(version) = self.read.lock().get(&pointer.metadata) {
            return Ok(version.clone());
        }
        let version = Version::read(&self.files, &pointer.metadata).await.map_err(|error| unusable(space, &error))?;
        self.remember(&version);
        Ok(version)
    }

    /// The epoch of the dataset's table whose pointer stands at a key, if there is one that says so.
    ///
    /// # Errors
    /// `HW-LAKE-021` when the pointer cannot be read.
    pub fn epoch(&self, space: &str, key: &[u8], view: View) -> Result<Option<u64>, Problem> {
        let Some(kept) = self.log.get(space, key, view) else { return Ok(None) };
        Ok(read_pointer(space, &kept)?.epoch)
    }

    /// Keeps a version in memory, whose file has just been written.
    pub fn remember(&self, version: &Version) {
        let mut read = self.read.lock();
        if read.len() >= VERSIONS_MAX {
            read.clear();
        }
        read.insert(version.location.clone(), version.clone());
    }

    /// The change of state that makes a version current.
    pub fn delta(key: &[u8], version: &Version) -> Delta {
        let epoch = version.metadata.properties().get(EPOCH_KEY).and_then(|text| text.parse().ok());
        let pointer = Pointer { metadata: version.location.clone(), epoch };
        let value = serde_json::to_vec(&pointer).unwrap_or_default();
        Delta { key: Bytes::copy_from_slice(key), value: Some(Bytes::from(value)) }
    }
}

fn read_pointer(space: &str, kept: &[u8]) -> Result<Pointer, Problem> {
    serde_json::from_slice(kept)
        .map_err(|error| Problem::new("HW-LAKE-021", format!("the pointer of `{space}` cannot be read")).because(error))
}

/// `HW-LAKE-021`: a table's files cannot be read or written.
///
/// `HW-LAKE-063`: its bucket does not do its part.
///
/// `HW-LAKE-068`: they do not fit on the disk.
pub fn unusable(table: &str, error: &iceberg::Error) -> Problem {
    if let Some(told) = Unanswered::behind(error) {
        let problem = Problem::new("HW-LAKE-063", format!("the bucket with the files of `{table}`: {told}"));
        return problem.help("it is tried again until the bucket answers; no event is lost meanwhile");
    }
    if let Some(fault) = full_behind(error) {
        return no_space(table, fault);
    }
    let mut problem = Problem::new("HW-LAKE-021", format!("the files of `{table}`: {}", error.message()));
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        problem = problem.because(error);
        cause = error.source();
    }
    problem.help("`headwater doctor` checks the data folder and the disk")
}

/// `HW-LAKE-068`: the disk has no room for what a table gets.
pub fn no_space(table: &str, error: &io::Error) -> Problem {
    Problem::new("HW-LAKE-068", format!("the disk is full: what `{table}` gets cannot be written"))
        .because(error)
        .help("free space on the disk of the data folder; it is tried again until there is some, and no event is lost")
}
