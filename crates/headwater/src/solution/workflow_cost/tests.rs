//! The state machine over tables in memory: what it asks, what it writes, and that nothing it writes starts it again.

use std::collections::BTreeMap;

use headwater_base::{Limits, Micros};
use headwater_cost::functions;
use headwater_kernel::yaml;
use headwater_pattern::{Pattern, RuleSet, Scratch};
use headwater_work::Flavor;
use headwater_work::definition::Definition;
use headwater_work::execution::{
    Attempt, Begin, Effect, Event, Execution, Failure, Given, Identity, StartTask, Status, Timer,
};
use serde_json::{Value, json};

use crate::solution::package::{self, Settings};

/// The resources of the solution, by kind and name.
fn resources() -> BTreeMap<String, Value> {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { folder: folder.path().to_path_buf(), values: BTreeMap::new() };
    let files = package::find("workflow-cost").unwrap().resources(&settings).unwrap();
    let documents =
        files.iter().flat_map(|file| yaml::read(&file.name, file.text.as_bytes(), &Limits::default()).unwrap());
    let name =
        |value: &Value| format!("{}/{}", value["kind"].as_str().unwrap(), value["metadata"]["name"].as_str().unwrap());
    documents.map(|document| (name(&document.value), document.value)).collect()
}

/// Tables in memory, each by key.
#[derive(Default)]
struct Tables(BTreeMap<(String, String), Value>);

