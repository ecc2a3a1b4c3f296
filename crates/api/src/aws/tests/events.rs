//! EventBridge.

use super::*;

fn arn(path: &str) -> String {
    format!("arn:aws:events:eu-west-1:000000000000:{path}")
}

fn target(operation: &str) -> String {
    format!("AWSEvents.{operation}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_an_event_and_one_that_is_none_keeps_no_other_back() {
    let house = house().await;
    let entry = json!({ "Source": "shop", "DetailType": "Placed", "Detail": "{\"n\":1}", "Time": 1_700_000_000.5,
        "Resources": ["a"] });
    let entries = json!([
        entry,
        { "DetailType": "Placed", "Detail": "{}" },
        { "Source": "shop", "DetailType": "Placed" },
        { "Source": "shop", "DetailType": "Placed", "Detail": "{" },
        { "Source": "shop", "DetailType": "Placed", "Detail": "[]" },
        { "Source": "aws.ec2", "DetailType": "Placed", "Detail": "{}" },
        { "Source": "shop", "DetailType": "Placed", "Detail": "{}", "EventBusName": "none" },
        { "Source": "shop", "DetailType": "Refused", "Detail": "{}" },
        { "Source": "shop", "DetailType": "Paid", "Detail": "{}", "EventBusName": arn("event-bus/default") },
    ]);
    let answer = house.ok(&target("PutEvents"), json!({ "Entries": entries })).await;
    assert_eq!(
        answer,
        json!({ "FailedEntryCount": 7, "Entries": [
            { "EventId": "id-of-Placed" },
            { "ErrorCode": "InvalidArgument",
              "ErrorMessage": "Parameter Source is not valid. Reason: Source is a required argument." },
            { "ErrorCode": "InvalidArgument",
              "ErrorMessage": "Parameter Detail is not valid. Reason: Detail is a required argument." },
            { "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." },
            { "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." },
            { "ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source." },
            { "ErrorCode": "ResourceNotFoundException", "ErrorMessage": "Event bus none does not exist." },
            { "ErrorCode": "InvalidArgument", "ErrorMessage": "as the double says [HW-BUS-001]" },
            { "EventId": "id-of-Paid" },
        ] })
    );
    let (bus, event) = house.buses.events.lock()[0].clone();
    assert_eq!((bus.as_str(), event.source.as_str(), event.kind.as_str()), ("default", "shop", "Placed"));
    assert_eq!((event.time, event.detail), (Some(Micros(1_700_000_000_500_000)), "{\"n\":1}".into()));
    assert_eq!(
        house.no(&target("PutEvents"), json!({ "Entries": [] })).await,
        "ValidationException: 1 validation error detected: Value '[]' at 'entries' failed to satisfy constraint: \
         Member must have length greater than or equal to 1"
    );
    let eleven = vec![entry; 11];
    assert!(house.no(&target("PutEvents"), json!({ "Entries": eleven })).await.contains("less than or equal to 10"));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(600_000));
    let large = json!({ "Source": "shop", "DetailType": "Placed", "Detail": large });
    assert_eq!(
        house.no(&target("PutEvents"), json!({ "Entries": [large, large] })).await,
        "ValidationException: Total size of the entries in the request is over the limit."
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_is_a_stream() {
    let house = house().await;
    let created = house.ok(&target("CreateEventBus"), json!({ "Name": "orders", "Description": "of the shop" })).await;
    assert_eq!(created, json!({ "EventBusArn": arn("event-bus/orders"), "Description": "of the shop" }));
    assert_eq!(house.kernel.get("Stream", "bus.orders").unwrap().spec, json!({ "description": "of the shop" }));
    assert_eq!(
        house.no(&target("CreateEventBus"), json!({ "Name": "orders" })).await,
        "ResourceAlreadyExistsException: Event bus orders already exists."
    );
    assert_eq!(
        house.no(&target("CreateEventBus"), json!({ "Name": "a/b" })).await,
        "ValidationException: Event bus name must not contain '/'."
    );
    let described = house.ok(&target("DescribeEventBus"), json!({ "Name": arn("event-bus/orders") })).await;
    assert_eq!((&described["Name"], &described["Description"]), (&json!("orders"), &json!("of the shop")));
    let change = json!({ "Name": "orders", "Description": "of both shops" });
    let changed = house.ok(&target("UpdateEventBus"), change).await;
    let wanted = json!({ "Name": "orders", "Arn": arn("event-bus/orders"), "Description": "of both shops" });
    assert_eq!(changed, wanted);
    assert_eq!(house.kernel.get("Stream", "bus.orders").unwrap().spec, json!({ "description": "of both shops" }));
    assert_eq!(
        house.no(&target("UpdateEventBus"), json!({ "Name": "none" })).await,
        "ResourceNotFoundException: Event bus none does not exist."
    );
    let names = |listed: &Value| -> Vec<String> {
        listed["EventBuses"].as_array().unwrap().iter().map(|bus| bus["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&house.ok(&target("ListEventBuses"), json!({})).await), ["default", "orders"]);
    assert_eq!(names(&house.ok(&target("ListEventBuses"), json!({ "NamePrefix": "or" })).await), ["orders"]);
    let rule = json!({ "Name": "r", "EventBusName": "orders", "EventPattern": "{\"source\":[\"a\"]}" });
    house.ok(&target("PutRule"), rule).await;
    assert_eq!(
        house.no(&target("DeleteEventBus"), json!({ "Name": "orders" })).await,
        "ValidationException: Event bus can't be deleted since it has rules."
    );
    house.ok(&target("DeleteRule"), json!({ "Name": "r", "EventBusName": "orders" })).await;
    house.ok(&target("DeleteEventBus"), json!({ "Name": "orders" })).await;
    house.ok(&target("DeleteEventBus"), json!({ "Name": "orders" })).await;
    assert_eq!(
        house.no(&target("DescribeEventBus"), json!({ "Name": "orders" })).await,
        "ResourceNotFoundException: Event bus orders does not exist."
    );
    assert_eq!(
        house.no(&target("DeleteEventBus"), json!({ "Name": "default" })).await,
        "ValidationException: Cannot delete event bus default."
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_a_rule_and_its_name_is_its_buses() {
    let house = house().await;
    house.ok(&target("CreateEventBus"), json!({ "Name": "orders" })).await;
    let sent = "{ \"source\" : [\"shop\"] }";
    for bus in ["default", "orders"] {
        let put =
            json!({ "Name": "r", "EventBusName": bus, "EventPattern": sent, "State": "DISABLED", "RoleArn": "x" });
        let path = if bus == "default" { "rule/r" } else { "rule/orders/r" };
        assert_eq!(house.ok(&target("PutRule"), put).await, json!({ "RuleArn": arn(path) }));
    }
    let rule = house.kernel.get("Rule", "orders.r").unwrap();
    assert_eq!(
        rule.spec,
        json!({ "source": "bus.orders", "enabled": false, "pattern": { "source": ["shop"] }, "targets": [] })
    );
    let described = house.ok(&target("DescribeRule"), json!({ "Name": "r", "EventBusName": "orders" })).await;
    assert_eq!(
        described,
        json!({ "Name": "r", "Arn": arn("rule/orders/r"), "EventPattern": sent, "State": "DISABLED", "RoleArn": "x",
            "EventBusName": "orders", "CreatedBy": "000000000000" })
    );
    house.ok(&target("EnableRule"), json!({ "Name": "r" })).await;
    assert_eq!(house.kernel.get("Rule", "r").unwrap().spec["enabled"], true);
    house.ok(&target("DisableRule"), json!({ "Name": "r" })).await;
    assert_eq!(house.ok(&target("DescribeRule"), json!({ "Name": "r" })).await["State"], "DISABLED");
    house.ok(&target("PutRule"), json!({ "Name": "s", "ScheduleExpression": "rate(5 minutes)" })).await;
    let listed = house.ok(&target("ListRules"), json!({ "NamePrefix": "s" })).await;
    assert_eq!(listed["Rules"][0]["ScheduleExpression"], "rate(5 minutes)");
    assert_eq!(
        house.no(&target("PutRule"), json!({ "Name": "t" })).await,
        "ValidationException: Parameter(s) EventPattern or ScheduleExpression must be specified."
    );
    assert_eq!(
        house.no(&target("PutRule"), json!({ "Name": "t", "EventPattern": "{\"a\":1}" })).await,
        "InvalidEventPatternException: Event pattern is not valid. Reason: \"a\" must be an object or an array"
    );
    let schedule = json!({ "Name": "t", "EventBusName": "orders", "ScheduleExpression": "rate(5 minutes)" });
    assert_eq!(
        house.no(&target("PutRule"), schedule).await,
        "ValidationException: ScheduleExpression is supported only on the default event bus."
    );
    assert_eq!(
        house.no(&target("DescribeRule"), json!({ "Name": "t" })).await,
        "ResourceNotFoundException: Rule t does not exist on EventBus default."
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_come_back_as_they_were_sent_and_are_the_rules_own() {
    let house = house().await;
    house.ok(&target("PutRule"), json!({ "Name": "r", "EventPattern": "{\"source\":[\"shop\"]}" })).await;
    let targets = json!([
        { "Id": "flow", "Arn": "arn:aws:states:eu-west-1:000000000000:stateMachine:price", "RoleArn": "x",
          "InputTransformer": { "InputPathsMap": { "n": "$.detail.n" }, "InputTemplate": "{\"n\": <n>}" },
          "RetryPolicy": { "MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60 } },
        { "Id": "bus", "Arn": arn("event-bus/orders") },
        { "Id": "web", "Arn": arn("api-destination/crm/0f-1"), "Input": "{\"a\": 1}" },
        { "Id": "log", "Arn": "arn:aws:logs:eu-west-1:000000000000:log-group:/aws/events/x" },
        { "Id": "stream", "Arn": "arn:aws:kinesis:eu-west-1:000000000000:stream/clicks",
          "KinesisParameters": { "PartitionKeyPath": "$.detail.user" }, "InputPath": "$.detail" },
    ]);
    let put = json!({ "Rule": "r", "Targets": targets });
    assert_eq!(
        house.ok(&target("PutTargets"), put.clone()).await,
        json!({ "FailedEntryCount": 0, "FailedEntries": [] })
    );
    assert_eq!(
        house.kernel.get("Rule", "r").unwrap().spec["targets"],
        json!([
            { "type": "workflow", "workflow": "price", "input": { "template": "{\"n\": <n>}", "variables": { "n": "$.detail.n" } },
              "delivery": { "attempts": 3, "age": "60s" } },
            { "type": "stream", "stream": "bus.orders" },
            { "type": "destination", "destination": "crm", "input": { "constant": { "a": 1 } } },
            { "type": "log", "note": "/aws/events/x" },
            { "type": "stream", "stream": "clicks", "input": { "path": "$.detail" }, "key": "$.detail.user" },
        ])
    );
    let listed = house.ok(&target("ListTargetsByRule"), json!({ "Rule": "r" })).await;
    assert_eq!(listed["Targets"], targets);
    house.ok(&target("PutTargets"), put).await;
    let by = house.ok(&target("ListRuleNamesByTarget"), json!({ "TargetArn": arn("event-bus/orders") })).await;
    assert_eq!(by["RuleNames"], json!(["r"]));
    assert_eq!(
        house.no(&target("DeleteRule"), json!({ "Name": "r" })).await,
        "ValidationException: Rule can't be deleted since it has targets."
    );
    let ids = json!({ "Rule": "r", "Ids": ["flow", "bus", "web", "log", "stream", "none"] });
    let removed = house.ok(&target("RemoveTargets"), ids).await;
    assert_eq!((&removed["FailedEntryCount"], &removed["FailedEntries"][0]["TargetId"]), (&json!(1), &json!("none")));
    house.ok(&target("DeleteRule"), json!({ "Name": "r" })).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_nothing_here_can_follow_is_refused() {
    let house = house().await;
    house.ok(&target("PutRule"), json!({ "Name": "r", "EventPattern": "{\"source\":[\"shop\"]}" })).await;
    let put = |mut more: Value, arn: &str| {
        more["Id"] = "t".into();
        more["Arn"] = arn.into();
        json!({ "Rule": "r", "Targets": [more] })
    };
    let bus = arn("event-bus/orders");
    let queue = "arn:aws:sqs:eu-west-1:000000000000:q";
    assert!(house.no(&target("PutTargets"), put(json!({}), queue)).await.contains("a sqs target is not served"));
    assert_eq!(
        house.no(&target("PutTargets"), put(json!({}), "queue")).await,
        "ValidationException: Parameter queue is not valid. Reason: Provided Arn is not in correct format."
    );
    let transformer = |template: &str| json!({ "InputPathsMap": { "a": "$.detail" }, "InputTemplate": template });
    let both = json!({ "InputPath": "$.detail", "InputTransformer": transformer("<a>") });
    assert_eq!(
        house.no(&target("PutTargets"), put(both, &bus)).await,
        "ValidationException: Only one of Input, InputPath, or InputTransformer must be provided for target t."
    );
    let undefined = json!({ "InputTransformer": transformer("\"<notdefinedkey>\"") });
    assert_eq!(
        house.no(&target("PutTargets"), put(undefined, &bus)).await,
        "ValidationException: InputTemplate for target t contains invalid placeholder notdefinedkey."
    );
    let parameters = json!({ "SqsParameters": { "MessageGroupId": "g" } });
    assert!(house.no(&target("PutTargets"), put(parameters, &bus)).await.contains("SqsParameters is not served"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_and_their_replays() {
    let house = house().await;
    let create = json!({ "ArchiveName": "a", "EventSourceArn": arn("event-bus/default"), "RetentionDays": 30,
        "EventPattern": "{\"source\": [\"shop\"]}" });
    let created = house.ok(&target("CreateArchive"), create.clone()).await;
    assert_eq!((&created["ArchiveArn"], &created["State"]), (&json!(arn("archive/a")), &json!("ENABLED")));
    assert_eq!(
        house.kernel.get("Archive", "a").unwrap().spec,
        json!({ "source": "bus.default", "pattern": { "source": ["shop"] }, "retention": "30d" })
    );
    assert_eq!(
        house.no(&target("CreateArchive"), create).await,
        "ResourceAlreadyExistsException: Archive a already exists."
    );
    let keyed = json!({ "ArchiveName": "a", "KmsKeyIdentifier": "k" });
    assert_eq!(
        house.no(&target("UpdateArchive"), keyed).await,
        "ValidationException: KmsKeyIdentifier is not served: keys are not the client's."
    );
    house.ok(&target("UpdateArchive"), json!({ "ArchiveName": "a", "RetentionDays": 0, "Description": "d" })).await;
    let described = house.ok(&target("DescribeArchive"), json!({ "ArchiveName": "a" })).await;
    assert_eq!(
        (&described["RetentionDays"], &described["Description"], &described["EventPattern"], &described["EventCount"]),
        (&json!(0), &json!("d"), &json!("{\"source\": [\"shop\"]}"), &json!(0))
    );
    let listed = house.ok(&target("ListArchives"), json!({ "EventSourceArn": arn("event-bus/default") })).await;
    assert_eq!(listed["Archives"][0]["ArchiveName"], "a");
    assert_eq!(house.ok(&target("ListArchives"), json!({ "NamePrefix": "b" })).await, json!({ "Archives": [] }));
    house.ok(&target("PutRule"), json!({ "Name": "r", "EventPattern": "{\"source\":[\"shop\"]}" })).await;
    let start = |name: &str, from: f64, to: f64, bus: &str| {
        json!({ "ReplayName": name, "Description": "once more", "EventSourceArn": arn("archive/a"),
            "EventStartTime": from, "EventEndTime": to,
            "Destination": { "Arn": arn(bus), "FilterArns": [arn("rule/r")] } })
    };
    let started = house.ok(&target("StartReplay"), start("p", 1.5, 9.0, "event-bus/default")).await;
    assert_eq!((&started["ReplayArn"], &started["State"]), (&json!(arn("replay/p")), &json!("STARTING")));
    for (body, said) in [
        (start("p", 1.5, 9.0, "event-bus/default"), "ResourceAlreadyExistsException: Replay p already exists."),
        (
            start("q", 9.0, 9.0, "event-bus/default"),
            "ValidationException: Parameter EventEndTime is not valid. Reason: EventStartTime must be before \
             EventEndTime.",
        ),
        (
            start("q", 1.0, 9.0, "event-bus/other"),
            "ValidationException: Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not \
             permitted.",
        ),
    ] {
        assert_eq!(house.no(&target("StartReplay"), body).await, said);
    }
    let described = house.ok(&target("DescribeReplay"), json!({ "ReplayName": "p" })).await;
    assert_eq!(
        described,
        json!({ "ReplayName": "p", "ReplayArn": arn("replay/p"), "EventSourceArn": arn("archive/a"),
            "Description": "once more", "State": "RUNNING", "EventStartTime": 1.5, "EventEndTime": 9.0,
            "Destination": { "Arn": arn("event-bus/default"), "FilterArns": [arn("rule/r")] } })
    );
    assert_eq!(house.ok(&target("ListReplays"), json!({ "State": "FAILED" })).await, json!({ "Replays": [] }));
    // One that ends in the moment in which it is cancelled, and one too many.
    house.ok(&target("StartReplay"), start("ends", 1.5, 9.0, "event-bus/default")).await;
    assert_eq!(
        house.no(&target("StartReplay"), start("q", 1.5, 9.0, "event-bus/default")).await,
        "LimitExceededException: as the double says"
    );
    assert_eq!(
        house.no(&target("CancelReplay"), json!({ "ReplayName": "ends" })).await,
        "IllegalStatusException: Replay ends is not in a valid state for this operation."
    );
    house.ok(&target("CancelReplay"), json!({ "ReplayName": "p" })).await;
    house.ok(&target("DeleteArchive"), json!({ "ArchiveName": "a" })).await;
    assert_eq!(
        house.no(&target("DescribeArchive"), json!({ "ArchiveName": "a" })).await,
        "ResourceNotFoundException: Archive a does not exist."
    );
    house.stop().await;
}

/// Everything in a folder, as text.
fn everything(folder: &std::path::Path) -> Vec<(std::path::PathBuf, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything(&path));
        } else {
            all.push((path.clone(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connections_secret_is_in_its_file_and_nowhere_else() {
    let house = house().await;
    let parameters = json!({ "BasicAuthParameters": { "Username": "u", "Password": "hunter2-first" } });
    let create = json!({ "Name": "crm", "AuthorizationType": "BASIC", "AuthParameters": parameters });
    let created = house.ok(&target("CreateConnection"), create.clone()).await;
    assert_eq!(created["ConnectionState"], "AUTHORIZED");
    let secret = house.kernel.get("Secret", "connection.crm").unwrap();
    assert_eq!(secret.spec, json!({ "from": { "file": "secrets/connection.crm" } }));
    assert_eq!(house.kernel.secrets().read("connection.crm").unwrap(), "hunter2-first");
    let described = house.ok(&target("DescribeConnection"), json!({ "Name": "crm" })).await;
    assert_eq!(
        (&described["AuthorizationType"], &described["AuthParameters"]),
        (&json!("BASIC"), &json!({ "BasicAuthParameters": { "Username": "u" } }))
    );
    assert!(house.no(&target("CreateConnection"), create.clone()).await.starts_with("ResourceAlreadyExistsException"));
    let private = json!({ "ResourceParameters": { "ResourceConfigurationArn": "r" } });
    for (place, member, value) in [
        ("", "KmsKeyIdentifier", json!("k")),
        ("", "InvocationConnectivityParameters", private.clone()),
        ("/AuthParameters", "ConnectivityParameters", private),
    ] {
        let mut asked = create.clone();
        asked["Name"] = json!("other");
        asked.pointer_mut(place).unwrap()[member] = value;
        let refused = house.no(&target("CreateConnection"), asked).await;
        assert!(refused.starts_with("ValidationException: ") && refused.contains("not served"), "{refused}");
    }
    let destination = json!({ "Name": "tickets", "ConnectionArn": created["ConnectionArn"], "HttpMethod": "POST",
        "InvocationEndpoint": "https://crm.example.com/tickets" });
    let made = house.ok(&target("CreateApiDestination"), destination).await;
    assert_eq!(made["ApiDestinationState"], "ACTIVE");
    let described = house.ok(&target("DescribeApiDestination"), json!({ "Name": "tickets" })).await;
    assert_eq!(
        (&described["ConnectionArn"], &described["InvocationEndpoint"], &described["InvocationRateLimitPerSecond"]),
        (&created["ConnectionArn"], &json!("https://crm.example.com/tickets"), &json!(300))
    );
    let change = json!({ "Name": "tickets", "HttpMethod": "PUT", "InvocationRateLimitPerSecond": 5 });
    house.ok(&target("UpdateApiDestination"), change).await;
    let tickets = house.kernel.get("Destination", "tickets").unwrap();
    assert_eq!(
        (&tickets.spec["method"], &tickets.spec["rate"], &tickets.spec["url"]),
        (&json!("PUT"), &json!(5), &json!("https://crm.example.com/tickets"))
    );
    let by_connection = json!({ "ConnectionArn": created["ConnectionArn"] });
    let listed = house.ok(&target("ListApiDestinations"), by_connection).await;
    assert_eq!(listed["ApiDestinations"][0]["Name"], "tickets");
    let listed = house.ok(&target("ListApiDestinations"), json!({ "NamePrefix": "other" })).await;
    assert_eq!(listed, json!({ "ApiDestinations": [] }));
    let change = json!({ "Name": "crm", "AuthorizationType": "API_KEY",
        "AuthParameters": { "ApiKeyAuthParameters": { "ApiKeyName": "x-key", "ApiKeyValue": "hunter2-second" } } });
    house.ok(&target("UpdateConnection"), change).await;
    assert_eq!(house.kernel.secrets().read("connection.crm").unwrap(), "hunter2-second");
    assert_eq!(house.kernel.get("Destination", "tickets").unwrap().spec["auth"]["type"], "apiKey");
    let bare = json!({ "Name": "crm", "AuthorizationType": "BASIC",
        "AuthParameters": { "BasicAuthParameters": { "Username": "u" } } });
    assert!(house.no(&target("UpdateConnection"), bare).await.contains("credentials of the authorization type"));
    let hidden = json!({ "Name": "crm", "AuthParameters": { "InvocationHttpParameters": {
        "HeaderParameters": [{ "Key": "x", "Value": "hunter2-third", "IsValueSecret": true }] } } });
    assert!(house.no(&target("UpdateConnection"), hidden).await.contains("secret HTTP parameters are not served"));
    let wrong = json!({ "Name": "crm", "AuthorizationType": "BASIC",
        "AuthParameters": { "ApiKeyAuthParameters": { "ApiKeyName": "x", "ApiKeyValue": "hunter2-fourth" } } });
    assert!(house.no(&target("UpdateConnection"), wrong).await.contains("credentials of another type than BASIC"));
    house.ok(&target("DeauthorizeConnection"), json!({ "Name": "crm" })).await;
    let listed = house.ok(&target("ListConnections"), json!({ "ConnectionState": "DEAUTHORIZED" })).await;
    assert_eq!(listed["Connections"][0]["Name"], "crm");
    house.ok(&target("DeleteConnection"), json!({ "Name": "crm" })).await;
    let described = house.ok(&target("DescribeApiDestination"), json!({ "Name": "tickets" })).await;
    assert_eq!(described["ApiDestinationState"], "INACTIVE");
    house.ok(&target("DeleteApiDestination"), json!({ "Name": "tickets" })).await;
    let gone = house.no(&target("DescribeApiDestination"), json!({ "Name": "tickets" })).await;
    assert!(gone.starts_with("ResourceNotFoundException: "), "{gone}");
    let folder = house.stop().await;
    for (path, text) in everything(folder.path()) {
        assert!(!text.contains("hunter2"), "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_are_tried_in_the_services_words() {
    let house = house().await;
    let event = json!({ "id": "1", "detail-type": "t", "source": "shop", "account": "1", "time": "2026-01-01T00:00:00Z",
        "region": "r", "detail": {} });
    let test = |pattern: &str, event: &str| json!({ "EventPattern": pattern, "Event": event });
    let event = event.to_string();
    let answer = house.ok(&target("TestEventPattern"), test("{\"source\":[\"shop\"]}", &event)).await;
    assert_eq!(answer, json!({ "Result": true }));
    let answer = house.ok(&target("TestEventPattern"), test("{\"source\":[\"other\"]}", &event)).await;
    assert_eq!(answer, json!({ "Result": false }));
    assert_eq!(
        house.no(&target("TestEventPattern"), test("{\"source\":[\"shop\"]}", "{}")).await,
        "ValidationException: Parameter Event is not valid."
    );
    assert_eq!(
        house.no(&target("TestEventPattern"), test("[]", &event)).await,
        "InvalidEventPatternException: Event pattern is not valid. Reason: Filter is not an object"
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_no_resource_made_is_adopted_with_its_first_tag() {
    let house = house().await;
    let made = headwater_log::StreamConfig {
        partitions: 3,
        ..headwater_kernel::kinds::stream::default_config(&Limits::default())
    };
    house.kernel.log().create(headwater_base::Name::new("bus.made").unwrap(), made, Vec::new()).await.unwrap();
    let tags = json!([{ "Key": "team", "Value": "shop" }]);
    house.ok(&target("TagResource"), json!({ "ResourceARN": arn("event-bus/made"), "Tags": tags })).await;
    let adopted = house.kernel.get("Stream", "bus.made").unwrap();
    assert_eq!((adopted.metadata.generation, &adopted.metadata.labels), (1, &Default::default()));
    assert_eq!(house.kernel.log().stream("bus.made").unwrap().config.partitions, 3);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_buses_have_tags() {
    let house = house().await;
    let tags = json!([{ "Key": "team", "Value": "shop" }]);
    let rule = json!({ "Name": "r", "EventPattern": "{\"source\":[\"shop\"]}", "Tags": tags });
    house.ok(&target("PutRule"), rule).await;
    house.ok(&target("CreateEventBus"), json!({ "Name": "orders", "Tags": tags })).await;
    for named in [arn("rule/r"), arn("event-bus/orders")] {
        let listed = house.ok(&target("ListTagsForResource"), json!({ "ResourceARN": named })).await;
        assert_eq!(listed["Tags"], tags, "{named}");
        house.ok(&target("UntagResource"), json!({ "ResourceARN": named, "TagKeys": ["team"] })).await;
        let listed = house.ok(&target("ListTagsForResource"), json!({ "ResourceARN": named })).await;
        assert_eq!(listed["Tags"], json!([]), "{named}");
    }
    house.stop().await;
}
