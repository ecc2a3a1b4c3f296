use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn keys_come_out_when_due_in_order(
        // Times and keys that come again, at once and later, melt together.
        entries in prop::collection::vec(
            (prop_oneof![any::<i16>(), -30_i16..30], prop_oneof![0_u8..20, 0_u8..2], any::<bool>()), 0..80,
        ),
        width in prop_oneof![1_i64..500, 1_i64..5],
    ) {
        let mut timers = Timers::new(width);
        let mut want = BTreeSet::new();
        let mut now = i64::from(i16::MIN);
        for (due, key, look) in entries {
            let due = i64::from(due);
            timers.schedule(Micros(due), &[key]);
            want.insert((due, vec![key]));
            if look {
                now = now.max(due.saturating_sub(300));
                while let Some(first) = want.first().filter(|(due, _)| *due <= now).cloned() {
                    want.remove(&first);
                    prop_assert_eq!(timers.pop(Micros(now)).map(|key| key.to_vec()), Some(first.1));
                }
                prop_assert_eq!(timers.pop(Micros(now)), None);
            }
        }
        let rest: Vec<_> = std::iter::from_fn(|| timers.pop(Micros::MAX).map(|key| key.to_vec())).collect();
        prop_assert_eq!(rest, want.into_iter().map(|(_, key)| key).collect::<Vec<_>>());
    }
}

#[test]
fn far_keys_cost_little_more_than_their_bytes() {
    let mut timers = Timers::new(1_000_000);
    for key in 0..100_000_u64 {
        timers.schedule(Micros(key as i64 * 37), &key.to_be_bytes());
    }
    // Three bytes of distance, one of length, the key, and an eighth at most that is not used yet.
    assert!(timers.bytes() < 100_000 * 14, "{}", timers.bytes());
}
