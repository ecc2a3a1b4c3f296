use std::collections::BTreeSet;

use super::*;

#[test]
fn pauses_double_up_to_ten_minutes_and_differ_by_up_to_half() {
    let policy = DeliverySpec::default();
    assert_eq!(policy.pause.millis(), 1_000);
    for attempts in 1..40_u32 {
        let whole = (1_000_u128 << (attempts - 1).min(20)).min(600_000);
        let pauses: BTreeSet<u128> =
            (0..50_u32).map(|key| pause(&policy, &key.to_be_bytes(), attempts, 7).as_millis()).collect();
        assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{attempts}: {pauses:?}");
        assert!(pauses.len() > 25, "{attempts}: {pauses:?}");
    }
}
