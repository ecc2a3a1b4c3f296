//! Tables: which version of each is the current one. The pointer is a value of a space of the log, so that it changes in
//! one commit with whatever else has to be true then.
//!
//! What it is NOT: it writes no pointer by itself; who commits does that, under its own fence or lock.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use headwater_base::Problem;
use headwater_log::{Delta, Log, View};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::commit::Version;
use crate::files::Files;

/// The key of a dataset's pointer in its space.
pub const POINTER: &[u8] = b"table";

/// Metadata of tables kept in memory.
const VERSIONS_MAX: usize = 64;

/// What leads to a table.
#[derive(Debug, Serialize, Deserialize)]
struct Pointer {
    /// Location of the current metadata file.
    metadata: String,
}

/// The current versions of all tables.
pub struct Tables {
    log: Arc<dyn Log>,
    files: Files,
    /// By location: a metadata file never changes.
    read: Mutex<HashMap<String, Version>>,
}

impl Tables {
    /// The tables of a log, whose files are there.
    pub fn new(log: Arc<dyn Log>, files: Files) -> Self {
        Self { log, files, read: Mutex::default() }
    }

    /// The files of all tables.
    pub const fn files(&self) -> &Files {
        &self.files
    }

    /// The log that holds the pointers.
    pub const fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// The current version of the table whose pointer stands at a key; None when there is no table.
    ///
    /// # Errors
    /// `HW-LAKE-021` when its metadata cannot be read.
    pub fn version(&self, space: &str, key: &[u8], view: View) -> Result<Option<Version>, Problem> {
        let Some(bytes) = self.log.get(space, key, view) else { return Ok(None) };
        let pointer: Pointer = serde_json::from_slice(&bytes).map_err(|error| {
            Problem::new("HW-LAKE-021", format!("the pointer of `{space}` cannot be read")).because(error)
        })?;
        if let Some(version) = self.read.lock().get(&pointer.metadata) {
            return Ok(Some(version.clone()));
        }
        let version = Version::read(&self.files, &pointer.metadata).map_err(|error| unusable(space, &error))?;
        self.remember(&version);
        Ok(Some(version))
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
        let pointer = Pointer { metadata: version.location.clone() };
        let value = serde_json::to_vec(&pointer).unwrap_or_default();
        Delta { key: Bytes::copy_from_slice(key), value: Some(Bytes::from(value)) }
    }
}

/// `HW-LAKE-021`: a table's files cannot be read or written.
pub fn unusable(table: &str, error: &iceberg::Error) -> Problem {
    let mut problem = Problem::new("HW-LAKE-021", format!("the files of `{table}`: {}", error.message()));
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        problem = problem.because(error);
        cause = error.source();
    }
    problem.help("`headwater doctor` checks the data folder and the disk")
}
