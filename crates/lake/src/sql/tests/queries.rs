//! Statements that run, listed and ended by others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{FutureExt as _, TryStreamExt as _};
use headwater_base::{Limits, Micros, Principal};
use headwater_kernel::port::Sql as _;
use headwater_kernel::port::sql::{Question, RunningQuery, Via};
use tokio::sync::mpsc;

use super::House;
use crate::sql::cache::Kept;
use crate::sql::queries::{Asked, Queries};
use crate::sql::{CHUNKS, repeat};

/// What nobody waits for.
pub(super) const ENDLESS: &str =
    "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

/// The only statement that runs, as soon as it does.
pub(super) async fn listed(house: &House) -> RunningQuery {
    let begun = Instant::now();
    loop {
        if let [one] = house.engine.queries(&Principal::default()).as_slice() {
            return one.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "a statement is listed");
        tokio::task::yield_now().await;
    }
}

/// Waits until no statement runs.
pub(super) async fn none(house: &House) {
    let begun = Instant::now();
    while !house.engine.queries(&Principal::default()).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is not listed any more");
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_query_is_listed_and_ended_by_whoever_may() {
    let house = House::new(Limits::default());
    let (asha, bert) = (Principal::new("asha").unwrap(), Principal::new("bert").unwrap());
    let question =
        Question { text: ENDLESS.to_owned(), principal: asha.clone(), via: Via::Chart, ..Question::default() };
    house.runtime.block_on(async {
        let asked = async { house.engine.ask(question).await.map(drop).unwrap_err() };
        let ended = async {
            let one = listed(&house).await;
            assert_eq!((&one.principal, one.via, one.text.as_str(), one.rows), (&asha, Via::Chart, ENDLESS, 0));
            assert_eq!(house.engine.queries(&asha).len(), 1);
            assert_eq!(house.engine.queries(&bert).len(), 0);
            assert_eq!(house.engine.cancel(one.id, &bert).unwrap_err().code, "HW-LAKE-073");
            house.engine.cancel(one.id, &Principal::default()).unwrap();
        };
        let (problem, ()) = tokio::join!(asked, ended);
        assert_eq!((problem.code.as_str(), problem.title.contains("`admin`")), ("HW-LAKE-072", true), "{problem}");
        none(&house).await;
    });
    assert_eq!(house.rows("SELECT 1"), serde_json::json!([[1]]));
}

#[test]
fn an_answer_that_was_kept_is_ended_though_nobody_reads_it() {
    let (queries, admin) = (Arc::new(Queries::default()), Principal::default());
    let asked = Asked { principal: &admin, via: Via::Http, text: "SELECT 1", backend: None };
    let listed = queries.enter(asked, Micros(7));
    let kept = Kept { columns: Vec::new().into(), body: vec![Bytes::from_static(b"rows"); 2 * CHUNKS].into() };
    let (chunks, _body) = mpsc::channel(CHUNKS);
    let mut sent = Box::pin(repeat(&listed.query, &kept, &chunks));
    assert!(sent.as_mut().now_or_never().is_none(), "it waits for its reader");
    queries.cancel(queries.seen_by(&admin)[0].id, &admin).unwrap();
    assert_eq!(sent.now_or_never().unwrap().unwrap_err().code, "HW-LAKE-072");
}

#[test]
fn an_answer_that_nobody_reads_ends_at_its_time() {
    let house = House::new(Limits { sql_seconds: 3, ..Limits::default() });
    let text = "SELECT value FROM generate_series(1, 1000000)".to_owned();
    house.runtime.block_on(async {
        let answer = house.engine.ask(Question { text, ..Question::default() }).await.unwrap();
        none(&house).await;
        let problem = answer.body.try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(problem.code, "HW-LAKE-048", "{problem}");
    });
}
