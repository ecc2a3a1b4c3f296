use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::limits::Limits;

fn given(limits: &Limits) -> Given<'_> {
    Given { now: Micros(0), seed: [7; 32], token: &|attempt| format!("{attempt:?}"), limits }
}

fn request(definition: Value, more: Value) -> Map<String, Value> {
    let mut request = Map::new();
    request.insert("definition".to_owned(), json!(definition.to_string()));
    for (field, value) in more.as_object().unwrap() {
        let texts = ["input", "variables", "context"].contains(&field.as_str());
        request.insert(field.clone(), if texts { json!(value.to_string()) } else { value.clone() });
    }
    request
}

fn tried(definition: Value, more: Value) -> Value {
    let limits = Limits::default();
    let trial = Trial::begin(&request(definition, more), &given(&limits)).unwrap();
    assert!(trial.call().is_none(), "{:?}", trial.call());
    Value::Object(trial.end(None, &given(&limits)))
}

fn check(answer: &Value, expected: Expect) {
    expected.assert_eq(&serde_json::to_string_pretty(answer).unwrap());
}

fn refused(definition: Value, more: Value) -> String {
    Trial::begin(&request(definition, more), &given(&Limits::default())).unwrap_err().code
}

fn task() -> Value {
    json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "InputPath": "$.in",
        "Parameters": {"FunctionName": "f", "Payload.$": "$"}, "ResultSelector": {"sum.$": "$.Payload.sum"},
        "ResultPath": "$.out", "OutputPath": "$.out", "Next": "After",
        "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 3, "BackoffRate": 2}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Mend"}],
    })
}

#[test]
fn each_step_of_the_data_is_shown() {
    let mock = json!({"result": "{\"Payload\": {\"sum\": 3}}"});
    let answer = tried(task(), json!({"input": {"in": {"a": 1}}, "inspectionLevel": "DEBUG", "mock": mock}));
    check(
        &answer,
        expect![[r#"
            {
              "output": "{\"sum\":3}",
              "nextState": "After",
              "status": "SUCCEEDED",
              "inspectionData": {
                "input": "{\"in\":{\"a\":1}}",
                "afterInputPath": "{\"a\":1}",
                "afterParameters": "{\"FunctionName\":\"f\",\"Payload\":{\"a\":1}}",
                "result": "{\"Payload\":{\"sum\":3}}",
                "afterResultSelector": "{\"sum\":3}",
                "afterResultPath": "{\"in\":{\"a\":1},\"out\":{\"sum\":3}}"
              }
            }"#]],
    );
}

#[test]
fn a_mocked_error_meets_retriers_until_they_are_used_up_and_then_catchers() {
    let mock = json!({"errorOutput": {"error": "Busy", "cause": "many"}});
    let tried_after = |retries: u32| {
        let more = json!({"input": {"in": 1}, "inspectionLevel": "DEBUG", "mock": mock,
            "stateConfiguration": {"retrierRetryCount": retries}});
        tried(task(), more)
    };
    let again = tried_after(1);
    assert_eq!((&again["status"], &again["error"]), (&json!("RETRIABLE"), &json!("Busy")));
    let details = json!({"retryIndex": 0, "retryBackoffIntervalSeconds": 4});
    assert_eq!(again["inspectionData"]["errorDetails"], details);
    let caught = tried_after(3);
    assert_eq!((&caught["status"], &caught["nextState"]), (&json!("CAUGHT_ERROR"), &json!("Mend")));
    assert_eq!(caught["inspectionData"]["errorDetails"], json!({"catchIndex": 0}));
    assert_eq!(caught["output"], json!("{\"in\":1,\"error\":{\"Error\":\"Busy\",\"Cause\":\"many\"}}"));
}

#[test]
fn states_without_an_outside_need_no_mock() {
    let choice = json!({"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericGreaterThan": 1, "Next": "Many"}], "Default": "Few"});
    let answer = tried(choice, json!({"input": {"n": 2}}));
    assert_eq!(answer, json!({"output": "{\"n\":2}", "nextState": "Many", "status": "SUCCEEDED"}));
    let fail = tried(json!({"Type": "Fail", "Error": "E", "Cause": "why"}), json!({}));
    assert_eq!(fail, json!({"error": "E", "cause": "why", "status": "FAILED"}));
    let wait = tried(json!({"Type": "Wait", "Seconds": 3600, "End": true}), json!({"input": 1}));
    assert_eq!(wait, json!({"output": "1", "status": "SUCCEEDED"}));
    let jsonata = json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $x + $states.input %}", "Assign": {"x": 9}, "End": true});
    let answer = tried(jsonata, json!({"input": 1, "variables": {"x": 2}, "inspectionLevel": "DEBUG"}));
    assert_eq!((&answer["output"], &answer["inspectionData"]["variables"]), (&json!("3"), &json!("{\"x\":9}")));
}

