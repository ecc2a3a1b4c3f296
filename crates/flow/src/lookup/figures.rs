//! What a lookup has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters; all only grow.
#[derive(Debug, Default)]
pub struct Figures {
    /// Answered by the backend from memory.
    pub at_once: AtomicU64,
    /// Answered from the cache with a value.
    pub hits: AtomicU64,
    /// Answered from the cache with "unknown" or "refused".
    pub negative_hits: AtomicU64,
    /// Asked because the cache did not know.
    pub misses: AtomicU64,
    /// Joined a request for the same key.
    pub joined: AtomicU64,
    /// Requests made, further tries included.
    pub requests: AtomicU64,
    /// Requests that took too long.
    pub timeouts: AtomicU64,
    /// Requests that failed.
    pub failures: AtomicU64,
    /// Further tries.
    pub retries: AtomicU64,
    /// Requests made ahead of expiry.
    pub refreshes: AtomicU64,
    /// Answers driven out of the cache.
    pub evictions: AtomicU64,
    /// Questions not asked because the breaker was open.
    pub breaker_refusals: AtomicU64,
    /// Questions not asked because too many keys were being asked.
    pub full: AtomicU64,
    /// Keys that are too long.
    pub refused_keys: AtomicU64,
}

impl Figures {
    /// Name -> value, names as in `hw_flow_lookup_*` without the prefix.
    pub fn read(&self) -> Vec<(&'static str, u64)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        vec![
            ("at_once_total", read(&self.at_once)),
            ("hits_total", read(&self.hits)),
            ("negative_hits_total", read(&self.negative_hits)),
            ("misses_total", read(&self.misses)),
            ("joined_total", read(&self.joined)),
            ("requests_total", read(&self.requests)),
            ("timeouts_total", read(&self.timeouts)),
            ("failures_total", read(&self.failures)),
            ("retries_total", read(&self.retries)),
            ("refreshes_total", read(&self.refreshes)),
            ("evictions_total", read(&self.evictions)),
            ("breaker_refusals_total", read(&self.breaker_refusals)),
            ("full_total", read(&self.full)),
            ("refused_keys_total", read(&self.refused_keys)),
        ]
    }
}
