use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const STORE: &str = r#"{"store": {"book": [
    {"category": "reference", "price": 8.95, "title": "A"},
    {"category": "fiction", "price": 12.99, "title": "B", "isbn": "1"},
    {"category": "fiction", "price": 22.99, "title": "C", "isbn": "2"}
], "bicycle": {"price": 19.95}}, "limit": 10}"#;

fn select(path: &str) -> Result<Value, Miss> {
    let root: Value = serde_json::from_str(STORE).unwrap();
    Path::parse(path).unwrap().select(&root, 10_000)
}

fn check(path: &str, expected: Value) {
    assert_eq!(select(path), Ok(expected), "{path}");
}

#[test]
fn definite_paths_name_one_value() {
    check("$.store.bicycle.price", json!(19.95));
    check("$['store']['book'][0]['title']", json!("A"));
    check("$.store.book[-1].title", json!("C"));
    check("$.store.book.length()", json!(3));
    assert_eq!(select("$.store.car.price"), Err(Miss::Absent("$['store']['car']['price']".to_owned())));
    assert_eq!(select("$.store.book[7]"), Err(Miss::Absent("$['store']['book'][7]".to_owned())));
}

#[test]
fn indefinite_paths_select_and_never_miss() {
    check("$.store.book[*].title", json!(["A", "B", "C"]));
    check("$.store.book[0:2].title", json!(["A", "B"]));
    check("$.store.book[::2].title", json!(["A", "C"]));
    check("$.store.book[-2:].title", json!(["B", "C"]));
    check("$.store.book[0,2].title", json!(["A", "C"]));
    check("$.store.book[0]['title','price']", json!(["A", 8.95]));
    check("$..price", json!([8.95, 12.99, 22.99, 19.95]));
    check("$.store.book[1::9223372036854775807].title", json!(["B"]));
    check("$.nothing[*].title", json!([]));
    check("$.limit[1:5]", json!([]));
}

#[test]
fn filters_compare_the_item_and_the_root() {
    check("$.store.book[?(@.price < $.limit)].title", json!(["A"]));
    check("$.store.book[?(@.isbn)].title", json!(["B", "C"]));
    check("$.store.book[?(!(@.isbn) || @.price > 20)].title", json!(["A", "C"]));
    check("$.store.book[?(@.category == 'fiction' && @.price <= 12.99)].title", json!(["B"]));
    check("$.store.book[?(@.title in ['A', 'C'])].title", json!(["A", "C"]));
}

#[test]
fn only_quotes_and_backslashes_are_escaped_in_names() {
    let root = json!({"it's": 1, "a\\b": 2, "c\\\"\"d": 3});
    for (path, expected) in [(r"$['it\'s']", 1), (r"$['a\\b']", 2), (r#"$['c\""d']"#, 3)] {
        assert_eq!(Path::parse(path).unwrap().select(&root, 100), Ok(json!(expected)), "{path}");
    }
}

#[test]
fn a_reference_path_writes_and_makes_objects_on_the_way() {
    let write = |path: &str, root: Value| Path::parse(path).unwrap().write(root, json!(1));
    assert_eq!(write("$.a.b", json!({"c": 2})), Some(json!({"c": 2, "a": {"b": 1}})));
    assert_eq!(write("$.a[1]", json!({"a": [0, 0]})), Some(json!({"a": [0, 1]})));
    assert_eq!(write("$.a[2]", json!({"a": [0, 0]})), None);
    assert_eq!(write("$.a.b", json!({"a": 5})), None);
    for (path, is) in [("$.a[0]", true), ("$.a[*]", false), ("$..a", false), ("$$.a", false), ("$v.a", false)] {
        assert_eq!(Path::parse(path).unwrap().is_reference(), is, "{path}");
    }
}

#[test]
fn what_is_no_path_is_refused() {
    for text in ["", "a", "$.", "$.a[", "$.a['b]", "$.a b", "$[?@.a]", "$[1:2:0]", "$.a[?(@.b ==)]", "$$$"] {
        assert!(Path::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_costly_path_stops() {
    let mut root = json!(1);
    for _ in 0..12 {
        root = json!([root.clone(), root]);
    }
    let path = Path::parse("$..*[?(@..a || @..b)]").unwrap();
    assert_eq!(path.select(&root, 100_000), Err(Miss::TooExpensive));
    // What is looked at, copied or compared again for each item costs each time.
    let text = "x".repeat(100_000);
    let large = json!({"list": vec![1; 50_000], "text": text, "same": [text, text]});
    let often = |one: &str| vec![one; 5_000].join(",");
    let steps = ".a".repeat(900);
    for path in [
        "$.list[?(@ in $.list)]".to_owned(),
        "$.same[?($.list == $.list && $.list == $.list)]".to_owned(),
        format!("$.list[?(@ in [{}])]", often("'y'")),
        format!("$[{}]", often("'list'")),
        format!("$.same[{}]", often("0")),
    ] {
        assert_eq!(Path::parse(&path).unwrap().select(&large, 100_000), Err(Miss::TooExpensive), "{path:.60}");
    }
    let missed = Path::parse(&format!("$.list[?(@ == $.list || @{steps})]")).unwrap();
    assert_eq!(missed.select(&large, 1_000_000), Ok(json!([])));
    let starts = Path::parse("$.list[*]..*").unwrap();
    assert_eq!(starts.select(&large, 1_000_000), Ok(json!([])));
    assert!(Path::parse(&format!("${}", ".a".repeat(30_000))).is_err(), "it would be written as deep as it is long");
    assert!(Path::parse(&"$[?(@".repeat(10_000)).is_err());
    assert!(Path::parse(&format!("$[?(@.a in {}", "[".repeat(60_000))).is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[$@.a\\[\\]()?*:,'0-9 <=&|!\\\\-]{0,40}") {
        if let Ok(path) = Path::parse(&text) {
            let root: Value = serde_json::from_str(STORE).unwrap();
            let _ = path.select(&root, 10_000);
            let _ = path.write(root, Value::Null);
        }
    }
}
