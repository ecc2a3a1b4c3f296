//! Decimals of all sizes as the protocol has them, against what their digits add up to.

use arrow::array::{Decimal128Array, Decimal256Array};
use arrow::datatypes::{Decimal128Type, Decimal256Type};
use arrow_buffer::i256;
use proptest::prelude::*;

use super::*;

fn text(number: &Numeric) -> String {
    let mut out = BytesMut::new();
    number.to_sql_text(&Type::NUMERIC, &mut out, &FormatOptions::default()).unwrap();
    String::from_utf8(out.to_vec()).unwrap()
}

fn sent(number: &Numeric) -> Vec<u16> {
    let mut out = BytesMut::new();
    number.to_sql_checked(&Type::NUMERIC, &mut out).unwrap();
    out.chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect()
}

/// What was sent, in units of 10 to the minus `scale`: the sum of its digits times their powers.
fn units(sent: &[u16], scale: i8) -> i256 {
    let (weight, power) = (i32::from(sent[1].cast_signed()), |n: i32| i256::from_i128(10).wrapping_pow(n as u32));
    assert_eq!(usize::from(sent[0]), sent.len() - 4);
    let mut sum = i256::ZERO;
    for (at, digit) in (0_i32..).zip(&sent[4..]) {
        let (digit, tens) = (i256::from_i128(i128::from(*digit)), 4 * (weight - at) + i32::from(scale));
        let part = if tens < 0 { digit.wrapping_div(power(-tens)) } else { digit.wrapping_mul(power(tens)) };
        sum = sum.wrapping_add(part);
    }
    if sent[2] == 0x4000 { sum.wrapping_neg() } else { sum }
}

/// The number written out by counting from the point.
fn plain(units: i256, scale: i8) -> String {
    let digits = units.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let scale = usize::try_from(scale).unwrap();
    let digits = format!("{}{digits}", "0".repeat((scale + 1).saturating_sub(digits.len())));
    let (whole, part) = digits.split_at(digits.len() - scale);
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

#[test]
fn numbers_are_sent_as_postgresql_sends_them() {
    let check = |units: &str, scale: i8, shown: &str, bytes: &[u16]| {
        let number = Numeric::new(units, scale);
        assert_eq!((text(&number).as_str(), sent(&number).as_slice()), (shown, bytes), "{units} {scale}");
    };
    check("0", 0, "0", &[0, 0, 0, 0]);
    check("0", 2, "0.00", &[0, 0, 0, 2]);
    check("0", -3, "0", &[0, 0, 0, 0]);
    check("12345678", 3, "12345.678", &[3, 1, 0, 3, 1, 2_345, 6_780]);
    check("-5", 2, "-0.05", &[1, 0xffff, 0x4000, 2, 500]);
    check("-5", 9, "-0.000000005", &[1, 0xfffd, 0x4000, 9, 5_000]);
    check("10000", 0, "10000", &[1, 1, 0, 0, 1]);
    check("12", -4, "120000", &[1, 1, 0, 0, 12]);
    check("150", 2, "1.50", &[2, 0, 0, 2, 1, 5_000]);
    let nines = "9".repeat(38);
    check(&nines, 0, &nines, &[10, 9, 0, 0, 99, 9_999, 9_999, 9_999, 9_999, 9_999, 9_999, 9_999, 9_999, 9_999]);
}

#[test]
fn a_value_that_is_not_there_is_none() {
    let small = Decimal128Array::from(vec![Some(-150), None]).with_precision_and_scale(38, 2).unwrap();
    assert_eq!(Numeric::at::<Decimal128Type>(&small, 0, 2).map(|it| text(&it)).as_deref(), Some("-1.50"));
    assert!(Numeric::at::<Decimal128Type>(&small, 1, 2).is_none());
    let large = Decimal256Array::from(vec![Some(i256::from_i128(7))]).with_precision_and_scale(76, 3).unwrap();
    assert_eq!(Numeric::at::<Decimal256Type>(&large, 0, 3).map(|it| text(&it)).as_deref(), Some("0.007"));
}

proptest! {
    #[test]
    fn no_digit_is_lost(high in any::<i128>(), low in any::<u128>(), right in 0_u8..250, scale in 0_i8..=76) {
        // Numbers of every length, not only long ones.
        let number = i256::from_parts(low, high) >> right;
        let numeric = Numeric::new(&number.to_string(), scale);
        let sent = sent(&numeric);
        prop_assert_eq!(units(&sent, scale), number);
        prop_assert_eq!(sent[3], u16::from(scale.unsigned_abs()));
        prop_assert!(sent[4..].iter().all(|digit| *digit < 10_000));
        prop_assert!(sent.len() == 4 || (sent[4] != 0 && sent.last() != Some(&0)), "no zeros at either end");
        prop_assert_eq!(text(&numeric), plain(number, scale));
    }
}
