use headwater_base::{ManualClock, Micros};

use super::*;

/// An outlet of a rate; what it sends nobody looks at.
struct Outside(Option<f64>);

impl Outlet for Outside {
    fn send<'a>(&'a self, _: Outgoing<'a>) -> BoxFuture<'a, Result<Answer, NotTaken>> {
        Box::pin(async { Ok(Answer::default()) })
    }

    fn rate(&self) -> Option<f64> {
        self.0
    }
}

/// How long the next requests wait, in milliseconds.
fn waits<const COUNT: usize>(station: &Station, clock: &ManualClock) -> [u128; COUNT] {
    [(); COUNT].map(|()| station.place(clock).as_millis())
}

#[test]
fn requests_of_a_rate_lie_evenly_apart_and_no_faster_behind_a_pause() {
    let (clock, station) = (ManualClock::at(Micros(0)), Stations::default().open("out", Arc::new(Outside(Some(4.0)))));
    assert_eq!(waits::<3>(&station, &clock), [0, 250, 500]);
    // Places that nobody took are not made up for.
    clock.advance(Duration::from_secs(60));
    assert_eq!(waits::<2>(&station, &clock), [0, 250]);
    // The other side wants a pause, and the rate goes on behind it.
    station.hold(&clock, Duration::from_secs(7));
    assert_eq!(waits::<2>(&station, &clock), [7_000, 7_250]);
    let free = Stations::default().open("out", Arc::new(Outside(None)));
    assert_eq!(waits::<3>(&free, &clock), [0, 0, 0]);
}

#[test]
fn one_that_is_applied_again_goes_on_at_its_place() {
    let (clock, all) = (ManualClock::at(Micros(0)), Stations::default());
    let open = |rate: f64| all.open("out", Arc::new(Outside(Some(rate))));
    let first = open(1.0);
    assert_eq!(waits::<2>(&first, &clock), [0, 1_000]);
    first.hold(&clock, Duration::from_secs(60));
    // Its successor is there before it has gone, or comes behind it; what is under way still counts for both.
    let second = open(1.0);
    all.remove("out", &first, &clock);
    assert_eq!(waits::<1>(&second, &clock), [60_000]);
    assert_eq!(waits::<1>(&first, &clock), [61_000]);
    all.remove("out", &second, &clock);
    assert!(all.get("out").is_none());
    clock.advance(Duration::from_secs(2));
    let third = open(2.0);
    assert_eq!(waits::<2>(&third, &clock), [60_000, 60_500]);
    // What lies behind it holds nobody up, and is forgotten.
    clock.advance(Duration::from_secs(300));
    all.remove("out", &third, &clock);
    assert!(all.left.lock().is_empty());
    assert_eq!(waits::<1>(&open(1.0), &clock), [0]);
    // Another destination has a place of its own.
    assert_eq!(waits::<1>(&all.open("other", Arc::new(Outside(Some(1.0)))), &clock), [0]);
}
