//! `Lookups`: everything between a pipeline and one [`Lookup`] backend, written once for all of them: cache, single
//! flight, in-flight cap, time-out, retry, circuit breaker, figures.
//!
//! A question has two lives (ADR 0003). The event waits for at most `wait` and then goes on without the answer; the
//! request itself goes on until it is answered or given up, and what it learns is in the cache for the next event.
//! So a slow backend costs events their enrichment, which is repaired later, and never their latency.
//!
//! Questions gather until whoever asks says [`Lookups::send`]: a pipeline's thread is none of the runtime's, and handing
//! something over wakes one of those, which costs more than the question.
//!
//! What it is NOT: it does not hold events back or keep their order (the pipeline does), and it never answers with an
//! expired value, by the time that it is told. Invariants: at most one request for a key at any time, at most `in_flight`
//! requests at once, at most [`QUESTIONS_PER_SLOT`] times as many keys waiting for a slot, every question that was sent
//! is answered exactly once.

mod breaker;
mod cache;
mod figures;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use headwater_base::Clock;
use headwater_kernel::port::{Json, Lookup, LookupError};
use headwater_kernel::unit;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use crate::doc::is_json;
use breaker::{Breaker, Leave};
use cache::{Cache, Known};

pub use figures::Figures;

/// What a lookup answers: the value, None for an unknown key, or why there is no answer. A value has been checked: it is
/// JSON that an event takes as it is. Of what is kept that is done once, not for each event.
pub type Answer = Result<Option<Json>, LookupError>;

/// Called once with the answer, from any thread; it must not wait for anything.
pub type Done = Box<dyn FnOnce(Answer) + Send>;

/// Keys that may wait for a request slot, for each slot.
pub const QUESTIONS_PER_SLOT: usize = 16;

/// Longer keys are refused: they are data by mistake.
pub const KEY_BYTES_MAX: usize = 4_096;

/// Requests of one task at most, and questions that gather: more than these may use a second processor.
const TASK_REQUESTS: usize = 64;

/// How a backend is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How long an event waits for an answer.
    pub wait: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// Further tries after a request that failed or took too long.
    pub retries: u32,
    /// The pause before the first further try; doubles with each one.
    pub backoff: Duration,
    /// Requests at once.
    pub in_flight: usize,
    /// Answers kept.
    pub capacity: usize,
    /// Bytes of answers kept.
    pub cache_bytes: usize,
    /// How long an answer is good.
    pub ttl: Duration,
    /// The part of `ttl` by which it is shortened, differently for each key (0.0 to 1.0).
    pub jitter: f64,
    /// How long "unknown" and "can never be looked up" are good.
    pub negative_ttl: Duration,
    /// Failed requests in a row after which the backend is left alone.
    pub breaker_failures: u32,
    /// For how long.
    pub breaker_pause: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            wait: Duration::from_millis(500),
            timeout: Duration::from_millis(500),
            retries: 2,
            backoff: Duration::from_millis(20),
            in_flight: 512,
            capacity: 100_000,
            cache_bytes: 128 * 1024 * 1024,
            ttl: Duration::from_secs(600),
            jitter: 0.1,
            negative_ttl: Duration::from_secs(5),
            breaker_failures: 20,
            breaker_pause: Duration::from_secs(2),
        }
    }
}

impl Policy {
    /// The longest that one question can take with all its tries.
    pub fn at_leisure(&self) -> Duration {
        let pauses = (0..self.retries).fold(Duration::ZERO, |sum, attempt| sum.saturating_add(self.pause(attempt)));
        self.timeout.saturating_mul(self.retries.saturating_add(1)).saturating_add(pauses)
    }

    fn pause(&self, attempt: u32) -> Duration {
        self.backoff.saturating_mul(1 << attempt.min(10))
    }
}

/// One backend with its policy. Cheap to clone; all clones share cache, slots and breaker.
#[derive(Clone)]
pub struct Lookups(Arc<Inner>);

