use super::*;

#[test]
fn a_lane_goes_in_order_and_vanishes_when_empty() {
    let mut parking = Parking::default();
    let lane = Some(7);
    assert!(parking.is_clear(lane));
    let (a, b) = (parking.enter(lane, Micros(1)), parking.enter(lane, Micros(2)));
    parking.put(a, "a", For::Answer(0));
    parking.put(b, "b", For::Turn);
    assert!(!parking.is_clear(lane) && parking.is_clear(Some(8)) && parking.is_clear(None));
    assert!(parking.is_first(a) && !parking.is_first(b));
    assert_eq!(parking.take(a, For::Answer(0)), Some("a"));
    assert_eq!(parking.leave(a), Some(b));
    assert_eq!(parking.take(b, For::Answer(0)), None, "it waits for its turn, not for an answer");
    assert_eq!(parking.take(b, For::Turn), Some("b"));
    assert_eq!(parking.leave(b), None);
    assert!(parking.is_clear(lane) && parking.is_empty());
}

#[test]
fn the_watermark_waits_for_the_oldest_event() {
    let mut parking = Parking::default();
    let (a, b) = (parking.enter(None, Micros(1)), parking.enter(None, Micros(2)));
    parking.put(a, (), For::Answer(0));
    parking.put(b, (), For::Answer(0));
    assert_eq!(parking.fence(), Some(Micros(1)));
    parking.leave(b);
    assert_eq!(parking.fence(), Some(Micros(1)));
    parking.leave(a);
    assert_eq!(parking.fence(), None);
}

#[test]
fn only_events_that_still_wait_have_a_deadline() {
    let mut parking = Parking::default();
    let (second, short) = (Duration::from_secs(1), Duration::from_millis(15));
    let a = parking.enter(None, Micros::MIN);
    parking.put(a, (), For::Answer(0));
    parking.limit(a, 0, Duration::ZERO, second);
    let b = parking.enter(None, Micros::MIN);
    parking.put(b, (), For::Answer(0));
    parking.limit(b, 0, Duration::ZERO, short);
    assert_eq!(parking.deadline(), Some(short));
    assert!(parking.take(b, For::Answer(0)).is_some());
    parking.leave(b);
    assert_eq!(parking.deadline(), Some(second));
    assert_eq!(parking.expired(short), None);
    assert_eq!(parking.expired(second), Some((a, 0)));
}
