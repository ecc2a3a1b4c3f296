//! Values as drivers send them, and as none sends them, of parameters that have each type.

use datafusion_postgres::pgwire::error::ErrorInfo;
use proptest::prelude::*;

use super::*;

/// What becomes of a value, or the state that its client is told.
fn read(kind: &Type, target: Option<&DataType>, bytes: &[u8]) -> Result<ScalarValue, String> {
    Parameter { number: 1, kind, target }.binary(bytes).map_err(state)
}

fn written(kind: &Type, target: Option<&DataType>, text: &str) -> Result<ScalarValue, String> {
    Parameter { number: 1, kind, target }.text(text.as_bytes()).map_err(state)
}

fn state(error: PgWireError) -> String {
    ErrorInfo::from(error).code
}

const OUT_OF_RANGE: &str = "22003";
const NO_TIME: &str = "22008";
const UNREAD: &str = "22P03";

fn numeric(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn a_whole_number_is_one_of_a_wider_type_or_refused() {
    let (two, four, eight) = (7_i16.to_be_bytes(), (-70_000_i32).to_be_bytes(), i64::MIN.to_be_bytes());
    for (kind, target, bytes, value) in [
        (Type::INT2, DataType::Int64, two.as_slice(), ScalarValue::Int64(Some(7))),
        (Type::INT2, DataType::UInt8, two.as_slice(), ScalarValue::UInt8(Some(7))),
        (Type::INT4, DataType::Int64, four.as_slice(), ScalarValue::Int64(Some(-70_000))),
        (Type::INT4, DataType::Float32, four.as_slice(), ScalarValue::Float32(Some(-70_000.0))),
        (Type::INT4, DataType::Decimal128(10, 2), four.as_slice(), ScalarValue::Decimal128(Some(-7_000_000), 10, 2)),
        (Type::INT4, DataType::Decimal128(6, 2), four.as_slice(), ScalarValue::Int32(Some(-70_000))),
        (Type::INT8, DataType::Float64, eight.as_slice(), ScalarValue::Float64(Some(-9_223_372_036_854_775_808.0))),
        (Type::INT4, DataType::Utf8, four.as_slice(), ScalarValue::Int32(Some(-70_000))),
        (Type::OID, DataType::Int32, 16_384_u32.to_be_bytes().as_slice(), ScalarValue::Int32(Some(16_384))),
    ] {
        assert_eq!(read(&kind, Some(&target), bytes), Ok(value), "{kind} {target}");
    }
    // Not every whole number is a float.
    let odd = i64::MAX.to_be_bytes();
    assert_eq!(read(&Type::INT8, Some(&DataType::Float64), &odd), Ok(ScalarValue::Int64(Some(i64::MAX))));
    for (kind, target, bytes) in [
        (Type::INT4, DataType::Int16, four.as_slice()),
        (Type::INT8, DataType::Int32, eight.as_slice()),
        (Type::INT8, DataType::UInt64, eight.as_slice()),
    ] {
        assert_eq!(read(&kind, Some(&target), bytes), Err(OUT_OF_RANGE.to_owned()), "{kind} {target}");
    }
    let times = DataType::Timestamp(TimeUnit::Millisecond, None);
    assert_eq!(read(&Type::INT2, Some(&times), &two), Ok(ScalarValue::TimestampMillisecond(Some(7_000), None)));
    assert_eq!(read(&Type::INT8, Some(&times), &eight), Err(NO_TIME.to_owned()));
}

#[test]
fn a_float_is_whole_where_a_whole_number_is_wanted() {
    let of = |target: &DataType, number: f64| read(&Type::FLOAT8, Some(target), &number.to_be_bytes());
    assert_eq!(of(&DataType::Int64, 7.0), Ok(ScalarValue::Int64(Some(7))));
    assert_eq!(of(&DataType::UInt64, 18_446_744_073_709_549_568.0), Ok(ScalarValue::UInt64(Some(u64::MAX - 2_047))));
    for number in [0.5, -1e-9, 9_223_372_036_854_775_808.0, 1e300, f64::NAN, f64::INFINITY] {
        assert_eq!(of(&DataType::Int64, number), Err(OUT_OF_RANGE.to_owned()), "{number}");
    }
    assert_eq!(of(&DataType::Float32, 0.5), Ok(ScalarValue::Float32(Some(0.5))));
    assert_eq!(of(&DataType::Float32, 0.1), Ok(ScalarValue::Float64(Some(0.1))));
    let narrow = read(&Type::FLOAT4, Some(&DataType::Float64), &0.1_f32.to_be_bytes());
    assert_eq!(narrow, Ok(ScalarValue::Float64(Some(f64::from(0.1_f32)))));
    assert_eq!(read(&Type::FLOAT4, None, &0.1_f32.to_be_bytes()), Ok(ScalarValue::Float32(Some(0.1))));
}

#[test]
fn a_numeric_keeps_all_its_digits() {
    let price = DataType::Decimal128(10, 2);
    let fraction = numeric(&[2, 0, 0, 3, 1, 2_550]);
    // 1.255 is no price, and compares with prices as what it is.
    let exact = Ok(ScalarValue::Decimal128(Some(1_255), 4, 3));
    assert_eq!(read(&Type::NUMERIC, Some(&price), &fraction), exact);
    assert_eq!(read(&Type::NUMERIC, None, &fraction), exact);
    let seven = numeric(&[1, 0, 0, 2, 7]);
    assert_eq!(read(&Type::NUMERIC, Some(&price), &seven), Ok(ScalarValue::Decimal128(Some(700), 10, 2)));
    assert_eq!(read(&Type::NUMERIC, Some(&DataType::Int32), &seven), Ok(ScalarValue::Int32(Some(7))));
    assert_eq!(read(&Type::NUMERIC, Some(&DataType::Float64), &fraction), Ok(ScalarValue::Float64(Some(1.255))));
    let long = numeric(&[10, 9, 0x4000, 0, 12, 3_456, 7_890, 1_234, 5_678, 9_012, 3_456, 7_890, 1_234, 5_678]);
    let digits = -12_345_678_901_234_567_890_123_456_789_012_345_678_i128;
    assert_eq!(read(&Type::NUMERIC, None, &long), Ok(ScalarValue::Decimal128(Some(digits), 38, 0)));
    for (target, bytes) in [
        (Some(DataType::Int64), fraction),
        (Some(DataType::Int64), long),
        (Some(DataType::Int64), numeric(&[0, 0, 0xc000, 0])),
        (Some(price), numeric(&[0, 0, 0xd000, 0])),
        (None, numeric(&[0, 0, 0xc000, 0])),
        (None, numeric(&[1, 30, 0, 0, 1])),
        (Some(DataType::Float64), numeric(&[1, 100, 0, 0, 1])),
    ] {
        assert_eq!(read(&Type::NUMERIC, target.as_ref(), &bytes), Err(OUT_OF_RANGE.to_owned()), "{target:?} {bytes:?}");
    }
    let infinite = read(&Type::NUMERIC, Some(&DataType::Float64), &numeric(&[0, 0, 0xf000, 0]));
    assert_eq!(infinite, Ok(ScalarValue::Float64(Some(f64::NEG_INFINITY))));
    assert_eq!(read(&Type::NUMERIC, None, &[0; 7]), Err(UNREAD.to_owned()));
}

#[test]
fn times_far_away_are_refused() {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into()));
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let of = |target: &DataType, micros: i64| read(&Type::TIMESTAMPTZ, Some(target), &micros.to_be_bytes());
    let utc = || Some(Arc::<str>::from(ZONE));
    // 2000 itself, and 4714 BC, which is as early as PostgreSQL goes.
    assert_eq!(of(&micros, 0), Ok(ScalarValue::TimestampMicrosecond(Some(946_684_800_000_000), utc())));
    let early = -211_813_488_000_000_000;
    let since_1970 = early + 946_684_800_000_000;
    assert_eq!(of(&micros, early), Ok(ScalarValue::TimestampMicrosecond(Some(since_1970), utc())));
    assert_eq!(of(&nanos, 1), Ok(ScalarValue::TimestampNanosecond(Some(946_684_800_000_001_000), None)));
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    assert_eq!(of(&seconds, 1_000_000), Ok(ScalarValue::TimestampSecond(Some(946_684_801), None)));
    assert_eq!(of(&seconds, 1), Ok(ScalarValue::TimestampMicrosecond(Some(946_684_800_000_001), None)));
    assert_eq!(of(&DataType::Date32, 0), Ok(ScalarValue::TimestampMicrosecond(Some(946_684_800_000_000), utc())));
    // Infinity, and the last microsecond of 294276.
    for far in [i64::MAX, i64::MIN, 9_223_371_331_199_999_999] {
        assert_eq!(of(&micros, far), Err(NO_TIME.to_owned()), "{far}");
        assert_eq!(read(&Type::TIMESTAMP, None, &far.to_be_bytes()), Err(NO_TIME.to_owned()), "{far}");
    }
    assert_eq!(of(&nanos, early), Err(NO_TIME.to_owned()));
    let date = |days: i32| read(&Type::DATE, Some(&DataType::Date32), &days.to_be_bytes());
    assert_eq!(date(-1), Ok(ScalarValue::Date32(Some(10_956))));
    for far in [i32::MAX, i32::MIN, i32::MAX - 1, 2_000_000_000] {
        assert_eq!(date(far), Err(NO_TIME.to_owned()), "{far}");
    }
    let time = |micros: i64| read(&Type::TIME, Some(&DataType::Time64(TimeUnit::Nanosecond)), &micros.to_be_bytes());
    assert_eq!(time(1), Ok(ScalarValue::Time64Nanosecond(Some(1_000))));
    assert_eq!((time(DAY_MICROS), time(-1)), (Err(NO_TIME.to_owned()), Err(UNREAD.to_owned())));
    let interval = |micros: i64, days: i32, months: i32| {
        let bytes = [&micros.to_be_bytes()[..], &days.to_be_bytes()[..], &months.to_be_bytes()[..]].concat();
        read(&Type::INTERVAL, None, &bytes)
    };
    assert_eq!(interval(-1, 2, 3), Ok(ScalarValue::new_interval_mdn(3, 2, -1_000)));
    assert_eq!(interval(i64::MAX, i32::MAX, i32::MAX), Err(NO_TIME.to_owned()));
    let hours = |hours: i64| written(&Type::INTERVAL, None, &format!("{hours} hours"));
    assert_eq!(hours(2_562_047), Ok(ScalarValue::new_interval_mdn(0, 0, 2_562_047 * 3_600_000_000_000)));
    assert_eq!(hours(3_000_000), Err(NO_TIME.to_owned()));
    assert_eq!(written(&Type::TIMESTAMP, Some(&nanos), "2300-01-01 00:00:00"), Err(NO_TIME.to_owned()));
}

