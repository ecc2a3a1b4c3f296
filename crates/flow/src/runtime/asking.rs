//! How a step asks for what it does not know, and where answers come back in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_kernel::port::{Json, LookupError};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::runtime::parking::Ticket;

/// What comes of asking.
pub enum Asked {
    /// It is known.
    Answer(Result<Option<Json>, LookupError>),
    /// It has to be asked for.
    Later,
}

/// A step's way to ask. What it answers is [`crate::lookup::Answer`]: checked JSON.
pub trait Asking: Send + Sync {
    /// The answer, if it is known without waiting. `now` is the clock's elapsed time when the micro-batch began: it is not
    /// read for each event.
    fn at_once(&self, key: &str, now: Duration) -> Asked;

    /// Asks with the next [`Asking::send`]; the answer comes to the pipeline's [`Inbox`] under `ticket` and `step`.
    fn ask(&self, key: &str, ticket: Ticket, step: usize);

    /// Has the questions go out that have gathered. Costs next to nothing when there is none.
    fn send(&self);

    /// How long an event waits for an answer.
    fn wait(&self) -> Duration;

    /// How long an event waits that is retried, for which nobody waits.
    fn wait_at_leisure(&self) -> Duration;
}

/// An answer for a parked event.
#[derive(Debug)]
pub struct Reply {
    /// The event.
    pub ticket: Ticket,
    /// The step that asked.
    pub step: usize,
    /// The answer.
    pub answer: Result<Option<Json>, LookupError>,
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
