//! What a subscription counts about itself.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

/// The counters of one subscription.
#[derive(Debug, Default)]
pub struct Figures {
    /// Events it took.
    pub matched: AtomicU64,
    /// Records, documents and deliveries that reached their target.
    pub delivered: AtomicU64,
    /// Tries that failed and are made again.
    pub retried: AtomicU64,
    /// Dead letters.
    pub dead: AtomicU64,
    /// Chains that were cut.
    pub cut: AtomicU64,
    /// Deliveries that wait.
    pub pending: AtomicU64,
    /// Bytes of what waits.
    pub pending_bytes: AtomicU64,
    /// Records behind.
    pub lag: AtomicU64,
    /// When a schedule is due next, in microseconds since 1970; 0 = never.
    pub next: AtomicI64,
    /// When it was due last; 0 = not yet.
    pub last: AtomicI64,
    /// Why the last try of a delivery failed; None once one has not.
    pub fault: Mutex<Option<String>>,
}

impl Figures {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }

    /// Takes from a counter, not below zero.
    pub fn take(counter: &AtomicU64, amount: u64) {
        let less = |value: u64| Some(value.saturating_sub(amount));
        // The closure always gives a value.
        let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// A counter's value.
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Name -> value, names as `hw_bus_*` without the prefix.
    pub fn list(&self) -> [(&'static str, u64); 8] {
        [
            ("matched_total", Self::read(&self.matched)),
            ("delivered_total", Self::read(&self.delivered)),
            ("retries_total", Self::read(&self.retried)),
            ("dead_letters_total", Self::read(&self.dead)),
            ("loops_cut_total", Self::read(&self.cut)),
            ("pending_deliveries", Self::read(&self.pending)),
            ("pending_bytes", Self::read(&self.pending_bytes)),
            ("lag_events", Self::read(&self.lag)),
        ]
    }
}
