//! Decimals as clients send them, against what they were written as.

use arrow::array::Decimal256Array;
use arrow::datatypes::Decimal256Type;
use bytes::BytesMut;
use proptest::prelude::*;
use tokio_postgres::types::{ToSql as _, Type};

use super::super::numeric::Numeric;
use super::*;

/// Its value in as many digits as it was written with.
fn plain(said: &Said) -> ScalarValue {
    let number = said.as_ref().unwrap();
    let (digits, scale) = room(&[number]).unwrap();
    number.scaled(digits, scale).unwrap()
}

fn received(words: &[u16]) -> Option<Said> {
    Decimal::received(&words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>())
}

#[test]
fn a_number_has_the_digits_that_were_sent() {
    for (words, text, digits, scale) in [
        ([1, 0, 0, 0, 7].as_slice(), "7", 1, 0),
        ([2, 0, 0x4000, 2, 12, 3_400].as_slice(), "-12.34", 4, 2),
        ([1, 2, 0, 0, 1].as_slice(), "100000000", 9, 0),
        ([1, -2_i16 as u16, 0, 10, 50].as_slice(), "0.0000005000", 10, 10),
        // More digits than are said to be there, which PostgreSQL cuts off.
        ([2, 0, 0, 0, 1, 5_000].as_slice(), "1.5", 2, 1),
        ([0, 0, 0, 3].as_slice(), "0.000", 3, 3),
    ] {
        let sent = received(words).unwrap();
        assert_eq!(plain(&sent), plain(&Decimal::written(text).unwrap()), "{text}");
        assert_eq!(room(&[sent.as_ref().unwrap()]), Some((digits, scale)), "{text}");
    }
}

#[test]
fn what_is_no_number_is_none() {
    assert!(received(&[0, 0, 0xc000, 0]).unwrap().unwrap_err().is_nan());
    assert_eq!(received(&[0, 0, 0xd000, 0]), Some(Err(f64::INFINITY)));
    assert_eq!(received(&[0, 0, 0xf000, 0]), Some(Err(f64::NEG_INFINITY)));
    assert!(Decimal::written("NaN").unwrap().unwrap_err().is_nan());
    assert_eq!(Decimal::written("-Infinity"), Some(Err(f64::NEG_INFINITY)));
    for broken in
        [vec![1, 0, 0, 0], vec![0, 0, 0], vec![1, 0, 0, 0, 10_000], vec![1, 0, 1, 0, 1], vec![1, 0, 0, 0, 1, 1]]
    {
        assert_eq!(received(&broken), None, "{broken:?}");
    }
    for broken in ["", "-", ".", "1e", "1e99999", "1.2.3", "--1", "1 2", "-NaN", "0x1", "١"] {
        assert_eq!(Decimal::written(broken), None, "{broken}");
    }
}

#[test]
fn a_number_is_held_exactly_or_not_at_all() {
    let of = |text: &str| Decimal::written(text).unwrap().unwrap();
    assert_eq!(of("1.25").scaled(5, 1), None);
    assert_eq!(of("1.50").scaled(5, 1), Some(ScalarValue::Decimal128(Some(15), 5, 1)));
    assert_eq!(of("99999.9").scaled(5, 1), None);
    assert_eq!(of("1e3").scaled(5, -3), Some(ScalarValue::Decimal128(Some(1), 5, -3)));
    assert_eq!((of("1e3").integer(), of("1.5").integer(), of("-2.0").integer()), (Some(1_000), None, Some(-2)));
    assert_eq!(of("0.1").float(), Some(0.1));
    assert_eq!(of("1e400").float(), None);
    assert_eq!(room(&[&of("1e77")]), None);
    assert_eq!(room(&[&of("1e-76")]), Some((76, 76)));
    assert_eq!(room(&[&of("12.5"), &of("0.125")]), Some((5, 3)));
    assert_eq!(room(&[&of(&format!("1.5{}", "0".repeat(100)))]), Some((2, 1)), "zeros at its end");
}

proptest! {
    /// What is sent to a client comes back from it as it was.
    #[test]
    fn what_is_sent_is_received(digits in "-?[1-9][0-9]{0,59}", scale in 0_i8..16) {
        let units = i256::from_string(&digits).unwrap();
        let column = Decimal256Array::from(vec![units]).with_precision_and_scale(76, scale).unwrap();
        let mut bytes = BytesMut::new();
        let sent = Numeric::at::<Decimal256Type>(&column, 0, scale).unwrap();
        sent.to_sql_checked(&Type::NUMERIC, &mut bytes).unwrap();
        let received = Decimal::received(&bytes).unwrap().unwrap();
        prop_assert_eq!(received.scaled(76, scale), Some(ScalarValue::Decimal256(Some(units), 76, scale)));
        let written = format!("{digits}e-{scale}");
        let written = Decimal::written(&written).unwrap().unwrap();
        prop_assert_eq!(written.scaled(76, scale), Some(ScalarValue::Decimal256(Some(units), 76, scale)));
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Some(Ok(number)) = Decimal::received(&bytes) {
            let held = room(&[&number]).map(|(digits, scale)| number.scaled(digits, scale));
            prop_assert!(held.is_none_or(|held| held.is_some()));
        }
    }
}
