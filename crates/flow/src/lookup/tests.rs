use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use headwater_base::{ManualClock, Micros};
use tokio::runtime::Runtime;

use super::*;

/// A backend that answers as scripted, or when told.
#[derive(Default)]
struct Backend {
    script: Mutex<VecDeque<Answer>>,
    /// Requests that hang until they are released.
    held: Mutex<Option<Arc<Semaphore>>>,
    asked: AtomicUsize,
    at_once_max: AtomicUsize,
    now: AtomicUsize,
}

impl Lookup for Backend {
    fn at_once(&self, key: &str) -> Option<Answer> {
        let nonsense = key.strip_prefix("nonsense:").map(|rest| Ok(Some(Json::from(rest.to_owned()))));
        key.strip_prefix("memory:").map(|rest| Ok(Some(json(rest)))).or(nonsense)
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.at_once_max.fetch_max(now, Ordering::SeqCst);
            let held = self.held.lock().clone();
            if let Some(held) = held {
                held.acquire().await.unwrap().forget();
            }
            self.now.fetch_sub(1, Ordering::SeqCst);
            assert!(!key.starts_with("bug"), "a bug");
            let scripted = self.script.lock().pop_front();
            scripted.unwrap_or_else(|| Ok(Some(json(key))))
        })
    }
}

fn json(text: &str) -> Json {
    Json::from(format!("{{\"of\":{text:?}}}"))
}

fn down() -> Answer {
    Err(LookupError::Unavailable("down".to_owned()))
}

struct Bench {
    runtime: Runtime,
    clock: Arc<ManualClock>,
    backend: Arc<Backend>,
    lookups: Lookups,
}

fn bench(policy: Policy) -> Bench {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let clock = Arc::new(ManualClock::at(Micros(0)));
    let backend = Arc::new(Backend::default());
    let lookups = Lookups::new(backend.clone(), policy, clock.clone(), runtime.handle().clone());
    Bench { runtime, clock, backend, lookups }
}

fn quick() -> Policy {
    Policy {
        backoff: Duration::from_millis(1),
        timeout: Duration::from_secs(30),
        wait: Duration::from_secs(30),
        ..Policy::default()
    }
}

impl Bench {
    fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.backend.script.lock().extend(answers);
    }

    fn hold(&self) -> Arc<Semaphore> {
        let held = Arc::new(Semaphore::new(0));
        *self.backend.held.lock() = Some(held.clone());
        held
    }

    /// Asks without waiting.
    fn ask(&self, key: &str) -> oneshot::Receiver<Answer> {
        let receive = self.gather(key);
        self.lookups.send();
        receive
    }

    /// Asks with the next one that is asked.
    fn gather(&self, key: &str) -> oneshot::Receiver<Answer> {
        let (send, receive) = oneshot::channel();
        self.lookups.ask(key, Box::new(move |answer| drop(send.send(answer))));
        receive
    }

    fn tasks(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }

    fn at_once(&self, key: &str) -> Option<Answer> {
        self.lookups.at_once(key, self.clock.elapsed())
    }

    fn answer(&self, key: &str) -> Answer {
        self.runtime.block_on(self.lookups.answer(key, Duration::from_secs(30)))
    }

    fn figure(&self, name: &str) -> u64 {
        self.lookups.figures().into_iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn asked(&self) -> usize {
        self.backend.asked.load(Ordering::SeqCst)
    }
}

#[test]
fn answers_are_remembered_until_they_expire() {
    let bench = bench(Policy { ttl: Duration::from_secs(100), jitter: 0.0, ..quick() });
    assert_eq!(bench.at_once("a"), None);
    assert_eq!(bench.answer("a"), Ok(Some(json("a"))));
    bench.clock.advance(Duration::from_secs(89));
    assert_eq!(bench.at_once("a"), Some(Ok(Some(json("a")))));
    assert_eq!(bench.asked(), 1);
    bench.clock.advance(Duration::from_secs(11));
    assert_eq!(bench.at_once("a"), None);
    assert_eq!(bench.answer("a"), Ok(Some(json("a"))));
    assert_eq!((bench.asked(), bench.figure("hits_total"), bench.figure("misses_total")), (2, 1, 2));
}

