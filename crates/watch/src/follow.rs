//! Holidays that change while a forecast runs: its calendar is read again and again, and what it says then is handed over.
//!
//! What it is NOT: a reader (`calendar.rs` is). Nobody tells when a file or a Dataset has changed, so the calendar is
//! asked, as often as an interval ends but once a minute at most, and what counts is whether its days are others.
//!
//! Invariant: a calendar that cannot be read any more changes nothing: the days that were read last hold.

use std::sync::{Arc, Weak};
use std::time::Duration;

use headwater_base::{Clock, Problem};
use headwater_kernel::unit::{awaited, bug};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::figures::Figures;
use crate::holidays::Holidays;

/// The shortest time between two readings.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// The longest.
const EVERY_MAX: Duration = Duration::from_secs(60);
/// How long to sleep at most before looking whether the forecast is still there.
const DOZE: Duration = Duration::from_millis(250);

/// Holidays that a forecast has still to take up.
#[derive(Debug, Default)]
pub struct Coming {
    days: Mutex<Option<Holidays>>,
    /// Wakes the forecast.
    wake: Arc<Notify>,
}

impl Coming {
    /// None yet; `wake` is what the forecast waits on.
    pub fn new(wake: Arc<Notify>) -> Self {
        Self { days: Mutex::default(), wake }
    }

    /// Those that have come since the last call.
    pub fn take(&self) -> Option<Holidays> {
        self.days.lock().take()
    }

    fn put(&self, days: Holidays) {
        *self.days.lock() = Some(days);
        self.wake.notify_one();
    }
}

/// What following needs to know of a forecast.
pub struct Following {
    /// Its name.
    pub name: String,
    /// The length of its intervals.
    pub interval: Duration,
    /// The days that it has begun with.
    pub known: Holidays,
    /// Where others go; it ends when nobody has that any more.
    pub coming: Weak<Coming>,
    /// Where it is told what stands against reading.
    pub figures: Arc<Figures>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Following {
    /// Follows what `read` gives for as long as the forecast is there.
    pub fn run<R, F>(mut self, read: R) -> impl Future<Output = ()> + Send
    where
        R: Fn() -> F + Send + Sync,
        F: Future<Output = Result<Holidays, Problem>> + Send,
    {
        let every = self.interval.clamp(EVERY_MIN, EVERY_MAX);
        let mut due = self.clock.elapsed() + every;
        async move {
            while self.coming.strong_count() > 0 {
                if self.clock.elapsed() < due {
                    tokio::time::sleep(DOZE).await;
                    continue;
                }
                // What ends by a bug is a calendar that cannot be read: it is asked again all the same.
                let found = awaited(async { read().await }).await;
                let found = found.unwrap_or_else(|said| Err(bug("reading the holidays", &said)));
                due = self.clock.elapsed() + every;
                self.take(found);
            }
        }
    }

    fn take(&mut self, found: Result<Holidays, Problem>) {
        match found {
            Ok(days) => {
                self.figures.blame(None);
                if days != self.known {
                    info!(forecast = %self.name, "the holidays are others");
                    self.known = days.clone();
                    if let Some(coming) = self.coming.upgrade() {
                        coming.put(days);
                    }
                }
            }
            Err(problem) => {
                warn!(forecast = %self.name, code = problem.code, title = problem.title, "the holidays stay as they were");
                self.figures.blame(Some(problem));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use headwater_base::{ManualClock, Micros};

    use super::*;
    use crate::holidays::{DAY_MICROS, Day};

    fn days(number: i64) -> Holidays {
        let (begins, ends) = (Micros(number * DAY_MICROS), Micros((number + 1) * DAY_MICROS));
        Holidays::new([Day { begins, ends, days_back: 0, name: Arc::from("day") }], DAY_MICROS)
    }

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let patience = tokio::time::timeout(Duration::from_secs(60), async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(patience.await.is_ok(), "{what}");
    }

    #[tokio::test]
    async fn days_that_change_are_handed_over_and_those_that_cannot_be_read_stay() {
        let (clock, figures) = (Arc::new(ManualClock::at(Micros(0))), Arc::new(Figures::default()));
        let coming = Arc::new(Coming::new(Arc::default()));
        let found = Arc::new(Mutex::new((0, Ok(days(1)))));
        let following = Following {
            name: "f".to_owned(),
            interval: Duration::from_secs(3_600),
            known: days(1),
            coming: Arc::downgrade(&coming),
            figures: figures.clone(),
            clock: clock.clone(),
        };
        let says = found.clone();
        let read = move || {
            let mut says = says.lock();
            says.0 += 1;
            let answer: Result<Holidays, Problem> = says.1.clone();
            async move {
                let asks_for_bug = answer.as_ref().is_err_and(|problem| problem.title == "bug");
                assert!(!asks_for_bug, "a bug, made by a test");
                answer
            }
        };
        let task = tokio::spawn(following.run(read));
        let minute = async |answer: Result<Holidays, Problem>| {
            let before = {
                let mut found = found.lock();
                found.1 = answer;
                found.0
            };
            clock.advance(Duration::from_secs(60));
            until("the calendar is read", || found.lock().0 > before).await;
        };
        minute(Ok(days(1))).await;
        minute(Ok(days(2))).await;
        until("the days are others", || coming.days.lock().is_some()).await;
        assert_eq!(coming.take(), Some(days(2)));
        minute(Err(Problem::new("HW-WATCH-060", "no"))).await;
        until("it is told", || figures.blamed().is_some()).await;
        assert_eq!(coming.take(), None);
        minute(Err(Problem::new("HW-WATCH-060", "bug"))).await;
        let told = || figures.blamed().is_some_and(|problem| problem.title.ends_with("a bug, made by a test"));
        until("the bug is told", told).await;
        minute(Ok(days(2))).await;
        until("it is over", || figures.blamed().is_none()).await;
        assert_eq!(coming.take(), None, "they are what they were");
        drop(coming);
        tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
    }
}
