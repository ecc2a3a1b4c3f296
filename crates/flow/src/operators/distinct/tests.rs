use proptest::prelude::*;

use super::*;

fn of(numbers: impl IntoIterator<Item = i64>) -> Distinct {
    let mut distinct = Distinct::default();
    for number in numbers {
        distinct.add(hash(&Input::Int(number)).unwrap());
    }
    distinct
}

fn round_trip(distinct: &Distinct) -> (Distinct, usize) {
    let mut bytes = Vec::new();
    distinct.put(&mut bytes);
    let mut reader = Reader::new(&bytes);
    let read = Distinct::read(&mut reader).unwrap();
    reader.end().unwrap();
    (read, bytes.len())
}

#[test]
fn few_are_exact() {
    for size in 0..=EXACT_MAX as i64 {
        assert_eq!(of((0..size).chain(0..size)).count(), size as u64);
    }
}

#[test]
fn many_are_within_three_standard_errors() {
    // 2.3 % standard error; a hundred disjoint sets of each size, so that bias would show as well.
    for (size, sets) in [(100, 100), (1_000, 100), (10_000, 50), (200_000, 5)] {
        let mut bias = 0.0;
        for set in 0..sets {
            let base = set * 10_000_000;
            let error = of(base..base + size).count() as f64 / size as f64 - 1.0;
            assert!(error.abs() < 0.023 * 3.9, "set {set} of {size}: off by {error}");
            bias += error / sets as f64;
        }
        assert!(bias.abs() < 0.023 * 3.9 / (sets as f64).sqrt(), "{size}: bias {bias}");
    }
}

#[test]
fn bytes_stay_few() {
    assert_eq!(round_trip(&of(0..3)).1, 16);
    assert!(round_trip(&of(0..100)).1 < 250);
    assert!(round_trip(&of(0..1_000_000)).1 <= DENSE_BYTES + 1);
}

#[test]
fn kinds_of_values_differ_but_not_the_spelling_of_a_number() {
    let mut distinct = Distinct::default();
    for input in [Input::Int(1), Input::Float(1.0), Input::Text("1"), Input::Bool(true), Input::Json("[1]")] {
        distinct.add(hash(&input).unwrap());
    }
    assert_eq!(distinct.count(), 4);
    assert_eq!(hash(&Input::Skip), None);
}

proptest! {
    #[test]
    fn order_and_grouping_do_not_matter(numbers in prop::collection::vec(0_i64..400, 0..300), cut in 0_usize..300) {
        let want = of(numbers.iter().copied());
        let (left, right) = numbers.split_at(cut.min(numbers.len()));
        let mut merged = of(right.iter().rev().copied());
        merged.merge(&of(left.iter().copied()));
        prop_assert_eq!(&merged, &want);
        prop_assert_eq!(round_trip(&want).0, want);
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic(bytes: Vec<u8>, tag in 0_u8..40) {
        let bytes = [vec![tag], bytes].concat();
        if let Ok(distinct) = Distinct::read(&mut Reader::new(&bytes)) {
            distinct.count();
        }
    }
}
