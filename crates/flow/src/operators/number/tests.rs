use proptest::prelude::*;

use super::*;

fn sum(numbers: &[Number]) -> Sum {
    let mut sum = Sum::default();
    for number in numbers {
        sum.add(*number);
    }
    sum
}

fn read(bytes: &[u8]) -> Result<Sum, Corrupt> {
    let mut sum = Sum::default();
    let mut reader = Reader::new(bytes);
    sum.merge_read(&mut reader)?;
    reader.end()?;
    Ok(sum)
}

fn numbers() -> impl Strategy<Value = Vec<Number>> {
    let number = prop_oneof![
        any::<i64>().prop_map(Number::Int),
        (-1000_i64..1000).prop_map(Number::Int),
        prop::num::f64::NORMAL.prop_filter("in range", |n| n.abs() < 1e300).prop_map(Number::Float),
        (-100_000_i64..100_000).prop_map(|cents| Number::Float(cents as f64 / 100.0)),
    ];
    prop::collection::vec(number, 0..40)
}

#[test]
fn whole_numbers_are_exact_and_floats_rounded_once() {
    assert_eq!(sum(&[Number::Int(i64::MAX), Number::Int(i64::MAX)]).value(), Value::Int(2 * i128::from(i64::MAX)));
    assert_eq!(sum(&[Number::Float(0.1); 10]).value(), Value::Float(1.0));
    assert_eq!(sum(&[Number::Float(1e100), Number::Float(1.0), Number::Float(-1e100)]).value(), Value::Float(1.0));
    assert_eq!(
        sum(&[Number::Int(1 << 60), Number::Int(1), Number::Float(0.5), Number::Int(-(1 << 60))]).value(),
        Value::Float(1.5)
    );
    assert_eq!(sum(&[]).value(), Value::Int(0));
    assert_eq!(
        sum(&[Number::Float(f64::MAX), Number::Float(f64::MAX), Number::Float(-1.0)]).value(),
        Value::Float(f64::INFINITY)
    );
}

#[test]
fn whole_numbers_and_floats_compare_by_value() {
    let close = [Number::Int(i64::MAX), Number::Float(9_223_372_036_854_775_808.0), Number::Float(1e300)];
    assert!(close.is_sorted_by(|a, b| a.order(*b) == Ordering::Less));
    assert_eq!(Number::Int(2).order(Number::Float(2.5)), Ordering::Less);
    assert_eq!(Number::Int(-2).order(Number::Float(-2.5)), Ordering::Greater);
    assert_eq!(Number::Float(-2.5).order(Number::Int(-2)), Ordering::Less);
}

proptest! {
    #[test]
    fn neither_order_nor_grouping_changes_a_sum(numbers in numbers(), turn in 0_usize..40, cut in 0_usize..40) {
        let want = sum(&numbers).value();
        let mut turned = numbers.clone();
        turned.rotate_left(turn.min(numbers.len()));
        turned.reverse();
        let (left, right) = turned.split_at(cut.min(turned.len()));
        let mut merged = sum(left);
        merged.merge(&sum(right));
        prop_assert_eq!(merged.value(), want.clone());
        let mut bytes = Vec::new();
        sum(right).put(&mut bytes);
        let mut grown = sum(left);
        grown.merge_read(&mut Reader::new(&bytes)).unwrap();
        prop_assert_eq!(grown.value(), want);
    }

    #[test]
    fn stored_sums_come_back(numbers in numbers()) {
        let mut bytes = Vec::new();
        let sum = sum(&numbers);
        sum.put(&mut bytes);
        prop_assert_eq!(read(&bytes).unwrap(), sum);
    }

    #[test]
    fn the_order_is_total(numbers in numbers()) {
        let mut sorted = numbers;
        sorted.sort_by(|a, b| a.order(*b));
        for (index, a) in sorted.iter().enumerate() {
            for b in sorted.iter().skip(index) {
                prop_assert!(a.order(*b) != Ordering::Greater);
                prop_assert_eq!(a.order(*b), b.order(*a).reverse());
            }
        }
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic(bytes: Vec<u8>) {
        let _ = read(&bytes);
        let _ = Number::read(&mut Reader::new(&bytes));
    }
}
