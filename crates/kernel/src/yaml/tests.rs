use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Origin;

fn values(text: &str) -> Vec<Value> {
    read("f.yaml", text.as_bytes(), &Limits::default()).unwrap().into_iter().map(|document| document.value).collect()
}

fn problems(text: &str, expect: Expect) {
    let problems = read("f.yaml", text.as_bytes(), &Limits::default()).unwrap_err();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    expect.assert_eq(&texts.join("\n"));
}

#[test]
fn scalars_follow_the_core_schema_of_yaml_1_2() {
    let text = "
a: 1
b: -0x10
c: 0x10
d: 0o17
e: 1.5e3
f: .5
g: yes
h: on
i: 'true'
j: true
k: ~
l:
m: 1.2.3
n: 12e
o: +7
p: 18446744073709551615
q: 2026-11-23
r: 1_000
s: !!str 5
t: \"a\\u00e9\\n\"
";
    assert_eq!(
        values(text),
        [
            json!({"a": 1, "b": "-0x10", "c": 16, "d": 15, "e": 1500.0, "f": 0.5, "g": "yes", "h": "on", "i": "true", "j": true,
            "k": null, "l": null, "m": "1.2.3", "n": "12e", "o": 7, "p": 18446744073709551615_u64, "q": "2026-11-23",
            "r": "1_000", "s": "5", "t": "aé\n"})
        ]
    );
}

fn texts(file: &str) -> Vec<Option<String>> {
    let documents = read("f.yaml", file.as_bytes(), &Limits::default()).unwrap();
    documents.into_iter().map(|document| document.text.map(|text| text.to_string())).collect()
}

#[test]
fn a_document_has_its_part_of_the_file() {
    let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
    assert_eq!(texts("# why\na: 1 # one\n"), some(&["# why\na: 1 # one\n"]));
    assert_eq!(texts("# why\n\n---\na: 1"), some(&["# why\n\na: 1"]));
    let three = "# first\na: 1\n# its end\n---\n# nothing\n---\r\n# second\r\nb: 2\r\n--- {c: 3} # third\n";
    let parts = ["# first\na: 1\n# its end\n", "# second\r\nb: 2\r\n", "--- {c: 3} # third\n"];
    assert_eq!(texts(three), some(&parts));
    assert_eq!(texts("a: |\n  x\n  ---\n---\nb: 2\n...\n"), some(&["a: |\n  x\n  ---\n", "b: 2\n...\n"]));
    // A document that needs what stands above its start has no text of its own.
    assert_eq!(texts("a: 1\n...\n%YAML 1.2\n---\nb: 2\n"), [None, Some("b: 2\n".to_owned())]);
    // JSON has no comments, and what is too large is kept by nobody.
    assert_eq!(texts("{\"a\": [1]}"), [None]);
    assert_eq!(texts("{a: [1]} # flow"), some(&["{a: [1]} # flow"]));
    let large = format!("a: 1\n# {}\n---\nb: 2\n", "x".repeat(Limits::default().resource_text_bytes));
    assert_eq!(texts(&large), [None, Some("b: 2\n".to_owned())]);
}

proptest! {
    /// Whatever a text is said to be says what its document says.
    #[test]
    fn a_text_reads_back_as_its_document(lines in prop::collection::vec(prop::sample::select(vec![
        "a: 1", "b: [2]", "---", "--- # x", "--- {c: 3}", "...", "# comment", "", "- 4", "d: |", "  ---", "  e: 5", "%YAML 1.2",
        "f: &x {g: 6}", "h: *x", "\t", "i: 7\r", "j: 'a", "k'",
    ]), 0..12)) {
        let file = lines.join("\n");
        if let Ok(documents) = read("f", file.as_bytes(), &Limits::default()) {
            for document in documents {
                if let Some(text) = document.text {
                    let again = read("t", text.as_bytes(), &Limits::default()).unwrap();
                    prop_assert_eq!(again.len(), 1);
                    prop_assert_eq!(&again[0].value, &document.value);
                }
            }
        }
    }
}

