use futures::FutureExt as _;
use headwater_base::ManualClock;

use super::*;

#[tokio::test]
async fn a_nap_lasts_until_it_is_due_or_the_clock_is_moved() {
    let begun = Instant::now();
    // It stands still unless it is moved, so that only that ends these.
    let clock = ManualClock::at(Micros(0));
    assert_eq!(nap(&clock, Micros::MAX).now_or_never(), None, "nobody wakes up before");
    tokio::join!(nap(&clock, Micros::MAX), async {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(1));
    });
    tokio::join!(nap(&clock, Micros::MAX), async {
        tokio::task::yield_now().await;
        clock.set(Micros(0));
    });
    nap(&clock, Micros(-1)).await;
    nap(&clock, Micros(2_000)).await;
    assert!(begun.elapsed() < NAP_MAX, "none of them took its longest time");
}
