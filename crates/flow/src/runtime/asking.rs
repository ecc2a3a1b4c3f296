//! How a step asks for what it does not know, and where answers come back in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::lookup::{Answer, Lookups};
use crate::runtime::parking::Ticket;

/// A step's way to ask, from a pipeline's thread. What it answers is checked JSON.
pub struct Asking {
    lookups: Lookups,
    inbox: Arc<Inbox>,
    /// Nobody waits for the event: every question gets all its tries.
    patient: bool,
}

impl Asking {
    /// Asks `lookups`; answers come to `inbox`.
    pub fn new(lookups: Lookups, inbox: Arc<Inbox>, patient: bool) -> Self {
        Self { lookups, inbox, patient }
    }

    /// The answer, if it is known without waiting. `now` is the clock's elapsed time when the micro-batch began: it is not
    /// read for each event.
    pub fn at_once(&self, key: &str, now: Duration) -> Option<Answer> {
        self.lookups.at_once(key, now)
    }

    /// Asks with the next [`Asking::send`]; the answer comes to the pipeline's [`Inbox`] under `ticket` and `step`.
    pub fn ask(&self, key: &str, ticket: Ticket, step: usize) {
        let inbox = Arc::clone(&self.inbox);
        self.lookups.ask(key, Box::new(move |answer| inbox.put(Reply { ticket, step, answer })));
    }

    /// Has the questions go out that have gathered. Costs next to nothing when there is none.
    pub fn send(&self) {
        self.lookups.send();
    }

    /// How long an event waits for an answer.
    pub fn wait(&self) -> Duration {
        if self.patient { self.wait_at_leisure() } else { self.lookups.policy().wait }
    }

    /// How long an event waits that is retried, for which nobody waits.
    pub fn wait_at_leisure(&self) -> Duration {
        self.lookups.policy().at_leisure()
    }
}

/// An answer for a parked event.
#[derive(Debug)]
pub struct Reply {
    /// The event.
    pub ticket: Ticket,
    /// The step that asked.
    pub step: usize,
    /// The answer.
    pub answer: Answer,
}

/// Where answers arrive, from any thread.
#[derive(Debug, Default)]
pub struct Inbox {
    replies: Mutex<Vec<Reply>>,
    lives: AtomicU64,
    /// Wakes the pipeline.
    pub wake: Arc<Notify>,
}

impl Inbox {
    /// Puts an answer in. That costs a wake only where the pipeline sleeps: otherwise it looks here before it does.
    pub fn put(&self, reply: Reply) {
        self.replies.lock().push(reply);
        self.wake.notify_one();
    }

    /// From where a life of the pipeline counts its tickets: what an earlier life asked is answered in this one, and is for
    /// none of its events.
    pub fn first_serial(&self) -> u64 {
        self.lives.fetch_add(1, Ordering::Relaxed) << 40
    }

    /// Takes all answers; `into` is empty and lends its memory.
    pub fn take(&self, into: &mut Vec<Reply>) {
        std::mem::swap(&mut *self.replies.lock(), into);
    }
}
