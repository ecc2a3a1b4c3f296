//! Activities: tasks that wait for a worker who asks for them.
//!
//! Truth are the tasks' rows; the queues here are built from them again after a restart.
//!
//! Invariant: a task waits here, or somebody who asked holds it, who says that it is taken or gives it back; one that has
//! ended waits no more.

use std::collections::{BTreeMap, VecDeque};

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
    /// Tasks by their turns.
    ready: BTreeMap<i64, (Key, Attempt)>,
    /// The turns of those.
    turns: HashMap<(Key, Attempt), i64>,
    waiting: VecDeque<oneshot::Sender<(Key, Attempt)>>,
}

/// A worker who has asked. Whoever drops it leaves, and gives back what nobody has taken.
pub(super) struct Asked<'a> {
    activities: &'a Activities,
    activity: String,
    receiver: oneshot::Receiver<(Key, Attempt)>,
    held: Option<(Key, Attempt)>,
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
        if let Some(task) = activity.hand((key, attempt)) {
            activity.put_last(task);
        }
    }

    /// Asks for a task.
    pub(super) fn ask(&self, arn: &str) -> Asked<'_> {
        let (sender, receiver) = oneshot::channel();
        let name = short(arn);
        let mut all = self.0.lock();
        let activity = all.entry(name.to_owned()).or_default();
        let held = activity.pop();
        if held.is_none() {
            activity.waiting.push_back(sender);
        }
        Asked { activities: self, activity: name.to_owned(), receiver, held }
    }

    /// Takes back a task that nobody wants done any more.
    pub(super) fn withdraw(&self, key: Key, attempt: Attempt) {
        self.0.lock().retain(|_, activity| {
            if let Some(turn) = activity.turns.remove(&(key, attempt)) {
                activity.ready.remove(&turn);
            }
            !activity.is_idle()
        });
    }

    /// Activities that have a task ready, or a worker who waits.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Activity {
    fn put_last(&mut self, task: (Key, Attempt)) {
        let turn = self.ready.last_key_value().map_or(0, |(turn, _)| turn + 1);
        self.put(turn, task);
    }

    fn put_first(&mut self, task: (Key, Attempt)) {
        let turn = self.ready.first_key_value().map_or(0, |(turn, _)| turn - 1);
        self.put(turn, task);
    }

    fn put(&mut self, turn: i64, task: (Key, Attempt)) {
        if let Some(before) = self.turns.insert(task, turn) {
            self.ready.remove(&before);
        }
        self.ready.insert(turn, task);
    }

    fn pop(&mut self) -> Option<(Key, Attempt)> {
        let (_, task) = self.ready.pop_first()?;
        self.turns.remove(&task);
        Some(task)
    }

    fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.waiting.is_empty()
    }

    /// Gives a task to the worker who has waited longest; back if there is none.
    fn hand(&mut self, mut task: (Key, Attempt)) -> Option<(Key, Attempt)> {
        while let Some(waiting) = self.waiting.pop_front() {
            match waiting.send(task) {
                Ok(()) => return None,
                Err(unsent) => task = unsent,
            }
        }
        Some(task)
    }
}

impl Asked<'_> {
    /// The task, as soon as there is one.
    pub(super) async fn task(&mut self) -> Option<(Key, Attempt)> {
        if self.held.is_none() {
            self.held = (&mut self.receiver).await.ok();
        }
        self.held
    }

    /// The task is taken, or nobody wants it any more.
    pub(super) fn done(mut self) {
        self.held = None;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.receiver.close();
        let given = self.held.take().or_else(|| self.receiver.try_recv().ok());
        let mut all = self.activities.0.lock();
        let activity = all.entry(self.activity.clone()).or_default();
        activity.waiting.retain(|waiting| !waiting.is_closed());
        if let Some(task) = given.and_then(|task| activity.hand(task)) {
            activity.put_first(task);
        }
        if activity.is_idle() {
            all.remove(&self.activity);
        }
    }
}

#[cfg(test)]
mod tests;
