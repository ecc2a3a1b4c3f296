use std::time::Duration;

use futures::FutureExt;
use headwater_base::{Limits, Micros, Name};
use headwater_testkit::memory_log;

use super::*;
use crate::kinds::stream::default_config;

fn stream(name: &str, id: u128) -> Arc<Stream> {
    let config = default_config(&Limits::default());
    Arc::new(Stream { name: Name::new(name).unwrap(), id, config, extra: Vec::new(), created: Micros(0) })
}

#[test]
fn a_window_that_was_put_away_again_meanwhile_waits_for_what_it_wrote_last() {
    let (dedupe, orders) = (Dedupe::new(10), stream("orders", 1));
    // A request has waited for commit 6; while it did, the window was put away with commit 7.
    dedupe.put_away.store(7, Ordering::Release);
    assert!(dedupe.make_place(&orders, 1, 6).is_none());
    assert!(dedupe.make_place(&orders, 1, 7).is_some());
    // What is in memory knows everything, whatever is durable.
    assert!(dedupe.make_place(&orders, 2, 0).is_some());
}

#[tokio::test]
async fn the_newest_commit_of_all_windows_put_away_is_waited_for() {
    let log: Arc<dyn Log> = memory_log().0;
    let dedupe = Dedupe::new(10);
    for id in 0..=WINDOWS_MAX as u128 {
        let window = dedupe.window(&log, &stream(&format!("s{id}"), id)).await.unwrap();
        window.lock().last = 100 - id as u64;
    }
    assert_eq!((dedupe.windows.lock().len(), dedupe.put_away.load(Ordering::Acquire)), (WINDOWS_MAX, 100));
    assert!(dedupe.make_place(&stream("s0", 0), 99, 99).is_none());
}

#[tokio::test]
async fn a_window_that_is_being_rebuilt_holds_up_its_own_stream_alone() {
    let log: Arc<dyn Log> = memory_log().0;
    let (dedupe, slow, other) = (Dedupe::new(10), stream("slow", 1), stream("other", 2));
    let place = dedupe.make_place(&slow, 0, 0).unwrap();
    let mut rebuilding = Box::pin(place.get_or_init(std::future::pending));
    assert!((&mut rebuilding).now_or_never().is_none());
    assert!(dedupe.window(&log, &slow).now_or_never().is_none());
    let found = tokio::time::timeout(Duration::from_secs(20), dedupe.window(&log, &other)).await;
    found.unwrap().unwrap().lock().remember(&["a"], 1);
    // Nobody is waited for who has given up.
    drop(rebuilding);
    let found = tokio::time::timeout(Duration::from_secs(20), dedupe.window(&log, &slow)).await;
    assert!(!found.unwrap().unwrap().lock().has("a"));
}
