//! EventBridge Pipes.

use super::*;

const MACHINE: &str = "arn:aws:states:eu-west-1:000000000000:stateMachine:price";
const ROLE: &str = "arn:aws:iam::000000000000:role/r";
const CHANGES: &str = "arn:aws:dynamodb:eu-west-1:000000000000:table/runs/stream/2026-11-23T00:00:00.000";

fn body(change: Value) -> Option<Value> {
    let mut body = json!({
        "Source": CHANGES, "Target": MACHINE, "RoleArn": ROLE,
        "SourceParameters": { "DynamoDBStreamParameters": { "StartingPosition": "LATEST" } },
    });
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    Some(body)
}

fn spec(house: &House, name: &str) -> Value {
    house.kernel.get("Pipe", name).unwrap().spec.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_is_a_pipe_and_says_what_was_sent() {
    let house = house().await;
    let pattern = r#"{"dynamodb": {"NewImage": {"status": {"S": ["COMPLETE"]}}}}"#;
    let sent = json!({
        "SourceParameters": {
            "FilterCriteria": { "Filters": [{ "Pattern": pattern }] },
            "DynamoDBStreamParameters":
                { "StartingPosition": "TRIM_HORIZON", "BatchSize": 25, "MaximumBatchingWindowInSeconds": 5,
                  "MaximumRetryAttempts": 3, "MaximumRecordAgeInSeconds": 600 },
        },
        "Enrichment": "arn:aws:states:eu-west-1:000000000000:stateMachine:quick",
        "EnrichmentParameters": { "InputTemplate": "{\"run\": <$.dynamodb.Keys.id.S>}" },
        "Target": format!("{MACHINE}:live"),
        "TargetParameters": { "StepFunctionStateMachineParameters": { "InvocationType": "FIRE_AND_FORGET" } },
        "Description": "d", "DesiredState": "STOPPED", "Tags": { "team": "x" },
    });
    let created = house.found("POST /v1/pipes/complete", body(sent.clone())).await;
    let arn = "arn:aws:pipes:eu-west-1:000000000000:pipe/complete";
    assert_eq!(
        created,
        json!({ "Arn": arn, "Name": "complete", "DesiredState": "STOPPED", "CurrentState": "STOPPED",
            "CreationTime": 1_700_000_000.0, "LastModifiedTime": 1_700_000_000.0 })
    );
    assert_eq!(
        spec(&house, "complete"),
        json!({
            "description": "d", "enabled": false,
            "source": { "type": "table", "table": "runs", "shape": "dynamodb", "start": "earliest" },
            "filter": [{ "dynamodb": { "NewImage": { "status": { "S": ["COMPLETE"] } } } }],
            "enrichment": { "type": "workflow", "workflow": "quick", "batch": 25,
                "input": { "template": "{\"run\": <v0>}", "variables": { "v0": "$.dynamodb.Keys.id.S" } } },
            "target": { "type": "workflow", "workflow": "price", "alias": "live",
                "delivery": { "attempts": 4, "age": "600s" } },
            "batch": { "size": 25, "window": "5s" },
        })
    );
    let described = house.found("GET /v1/pipes/complete", None).await;
    for member in sent.as_object().unwrap().keys() {
        assert_eq!(described[member], sent[member], "{member}");
    }
    assert_eq!(described["Source"], CHANGES);
    assert!(house.lost("POST /v1/pipes/complete", body(json!({}))).await.starts_with("409 ConflictException"));
    assert_eq!(house.lost("GET /v1/pipes/none", None).await, "404 NotFoundException: Pipe none does not exist.");
    let path = "/tags/arn%3Aaws%3Apipes%3Aeu-west-1%3A000000000000%3Apipe%2Fcomplete";
    house.found(&format!("POST {path}"), Some(json!({ "tags": { "env": "test" } }))).await;
    house.found(&format!("DELETE {path}?tagKeys=team"), None).await;
    let tags: serde_json::Map<String, Value> = (0..51).map(|number| (format!("t{number}"), json!("x"))).collect();
    for (request, sent) in [
        (format!("POST {path}"), Some(json!({ "tags": tags }))),
        ("POST /v1/pipes/many".to_owned(), body(json!({ "Tags": tags }))),
    ] {
        let refused = house.lost(&request, sent).await;
        assert!(refused.ends_with("a pipe has 50 tags at most"), "{request}: {refused}");
    }
    assert_eq!(house.found(&format!("GET {path}"), None).await, json!({ "tags": { "env": "test" } }));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_keeps_what_it_does_not_name() {
    let house = house().await;
    house.found("POST /v1/pipes/a", body(json!({ "Description": "d" }))).await;
    let filters = json!({ "Filters": [{ "Pattern": "{\"eventName\": [\"INSERT\"]}" }] });
    let change = json!({
        "RoleArn": ROLE, "DesiredState": "STOPPED",
        "SourceParameters": { "FilterCriteria": filters, "DynamoDBStreamParameters": { "BatchSize": 7 } },
    });
    house.found("PUT /v1/pipes/a", Some(change)).await;
    let described = house.found("GET /v1/pipes/a", None).await;
    assert_eq!(
        described["SourceParameters"],
        json!({ "FilterCriteria": filters,
            "DynamoDBStreamParameters": { "StartingPosition": "LATEST", "BatchSize": 7 } })
    );
    assert_eq!((&described["Description"], &described["Target"]), (&json!("d"), &json!(MACHINE)));
    assert_eq!(spec(&house, "a")["filter"], json!([{ "eventName": ["INSERT"] }]));
    assert_eq!(spec(&house, "a")["batch"], json!({ "size": 7 }));
    assert_eq!(house.found("POST /v1/pipes/a/start", None).await["DesiredState"], "RUNNING");
    house.found("POST /v1/pipes/b", body(json!({ "DesiredState": "STOPPED" }))).await;
    for (query, wanted) in [
        ("", vec!["a", "b"]),
        ("DesiredState=RUNNING", vec!["a"]),
        ("CurrentState=STOPPED", vec!["b"]),
        ("NamePrefix=b", vec!["b"]),
        ("SourcePrefix=arn%3Aaws%3Akinesis", vec![]),
        ("Limit=1", vec!["a"]),
    ] {
        let listed = house.found(&format!("GET /v1/pipes?{query}"), None).await;
        let names: Vec<&str> =
            listed["Pipes"].as_array().unwrap().iter().map(|pipe| pipe["Name"].as_str().unwrap()).collect();
        assert_eq!(names, wanted, "{query}");
    }
    assert_eq!(house.found("POST /v1/pipes/a/stop", None).await["CurrentState"], "STOPPED");
    assert_eq!(house.found("DELETE /v1/pipes/a", None).await["CurrentState"], "DELETING");
    assert!(house.lost("DELETE /v1/pipes/a", None).await.starts_with("404 NotFoundException"));

    // What somebody applied is shown, and not changed but for whether it runs.
    let text = "apiVersion: headwater.dev/v1\nkind: Pipe\nmetadata: {name: own}\nspec: {source: {type: stream, stream: \
                s}, target: {type: stream, stream: bus.default}}\n";
    let drafts = house.kernel.registry().read("own.yaml", text.as_bytes(), &Limits::default()).unwrap();
    house.aws.write(drafts).await.unwrap();
    let described = house.found("GET /v1/pipes/own", None).await;
    assert_eq!(
        (&described["Source"], &described["Target"]),
        (
            &json!("arn:aws:kinesis:eu-west-1:000000000000:stream/s"),
            &json!("arn:aws:events:eu-west-1:000000000000:event-bus/default")
        )
    );
    let change = Some(json!({ "RoleArn": ROLE }));
    assert!(house.lost("PUT /v1/pipes/own", change).await.starts_with("409 ConflictException"));
    assert_eq!(house.found("POST /v1/pipes/own/stop", None).await["CurrentState"], "STOPPED");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_show_their_payload() {
    let house = house().await;
    let kinesis = json!({
        "Source": "arn:aws:kinesis:eu-west-1:000000000000:stream/samples",
        "SourceParameters": {
            "KinesisStreamParameters": { "StartingPosition": "LATEST" },
            "FilterCriteria": { "Filters": [{ "Pattern": "{\"data\": {\"n\": [1]}}" }] },
        },
        "Target": "arn:aws:events:eu-west-1:000000000000:event-bus/shop",
        "TargetParameters": { "InputTemplate": "{\"n\": <$.data.n>}",
            "EventBridgeEventBusParameters": { "Source": "lab" } },
    });
    house.found("POST /v1/pipes/a", body(kinesis)).await;
    assert_eq!(
        spec(&house, "a"),
        json!({
            "source": { "type": "stream", "stream": "samples", "start": "latest" }, "filter": [{ "n": [1] }],
            "target": { "type": "stream", "stream": "bus.shop",
                "input": { "template": "{\"n\": <v0>}", "variables": { "v0": "$.n" } },
                "event": { "source": "lab", "type": "Event from aws:kinesis" } },
        })
    );
    let kafka = json!({
        "Source": "smk://localhost:9092",
        "SourceParameters": { "SelfManagedKafkaParameters": { "TopicName": "t", "StartingPosition": "TRIM_HORIZON" } },
        "Target": "arn:aws:kinesis:eu-west-1:000000000000:stream/out",
        "TargetParameters": { "KinesisStreamParameters": { "PartitionKey": "$.value.user" } },
    });
    house.found("POST /v1/pipes/b", body(kafka)).await;
    assert_eq!(
        spec(&house, "b"),
        json!({ "source": { "type": "stream", "stream": "t", "start": "earliest" },
            "target": { "type": "stream", "stream": "out", "key": "$.user" } })
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_pipe_can_do_is_refused() {
    let house = house().await;
    let lambda = "arn:aws:lambda:eu-west-1:0:function:f";
    let stream = |more: Value| {
        let mut parameters = json!({ "KinesisStreamParameters": { "StartingPosition": "LATEST" } });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "Source": "arn:aws:kinesis:eu-west-1:000000000000:stream/s", "SourceParameters": parameters })
    };
    for (change, refusal) in [
        (json!({ "Source": "arn:aws:sqs:eu-west-1:000000000000:q" }), "a pipe's source is"),
        (json!({ "Source": "arn:aws:dynamodb:eu-west-1:000000000000:table/runs" }), "a pipe's source is"),
        (json!({ "SourceParameters": { "SqsQueueParameters": {} } }), "SqsQueueParameters are not served."),
        (json!({ "SourceParameters": null }), "StartingPosition must be given"),
        (stream(json!({ "KinesisStreamParameters": { "StartingPosition": "AT_TIMESTAMP" } })), "AT_TIMESTAMP is not"),
        (
            stream(json!({ "FilterCriteria": { "Filters": [{ "Pattern": "{\"partitionKey\": [\"a\"]}" }] } })),
            "only the fields of data are seen",
        ),
        (json!({ "Target": lambda }), "a pipe's target is"),
        (json!({ "TargetParameters": { "SqsQueueParameters": {} } }), "SqsQueueParameters are not served."),
        (
            json!({ "TargetParameters": { "InputTemplate": "<aws.pipes.pipe-arn>" } }),
            "is not served in an InputTemplate",
        ),
        (json!({ "Enrichment": lambda }), "events are enriched by"),
        (json!({ "Enrichment": format!("{MACHINE}:live") }), "events are enriched by"),
        (json!({ "KmsKeyIdentifier": "k" }), "KmsKeyIdentifier is not served"),
        (json!({ "RoleArn": null }), "Value null at 'roleArn' failed"),
    ] {
        let refused = house.lost("POST /v1/pipes/a", body(change)).await;
        assert!(refused.starts_with("400 ValidationException") && refused.contains(refusal), "{refused}");
    }
    house.stop().await;
}
