//! What a dataset counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};

use headwater_base::Problem;
use parking_lot::Mutex;

/// Counters of one dataset, since it was started.
#[derive(Debug, Default)]
pub struct Figures {
    rows: AtomicU64,
    letters: AtomicU64,
    gone: AtomicU64,
    snapshots: AtomicU64,
    lag: AtomicU64,
    refused: Mutex<Option<Problem>>,
}

impl Figures {
    /// A snapshot with so many new rows.
    pub fn add_snapshot(&self, rows: u64) {
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// An event that did not fit.
    pub fn add_letter(&self) {
        self.letters.fetch_add(1, Ordering::Relaxed);
    }

    /// Events that were deleted before they were read.
    pub fn add_gone(&self, count: u64) {
        self.gone.fetch_add(count, Ordering::Relaxed);
    }

    /// Events that no snapshot has yet.
    pub fn set_lag(&self, events: u64) {
        self.lag.store(events, Ordering::Relaxed);
    }

    /// Events that no snapshot has yet.
    pub fn lag(&self) -> u64 {
        self.lag.load(Ordering::Relaxed)
    }

    /// Why the table is not as the spec wants it, though its rows come.
    pub fn refuse(&self, why: Option<Problem>) {
        *self.refused.lock() = why;
    }

    /// What [`Self::refuse`] was told last.
    pub fn refused(&self) -> Option<Problem> {
        self.refused.lock().clone()
    }

    /// All counters, by name as in `hw_lake_*` without the prefix.
    pub fn list(&self) -> [(&'static str, u64); 5] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("rows_total", read(&self.rows)),
            ("dead_letters_total", read(&self.letters)),
            ("gone_events_total", read(&self.gone)),
            ("snapshots_total", read(&self.snapshots)),
            ("lag_events", read(&self.lag)),
        ]
    }
}
