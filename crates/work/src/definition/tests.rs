mod hostile;

use serde_json::{Value, json};

use super::*;

fn diagnostics(definition: &Value) -> String {
    match Definition::parse(&definition.to_string(), Flavor::Standard, &Limits::default()) {
        Ok(_) => String::new(),
        Err(diagnostics) => diagnostics.iter().map(|d| d.to_string() + "\n").collect(),
    }
}

fn check(states: Value, expected: &str) {
    let definition = json!({"StartAt": "A", "States": states});
    let found = diagnostics(&definition);
    let matches = if expected.is_empty() { found.is_empty() } else { found.contains(expected) };
    assert!(matches, "{definition}\nexpected: {expected}\nfound: {found}");
}

#[test]
fn transitions_lead_somewhere_and_everything_is_reached() {
    check(json!({"A": {"Type": "Pass", "Next": "B"}}), "Missing 'Next' target: B at /States/A/Next");
    check(json!({"B": {"Type": "Succeed"}}), "Missing 'StartAt' target: A at /StartAt");
    check(json!({"A": {"Type": "Succeed"}, "B": {"Type": "Succeed"}}), "State \"B\" is not reachable. at /States/B");
    check(json!({"A": {"Type": "Pass"}}), "Exactly one of 'Next' and 'End: true' is required at /States/A");
    check(json!({"A": {"Type": "Pass", "Next": "A", "End": true}}), "Exactly one of 'Next' and 'End: true'");
    check(
        json!({"A": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true,
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]}, "B": {"Type": "Succeed"}}),
        "",
    );
}

#[test]
fn unknown_fields_are_named_with_the_likely_one() {
    check(
        json!({"A": {"Type": "Pass", "End": true, "ResultPat": "$.a"}}),
        "The field 'ResultPat' is not supported here; did you mean 'ResultPath'? at /States/A/ResultPat",
    );
    check(
        json!({"A": {"Type": "Pass", "QueryLanguage": "JSONata", "End": true, "InputPath": "$"}}),
        "The field 'InputPath' is not supported here",
    );
    check(json!({"A": {"Type": "Sleep", "End": true}}), "'Sleep' is not one of [Pass, Task, Choice");
}

#[test]
fn expressions_are_parsed_before_anything_runs() {
    check(json!({"A": {"Type": "Pass", "End": true, "InputPath": "$.a["}}), "Value is not a valid JSONPath: '$.a['");
    check(json!({"A": {"Type": "Pass", "End": true, "ResultPath": "$.a[*]"}}), "Value is not a Reference Path");
    check(
        json!({"A": {"Type": "Pass", "QueryLanguage": "JSONata", "End": true, "Output": {"a": ["{% 1 + %}"]}}}),
        "at /States/A/Output/a/0",
    );
    check(
        json!({"A": {"Type": "Choice", "Choices": [{"Variable": "$.a", "NumericEquals": "1", "Next": "A"}]}}),
        "\"1\" does not fit the comparison operator at /States/A/Choices[0]/NumericEquals",
    );
}

