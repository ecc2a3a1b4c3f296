use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn evaluate(text: &str, input: &Value) -> Result<Value, Failure> {
    let call = Call::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let resolve = |path: &Path| path.select(input, 1_000);
    call.evaluate(&resolve, &mut Chance::new([3; 32]), 1_000)
}

fn check(text: &str, expected: Value) {
    let input = json!({"a": [1, 2, 2.0, 3], "text": "x,y;;z", "object": {"k": [1]}});
    assert_eq!(evaluate(text, &input), Ok(expected), "{text}");
}

#[test]
fn functions_do_what_the_language_says() {
    check(r"States.Format('{} and \{\} isn\'t {}', $.text, 1.5)", json!("x,y;;z and {} isn't 1.5"));
    check("States.Format('{}', $.object)", json!("{k=[1]}"));
    check("States.ArrayUnique($.a)", json!([1, 2, 2.0, 3]));
    check("States.ArrayContains($.a, 2)", json!(true));
    check("States.ArrayRange(9, 1, -3)", json!([9, 6, 3]));
    check("States.StringSplit($.text, ',;')", json!(["x", "y", "z"]));
    check("States.Base64Decode(States.Base64Encode('é'))", json!("é"));
    check("States.Hash('', 'MD5')", json!("d41d8cd98f00b204e9800998ecf8427e"));
    check("States.JsonMerge($.object, States.StringToJson('{\"k\": 2}'), false)", json!({"k": 2}));
    check("States.MathAdd(-0.5, 0)", json!(0));
    check("States.ArrayGetItem($.a, States.MathAdd(States.ArrayLength($.a), -1))", json!(3));
}

#[test]
fn random_numbers_stay_inside_and_follow_the_seed() {
    let drawn = evaluate("States.MathRandom(5, 8)", &json!({})).unwrap().as_i64().unwrap();
    assert!((5..8).contains(&drawn));
    let seeded = |seed: u64| evaluate(&format!("States.MathRandom(0, 1000000, {seed})"), &json!({})).unwrap();
    assert_eq!(seeded(1), seeded(1));
    assert_ne!(seeded(1), seeded(2));
    let uuid = evaluate("States.UUID()", &json!({})).unwrap();
    let uuid = uuid.as_str().unwrap();
    assert_eq!((uuid.len(), uuid.as_bytes()[14]), (36, b'4'));
}

#[test]
fn refusals_name_function_and_reason() {
    for (text, reason) in [
        ("States.ArrayPartition($.a, 0)", "argument 2 must be a positive number"),
        ("States.ArrayGetItem($.a, 9)", "there is no item 9 among 4"),
        ("States.ArrayRange(1, 100000, 1)", "the range has more than 1000 items"),
        ("States.Format('{} {}', 1)", "there are more `{}` than arguments"),
        ("States.Hash('x', 'CRC')", "`CRC` is none of MD5, SHA-1, SHA-256, SHA-384 and SHA-512"),
        ("States.MathRandom(5, 5)", "argument 1 must be below argument 2"),
    ] {
        let input = json!({"a": [1, 2, 2.0, 3]});
        let Err(Failure::Refused(message)) = evaluate(text, &input) else { panic!("{text} was not refused") };
        assert!(message.ends_with(reason), "{text}: {message}");
    }
    assert!(matches!(evaluate("States.Array($.missing)", &json!({})), Err(Failure::Path(..))));
}

#[test]
fn what_is_no_call_is_refused() {
    let deep = format!("{}1{}", "States.Array(".repeat(11), ")".repeat(11));
    for text in [
        "States.Nothing()",
        "States.Array(",
        "States.Array(1 2)",
        "States.Array('a)",
        r#"States.Array('\n')"#,
        "States.UUID(1)",
        "States.Array(a)",
        "States.Array() x",
        "Array()",
        &deep,
    ] {
        assert!(Call::parse(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "States\\.(Array|Format|MathAdd|StringSplit)\\([$.a'{}\\\\,0-9 ()\\[\\]-]{0,30}\\)?") {
        if let Ok(call) = Call::parse(&text) {
            let input = json!({"a": [1, "x"]});
            let _ = call.evaluate(&|path: &Path| path.select(&input, 100), &mut Chance::new([0; 32]), 100);
        }
    }
}
