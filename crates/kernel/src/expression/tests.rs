use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn expression(text: &str, values: Value) -> Expression {
    let names = [("#s".to_owned(), "status".to_owned()), ("#d".to_owned(), "a.b".to_owned())].into();
    let Value::Object(values) = values else { panic!("values are an object") };
    let values = values.iter().map(|(name, value)| (name.clone(), Exact::from(value))).collect();
    Expression { text: text.to_owned(), names, values }
}

fn document() -> Exact {
    let text = r#"{"status":"COMPLETE","cost":12.50,"big":12345678901234567890.1,"jobs":[{"n":1},{"n":2.0}],"tags":["a","b"],
        "a.b":1,"none":null,"ok":true,"size":7,"set":"x"}"#;
    Exact::read(text.as_bytes()).unwrap()
}

#[track_caller]
fn holds(text: &str) -> bool {
    let values =
        json!({ ":done": "COMPLETE", ":n": 12.5, ":zero": 0, ":list": ["a", "b"], ":job": {"n": 1.0}, ":t": "S" });
    match Condition::parse(&expression(text, values)) {
        Ok(condition) => condition.holds(Some(&document())),
        Err(problem) => panic!("{text}: {problem}"),
    }
}

#[test]
fn conditions_hold_as_in_dynamodb() {
    for text in [
        "#s = :done",
        "status = :done AND cost = :n",
        "cost = 12.500",
        "cost <> 1 and not cost = 1",
        "cost BETWEEN :zero AND :n AND ok = true",
        "big > 12345678901234567890 AND big < 12345678901234567891",
        "cost IN (1, :n)",
        "attribute_exists(jobs[1].n) AND attribute_not_exists(jobs[2])",
        "attribute_type(status, :t) AND attribute_type(cost, 'N') AND attribute_type(jobs, \"L\")",
        "attribute_type(none, 'NULL') AND none = null",
        "begins_with(status, 'COMP')",
        "contains(status, 'PLE') AND contains(tags, 'b') AND contains(jobs, :job)",
        "size(status) = 8 AND size(tags) = 2 AND size(jobs[0]) = 1 AND size = 7",
        "tags = :list",
        "jobs[0] = :job",
        "#d = 1",
        "set = 'x'",
        // Precedence: NOT before AND before OR.
        "cost = 1 AND cost = 2 OR ok = true",
        "NOT cost = 1 AND ok = true",
        "ok = true OR ok = true AND cost = 1",
        // What is not there is unequal to everything.
        "missing <> :zero",
        "NOT (missing = :zero)",
    ] {
        assert!(holds(text), "{text}");
    }
    for text in [
        "missing = :zero",
        "missing < :zero",
        "cost > 'a'",
        "cost = '12.5'",
        "ok > false",
        "(cost = 1 OR ok = true) AND cost = 1",
        "NOT (ok = true OR cost = 1)",
        "contains(cost, 1)",
        "begins_with(cost, '1')",
        "size(cost) > 0",
        "attribute_exists(jobs.n)",
        "cost BETWEEN 'a' AND 'z'",
    ] {
        assert!(!holds(text), "{text}");
    }
    let absent = Condition::parse(&expression("attribute_not_exists(id)", json!({}))).unwrap();
    assert!(absent.holds(None));
}

#[test]
fn a_text_that_is_no_condition_is_refused_with_its_place() {
    for (text, column, fact) in [
        ("", 1, "a field's name is expected, not the end"),
        ("cost", 5, "a comparison is expected, not the end"),
        ("cost = ", 8, "a field's name is expected, not the end"),
        ("cost = :x", 8, "the value `:x` is not given"),
        ("#x = 1", 1, "the name `#x` is not given"),
        ("cost = 1 extra", 10, "the end is expected, not `extra`"),
        ("(cost = 1", 10, "`)` is expected, not the end"),
        ("begins(cost, 'a')", 1, "there is no function `begins`"),
        ("cost BETWEEN 1 OR 2", 16, "`AND` is expected, not `OR`"),
        ("a[x] = 1", 3, "a number is expected, not `x`"),
        ("a = 'x", 5, "a text does not end"),
        ("a ! 1", 3, "`!` means nothing here"),
        ("a = if_not_exists(a, 1)", 5, "`if_not_exists` gives no value here"),
        ("attribute_type(a, 'X')", 22, "a type is one of S, SS, N, NS, B, BS, BOOL, NULL, L, M"),
    ] {
        let problem = Condition::parse(&expression(text, json!({}))).unwrap_err();
        assert_eq!((problem.code.as_str(), problem.title.as_str()), ("HW-KERNEL-032", fact), "{text}");
        assert_eq!(problem.place.unwrap().column, column, "{text}");
    }
    let deep = format!("{}a = 1", "NOT ".repeat(100));
    assert_eq!(Condition::parse(&expression(&deep, json!({}))).unwrap_err().title, "more than 64 levels");
    let lines = Condition::parse(&expression("a = 1 AND\n  b ! 2", json!({}))).unwrap_err();
    assert_eq!(lines.place.map(|place| (place.line, place.column)), Some((2, 5)));
}

