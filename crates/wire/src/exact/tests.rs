use proptest::prelude::*;

use super::*;

fn again(text: &str) -> String {
    match Exact::read(text.as_bytes()) {
        Ok(value) => value.to_string(),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn no_digit_is_lost() {
    for text in ["12345678901234567890123.10", "-0.0", "1E+400", "[1,1.0,1e0]", r#"{"a":"\"\\ü\u0001"}"#, "{}", "[]"] {
        assert_eq!(again(text), text);
    }
    assert_eq!(again(r#"{"a":1,"b":2,"a":3}"#), r#"{"a":3,"b":2}"#);
    let many: Vec<String> = (0..40).map(|n| format!(r#""k{}":{n}"#, n % 20)).collect();
    assert_eq!(Exact::read(format!("{{{}}}", many.join(",")).as_bytes()).unwrap().get("k3").unwrap().to_string(), "23");
}

#[test]
fn over_several_lines_it_is_what_a_machines_value_is() {
    for text in [r#"{"a":[1,{"b":null},[]],"c":{},"d":"x\ny"}"#, "[]", "1.5", r#"[[["deep"]]]"#] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(format!("{:#}", Exact::read(text.as_bytes()).unwrap()), format!("{value:#}"));
    }
    let long = Exact::read(br#"{"n":12345678901234567890.10}"#).unwrap();
    assert_eq!(format!("{long:#}"), "{\n  \"n\": 12345678901234567890.10\n}");
}

#[test]
fn faults_name_their_place() {
    for (text, shown) in [
        ("", "at byte `0`: a value is expected"),
        ("[1,]", "at byte `3`: a value is expected"),
        ("01", "at byte `1`: a number's end is expected"),
        ("1.", "at byte `1`: a number's end is expected"),
        ("-", "at byte `0`: a number is expected"),
        (r#""\ud800""#, "at byte `0`: an escape is none"),
        (r#"{"a" 1}"#, "at byte `5`: a colon is expected"),
        ("1 2", "at byte `2`: nothing may follow the value"),
    ] {
        assert_eq!(again(text), shown, "{text}");
    }
    assert_eq!(again(&"[".repeat(200)), "at byte `129`: values are nested too deeply");
}

#[test]
fn a_machines_number_is_the_same_number_or_none() {
    for text in ["0.1", "100", "1.0", "1e2", "18446744073709551615", "-0"] {
        assert!(Exact::Number(text.into()).to_value().is_some(), "{text}");
    }
    for text in ["18446744073709551617", "0.12345678901234567890", "1e400"] {
        assert_eq!(Exact::Number(text.into()).to_value(), None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_json_for_us_as_for_serde(text in r#"[\[\]{}:,"a-c0-2eE.\\ +-]{0,24}"#) {
        let theirs: Result<Value, _> = serde_json::from_str(&text);
        let ours = Exact::read(text.as_bytes());
        match (theirs, ours) {
            // Some numbers have no equal in a machine.
            (Ok(theirs), Ok(ours)) => prop_assert!(ours.to_value().is_none_or(|ours| ours == theirs)),
            // A number too large for one is JSON all the same.
            (Err(_), Ok(ours)) => prop_assert!(ours.to_value().is_none()),
            (theirs, ours) => prop_assert_eq!(theirs.is_ok(), ours.is_ok()),
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = Exact::read(&bytes) {
            prop_assert_eq!(Exact::read(value.to_string().as_bytes()).unwrap(), value);
        }
    }
}
