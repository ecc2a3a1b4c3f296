//! Who sees and ends what, and what is counted for one query alone.

use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use futures::FutureExt as _;

use super::*;

fn entered(queries: &Arc<Queries>, principal: &str, text: &str, backend: Option<Backend>) -> Listed {
    let principal = Principal::new(principal).unwrap();
    queries.enter(Asked { principal: &principal, via: Via::Http, text, backend }, Micros(7))
}

fn texts(queries: &Queries, principal: &str) -> Vec<String> {
    queries.seen_by(&Principal::new(principal).unwrap()).into_iter().map(|query| query.text).collect()
}

#[test]
fn a_principal_sees_its_own_and_whoever_runs_the_node_all() {
    let queries = Arc::new(Queries::default());
    let one = entered(&queries, "asha", "SELECT 1", None);
    let two = entered(&queries, "bert", &"ü".repeat(5_000), None);
    assert_eq!(texts(&queries, "asha"), ["SELECT 1"]);
    let all = texts(&queries, "admin");
    assert_eq!((all.len(), all[1].chars().count()), (2, TEXT_CHARS_MAX + 1));
    one.query.count(3);
    let seen = queries.seen_by(&Principal::default());
    assert_eq!((seen[0].rows, seen[0].memory_bytes, seen[0].started), (3, None, Micros(7)));
    drop(two);
    assert_eq!(texts(&queries, "admin"), ["SELECT 1"]);
    assert_eq!(texts(&queries, "bert"), [""; 0]);
}

#[test]
fn the_first_one_who_ends_a_query_is_named() {
    let queries = Arc::new(Queries::default());
    let (asha, bert) = (Principal::new("asha").unwrap(), Principal::new("bert").unwrap());
    let backend = (7, Bytes::from_static(b"key"));
    let one = entered(&queries, "asha", "SELECT 1", Some(backend.clone()));
    assert!(one.query.ended().now_or_never().is_none());
    assert_eq!(queries.cancel(one.query.id, &bert).unwrap_err().code, "HW-LAKE-073");
    assert!(one.query.ended().now_or_never().is_none());
    queries.cancel(one.query.id, &asha).unwrap();
    assert!(queries.cancel_of(&backend));
    let told = one.query.ended().now_or_never().unwrap();
    assert_eq!((told.code.as_str(), told.title.as_str()), ("HW-LAKE-072", "the query was cancelled by `asha`"));
    assert!(!queries.cancel_of(&(7, Bytes::from_static(b"other"))), "who does not know the secret ends nothing");
    let id = one.query.id;
    drop(one);
    assert_eq!(queries.cancel(id, &asha).unwrap_err().code, "HW-LAKE-073");
    assert!(!queries.cancel_of(&backend));
}

#[test]
fn a_connection_ends_what_it_began_last() {
    let queries = Arc::new(Queries::default());
    let backend = (1, Bytes::from_static(b"key"));
    let first = entered(&queries, "asha", "first", Some(backend.clone()));
    let second = entered(&queries, "asha", "second", Some(backend.clone()));
    assert!(queries.cancel_of(&backend));
    assert!(first.query.ended().now_or_never().is_none());
    assert_eq!(second.query.ended().now_or_never().unwrap().title, "the query was cancelled by its own client");
    drop(second);
    let third = queries.wait(backend.clone());
    assert!(!queries.cancel_of(&backend), "what waits for its turn is not in the list");
    assert!(first.query.ended().now_or_never().is_none());
    drop(third);
    assert!(queries.cancel_of(&backend));
    assert!(first.query.ended().now_or_never().is_some());
}

#[test]
fn memory_is_counted_for_one_query_within_that_of_all() {
    let queries = Arc::new(Queries::default());
    let (one, two) = (entered(&queries, "asha", "one", None), entered(&queries, "asha", "two", None));
    let shared = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(100))).build().unwrap();
    let own = |listed: &Listed| MemoryConsumer::new("test").register(&listed.query.metered(&shared).memory_pool);
    let (first, second) = (own(&one), own(&two));
    first.try_grow(60).unwrap();
    assert!(second.try_grow(60).is_err(), "all together have 100");
    second.try_grow(30).unwrap();
    let bytes = || queries.seen_by(&Principal::default()).iter().map(|one| one.memory_bytes).collect::<Vec<_>>();
    assert_eq!((bytes(), shared.memory_pool.reserved()), (vec![Some(60), Some(30)], 90));
    drop(first);
    assert_eq!((bytes(), shared.memory_pool.reserved()), (vec![Some(0), Some(30)], 30));
}
