//! Destinations as they run: the outlet, and the rate that all who send to it share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_base::Clock;
use headwater_kernel::port::Outlet;
use headwater_kernel::port::outlet::{Answer, NotTaken, Outgoing};
use parking_lot::{Mutex, RwLock};

/// A running destination.
pub struct Station {
    /// Sends.
    pub outlet: Arc<dyn Outlet>,
    /// When the next may go, by the clock's `elapsed`.
    next: Mutex<Duration>,
}

impl Station {
    /// A station over an outlet.
    pub fn new(outlet: Arc<dyn Outlet>) -> Self {
        Self { outlet, next: Mutex::new(Duration::ZERO) }
    }

    /// Takes the next place and says how long to wait for it. Places lie evenly apart.
    pub fn place(&self, clock: &dyn Clock) -> Duration {
        let elapsed = clock.elapsed();
        let mut next = self.next.lock();
        let at = (*next).max(elapsed);
        let apart = self.outlet.rate().filter(|rate| *rate > 0.0).map_or(0.0, |rate| (1.0 / rate).min(3_600.0));
        *next = at + Duration::from_secs_f64(apart);
        at.saturating_sub(elapsed)
    }

    /// Sends once its turn has come, at that time.
    ///
    /// # Errors
    /// As [`Outlet::send`].
    pub async fn send(&self, clock: &dyn Clock, outgoing: Outgoing<'_>) -> Result<Answer, NotTaken> {
        let wait = self.place(clock);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let sent = self.outlet.send(Outgoing { now: clock.now(), ..outgoing }).await;
        if let Err(NotTaken { after: Some(after), .. }) = &sent {
            self.hold(clock, *after);
        }
        sent
    }

    /// Lets nothing out for a while: the other side asked for it.
    pub fn hold(&self, clock: &dyn Clock, span: Duration) {
        let mut next = self.next.lock();
        *next = (*next).max(clock.elapsed() + span);
    }
}

/// The running destinations by name.
#[derive(Default)]
pub struct Stations(RwLock<BTreeMap<String, Arc<Station>>>);

impl Stations {
    /// One of them.
    pub fn get(&self, name: &str) -> Option<Arc<Station>> {
        self.0.read().get(name).cloned()
    }

    /// Adds one, in place of the one before.
    pub fn insert(&self, name: &str, station: Arc<Station>) {
        self.0.write().insert(name.to_owned(), station);
    }

    /// Takes one away, unless another has taken its place.
    pub fn remove(&self, name: &str, station: &Arc<Station>) {
        let mut all = self.0.write();
        if all.get(name).is_some_and(|known| Arc::ptr_eq(known, station)) {
            all.remove(name);
        }
    }
}

/// A station for those who are no part of the bus.
pub struct Paced {
    /// The station.
    pub station: Arc<Station>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Outlet for Paced {
    fn send<'a>(&'a self, outgoing: Outgoing<'a>) -> BoxFuture<'a, Result<Answer, NotTaken>> {
        Box::pin(self.station.send(&*self.clock, outgoing))
    }

    fn rate(&self) -> Option<f64> {
        self.station.outlet.rate()
    }
}

#[cfg(test)]
mod tests;