#[test]
fn times_as_text_are_what_they_are_in_binary() {
    let utc = || Some(Arc::<str>::from(ZONE));
    let (text, early) = ("2000-01-01 00:00:00.25", "1999-12-31 22:00:00.25-02");
    let micros = 946_684_800_250_000;
    let zoned = ScalarValue::TimestampMicrosecond(Some(micros), utc());
    let bare = ScalarValue::TimestampMicrosecond(Some(micros), None);
    let seconds = DataType::Timestamp(TimeUnit::Second, None);
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    for (kind, target, text, value) in [
        (Type::TIMESTAMPTZ, None, early, zoned.clone()),
        (Type::TIMESTAMPTZ, Some(DataType::Date32), early, zoned.clone()),
        (Type::TIMESTAMP, Some(DataType::Timestamp(TimeUnit::Microsecond, utc())), text, zoned),
        (Type::TIMESTAMP, None, text, bare.clone()),
        (Type::TIMESTAMP, Some(DataType::Date32), text, bare.clone()),
        // Nothing is cut off.
        (Type::TIMESTAMP, Some(seconds), text, bare),
        (Type::TIMESTAMP, Some(millis), text, ScalarValue::TimestampMillisecond(Some(micros / 1_000), None)),
        (Type::TIME, Some(DataType::Time32(TimeUnit::Second)), "00:00:01", ScalarValue::Time32Second(Some(1))),
        (
            Type::TIME,
            Some(DataType::Time32(TimeUnit::Second)),
            "00:00:01.5",
            ScalarValue::Time64Microsecond(Some(1_500_000)),
        ),
    ] {
        assert_eq!(written(&kind, target.as_ref(), text), Ok(value), "{kind} {target:?} {text}");
    }
    for far in ["infinity", "-infinity", "yesterday"] {
        assert!(written(&Type::TIMESTAMPTZ, None, far).is_err(), "{far}");
    }
}

