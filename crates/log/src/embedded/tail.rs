//! A look at the end of a log that nobody has open: what the next start would read again.
//!
//! What it is NOT: recovery. Nothing is changed, and nothing but the write-ahead log and the manifest of the
//! checkpoints is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_base::Problem;
use headwater_store::disk::Disk;
use headwater_store::state::Snapshots;
use headwater_store::wal;

use super::frame;

/// What the write-ahead log holds behind the last checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Commits.
    pub commits: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Reads the tail of the log in a data folder; None where there is no log. Hold the folder's lock meanwhile.
///
/// # Errors
/// `HW-LOG-004` and those of `headwater_store`: the same that the next start would end with.
pub fn tail(disk: &dyn Disk, folder: &Path) -> Result<Option<Tail>, Problem> {
    let own: PathBuf = folder.join("wal");
    if disk.files(&own).is_ok_and(|files| files.is_empty()) {
        return Ok(None);
    }
    let after = Snapshots::sequence_in(disk, &folder.join("state"))?;
    let mut tail = Tail::default();
    wal::examine(disk, &wal::Options::new(own, Arc::new(|_| {})), after, &mut |sequence, payload| {
        if frame::decode(payload).is_none() {
            return Err(frame::unreadable(sequence));
        }
        tail.commits += 1;
        tail.bytes += payload.len() as u64;
        Ok(())
    })?;
    Ok(Some(tail))
}