struct Inner {
    backend: Arc<dyn Lookup>,
    /// The backend's answers at once need no check.
    writes_json: bool,
    policy: Policy,
    clock: Arc<dyn Clock>,
    handle: Handle,
    slots: Semaphore,
    shared: Mutex<Shared>,
    /// There is something in `gathered`: most lookups never have to be asked, and what asks them all looks here first.
    has_gathered: AtomicBool,
    figures: Figures,
}

struct Shared {
    cache: Cache,
    breaker: Breaker,
    /// Who waits for the answer to each key that is being asked.
    flights: HashMap<Arc<str>, Vec<Done>, ahash::RandomState>,
    /// Those of them whose requests are still to be sent.
    gathered: Vec<(Arc<str>, Leave)>,
}

impl Lookups {
    /// Puts `policy` around `backend`; requests run on `handle`.
    pub fn new(backend: Arc<dyn Lookup>, policy: Policy, clock: Arc<dyn Clock>, handle: Handle) -> Self {
        let shared = Shared {
            cache: Cache::new(policy.capacity, policy.cache_bytes),
            breaker: Breaker::new(policy.breaker_failures, policy.breaker_pause),
            flights: HashMap::default(),
            gathered: Vec::new(),
        };
        Self(Arc::new(Inner {
            slots: Semaphore::new(policy.in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            writes_json: backend.writes_json(),
            backend,
            clock,
            handle,
            shared: Mutex::new(shared),
            has_gathered: AtomicBool::new(false),
            figures: Figures::default(),
            policy,
        }))
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// What has happened so far.
    pub fn figures(&self) -> Vec<(&'static str, u64)> {
        let shared = self.0.shared.lock();
        let mut figures = self.0.figures.read();
        figures.push(("cached", shared.cache.len() as u64));
        figures.push(("cached_bytes", shared.cache.bytes() as u64));
        figures.push(("in_flight", shared.flights.len() as u64));
        figures.push(("breaker_open", u64::from(shared.breaker.is_open(self.0.clock.elapsed()))));
        figures
    }

    /// The answer, if it is known without waiting: from the backend's memory, from the cache, or because the backend
    /// cannot be asked now. None = [`Lookups::ask`]. `now` is the clock's elapsed time, as it was lately. An answer about to
    /// expire is asked for anew with the next [`Lookups::send`].
    pub fn at_once(&self, key: &str, now: Duration) -> Option<Answer> {
        let inner = &self.0;
        if key.len() > KEY_BYTES_MAX {
            return Some(Err(inner.refuse_key(key)));
        }
        if let Some(answer) = inner.backend.at_once(key) {
            inner.figures.at_once.fetch_add(1, Relaxed);
            return Some(if inner.writes_json { answer } else { checked(answer) });
        }
        let mut shared = inner.shared.lock();
        if let Some((known, aged)) = shared.cache.get(key, now) {
            let answer = inner.count(known);
            if aged
                && !shared.flights.contains_key(key)
                && shared.breaker.is_closed()
                // Each key that is asked has a slot or waits for one.
                && shared.flights.len() < inner.policy.in_flight
            {
                inner.figures.refreshes.fetch_add(1, Relaxed);
                let leave = shared.breaker.leave(now);
                self.launch(&mut shared, key, Vec::new(), leave);
            }
            return Some(answer);
        }
        if shared.flights.contains_key(key) {
            return None;
        }
        if shared.breaker.is_open(now) {
            inner.figures.breaker_refusals.fetch_add(1, Relaxed);
            return Some(Err(breaker_open()));
        }
        inner.full(&shared).map(Err)
    }

    /// Asks for a key; `done` gets the answer, at once if it is known by now, else some time after [`Lookups::send`]. As
    /// many as may be asked at once do not wait for that.
    pub fn ask(&self, key: &str, done: Done) {
        let inner = &self.0;
        let now = inner.clock.elapsed();
        let refusal = {
            let mut shared = inner.shared.lock();
            if key.len() > KEY_BYTES_MAX {
                Err(inner.refuse_key(key))
            } else if let Some((known, _)) = shared.cache.get(key, now) {
                inner.count(known)
            } else if let Some(waiting) = shared.flights.get_mut(key) {
                inner.figures.joined.fetch_add(1, Relaxed);
                waiting.push(done);
                return;
            } else if let Some(full) = inner.full(&shared) {
                Err(full)
            } else {
                match shared.breaker.leave(now) {
                    Leave::Refused => {
                        inner.figures.breaker_refusals.fetch_add(1, Relaxed);
                        Err(breaker_open())
                    }
                    leave => {
                        inner.figures.misses.fetch_add(1, Relaxed);
                        self.launch(&mut shared, key, vec![done], leave);
                        let are_many = shared.gathered.len() >= inner.policy.in_flight.min(TASK_REQUESTS);
                        drop(shared);
                        if are_many {
                            self.send();
                        }
                        return;
                    }
                }
            }
        };
        done(refusal);
    }

    /// Has the requests go out that have gathered, all with one wake of the runtime.
    pub fn send(&self) {
        let inner = &self.0;
        if !inner.has_gathered.load(Relaxed) {
            return;
        }
        let gathered = {
            let mut shared = inner.shared.lock();
            inner.has_gathered.store(false, Relaxed);
            std::mem::take(&mut shared.gathered)
        };
        let mut gathered = gathered.into_iter().peekable();
        while gathered.peek().is_some() {
            let flight = |(key, leave)| Flight { inner: Arc::clone(inner), key, leave, landed: false };
            let flights: Vec<Flight> = gathered.by_ref().take(TASK_REQUESTS).map(flight).collect();
            // Ends by itself: every try has a time-out and their number is bounded. A flight that is dropped before, with
            // the runtime, answers then.
            inner.handle.spawn(together(flights));
        }
    }

    /// Asks and waits for at most `wait`; for callers that hold no events back.
    pub async fn answer(&self, key: &str, wait: Duration) -> Answer {
        if let Some(answer) = self.at_once(key, self.0.clock.elapsed()) {
            self.send();
            return answer;
        }
        let (send, receive) = oneshot::channel();
        self.ask(
            key,
            Box::new(move |answer| {
                // Nobody may be waiting any more.
                let _ = send.send(answer);
            }),
        );
        self.send();
        match tokio::time::timeout(wait, receive).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(LookupError::Unavailable("the node is stopping".to_owned())),
            Err(_) => Err(LookupError::Timeout(millis(wait))),
        }
    }

    fn launch(&self, shared: &mut Shared, key: &str, waiting: Vec<Done>, leave: Leave) {
        let key: Arc<str> = Arc::from(key);
        shared.flights.insert(Arc::clone(&key), waiting);
        shared.gathered.push((key, leave));
        // Whoever sends it has had the lock since, or is this thread.
        self.0.has_gathered.store(true, Relaxed);
    }
}

/// Has keys asked side by side, in one task. A backend that panics has done so for its own key.
async fn together(flights: Vec<Flight>) {
    let mut flying: FuturesUnordered<_> = flights.into_iter().map(|flight| unit::awaited(flight.run())).collect();
    while flying.next().await.is_some() {}
}

/// One key being asked.
struct Flight {
    inner: Arc<Inner>,
    key: Arc<str>,
    leave: Leave,
    landed: bool,
}

impl Flight {
    async fn run(mut self) {
        let answer = self.fly().await;
        self.land(checked(answer));
    }

