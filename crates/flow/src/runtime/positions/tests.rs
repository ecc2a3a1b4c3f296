use proptest::prelude::*;

use super::*;

fn open() -> impl Strategy<Value = Open> {
    let waits = proptest::option::of(any::<i64>()).prop_map(|late| Open::Waits(late.map(Micros)));
    prop_oneof![4 => waits, 1 => Just(Open::Owed)]
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        next in 0..1_000_000_i64,
        open in proptest::collection::btree_map(0..1_000_000_i64, open(), 0..50),
    ) {
        let mut positions = Positions::at(0);
        positions.pass(next);
        for (offset, open) in open.iter().filter(|(offset, _)| **offset <= next) {
            positions.hold(*offset, *open);
        }
        prop_assert_eq!(Positions::decode(&positions.encode()).unwrap(), positions);
    }
}

#[test]
fn a_restart_begins_at_the_first_open_offset() {
    let mut positions = Positions::at(10);
    for offset in 10..20 {
        positions.pass(offset);
    }
    positions.hold(13, Open::Waits(None));
    positions.hold(17, Open::Waits(Some(Micros(5))));
    assert_eq!((positions.first(), positions.next()), (13, 20));
    assert_eq!(positions.release(13), Some(Open::Waits(None)));
    assert_eq!(positions.first(), 17);
    assert_eq!(positions.release(17), Some(Open::Waits(Some(Micros(5)))));
    assert_eq!(positions.first(), 20);
}

#[test]
fn late_events_that_wait_cost_few_bytes() {
    let mut positions = Positions::at(0);
    for offset in 0..1_000 {
        positions.pass(offset);
        positions.hold(offset, Open::Waits(Some(Micros(1_767_225_600_000_000))));
    }
    assert!(positions.encode().len() <= 2_020, "{}", positions.encode().len());
}
