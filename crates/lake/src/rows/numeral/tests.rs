use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// What a number comes to, by the way over a tree.
fn same(text: &str) {
    let whole: Value = serde_json::from_str(text).unwrap();
    let Value::Number(number) = &whole else { panic!("{text}") };
    let (written, held) = (Numeral::Written(text), Numeral::Held(number));
    assert_eq!(written.number().to_string(), number.to_string(), "{text}");
    assert_eq!(written.number().is_f64(), number.is_f64(), "{text}");
    assert_eq!(written.whole(), held.whole(), "{text}");
    assert_eq!(written.double().map(f64::to_bits), number.as_f64().map(f64::to_bits), "{text}");
    for (precision, scale) in [(38, 0), (38, 20), (18, 4), (5, 2), (1, 1)] {
        let units = decimal::units(&number.to_string(), precision, scale);
        assert_eq!(written.decimal(precision, scale), units, "{text} ({precision}, {scale})");
        assert_eq!(held.decimal(precision, scale), units, "{text} ({precision}, {scale})");
    }
}

#[test]
fn edges_come_to_what_they_did() {
    for text in [
        "0",
        "-0",
        "-0.0",
        "0.00",
        "7.0",
        "7.50",
        "-12.5e-3",
        "1E5",
        "9007199254740992.0",
        "9007199254740993.0",
        "9999999999999999",
        "-999999999999999",
        "0.12345678901234",
        "0.00000000000001",
        "0.123456789012345678",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1.7976931348623157e308",
        "5e-324",
        "1e-400",
        "0.30000000000000004",
    ] {
        same(text);
    }
    assert_eq!((Numeral::Written("-0").whole(), Numeral::Written("7.0").whole()), (Some(0), Some(7)));
    assert_eq!((Numeral::Written("18446744073709551615").whole(), Numeral::Written("7.5").whole()), (None, None));
    assert_eq!(Numeral::Written("12.50").decimal(5, 2), Some(1_250));
}

proptest! {
    #[test]
    fn a_number_comes_to_the_same_by_its_text(text in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?") {
        same(&text);
    }

    #[test]
    fn a_short_one_does_too(text in "-?(0|[1-9][0-9]{0,15})(\\.[0-9]{1,14})?") {
        same(&text);
    }
}
