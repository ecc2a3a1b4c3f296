use super::*;

fn holds(watermark: i64, time: i64) -> Option<Holds> {
    Some(Holds { watermark: Micros(watermark), time: Micros(time) })
}

#[test]
fn a_lane_goes_in_order_and_vanishes_when_empty() {
    let mut parking = Parking::default();
    let lane = Some(7);
    assert!(parking.is_clear(lane));
    let (a, b) = (parking.enter(lane, holds(1, 1)), parking.enter(lane, None));
    parking.put(a, "a", For::Answer(0));
    parking.put(b, "b", For::Turn);
    assert!(!parking.is_clear(lane) && parking.is_clear(Some(8)) && parking.is_clear(None));
    assert!(parking.is_first(a) && !parking.is_first(b));
    assert_eq!(parking.take(a, For::Answer(0)), Some("a"));
    assert_eq!(parking.leave(a), Next { follower: Some(b), oldest: None });
    assert_eq!(parking.take(b, For::Answer(0)), None, "it waits for its turn, not for an answer");
    assert_eq!(parking.take(b, For::Turn), Some("b"));
    assert_eq!(parking.leave(b), Next::default());
    assert!(parking.is_clear(lane) && parking.is_empty());
}

#[test]
fn an_answer_to_another_lifes_question_finds_nobody() {
    let inbox = crate::runtime::asking::Inbox::default();
    let mut lives = [Parking::default(), Parking::default()];
    let [before, now] = &mut lives;
    before.count_from(inbox.first_serial());
    now.count_from(inbox.first_serial());
    let (asked, waits) = (before.enter(None, None), now.enter(None, None));
    now.put(waits, "event", For::Answer(0));
    assert_eq!(now.take(asked, For::Answer(0)), None);
    assert_eq!(now.take(waits, For::Answer(0)), Some("event"));
}

#[test]
fn an_event_that_steps_aside_waits_on_and_holds_nobody_back() {
    let mut parking = Parking::default();
    let lane = Some(7);
    let (a, b) = (parking.enter(lane, holds(1, 1)), parking.enter(lane, holds(2, 2)));
    parking.put(b, "b", For::Turn);
    assert_eq!(parking.step_aside(a), Next { follower: Some(b), oldest: Some(b) });
    parking.put(a, "a", For::Answer(0));
    assert_eq!((parking.fence(), parking.len()), (Some(Micros(2)), 2));
    assert!(parking.is_first(a) && parking.is_first(b) && parking.may_pass(None, Micros(2)));
    assert_eq!(parking.take(b, For::Turn), Some("b"));
    assert_eq!(parking.leave(b), Next::default());
    assert!(parking.is_clear(lane) && parking.fence().is_none());
    assert_eq!(parking.event_mut(a), Some(&mut "a"));
    assert_eq!(parking.take(a, For::Answer(0)), Some("a"));
    assert_eq!(parking.leave(a), Next::default());
    assert!(parking.is_empty());
}

#[test]
fn the_watermark_waits_for_the_oldest_event() {
    let mut parking = Parking::default();
    let (a, b) = (parking.enter(None, holds(1, 1)), parking.enter(None, holds(2, 2)));
    parking.put(a, (), For::Answer(0));
    parking.put(b, (), For::Answer(0));
    assert_eq!(parking.fence(), Some(Micros(1)));
    parking.leave(b);
    assert_eq!(parking.fence(), Some(Micros(1)));
    parking.leave(a);
    assert_eq!(parking.fence(), None);
}

#[test]
fn an_event_does_not_overtake_a_much_older_one_unless_all_before_it_are_through() {
    let mut parking = Parking::default();
    let [a, b, c] = [10, 500, 20].map(|time| parking.enter(None, holds(0, time)));
    for ticket in [a, b, c] {
        parking.put(ticket, (), For::Turn);
    }
    assert!(parking.may_pass(None, Micros(10)) && !parking.may_pass(None, Micros(11)));
    assert!(!parking.may_pass(Some(b), Micros(400)));
    assert_eq!(parking.leave(a), Next { follower: None, oldest: Some(b) });
    assert!(!parking.may_pass(None, Micros(400)), "c is older still");
    assert!(parking.may_pass(Some(b), Micros(400)), "and came after b, who need not wait for it");
    assert_eq!(parking.leave(c), Next::default());
    assert!(parking.may_pass(None, Micros(400)));
}

#[test]
fn late_and_retried_events_hold_no_time_back() {
    let mut parking = Parking::default();
    let a = parking.enter(None, None);
    parking.put(a, (), For::Answer(0));
    assert_eq!(parking.fence(), None);
    assert!(parking.may_pass(None, Micros::MAX));
    assert_eq!(parking.leave(a), Next::default());
}

#[test]
fn only_events_that_still_wait_have_a_deadline() {
    let mut parking = Parking::default();
    let (second, short) = (Duration::from_secs(1), Duration::from_millis(15));
    let a = parking.enter(None, None);
    parking.put(a, (), For::Answer(0));
    parking.limit(a, 0, Duration::ZERO, second);
    let b = parking.enter(None, None);
    parking.put(b, (), For::Answer(0));
    parking.limit(b, 0, Duration::ZERO, short);
    assert_eq!(parking.deadline(), Some(short));
    assert!(parking.take(b, For::Answer(0)).is_some());
    parking.leave(b);
    assert_eq!(parking.deadline(), Some(second));
    assert_eq!(parking.expired(short), None);
    assert_eq!(parking.expired(second), Some((a, 0)));
}
