use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const ARRIVED: Micros = Micros(1_000_000_000_000);

fn watermarks(partitions: u32) -> Watermarks {
    Watermarks::new(
        WatermarkConfig { disorder: 5 * SECOND, lateness: 60 * SECOND, idle: 10 * SECOND, ahead: 3_600 * SECOND },
        partitions,
    )
}

const fn at(seconds: i64) -> Micros {
    Micros(seconds * 1_000_000)
}

#[test]
fn the_slowest_partition_decides() {
    let mut marks = watermarks(2);
    assert_eq!(marks.observe(0, at(100), ARRIVED), Observed::OnTime);
    assert_eq!(marks.advance(), Micros::MIN, "partition 1 has said nothing yet");
    marks.observe(1, at(50), ARRIVED);
    assert_eq!(marks.advance(), at(45));
    marks.observe(1, at(40), ARRIVED);
    assert_eq!(marks.advance(), at(45), "never back");
    marks.observe(1, at(200), ARRIVED);
    assert_eq!(marks.advance(), at(95));
}

#[test]
fn events_behind_the_lateness_are_late_and_move_nothing() {
    let mut marks = watermarks(1);
    marks.observe(0, at(1_000), ARRIVED);
    marks.advance();
    assert_eq!(marks.observe(0, at(935), ARRIVED), Observed::OnTime);
    assert_eq!(marks.observe(0, Micros(at(935).0 - 1), ARRIVED), Observed::Late { bound: at(935) });
    assert_eq!(marks.observe(0, Micros::MIN, ARRIVED), Observed::Late { bound: at(935) });
}

#[test]
fn an_event_from_the_far_future_moves_nothing() {
    let mut marks = watermarks(1);
    marks.observe(0, at(10), ARRIVED);
    let years = Micros(ARRIVED.0 + 3_600_000_001);
    assert_eq!(marks.observe(0, years, ARRIVED), Observed::Implausible { bound: Micros(ARRIVED.0 + 3_600_000_000) });
    assert_eq!(
        marks.observe(0, Micros::MAX, ARRIVED),
        Observed::Implausible { bound: Micros(ARRIVED.0 + 3_600_000_000) }
    );
    assert_eq!(marks.advance(), at(5));
}

#[test]
fn a_silent_partition_lets_go_after_the_idle_time() {
    let mut marks = watermarks(2);
    marks.observe(0, at(100), ARRIVED);
    marks.empty(1, SECOND);
    marks.empty(1, 10 * SECOND);
    assert_eq!(marks.advance(), Micros::MIN);
    marks.empty(1, 11 * SECOND);
    assert_eq!(marks.advance(), at(95));
}

#[test]
fn a_partition_is_not_idle_while_nobody_looks() {
    let mut marks = watermarks(2);
    marks.observe(1, at(10), ARRIVED);
    marks.observe(0, at(100), ARRIVED);
    assert_eq!(marks.advance(), at(5), "nobody found it empty");
    // Found empty once, then nobody had the time to look, and then it was not empty.
    marks.empty(1, SECOND);
    assert_eq!(marks.advance(), at(5));
    marks.observe(1, at(20), ARRIVED);
    marks.empty(1, 10_000 * SECOND);
    assert_eq!(marks.advance(), at(15));
}

#[test]
fn a_partition_that_wakes_up_moves_the_watermark_neither_back_nor_over_the_others() {
    let mut marks = watermarks(2);
    marks.observe(0, at(100), ARRIVED);
    marks.observe(1, at(100), ARRIVED);
    marks.empty(1, SECOND);
    marks.empty(1, 20 * SECOND);
    marks.observe(0, at(200), ARRIVED);
    assert_eq!(marks.advance(), at(195));
    // Its data is behind, but not late: it is taken, and holds the watermark where it is.
    assert_eq!(marks.observe(1, at(150), ARRIVED), Observed::OnTime);
    marks.observe(0, at(300), ARRIVED);
    assert_eq!(marks.advance(), at(195));
    assert_eq!(marks.observe(1, at(136), ARRIVED), Observed::OnTime);
    // Far ahead, it does not pull the watermark over what partition 0 still has to deliver.
    marks.observe(1, at(9_000), ARRIVED);
    assert_eq!(marks.advance(), at(295));
}

#[test]
fn when_all_are_idle_the_largest_counts() {
    let mut marks = watermarks(3);
    marks.observe(0, at(100), ARRIVED);
    marks.observe(1, at(70), ARRIVED);
    for (elapsed, watermark) in [(SECOND, Micros::MIN), (5 * SECOND, Micros::MIN), (11 * SECOND, at(95))] {
        for partition in 0..3 {
            marks.empty(partition, elapsed);
        }
        assert_eq!(marks.advance(), watermark);
    }
}

#[test]
fn a_grown_stream_counts_its_new_partitions() {
    let mut marks = watermarks(1);
    marks.observe(0, at(100), ARRIVED);
    marks.grow(2);
    assert_eq!(marks.advance(), Micros::MIN);
    marks.observe(1, at(90), ARRIVED);
    assert_eq!(marks.advance(), at(85));
}

#[test]
fn the_end_of_the_input_makes_everything_due() {
    let mut marks = watermarks(1);
    assert_eq!(marks.finish(), Micros::MAX);
    assert_eq!(bound(Micros::MAX, SECOND), Micros::MAX);
    assert_eq!(bound(Micros::MIN, SECOND), Micros::MIN);
}

proptest! {
    #[test]
    fn it_never_goes_back_and_survives_restarts(
        events in prop::collection::vec((0_u32..3, any::<i16>(), 0_u64..20, 0_u8..4), 0..120),
    ) {
        let mut marks = watermarks(3);
        let mut elapsed = Duration::ZERO;
        let mut before = Micros::MIN;
        let mut newest = Micros::MIN;
        for (partition, time, passed, action) in events {
            elapsed += Duration::from_secs(passed);
            match action {
                0 => marks.empty(partition, elapsed),
                1 => marks = Watermarks::decode(marks.config.clone(), &marks.encode()).unwrap(),
                _ => {
                    let time = at(i64::from(time));
                    let judged = marks.observe(partition, time, ARRIVED);
                    prop_assert_eq!(judged == Observed::OnTime, time >= bound(before, 60 * SECOND));
                    if judged == Observed::OnTime {
                        newest = newest.max(time);
                    }
                }
            }
            let now = marks.advance();
            prop_assert!(now >= before);
            prop_assert!(now <= newest.max(before));
            before = now;
        }
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic(mut bytes: Vec<u8>, version in any::<bool>()) {
        if version && !bytes.is_empty() {
            bytes[0] = VERSION;
        }
        let _ = Watermarks::decode(WatermarkConfig::default(), &bytes);
    }
}