#[test]
fn several_documents_and_json_are_read() {
    assert_eq!(values("# nothing\n---\na: 1\n---\n---\n- 2\n...\n"), [json!({"a": 1}), json!([2])]);
    assert_eq!(values("{\"a\": [1, {\"b\":\"c\"}],\n\t\"d\": null}"), [json!({"a": [1, {"b": "c"}], "d": null})]);
    assert_eq!(values("{\"a\": \"\\ud83d\\ude00\"}"), [json!({"a": "😀"})]);
    assert_eq!(values("\u{feff}a: 1"), [json!({"a": 1})]);
    assert_eq!(values(""), Vec::<Value>::new());
    assert_eq!(values("a: &x {b: 1}\nc: *x\n"), [json!({"a": {"b": 1}, "c": {"b": 1}})]);
}

#[test]
fn every_key_and_value_knows_its_place() {
    let text = "kind: Pipeline\nspec:\n  steps:\n    - {id: keep, when: '.kind != \"x\"'}\n    - id: anonymise\n      program: |\n        .a = 1\n\n        .b = oops(\n";
    let document = read("p.yaml", text.as_bytes(), &Limits::default()).unwrap().remove(0);
    let origin = Origin::file("p.yaml", "Pipeline/enrich", document.marks);
    let show = |place: headwater_base::Place| place.to_string();
    assert_eq!(show(origin.place("/kind")), "p.yaml:1:7");
    assert_eq!(show(origin.key_place("/spec/steps")), "p.yaml:3:3");
    assert_eq!(show(origin.place("/spec/steps/0/id")), "p.yaml:4:12");
    assert_eq!(show(origin.key_place("/spec/steps/0/when")), "p.yaml:4:18");
    assert_eq!(show(origin.inside("/spec/steps/0/when", 1, 7)), "p.yaml:4:31");
    assert_eq!(show(origin.inside("/spec/steps/1/program", 1, 1)), "p.yaml:7:9");
    assert_eq!(show(origin.inside("/spec/steps/1/program", 3, 6)), "p.yaml:9:14");
    let blank = "a: |2\n\n     x\n    y\n";
    let document = read("p.yaml", blank.as_bytes(), &Limits::default()).unwrap().remove(0);
    assert_eq!(document.value["a"], "\n   x\n  y\n");
    let blank = Origin::file("p.yaml", "", document.marks);
    assert_eq!(show(blank.inside("/a", 2, 4)), "p.yaml:3:6");
    assert_eq!(show(blank.inside("/a", 3, 3)), "p.yaml:4:5");
    // What was not written stands where it is missing.
    assert_eq!(show(origin.place("/spec/steps/1/when/x")), "p.yaml:5:7");
    assert_eq!(
        show(Origin::resource("Pipeline/enrich").place("/spec/steps/1/when")),
        "Pipeline/enrich: spec.steps[1].when"
    );
}

