//! Files and folders behind a trait: the real disk, one in memory, and (in `testkit`) one that loses power.
//!
//! The contract is POSIX's, taken at its word: what has been written may be lost until [`DiskFile::sync`] returns,
//! and a created, renamed or removed name may come back until [`Disk::sync_dir`] returns. Code above must not assume
//! anything kinder.

mod memory;
mod real;

use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use headwater_base::Problem;

pub use memory::MemoryDisk;
pub use real::{RealDisk, room};

/// A place for files.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` when it is not there and `create` is false.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Creates a folder and those above it; it may be there already.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with all that is in it; it may be gone already.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in a folder, in no order; none when the folder does not exist.
    fn files(&self, path: &Path) -> io::Result<Vec<String>>;

    /// The names of the folders in a folder, in no order; none when the folder does not exist.
    fn folders(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Makes the names in a folder durable. The folder is opened for it.
    ///
    /// # Errors
    /// Where the folder could be opened and not synced, [`is_failed_sync`] says so: what the system could not write it
    /// may have forgotten, so that the next sync succeeds without it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Whether two paths lead to one folder. Without links only the same path does.
    ///
    /// # Errors
    /// `NotFound` when one of them leads nowhere.
    fn is_same(&self, one: &Path, other: &Path) -> io::Result<bool> {
        Ok(std::path::absolute(one)? == std::path::absolute(other)?)
    }

    /// Takes a lock that no other process can take while the answer lives.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// An open file. All methods can be called from several threads.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads up to `into.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all bytes, or fails having written any part of them.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Writes all slices one behind the other, or fails having written any part of them.
    fn write_slices_at(&self, slices: &[IoSlice<'_>], at: u64) -> io::Result<()> {
        let mut at = at;
        for slice in slices {
            self.write_at(slice, at)?;
            at += slice.len() as u64;
        }
        Ok(())
    }

    /// Makes everything written so far durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;

    /// What lies before `end` and is synced need not stay in the system's memory: nobody is expected to read it soon. A
    /// hint, which changes nothing that can be read.
    fn forget(&self, end: u64) {
        let _ = end;
    }

    /// Reserves room for the first `bytes` and makes the file that long.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Cuts the file, or fills it up with zeros, to `bytes`.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// The length.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is zero.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Reads exactly `count` bytes.
///
/// # Errors
/// `UnexpectedEof` when the file ends before.
pub fn read_exact_at(file: &dyn DiskFile, at: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let got = file.read_at(&mut bytes, at)?;
    if got < count {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{got} of {count} bytes at {at}")));
    }
    Ok(bytes)
}

/// The sync of a folder failed, and not what comes before it.
#[derive(Debug)]
struct FailedSync(io::Error);

impl fmt::Display for FailedSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for FailedSync {}

/// What [`Disk::sync_dir`] answers where the sync itself failed.
pub fn failed_sync(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), FailedSync(error))
}

/// Whether the sync itself failed that [`Disk::sync_dir`] was asked for.
pub fn is_failed_sync(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<FailedSync>())
}

/// Whether an error means that the disk is full, which passes, unlike others.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The disk's word that it is full, if that is behind an error.
pub fn full_behind<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<io::Error>().filter(|error| is_full(error)) {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// `HW-STORE-006`: something that a start needs does not fit on the disk any more. `fact` says what cannot be done.
pub fn full(fact: &str, path: &Path, error: &io::Error) -> Problem {
    Problem::new("HW-STORE-006", format!("{fact}: the disk is full"))
        .at(path.display().to_string(), 0, 0)
        .because(error)
        .help("free space on that disk and start again; everything that was acknowledged is kept")
}

#[cfg(test)]
mod tests;