#[track_caller]
fn updated(text: &str, before: &str) -> String {
    let values =
        json!({ ":one": 1, ":l": [9], ":o": {"x": 1}, ":e": [], ":gone": ["a"], ":all": ["a", "b"], ":s": "text" });
    let result = Update::parse(&expression(text, values))
        .and_then(|update| update.apply(&Exact::read(before.as_bytes()).unwrap()));
    match result {
        Ok(after) => after.to_string(),
        Err(problem) => format!("{}: {}", problem.code, problem.title),
    }
}

#[test]
fn updates_do_what_they_do_in_dynamodb() {
    for (text, before, after) in [
        ("SET a = :one, b.c = :s", r#"{"b":{}}"#, r#"{"b":{"c":"text"},"a":1}"#),
        ("SET a = b, b = a", r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
        ("set n = if_not_exists(n, 0) + :one", "{}", r#"{"n":1}"#),
        ("SET n = n - 0.01", r#"{"n":12345678901234567890.50}"#, r#"{"n":12345678901234567890.49}"#),
        ("SET l = list_append(if_not_exists(l, :e), :l)", "{}", r#"{"l":[9]}"#),
        ("SET l = list_append(:l, l)", r#"{"l":[1]}"#, r#"{"l":[9,1]}"#),
        ("SET l[1] = 7, l[9] = 9, l[8] = 8", r#"{"l":[1,2,3]}"#, r#"{"l":[1,7,3,8,9]}"#),
        ("REMOVE a, l[0], l[2], missing", r#"{"a":1,"l":[1,2,3,4]}"#, r#"{"l":[2,4]}"#),
        ("ADD n :one, m 2.5, s :all", r#"{"n":41,"s":["b"]}"#, r#"{"n":42,"s":["b","a"],"m":2.5}"#),
        ("DELETE s :gone, t :all, u :all", r#"{"s":["a","b"],"t":["b"]}"#, r#"{"s":["b"]}"#),
        ("SET #s = :s REMOVE x ADD n :one DELETE s :gone", r#"{"x":1}"#, r#"{"n":1,"status":"text"}"#),
        ("SET a = (if_not_exists(n, 1) + 1) - 5", "{}", r#"{"a":-3}"#),
        ("SET a = size(l)", r#"{"l":[1,2]}"#, r#"{"l":[1,2],"a":2}"#),
        ("SET a = -1.5", "{}", r#"{"a":-1.5}"#),
        // What an update cannot do.
        ("SET a = missing", "{}", "HW-KERNEL-033: the document has no `missing`"),
        ("SET a.b = :one", "{}", "HW-KERNEL-033: there is nothing that `a.b` could be in"),
        ("REMOVE a.b", "{}", "HW-KERNEL-033: there is nothing that `a.b` could be in"),
        ("SET a = a + :s", r#"{"a":1}"#, "HW-KERNEL-033: `+` and `-` take numbers, not a `N` and a `S`"),
        ("ADD a :one", r#"{"a":"x"}"#, "HW-KERNEL-033: `ADD` of a `N` to `a`, which is a `S`"),
        ("DELETE a :gone", r#"{"a":1}"#, "HW-KERNEL-033: `DELETE` from `a`, which is a `N` and no list"),
        ("ADD n 1", r#"{"n":1e40}"#, "HW-KERNEL-033: a sum has more than 38 digits"),
        // What is no update.
        ("", "{}", "HW-KERNEL-032: `SET`, `REMOVE`, `ADD` or `DELETE` is expected, not the end"),
        ("SET a = :one SET b = :one", "{}", "HW-KERNEL-032: `SET` comes twice"),
        ("SET a = :one, a.b = :one", "{}", "HW-KERNEL-032: the paths `a` and `a.b` overlap"),
        ("SET a = :one REMOVE a", "{}", "HW-KERNEL-032: the paths `a` and `a` overlap"),
        (
            "SET a[0] = :one, a.b = :one",
            "{}",
            "HW-KERNEL-032: the paths `a[0]` and `a.b` conflict: one wants an object, the other a list",
        ),
        ("ADD a :s", "{}", "HW-KERNEL-032: `ADD` takes a number or a list, not a `S`"),
        ("SET a = contains(a, :s)", "{}", "HW-KERNEL-032: there is no function `contains` in an update"),
    ] {
        assert_eq!(updated(text, before), after, "{text}");
    }
}

#[test]
fn numbers_compare_by_value_however_long() {
    let ordered =
        ["-1e400", "-2", "-1.5", "-0.001", "0", "1e-400", "0.1", "0.10000000000000000000001", "1", "9", "10", "1e400"];
    for (at, a) in ordered.iter().enumerate() {
        for (place, b) in ordered.iter().enumerate() {
            assert_eq!(number::compare(a, b), at.cmp(&place), "{a} {b}");
        }
    }
    assert!(number::compare("1.0", "10e-1").is_eq() && number::compare("0", "-0.0").is_eq());
}

#[test]
fn a_sum_with_the_largest_exponent_is_written_with_it() {
    let largest = "1e9223372036854775807";
    assert_eq!(&*number::add("0", largest, false).unwrap(), largest);
    assert_eq!(&*number::add("0", "1e-9223372036854775808", true).unwrap(), "-1e-9223372036854775808");
}

/// Text names the same value as often as it has room for it.
#[test]
fn what_is_named_often_is_bounded() {
    let value = "x".repeat(1 << 20);
    let often = vec![":v"; 20].join(",");
    let condition = Condition::parse(&expression(&format!("a IN ({often})"), json!({":v": value})));
    assert_eq!(condition.map_err(|problem| problem.code), Err("HW-KERNEL-032".into()));
    let copies = (0..20).map(|at| format!("f{at} = list_append(a, a)")).collect::<Vec<_>>().join(",");
    let update = Update::parse(&expression(&format!("SET {copies}"), json!({}))).unwrap();
    let document = Exact::read(json!({"a": [value]}).to_string().as_bytes()).unwrap();
    assert_eq!(update.apply(&document).map_err(|problem| problem.code), Err("HW-KERNEL-033".into()));
}

#[test]
fn an_update_tells_the_parts_that_it_names() {
    let touched = |text: &str| {
        let update = Update::parse(&expression(text, json!({ ":one": 1 }))).unwrap();
        update.touched(&document()).to_string()
    };
    let some = touched("SET jobs[1].n = :one, #s = 'x' REMOVE missing, tags[7] ADD size 1");
    assert_eq!(some, r#"{"status":"COMPLETE","jobs":[{"n":2.0}],"size":7}"#);
    let whole = touched("SET tags = tags, #d = :one REMOVE jobs[0], jobs[1]");
    assert_eq!(whole, r#"{"jobs":[{"n":1},{"n":2.0}],"tags":["a","b"],"a.b":1}"#);
    assert_eq!(touched("SET cost.total = :one"), "{}");
}

proptest! {
    #[test]
    fn sums_are_exact(a in -1_000_000_000_000_i64..1_000_000_000_000, b in -1_000_000_000_000_i64..1_000_000_000_000, shift in 0_u32..12) {
        let shown = |n: i64| {
            let (whole, part) = (n.unsigned_abs() / 10_u64.pow(shift), n.unsigned_abs() % 10_u64.pow(shift));
            let sign = if n < 0 { "-" } else { "" };
            if shift == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part:0width$}", width = shift as usize) }
        };
        let sum = number::add(&shown(a), &shown(b), false).unwrap();
        prop_assert!(number::compare(&sum, &shown(a + b)).is_eq(), "{sum}");
        let difference = number::add(&shown(a), &shown(b), true).unwrap();
        prop_assert!(number::compare(&difference, &shown(a - b)).is_eq(), "{difference}");
        prop_assert!(headwater_wire::exact::is_number(&sum));
        prop_assert_eq!(number::compare(&shown(a), &shown(b)), a.cmp(&b));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in r#"((SET|REMOVE|ADD|DELETE|AND|OR|NOT|BETWEEN|IN|size\(|if_not_exists\(|contains\(|a|b|#s|:one|:l|\.|\[|\]|\(|\)|,|=|<>|<|\+|-|1|0|2e|'x'|"|é)[ ]?){0,14}"#) {
        let expression = expression(&text, json!({ ":one": 1, ":l": [1] }));
        let document = Exact::read(br#"{"a":[1,{"b":2}],"b":{"a":1},"status":"x"}"#).unwrap();
        if let Ok(condition) = Condition::parse(&expression) {
            condition.holds(Some(&document));
        }
        if let Ok(update) = Update::parse(&expression)
            && let Ok(after) = update.apply(&document)
        {
            prop_assert_eq!(Exact::read(after.to_string().as_bytes()).unwrap(), after);
        }
    }

    #[test]
    fn hostile_bytes_do_no_harm(text in "\\PC{0,40}") {
        let expression = expression(&text, json!({}));
        let _ = (Condition::parse(&expression), Update::parse(&expression));
    }
}
