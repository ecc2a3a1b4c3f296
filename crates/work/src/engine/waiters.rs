//! Those who wait for the end of an execution.
//!
//! Invariant: somebody waits for every execution that has a place here. Whether there is such an execution, or it has
//! ended already, nobody knows when they ask.

use ahash::HashMap;
use headwater_kernel::port::workflows::ExecutionView;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::rows::Key;

/// See the file's head.
#[derive(Default)]
pub(super) struct Waiters(Mutex<HashMap<Key, Vec<oneshot::Sender<ExecutionView>>>>);

/// An end that somebody waits for, until this is dropped.
pub(super) struct Awaited<'a> {
    waiters: &'a Waiters,
    key: Key,
    /// Resolves with the execution once it has ended.
    pub(super) receiver: oneshot::Receiver<ExecutionView>,
}

impl Waiters {
    /// Waits for an execution's end; ask before looking whether it has ended.
    pub(super) fn ask(&self, key: Key) -> Awaited<'_> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().entry(key).or_default().push(sender);
        Awaited { waiters: self, key, receiver }
    }

    /// Tells those who wait that an execution has ended, or does not go on.
    pub(super) fn tell(&self, key: &Key, view: &ExecutionView) {
        let waiting = self.0.lock().remove(key);
        for waiter in waiting.into_iter().flatten() {
            // It may have left in this moment.
            let _ = waiter.send(view.clone());
        }
    }

    /// Executions that are waited for.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.receiver.close();
        let mut all = self.waiters.0.lock();
        if let Some(waiting) = all.get_mut(&self.key) {
            waiting.retain(|waiter| !waiter.is_closed());
            if waiting.is_empty() {
                all.remove(&self.key);
            }
        }
    }
}
