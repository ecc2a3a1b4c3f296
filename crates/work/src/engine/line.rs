//! Lines of names that wait until what they name may run outside the shards' threads, as external tasks do: so many at
//! once and not more.
//!
//! Each shard has its own line. What is over waits for its shard to take it up, and holds a place of that shard until
//! then: of one shard no more run or wait than may run of all. So what waits is bounded, and a shard that stands still
//! holds up nobody else.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::queue::Room;
use super::rows::SHARDS;

/// Where names are put into the lines.
pub(super) struct Lines<T>([mpsc::UnboundedSender<T>; SHARDS]);

/// The line of one shard.
pub(super) struct Line<T> {
    names: mpsc::UnboundedReceiver<T>,
    /// Places for what runs, of whatever shard.
    running: Arc<Semaphore>,
    /// Places for what runs or waits for this shard.
    shard: Arc<Semaphore>,
}

/// A place for what runs.
pub(super) struct Place {
    running: OwnedSemaphorePermit,
    shard: Room,
}

/// The lines of what may run `at_once` in all shards together.
pub(super) fn lines<T>(at_once: usize) -> (Lines<T>, [Line<T>; SHARDS]) {
    let running = Arc::new(Semaphore::new(at_once));
    let pairs: [_; SHARDS] = std::array::from_fn(|_| mpsc::unbounded_channel());
    let lines = Lines(pairs.each_ref().map(|(names, _)| names.clone()));
    let line = |(_, names)| Line { names, running: Arc::clone(&running), shard: Arc::new(Semaphore::new(at_once)) };
    (lines, pairs.map(line))
}

impl<T> Lines<T> {
    /// Puts a name at the end of a shard's line.
    pub(super) fn push(&self, shard: usize, name: T) {
        if let Some(line) = self.0.get(shard) {
            // Its other end goes only with the node.
            let _ = line.send(name);
        }
    }
}

impl<T> Line<T> {
    /// The next name, once there is a place for it; None when no other will come.
    pub(super) async fn next(&mut self) -> Option<(T, Place)> {
        let name = self.names.recv().await?;
        // The other way round, a name whose shard stands still would keep a place in which something else could run.
        let shard = Arc::clone(&self.shard).acquire_owned().await.ok()?;
        let running = Arc::clone(&self.running).acquire_owned().await.ok()?;
        Some((name, Place { running, shard }))
    }
}

impl Place {
    /// What ran is over: something else may run while it waits for its shard.
    pub(super) fn over(self) -> Room {
        drop(self.running);
        self.shard
    }
}