#[test]
fn an_answer_about_to_expire_is_renewed_without_making_anyone_wait() {
    let bench = bench(Policy { ttl: Duration::from_secs(100), jitter: 0.0, ..quick() });
    bench.answer("a").unwrap();
    bench.clock.advance(Duration::from_secs(95));
    let held = bench.hold();
    assert_eq!(bench.at_once("a"), Some(Ok(Some(json("a")))));
    assert_eq!(bench.at_once("a"), Some(Ok(Some(json("a")))));
    let joined = bench.ask("other");
    held.add_permits(2);
    bench.runtime.block_on(joined).unwrap().unwrap();
    while bench.figure("in_flight") > 0 {
        std::thread::yield_now();
    }
    assert_eq!((bench.asked(), bench.figure("refreshes_total")), (3, 1));
    bench.clock.advance(Duration::from_secs(85));
    assert_eq!(bench.at_once("a"), Some(Ok(Some(json("a")))));
}

#[test]
fn no_more_answers_are_renewed_ahead_of_time_than_there_are_slots() {
    let bench = bench(Policy { ttl: Duration::from_secs(100), jitter: 0.0, in_flight: 2, ..quick() });
    let keys: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    keys.iter().for_each(|key| drop(bench.answer(key)));
    bench.clock.advance(Duration::from_secs(95));
    let held = bench.hold();
    for key in &keys {
        assert_eq!(bench.at_once(key), Some(Ok(Some(json(key)))));
    }
    assert_eq!((bench.figure("refreshes_total"), bench.figure("in_flight")), (2, 2));
    held.add_permits(2);
}

#[test]
fn an_unknown_key_is_remembered_for_a_short_time() {
    let bench = bench(Policy { negative_ttl: Duration::from_secs(5), ..quick() });
    bench.script([Ok(None), Err(LookupError::Rejected("odd".to_owned()))]);
    assert_eq!(bench.answer("a"), Ok(None));
    assert_eq!(bench.at_once("a"), Some(Ok(None)));
    assert_eq!(bench.answer("b"), Err(LookupError::Rejected("odd".to_owned())));
    assert_eq!(bench.at_once("b"), Some(Err(LookupError::Rejected("odd".to_owned()))));
    assert_eq!((bench.asked(), bench.figure("retries_total"), bench.figure("negative_hits_total")), (2, 0, 2));
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(bench.at_once("a"), None);
}

#[test]
fn one_request_serves_everyone_who_asks_for_the_key() {
    let bench = bench(quick());
    let held = bench.hold();
    let waiting: Vec<_> = (0..50).map(|_| bench.ask("a")).collect();
    held.add_permits(1);
    for answer in waiting {
        assert_eq!(bench.runtime.block_on(answer).unwrap(), Ok(Some(json("a"))));
    }
    assert_eq!((bench.asked(), bench.figure("joined_total")), (1, 49));
}

#[test]
fn questions_gather_until_they_are_sent_and_go_out_with_one_task() {
    let bench = bench(quick());
    let held = bench.hold();
    let mut waiting: Vec<_> = ["a", "b", "a", "c"].map(|key| bench.gather(key)).into();
    assert_eq!((bench.tasks(), bench.figure("in_flight"), bench.figure("joined_total")), (0, 3, 1));
    assert_eq!(bench.at_once("a"), None);
    bench.lookups.send();
    assert_eq!(bench.tasks(), 1);
    bench.lookups.send();
    assert_eq!(bench.tasks(), 1, "nothing has gathered since");
    waiting.push(bench.gather("b"));
    held.add_permits(3);
    for (answer, key) in waiting.into_iter().zip(["a", "b", "a", "c", "b"]) {
        assert_eq!(bench.runtime.block_on(answer).unwrap(), Ok(Some(json(key))));
    }
    assert_eq!((bench.asked(), bench.figure("in_flight")), (3, 0));
}

