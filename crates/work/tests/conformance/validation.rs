//! Static validation: verdicts, diagnostics and the words of a rejection.

use headwater_work::definition::{Definition, rejection};
use headwater_work::{Flavor, Limits};
use serde_json::{Value, json};

use crate::compare::Matcher;

pub fn check(case: &Value) -> Result<(), String> {
    let flavor = if case["type"] == "EXPRESS" { Flavor::Express } else { Flavor::Standard };
    let text = case["definition_text"].as_str().unwrap();
    let result = Definition::parse(text, flavor, &Limits::default());
    let expect = &case["expect"];
    let mut matcher = Matcher::default();
    if let Some(references) = expect.get("variableReferences") {
        let definition = result.map_err(|diagnostics| diagnostics[0].to_string())?;
        return matcher.same(references, &json!(definition.variable_references()), "variableReferences");
    }
    let diagnostics = result.err().unwrap_or_default();
    if expect["rejected"] == true {
        if diagnostics.is_empty() {
            return Err("was accepted".to_owned());
        }
        return match expect.get("error") {
            None => Ok(()),
            Some(expected) => matcher.same(expected, &json!(rejection(&diagnostics)), "error"),
        };
    }
    let shown: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| {
            let mut shown = json!({"code": diagnostic.code, "message": diagnostic.message, "severity": "ERROR"});
            if let Some(location) = &diagnostic.location {
                shown["location"] = json!(location);
            }
            shown
        })
        .collect();
    let result = if shown.is_empty() { "OK" } else { "FAIL" };
    let actual = json!({"result": result, "diagnostics": shown, "truncated": false});
    matcher.same(expect, &actual, "validation")
}
