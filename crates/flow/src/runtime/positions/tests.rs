use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn what_is_written_is_read_back(next in 0..1_000_000_i64, open in proptest::collection::btree_set(0..1_000_000_i64, 0..50)) {
        let mut positions = Positions::at(0);
        positions.pass(next);
        for offset in open.iter().filter(|offset| **offset <= next) {
            positions.hold(*offset);
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
    positions.hold(13);
    positions.hold(17);
    assert_eq!((positions.first(), positions.next()), (13, 20));
    positions.release(13);
    assert_eq!(positions.first(), 17);
    positions.release(17);
    assert_eq!(positions.first(), 20);
}
