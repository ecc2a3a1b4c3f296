//! Those who wait for a sequence to become durable.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, futures::Notified};

/// Everyone who waits, by sequence.
#[derive(Clone, Debug)]
pub(super) struct Waiters(Arc<Both>);

#[derive(Debug)]
struct Both {
    state: Mutex<State>,
    changed: Condvar,
    room: Notify,
}

#[derive(Debug)]
struct State {
    durable: u64,
    failed: bool,
    next_id: u64,
    wakers: BTreeMap<(u64, u64), Waker>,
    blocked: usize,
}

/// Resolves to true once a sequence is durable, or to false when it never will be.
#[derive(Debug)]
pub struct Waiting {
    waiters: Waiters,
    sequence: u64,
    id: Option<u64>,
}

impl Waiters {
    pub fn new(durable: u64) -> Self {
        let state = State { durable, failed: false, next_id: 0, wakers: BTreeMap::new(), blocked: 0 };
        Self(Arc::new(Both { state: Mutex::new(state), changed: Condvar::new(), room: Notify::new() }))
    }

    pub fn wait(&self, sequence: u64) -> Waiting {
        Waiting { waiters: self.clone(), sequence, id: None }
    }

    pub fn wait_blocking(&self, sequence: u64) -> bool {
        let mut state = self.0.state.lock();
        state.blocked += 1;
        while state.durable < sequence && !state.failed {
            self.0.changed.wait(&mut state);
        }
        state.blocked -= 1;
        state.durable >= sequence
    }

    /// Everything up to `sequence` is durable.
    pub fn advance(&self, sequence: u64) {
        let mut state = self.0.state.lock();
        state.durable = sequence;
        let later = state.wakers.split_off(&(sequence + 1, 0));
        let ready = std::mem::replace(&mut state.wakers, later);
        let blocked = state.blocked > 0;
        drop(state);
        if blocked {
            self.0.changed.notify_all();
        }
        ready.into_values().for_each(Waker::wake);
    }

    /// There may be room for frames again.
    pub fn room(&self) {
        self.0.room.notify_waiters();
    }

    /// Resolves at the next [`Waiters::room`].
    pub fn for_room(&self) -> Notified<'_> {
        self.0.room.notified()
    }

    /// Nothing more will become durable.
    pub fn fail(&self) {
        let mut state = self.0.state.lock();
        state.failed = true;
        let ready = std::mem::take(&mut state.wakers);
        drop(state);
        self.0.changed.notify_all();
        self.0.room.notify_waiters();
        ready.into_values().for_each(Waker::wake);
    }
}

impl Future for Waiting {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let waiters = self.waiters.clone();
        let mut state = waiters.0.state.lock();
        if state.durable >= self.sequence || state.failed {
            let reached = state.durable >= self.sequence;
            if let Some(id) = self.id.take() {
                state.wakers.remove(&(self.sequence, id));
            }
            return Poll::Ready(reached);
        }
        let id = *self.id.get_or_insert_with(|| {
            state.next_id += 1;
            state.next_id
        });
        state.wakers.insert((self.sequence, id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.waiters.0.state.lock().wakers.remove(&(self.sequence, id));
        }
    }
}
