use std::time::Instant;

use super::*;

#[test]
fn a_wake_up_that_comes_before_the_reader_waits_is_not_lost() {
    let (queue, begun, patience) = (Queue::default(), Instant::now(), Duration::from_secs(60));
    queue.wake();
    assert_eq!(queue.take(1, patience).map(|commands| commands.len()), Some(0));
    queue.close();
    assert!(queue.take(1, patience).is_none());
    assert!(begun.elapsed() < patience);
}
