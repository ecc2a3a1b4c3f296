use super::*;

#[test]
fn what_is_kept_beyond_the_bound_is_due_at_once() {
    let expire = |number: u8| (Micros(100), [number; 16], Alarm::Expire.bytes());
    let mut timers = Timers::of(vec![expire(1), expire(2)]);
    assert_eq!((timers.next(2), timers.next(1)), (Some(Micros(100)), Some(Micros::MIN)));
    assert_eq!(timers.pop(Micros(0), 1), Some(expire(1)));
    assert_eq!((timers.next(1), timers.pop(Micros(0), 1)), (Some(Micros(100)), None));
}