impl Tables {
    fn call(&mut self, task: &StartTask, updates: &mut Vec<Value>) -> Result<Value, Failure> {
        let headwater_work::definition::Resource::Service(service) = &task.resource else { panic!("{task:?}") };
        let parameters = &task.parameters;
        let text = |name: &str| parameters[name].as_str().unwrap().to_owned();
        match (service.name.as_str(), service.verb.as_str()) {
            ("table", "get") => {
                let (table, key) = (text("Table"), text("Key"));
                let found = self.0.get(&(table, key.clone()));
                Ok(json!({ "Key": key, "Version": u64::from(found.is_some()), "Document": found }))
            }
            ("table", "update") => {
                let document = self.0.entry((text("Table"), text("Key"))).or_insert_with(|| json!({}));
                let expression = text("UpdateExpression");
                for part in expression.strip_prefix("SET ").unwrap().split(',') {
                    let (field, value) = part.split_once('=').unwrap();
                    let value =
                        parameters["ExpressionAttributeValues"].get(value.trim()).unwrap_or_else(|| panic!("{value}"));
                    document[field.trim()] = value.clone();
                }
                updates.push(document.clone());
                Ok(json!({ "Key": text("Key") }))
            }
            ("lambda", "invoke") => {
                let function = match text("FunctionName").as_str() {
                    "collect-resources" => functions::collect_resources,
                    "price-run" => functions::price_run,
                    other => panic!("{other}"),
                };
                let failed = |problem: headwater_base::Problem| Failure {
                    error: Some(problem.code.clone()),
                    cause: Some(problem.to_string()),
                };
                function(&parameters["Payload"])
                    .map(|answer| json!({ "Payload": answer, "StatusCode": 200 }))
                    .map_err(failed)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Runs the machine to its end; answers every document it wrote, and how long it waited.
fn run(tables: &mut Tables, mut when_waiting: impl FnMut(&mut Tables)) -> (Vec<Value>, Micros) {
    let resources = resources();
    let text = resources["Workflow/price-launch"]["spec"]["definition"].to_string();
    let limits = headwater_work::Limits::default();
    let definition = Definition::parse(&text, Flavor::Standard, &limits).unwrap_or_else(|found| panic!("{found:?}"));
    let begin = Begin {
        identity: Identity::default(),
        flavor: Flavor::Standard,
        machine: 0,
        input: json!({ "id": "r" }),
        item: None,
    };
    let token = |_: &Attempt| "token".to_owned();
    let mut now = Micros::parse_rfc3339("2026-12-01T00:00:00Z").unwrap();
    let given = |now: Micros| Given { now, seed: [0; 32], token: &token, limits: &limits };
    let (mut execution, step) = Execution::start(&definition, begin, &given(now)).unwrap();
    let mut updates = Vec::new();
    let mut timers: BTreeMap<Timer, Micros> = BTreeMap::new();
    let mut effects = step.effects;
    let mut events = Vec::new();
    loop {
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::StartTask(task) => events.push(match tables.call(&task, &mut updates) {
                    Ok(output) => Event::TaskSucceeded { attempt: task.attempt, output },
                    Err(failure) => Event::TaskFailed { attempt: task.attempt, failure },
                }),
                Effect::SetTimer { timer, due } => drop(timers.insert(timer, due)),
                Effect::ClearTimer(timer) => drop(timers.remove(&timer)),
                _ => {}
            }
        }
        if execution.status != Status::Running {
            assert_eq!(
                format!("{:?}", execution.status).split('(').next(),
                Some("Succeeded"),
                "{:?}",
                execution.status
            );
            return (updates, now);
        }
        let event = if events.is_empty() {
            let (timer, due) = timers.pop_first().unwrap();
            when_waiting(tables);
            now = due;
            Event::Timer(timer)
        } else {
            events.remove(0)
        };
        effects = execution.step(&definition, event, &given(now)).unwrap().effects;
    }
}

/// The tables with one launch, its usage and its prices, less the tables that are named.
fn tables(without: &[&str]) -> Tables {
    let run = json!({
        "id": "r", "started": "2026-11-01T09:00:00Z", "ended": "2026-11-01T10:00:00Z", "account": "research",
        "instances": [{"id": "m", "type": "c5.large", "region": "us-east-1"}], "jobs": []
    });
    let price = json!({
        "resource": "instance", "purchase": "on_demand", "type": "c5.large", "place": "us-east-1", "platform": "linux",
        "unit": "hour", "currency": "USD", "as_of": "2026-11-02T00:00:00Z",
        "points": [{"from": "2026-01-01T00:00:00Z", "price": "0.085"}]
    });
    let rule = json!({"account": "research", "percent": "20"});
    let all = [
        ("launches", "r", json!({"id": "r", "status": "COMPLETE"})),
        ("usage", "r", run),
        ("prices", "instance:on_demand:c5.large:us-east-1:linux:hour:USD", price),
        ("discounts", "research", json!({"account": "research", "rules": [rule]})),
    ];
    let kept = all.into_iter().filter(|(table, ..)| !without.contains(table));
    Tables(kept.map(|(table, key, document)| ((table.to_owned(), key.to_owned()), document)).collect())
}

/// Whether a change to this document starts the machine.
fn starts(document: &Value) -> bool {
    let resources = resources();
    let filters: Vec<Pattern> = ["complete", "failed"]
        .iter()
        .map(|word| {
            let filter = &resources[&format!("Pipe/price-{word}-launches")]["spec"]["filter"][0];
            Pattern::parse(&filter.to_string()).unwrap()
        })
        .collect();
    let rules = RuleSet::build(&filters).unwrap();
    let fields = document.as_object().unwrap().iter();
    let image: serde_json::Map<String, Value> =
        fields.filter_map(|(name, value)| Some((name.clone(), json!({ "S": value.as_str()? })))).collect();
    let event = json!({"eventName": "MODIFY", "dynamodb": {"NewImage": image}}).to_string();
    !rules.matches(event.as_bytes(), &mut Scratch::default()).unwrap().is_empty()
}

#[test]
fn a_launch_is_priced_and_what_is_written_does_not_start_it_again() {
    assert!(starts(&json!({"id": "r", "status": "COMPLETE"})));
    assert!(starts(&json!({"id": "r", "status": "FAILED"})));
    assert!(!starts(&json!({"id": "r", "status": "RUNNING"})));
    let (updates, _) = run(&mut tables(&[]), |_| {});
    let [launch] = &updates[..] else { panic!("{updates:?}") };
    for name in ["totalCost", "total_cost", "instance_cost"] {
        assert_eq!(launch[name], "0.068", "{name}");
    }
    assert_eq!(
        (&launch["volume_cost"], &launch["cost_status"], &launch["status"]),
        (&json!("0.00"), &json!("priced"), &json!("COMPLETE"))
    );
    assert!(!starts(launch));
}

#[test]
fn usage_that_comes_late_is_waited_for() {
    let mut waits = 0;
    let (updates, ended) = run(&mut tables(&["usage"]), |there| {
        waits += 1;
        if waits == 3 {
            *there = tables(&[]);
        }
    });
    assert_eq!(
        updates.iter().map(|update| update["cost_status"].as_str().unwrap()).collect::<Vec<_>>(),
        ["pending", "pending", "pending", "priced"]
    );
    assert_eq!(ended.to_string(), "2026-12-01T00:15:00Z");
    assert!(updates.iter().all(|update| !starts(update) || update["totalCost"].is_null()), "{updates:?}");
    assert!(updates.iter().all(|update| !update["totalCost"].is_null()));
}

#[test]
fn without_a_price_the_total_is_unknown_and_never_nothing() {
    let (updates, _) = run(&mut tables(&["prices"]), |_| {});
    let [launch] = &updates[..] else { panic!("{updates:?}") };
    assert_eq!((&launch["totalCost"], &launch["cost_status"]), (&json!("unknown"), &json!("unknown")));
    assert!(launch["reasons"][0].as_str().unwrap().contains("c5.large"), "{launch}");
    assert!(!starts(launch));
}

#[test]
fn usage_that_cannot_be_read_is_said() {
    let mut there = tables(&[]);
    there.0.insert(("usage".to_owned(), "r".to_owned()), json!({"id": "r", "jobs": [], "started": "yesterday"}));
    let (updates, _) = run(&mut there, |_| {});
    assert_eq!(updates[0]["totalCost"], "unknown");
    assert!(updates[0]["reasons"][0].as_str().unwrap().contains("HW-COST-001"), "{updates:?}");
}
