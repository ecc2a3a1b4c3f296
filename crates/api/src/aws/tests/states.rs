//! Step Functions.

use super::*;

const DEFINITION: &str = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}"#;
const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn arn(path: &str) -> String {
    format!("arn:aws:states:eu-west-1:000000000000:{path}")
}

fn target(operation: &str) -> String {
    format!("AWSStepFunctions.{operation}")
}

async fn create(house: &House, name: &str, kind: &str) -> Value {
    let body = json!({ "name": name, "definition": DEFINITION, "roleArn": ROLE, "type": kind });
    house.ok(&target("CreateStateMachine"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_machine_is_a_workflow_and_says_what_was_sent() {
    let house = house().await;
    let created = create(&house, "price", "STANDARD").await;
    assert_eq!(created, json!({ "stateMachineArn": arn("stateMachine:price"), "creationDate": 1_700_000_000.0 }));
    let workflow = house.kernel.get("Workflow", "price").unwrap();
    assert_eq!(workflow.spec, json!({ "type": "standard", "text": DEFINITION }));
    let described =
        house.ok(&target("DescribeStateMachine"), json!({ "stateMachineArn": arn("stateMachine:price") })).await;
    assert_eq!(
        (&described["definition"], &described["roleArn"], &described["type"], &described["status"]),
        (&json!(DEFINITION), &json!(ROLE), &json!("STANDARD"), &json!("ACTIVE"))
    );
    let listed = house.ok(&target("ListStateMachines"), json!({})).await;
    assert_eq!(listed["stateMachines"][0]["name"], "price");
    house.ok(&target("DeleteStateMachine"), json!({ "stateMachineArn": arn("stateMachine:price") })).await;
    assert_eq!(
        house.no(&target("DescribeStateMachine"), json!({ "stateMachineArn": arn("stateMachine:price") })).await,
        format!("StateMachineDoesNotExist: State Machine Does Not Exist: '{}'", arn("stateMachine:price"))
    );
    house.ok(&target("DeleteStateMachine"), json!({ "stateMachineArn": arn("stateMachine:price") })).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_again_is_the_same_or_is_refused() {
    let house = house().await;
    let first = create(&house, "price", "STANDARD").await;
    assert_eq!(create(&house, "price", "STANDARD").await, first);
    let again = |change: Value| {
        let mut body = json!({ "name": "price", "definition": DEFINITION, "roleArn": ROLE });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    // Role and tags do not count.
    let same = json!({ "roleArn": "arn:aws:iam::1:role/x", "tags": [{ "key": "a", "value": "b" }] });
    house.ok(&target("CreateStateMachine"), again(same)).await;
    for change in [
        json!({ "definition": "{}" }),
        json!({ "type": "EXPRESS" }),
        json!({ "loggingConfiguration": { "level": "ALL" } }),
        json!({ "tracingConfiguration": { "enabled": true } }),
    ] {
        assert_eq!(
            house.no(&target("CreateStateMachine"), again(change)).await,
            format!("StateMachineAlreadyExists: State Machine Already Exists: '{}'", arn("stateMachine:price"))
        );
    }
    let bad = json!({ "name": "a b", "definition": "{}", "roleArn": ROLE });
    assert_eq!(house.no(&target("CreateStateMachine"), bad).await, "InvalidName: Invalid Name: 'a b'");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_stay_while_the_state_machine_changes() {
    let house = house().await;
    create(&house, "price", "STANDARD").await;
    let machine = json!({ "stateMachineArn": arn("stateMachine:price") });
    let first = house.ok(&target("PublishStateMachineVersion"), machine.clone()).await;
    assert_eq!(first["stateMachineVersionArn"], arn("stateMachine:price:1"));
    assert_eq!(house.ok(&target("PublishStateMachineVersion"), machine.clone()).await, first);
    let update = json!({
        "stateMachineArn": arn("stateMachine:price"), "definition": "{\"b\":1}", "publish": true,
        "versionDescription": "second",
    });
    let updated = house.ok(&target("UpdateStateMachine"), update).await;
    assert_eq!(updated["stateMachineVersionArn"], arn("stateMachine:price:2"));
    assert_eq!(updated["revisionId"], "2");
    let listed = house.ok(&target("ListStateMachineVersions"), machine.clone()).await;
    let arns: Vec<&Value> =
        listed["stateMachineVersions"].as_array().unwrap().iter().map(|row| &row["stateMachineVersionArn"]).collect();
    assert_eq!(arns, [&arn("stateMachine:price:2"), &arn("stateMachine:price:1")]);
    let old =
        house.ok(&target("DescribeStateMachine"), json!({ "stateMachineArn": arn("stateMachine:price:1") })).await;
    assert_eq!(old["definition"], "{\"of\":\"price\",\"version\":1}");
    let stale = json!({ "stateMachineArn": arn("stateMachine:price"), "revisionId": "1" });
    assert!(
        house
            .no(&target("PublishStateMachineVersion"), stale)
            .await
            .starts_with("ConflictException: Failed to publish")
    );
    let started = house
        .ok(&target("StartExecution"), json!({ "stateMachineArn": arn("stateMachine:price:1"), "name": "x" }))
        .await;
    let shown = house.ok(&target("DescribeExecution"), json!({ "executionArn": started["executionArn"] })).await;
    assert_eq!(shown["stateMachineVersionArn"], arn("stateMachine:price:1"));
    house
        .ok(&target("DeleteStateMachineVersion"), json!({ "stateMachineVersionArn": arn("stateMachine:price:1") }))
        .await;
    let gone = json!({ "stateMachineArn": arn("stateMachine:price:1") });
    assert!(house.no(&target("StartExecution"), gone).await.starts_with("StateMachineDoesNotExist"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_keeps_what_it_does_not_name_and_asks_for_something() {
    let house = house().await;
    create(&house, "price", "EXPRESS").await;
    let machine = arn("stateMachine:price");
    assert!(
        house
            .no(&target("UpdateStateMachine"), json!({ "stateMachineArn": machine }))
            .await
            .starts_with("MissingRequiredParameter")
    );
    let logging = json!({ "level": "ALL", "includeExecutionData": true });
    house
        .ok(&target("UpdateStateMachine"), json!({ "stateMachineArn": machine, "loggingConfiguration": logging }))
        .await;
    let described = house.ok(&target("DescribeStateMachine"), json!({ "stateMachineArn": machine })).await;
    assert_eq!(
        (&described["loggingConfiguration"], &described["definition"], &described["type"], &described["revisionId"]),
        (&logging, &json!(DEFINITION), &json!("EXPRESS"), &json!("1"))
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executions_name_is_an_idempotency_key() {
    let house = house().await;
    create(&house, "price", "STANDARD").await;
    let start = |input: &str| json!({ "stateMachineArn": arn("stateMachine:price"), "name": "run-1", "input": input });
    let first = house.ok(&target("StartExecution"), start("{\"a\":1}")).await;
    assert_eq!(first, json!({ "executionArn": arn("execution:price:run-1"), "startDate": 1_700_000_000.123 }));
    assert_eq!(house.ok(&target("StartExecution"), start("{\"a\":1}")).await, first);
    let exists = format!("ExecutionAlreadyExists: Execution Already Exists: '{}'", arn("execution:price:run-1"));
    assert_eq!(house.no(&target("StartExecution"), start("{\"a\":2}")).await, exists);
    let stop = json!({ "executionArn": arn("execution:price:run-1"), "error": "E", "cause": "because" });
    house.ok(&target("StopExecution"), stop).await;
    assert_eq!(house.no(&target("StartExecution"), start("{\"a\":1}")).await, exists);
    assert!(house.no(&target("StartExecution"), start("{")).await.starts_with("InvalidExecutionInput"));
    let shown = house.ok(&target("DescribeExecution"), json!({ "executionArn": arn("execution:price:run-1") })).await;
    assert_eq!(
        (&shown["status"], &shown["input"], &shown["error"], &shown["cause"], &shown["redriveStatus"]),
        (&json!("ABORTED"), &json!("{\"a\":1}"), &json!("E"), &json!("because"), &json!("REDRIVABLE"))
    );
    let brief = json!({ "executionArn": arn("execution:price:run-1"), "includedData": "METADATA_ONLY" });
    let brief = house.ok(&target("DescribeExecution"), brief).await;
    assert_eq!((&brief["input"], &brief["inputDetails"]), (&Value::Null, &json!({ "included": false })));
    let redrive = |token: &str| json!({ "executionArn": arn("execution:price:run-1"), "clientToken": token });
    let redriven = house.ok(&target("RedriveExecution"), redrive("a")).await;
    assert_eq!(house.ok(&target("RedriveExecution"), redrive("a")).await, redriven);
    let without = json!({ "executionArn": arn("execution:price:run-1") });
    for again in [redrive("b"), without] {
        assert_eq!(
            house.no(&target("RedriveExecution"), again).await,
            "ExecutionNotRedrivable: Execution is RUNNING and cannot be redriven [NOT_REDRIVABLE]"
        );
    }
    // Nothing is left to take up, which the engine alone knows.
    let spent = json!({ "stateMachineArn": arn("stateMachine:price"), "name": "spent" });
    house.ok(&target("StartExecution"), spent).await;
    let spent = json!({ "executionArn": arn("execution:price:spent") });
    house.ok(&target("StopExecution"), spent.clone()).await;
    assert!(house.no(&target("RedriveExecution"), spent).await.starts_with("ExecutionNotRedrivable"));
    assert_eq!(
        house.no(&target("DescribeExecution"), json!({ "executionArn": arn("execution:price:none") })).await,
        format!("ExecutionDoesNotExist: Execution Does Not Exist: '{}'", arn("execution:price:none"))
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let house = house().await;
    create(&house, "price", "STANDARD").await;
    for number in 0..5 {
        let name = format!("run-{number}");
        house
            .ok(&target("StartExecution"), json!({ "stateMachineArn": arn("stateMachine:price"), "name": name }))
            .await;
    }
    let (mut names, mut token) = (Vec::new(), Value::Null);
    loop {
        let body = json!({ "stateMachineArn": arn("stateMachine:price"), "maxResults": 2, "nextToken": token });
        let page = house.ok(&target("ListExecutions"), body).await;
        names.extend(page["executions"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(names, ["run-0", "run-1", "run-2", "run-3", "run-4"]);
    let execution = arn("execution:price:run-0");
    let page = json!({ "executionArn": execution, "maxResults": 3 });
    let first = house.ok(&target("GetExecutionHistory"), page).await;
    assert_eq!(first["events"].as_array().unwrap().len(), 3);
    let body = json!({ "executionArn": execution, "nextToken": first["nextToken"], "includeExecutionData": false });
    let rest = house.ok(&target("GetExecutionHistory"), body).await;
    assert_eq!((rest["events"].as_array().unwrap().len(), &rest["nextToken"]), (2, &Value::Null));
    assert_eq!(rest["events"][0]["stateEnteredEventDetails"], json!({ "name": "A" }));
    let strange = json!({ "maxResults": 2, "nextToken": "strange" });
    assert_eq!(house.no(&target("ListStateMachines"), strange).await, "InvalidToken: Invalid Token: 'Invalid token'");
    let of_another_list = crate::aws::page::token("strange");
    let strange = json!({ "stateMachineArn": arn("stateMachine:price"), "nextToken": of_another_list });
    assert_eq!(house.no(&target("ListExecutions"), strange).await, "InvalidToken: Invalid Token: 'Invalid token'");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_may_be_called_what_the_service_lets_them_be() {
    let house = house().await;
    create(&house, "price", "STANDARD").await;
    let start = |name: &str| json!({ "stateMachineArn": arn("stateMachine:price"), "name": name });
    for name in ["order@7+1=(8)!", "Größe"] {
        let started = house.ok(&target("StartExecution"), start(name)).await;
        assert_eq!(started["executionArn"], arn(&format!("execution:price:{name}")));
        let described =
            house.ok(&target("DescribeExecution"), json!({ "executionArn": started["executionArn"] })).await;
        assert_eq!(described["name"], name);
    }
    for name in ["a b", "a:b", "a/b", "a*", "\u{7}"] {
        let refused = house.no(&target("StartExecution"), start(name)).await;
        assert_eq!(refused, format!("InvalidName: Invalid Name: '{name}'"));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn express_runs_are_answered_and_not_looked_at() {
    let house = house().await;
    create(&house, "quick", "EXPRESS").await;
    create(&house, "price", "STANDARD").await;
    let start = |name: &str| json!({ "stateMachineArn": arn(&format!("stateMachine:{name}")), "input": "{\"a\":1}" });
    let ended = house.ok(&target("StartSyncExecution"), start("quick")).await;
    assert_eq!(
        (&ended["status"], &ended["output"], &ended["billingDetails"]["billedDurationInMilliseconds"]),
        (&json!("SUCCEEDED"), &json!("{\"a\":1}"), &json!(200))
    );
    let named = ended["executionArn"].as_str().unwrap();
    assert!(named.starts_with(&arn("express:quick:drawn-0:")), "{named}");
    let wrong =
        "StateMachineTypeNotSupported: This operation is not supported by this type of state machine".to_owned();
    assert_eq!(house.no(&target("StartSyncExecution"), start("price")).await, wrong);
    assert_eq!(house.no(&target("DescribeExecution"), json!({ "executionArn": named })).await, wrong);
    assert_eq!(
        house.no(&target("ListExecutions"), json!({ "stateMachineArn": arn("stateMachine:quick") })).await,
        wrong
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_end_by_their_tokens() {
    let house = house().await;
    house.ok(&target("SendTaskSuccess"), json!({ "taskToken": "good", "output": "7" })).await;
    house.ok(&target("SendTaskFailure"), json!({ "taskToken": "good", "error": "E" })).await;
    house.ok(&target("SendTaskHeartbeat"), json!({ "taskToken": "good" })).await;
    let ended: Vec<TaskEnd> = house.engine.ended.lock().iter().map(|(_, end)| end.clone()).collect();
    let failure = TaskEnd::Failure { error: Some("E".to_owned()), cause: None };
    assert_eq!(ended, [TaskEnd::Success("7".into()), failure]);
    let success = |token: &str, output: &str| json!({ "taskToken": token, "output": output });
    assert_eq!(
        house.no(&target("SendTaskSuccess"), success("strange", "1")).await,
        "InvalidToken: Invalid Token: 'Invalid token'"
    );
    assert_eq!(
        house.no(&target("SendTaskSuccess"), success("late", "1")).await,
        "TaskTimedOut: Task Timed Out: 'Provided task does not exist anymore'"
    );
    assert!(house.no(&target("SendTaskSuccess"), success("good", "{")).await.starts_with("InvalidOutput"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activities_give_their_tasks_to_workers() {
    let house = house().await;
    let created = house.ok(&target("CreateActivity"), json!({ "name": "busy" })).await;
    assert_eq!(house.ok(&target("CreateActivity"), json!({ "name": "busy" })).await, created);
    let named = json!({ "activityArn": arn("activity:busy"), "workerName": "w" });
    let task = house.ok(&target("GetActivityTask"), named.clone()).await;
    assert_eq!(task, json!({ "taskToken": "good", "input": "{\"for\":\"w\"}" }));
    let key = json!({ "type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": "k" });
    let keyed = json!({ "name": "keyed", "encryptionConfiguration": key });
    assert!(house.no(&target("CreateActivity"), keyed).await.contains("enum value set: [AWS_OWNED_KEY]"));
    house.ok(&target("CreateActivity"), json!({ "name": "idle" })).await;
    assert_eq!(house.ok(&target("GetActivityTask"), json!({ "activityArn": arn("activity:idle") })).await, json!({}));
    let listed = house.ok(&target("ListActivities"), json!({})).await;
    assert_eq!(listed["activities"].as_array().unwrap().len(), 2);
    let described = house.ok(&target("DescribeActivity"), json!({ "activityArn": arn("activity:busy") })).await;
    assert_eq!((&described["name"], &described["activityArn"]), (&json!("busy"), &json!(arn("activity:busy"))));
    assert_eq!(described["creationDate"], created["creationDate"]);
    house.ok(&target("DeleteActivity"), json!({ "activityArn": arn("activity:busy") })).await;
    assert_eq!(
        house.no(&target("GetActivityTask"), named).await,
        format!("ActivityDoesNotExist: Activity Does Not Exist: '{}'", arn("activity:busy"))
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_travel_with_the_resource() {
    let house = house().await;
    create(&house, "price", "STANDARD").await;
    let machine = arn("stateMachine:price");
    let tags = json!([{ "key": "team", "value": "genomics" }, { "key": "env", "value": "test" }]);
    house.ok(&target("TagResource"), json!({ "resourceArn": machine, "tags": tags })).await;
    assert_eq!(house.ok(&target("ListTagsForResource"), json!({ "resourceArn": machine })).await["tags"], tags);
    house.ok(&target("UntagResource"), json!({ "resourceArn": machine, "tagKeys": ["team"] })).await;
    let left = house.ok(&target("ListTagsForResource"), json!({ "resourceArn": machine })).await;
    assert_eq!(left["tags"], json!([{ "key": "env", "value": "test" }]));
    assert_eq!(house.kernel.get("Workflow", "price").unwrap().metadata.generation, 1, "tags are no new revision");
    let many: Vec<Value> = (0..51).map(|number| json!({ "key": format!("k{number}"), "value": "" })).collect();
    let many = json!({ "resourceArn": machine, "tags": many });
    assert!(house.no(&target("TagResource"), many).await.starts_with("TooManyTags"));
    let absent = arn("stateMachine:none");
    assert_eq!(
        house.no(&target("ListTagsForResource"), json!({ "resourceArn": absent })).await,
        format!("ResourceNotFound: Resource not found: '{absent}'")
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_and_trial_are_the_engines() {
    let house = house().await;
    let body = json!({ "definition": "{}", "type": "EXPRESS", "severity": "WARNING", "maxResults": 7 });
    let answer = house.ok(&target("ValidateStateMachineDefinition"), body).await;
    assert_eq!(answer["diagnostics"][0]["message"], "[\"{}\",true,true,7]");
    let tried = house.ok(&target("TestState"), json!({ "definition": "{}", "input": "{\"a\":1}" })).await;
    assert_eq!(tried, json!({ "output": "{\"a\":1}" }));
    let refused = house.no(&target("TestState"), json!({ "definition": "{}", "input": "{" })).await;
    assert!(refused.starts_with("InvalidExecutionInput: Invalid State Machine Execution Input: '"), "{refused}");
    let refused = house.no(&target("TestState"), json!({ "definition": "a Map" })).await;
    assert_eq!(refused, "InvalidDefinition: as the double says [HW-WORK-009]");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_run_has_a_name_in_the_callers_region() {
    let house = house().await;
    create(&house, "price", "STANDARD").await;
    house.ok(&target("StartExecution"), json!({ "stateMachineArn": arn("stateMachine:price"), "name": "run-1" })).await;
    let listed = house.ok(&target("ListMapRuns"), json!({ "executionArn": arn("execution:price:run-1") })).await;
    let run = arn("mapRun:price/Samples:7f");
    assert_eq!(
        listed["mapRuns"],
        json!([{ "mapRunArn": run, "executionArn": arn("execution:price:run-1"), "startDate": 1.5,
            "stateMachineArn": arn("stateMachine:price") }])
    );
    let described = house.ok(&target("DescribeMapRun"), json!({ "mapRunArn": run })).await;
    assert_eq!((&described["mapRunArn"], &described["status"]), (&json!(run), &json!("RUNNING")));
    let change = json!({ "mapRunArn": run, "maxConcurrency": 3, "toleratedFailurePercentage": 2.5 });
    house.ok(&target("UpdateMapRun"), change).await;
    let changes = serde_json::to_value(house.engine.changes.lock().clone()).unwrap();
    assert_eq!(changes, json!([{ "maxConcurrency": 3, "toleratedFailurePercentage": 2.5 }]));
    assert!(house.no(&target("UpdateMapRun"), json!({ "mapRunArn": run })).await.contains("at least one of"));
    let id = "arn:aws:states:us-east-1:000000000000:mapRun:price/Samples:7f";
    house.engine.executions.lock().get_mut("price/run-1").unwrap().map_run = Some(id.to_owned());
    let child = json!({ "executionArn": arn("execution:price/Samples:run-1") });
    let machine = house.ok(&target("DescribeStateMachineForExecution"), child).await;
    assert_eq!((&machine["label"], &machine["mapRunArn"]), (&json!("Samples"), &json!(run)));
    let none = arn("mapRun:price/Samples:none");
    assert_eq!(
        house.no(&target("DescribeMapRun"), json!({ "mapRunArn": none })).await,
        format!("ResourceNotFound: Resource not found: '{none}'")
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_routes_to_versions_and_stands_in_the_spec() {
    let house = house().await;
    create(&house, "price", "STANDARD").await;
    let machine = json!({ "stateMachineArn": arn("stateMachine:price") });
    house.ok(&target("PublishStateMachineVersion"), machine.clone()).await;
    let update = json!({ "stateMachineArn": arn("stateMachine:price"), "definition": "{\"b\":1}", "publish": true });
    house.ok(&target("UpdateStateMachine"), update).await;
    let route = |version: u32, weight: u32| json!({ "stateMachineVersionArn": arn(&format!("stateMachine:price:{version}")), "weight": weight });
    let body = |routes: Value| json!({ "name": "live", "description": "d", "routingConfiguration": routes });
    let created = house.ok(&target("CreateStateMachineAlias"), body(json!([route(1, 100)]))).await;
    let live = arn("stateMachine:price:live");
    assert_eq!(created["stateMachineAliasArn"], live);
    assert_eq!(house.ok(&target("CreateStateMachineAlias"), body(json!([route(1, 100)]))).await, created);
    let spec = house.kernel.get("Workflow", "price").unwrap().spec.clone();
    assert_eq!(spec["aliases"], json!({ "live": { "description": "d", "routes": [{ "version": 1, "weight": 100 }] } }));
    for (routes, refusal) in [
        (json!([route(2, 100)]), "ConflictException"),
        (json!([route(1, 50), route(2, 49)]), "ValidationException: Sum of routing configuration weights"),
        (json!([route(1, 50), route(1, 50)]), "ValidationException: the versions of an alias must be different"),
        (json!([route(9, 100)]), "ResourceNotFound"),
        (json!([]), "ValidationException: 1 validation error"),
    ] {
        let refused = house.no(&target("CreateStateMachineAlias"), body(routes)).await;
        assert!(refused.starts_with(refusal), "{refused}");
    }
    let number = json!({ "name": "12", "routingConfiguration": [route(1, 100)] });
    assert_eq!(house.no(&target("CreateStateMachineAlias"), number).await, "InvalidName: Invalid Name: '12'");

    let started = house.ok(&target("StartExecution"), json!({ "stateMachineArn": live, "name": "x" })).await;
    let shown = house.ok(&target("DescribeExecution"), json!({ "executionArn": started["executionArn"] })).await;
    assert_eq!(
        (&shown["stateMachineAliasArn"], &shown["stateMachineVersionArn"], &shown["stateMachineArn"]),
        (&json!(live), &json!(arn("stateMachine:price:1")), &json!(arn("stateMachine:price")))
    );
    let listed = house.ok(&target("ListExecutions"), json!({ "stateMachineArn": live })).await;
    assert_eq!(listed["executions"].as_array().unwrap().len(), 1);

    // It is described as the version that most of its executions run.
    let described = house.ok(&target("DescribeStateMachine"), json!({ "stateMachineArn": live })).await;
    let version = json!({ "stateMachineArn": arn("stateMachine:price:1") });
    assert_eq!(described, house.ok(&target("DescribeStateMachine"), version).await);
    let brief = json!({ "stateMachineArn": live, "includedData": "METADATA_ONLY" });
    assert_eq!(house.ok(&target("DescribeStateMachine"), brief).await["definition"], "{}");
    let absent = json!({ "stateMachineArn": arn("stateMachine:price:none") });
    assert!(house.no(&target("DescribeStateMachine"), absent).await.starts_with("StateMachineDoesNotExist"));
    let labelled = json!({ "stateMachineArn": arn("stateMachine:price/each") });
    assert!(house.no(&target("DescribeStateMachine"), labelled).await.starts_with("ValidationException"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_changed_and_listed_and_holds_its_versions() {
    let house = house().await;
    create(&house, "price", "STANDARD").await;
    let machine = json!({ "stateMachineArn": arn("stateMachine:price") });
    house.ok(&target("PublishStateMachineVersion"), machine.clone()).await;
    let update = json!({ "stateMachineArn": arn("stateMachine:price"), "definition": "{\"b\":1}", "publish": true });
    house.ok(&target("UpdateStateMachine"), update).await;
    let route = |version: u32, weight: u32| json!({ "stateMachineVersionArn": arn(&format!("stateMachine:price:{version}")), "weight": weight });
    for name in ["live", "beta"] {
        let body = json!({ "name": name, "routingConfiguration": [route(1, 100)] });
        house.ok(&target("CreateStateMachineAlias"), body).await;
    }
    let live = json!({ "stateMachineAliasArn": arn("stateMachine:price:live") });
    let change =
        json!({ "stateMachineAliasArn": live["stateMachineAliasArn"], "routingConfiguration": [route(2, 100)] });
    house.ok(&target("UpdateStateMachineAlias"), change).await;
    assert!(house.no(&target("UpdateStateMachineAlias"), live.clone()).await.starts_with("MissingRequiredParameter"));
    let described = house.ok(&target("DescribeStateMachineAlias"), live.clone()).await;
    assert_eq!(
        (&described["name"], &described["routingConfiguration"], &described["creationDate"]),
        (&json!("live"), &json!([route(2, 100)]), &json!(1_700_000_000.0))
    );
    let names = |listed: Value| -> Vec<String> {
        let rows = listed["stateMachineAliases"].as_array().unwrap().clone();
        rows.iter().map(|row| row["stateMachineAliasArn"].as_str().unwrap().to_owned()).collect()
    };
    let all = house.ok(&target("ListStateMachineAliases"), machine).await;
    assert_eq!(names(all), [arn("stateMachine:price:beta"), arn("stateMachine:price:live")]);
    let first = json!({ "stateMachineArn": arn("stateMachine:price:1") });
    assert_eq!(names(house.ok(&target("ListStateMachineAliases"), first).await), [arn("stateMachine:price:beta")]);

    let version = json!({ "stateMachineVersionArn": arn("stateMachine:price:1") });
    assert_eq!(
        house.no(&target("DeleteStateMachineVersion"), version.clone()).await,
        "ConflictException: Version to be deleted must not be referenced by an alias. Current list of aliases \
         referencing this version: [beta]"
    );
    let beta = json!({ "stateMachineAliasArn": arn("stateMachine:price:beta") });
    house.ok(&target("DeleteStateMachineAlias"), beta.clone()).await;
    house.ok(&target("DeleteStateMachineAlias"), beta.clone()).await;
    house.ok(&target("DeleteStateMachineVersion"), version).await;
    assert!(house.no(&target("DescribeStateMachineAlias"), beta.clone()).await.starts_with("ResourceNotFound"));
    let gone = json!({ "stateMachineArn": beta["stateMachineAliasArn"] });
    assert!(house.no(&target("StartExecution"), gone).await.starts_with("StateMachineDoesNotExist"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_label_came_does_not_undo_it() {
    let house = house().await;
    create(&house, "price", "STANDARD").await;
    let seen = house.kernel.get("Workflow", "price").unwrap();
    let metadata = json!({ "name": "price", "labels": { "team": "shop" }, "annotations": seen.metadata.annotations });
    let labelled =
        json!({ "apiVersion": seen.api_version, "kind": "Workflow", "metadata": metadata, "spec": seen.spec });
    let draft = house.kernel.registry().read_value(labelled).unwrap();
    house.aws.write(vec![draft]).await.unwrap();
    let refused = house.aws.hold(&seen, &serde_json::Map::new()).await.unwrap_err();
    assert_eq!(refused[0].code, "HW-KERNEL-011");
    let now = house.kernel.get("Workflow", "price").unwrap();
    assert_eq!((now.metadata.generation, now.metadata.labels["team"].as_str()), (1, "shop"));
    house.stop().await;
}
