//! Holidays that change while a forecast runs: its calendar is read again and again, and what it says then is handed over.
//!
//! What it is NOT: a reader (`calendar.rs` is). Of a Table the log tells when it has got more. Nobody tells when a file or
//! a Dataset has changed, so every calendar is asked, as often as an interval ends but once a minute at most; and what
//! counts is whether its days are others.
//!
//! Invariant: a calendar that cannot be read any more changes nothing: the days that were read last hold.

use std::sync::{Arc, Weak};
use std::time::Duration;

use headwater_base::{Clock, Name, Problem};
use headwater_kernel::unit::{awaited, bug};
use headwater_log::{Log, Offset, View};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::figures::Figures;
use crate::holidays::Holidays;

/// The shortest time between two readings.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// The longest.
const EVERY_MAX: Duration = Duration::from_secs(60);

/// Holidays that a forecast has still to take up.
#[derive(Debug, Default)]
pub struct Coming {
    days: Mutex<Option<Holidays>>,
    /// Wakes the forecast.
    wake: Arc<Notify>,
    /// Wakes who follows, once the forecast has gone.
    gone: Arc<Notify>,
}

impl Coming {
    /// None yet; `wake` is what the forecast waits on.
    pub fn new(wake: Arc<Notify>) -> Self {
        Self { days: Mutex::default(), wake, gone: Arc::default() }
    }

    /// Those that have come since the last call.
    pub fn take(&self) -> Option<Holidays> {
        self.days.lock().take()
    }

    /// What fires once nobody has this any more.
    pub const fn gone(&self) -> &Arc<Notify> {
        &self.gone
    }

    fn put(&self, days: Holidays) {
        *self.days.lock() = Some(days);
        self.wake.notify_one();
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.gone.notify_one();
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
    /// What wakes it: [`Coming::gone`], and the log.
    pub wake: Arc<Notify>,
    /// Streams that the calendar is made of.
    pub streams: Vec<Name>,
    /// The log.
    pub log: Arc<dyn Log>,
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
        let (mut last, mut wait) = (self.clock.elapsed(), every);
        let origin = |stream: &Name| Origin { stream: stream.clone(), ends: Vec::new() };
        let mut origins: Vec<Origin> = self.streams.iter().map(origin).collect();
        self.have_moved(&mut origins);
        async move {
            while self.coming.strong_count() > 0 {
                let (now, due) = (self.clock.elapsed(), last + wait);
                if now < due {
                    tokio::select! {
                        () = tokio::time::sleep(due - now) => {}
                        () = self.wake.notified() => {}
                    }
                    if self.have_moved(&mut origins) {
                        wait = EVERY_MIN;
                    }
                    continue;
                }
                // What ends by a bug is a calendar that cannot be read: it is asked again all the same.
                let found = awaited(async { read().await }).await;
                let found = found.unwrap_or_else(|said| Err(bug("reading the holidays", &said)));
                (last, wait) = (self.clock.elapsed(), every);
                self.take(found);
            }
        }
    }

    /// Whether there is more in streams than before; the next of it wakes.
    fn have_moved(&self, origins: &mut [Origin]) -> bool {
        origins.iter_mut().fold(false, |moved, origin| moved | origin.has_moved(&*self.log, &self.wake))
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

/// A stream that a calendar is made of, and how far it was, by partition.
struct Origin {
    stream: Name,
    ends: Vec<Offset>,
}

impl Origin {
    fn has_moved(&mut self, log: &dyn Log, wake: &Arc<Notify>) -> bool {
        let Some(stream) = log.stream(self.stream.as_str()) else { return false };
        self.ends.resize(stream.config.partitions as usize, -1);
        let mut moved = false;
        for (partition, end) in (0_u32..).zip(&mut self.ends) {
            let Ok(now) = log.ends(&self.stream, partition) else { continue };
            if now.durable == *end {
                continue;
            }
            *end = now.durable;
            moved = true;
            // A stream that goes away meanwhile is looked for the next time.
            let _ = log.wake_after(&self.stream, partition, *end, View::Durable, wake);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use headwater_base::{Limits, ManualClock, Micros};
    use headwater_kernel::kinds::stream::default_config;
    use headwater_log::{Append, Commit, EmbeddedLog, StreamConfig};
    use headwater_store::disk::MemoryDisk;
    use headwater_wire::batch::{Builder, Compression};

    use super::*;
    use crate::holidays::{DAY_MICROS, Day};

    fn log(clock: &Arc<ManualClock>) -> Arc<EmbeddedLog> {
        let (disk, limits) = (Arc::new(MemoryDisk::default()), Arc::new(Limits::default()));
        let options = headwater_testkit::options(1 << 20);
        EmbeddedLog::open_with(disk, Path::new("/data"), limits, clock.clone(), options).unwrap()
    }

    fn following(clock: &Arc<ManualClock>, log: Arc<EmbeddedLog>, coming: &Arc<Coming>) -> Following {
        Following {
            name: "f".to_owned(),
            interval: Duration::from_secs(3_600),
            known: days(1),
            coming: Arc::downgrade(coming),
            wake: Arc::clone(coming.gone()),
            streams: vec![Name::new("table.days").unwrap()],
            log,
            figures: Arc::default(),
            clock: clock.clone(),
        }
    }

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
        let clock = Arc::new(ManualClock::at(Micros(0)));
        let coming = Arc::new(Coming::new(Arc::default()));
        let found = Arc::new(Mutex::new((0, Ok(days(1)))));
        // The stream is not there, and no wait for it.
        let following = following(&clock, log(&clock), &coming);
        let (figures, wake) = (Arc::clone(&following.figures), Arc::clone(&following.wake));
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
            // The clock moves nobody's sleep.
            wake.notify_one();
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

    #[tokio::test]
    async fn a_calendar_is_read_before_its_time_once_its_stream_has_more() {
        let clock = Arc::new(ManualClock::at(Micros(0)));
        let (log, stream) = (log(&clock), Name::new("table.days").unwrap());
        let config = StreamConfig { partitions: 2, ..default_config(&Limits::default()) };
        log.create(stream.clone(), config, Vec::new()).await.unwrap();
        let (coming, times) = (Arc::new(Coming::new(Arc::default())), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&times);
        let read = move || {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 2;
            async move { Ok(days(i64::try_from(number).unwrap_or(0))) }
        };
        let task = tokio::spawn(following(&clock, log.clone(), &coming).run(read));
        for number in 2..5 {
            clock.advance(EVERY_MIN);
            let mut builder = Builder::new(Compression::None);
            builder.push(1_000, Some(b"key"), Some(b"{}"), &[]);
            let append = Append { stream: stream.clone(), partition: number % 2, batches: builder.finish() };
            let ticket = log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
            log.durable(ticket.sequence).await.unwrap();
            until("days have come", || coming.days.lock().is_some()).await;
            assert_eq!(coming.take(), Some(days(i64::from(number))));
        }
        drop(coming);
        tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
        assert_eq!(times.load(Ordering::SeqCst), 3);
    }
}
