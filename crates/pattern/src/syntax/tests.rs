use super::*;

fn refused(text: &str) -> Problem {
    Pattern::parse(text).expect_err(text)
}

#[test]
fn a_rejection_names_code_reason_and_place() {
    let problem = refused("{\n  \"é\": [1, {\"prefix\": 5}]\n}");
    assert_eq!(problem.code, "HW-PATTERN-003");
    assert_eq!(problem.title, "Event pattern is not valid. Reason: prefix match pattern must be a string");
    let place = problem.place.unwrap();
    assert_eq!((place.line, place.column), (2, 23));
}

#[test]
fn every_kind_of_rejection_has_its_code() {
    for (text, code, reason) in [
        ("", "001", "expected a JSON object"),
        ("{\"a\": [1", "001", "expected a comma or a closing bracket"),
        ("{\"a\": [01]}", "001", "expected a number"),
        ("{\"a\": [1]} x", "001", "expected the end"),
        ("[]", "002", "Filter is not an object"),
        ("{}", "002", "Empty objects are not allowed"),
        ("{\"a\": []}", "002", "Empty arrays are not allowed"),
        ("{\"a\": \"b\"}", "002", "\"a\" must be an object or an array"),
        ("{\"$or\": {}}", "002", "It must be an Array followed with $or."),
        ("{\"$or\": [{\"a\": [1]}]}", "002", "There must have at least 2 Objects in $or relationship."),
        ("{\"$or\": [1, 2]}", "002", "Only JSON object is allowed in array of $or relationship."),
        (
            "{\"$or\": [{\"prefix\": [1]}, {\"a\": [1]}]}",
            "002",
            "prefix is Ruler reserved fieldName which cannot be used inside $or.",
        ),
        ("{\"a\": [[1]]}", "003", "Match value must be String, number, true, false, or null"),
        ("{\"a\": [{}]}", "003", "Match expression name not found"),
        ("{\"a\": [{\"prefix\": \"a\", \"suffix\": \"b\"}]}", "003", "Only one key allowed in match expression"),
        ("{\"a\": [{\"numeric\": [\">\", 5, \"<\", 5]}]}", "003", "Bottom must be less than top"),
        ("{\"a\": [{\"numeric\": [\"=\", 1e400]}]}", "003", "Cannot compare number : 1e400"),
        ("{\"a\": [{\"exists\": null}]}", "003", "exists match pattern must be either true or false."),
        (
            "{\"a\": [{\"wildcard\": \"*a*b*a*b*a*b\"}]}",
            "004",
            "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a \
             wildcard character",
        ),
    ] {
        let problem = refused(text);
        let expected = format!("Event pattern is not valid. Reason: {reason}");
        assert_eq!((problem.code.as_str(), problem.title), (&*format!("HW-PATTERN-{code}"), expected), "{text}");
    }
}

#[test]
fn branches_multiply() {
    let pattern = Pattern::parse(
        r#"{"a": [1], "$or": [{"b": [1]}, {"c": [1]}], "d": {"$or": [{"e": [1]}, {"f": [1]}, {"a": [1], "$or": [{"g": [1]}, {"h": [1]}]}]}}"#,
    );
    let paths: Vec<String> =
        pattern.unwrap().branches.iter().map(|b| b.keys().map(|p| &**p).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(paths.len(), 8);
    assert_eq!(paths[0], "a b d.e");
    assert_eq!(paths[7], "a c d.a d.h");
}

#[test]
fn the_last_of_equal_paths_counts() {
    let pattern =
        Pattern::parse(r#"{"a": {"b": [1]}, "a": {"c": [2]}, "a.b": [3], "$or": [{"a": {"b": [4]}}, {"x": [1]}]}"#)
            .unwrap();
    let sources: Vec<_> = pattern.branches.iter().map(|branch| &*branch["a.b"].sources[0]).collect();
    assert_eq!(sources, ["4", "3"]);
    assert!(pattern.branches.iter().all(|branch| branch.contains_key("a.c")));
}

#[test]
fn limits() {
    let deep = format!("{}{}{}", "{\"a\":".repeat(100), "[1]", "}".repeat(100));
    let or = r#"{"a": [1]}, {"b": [1]}"#;
    let wide: Vec<String> = (0..11).map(|at| format!("\"{at}\": {{\"$or\": [{or}]}}")).collect();
    let many = format!("{{\"a\": [{}1]}}", "1,".repeat(limits::ALTERNATIVES_MAX));
    let fields: Vec<String> = (0..=limits::FIELDS_MAX).map(|at| format!("\"{at}\": [1]")).collect();
    let excluded = format!("{{\"a\": [{{\"anything-but\": [{}1]}}]}}", "1,".repeat(limits::ALTERNATIVES_MAX));
    for text in [deep, format!("{{{}}}", wide.join(",")), many, format!("{{{}}}", fields.join(",")), excluded] {
        assert_eq!(refused(&text).code, "HW-PATTERN-005");
    }
    assert_eq!(refused(&format!("{{\"{}\": [1]}}", "a".repeat(limits::PATTERN_BYTES_MAX))).code, "HW-PATTERN-005");
}
