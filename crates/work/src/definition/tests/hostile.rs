//! Definitions that somebody broke: each is read or refused with diagnostics, and what is read runs without a panic
//! until it waits or ends.

use headwater_base::Micros;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::execution::{Begin, Event, Execution, Given, Identity, Status};

/// A definition with every kind of state and field.
fn whole() -> Value {
    let task = "arn:aws:states:::http:invoke.waitForTaskToken";
    json!({"Comment": "all", "StartAt": "P", "TimeoutSeconds": 60, "States": {
        "P": {"Type": "Pass", "Parameters": {"a.$": "$.a", "b.$": "States.Format('{}', $.b)"}, "ResultPath": "$.p", "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"And": [{"Variable": "$.p.a", "IsNumeric": true}, {"Not": {"Variable": "$.p.b", "StringMatches": "x*"}}], "Next": "M"}], "Default": "W"},
        "W": {"Type": "Wait", "SecondsPath": "$.a", "Next": "T"},
        "T": {"Type": "Task", "Resource": task, "TimeoutSeconds": 9, "HeartbeatSeconds": 3, "Assign": {"v.$": "$"},
            "Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "JitterStrategy": "FULL"}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "F"}], "Next": "S"},
        "M": {"Type": "Map", "QueryLanguage": "JSONata", "Items": "{% $states.input.list %}", "MaxConcurrency": 2,
            "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "Output": "{% $states.context.Map.Item.Index %}", "QueryLanguage": "JSONata", "End": true}}}, "Next": "L"},
        "L": {"Type": "Parallel", "Branches": [{"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}], "ResultSelector": {"r.$": "$[0]"}, "Next": "D"},
        "D": {"Type": "Map", "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}, "StartAt": "X", "States": {"X": {"Type": "Pass", "End": true}}},
            "ItemsPath": "$.r", "ItemBatcher": {"MaxItemsPerBatch": 2}, "ToleratedFailurePercentage": 5, "End": true},
        "S": {"Type": "Succeed", "OutputPath": "$.a"},
        "F": {"Type": "Fail", "ErrorPath": "$.Error", "Cause": "broken"},
    }})
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "$",
            "$.a",
            "$$",
            "{% $ %}",
            "{% 1 %}",
            "P",
            "Pass",
            "JSONata",
            "",
            "States.UUID()",
            "$[?(@.a)]",
            "NONE"
        ])
        .prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((".{0,4}", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Puts `with` in place of one of the values inside, or takes it away.
fn broken(value: &mut Value, at: &mut usize, with: &Option<Value>) -> bool {
    match value {
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                if *at == 0 {
                    match with {
                        Some(with) => drop(fields.insert(name, with.clone())),
                        None => drop(fields.shift_remove(&name)),
                    }
                    return true;
                }
                *at -= 1;
                if fields.get_mut(&name).is_some_and(|inner| broken(inner, at, with)) {
                    return true;
                }
            }
            false
        }
        Value::Array(items) => items.iter_mut().any(|item| broken(item, at, with)),
        _ => false,
    }
}

fn run(definition: &Definition, input: &Value) {
    let limits = Limits { entries_per_step_max: 20, history_events_max: 200, ..Limits::default() };
    let given = Given { now: Micros(0), seed: [3; 32], token: &|attempt| format!("{attempt:?}"), limits: &limits };
    let begin =
        Begin { identity: Identity::default(), flavor: Flavor::Standard, machine: 0, input: input.clone(), item: None };
    let Ok((mut execution, mut step)) = Execution::start(definition, begin, &given) else { return };
    while step.more && execution.status == Status::Running {
        step = execution.step(definition, Event::Continue, &given).unwrap();
    }
}

proptest! {
    #[test]
    fn a_broken_definition_is_read_or_refused(at in 0_usize..140, with in prop::option::of(any_json()), input in any_json()) {
        let mut definition = whole();
        broken(&mut definition, &mut at.clone(), &with);
        if let Ok(definition) = Definition::parse(&definition.to_string(), Flavor::Standard, &Limits::default()) {
            run(&definition, &input);
            run(&definition, &json!({"a": 1, "b": "y", "list": [1, {"k": 2}]}));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        let _ = Definition::parse(&text, Flavor::Express, &Limits::default());
    }
}

#[test]
fn the_unbroken_one_is_read_and_runs() {
    let definition = Definition::parse(&whole().to_string(), Flavor::Standard, &Limits::default());
    run(&definition.unwrap(), &json!({"a": 1, "b": "y", "list": [1]}));
}
