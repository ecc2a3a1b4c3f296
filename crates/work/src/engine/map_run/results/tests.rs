use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn the_last_record_of_each_child_is_told_from_those_before(
        records in prop::collection::vec(prop_oneof![0..8_u64, 60..70_u64, Just(1_000_u64)], 0..300),
    ) {
        let (mut tally, mut last) = (Tally::default(), BTreeMap::new());
        for (at, number) in records.iter().enumerate() {
            tally.add(*number);
            last.insert(*number, at);
        }
        for (at, number) in records.iter().enumerate() {
            prop_assert!(!tally.is_empty());
            prop_assert_eq!(tally.take(*number), last[number] == at);
            prop_assert_eq!(tally.has(*number), last[number] > at);
        }
        prop_assert!(tally.is_empty());
        prop_assert!(!tally.take(7));
        prop_assert!(tally.is_empty());
    }
}

#[test]
fn a_count_takes_a_few_bits_of_each_child() {
    let mut tally = Tally::default();
    for _ in 0..3 {
        (0..100_000).for_each(|number| tally.add(number));
    }
    let words: usize = tally.0.iter().map(|bits| bits.0.len()).sum();
    assert_eq!(words, 2 * 100_000_usize.div_ceil(64));
}

#[test]
fn a_false_number_takes_no_room() {
    let mut marks = Marks::default();
    [0, 63, 64, u64::MAX].into_iter().for_each(|number| marks.set(number));
    let has: Vec<bool> = [0, 1, 63, 64, 65, u64::MAX - 1, u64::MAX].map(|number| marks.has(number)).to_vec();
    assert_eq!(has, [true, false, true, true, false, false, true]);
    assert_eq!(marks.0.len(), 3);
}
