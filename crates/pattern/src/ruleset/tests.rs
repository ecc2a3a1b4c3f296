use super::*;

fn set(patterns: &[&str]) -> RuleSet {
    let patterns: Vec<Pattern> = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    RuleSet::build(&patterns).unwrap()
}

fn check(patterns: &[&str], event: &str, rules: &[u32]) {
    assert_eq!(set(patterns).matches(event.as_bytes(), &mut Scratch::default()).unwrap(), rules, "{event}");
}

#[test]
fn the_changed_item_of_the_article_passes_once() {
    let filter = r#"{"dynamodb":{"NewImage":{"status":{"S":["COMPLETE"]},"totalCost":{"S":[{"exists":false}]}}}}"#;
    check(&[filter], r#"{"dynamodb": {"NewImage": {"status": {"S": "COMPLETE"}}}}"#, &[0]);
    check(&[filter], r#"{"dynamodb": {"NewImage": {"status": {"S": "COMPLETE"}, "totalCost": {"S": "1.20"}}}}"#, &[]);
    check(&[filter], r#"{"dynamodb": {"NewImage": {"status": {"S": "RUNNING"}}}}"#, &[]);
}

#[test]
fn fields_of_one_rule_meet_in_one_element() {
    let rules = [
        r#"{"items": {"kind": ["a"], "size": [2]}}"#,
        r#"{"items": {"kind": ["b"], "size": [2]}}"#,
        r#"{"items": {"kind": ["a"]}, "tags": ["x"]}"#,
        r#"{"items": {"kind": ["a"], "price": [{"exists": false}]}}"#,
        r#"{"items": {"price": [5], "size": [{"exists": false}]}}"#,
    ];
    let event = r#"{"tags": ["y", "x"], "items": [{"kind": "a", "size": 1}, {"kind": "b", "size": 2, "price": 5}]}"#;
    check(&rules, event, &[1, 2, 3]);
}

#[test]
fn of_equal_keys_the_last_counts() {
    let rules = [r#"{"a": {"b": [1]}}"#, r#"{"a": {"b": [2]}}"#, r#"{"a": {"c": [{"exists": true}]}}"#];
    check(&rules, r#"{"a": {"b": 1, "c": 1}, "a": {"b": 2}}"#, &[1]);
    check(&rules, r#"{"a": {"b": 1, "b": 2, "b": [1]}}"#, &[0]);
    check(&rules, r#"{"a.b": 2, "a": {"b": 3}, "a.b": 1}"#, &[0]);
    check(&rules, r#"{"a.b": 2, "a": {"b": 1}}"#, &[0, 1]);
}

#[test]
fn events_that_cannot_be_read_are_refused() {
    let set = set(&[r#"{"a": {"b": [1]}}"#]);
    let code = |event: &str| match set.matches(event.as_bytes(), &mut Scratch::default()) {
        Ok(rules) => Ok(rules.to_vec()),
        Err(problem) => Err(problem.code),
    };
    for event in [
        "",
        "[]",
        "1",
        "{",
        "{\"a\"}",
        "{\"a\": {\"b\": 01}}",
        "{\"a\": nul}",
        "{\"x\": [1}",
        "{} {}",
        "{\"a\":{\"b\":\"\\q\"}}",
    ] {
        assert_eq!(code(event), Err("HW-PATTERN-010".to_owned()), "{event}");
    }
    let deep = format!("{{\"a\": {}1{}}}", "[".repeat(1_000), "]".repeat(1_000));
    assert_eq!(code(&deep), Err("HW-PATTERN-011".to_owned()));
    let elsewhere = format!("{{\"x\": {}1{}, \"a\": {{\"b\": 1}}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(code(&elsewhere).as_deref(), Ok([0].as_slice()));
}

/// Large arrays: sibling arrays are searched one after the other, elements of one array once.
#[test]
fn array_search_is_linear_where_it_can_be() {
    let items = |name: &str, field: &str, count: usize| -> String {
        let items: Vec<String> = (0..count).map(|at| format!("{{\"{field}\": 1, \"n\": {at}}}")).collect();
        format!("\"{name}\": [{}]", items.join(","))
    };
    let arrays: Vec<String> = ["a", "b", "c", "d"].iter().map(|name| items(name, "x", 5_000)).collect();
    let event = format!("{{{}}}", arrays.join(","));
    let wanted = |n: i64| {
        let fields: Vec<String> = ["a", "b", "c"].iter().map(|name| format!("\"{name}\": {{\"x\": [1]}}")).collect();
        format!(
            "{{{}, \"d\": {{\"n\": [{n}], \"x\": [1]}}, \"e\": [{{\"exists\": false}}], \"d.x\": [1]}}",
            fields.join(",")
        )
    };
    let impossible = r#"{"a": {"x": [1]}, "b": {"x": [1]}, "c": {"x": [1]}, "d": {"n": [{"numeric": [">", 3000]}], "x": [1, 2], "z": [{"exists": false}, 5], "x.y": [{"exists": false}]}}"#;
    check(&[&wanted(4_999), &wanted(5_000), impossible], &event, &[0, 2]);
}

/// What no order of search makes small is cut off, with a code.
#[test]
fn hostile_arrays_are_cut_off() {
    let items: Vec<String> = (0..3_000).map(|at| format!("{{\"x\": 1, \"y\": {at}}}")).collect();
    let event = format!("{{\"a\": [{0}], \"b\": [{0}], \"c\": [{{\"z\": 1}}]}}", items.join(","));
    // Every pair of elements fails only at the very end, where a field must be missing.
    let rule = r#"{"a": {"x": [1]}, "b": {"x": [1]}, "c": {"z": [{"exists": false}]}, "b.y": [{"exists": true}]}"#;
    let set = set(&[rule]);
    let mut scratch = Scratch::default();
    let answer = set.matches(event.as_bytes(), &mut scratch);
    assert!(
        answer.as_ref().map_or_else(|problem| problem.code == "HW-PATTERN-012", |rules| rules.is_empty()),
        "{answer:?}"
    );
}

#[test]
fn an_empty_set_matches_nothing() {
    let empty = RuleSet::build([]).unwrap();
    assert!(empty.is_empty());
    assert_eq!(empty.matches(b"{\"a\": 1}", &mut Scratch::default()).unwrap(), [0_u32; 0]);
}

/// Buffers may serve one rule set after the other.
#[test]
fn scratch_belongs_to_no_rule_set() {
    let (small, large) =
        (set(&[r#"{"a": [1]}"#]), set(&[r#"{"b": [1]}"#, r#"{"a": [2]}"#, r#"{"a": [1], "c": [{"exists": false}]}"#]));
    let mut scratch = Scratch::default();
    for _ in 0..3 {
        assert_eq!(small.matches(br#"{"a": 1, "b": 1}"#, &mut scratch).unwrap(), [0]);
        assert_eq!(large.matches(br#"{"a": 1, "b": 1}"#, &mut scratch).unwrap(), [0, 2]);
    }
}

/// More look-ups than go through the table at once, most of them of keys that differ in field or kind only.
#[test]
fn values_of_one_event_find_their_rules_in_any_number() {
    let mut rules: Vec<String> = Vec::new();
    for id in 0..200 {
        rules.push(format!(r#"{{"a": ["{id:03}"]}}"#));
        rules.push(format!(r#"{{"a": ["{id:03}"], "b": ["{id:03}"]}}"#));
        rules.push(format!(r#"{{"b": [{{"prefix": "{id:03}"}}]}}"#));
        rules.push(format!(r#"{{"b": [{{"suffix": "{id:03}"}}, {{"wildcard": "{id:03}*x"}}]}}"#));
    }
    rules.extend((1..=100).map(|length| format!(r#"{{"c": [{{"prefix": "{}"}}]}}"#, "c".repeat(length))));
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let values: Vec<String> = (0..200).map(|id| format!("\"{id:03}\"")).collect();
    let all: Vec<u32> = (0..800).collect();
    check(&rules, &format!(r#"{{"a": [{0}], "b": [{0}]}}"#, values.join(",")), &all);
    check(&rules, r#"{"a": ["007", "007", 7], "b": "007x"}"#, &[28, 30, 31]);
    let prefixes: Vec<u32> = (800..864).collect();
    check(&rules, &format!(r#"{{"c": "{}"}}"#, "c".repeat(64)), &prefixes);
}