#[test]
fn a_map_shows_its_items_and_bears_as_many_failures_as_it_says() {
    let map = json!({
        "Type": "Map", "ItemsPath": "$.items", "ItemSelector": {"v.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index"},
        "ItemBatcher": {"MaxItemsPerBatch": 2}, "ToleratedFailureCount": 1, "MaxConcurrency": 5, "End": true,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}},
    });
    let with = |failures: u64| {
        let more = json!({"input": {"items": [7, 8, 9]}, "inspectionLevel": "DEBUG", "mock": {"result": "[1]"},
            "stateConfiguration": {"mapIterationFailureCount": failures}});
        tried(map.clone(), more)
    };
    check(
        &with(1),
        expect![[r#"
            {
              "output": "[1]",
              "status": "SUCCEEDED",
              "inspectionData": {
                "input": "{\"items\":[7,8,9]}",
                "afterInputPath": "{\"items\":[7,8,9]}",
                "afterItemsPath": "[7,8,9]",
                "afterItemSelector": "[{\"v\":7,\"i\":0},{\"v\":8,\"i\":1},{\"v\":9,\"i\":2}]",
                "afterItemBatcher": "[{\"Items\":[{\"v\":7,\"i\":0},{\"v\":8,\"i\":1}]},{\"Items\":[{\"v\":9,\"i\":2}]}]",
                "toleratedFailureCount": 1,
                "maxConcurrency": 5,
                "result": "[1]",
                "afterResultSelector": "[1]",
                "afterResultPath": "[1]"
              }
            }"#]],
    );
    let over = with(2);
    assert_eq!((&over["status"], &over["error"]), (&json!("FAILED"), &json!("States.ExceedToleratedFailureThreshold")));
}

#[test]
fn a_state_inside_a_machine_is_tried_by_its_name() {
    let machine = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {
        "StartAt": "P", "States": {"P": {"Type": "Pass", "Parameters": {"i.$": "$$.Map.Item.Index"}, "End": true}}}}}});
    let answer = tried(machine.clone(), json!({"stateName": "P", "input": [1]}));
    assert_eq!(answer, json!({"output": "{\"i\":0}", "status": "SUCCEEDED"}));
    assert_eq!(refused(machine.clone(), json!({})), "HW-WORK-008");
    assert_eq!(refused(machine.clone(), json!({"stateName": "Q"})), "HW-WORK-008");
    assert_eq!(refused(machine, json!({"stateName": "M"})), "HW-WORK-009");
    let branch = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    assert_eq!(refused(json!({"Type": "Parallel", "Branches": [branch], "End": true}), json!({})), "HW-WORK-009");
}

#[test]
fn a_call_without_a_mock_is_made_for_real_and_shown_when_traced() {
    let limits = Limits::default();
    let state = json!({"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "End": true,
        "Parameters": {"ApiEndpoint": "https://api.example/x", "Method": "GET"}});
    let trial = Trial::begin(&request(state, json!({"inspectionLevel": "TRACE"})), &given(&limits)).unwrap();
    assert_eq!(trial.call().unwrap().parameters["Method"], "GET");
    let result = json!({"StatusCode": 200, "StatusText": "OK", "Headers": {}, "ResponseBody": {"a": 1}});
    let answer = trial.end(Some(Ok(result)), &given(&limits));
    let seen = &answer["inspectionData"];
    assert_eq!(seen["request"], json!({"method": "GET", "url": "https://api.example/x", "protocol": "http"}));
    assert_eq!(seen["response"]["body"], "{\"a\":1}");
    assert_eq!(answer["status"], "SUCCEEDED");
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let pass = json!({"Type": "Pass", "End": true});
    assert_eq!(refused(json!({"Type": "Nope", "End": true}), json!({})), "HW-WORK-001");
    assert_eq!(refused(pass.clone(), json!({"inspectionLevel": "ALL"})), "HW-WORK-008");
    assert_eq!(refused(pass.clone(), json!({"mock": {}})), "HW-WORK-008");
    assert_eq!(refused(pass, json!({"context": {"a": 1}})), "HW-WORK-008");
    let token = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": true});
    assert_eq!(refused(token, json!({})), "HW-WORK-008");
}

