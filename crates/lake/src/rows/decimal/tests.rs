use proptest::prelude::*;

use super::units;

#[test]
fn a_number_is_taken_as_it_is_written() {
    let taken = [
        ("12.5", Some(1_250)),
        ("-0.01", Some(-1)),
        ("0", Some(0)),
        ("-0.000", Some(0)),
        ("7", Some(700)),
        ("1e3", Some(100_000)),
        ("1.25E+1", Some(1_250)),
        ("1250e-2", Some(1_250)),
        ("100000000.00", Some(10_000_000_000)),
        ("9999999999.99", Some(999_999_999_999)),
        ("10000000000", None),
        ("0.001", None),
        ("0.010000000000000000000000000000000000000000000000000000", Some(1)),
        ("1e400", None),
        ("0e999999999", Some(0)),
        ("1e-999999999999", None),
    ];
    for (text, expected) in taken {
        assert_eq!(units(text, 12, 2), expected, "{text}");
    }
    for text in ["", "-", ".5", "5.", "+1", "01", "1,5", " 1", "1 ", "NaN", "1e", "e1", "--1", "1.2.3", "٣"] {
        assert_eq!(units(text, 12, 2), None, "{text}");
    }
    assert_eq!(units(&"9".repeat(38), 38, 0), Some(10_i128.pow(38) - 1));
    assert_eq!(units(&format!("0.{}1", "0".repeat(37)), 38, 38), Some(1));
}

proptest! {
    #[test]
    fn what_is_written_comes_back(value in -999_999_999_999_i128..=999_999_999_999, scale in 0_u8..=6) {
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
        let (whole, behind) = digits.split_at(digits.len() - usize::from(scale));
        let sign = if value < 0 { "-" } else { "" };
        let text = if behind.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{behind}") };
        prop_assert_eq!(units(&text, 12, scale), Some(value));
        prop_assert_eq!(units(&format!("{sign}{}e-{scale}", value.unsigned_abs()), 12, scale), Some(value));
    }

    #[test]
    fn no_text_does_harm(text in ".{0,40}", precision in 1_u8..=38, scale in 0_u8..=38) {
        let _ = units(&text, precision, scale);
    }
}
