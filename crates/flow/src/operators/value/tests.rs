use proptest::prelude::*;

use super::*;

fn json(value: &Value) -> String {
    let mut out = Vec::new();
    value.render(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn values_render_as_json() {
    assert_eq!(json(&Value::Int(0)), "0");
    assert_eq!(json(&Value::Int(i128::MIN)), i128::MIN.to_string());
    assert_eq!(json(&Value::Int(i128::MAX)), i128::MAX.to_string());
    assert_eq!(json(&Value::Float(0.5)), "0.5");
    assert_eq!(json(&Value::Float(f64::NAN)), "null");
    assert_eq!(json(&Value::Text("a\"\n\u{1}é".into())), "\"a\\\"\\n\\u0001é\"");
    assert_eq!(
        json(&Value::List(vec![Value::Null, Value::Bool(true), Value::Json("{\"a\":1}".into())])),
        r#"[null,true,{"a":1}]"#
    );
}

#[test]
fn keys_and_times_are_texts() {
    let key = |key: &[u8]| {
        let mut out = Vec::new();
        render_key(&mut out, key);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(key("a\"é".as_bytes()), "\"a\\\"é\"");
    assert_eq!(key(b"a\xffb"), "\"a\u{fffd}b\"");
}

proptest! {
    #[test]
    fn a_time_renders_as_the_text_that_it_displays(time: i64) {
        let (mut out, mut wanted) = (Vec::new(), Vec::new());
        render_time(&mut out, Micros(time));
        render_text(&mut wanted, &Micros(time).to_string());
        prop_assert_eq!(out, wanted);
    }

    #[test]
    fn whole_numbers_render_as_they_display(number: i128, small: i64) {
        prop_assert_eq!(json(&Value::Int(number)), number.to_string());
        prop_assert_eq!(json(&Value::Int(i128::from(small))), small.to_string());
    }

    #[test]
    fn stored_values_come_back(text in ".{0,20}", number: i64, float in prop::num::f64::NORMAL, yes: bool) {
        for value in [
            Value::Null,
            Value::Bool(yes),
            Value::Int(i128::from(number)),
            Value::Float(float),
            Value::Text(text.clone().into()),
            Value::Json(text.into()),
        ] {
            let mut bytes = Vec::new();
            value.put(&mut bytes);
            let mut shown = Vec::new();
            Value::render_read(&mut Reader::new(&bytes), &mut shown).unwrap();
            prop_assert_eq!(String::from_utf8(shown).unwrap(), json(&value));
            prop_assert_eq!(Value::skip(&mut Reader::new(&bytes)).unwrap(), &bytes[..]);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(Value::read(&mut reader).unwrap(), value);
            prop_assert!(reader.end().is_ok());
        }
    }
}
