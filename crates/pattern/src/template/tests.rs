use super::*;

const EVENT: &str = r#"{"id": "1", "detail-type": "t\"q", "detail": {"list": ["A", "B \" \\"], "empty": "", "number": 1.50, "none": null, "inside": {"a": [1, true]}}}"#;

fn render(template: &str) -> Result<String, String> {
    let paths = [
        "type:detail-type",
        "list:detail.list",
        "empty:detail.empty",
        "number:detail.number",
        "none:detail.none",
        "inside:detail.inside",
        "missing:detail.missing",
    ];
    let paths = paths.iter().map(|pair| pair.split_once(':').unwrap());
    let paths = paths.map(|(name, path)| (name.to_owned(), format!("$.{path}"))).collect();
    let context = Context { rule_arn: "arn:rule", rule_name: "a \"rule\"", ingestion_time: "2026-11-23T00:00:00Z" };
    let template = Template::parse(template, &paths, "target").map_err(|problem| problem.title)?;
    template
        .render(EVENT.as_bytes(), &context)
        .map(|text| String::from_utf8(text).unwrap())
        .map_err(|problem| problem.code)
}

fn check(template: &str, rendered: &str) {
    assert_eq!(render(template).as_deref(), Ok(rendered), "{template}");
}

#[test]
fn outside_quotes_values_stay_json() {
    check("<type>", r#""t\"q""#);
    check(
        r#"{"l": <list>, "m": <missing>, "n": <none>, "x": <number>}"#,
        r#"{"l": ["A", "B \" \\"], "m": "", "n": null, "x": 1.50}"#,
    );
    check("[<inside>,<empty>]", r#"[{"a": [1, true]},""]"#);
}

#[test]
fn inside_quotes_values_become_text() {
    check(r#"{"t": "<type>/<missing><empty><number>-<none>"}"#, r#"{"t": "t\"q/1.50-null"}"#);
    check(r#""<list> and <inside>""#, r#""[A,B \" \\] and {a:[1,true]}""#);
    check("\"one <number>\"\n\"two <type>\"\n", "\"one 1.50\"\n\"two t\\\"q\"\n");
    assert_eq!(render(r#"{"l": "<list>"}"#), Err("HW-PATTERN-023".into()));
    assert_eq!(render("<list> trailing"), Err("HW-PATTERN-023".into()));
}

#[test]
fn predefined_variables() {
    check(r#"{"r": <aws.events.rule-arn>, "n": "<aws.events.rule-name>"}"#, r#"{"r": "arn:rule", "n": "a \"rule\""}"#);
    check("<aws.events.event>", r#"{"id":"1","detailType":"t\"q"}"#);
    check("<aws.events.event.json>", EVENT);
    check("<aws.events.event.ingestion-time>", r#""2026-11-23T00:00:00Z""#);
}

#[test]
fn only_names_are_variables() {
    check(r#"{"a": "1 < 2 > 1, <>, <a b>, \"<number>\""}"#, r#"{"a": "1 < 2 > 1, <>, <a b>, \"1.50\""}"#);
    assert_eq!(render("<numbr>"), Err("InputTemplate for target target contains invalid placeholder numbr.".into()));
}
