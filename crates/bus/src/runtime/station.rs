//! Destinations as they run: the outlet, and the rate that all who send to it share.
//!
//! A destination that is applied again goes on at its place: its rate, and a pause that the other side asked for, count
//! across its lives. They are in memory alone, so with the node they begin anew.

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
    /// When the next may go, by the clock's `elapsed`; that of every life of the destination.
    next: Arc<Mutex<Duration>>,
}

impl Station {
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

/// Destinations that no longer run whose places are remembered.
const LEFT_MAX: usize = 1_000;

/// The destinations by name: those that run, and the places of those that did.
#[derive(Default)]
pub struct Stations {
    running: RwLock<BTreeMap<String, Arc<Station>>>,
    left: Mutex<BTreeMap<String, Arc<Mutex<Duration>>>>,
}

impl Stations {
    /// One of them.
    pub fn get(&self, name: &str) -> Option<Arc<Station>> {
        self.running.read().get(name).cloned()
    }

    /// Opens one over an outlet, in place of the one before and with its place.
    pub fn open(&self, name: &str, outlet: Arc<dyn Outlet>) -> Arc<Station> {
        let mut running = self.running.write();
        let left = self.left.lock().remove(name);
        let next = running.get(name).map(|before| Arc::clone(&before.next)).or(left).unwrap_or_default();
        let station = Arc::new(Station { outlet, next });
        running.insert(name.to_owned(), Arc::clone(&station));
        station
    }

    /// Takes one away, unless another has taken its place. Where it stood is kept while that is still to come, for when
    /// it is opened again.
    pub fn remove(&self, name: &str, station: &Arc<Station>, clock: &dyn Clock) {
        let mut running = self.running.write();
        if running.get(name).is_none_or(|known| !Arc::ptr_eq(known, station)) {
            return;
        }
        running.remove(name);
        let mut left = self.left.lock();
        let elapsed = clock.elapsed();
        left.retain(|_, next| *next.lock() > elapsed);
        if left.len() < LEFT_MAX && *station.next.lock() > elapsed {
            left.insert(name.to_owned(), Arc::clone(&station.next));
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
