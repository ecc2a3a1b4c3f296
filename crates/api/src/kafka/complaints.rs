//! What the operator is told of clients that misbehave: a line each, at most one a second, the rest counted.

use std::net::SocketAddr;
use std::time::Duration;

use headwater_base::Clock;
use parking_lot::Mutex;
use tracing::{debug, warn};

use super::error::Broken;

/// The shortest time between two lines.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Duration>,
    unsaid: u64,
}

impl Complaints {
    /// Says why a connection ended, or was not taken.
    pub(super) fn about(&self, peer: SocketAddr, reason: &Broken, clock: &dyn Clock) {
        let Some(problem) = reason.problem() else {
            debug!(%peer, %reason, "kafka connection ended");
            return;
        };
        if let Some(unsaid) = self.turn(clock.elapsed()) {
            let help = problem.help.unwrap_or_default();
            warn!(%peer, code = problem.code, title = problem.title, help, unsaid, "kafka connection ended");
        }
    }

    /// Whether a line may be written now, and how many were not since the last one.
    fn turn(&self, now: Duration) -> Option<u64> {
        let mut state = self.0.lock();
        if state.last.is_some_and(|last| now < last + PAUSE) {
            state.unsaid += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests;