    async fn fly(&self) -> Answer {
        let inner = &self.inner;
        let Ok(_slot) = inner.slots.acquire().await else {
            return Err(LookupError::Unavailable("the lookup is closed".to_owned()));
        };
        // A probe of a failing backend is tried once.
        let retries = if matches!(self.leave, Leave::Probe(_)) { 0 } else { inner.policy.retries };
        let mut attempt = 0;
        loop {
            // It may have opened while this one waited: thousands of keys may wait for slots.
            if inner.shared.lock().breaker.revokes(self.leave) {
                inner.figures.breaker_refusals.fetch_add(1, Relaxed);
                return Err(breaker_open());
            }
            inner.figures.requests.fetch_add(1, Relaxed);
            let answer = match tokio::time::timeout(inner.policy.timeout, inner.backend.get(&self.key)).await {
                Ok(answer) => answer,
                Err(_) => Err(LookupError::Timeout(millis(inner.policy.timeout))),
            };
            let failed = matches!(answer, Err(LookupError::Timeout(_) | LookupError::Unavailable(_)));
            let opened = inner.shared.lock().breaker.report(self.leave, !failed, inner.clock.elapsed());
            match &answer {
                Err(LookupError::Timeout(_)) => inner.figures.timeouts.fetch_add(1, Relaxed),
                Err(_) if failed => inner.figures.failures.fetch_add(1, Relaxed),
                _ => return answer,
            };
            if opened || attempt >= retries {
                return answer;
            }
            inner.figures.retries.fetch_add(1, Relaxed);
            tokio::time::sleep(inner.policy.pause(attempt)).await;
            attempt += 1;
        }
    }

