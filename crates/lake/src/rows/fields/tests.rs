use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const PATHS: [&str; 9] = [".a", ".b", ".a.b", ".a.c", ".b.a.c", ".c", ".c[1]", ".c[0].a", ".\"x y\".a"];

const ANY: Data = Data::One(Scalar::Json);
const TEXT: Data = Data::One(Scalar::String);

fn as_value(view: View<'_>) -> Option<Value> {
    match view {
        View::Null => None,
        View::Boolean(value) => Some(json!(value)),
        View::Number(number) => Some(Value::Number(number.number())),
        View::Text(text) => Some(Value::String(text.into_owned())),
        View::Tree(tree) => Some(tree.clone()),
        View::Object | View::Array => panic!("it was to be built"),
    }
}

/// What a value is, for people.
fn kind(value: Option<&Value>) -> &'static str {
    value.map_or("null", |value| View::from(value).kind())
}

/// What is found in a text equals what is found in the whole, built.
fn same(paths: &[&str], text: &str) {
    let whole: Value = serde_json::from_str(text).unwrap();
    let paths: Vec<Path> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
    let mut fields = EventFields::default();
    let texts: Vec<Wanted> = paths.iter().map(|path| fields.want(path, &TEXT)).collect();
    let wanted: Vec<Wanted> = paths.iter().map(|path| fields.want(path, &ANY)).collect();
    // Memory of another event, where everything was found.
    let mut slots = vec![Extent { start: 1, end: 2 }; 20];
    let trees = fields.trees();
    match fields.read(text.as_bytes(), &mut slots, &trees) {
        Ok(event) => {
            for (path, (wanted, as_text)) in paths.iter().zip(wanted.iter().zip(&texts)) {
                let found = path.find(&whole);
                assert_eq!(as_text.of(&event).kind(), kind(found), "{path:?} of {text}");
                assert_eq!(as_value(wanted.of(&event)), found.cloned(), "{path:?} of {text}");
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
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,2})?",
        ".{0,6}".prop_map(|it| json!(it).to_string()),
        Just(r#""\ud83d\ude00 \n\u00e9\/""#.to_owned()),
    ];
    let name = prop_oneof![
        Just("\"a\""),
        Just("\"b\""),
        Just("\"c\""),
        Just("\"\\u0061\""),
        Just("\"x y\""),
        Just("\"x_y\""),
        Just(" \"b\"\n\t")
    ];
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
    same(&[".a.b.c", ".a"], r#"{"a":{"b":{"c":1}},"a":{"b":[]}}"#);
    same(&[".a.b.c", ".a"], r#"{"\u0061":{"b":{"c":1},"b":null}}"#);
}

#[test]
fn names_with_the_same_tag_are_told_apart() {
    same(&[".a_b_c", ".axbxc", ".a1b2c"], r#"{"axbxc":1,"a1b2c":{"a_b_c":2},"a.b.c":3}"#);
    let many: Vec<String> = (0..40).map(|n| format!(".name_{n}")).collect();
    let members: Vec<String> = (0..60).map(|n| format!("\"name_{n}\": {n}")).collect();
    same(&many.iter().map(String::as_str).collect::<Vec<_>>(), &format!("{{{}}}", members.join(" ,")));
}

fn fact(text: &[u8]) -> String {
    let mut fields = EventFields::default();
    fields.want(&Path::parse(".a.b").unwrap(), &TEXT);
    fields.read(text, &mut Vec::new(), &fields.trees()).unwrap_err().0
}

#[test]
fn what_is_no_object_says_where() {
    assert_eq!(fact(b"[1]"), "the event is no JSON object");
    assert_eq!(fact(b" \"text\" "), "the event is no JSON object");
    for (text, place) in [
        ("{\"b\": secret}", "line 1, column 7"),
        ("{} {}", "line 1, column 4"),
        ("[1, secret]", "line 1, column 5"),
        ("", "line 1, column 1"),
        ("{\"a\": 1", "line 1, column 7"),
        ("{\n  \"a\": {\n    \"b\": +1\n  }\n}", "line 3, column 10"),
    ] {
        assert_eq!(fact(text.as_bytes()), format!("the event is no JSON: {place}"), "{text}");
    }
    assert_eq!(fact(b"{\"b\": \"\xff\"}"), "the event is no JSON: byte 7 is no UTF-8");
}

#[test]
fn what_no_column_needs_is_checked_by_the_same_rules() {
    let nested = |depth: usize| format!("{{\"a\":{{\"b\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth));
    for text in [r#"{"c": 1e400}"#, r#"{"c": ["\ud800"]}"#, r#"{"a": {"c": "\ud800"}}"#, &nested(126)] {
        assert!(fact(text.as_bytes()).starts_with("the event is no JSON: line 1, column "), "{text}");
    }
    same(&[".a"], &nested(125));
}

proptest! {
    #[test]
    fn finds_what_the_whole_holds(text in text(), paths in prop::sample::subsequence(PATHS.to_vec(), 1..PATHS.len())) {
        same(&paths, &text);
    }
}
