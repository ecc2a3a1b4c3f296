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
    let (clock, station) = (ManualClock::at(Micros(0)), Station::new(Arc::new(Outside(Some(4.0)))));
    assert_eq!(waits::<3>(&station, &clock), [0, 250, 500]);
    // Places that nobody took are not made up for.
    clock.advance(Duration::from_secs(60));
    assert_eq!(waits::<2>(&station, &clock), [0, 250]);
    // The other side wants a pause, and the rate goes on behind it.
    station.hold(&clock, Duration::from_secs(7));
    assert_eq!(waits::<2>(&station, &clock), [7_000, 7_250]);
    let free = Station::new(Arc::new(Outside(None)));
    assert_eq!(waits::<3>(&free, &clock), [0, 0, 0]);
}