#[test]
fn a_map_that_bears_no_more_failures_meets_its_own_handlers() {
    let map = |more: Value| {
        let mut map = json!({
            "Type": "Map", "ItemsPath": "$.items", "ToleratedFailureCount": 1, "End": true,
            "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}},
        });
        map.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = json!({"input": {"items": [7, 8, 9]}, "inspectionLevel": "DEBUG", "mock": {"result": "[1]"},
            "stateConfiguration": {"mapIterationFailureCount": 2}});
        tried(map, request)
    };
    let errors = ["States.ExceedToleratedFailureThreshold"];
    let caught = map(json!({"Catch": [{"ErrorEquals": ["Other"], "Next": "A"}, {"ErrorEquals": errors, "Next": "B"}]}));
    assert_eq!((&caught["status"], &caught["nextState"]), (&json!("CAUGHT_ERROR"), &json!("B")));
    assert_eq!(caught["error"], errors[0]);
    assert_eq!(caught["inspectionData"]["errorDetails"], json!({"catchIndex": 1}));
    let again = map(json!({"Retry": [{"ErrorEquals": errors, "IntervalSeconds": 3}]}));
    assert_eq!((&again["status"], &again["error"]), (&json!("RETRIABLE"), &json!(errors[0])));
    let details = json!({"retryIndex": 0, "retryBackoffIntervalSeconds": 3});
    assert_eq!(again["inspectionData"]["errorDetails"], details);
}

#[test]
fn what_an_item_reader_would_read_is_pointed_into() {
    let map = json!({
        "Type": "Map", "End": true, "ItemSelector": {"n.$": "$$.Map.Item.Value"},
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON", "ItemsPointer": "/a/list"},
            "Parameters": {"Bucket": "b", "Key": "k"}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}},
    });
    let more = json!({"inspectionLevel": "DEBUG", "mock": {"result": "[]"},
        "stateConfiguration": {"mapItemReaderData": "{\"a\": {\"list\": [1, 2]}}"}});
    let seen = &tried(map, more)["inspectionData"];
    assert_eq!(seen["afterItemsPointer"], "[1,2]");
    assert_eq!(seen["afterItemSelector"], "[{\"n\":1},{\"n\":2}]");
}

