//! What a forecast counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};

use headwater_base::Problem;
use parking_lot::Mutex;

/// Counters of one forecast, since it was started.
#[derive(Debug, Default)]
pub struct Figures {
    /// Records taken.
    pub events: AtomicU64,
    /// Forecasts written.
    pub forecasts: AtomicU64,
    /// Verdicts written.
    pub verdicts: AtomicU64,
    /// Anomalies that have begun.
    pub anomalies: AtomicU64,
    /// Records whose interval had been closed.
    pub late: AtomicU64,
    /// Records refused.
    pub letters: AtomicU64,
    /// Records that were deleted before they were read.
    pub gone: AtomicU64,
    /// Cohorts there are.
    pub cohorts: AtomicU64,
    /// Records not read yet.
    pub lag: AtomicU64,
    /// Why its calendar could not be read again.
    blamed: Mutex<Option<Problem>>,
}

impl Figures {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Notes why the calendar could not be read again, or that it could.
    pub fn blame(&self, problem: Option<Problem>) {
        *self.blamed.lock() = problem;
    }

    /// Why the calendar could not be read again.
    pub fn blamed(&self) -> Option<Problem> {
        self.blamed.lock().clone()
    }

    /// All counters, by name as in `hw_watch_*` without the prefix.
    pub fn list(&self) -> [(&'static str, u64); 9] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("events_total", read(&self.events)),
            ("forecasts_total", read(&self.forecasts)),
            ("verdicts_total", read(&self.verdicts)),
            ("anomalies_total", read(&self.anomalies)),
            ("late_events_total", read(&self.late)),
            ("dead_letters_total", read(&self.letters)),
            ("gone_events_total", read(&self.gone)),
            ("cohorts", read(&self.cohorts)),
            ("lag_events", read(&self.lag)),
        ]
    }
}
