//! The recorded behaviour of the service: event patterns and input transformers.
#![allow(clippy::unwrap_used)]

use headwater_pattern::{Context, Input, InputSpec, Pattern, RuleSet, Scratch, check_event, explain};
use headwater_testkit::Corpus;
use serde_json::Value;

#[test]
fn event_patterns() {
    let Some(corpus) = Corpus::open("event-patterns") else { return };
    corpus.judge(&corpus.cases(""), |case| {
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let answer = judge(text("pattern_text"), text("event_text"));
        let answer = match &answer {
            Ok(true) => "match",
            Ok(false) => "no-match",
            Err(first_line) if first_line == text("error") => "invalid",
            Err(first_line) => first_line,
        };
        if answer == text("expect") {
            return Ok(());
        }
        Err(format!("{answer}, recorded {} {}", text("expect"), text("error")))
    });
}

/// What a client that tests a pattern would be told.
fn judge(pattern: &str, event: &str) -> Result<bool, String> {
    let answer = check_event(event.as_bytes()).and_then(|()| {
        let pattern = Pattern::parse(pattern)?;
        let set = RuleSet::build([&pattern])?;
        let matched = !set.matches(event.as_bytes(), &mut Scratch::default())?.is_empty();
        let explained = explain(&pattern, event.as_bytes())?;
        assert_eq!(explained.matched, matched, "{explained:#?}");
        Ok(matched)
    });
    answer.map_err(|problem| problem.title)
}

/// All valid patterns of the corpus in one rule set answer as each of them alone.
#[test]
fn event_patterns_together() {
    let Some(corpus) = Corpus::open("event-patterns") else { return };
    let (mut patterns, mut rows) = (Vec::new(), Vec::new());
    for case in corpus.cases("") {
        if case["expect"] != "invalid" {
            patterns.push(Pattern::parse(case["pattern_text"].as_str().unwrap()).unwrap());
            rows.push(case);
        }
    }
    let set = RuleSet::build(&patterns).unwrap();
    let mut scratch = Scratch::default();
    for (number, row) in rows.iter().enumerate() {
        let event = row["event_text"].as_str().unwrap().as_bytes();
        let together = set.matches(event, &mut scratch).unwrap().to_vec();
        assert_eq!(together.contains(&(number as u32)), row["expect"] == "match", "{}", row["id"]);
        let mut alone = Vec::new();
        for (number, pattern) in patterns.iter().enumerate() {
            let one = RuleSet::build([pattern]).unwrap();
            if !one.matches(event, &mut Scratch::default()).unwrap().is_empty() {
                alone.push(number as u32);
            }
        }
        assert_eq!(together, alone, "{}", row["id"]);
    }
}

#[test]
fn event_transformers() {
    if let Some(corpus) = Corpus::open("event-transformers") {
        corpus.judge(&corpus.cases(""), transform);
    }
}

fn transform(case: &Value) -> Result<(), String> {
    let text = |name: &str| case[name].as_str().map(str::to_owned);
    let spec = InputSpec {
        input: None,
        input_path: text("input_path"),
        input_template: text("input_template"),
        input_paths_map: serde_json::from_value(case["input_paths_map"].clone()).unwrap_or_default(),
    };
    let input = match (Input::parse(&spec, "<target-id>"), case["expect"]["rejected"]["error"].as_str()) {
        (Err(problem), Some(error)) if problem.title == error => return Ok(()),
        (Ok(input), None) => input,
        (other, recorded) => return Err(format!("{other:?}, recorded {recorded:?}")),
    };
    let context = Context {
        rule_arn: "arn:<partition>:events:<region>:111111111111:rule/<bus-name>/<rule-name>",
        rule_name: "<rule-name>",
        ingestion_time: "2022-07-13T13:48:01Z",
    };
    let mut delivered = Vec::new();
    for event in case["events"].as_array().into_iter().flatten() {
        if let Ok(body) = input.render(event.to_string().as_bytes(), &context) {
            delivered.push(String::from_utf8(body.into_owned()).unwrap());
        }
    }
    let recorded = case["expect"]["delivered"].as_array().unwrap();
    let same = delivered.len() == recorded.len()
        && delivered.iter().zip(recorded).all(|(body, recorded)| {
            // Objects are recorded parsed, other JSON as its text.
            let body = if body.starts_with('{') { serde_json::from_str(body).unwrap() } else { Value::from(&**body) };
            alike(&body, recorded)
        });
    if same { Ok(()) } else { Err(format!("{delivered:?}, recorded {recorded:?}")) }
}

/// Equality but for what the recording replaced by placeholders, which stand for any text.
fn alike(ours: &Value, recorded: &Value) -> bool {
    const EVENT_TIME: &str = "2022-07-13T13:48:01Z";
    match (ours, recorded) {
        (Value::Object(ours), Value::Object(recorded)) => {
            ours.len() == recorded.len()
                && ours.iter().all(|(key, value)| recorded.get(key).is_some_and(|recorded| alike(value, recorded)))
        }
        (Value::String(ours), Value::String(recorded)) => {
            recorded.starts_with("<uuid:")
                || (recorded == "<region>" && ours == "us-east-1")
                || (recorded == "<ingestion-time>" && ours == EVENT_TIME)
                || ours.replace(EVENT_TIME, "date") == *recorded
        }
        _ => ours == recorded,
    }
}