#[test]
fn a_share_of_failures_is_one_of_what_the_item_reader_would_read() {
    let map = json!({
        "Type": "Map", "End": true, "ToleratedFailurePercentage": 50,
        "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": "b", "Key": "k"}},
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}},
    });
    let answer = |read: &str, failed: u64| {
        let more = json!({"inspectionLevel": "DEBUG", "mock": {"result": "[]"},
            "stateConfiguration": {"mapItemReaderData": read, "mapIterationFailureCount": failed}});
        tried(map.clone(), more)
    };
    // The fields of an object are items, too.
    for read in ["[1, 2, 3, 4]", r#"{"a": 1, "b": 2, "c": 3, "d": 4}"#] {
        let status = |failed: u64| answer(read, failed)["status"].clone();
        assert_eq!((status(2), status(3)), (json!("SUCCEEDED"), json!("FAILED")), "{read}");
    }
    let seen = &answer(r#"{"a": 1}"#, 0)["inspectionData"];
    assert_eq!(seen["afterItemsPath"], r#"[{"Key":"a","Value":1}]"#);
}

#[test]
fn a_state_sees_the_context_that_is_given() {
    let said = json!({
        "Execution": {"Id": "arn:x", "Name": "n", "Input": {"i": 1}, "StartTime": "2026-11-28T09:00:00.000Z", "RedriveCount": 2},
        "State": {"EnteredTime": "2026-11-28T09:00:05.500Z", "RetryCount": 3},
        "Task": {"Token": "ours"},
    });
    let paths = [
        "Execution.Name",
        "Execution.StartTime",
        "Execution.RedriveCount",
        "State.EnteredTime",
        "State.RetryCount",
        "Task.Token",
    ];
    let parameters: Map<String, Value> =
        paths.iter().map(|path| (format!("{path}.$"), json!(format!("$$.{path}")))).collect();
    let task = json!({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": parameters, "Retry": [{"ErrorEquals": ["Mine"], "IntervalSeconds": 7}], "End": true});
    let more = json!({"context": said, "inspectionLevel": "DEBUG", "mock": {"errorOutput": {"error": "Mine"}}});
    let answer = tried(task.clone(), more);
    let seen: Value = serde_json::from_str(answer["inspectionData"]["afterParameters"].as_str().unwrap()).unwrap();
    let expected = json!(["n", "2026-11-28T09:00:00.000Z", 2, "2026-11-28T09:00:05.500Z", 3, "ours"]);
    assert_eq!(Value::from_iter(paths.map(|path| seen[path].clone())), expected);
    // The pause before the next try is none from the beginning that the context says.
    assert_eq!(answer["inspectionData"]["errorDetails"]["retryBackoffIntervalSeconds"], 7);
    for wrong in
        [json!({"Executions": {}}), json!({"Execution": {"StartTime": "today"}}), json!({"State": {"RetryCount": -1}})]
    {
        let more = json!({"context": wrong, "mock": {"errorOutput": {"error": "Mine"}}});
        assert_eq!(refused(task.clone(), more), "HW-WORK-008");
    }
    // What went before in a Map is none of a task's.
    for before in [
        json!({"mapIterationFailureCount": 1}),
        json!({"mapItemReaderData": "[]"}),
        json!({"errorCausedByState": "TestState"}),
    ] {
        let more = json!({"stateConfiguration": before, "mock": {"errorOutput": {"error": "Mine"}}});
        assert_eq!(refused(task.clone(), more), "HW-WORK-008");
    }
}

#[test]
fn a_pass_state_shows_what_it_gives_and_a_choice_its_input_alone() {
    let seen = |state: Value| {
        let answer = tried(state, json!({"input": {"a": 1}, "inspectionLevel": "DEBUG"}));
        answer["inspectionData"].as_object().unwrap().keys().cloned().collect::<Vec<String>>()
    };
    let pass = json!({"Type": "Pass", "Parameters": {"b.$": "$.a"}, "ResultPath": "$.c", "End": true});
    assert_eq!(seen(pass), ["input", "afterInputPath", "afterParameters", "afterResultSelector", "afterResultPath"]);
    let constant = json!({"Type": "Pass", "Result": 1, "End": true});
    assert_eq!(seen(constant), ["input", "result", "afterResultSelector", "afterResultPath"]);
    let choice = json!({"Type": "Choice", "Choices": [{"Variable": "$.a", "IsPresent": true, "Next": "N"}]});
    assert_eq!(seen(choice), ["input", "afterInputPath"]);
}

#[test]
fn a_mock_is_held_against_the_state() {
    let refused = |state: Value, more: Value| {
        let problem = Trial::begin(&request(state, more), &given(&Limits::default())).unwrap_err();
        assert_eq!(problem.code, "HW-WORK-008");
        problem.title
    };
    let mocked = |mock: Value| json!({ "mock": mock });
    let result = mocked(json!({"result": "{}"}));
    for state in [json!({"Type": "Pass", "End": true}), json!({"Type": "Succeed"}), json!({"Type": "Fail"})] {
        let name = state["Type"].as_str().unwrap().to_owned();
        for mock in [result.clone(), mocked(json!({"errorOutput": {"error": "E"}}))] {
            assert_eq!(refused(state.clone(), mock), format!("a state of type `{name}` takes no mock"));
        }
    }
    let machine = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let map = json!({"Type": "Map", "End": true, "ItemProcessor": machine});
    assert_eq!(refused(map, result.clone()), "the mocked result of a Map is an array");
    let mut writes = json!({"Type": "Map", "End": true, "ItemProcessor": machine,
        "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "p"}}});
    writes["ItemProcessor"]["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
    let array = mocked(json!({"result": "[]"}));
    assert_eq!(refused(writes, array.clone()), "the mocked result of a Map with a `ResultWriter` is an object");
    let other = json!({"StartAt": "Q", "States": {"Q": {"Type": "Pass", "End": true}}});
    let both = json!({"Type": "Parallel", "Branches": [machine, other], "End": true});
    assert_eq!(refused(both.clone(), array), "the mocked result of state `TestState` is an array of 2 results");
    let answer = tried(both, mocked(json!({"result": "[1, 2]"})));
    assert_eq!((&answer["status"], &answer["output"]), (&json!("SUCCEEDED"), &json!("[1,2]")));
    assert_eq!(refused(task(), mocked(json!({"errorOutput": {"cause": "c"}}))), "`mock.errorOutput` has an `error`");
    let mut secrets = mocked(json!({"result": "{}"}));
    secrets["revealSecrets"] = json!(true);
    assert_eq!(refused(task(), secrets), "`revealSecrets` cannot be given together with a mock");
}

#[test]
fn a_mock_is_held_against_the_services_model() {
    let call = |resource: &str, result: Value, mode: Option<&str>| {
        let state =
            json!({"Type": "Task", "Resource": format!("arn:aws:states:::{resource}"), "End": true, "Parameters": {}});
        let mock = json!({"result": result.to_string(), "fieldValidationMode": mode});
        let request = request(state, json!({ "mock": mock }));
        Trial::begin(&request, &given(&Limits::default())).map(drop).map_err(|problem| problem.title)
    };
    let refusal = |resource: &str, fault: &str| -> Result<(), String> {
        Err(format!("the mock is no answer of `{resource}`: {fault}"))
    };
    for (resource, result, fault) in [
        ("events:putEvents", json!({"Entries": {}}), "`Entries` is an array"),
        ("events:putEvents", json!({"Entries": [{"EventId": "a"}, {"EventId": 1}]}), "`EventId` is a string"),
        (
            "events:putEvents",
            json!({"Entries": [{"EventId": "a".repeat(65)}]}),
            "`EventId` is a string of 0 to 64 characters",
        ),
        ("lambda:invoke", json!({"StatusCode": "200"}), "`StatusCode` is a number"),
        ("dynamodb:putItem", json!({"ConsumedCapacity": {"CapacityUnits": "1"}}), "`CapacityUnits` is a number"),
        ("dynamodb:getItem", json!({"Item": {"a": {"M": {"b": {"L": [{"BOOL": 1}]}}}}}), "`BOOL` is true or false"),
        ("states:startExecution", json!({"ExecutionArn": "e", "StartDate": 1}), "`StartDate` is a string"),
    ] {
        for mode in [None, Some("STRICT"), Some("PRESENT")] {
            assert_eq!(call(resource, result.clone(), mode), refusal(resource, fault), "{mode:?}");
        }
        assert_eq!(call(resource, result, Some("NONE")), Ok(()));
    }
    let missing = json!({"executionArn": "e", "startDate": "d"});
    for (resource, fault) in [
        ("states:startExecution", "`ExecutionArn` is missing"),
        ("states:startExecution.sync:2", "`ExecutionArn` is missing"),
    ] {
        assert_eq!(call(resource, missing.clone(), None), refusal(resource, fault));
        assert_eq!(call(resource, missing.clone(), Some("PRESENT")), Ok(()));
    }
    let ended = json!({"ExecutionArn": "e", "StateMachineArn": "m", "Status": "DONE", "StartDate": 1});
    let states = "RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED, PENDING_REDRIVE";
    let resource = "states:startExecution.sync";
    assert_eq!(call(resource, ended, None), refusal(resource, &format!("`Status` is one of {states}")));
    // What the model does not name is passed over, and so are services that are not in the table.
    for (resource, result) in [
        ("lambda:invoke", json!({"Payload": {"a": 1}, "SdkHttpMetadata": {"HttpStatusCode": 200}})),
        ("dynamodb:updateItem", json!({})),
        ("sqs:sendMessage", json!({"MessageId": "m", "Other": 1})),
        ("sqs:sendMessage.waitForTaskToken", json!({"MessageId": 1})),
        ("aws-sdk:dynamodb:getItem", json!({"Item": 1})),
        ("glue:startJobRun", json!([1])),
    ] {
        assert_eq!(call(resource, result, None), Ok(()), "{resource}");
    }
    assert!(call("lambda:invoke", json!({}), Some("LOOSE")).unwrap_err().contains("`fieldValidationMode`"));
}
