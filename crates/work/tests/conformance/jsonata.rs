//! The official JSONata suite, against the engine as states use it but for `$eval` and the service's functions.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_work::jsonata::{Answer, Place, Query, Stopped};
use headwater_work::{Chance, Limits};
use serde_json::{Map, Value};

pub fn datasets(folder: &Path) -> BTreeMap<String, Value> {
    let entries = std::fs::read_dir(folder.join("datasets")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    entries.map(read).collect()
}

/// Two cases whose text no strict JSON reader takes: the lone surrogate becomes a replacement character.
pub fn lone_surrogates(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("lone-surrogates.json")).unwrap();
    serde_json::from_str(&text.replace("\\ud800", "\\ufffd")).unwrap()
}

pub fn check(case: &Value, datasets: &BTreeMap<String, Value>) -> Result<(), String> {
    let dataset = case["dataset"].as_str().map(|name| &datasets[name]);
    let data = dataset.or_else(|| case.get("data"));
    let expect = &case["expect"];
    let actual = evaluate(case, data);
    if let Some(code) = expect["error"]["code"].as_str() {
        return match actual {
            Err(Stopped(message)) if message.contains(code) => Ok(()),
            // Our bounds have codes of the specification's newer version.
            Err(Stopped(message)) if code == "U1001" && message.contains("D101") => Ok(()),
            other => Err(format!("expected {code}, but was {other:?}")),
        };
    }
    match actual {
        Ok(Answer::Undefined) if expect["undefined"] == true => Ok(()),
        Ok(Answer::Value(value))
            if expect.get("result").is_some_and(|e| equal(e, &value, case["unordered"] == true)) =>
        {
            Ok(())
        }
        other => Err(format!("expected {expect}, but was {other:?}")),
    }
}

fn evaluate(case: &Value, data: Option<&Value>) -> Result<Answer, Stopped> {
    let bindings: Map<String, Value> = case["bindings"].as_object().cloned().unwrap_or_default();
    let limits = Limits {
        evaluation_ms_max: case["timelimit"].as_u64().unwrap_or(60_000),
        evaluation_depth_max: case["depth"].as_u64().map_or(10_000, |depth| depth as usize),
        sequence_items_max: 20_000_000,
        value_depth_max: 1_000,
        ..Limits::default()
    };
    let query = Query::parse(case["expr"].as_str().unwrap()).map_err(Stopped)?;
    query.evaluate(data, &bindings, &Place::Plain, &mut Chance::new([1; 32]), &limits)
}

fn equal(left: &Value, right: &Value, unordered: bool) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            left == right || (left - right).abs() <= left.abs() * 1e-15
        }
        (Value::Array(left), Value::Array(right)) if unordered => {
            let mut rest: Vec<&Value> = right.iter().collect();
            left.len() == right.len()
                && left.iter().all(|item| {
                    let at = rest.iter().position(|other| equal(item, other, false));
                    at.map(|at| rest.remove(at)).is_some()
                })
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right, false))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equal(left, right, false)))
        }
        _ => left == right,
    }
}