/// An array of one dimension.
fn array(item: &Type, items: &[Option<&[u8]>]) -> Vec<u8> {
    let number = |number: usize| i32::try_from(number).unwrap().to_be_bytes();
    let mut bytes = [number(1), number(0), item.oid().to_be_bytes(), number(items.len()), number(1)].concat();
    for one in items {
        bytes.extend(one.map_or((-1_i32).to_be_bytes(), |one| number(one.len())));
        bytes.extend(one.unwrap_or_default());
    }
    bytes
}

fn list(values: &[ScalarValue], kind: &DataType) -> Result<ScalarValue, String> {
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(values, kind)))
}

#[test]
fn arrays_keep_their_items() {
    let (one, large) = (1_i32.to_be_bytes(), i32::MAX.to_be_bytes());
    let numbers = array(&Type::INT4, &[Some(one.as_slice()), None, Some(large.as_slice())]);
    let narrow = [Some(1), None, Some(i32::MAX)].map(ScalarValue::Int32);
    assert_eq!(read(&Type::INT4_ARRAY, None, &numbers), list(&narrow, &DataType::Int32));
    let wide = [Some(1), None, Some(i64::from(i32::MAX))].map(ScalarValue::Int64);
    let of_wide = DataType::new_list(DataType::Int64, true);
    assert_eq!(read(&Type::INT4_ARRAY, Some(&of_wide), &numbers), list(&wide, &DataType::Int64));
    let of_small = DataType::new_list(DataType::Int16, true);
    assert_eq!(read(&Type::INT4_ARRAY, Some(&of_small), &numbers), Err(OUT_OF_RANGE.to_owned()));
    let texts = array(&Type::TEXT, &[Some(b"{a,\"b".as_slice()), Some(b"".as_slice()), None]);
    let kept = [Some("{a,\"b"), Some(""), None].map(|text| ScalarValue::Utf8(text.map(str::to_owned)));
    assert_eq!(read(&Type::TEXT_ARRAY, None, &texts), list(&kept, &DataType::Utf8));
    let (half, cent) = (numeric(&[2, 0, 0, 1, 12, 5_000]), numeric(&[1, -1_i16 as u16, 0, 2, 100]));
    let decimals = array(&Type::NUMERIC, &[Some(half.as_slice()), Some(cent.as_slice())]);
    let kept = [1_250, 1].map(|units| ScalarValue::Decimal128(Some(units), 4, 2));
    assert_eq!(read(&Type::NUMERIC_ARRAY, None, &decimals), list(&kept, &DataType::Decimal128(4, 2)));
    let of_whole = DataType::new_list(DataType::Decimal128(10, 0), true);
    assert_eq!(read(&Type::NUMERIC_ARRAY, Some(&of_whole), &decimals), list(&kept, &DataType::Decimal128(4, 2)));
    let empty = [0_i32, 0, 23].map(i32::to_be_bytes).concat();
    assert_eq!(read(&Type::INT4_ARRAY, None, &empty), list(&[], &DataType::Int32));
}

