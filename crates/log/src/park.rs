//! Waiting on a reader's own thread: no runtime has to be there, and a stop signal always gets through.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How often a waiting thread looks at its stop signal.
const LOOK: Duration = Duration::from_millis(100);

/// Asks a thread to stop, from any other.
#[derive(Clone, Debug, Default)]
pub struct StopSignal {
    set: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl StopSignal {
    /// A signal that also wakes whoever waits on `wake`.
    pub fn waking(wake: Arc<Notify>) -> Self {
        Self { set: Arc::default(), wake }
    }

    /// Asks to stop.
    pub fn set(&self) {
        self.set.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Whether somebody has asked to stop.
    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread. None when asked to stop first.
pub fn wait<F: Future>(future: F, stop: &StopSignal) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        if stop.is_set() {
            return None;
        }
        thread::park_timeout(LOOK);
    }
}

/// Waits until `notify` fires, at most `timeout`.
pub fn nap(notify: &Notify, timeout: Duration) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut notified = pin!(notify.notified());
    let until = Instant::now() + timeout;
    while notified.as_mut().poll(&mut context).is_pending() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}

/// Lets `time` pass, whatever fires meanwhile: for a few milliseconds, in which work gathers.
pub fn pause(time: Duration) {
    thread::sleep(time);
}