#[test]
fn as_many_questions_as_may_be_asked_at_once_wait_for_no_others() {
    for (in_flight, count) in [(2, 2), (512, TASK_REQUESTS)] {
        let bench = bench(Policy { in_flight, ..quick() });
        let waiting: Vec<_> = (0..count).map(|n| bench.gather(&n.to_string())).collect();
        for answer in waiting {
            assert!(bench.runtime.block_on(answer).unwrap().is_ok());
        }
    }
}

#[test]
fn whoever_waits_for_an_answer_sends_what_others_gathered() {
    let bench = bench(quick());
    let gathered = bench.gather("a");
    assert_eq!(bench.answer("a"), Ok(Some(json("a"))));
    assert_eq!(bench.runtime.block_on(gathered).unwrap(), Ok(Some(json("a"))));
}

#[test]
fn a_backend_that_panics_about_one_key_answers_the_others() {
    let bench = bench(Policy { retries: 2, ..quick() });
    let held = bench.hold();
    let waiting = ["a", "bug", "b"].map(|key| bench.gather(key));
    bench.lookups.send();
    held.add_permits(3);
    let [a, bug, b] = waiting.map(|answer| bench.runtime.block_on(answer).unwrap());
    assert_eq!((a, b), (Ok(Some(json("a"))), Ok(Some(json("b")))));
    assert!(matches!(bug, Err(LookupError::Unavailable(_))), "{bug:?}");
    assert_eq!((bench.asked(), bench.figure("in_flight")), (3, 0), "a bug is no reason to ask again");
}

#[test]
fn no_more_requests_run_at_once_than_allowed_and_no_more_keys_wait_than_bounded() {
    let bench = bench(Policy { in_flight: 2, ..quick() });
    let held = bench.hold();
    let keys = 2 * QUESTIONS_PER_SLOT;
    let waiting: Vec<_> = (0..keys).map(|n| bench.ask(&n.to_string())).collect();
    assert!(matches!(bench.at_once("one more"), Some(Err(LookupError::Unavailable(_)))));
    assert!(matches!(bench.answer("one more"), Err(LookupError::Unavailable(_))));
    held.add_permits(keys);
    for answer in waiting {
        assert!(bench.runtime.block_on(answer).unwrap().is_ok());
    }
    assert_eq!(bench.asked(), keys);
    assert!(bench.backend.at_once_max.load(Ordering::SeqCst) <= 2);
    assert_eq!(bench.figure("in_flight"), 0);
}

#[test]
fn a_failed_request_is_tried_again_and_a_refused_one_is_not() {
    let bench = bench(Policy { retries: 2, ..quick() });
    bench.script([down(), down()]);
    assert_eq!(bench.answer("a"), Ok(Some(json("a"))));
    bench.script([down(), down(), down()]);
    assert_eq!(bench.answer("b"), down());
    assert_eq!(bench.at_once("b"), None, "a failure is not remembered");
    assert_eq!((bench.asked(), bench.figure("failures_total"), bench.figure("retries_total")), (6, 5, 4));
}

#[test]
fn the_event_goes_on_and_the_late_answer_is_there_for_the_next_one() {
    let bench = bench(quick());
    let held = bench.hold();
    let wait = Duration::from_millis(5);
    assert_eq!(bench.runtime.block_on(bench.lookups.answer("a", wait)), Err(LookupError::Timeout(5)));
    let joined = bench.ask("a");
    held.add_permits(1);
    bench.runtime.block_on(joined).unwrap().unwrap();
    assert_eq!(bench.at_once("a"), Some(Ok(Some(json("a")))));
    assert_eq!(bench.asked(), 1);
}