#[test]
fn arrays_that_are_none_are_refused() {
    let one = 1_i32.to_be_bytes();
    let good = array(&Type::INT4, &[Some(one.as_slice())]);
    for end in 0..good.len() {
        assert_eq!(read(&Type::INT4_ARRAY, None, &good[..end]), Err(UNREAD.to_owned()), "{end}");
    }
    let more = [good.as_slice(), &[0]].concat();
    let endless = [1_i32, 0, 23, i32::MAX, 1].map(i32::to_be_bytes).concat();
    let negative = [1_i32, 0, 23, -1, 1].map(i32::to_be_bytes).concat();
    let sized = [1_i32, 0, 23, 1, 1, -2].map(i32::to_be_bytes).concat();
    for broken in [more, endless, negative, sized, array(&Type::INT8, &[])] {
        assert_eq!(read(&Type::INT4_ARRAY, None, &broken), Err(UNREAD.to_owned()), "{broken:?}");
    }
    let nulls = array(&Type::INT4, &vec![None; ITEMS_MAX + 1]);
    assert_eq!(read(&Type::INT4_ARRAY, None, &nulls), Err("54000".to_owned()));
    let ones = format!("{{{}1}}", "1,".repeat(ITEMS_MAX));
    assert_eq!(written(&Type::INT4_ARRAY, None, &ones), Err("54000".to_owned()));
    let square = [2_i32, 0, 23, 1, 1, 1, 1, 4, 1].map(i32::to_be_bytes).concat();
    assert_eq!(read(&Type::INT4_ARRAY, None, &square), Err("0A000".to_owned()));
}

