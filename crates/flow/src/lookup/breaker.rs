//! A circuit breaker: after so many failures in a row nothing is asked for a pause; then one request probes.
//!
//! Requests that were let go before it opened come home while it is open, and after. They say nothing new: their reports
//! neither lengthen the pause, nor speak for the probe, nor count against a backend that is back. Those that still wait,
//! for a slot or for another try, do not go out any more.

use std::time::Duration;

/// Whether a request may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// To a request among others; with how often the breaker had opened by then.
    Granted(u64),
    /// This one request decides whether the backend is back.
    Probe(u64),
    Refused,
}

#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: u32,
    pause: Duration,
    failures: u32,
    /// Open until then; afterwards one probe is let through.
    open_until: Option<Duration>,
    probing: bool,
    /// How often it has opened.
    openings: u64,
}

impl Breaker {
    pub fn new(failures_max: u32, pause: Duration) -> Self {
        Self { failures_max: failures_max.max(1), pause, failures: 0, open_until: None, probing: false, openings: 0 }
    }

    pub fn is_closed(&self) -> bool {
        self.open_until.is_none()
    }

    /// Whether a request would be refused now.
    pub fn is_open(&self, now: Duration) -> bool {
        self.open_until.is_some_and(|until| now < until || self.probing)
    }

    pub fn leave(&mut self, now: Duration) -> Leave {
        match self.open_until {
            None => Leave::Granted(self.openings),
            Some(_) if self.is_open(now) => Leave::Refused,
            Some(_) => {
                self.probing = true;
                Leave::Probe(self.openings)
            }
        }
    }

    /// Whether it has opened since it gave this leave, and a request that has not gone out yet is to be made no more.
    pub fn revokes(&self, leave: Leave) -> bool {
        !self.is_closed() && !self.is_current(leave)
    }

    fn is_current(&self, leave: Leave) -> bool {
        matches!(leave, Leave::Granted(openings) | Leave::Probe(openings) if openings == self.openings)
    }

    /// Takes in how a request went that had this leave; answers whether the breaker is open now.
    pub fn report(&mut self, leave: Leave, success: bool, now: Duration) -> bool {
        if !self.is_current(leave) {
            return !self.is_closed();
        }
        if success {
            self.failures = 0;
            self.open_until = None;
            self.probing = false;
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.failures_max {
            self.open_until = Some(now.saturating_add(self.pause));
            self.probing = false;
            self.openings += 1;
        }
        !self.is_closed()
    }
}
