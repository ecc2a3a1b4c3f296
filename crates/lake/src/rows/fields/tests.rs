use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const PATHS: [&str; 9] = [".a", ".b", ".a.b", ".a.c", ".b.a.c", ".c", ".c[1]", ".c[0].a", ".\"x y\".a"];

fn as_value(view: View<'_>) -> Option<Value> {
    match view {
        View::Null => None,
        View::Boolean(value) => Some(json!(value)),
        View::Number(number) => Some(Value::Number(number.clone())),
        View::Text(text) => Some(json!(text)),
        View::Tree(tree) => Some(tree.clone()),
    }
}

/// What is found in a text equals what is found in the whole, built.
fn same(paths: &[&str], text: &str) {
    let whole: Value = serde_json::from_str(text).unwrap();
    let paths: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
    let mut fields = EventFields::default();
    let wanted: Vec<Wanted> = paths.iter().map(|path| fields.want(path)).collect();
    match fields.read(text.as_bytes()) {
        Ok(slots) => {
            for (path, wanted) in paths.iter().zip(&wanted) {
                assert_eq!(as_value(wanted.of(&slots)), path.find(&whole).cloned(), "{path:?} of {text}");
            }
        }
        Err(misfit) => {
            assert!(!whole.is_object(), "{text}");
            assert_eq!(misfit.0, "the event is no JSON object");
        }
    }
}

/// JSON text in which a name may come more than once.
fn text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        any::<f64>().prop_filter("no JSON", |it| it.is_finite()).prop_map(|it| json!(it).to_string()),
        ".{0,6}".prop_map(|it| json!(it).to_string()),
    ];
    let name = prop_oneof![Just("\"a\""), Just("\"b\""), Just("\"c\""), Just("\"\\u0061\""), Just("\"x y\"")];
    leaf.prop_recursive(4, 40, 4, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            3 => prop::collection::vec((name.clone(), inner), 0..5).prop_map(|fields| {
                let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

#[test]
fn the_last_of_equal_names_counts() {
    same(&PATHS, r#"{"a":{"b":1},"a":5,"b":{"a":{"c":[1]}},"c":[0,{"a":1}],"c":[{"a":null},7]}"#);
    same(&[".a.b"], r#"{"a":{"b":1},"a":{"c":2}}"#);
}

#[test]
fn what_is_no_object_says_where() {
    let mut fields = EventFields::default();
    fields.want(&Path::parse(".a").unwrap());
    let fact = |text: &[u8]| fields.read(text).unwrap_err().0;
    assert_eq!(fact(b"[1]"), "the event is no JSON object");
    assert_eq!(fact(b"{\"b\": secret}"), "the event is no JSON: line 1, column 7");
    assert_eq!(fact(b"{} {}"), "the event is no JSON: line 1, column 4");
    assert_eq!(fact(b"{\"b\": \"\xff\"}"), "the event is no JSON: byte 7 is no UTF-8");
}

proptest! {
    #[test]
    fn finds_what_the_whole_holds(text in text(), paths in prop::sample::subsequence(PATHS.to_vec(), 1..PATHS.len())) {
        same(&paths, &text);
    }
}
