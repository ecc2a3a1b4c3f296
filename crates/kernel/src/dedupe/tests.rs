use headwater_base::{Limits, Micros, Name};
use headwater_testkit::memory_log;

use super::*;
use crate::kinds::stream::default_config;

fn stream(name: &str, id: u128) -> Stream {
    let config = default_config(&Limits::default());
    Stream { name: Name::new(name).unwrap(), id, config, extra: Vec::new(), created: Micros(0) }
}

#[test]
fn a_window_that_was_put_away_again_meanwhile_waits_for_what_it_wrote_last() {
    let (log, _) = memory_log();
    let (dedupe, orders) = (Dedupe::new(10), stream("orders", 1));
    // A request has waited for commit 6; while it did, the window was put away with commit 7.
    dedupe.put_away.store(7, Ordering::Release);
    assert!(dedupe.rebuild(&*log, &orders, 1, 6).is_none());
    assert!(dedupe.rebuild(&*log, &orders, 1, 7).is_some());
    // What is in memory knows everything, whatever is durable.
    assert!(dedupe.rebuild(&*log, &orders, 2, 0).is_some());
}

#[test]
fn the_newest_commit_of_all_windows_put_away_is_waited_for() {
    let (log, _) = memory_log();
    let dedupe = Dedupe::new(10);
    for id in 0..=WINDOWS_MAX as u128 {
        let window = dedupe.rebuild(&*log, &stream(&format!("s{id}"), id), id as u64, u64::MAX).unwrap();
        window.lock().last = 100 - id as u64;
    }
    assert_eq!((dedupe.windows.lock().len(), dedupe.put_away.load(Ordering::Acquire)), (WINDOWS_MAX, 100));
    assert!(dedupe.rebuild(&*log, &stream("s0", 0), 99, 99).is_none());
}
