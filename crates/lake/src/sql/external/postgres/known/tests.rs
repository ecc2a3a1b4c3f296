//! When servers are asked for the columns of a table, and who waits for them.

use std::future::{pending, poll_fn, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Instant;

use headwater_base::{ManualClock, Micros};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::super::columns::Form;
use super::*;

/// A server that counts questions.
struct Bench {
    runtime: Runtime,
    clock: Arc<ManualClock>,
    known: Arc<Known>,
    asked: Arc<AtomicUsize>,
    spec: PostgresSpec,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Micros(0)));
        let dynamic: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let spec = serde_json::json!({"host": "localhost", "database": "shop", "user": "headwater", "table": "t"});
        Self {
            runtime: Builder::new_current_thread().enable_time().build().unwrap(),
            clock,
            known: Arc::new(Known::new(&dynamic)),
            asked: Arc::default(),
            spec: serde_json::from_value(spec).unwrap(),
        }
    }

    fn asking<F>(&self, answer: F) -> impl Future<Output = Result<Vec<Column>, Problem>> + Send + 'static + use<F>
    where
        F: Future<Output = Result<Vec<Column>, Problem>> + Send + 'static,
    {
        let asked = Arc::clone(&self.asked);
        async move {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            answer.await
        }
    }

    fn planned(&self, answer: Result<Vec<Column>, Problem>) -> Result<Columns, Problem> {
        self.runtime.block_on(self.known.columns("t", &self.spec, self.asking(ready(answer))))
    }

    fn questions(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn column(name: &str) -> Vec<Column> {
    vec![Column { name: name.to_owned(), form: Form::Int64 }]
}

fn names(columns: Result<Columns, Problem>) -> Vec<String> {
    columns.unwrap().iter().map(|column| column.name.clone()).collect()
}

fn away() -> Problem {
    Problem::new(AWAY, "nobody is there")
}

#[test]
fn columns_are_asked_for_once_in_their_time() {
    let bench = Bench::new();
    assert_eq!(names(bench.planned(Ok(column("a")))), ["a"]);
    bench.clock.advance(KEPT_MAX - Duration::from_micros(1));
    assert_eq!((names(bench.planned(Ok(column("b")))), bench.questions()), (vec!["a".to_owned()], 1));
    bench.clock.advance(Duration::from_micros(1));
    assert_eq!((names(bench.planned(Ok(column("b")))), bench.questions()), (vec!["b".to_owned()], 2));
    bench.known.forget("t");
    assert_eq!((names(bench.planned(Ok(column("c")))), bench.questions()), (vec!["c".to_owned()], 3));
    let other = PostgresSpec { table: "other".to_owned(), ..bench.spec.clone() };
    let asking = bench.asking(ready(Ok(column("d"))));
    assert_eq!(names(bench.runtime.block_on(bench.known.columns("t", &other, asking))), ["d"]);
}

#[test]
fn those_who_ask_at_once_share_one_question() {
    let bench = Bench::new();
    let ask = || bench.known.columns("t", &bench.spec, bench.asking(ready(Ok(column("a")))));
    let (first, second, third) = bench.runtime.block_on(async { tokio::join!(ask(), ask(), ask()) });
    assert_eq!([names(first), names(second), names(third)].concat(), ["a", "a", "a"]);
    assert_eq!(bench.questions(), 1);
}

#[test]
fn a_server_that_was_away_is_not_asked_for_a_while() {
    let bench = Bench::new();
    assert_eq!(bench.planned(Err(away())), Err(away()));
    assert_eq!((bench.planned(Ok(column("a"))), bench.questions()), (Err(away()), 1));
    bench.clock.advance(AWAY_MAX);
    assert_eq!((names(bench.planned(Ok(column("a")))), bench.questions()), (vec!["a".to_owned()], 2));
    // One that says no says so again.
    bench.known.forget("t");
    let no = || Problem::new("HW-LAKE-058", "no");
    assert_eq!((bench.planned(Err(no())), bench.planned(Err(no())), bench.questions()), (Err(no()), Err(no()), 4));
}

/// A server that was not asked has said nothing: neither statements nor lists go by it.
#[test]
fn our_own_limit_of_connections_is_not_held_against_a_server() {
    let bench = Bench::new();
    let busy = || Problem::new(BUSY, "others have them");
    assert_eq!(bench.planned(Err(busy())), Err(busy()));
    let listed = bench.known.listed("t", &bench.spec, bench.asking(ready(Ok(column("a")))));
    assert_eq!(names(bench.runtime.block_on(listed)), ["a"]);
    bench.known.forget("t");
    assert_eq!((bench.planned(Err(busy())), bench.questions()), (Err(busy()), 3));
    assert_eq!((names(bench.planned(Ok(column("b")))), bench.questions()), (vec!["b".to_owned()], 4));
}

#[test]
fn a_list_takes_what_is_known_and_waits_once_for_nothing() {
    let bench = Bench::new();
    let of = |table: &str| PostgresSpec { table: table.to_owned(), ..bench.spec.clone() };
    bench.runtime.block_on(async {
        let list = async |table: &str| bench.known.listed(table, &of(table), bench.asking(pending())).await;
        let begun = Instant::now();
        assert_eq!(list("t").await.unwrap_err().code, AWAY);
        let first = begun.elapsed();
        assert!(first >= LIST_MAX, "{first:?}");
        for table in ["t", "u", "v", "u"] {
            assert_eq!(list(table).await.unwrap_err().code, AWAY);
        }
        assert!(begun.elapsed() < first + LIST_MAX, "nobody waits for a server that is away");
    });
    // What was known before stays known.
    let bench = Bench::new();
    assert_eq!(names(bench.planned(Ok(column("a")))), ["a"]);
    bench.clock.advance(KEPT_MAX);
    let listed = bench.known.listed("t", &bench.spec, bench.asking(pending()));
    assert_eq!(names(bench.runtime.block_on(async { timeout(LIST_MAX / 2, listed).await.unwrap() })), ["a"]);
}

#[test]
fn a_bug_in_a_question_is_told_as_one() {
    let bench = Bench::new();
    let ask = bench.asking(poll_fn(|_| -> Poll<Result<Vec<Column>, Problem>> { panic!("a bug, made by a test") }));
    let problem = bench.runtime.block_on(bench.known.columns("t", &bench.spec, ask)).unwrap_err();
    assert_eq!(problem.code, "HW-KERNEL-043");
    assert!(problem.title.contains("a bug, made by a test"), "{problem}");
    assert_eq!(names(bench.planned(Ok(column("a")))), ["a"]);
}

#[test]
fn a_question_goes_on_without_whoever_began_it() {
    let bench = Bench::new();
    let (answers, answered) = oneshot::channel();
    bench.runtime.block_on(async {
        let asking = bench.asking(async move { answered.await.unwrap() });
        let left = timeout(Duration::from_millis(10), bench.known.columns("t", &bench.spec, asking)).await;
        assert!(left.is_err());
        answers.send(Ok(column("a"))).unwrap();
        let later = bench.known.columns("t", &bench.spec, bench.asking(pending())).await;
        assert_eq!(names(later), ["a"]);
    });
    assert_eq!(bench.questions(), 1);
}
