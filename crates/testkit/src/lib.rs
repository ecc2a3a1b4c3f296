//! For tests only: a disk that loses power, a log in memory, the power-cut harness, and corpora of recorded behaviour.

pub mod conformance;
pub mod corpus;
pub mod crash;
pub mod disk;

use std::path::Path;
use std::sync::Arc;

use headwater_base::{ManualClock, Micros};
use headwater_log::EmbeddedLog;
use headwater_log::embedded::Options;
use headwater_store::disk::MemoryDisk;

pub use corpus::Corpus;
pub use disk::FaultyDisk;

/// A log in memory with a clock that stands still, without a keeper.
///
/// # Panics
/// When it cannot be opened, which only a fault of the log can cause.
#[allow(clippy::expect_used)]
pub fn memory_log() -> (Arc<EmbeddedLog>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Micros::from_millis(1_700_000_000_000)));
    let options = Options { wal_segment_bytes: 8 << 20, maintain_ms: None, ..Options::default() };
    let disk = Arc::new(MemoryDisk::default());
    let log = EmbeddedLog::open_with(disk, Path::new("/data"), Arc::default(), clock.clone(), options);
    (log.expect("a log opens in memory"), clock)
}