#[test]
fn a_request_that_hangs_is_given_up() {
    let bench = bench(Policy { timeout: Duration::from_millis(5), retries: 1, ..quick() });
    let _held = bench.hold();
    assert_eq!(bench.answer("a"), Err(LookupError::Timeout(5)));
    assert_eq!((bench.asked(), bench.figure("timeouts_total"), bench.figure("in_flight")), (2, 2, 0));
}

#[test]
fn a_failing_backend_is_left_alone_then_probed_once() {
    let bench = bench(Policy { retries: 0, breaker_failures: 3, breaker_pause: Duration::from_secs(2), ..quick() });
    bench.answer("warm").unwrap();
    bench.script([down(), down(), down(), down()]);
    for key in ["a", "b", "c"] {
        assert_eq!(bench.answer(key), down());
    }
    assert_eq!(bench.figure("breaker_open"), 1);
    assert!(matches!(bench.at_once("d"), Some(Err(LookupError::Unavailable(_)))));
    assert_eq!(bench.at_once("warm"), Some(Ok(Some(json("warm")))), "what is known is still answered");
    assert_eq!(bench.asked(), 4);
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(bench.answer("d"), down());
    assert!(matches!(bench.answer("e"), Err(LookupError::Unavailable(_))));
    assert_eq!(bench.asked(), 5, "the failed probe opened it again");
    bench.clock.advance(Duration::from_secs(2));
    let held = bench.hold();
    let probe = bench.ask("f");
    assert!(matches!(bench.answer("g"), Err(LookupError::Unavailable(_))), "only one probe at a time");
    held.add_permits(1_000);
    assert!(bench.runtime.block_on(probe).unwrap().is_ok());
    assert!(bench.answer("g").is_ok());
    assert_eq!(bench.figure("breaker_open"), 0);
}

#[test]
fn what_waits_for_a_slot_while_the_breaker_opens_is_not_asked() {
    let bench = bench(Policy { retries: 0, in_flight: 1, breaker_failures: 1, ..quick() });
    bench.script([down()]);
    let held = bench.hold();
    let first = bench.ask("a");
    while bench.asked() == 0 {
        std::thread::yield_now();
    }
    let waiting = ["b", "c"].map(|key| bench.ask(key));
    held.add_permits(1_000);
    assert_eq!(bench.runtime.block_on(first).unwrap(), down());
    for answer in waiting {
        assert_eq!(bench.runtime.block_on(answer).unwrap(), Err(breaker_open()));
    }
    assert_eq!((bench.asked(), bench.figure("breaker_refusals_total"), bench.figure("in_flight")), (1, 2, 0));
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(bench.answer("b"), Ok(Some(json("b"))));
}

#[test]
fn what_was_asked_before_the_breaker_opened_says_nothing_of_what_came_after() {
    let at = Duration::from_secs;
    let mut breaker = Breaker::new(2, at(2));
    let before: Vec<Leave> = (0..6).map(|_| breaker.leave(at(0))).collect();
    assert!(!breaker.report(before[0], false, at(1)));
    assert!(breaker.report(before[1], false, at(1)));
    assert!(breaker.report(before[2], false, at(2)), "whoever tries again learns that it is open");
    assert!(breaker.revokes(before[3]), "nor does it go out any more");
    assert!(!breaker.is_open(at(3)), "the pause is no longer for that");
    let probe = breaker.leave(at(3));
    assert!(!breaker.revokes(probe));
    assert!(matches!(probe, Leave::Probe(_)));
    for (leave, success) in [(before[3], false), (before[4], true)] {
        breaker.report(leave, success, at(3));
        assert_eq!(breaker.leave(at(9)), Leave::Refused, "the probe has not come home");
    }
    assert!(!breaker.report(probe, true, at(9)));
    for leave in &before {
        assert!(!breaker.revokes(*leave) && !breaker.report(*leave, false, at(9)), "the backend is back");
    }
    let after = breaker.leave(at(10));
    assert!(!breaker.report(after, false, at(10)));
    assert!(breaker.report(after, false, at(10)));
    let probe = breaker.leave(at(12));
    assert!(breaker.report(probe, false, at(12)));
    assert_eq!(breaker.leave(at(13)), Leave::Refused, "a probe that failed opens it for another pause");
}