#[test]
fn what_hides_meaning_or_json_cannot_say_is_refused_all_of_it() {
    problems(
        "a: 1\nb:\n  c: 1\n  c: 2\nd: .nan\ne: 99999999999999999999999\n<<: {x: 1}\n",
        expect![[r#"
            error[HW-KERNEL-003]: the key `b.c` is written twice
              --> f.yaml:4:3
            help: the first one is on line 3
            error[HW-KERNEL-004]: the number `.nan` cannot be kept as JSON
              --> f.yaml:5:4
            help: write a finite number
            error[HW-KERNEL-004]: the number `99999999999999999999999` does not fit 64 bits
              --> f.yaml:6:4
            help: put it in quotes to keep it as a text
            error[HW-KERNEL-004]: merge keys (`<<`) are not supported
              --> f.yaml:7:1
            help: write the keys out, or name the whole value with an anchor"#]],
    );
    problems(
        "a: !env HOME\n",
        expect![[r#"
            error[HW-KERNEL-004]: the tag `!env` is not supported
              --> f.yaml:1:4
            help: write the value without a tag"#]],
    );
    problems(
        "? [a, b]\n: 1\n",
        expect![[r#"
            error[HW-KERNEL-004]: a key is a text, not a list or a mapping
              --> f.yaml:1:3
            help: write plain keys and values, as in JSON"#]],
    );
}

#[test]
fn syntax_errors_say_where() {
    problems(
        "a:\n\tb: 1\n",
        expect![[r#"
        error[HW-KERNEL-001]: this is not YAML: tabs disallowed within this context (block indentation)
          --> f.yaml:2:2
        help: indent with spaces; YAML allows no tabs there"#]],
    );
    problems(
        "a: [1, 2\nb: 3\n",
        expect![[r#"
        error[HW-KERNEL-001]: this is not YAML: illegal placement of ':' indicator
          --> f.yaml:2:2"#]],
    );
    problems(
        "a: 'x\n",
        expect![[r#"
        error[HW-KERNEL-001]: this is not YAML: while scanning a quoted scalar, found unexpected end of stream
          --> f.yaml:1:4"#]],
    );
}

#[test]
fn bombs_are_refused_early() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..20 {
        let before = n - 1;
        laughs.push_str(&format!(
            "a{n}: &a{n} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}, *a{before}, *a{before}]\n"
        ));
    }
    let problem = read("f.yaml", laughs.as_bytes(), &Limits::default()).unwrap_err().remove(0);
    assert_eq!(problem.code, "HW-KERNEL-002");
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let problem = read("f.yaml", deep.as_bytes(), &Limits::default()).unwrap_err().remove(0);
    assert_eq!(problem.code, "HW-KERNEL-002");
    assert!(read("f.yaml", "[".repeat(500_000).as_bytes(), &Limits::default()).is_err());
    assert!(read("f.yaml", "{a: ".repeat(100_000).as_bytes(), &Limits::default()).is_err());
    // Each value's place names every key above it; only a key behind `?` may be long.
    let long = format!("? {}\n: [{}]\n", "k".repeat(16 * 1024), "1,".repeat(20_000));
    let problem = read("f.yaml", long.as_bytes(), &Limits::default()).unwrap_err().remove(0);
    assert_eq!(problem.code, "HW-KERNEL-002");
    // A file is cut into its lines once, however many documents it has.
    let many = "a\n---\n".repeat(50_000);
    assert_eq!(read("f.yaml", many.as_bytes(), &Limits::default()).unwrap().len(), 50_000);
    let large = vec![b' '; Limits::default().resource_bytes + 1];
    let problem = read("f.yaml", &large, &Limits::default()).unwrap_err().remove(0);
    assert_eq!(problem.code, "HW-KERNEL-002");
    let problem = read("f.yaml", b"a: \xff\xfe\n", &Limits::default()).unwrap_err().remove(0);
    assert_eq!(problem.to_string().lines().nth(1), Some("  --> f.yaml:1:4"));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read("f.yaml", &bytes, &Limits::default());
    }

    #[test]
    fn no_yaml_like_text_panics(text in "[-a-c:{}\\[\\],&*!|>'\"%#?@ \t\n0-9.~<]{0,200}") {
        let _ = read("f.yaml", text.as_bytes(), &Limits::default());
    }

    #[test]
    fn json_reads_as_itself(value in tree()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let read = read("f.json", text.as_bytes(), &Limits::default()).unwrap();
        let values: Vec<Value> = read.into_iter().map(|document| document.value).collect();
        prop_assert_eq!(values, if value.is_null() { vec![] } else { vec![value] });
    }
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[ -~é😀\n\t]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-z~/. ]{1,6}", inner, 0..5)
                .prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}