    /// Remembers the answer and hands it to everyone who waits.
    fn land(&mut self, answer: Answer) {
        self.landed = true;
        let inner = &self.inner;
        let known = match answer {
            Ok(Some(json)) => Ok(Known::Value(json)),
            Ok(None) => Ok(Known::Unknown),
            Err(LookupError::Rejected(reason)) => Ok(Known::Rejected(reason)),
            Err(error) => Err(error),
        };
        let mut waiting = {
            let mut shared = inner.shared.lock();
            let now = inner.clock.elapsed();
            let policy = &inner.policy;
            if let Ok(known) = &known {
                let ttl = match known {
                    Known::Value(_) => cache::jittered(&self.key, policy.ttl, policy.jitter),
                    Known::Unknown | Known::Rejected(_) => policy.negative_ttl,
                };
                let evicted = shared.cache.put(&self.key, known, now, ttl);
                inner.figures.evictions.fetch_add(evicted, Relaxed);
            }
            shared.flights.remove(&self.key).unwrap_or_default()
        };
        let answer = known.and_then(Known::answer);
        // Most often it is one, and gets the answer itself: the first copy of what came costs memory of its own.
        let last = waiting.pop();
        for done in waiting {
            done(answer.clone());
        }
        if let Some(done) = last {
            done(answer);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            // The backend panicked, or the runtime is going away.
            self.inner.shared.lock().breaker.report(self.leave, false, self.inner.clock.elapsed());
            self.land(Err(LookupError::Unavailable("the request was dropped".to_owned())));
        }
    }
}

impl Inner {
    fn count(&self, known: Known) -> Answer {
        let counter = match &known {
            Known::Value(_) => &self.figures.hits,
            Known::Unknown | Known::Rejected(_) => &self.figures.negative_hits,
        };
        counter.fetch_add(1, Relaxed);
        known.answer()
    }

    fn full(&self, shared: &Shared) -> Option<LookupError> {
        let keys_max = self.policy.in_flight.max(1).saturating_mul(QUESTIONS_PER_SLOT);
        (shared.flights.len() >= keys_max).then(|| {
            self.figures.full.fetch_add(1, Relaxed);
            LookupError::Unavailable(format!("{keys_max} keys are being asked, which is the limit"))
        })
    }

    fn refuse_key(&self, key: &str) -> LookupError {
        self.figures.refused_keys.fetch_add(1, Relaxed);
        LookupError::Rejected(format!("a key of {} bytes; the limit is {KEY_BYTES_MAX}", key.len()))
    }
}

/// An answer whose text is JSON as events hold it, or that there is none.
fn checked(answer: Answer) -> Answer {
    match answer {
        Ok(Some(json)) if !is_json(&json) => Err(LookupError::Rejected("the answer is not JSON".to_owned())),
        answer => answer,
    }
}

fn breaker_open() -> LookupError {
    LookupError::Unavailable("the backend has failed too often and is left alone for a while".to_owned())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