#[test]
fn memory_answers_skip_the_cache() {
    let bench = bench(quick());
    assert_eq!(bench.at_once("memory:x"), Some(Ok(Some(json("x")))));
    assert_eq!((bench.asked(), bench.figure("cached"), bench.figure("at_once_total")), (0, 0, 1));
}

#[test]
fn an_answer_that_no_event_takes_is_refused_wherever_it_comes_from() {
    let bench = bench(quick());
    let refused: Answer = Err(LookupError::Rejected("the answer is not JSON".to_owned()));
    // Half of a surrogate pair: JSON by its grammar, and no text.
    for (key, text) in [("a", "{"), ("b", r#""\ud800""#), ("c", "1e999"), ("d", "")] {
        bench.script([Ok(Some(Json::from(text)))]);
        assert_eq!(bench.answer(key), refused, "{text}");
        assert_eq!(bench.at_once(key), Some(refused.clone()), "{text}");
    }
    assert_eq!(bench.asked(), 4);
    assert_eq!(bench.at_once("nonsense:{"), Some(refused));
}

#[test]
fn a_key_that_is_data_by_mistake_is_refused() {
    let bench = bench(quick());
    assert!(matches!(bench.at_once(&"x".repeat(5_000)), Some(Err(LookupError::Rejected(_)))));
    assert!(matches!(bench.answer(&"x".repeat(5_000)), Err(LookupError::Rejected(_))));
    assert_eq!(bench.asked(), 0);
}

#[test]
fn a_runtime_that_goes_away_leaves_no_question_open() {
    let bench = bench(quick());
    let _held = bench.hold();
    let mut waiting = bench.ask("a");
    bench.runtime.shutdown_background();
    let answer = loop {
        match waiting.try_recv() {
            Ok(answer) => break answer,
            Err(oneshot::error::TryRecvError::Empty) => std::thread::yield_now(),
            Err(oneshot::error::TryRecvError::Closed) => panic!("dropped without an answer"),
        }
    };
    assert!(matches!(answer, Err(LookupError::Unavailable(_))));
}

#[test]
fn the_cache_keeps_its_bounds_and_what_is_in_use() {
    let mut cache = Cache::new(100, 1 << 20);
    let (now, ttl) = (Duration::ZERO, Duration::from_secs(60));
    for n in 0..100 {
        cache.put(&n.to_string(), &Known::Value(json("x")), now, ttl);
    }
    for round in 0..1_000 {
        for busy in 0..50 {
            assert!(cache.get(&busy.to_string(), now).is_some(), "round {round}: {busy} was driven out");
        }
        cache.put(&format!("once {round}"), &Known::Unknown, now, ttl);
        assert!((60..=100).contains(&cache.len()), "round {round}: {}", cache.len());
    }
    let mut small = Cache::new(1_000, 10_000);
    for n in 0..1_000 {
        small.put(&n.to_string(), &Known::Value(Json::from(vec![b'1'; n % 300])), now, ttl);
        assert!(small.bytes() <= 10_000);
    }
    small.put("huge", &Known::Value(Json::from(vec![b'1'; 20_000])), now, ttl);
    assert!(small.get("huge", now).is_none());
    assert!(small.len() > 10);
}

#[test]
fn lives_differ_between_keys_and_stay_the_same_for_one() {
    let ttl = Duration::from_secs(100);
    let lives: Vec<Duration> = (0..1_000).map(|n| cache::jittered(&n.to_string(), ttl, 0.2)).collect();
    assert!(lives.iter().all(|life| *life >= Duration::from_secs(80) && *life <= ttl));
    assert!(
        lives.iter().any(|life| *life < Duration::from_secs(83))
            && lives.iter().any(|life| *life > Duration::from_secs(97))
    );
    assert_eq!(cache::jittered("7", ttl, 0.2), lives[7]);
}