#[test]
fn retriers_and_catchers_are_checked() {
    let with = |field: &str, entries: Value| {
        json!({"A": {"Type": "Parallel", "End": true, field: entries,
            "Branches": [{"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}]}})
    };
    let all = json!(["States.ALL"]);
    check(with("Retry", json!([{"ErrorEquals": all, "JitterStrategy": "FULL", "MaxDelaySeconds": 5}])), "");
    check(with("Retry", json!([{"ErrorEquals": all}, {"ErrorEquals": ["A"]}])), "must stand alone, in the last entry");
    check(with("Retry", json!([{"ErrorEquals": all, "BackoffRate": 0.5}])), "Expected a number that is at least 1.0");
    check(with("Retry", json!([{"ErrorEquals": []}])), "There must be at least one error name");
    check(
        with("Catch", json!([{"ErrorEquals": all, "Next": "C"}])),
        "Missing 'Next' target: C at /States/A/Catch[0]/Next",
    );
}

#[test]
fn numbers_that_cannot_be_are_refused_before_anything_runs() {
    let task = |field: &str, value: Value| {
        let resource = "arn:aws:states:::sqs:sendMessage";
        json!({"A": {"Type": "Task", "Resource": resource, "HeartbeatSeconds": 5, field: value, "End": true}})
    };
    check(task("TimeoutSeconds", json!(6)), "");
    check(task("TimeoutSecondsPath", json!("$.s")), "");
    check(
        task("TimeoutSeconds", json!(5)),
        "A heartbeat of 5 s is not shorter than the timeout of 5 s at /States/A/HeartbeatSeconds",
    );
    for wrong in [json!(0), json!(6.5), json!(-1), json!(100_000_000), json!("6"), json!(null)] {
        let expected =
            format!("Expected a whole number from 1 to 99999999, but was {wrong} at /States/A/TimeoutSeconds");
        check(task("TimeoutSeconds", wrong), &expected);
    }
    let wait = |seconds: Value| json!({"A": {"Type": "Wait", "Seconds": seconds, "End": true}});
    check(wait(json!(0)), "");
    check(wait(json!(1.5)), "Expected a whole number from 0 to 99999999, but was 1.5 at /States/A/Seconds");
    let map = |field: &str, value: Value| {
        let inner = json!({"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}});
        json!({"A": {"Type": "Map", "ItemProcessor": inner, field: value, "End": true}})
    };
    check(map("ToleratedFailurePercentage", json!(2.5)), "");
    check(map("ToleratedFailurePercentage", json!(101)), "Expected a number from 0 to 100, but was 101");
    check(map("MaxConcurrency", json!(2.5)), "but was 2.5 at /States/A/MaxConcurrency");
}

#[test]
fn what_a_distributed_map_reads_batches_and_writes_is_checked_field_by_field() {
    let map = |mode: Value, more: Value, inner: Value| {
        let mut map = json!({"Type": "Map", "End": true,
            "ItemProcessor": {"ProcessorConfig": mode, "StartAt": "B", "States": {"B": inner}}});
        map.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "A": map })
    };
    let pass = || json!({"Type": "Pass", "End": true});
    let express = || json!({"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"});
    let with = |more: Value| map(express(), more, pass());
    let reads = |config: Value| with(json!({"ItemReader": {"Resource": "r", "ReaderConfig": config}}));
    let batches = |batcher: Value| with(json!({ "ItemBatcher": batcher }));
    check(reads(json!({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW", "MaxItemsPath": "$.n"})), "");
    check(
        reads(json!({"MaxItem": 5})),
        "'MaxItem' is not supported here; did you mean 'MaxItems'? at /States/A/ItemReader/ReaderConfig/MaxItem",
    );
    check(reads(json!({"MaxItemsPath": "$.a["})), "'$.a[' at /States/A/ItemReader/ReaderConfig/MaxItemsPath");
    check(
        reads(json!({"MaxItems": 1, "MaxItemsPath": "$.n"})),
        "Only one of 'MaxItems' and 'MaxItemsPath' may be given at /States/A/ItemReader/ReaderConfig",
    );
    check(
        batches(
            json!({"MaxItemsPerBatchPath": "$.n", "MaxInputBytesPerBatchPath": "$.b", "BatchInput": {"a.$": "$.a"}}),
        ),
        "",
    );
    check(batches(json!({"MaxItemPerBatch": 5})), "at /States/A/ItemBatcher/MaxItemPerBatch");
    let writes = |config: &str| with(json!({"ResultWriter": {config: {"OutputType": "JSONL"}}}));
    check(writes("WriterConfig"), "");
    check(writes("WriteConfig"), "did you mean 'WriterConfig'? at /States/A/ResultWriter/WriteConfig");
    check(
        map(json!({"Mode": "INLINE"}), json!({"ItemReader": {"Resource": "r"}}), pass()),
        "The field 'ItemReader' needs a Map of the mode DISTRIBUTED at /States/A/ItemReader",
    );
    // A mode that lacks something is that mode all the same.
    let typeless = map(json!({"Mode": "DISTRIBUTED"}), json!({"ItemReader": {"Resource": "r"}}), pass());
    let found = diagnostics(&json!({"StartAt": "A", "States": typeless}));
    assert!(found.contains("'ExecutionType' is required") && !found.contains("needs a Map"), "{found}");
    let jsonata = |config: Value| {
        with(json!({"QueryLanguage": "JSONata", "ItemReader": {"Resource": "r", "ReaderConfig": config}}))
    };
    check(jsonata(json!({"MaxItems": "{% $states.input.n %}"})), "");
    check(jsonata(json!("{% $states.input.config %}")), "");
    check(jsonata(json!({"MaxItemsPath": "$.n"})), "The field 'MaxItemsPath' is not supported here");
}

#[test]
fn items_of_a_distributed_map_that_are_express_can_do_no_more_than_others() {
    let check_inner = |kind: &str, inner: Value, expected: &str| {
        check(
            json!({"A": {"Type": "Map", "End": true, "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind},
                "StartAt": "B", "States": {"B": inner}}}}),
            expected,
        );
    };
    let task = |resource: &str| json!({"Type": "Task", "Resource": resource, "End": true});
    let waits = || task("arn:aws:states:::sqs:sendMessage.waitForTaskToken");
    check_inner("STANDARD", waits(), "");
    check_inner("EXPRESS", waits(), "Express state machine does not support '.waitForTaskToken' service integration");
    let activity = || task("arn:aws:states:us-east-1:1:activity:a");
    check_inner("EXPRESS", activity(), "Express state machine does not support Activity ARN");
    let inner = || {
        json!({"Type": "Map", "End": true, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "C", "States": {"C": waits()}}})
    };
    check_inner("STANDARD", inner(), "");
    check_inner(
        "EXPRESS",
        inner(),
        "does not support a Map of the mode DISTRIBUTED at /States/A/ItemProcessor/States/B",
    );
}

#[test]
fn an_inner_scope_does_not_set_an_outer_variable() {
    let inner = json!({"StartAt": "B", "States": {"B": {"Type": "Pass", "Assign": {"x": 2}, "End": true}}});
    let outer = |name: &str| json!({"A": {"Type": "Parallel", "Branches": [inner], "Assign": {name: 1}, "End": true}});
    check(outer("x"), "Variable 'x' is assigned in an outer scope and can only be read here at /States/B/Assign");
    check(outer("y"), "");
}

#[test]
fn bounds_are_refused_before_they_cost() {
    let mut nested = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    for depth in 0..40 {
        let map = json!({"Type": "Map", "ItemProcessor": nested, "End": true});
        nested = json!({"StartAt": format!("M{depth}"), "States": {format!("M{depth}"): map}});
    }
    assert!(diagnostics(&nested).contains("nest deeper") || diagnostics(&nested).contains("recursion limit"));
    let limits = Limits { definition_bytes_max: 10, states_max: 1, ..Limits::default() };
    let refused = Definition::load("{\"StartAt\": \"A\"}", Flavor::Standard, &limits).unwrap_err();
    assert_eq!(refused.code, "HW-WORK-001");
    assert!(refused.causes[0].contains("Definition has 16 bytes; the limit is 10 bytes"), "{refused}");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Definition::parse(&deep, Flavor::Standard, &Limits::default()).is_err());
}

#[test]
fn variable_references_leave_out_functions_and_own_names() {
    let text = json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {
        "A": {"Type": "Pass", "Assign": {"total": 1}, "Next": "B"},
        "B": {"Type": "Pass", "End": true,
            "Output": "{% ($own := $total; $map($list, function($v) { $v * $own + $sum([1]) })) %}"}
    }});
    let definition = Definition::parse(&text.to_string(), Flavor::Standard, &Limits::default()).unwrap();
    let references = definition.variable_references();
    assert_eq!(json!(references), json!({"B": ["$list", "$total"]}));
}

#[test]
fn resources_are_taken_apart() {
    let service = |text: &str| match Resource::parse(text) {
        Some(Resource::Service(service)) => format!("{}|{}", service.name, service.full_verb()),
        other => format!("{other:?}"),
    };
    assert_eq!(service("arn:aws:states:::states:startExecution.sync:2"), "states|startExecution.sync:2");
    assert_eq!(service("arn:aws:states:::aws-sdk:sfn:sendTaskSuccess"), "aws-sdk:sfn|sendTaskSuccess");
    assert_eq!(service("arn:headwater:work:::lookup:get"), "lookup|get");
    assert_eq!(service("arn:aws:states:::dynamodb:scan"), "None");
    assert_eq!(service("arn:aws:states:::dynamodb:putItem.later"), "None");
    assert!(matches!(Resource::parse("arn:aws:states:eu-west-1:1:activity:check"), Some(Resource::Activity { .. })));
    assert!(matches!(Resource::parse("arn:aws:lambda:eu-west-1:1:function:f"), Some(Resource::Function { .. })));
}
