use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;

#[test]
fn few_launches_give_no_band() {
    assert_eq!(band(&[]), None);
    assert_eq!(band(&[2.0, 4.0]), Some(Band { mean: 3.0, low: None, high: None }));
}

#[test]
fn a_band_is_students() {
    // s = 1, n = 3: 2.920 × sqrt(4/3)
    let band = band(&[9.0, 10.0, 11.0]).unwrap();
    assert!((band.high.unwrap() - 10.0 - 2.920 * (4.0_f64 / 3.0).sqrt()).abs() < 1e-9);
}

#[test]
fn the_error_is_that_of_estimating_from_what_came_before() {
    // 10 for 20 is off by 50 %, 15 for 15 by nothing.
    assert_eq!(error(&[10.0, 20.0, 15.0]), Some(25.0));
    assert_eq!(error(&[10.0]), None);
}

/// Sums of twelve uniform numbers are near enough to normal ones.
fn normal() -> impl Strategy<Value = f64> {
    prop::collection::vec(0.0_f64..1.0, 12).prop_map(|uniform| 100.0 + uniform.iter().sum::<f64>())
}

#[test]
fn nine_of_ten_lie_in_the_band() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut within = 0;
    for _ in 0..2_000 {
        let values = prop::collection::vec(normal(), 8).new_tree(&mut runner).unwrap().current();
        let band = band(&values[..7]).unwrap();
        within += u32::from((band.low.unwrap()..=band.high.unwrap()).contains(&values[7]));
    }
    assert!((1_740..=1_860).contains(&within), "{within} of 2,000");
}
