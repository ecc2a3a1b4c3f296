use super::*;

const EVENT: &str = r#" {"a": 1, "detail-type": "t", "detail": {"list": [ {"id": "x"}, 2, {"id": [3]}], "a.b": {"é\n": null}, "a": 5}, "a": {"b": true}} "#;

fn found(path: &str) -> Option<String> {
    let path = JsonPath::parse(path).unwrap();
    path.find(EVENT.as_bytes()).map(|text| String::from_utf8(text.into_owned()).unwrap())
}

#[test]
fn paths_lead_to_json_text() {
    for (path, text) in [
        ("$", Some(EVENT.trim())),
        ("$.detail-type", Some("\"t\"")),
        ("$['detail-type']", Some("\"t\"")),
        ("$.detail.list[0].id", Some("\"x\"")),
        ("$.detail.list[1]", Some("2")),
        ("$.detail.list[3]", None),
        ("$.detail.list[*].id", Some("[\"x\",[3]]")),
        ("$.detail.list.*.id[0]", Some("[3]")),
        ("$.detail[\"a.b\"]['é\n']", Some("null")),
        ("$.a.b", Some("true")),
        ("$.detail.nothing[*]", Some("[]")),
        ("$.detail.nothing.at.all", None),
        ("$.a.b.c", None),
    ] {
        assert_eq!(found(path).as_deref(), text, "{path}");
    }
}

#[test]
fn other_paths_are_refused() {
    for path in
        ["", "detail", "$detail", "$.", "$..a", "$.a[", "$.a[]", "$.a[x]", "$.a['b]", "$.a[-1]", "$.a[0", "$.a b[0]x"]
    {
        let problem = JsonPath::parse(path).unwrap_err();
        assert_eq!(problem.code, "HW-PATTERN-020", "{path}");
    }
}

#[test]
fn broken_events_lead_nowhere() {
    for event in ["", "{", "{\"detail\"", "{\"detail\":", "[1", "{\"detail\":{\"list\":[{]", "null"] {
        let path = JsonPath::parse("$.detail.list[0].id").unwrap();
        assert_eq!(path.find(event.as_bytes()), None, "{event}");
    }
}
