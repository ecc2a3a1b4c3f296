//! For tests only: a disk that loses power, a log in memory, the power-cut harness, and corpora of recorded behaviour.

pub mod conformance;
pub mod corpus;
pub mod crash;
pub mod disk;
pub mod threads;

use std::path::Path;
use std::sync::Arc;

use headwater_base::{Limits, ManualClock, Micros};
use headwater_log::EmbeddedLog;
use headwater_log::embedded::Options;
use headwater_store::disk::{Disk, MemoryDisk};

pub use corpus::Corpus;
pub use disk::FaultyDisk;

/// A log in memory with a clock that stands still, without a keeper.
///
/// # Panics
/// When it cannot be opened, which only a fault of the log can cause.
pub fn memory_log() -> (Arc<EmbeddedLog>, Arc<ManualClock>) {
    log_on(Arc::new(MemoryDisk::default()), Limits::default())
}

/// The same on a disk that the test has in its hands, and with bounds of its own.
///
/// # Panics
/// When it cannot be opened.
#[allow(clippy::expect_used)]
pub fn log_on(disk: Arc<dyn Disk>, limits: Limits) -> (Arc<EmbeddedLog>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Micros::from_millis(1_700_000_000_000)));
    let options = Options { wal_segment_bytes: 8 << 20, maintain_ms: None, ..Options::default() };
    let log = EmbeddedLog::open_with(disk, Path::new("/data"), Arc::new(limits), clock.clone(), options);
    (log.expect("a log opens"), clock)
}

/// How a log is kept in a test: it does nothing by itself, and is not ended by a disk that fails. Small segments have what
/// happens at their ends happen.
pub fn options(wal_segment_bytes: u64) -> Options {
    Options { wal_segment_bytes, maintain_ms: None, fatal: Arc::new(|_| {}), ..Options::default() }
}
