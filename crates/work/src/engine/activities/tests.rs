use futures::FutureExt;

use super::{Activities, Asked};
use crate::execution::Attempt;

/// Which task it is given, by its number.
fn given(asked: &mut Asked<'_>) -> Option<u32> {
    asked.task().now_or_never().flatten().map(|(_, attempt)| attempt.number)
}

#[test]
fn a_task_that_nobody_has_taken_goes_to_the_next_before_all_others() {
    let activities = Activities::default();
    let offer = |number| {
        activities.offer("arn:aws:states:::activity:work", [0; 16], Attempt { thread: 0, visit: 0, number });
    };
    // One leaves before it sees its task, one before it has it.
    let unseen = activities.ask("work");
    offer(1);
    offer(2);
    drop(unseen);
    let mut leaves = activities.ask("work");
    assert_eq!(given(&mut leaves), Some(1));
    let mut takes = activities.ask("work");
    assert_eq!(given(&mut takes), Some(2));
    let mut waits = activities.ask("work");
    assert_eq!(given(&mut waits), None);
    drop(leaves);
    assert_eq!(given(&mut waits), Some(1));
    takes.done();
    waits.done();
    drop(activities.ask("work"));
    assert_eq!(activities.len(), 0);
}

#[test]
fn a_task_that_ends_before_a_worker_comes_leaves_nothing() {
    let activities = Activities::default();
    let attempt = |number| Attempt { thread: 0, visit: 0, number };
    (1..=3).for_each(|number| activities.offer("work", [0; 16], attempt(number)));
    activities.withdraw([0; 16], attempt(2));
    let (mut first, mut second) = (activities.ask("work"), activities.ask("work"));
    assert_eq!((given(&mut first), given(&mut second)), (Some(1), Some(3)));
    first.done();
    second.done();
    activities.offer("work", [0; 16], attempt(4));
    activities.withdraw([0; 16], attempt(4));
    assert_eq!(activities.len(), 0);
}
