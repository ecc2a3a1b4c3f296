//! Activities: tasks that wait for a worker who asks for them.
//!
//! Truth are the tasks' rows; the queues here are built from them again after a restart.

use std::collections::VecDeque;

use ahash::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::rows::Key;
use crate::execution::Attempt;

/// See the file's head.
#[derive(Default)]
pub(super) struct Activities(Mutex<HashMap<String, Activity>>);

#[derive(Default)]
struct Activity {
    ready: VecDeque<(Key, Attempt)>,
    waiting: VecDeque<oneshot::Sender<(Key, Attempt)>>,
}

/// The short name of an activity, by which workers ask.
pub(super) fn short(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

impl Activities {
    /// Offers a task to the next worker.
    pub(super) fn offer(&self, arn: &str, key: Key, attempt: Attempt) {
        let mut all = self.0.lock();
        let activity = all.entry(short(arn).to_owned()).or_default();
        while let Some(waiting) = activity.waiting.pop_front() {
            if waiting.send((key, attempt)).is_ok() {
                return;
            }
        }
        activity.ready.push_back((key, attempt));
    }

    /// A task, as soon as there is one.
    pub(super) fn ask(&self, arn: &str) -> oneshot::Receiver<(Key, Attempt)> {
        let (sender, receiver) = oneshot::channel();
        let mut all = self.0.lock();
        let activity = all.entry(short(arn).to_owned()).or_default();
        match activity.ready.pop_front() {
            Some(task) => drop(sender.send(task)),
            None => {
                activity.waiting.retain(|waiting| !waiting.is_closed());
                activity.waiting.push_back(sender);
            }
        }
        receiver
    }
}
