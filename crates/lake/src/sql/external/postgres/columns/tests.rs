use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Decimal128Type;
use proptest::prelude::*;

use super::*;

/// A `numeric` as the server sends it: `units` of 10 to the minus `scale`.
fn sent(units: i128, scale: u32) -> Vec<u8> {
    // Whole digits to the base of 10,000 on both sides of the point.
    let padding = (4 - scale % 4) % 4;
    let mut rest = units.unsigned_abs() * 10_u128.pow(padding);
    let mut digits = Vec::new();
    while rest > 0 {
        digits.push(u16::try_from(rest % 10_000).unwrap());
        rest /= 10_000;
    }
    digits.reverse();
    let after = i16::try_from((scale + padding) / 4).unwrap();
    let weight = i16::try_from(digits.len()).unwrap() - after - 1;
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let head = [u16::try_from(digits.len()).unwrap(), weight.cast_unsigned(), if units < 0 { 0x4000 } else { 0 }];
    let words = head.into_iter().chain([u16::try_from(scale).unwrap()]).chain(digits);
    words.flat_map(u16::to_be_bytes).collect()
}

proptest! {
    #[test]
    fn decimals_are_exact(units in -10_i128.pow(34)..10_i128.pow(34), scale in 0_u32..=34) {
        let scale_here = i8::try_from(scale).unwrap();
        prop_assert_eq!(numeric(&sent(units, scale), scale_here), Ok(units));
    }

    #[test]
    fn whatever_comes_is_a_value_or_a_fault(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let forms = [
            Form::Boolean, Form::Int16, Form::Int64, Form::Float32, Form::Decimal(12, 2), Form::Date, Form::Timestamp, Form::Timestamptz,
            Form::Bytes, Form::Text { compares: true }, Form::Uuid, Form::Cast,
        ];
        for form in forms {
            let mut builder = Column { name: "c".to_owned(), form }.builder();
            let taken = builder.push(Some(&bytes)).is_ok();
            prop_assert_eq!(builder.finish().len(), usize::from(taken));
        }
    }
}

#[test]
fn types_say_their_digits() {
    let modifier = |digits: i32, scale: i32| (digits << 16 | (scale & 0x7ff)) + 4;
    let of = |modifier| Form::of(&Type::NUMERIC, modifier);
    assert_eq!(of(modifier(12, 2)), Form::Decimal(12, 2));
    assert_eq!(of(modifier(38, 38)), Form::Decimal(38, 38));
    for as_text in [-1, modifier(39, 2), modifier(3, -2), modifier(2, 3), modifier(1_000, 0)] {
        assert_eq!(of(as_text), Form::Cast, "{as_text}");
    }
    assert_eq!(Form::of(&Type::JSONB, -1), Form::Cast);
    assert_eq!(Form::of(&Type::INT4_ARRAY, -1).data_type(), DataType::Utf8);
}

#[test]
fn values_come_as_they_are() {
    let mut decimals = Column { name: "c".to_owned(), form: Form::Decimal(12, 2) }.builder();
    decimals.push(None).unwrap();
    decimals.push(Some(&sent(-123_456_789, 2))).unwrap();
    let values = decimals.finish();
    assert!(values.is_null(0));
    assert_eq!(values.as_primitive::<Decimal128Type>().value(1), -123_456_789);
    assert_eq!(date(&0_i32.to_be_bytes()), Ok(10_957));
    assert_eq!(timestamp(&(-1_i64).to_be_bytes()), Ok(946_684_799_999_999));
}

#[test]
fn what_has_no_place_is_told() {
    assert!(date(&i32::MAX.to_be_bytes()).unwrap_err().contains("`infinity`"));
    assert!(date(&(i32::MAX - 1).to_be_bytes()).unwrap_err().contains("too far"));
    assert!(timestamp(&i64::MIN.to_be_bytes()).unwrap_err().contains("`-infinity`"));
    assert!(numeric(&[0, 0, 0, 0, 0xc0, 0, 0, 0], 2).unwrap_err().contains("`NaN`"));
    assert!(numeric(&[0, 0, 0, 0, 0xd0, 0, 0, 0], 2).unwrap_err().contains("infinite"));
    assert!(numeric(&sent(12_345, 4), 2).unwrap_err().contains("more digits"));
    assert!(numeric(&[0, 9, 0, 0, 0, 0, 0, 0], 2).unwrap_err().contains("too short"));
}