#[test]
fn arrays_are_read_as_text_as_well() {
    let texts = |text: &str, items: &[Option<&str>]| {
        let items: Vec<ScalarValue> = items.iter().map(|item| ScalarValue::Utf8(item.map(str::to_owned))).collect();
        assert_eq!(written(&Type::TEXT_ARRAY, None, text), list(&items, &DataType::Utf8), "{text}");
    };
    texts("{}", &[]);
    texts(" { } ", &[]);
    texts("{a,NULL,\"NULL\",null}", &[Some("a"), None, Some("NULL"), None]);
    texts(r#"{ a b , "c,}\"\\" ,"" ,\N}"#, &[Some("a b"), Some(r#"c,}"\"#), Some(""), Some("N")]);
    for broken in
        ["", "{", "}", "a", "{a", "{a,}", "{,}", r#"{"a}"#, r#"{"a"b}"#, r#"{a"b"}"#, "{{a}}", "{a}{b}", r"{a\}"]
    {
        assert_eq!(written(&Type::TEXT_ARRAY, None, broken), Err("22P02".to_owned()), "{broken}");
    }
    let wide = [Some(1), None].map(ScalarValue::Int64);
    let of_wide = DataType::new_list(DataType::Int64, true);
    assert_eq!(written(&Type::INT2_ARRAY, Some(&of_wide), "{1,NULL}"), list(&wide, &DataType::Int64));
    assert_eq!(written(&Type::NUMERIC_ARRAY, Some(&of_wide), "{1.5}"), Err(OUT_OF_RANGE.to_owned()));
    let decimals = [150, 225].map(|units| ScalarValue::Decimal128(Some(units), 3, 2));
    assert_eq!(written(&Type::NUMERIC_ARRAY, None, "{1.5,2.25}"), list(&decimals, &DataType::Decimal128(3, 2)));
    let flags = [true, false].map(|flag| ScalarValue::Boolean(Some(flag)));
    assert_eq!(written(&Type::BOOL_ARRAY, None, "{t,f}"), list(&flags, &DataType::Boolean));
}

#[test]
fn text_is_what_it_is() {
    let text = |kind: &Type, bytes: &[u8]| read(kind, Some(&DataType::Utf8), bytes);
    let utf8 = |text: &str| Ok(ScalarValue::Utf8(Some(text.to_owned())));
    assert_eq!(text(&Type::JSONB, b"\x01{}"), utf8("{}"));
    assert_eq!(text(&Type::BPCHAR, b"{a}"), utf8("{a}"));
    for (kind, bytes) in [
        (Type::JSONB, b"\x02{}".as_slice()),
        (Type::JSONB, b"".as_slice()),
        (Type::UUID, b"0".as_slice()),
        (Type::TEXT, b"\xff".as_slice()),
        (Type::BOOL, b"".as_slice()),
        (Type::BOOL, b"\0\0".as_slice()),
        (Type::INT4, b"\0\0\0".as_slice()),
    ] {
        assert_eq!(text(&kind, bytes), Err(UNREAD.to_owned()), "{kind}");
    }
    assert_eq!(text(&Type::BOOL, b"\x01"), Ok(ScalarValue::Boolean(Some(true))));
    assert_eq!(text(&Type::BYTEA, b"\0\xff"), Ok(ScalarValue::Binary(Some(vec![0, 255]))));
    assert_eq!(text(&Type::INET, b"\x02\x20\x00\x04\x0a\x00\x00\x01"), Err("0A000".to_owned()));
    // Quotes are no escapes in a value.
    assert_eq!(written(&Type::TEXT, None, "it''s"), utf8("it''s"));
    assert_eq!(written(&Type::UNKNOWN, None, "it''s"), utf8("it''s"));
    assert_eq!(written(&Type::VARCHAR, Some(&DataType::Int64), "7"), utf8("7"));
    assert_eq!(written(&Type::INT2, Some(&DataType::Int64), " 7 "), Ok(ScalarValue::Int64(Some(7))));
    assert_eq!(written(&Type::INT2, None, "70000"), Err(OUT_OF_RANGE.to_owned()));
    assert_eq!(written(&Type::INT4, None, "1.5"), Err("22P02".to_owned()));
    assert_eq!(written(&Type::FLOAT4, None, "0.1"), Ok(ScalarValue::Float32(Some(0.1))));
    for kind in [Type::FLOAT4, Type::FLOAT8] {
        let zero = match written(&kind, Some(&DataType::Float64), "-0") {
            Ok(ScalarValue::Float64(zero)) => zero,
            other => panic!("{kind}: {other:?}"),
        };
        assert_eq!(zero.map(f64::to_bits), Some((-0.0_f64).to_bits()), "{kind}");
    }
    assert_eq!(written(&Type::FLOAT8, None, "1e400"), Err(OUT_OF_RANGE.to_owned()));
    assert_eq!(written(&Type::NUMERIC, Some(&DataType::Int64), "1.5"), Err(OUT_OF_RANGE.to_owned()));
    assert_eq!(written(&Type::FLOAT8, None, "-0.0"), Ok(ScalarValue::Float64(Some(-0.0))));
    for (words, said) in [(["t", " TRU ", "y", "on", "1"], true), (["f", "fals", "NO", "of", "0"], false)] {
        for word in words {
            assert_eq!(written(&Type::BOOL, None, word), Ok(ScalarValue::Boolean(Some(said))), "{word}");
        }
    }
    for word in ["", " ", "o", "truee", "2", "yn"] {
        assert_eq!(written(&Type::BOOL, None, word), Err("22P02".to_owned()), "{word}");
    }
    // JSON of no type is text, and an array of none is one.
    for json in [r#"{"a": 1, "b": [2]}"#, r#"{"a":{}}"#, "{a", "{a}b"] {
        assert_eq!(written(&Type::UNKNOWN, None, json), utf8(json), "{json}");
    }
    let items = [Some("1"), None].map(|item| ScalarValue::Utf8(item.map(str::to_owned)));
    assert_eq!(written(&Type::UNKNOWN, None, "{1,NULL}"), list(&items, &DataType::Utf8));
    assert_eq!(written(&Type::UNKNOWN, None, "{}"), list(&[], &DataType::Utf8));
}

#[test]
fn a_null_has_the_type_that_is_wanted() {
    let none = |kind: &Type, target: Option<&DataType>| Parameter { number: 1, kind, target }.none().unwrap();
    assert_eq!(none(&Type::INT4, Some(&DataType::Int64)), ScalarValue::Int64(None));
    assert_eq!(none(&Type::INT4, None), ScalarValue::Int32(None));
    assert_eq!(none(&Type::UNKNOWN, None), ScalarValue::Utf8(None));
    assert_eq!(none(&Type::NUMERIC, None), ScalarValue::Null);
}

proptest! {
    /// Whatever they are, bytes make a value or an error.
    #[test]
    fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..48), which in 0_usize..16) {
        let kinds = [
            Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC, Type::DATE,
            Type::TIME, Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::INTERVAL, Type::JSONB, Type::UUID, Type::INT4_ARRAY,
            Type::NUMERIC_ARRAY,
        ];
        let targets = [
            None,
            Some(DataType::Int64),
            Some(DataType::Float32),
            Some(DataType::Decimal128(10, 2)),
            Some(DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ];
        for target in &targets {
            let _ = read(&kinds[which], target.as_ref(), &bytes);
        }
    }
}
