//! The real clock. It is the only place of the workspace that reads the time. And how to wait for a time by any clock.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headwater_base::{Clock, Micros, Moved};
use tokio::sync::Notify;

/// The longest nap. While it lasts, a machine may have slept or been given another time, of which nobody is told.
const NAP_MAX: Duration = Duration::from_secs(30);
/// The shortest.
const NAP_MIN: Duration = Duration::from_millis(1);

/// Naps until `due` by the wall clock. It may be over before that, where the clock has been moved or could have been: look
/// at the clock, and nap again.
pub async fn nap(clock: &dyn Clock, due: Micros) {
    let moved = Arc::new(Notify::new());
    let told: Arc<Moved> = {
        let moved = Arc::clone(&moved);
        Arc::new(move || moved.notify_one())
    };
    // Before the clock is read, so that no move of it is missed.
    clock.on_move(Arc::downgrade(&told));
    let left = due.since(clock.now()).clamp(NAP_MIN, NAP_MAX);
    // When the time is out is as good as when somebody says so.
    let _ = tokio::time::timeout(left, moved.notified()).await;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose `elapsed` counts from now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Micros(micros)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests;
