use super::*;

fn check(holders: &[(Offset, u64)], end: Offset, expected: usize) {
    let holder = |(first, events): &(Offset, u64)| Holder { first: *first, events: *events, key: [0; 16] };
    let mut carried = worth(holders.iter().rev().map(holder).collect(), end);
    assert_eq!(carried.len(), expected, "{holders:?} before {end}");
    carried.sort_unstable();
    let oldest: Vec<Holder> = holders.iter().take(expected).map(holder).collect();
    assert_eq!(carried, oldest);
}

#[test]
fn the_oldest_are_carried_where_that_frees_twice_what_it_costs() {
    check(&[], 100, 0);
    check(&[(0, 4)], 100, 1);
    check(&[(0, 60)], 100, 0);
    check(&[(50, 20)], 100, 1);
    check(&[(50, 30)], 100, 0);
    // Nothing is free between neighbours that all live.
    check(&[(90, 4), (91, 4), (92, 4)], 95, 0);
    check(&[(0, 4), (1, 4), (90, 4), (91, 4)], 95, 2);
    // A large one behind a small one stays, and what is behind it.
    check(&[(0, 4), (50, 1_000), (99, 1)], 100, 1);
    // Two that are worth it together alone.
    check(&[(0, 4), (1, 4)], 20, 2);
}
