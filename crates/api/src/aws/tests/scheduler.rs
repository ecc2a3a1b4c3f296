//! EventBridge Scheduler.

use super::*;

const MACHINE: &str = "arn:aws:states:eu-west-1:000000000000:stateMachine:price";
const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn arn(path: &str) -> String {
    format!("arn:aws:scheduler:eu-west-1:000000000000:{path}")
}

fn body(change: Value) -> Option<Value> {
    let mut body = json!({
        "ScheduleExpression": "rate(5 minutes)", "FlexibleTimeWindow": { "Mode": "OFF" },
        "Target": { "Arn": MACHINE, "RoleArn": ROLE },
    });
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    Some(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_a_schedule_and_says_what_was_sent() {
    let house = house().await;
    let target = json!({
        "Arn": format!("{MACHINE}:live"), "RoleArn": ROLE, "Input": "{\"n\":1}",
        "RetryPolicy": { "MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60 },
        "DeadLetterConfig": { "Arn": "arn:aws:sqs:eu-west-1:000000000000:q" },
    });
    let change = json!({
        "ScheduleExpression": "cron(0 18 ? * MON-FRI *)", "ScheduleExpressionTimezone": "Europe/Zurich",
        "FlexibleTimeWindow": { "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 90 }, "Target": target,
        "StartDate": 1_800_000_000, "EndDate": 1_900_000_000.5, "State": "DISABLED", "Description": "d",
        "ActionAfterCompletion": "DELETE",
    });
    let created = house.found("POST /schedules/night", body(change)).await;
    assert_eq!(created, json!({ "ScheduleArn": arn("schedule/default/night") }));
    assert_eq!(
        house.kernel.get("Schedule", "night").unwrap().spec,
        json!({
            "expression": "cron(0 18 ? * MON-FRI *)", "timezone": "Europe/Zurich", "flexibleWindow": "90m",
            "start": "2027-01-15T08:00:00Z", "end": "2030-03-17T17:46:40.500Z", "enabled": false, "description": "d",
            "afterwards": "delete",
            "targets": [{ "type": "workflow", "workflow": "price", "alias": "live", "input": { "constant": { "n": 1 } },
                "delivery": { "attempts": 3, "age": "60s" } }],
        })
    );
    let got = house.found("GET /schedules/night", None).await;
    for (member, value) in [
        ("Arn", json!(arn("schedule/default/night"))),
        ("GroupName", json!("default")),
        ("Target", target),
        ("FlexibleTimeWindow", json!({ "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 90 })),
        ("StartDate", json!(1_800_000_000.0)),
        ("EndDate", json!(1_900_000_000.5)),
        ("State", json!("DISABLED")),
        ("ActionAfterCompletion", json!("DELETE")),
        ("CreationDate", json!(1_700_000_000.0)),
    ] {
        assert_eq!(got[member], value, "{member}");
    }
    // What a change does not name is as if it were new.
    house.found("PUT /schedules/night", body(json!({}))).await;
    let spec = house.kernel.get("Schedule", "night").unwrap().spec.clone();
    assert_eq!(
        spec,
        json!({ "expression": "rate(5 minutes)", "targets": [{ "type": "workflow", "workflow": "price" }] })
    );
    assert_eq!(house.found("DELETE /schedules/night?clientToken=x", None).await, json!({}));
    assert_eq!(
        house.lost("GET /schedules/night", None).await,
        "404 ResourceNotFoundException: Schedule night does not exist."
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_taken_once_in_a_group() {
    let house = house().await;
    let first = body(json!({ "ClientToken": "t1" }));
    let created = house.found("POST /schedules/a", first.clone()).await;
    assert_eq!(house.found("POST /schedules/a", first).await, created, "the same request again");
    assert_eq!(
        house.lost("POST /schedules/a", body(json!({ "ClientToken": "t2" }))).await,
        "409 ConflictException: Schedule a already exists."
    );
    let grouped = body(json!({ "GroupName": "g" }));
    assert_eq!(
        house.lost("POST /schedules/a", grouped.clone()).await,
        "404 ResourceNotFoundException: Schedule group g does not exist."
    );
    let tags = json!({ "Tags": [{ "Key": "team", "Value": "x" }] });
    let group = house.found("POST /schedule-groups/g", Some(tags.clone())).await;
    assert_eq!(group, json!({ "ScheduleGroupArn": arn("schedule-group/g") }));
    assert!(house.lost("POST /schedule-groups/g", None).await.starts_with("409 ConflictException"));
    let created = house.found("POST /schedules/a", grouped).await;
    assert_eq!(created, json!({ "ScheduleArn": arn("schedule/g/a") }));
    assert_eq!(house.kernel.get("Schedule", "g.a").unwrap().spec["deadLetter"], "schedules.g");

    let listed = house.found("GET /schedules?MaxResults=1", None).await;
    assert_eq!(
        (&listed["Schedules"][0]["GroupName"], &listed["Schedules"][0]["Target"]),
        (&json!("default"), &json!({ "Arn": MACHINE }))
    );
    let next = listed["NextToken"].as_str().unwrap();
    let rest = house.found(&format!("GET /schedules?NextToken={next}"), None).await;
    assert_eq!(rest["Schedules"].as_array().unwrap().len(), 1);
    assert_eq!(rest["Schedules"][0]["GroupName"], "g");
    for (query, count) in
        [("ScheduleGroup=g", 1), ("ScheduleGroup=default", 1), ("State=DISABLED", 0), ("NamePrefix=a", 2)]
    {
        let listed = house.found(&format!("GET /schedules?{query}"), None).await;
        assert_eq!(listed["Schedules"].as_array().unwrap().len(), count, "{query}");
    }

    let path = "/tags/arn%3Aaws%3Ascheduler%3Aeu-west-1%3A000000000000%3Aschedule-group%2Fg";
    assert_eq!(house.found(&format!("GET {path}"), None).await, tags);
    house.found(&format!("DELETE {path}?TagKeys=team"), None).await;
    assert_eq!(house.found(&format!("GET {path}"), None).await, json!({ "Tags": [] }));
    let groups = house.found("GET /schedule-groups", None).await;
    let names: Vec<&Value> = groups["ScheduleGroups"].as_array().unwrap().iter().map(|group| &group["Name"]).collect();
    assert_eq!(names, [&json!("default"), &json!("g")]);
    assert_eq!(house.found("GET /schedule-groups/default", None).await["State"], "ACTIVE");
    house.found("DELETE /schedule-groups/g", None).await;
    assert!(house.lost("GET /schedules/a?groupName=g", None).await.starts_with("404 ResourceNotFoundException"));
    assert!(house.lost("GET /schedule-groups/g", None).await.starts_with("404 ResourceNotFoundException"));
    assert!(house.lost("DELETE /schedule-groups/default", None).await.starts_with("400 ValidationException"));
    house.found("GET /schedules/a", None).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_schedule_can_do_is_refused() {
    let house = house().await;
    let bus = "arn:aws:events:eu-west-1:000000000000:event-bus/default";
    let to = |change: Value| {
        let mut target = json!({ "Arn": MACHINE, "RoleArn": ROLE });
        target.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "Target": target })
    };
    for (change, refusal) in [
        (to(json!({ "Arn": "arn:aws:lambda:eu-west-1:0:function:f" })), "is not served: a schedule's target is"),
        (to(json!({ "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage" })), "is not served: universal targets are"),
        (to(json!({ "Arn": "arn:aws:scheduler:::aws-sdk:dynamodb:putItem" })), "Input of a universal target must"),
        (to(json!({ "Arn": "price" })), "Provided Arn price is not valid."),
        (to(json!({ "Arn": bus })), "EventBridgeParameters must be given for an event bus."),
        (to(json!({ "Input": "{" })), "Provided Input is not valid JSON"),
        (to(json!({ "Input": "\"<aws.scheduler.execution-id>\"" })), "Context attributes"),
        (to(json!({ "SqsParameters": { "MessageGroupId": "g" } })), "SqsParameters are not served for any target."),
        (json!({ "FlexibleTimeWindow": { "Mode": "FLEXIBLE" } }), "MaximumWindowInMinutes must be given"),
        (json!({ "KmsKeyArn": "arn:aws:kms:eu-west-1:000000000000:key/k" }), "KmsKeyArn is not served"),
        (json!({ "ScheduleExpression": null }), "Value null at 'scheduleExpression' failed"),
    ] {
        let refused = house.lost("POST /schedules/a", body(change)).await;
        assert!(refused.starts_with("400 ValidationException") && refused.contains(refusal), "{refused}");
    }
    let event = json!({ "Arn": bus, "EventBridgeParameters": { "DetailType": "Tick", "Source": "clock" },
        "Input": "{\"n\":1}" });
    house.found("POST /schedules/a", body(to(event))).await;
    assert_eq!(
        house.kernel.get("Schedule", "a").unwrap().spec["targets"],
        json!([{ "type": "stream", "stream": "bus.default", "input": { "constant": { "n": 1 } },
            "event": { "source": "clock", "type": "Tick" } }])
    );
    assert_eq!(house.at("PATCH /schedules/a", None).await.0, 404);
    let call = json!({ "Arn": "arn:aws:scheduler:::aws-sdk:dynamodb:deleteItem", "RoleArn": ROLE,
        "Input": "{\"TableName\":\"runs\",\"Key\":{\"id\":{\"S\":\"a\"}}}", "RetryPolicy": { "MaximumRetryAttempts": 1 } });
    house.found("POST /schedules/sweep", body(json!({ "Target": call }))).await;
    assert_eq!(
        house.kernel.get("Schedule", "sweep").unwrap().spec["targets"],
        json!([{ "type": "task", "task": "dynamodb:deleteItem", "delivery": { "attempts": 2 },
            "input": { "constant": { "TableName": "runs", "Key": { "id": { "S": "a" } } } } }])
    );
    assert_eq!(house.found("GET /schedules/sweep", None).await["Target"], call);
    house.stop().await;
}
