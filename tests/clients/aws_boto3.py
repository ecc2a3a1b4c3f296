"""ENDPOINT: what programs do with Step Functions, EventBridge, its Scheduler and its Pipes through boto3, against a node.
Silent if all is well."""
import datetime
import json
import sys
import time

import boto3
from botocore.config import Config

(endpoint,) = sys.argv[1:]
# StartSyncExecution and TestState put `sync-` before the host, which a local address cannot have.
settings = dict(
    endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id="123456789012", aws_secret_access_key="any",
    config=Config(inject_host_prefix=False, retries={"max_attempts": 1}),
)
sfn, events = boto3.client("stepfunctions", **settings), boto3.client("events", **settings)
scheduler, pipes = boto3.client("scheduler", **settings), boto3.client("pipes", **settings)
ROLE = "arn:aws:iam::123456789012:role/any"


def until(what, condition, patience=60):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    sys.exit(f"waited {patience} s until {what}")


def refused(exception, call, **members):
    try:
        call(**members)
    except exception as error:
        return str(error)
    sys.exit(f"{call.__name__} was not refused with {exception.__name__}")


def machine(name, states, start="A", kind="STANDARD"):
    definition = json.dumps({"StartAt": start, "States": states})
    return sfn.create_state_machine(name=name, definition=definition, roleArn=ROLE, type=kind)["stateMachineArn"]


def ended(execution):
    def described():
        found = sfn.describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    return until(f"{execution} has ended", described)


# State machines.
states = {"A": {"Type": "Pass", "Result": {"priced": True}, "ResultPath": "$.more", "End": True}}
price = machine("price", states)
assert price == "arn:aws:states:eu-west-1:123456789012:stateMachine:price", price
assert machine("price", states) == price, "creating the same again answers it"
refused(sfn.exceptions.StateMachineAlreadyExists, machine, name="price", states={"A": {"Type": "Succeed"}})
refused(sfn.exceptions.InvalidDefinition, machine, name="broken", states={"A": {"Type": "Pass", "Next": "Nowhere"}})
described = sfn.describe_state_machine(stateMachineArn=price)
assert json.loads(described["definition"])["States"] == states and described["roleArn"] == ROLE, described
sfn.tag_resource(resourceArn=price, tags=[{"key": "team", "value": "genomics"}])
assert sfn.list_tags_for_resource(resourceArn=price)["tags"] == [{"key": "team", "value": "genomics"}]
for number in range(3):
    machine(f"other-{number}", states)
pages = sfn.get_paginator("list_state_machines").paginate(PaginationConfig={"PageSize": 2})
assert {"price", "other-0", "other-2"} <= {row["name"] for page in pages for row in page["stateMachines"]}

# Executions.
started = sfn.start_execution(stateMachineArn=price, name="run-1", input='{"n": 1}')
done = ended(started["executionArn"])
assert done["status"] == "SUCCEEDED" and json.loads(done["output"]) == {"n": 1, "more": {"priced": True}}, done
refused(sfn.exceptions.ExecutionAlreadyExists, sfn.start_execution, stateMachineArn=price, name="run-1", input="{}")
refused(sfn.exceptions.InvalidExecutionInput, sfn.start_execution, stateMachineArn=price, input="{")
pages = sfn.get_paginator("get_execution_history").paginate(
    executionArn=started["executionArn"], PaginationConfig={"PageSize": 2}
)
history = [event for page in pages for event in page["events"]]
assert [event["type"] for event in history] == [
    "ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded",
], history
assert [event["id"] for event in history] == [1, 2, 3, 4]
assert abs(history[0]["timestamp"].timestamp() - started["startDate"].timestamp()) < 60
waiting = machine("waiting", {"A": {"Type": "Wait", "Seconds": 3600, "End": True}})
execution = sfn.start_execution(stateMachineArn=waiting)["executionArn"]
sfn.stop_execution(executionArn=execution, error="Enough", cause="it took too long")
stopped = sfn.describe_execution(executionArn=execution)
assert (stopped["status"], stopped["error"]) == ("ABORTED", "Enough"), stopped
listed = sfn.list_executions(stateMachineArn=waiting, statusFilter="ABORTED")["executions"]
assert [row["executionArn"] for row in listed] == [execution], listed
refused(sfn.exceptions.ExecutionDoesNotExist, sfn.describe_execution, executionArn=execution + "-none")

# Versions.
version = sfn.publish_state_machine_version(stateMachineArn=price)["stateMachineVersionArn"]
sfn.update_state_machine(
    stateMachineArn=price, definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Never"}}})
)
failed = ended(sfn.start_execution(stateMachineArn=price)["executionArn"])
assert (failed["status"], failed["error"]) == ("FAILED", "Never"), failed
sfn.redrive_execution(executionArn=failed["executionArn"])
redriven = ended(failed["executionArn"])
assert (redriven["status"], redriven["redriveCount"]) == ("FAILED", 1), redriven
assert ended(sfn.start_execution(stateMachineArn=version)["executionArn"])["status"] == "SUCCEEDED"
old = sfn.describe_state_machine(stateMachineArn=version)
assert json.loads(old["definition"])["States"] == states, old
assert "definition" in sfn.describe_state_machine_for_execution(executionArn=failed["executionArn"])

# Aliases.
second = sfn.update_state_machine(
    stateMachineArn=price, definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}), publish=True
)["stateMachineVersionArn"]


def route(version, weight):
    return {"stateMachineVersionArn": version, "weight": weight}


live = sfn.create_state_machine_alias(name="live", routingConfiguration=[route(version, 100)])["stateMachineAliasArn"]
assert live == price + ":live", live
assert sfn.create_state_machine_alias(name="live", routingConfiguration=[route(version, 100)])["stateMachineAliasArn"] == live
refused(
    sfn.exceptions.ConflictException, sfn.create_state_machine_alias, name="live", routingConfiguration=[route(second, 100)]
)
refused(
    sfn.exceptions.ValidationException, sfn.create_state_machine_alias, name="half", routingConfiguration=[route(second, 50)]
)
run = ended(sfn.start_execution(stateMachineArn=live, name="by-alias")["executionArn"])
assert (run["stateMachineAliasArn"], run["stateMachineVersionArn"]) == (live, version), run
assert json.loads(run["output"])["more"] == {"priced": True}, run
described = sfn.describe_state_machine(stateMachineArn=live)
assert described["stateMachineArn"] == version and json.loads(described["definition"])["States"] == states, described
sfn.update_state_machine_alias(
    stateMachineAliasArn=live, description="half and half", routingConfiguration=[route(version, 50), route(second, 50)]
)
described = sfn.describe_state_machine_alias(stateMachineAliasArn=live)
assert described["routingConfiguration"] == [route(version, 50), route(second, 50)], described
assert (described["name"], described["description"]) == ("live", "half and half"), described
drawn = {
    ended(sfn.start_execution(stateMachineArn=live)["executionArn"])["stateMachineVersionArn"] for _ in range(40)
}
assert drawn == {version, second}, drawn
assert len(sfn.list_executions(stateMachineArn=live)["executions"]) == 41
aliases = sfn.list_state_machine_aliases(stateMachineArn=price)["stateMachineAliases"]
assert [row["stateMachineAliasArn"] for row in aliases] == [live], aliases
message = refused(
    sfn.exceptions.ConflictException, sfn.delete_state_machine_version, stateMachineVersionArn=version
)
assert "[live]" in message, message
sfn.delete_state_machine_alias(stateMachineAliasArn=live)
refused(sfn.exceptions.ResourceNotFound, sfn.describe_state_machine_alias, stateMachineAliasArn=live)
refused(sfn.exceptions.StateMachineDoesNotExist, sfn.start_execution, stateMachineArn=live)
sfn.delete_state_machine_version(stateMachineVersionArn=version)

# Activities and their tokens.
activity = sfn.create_activity(name="check")["activityArn"]
asking = machine("asking", {"A": {"Type": "Task", "Resource": activity, "End": True}})
execution = sfn.start_execution(stateMachineArn=asking, input='{"sample": "s1"}')["executionArn"]
task = sfn.get_activity_task(activityArn=activity, workerName="bench")
assert json.loads(task["input"]) == {"sample": "s1"}, task
sfn.send_task_heartbeat(taskToken=task["taskToken"])
sfn.send_task_success(taskToken=task["taskToken"], output='{"fine": true}')
assert json.loads(ended(execution)["output"]) == {"fine": True}
refused(sfn.exceptions.TaskTimedOut, sfn.send_task_success, taskToken=task["taskToken"], output="{}")
refused(sfn.exceptions.InvalidToken, sfn.send_task_success, taskToken="no token", output="{}")

# Express.
quick = machine("quick", states, kind="EXPRESS")
answer = sfn.start_sync_execution(stateMachineArn=quick, input="{}")
assert answer["status"] == "SUCCEEDED" and json.loads(answer["output"]) == {"more": {"priced": True}}, answer
refused(sfn.exceptions.StateMachineTypeNotSupported, sfn.start_sync_execution, stateMachineArn=price)

# Validation and trial.
wrong = sfn.validate_state_machine_definition(definition='{"StartAt": "A", "States": {}}')
assert wrong["result"] == "FAIL" and wrong["diagnostics"], wrong
tried = sfn.test_state(definition=json.dumps(states["A"]), roleArn=ROLE, input='{"n": 1}')
assert tried["status"] == "SUCCEEDED", tried
refused(sfn.exceptions.InvalidExecutionInput, sfn.test_state, definition=json.dumps(states["A"]), roleArn=ROLE, input="{")
refused(sfn.exceptions.InvalidDefinition, sfn.test_state, definition='{"Type": "Nope"}', roleArn=ROLE)
refused(sfn.exceptions.ValidationException, sfn.test_state, definition=json.dumps(states["A"]), mock={"result": "{}"})
refused(
    sfn.exceptions.ValidationException, sfn.test_state, definition=json.dumps(states["A"]), roleArn=ROLE, context='{"a": 1}'
)

# Trials with mocks. Answers are held against the model of the service: only its members, of its types.
shapes = sfn.meta.service_model.operation_model("TestState").output_shape


def fits(value, shape, path="TestState"):
    kinds = {"string": str, "integer": int, "float": (int, float), "structure": dict}
    assert isinstance(value, kinds[shape.type_name]) and not isinstance(value, bool), (path, value)
    if shape.type_name == "structure":
        for member, inner in value.items():
            assert member in shape.members, f"{path}.{member} is not in the model"
            fits(inner, shape.members[member], f"{path}.{member}")
    enum = shape.type_name == "string" and shape.enum
    assert not enum or value in enum, (path, value)


def tried(state, mock, level="DEBUG", **more):
    answer = sfn.test_state(definition=json.dumps(state), mock=mock, inspectionLevel=level, **more)
    assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 200
    fits(answer, shapes)
    return answer


def failing(error, cause="why"):
    return {"errorOutput": {"error": error, "cause": cause}}


task = {
    "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "InputPath": "$.in",
    "Parameters": {"FunctionName": "f", "Payload.$": "$"}, "ResultSelector": {"sum.$": "$.Payload.sum"},
    "ResultPath": "$.out", "OutputPath": "$.out", "Next": "After",
    "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 3, "BackoffRate": 2}],
    "Catch": [
        {"ErrorEquals": ["Other"], "Next": "Never"}, {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Mend"},
    ],
}
given = {"input": '{"in": {"a": 1}}'}
answer = tried(task, {"result": '{"Payload": {"sum": 3}}', "fieldValidationMode": "NONE"}, **given)
assert (answer["status"], answer["nextState"], json.loads(answer["output"])) == ("SUCCEEDED", "After", {"sum": 3}), answer
seen = {member: json.loads(text) for member, text in answer["inspectionData"].items()}
assert seen == {
    "input": {"in": {"a": 1}}, "afterInputPath": {"a": 1}, "afterParameters": {"FunctionName": "f", "Payload": {"a": 1}},
    "result": {"Payload": {"sum": 3}}, "afterResultSelector": {"sum": 3},
    "afterResultPath": {"in": {"a": 1}, "out": {"sum": 3}},
}, seen
put = {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents", "Parameters": {"Entries": []}, "End": True}
wrong = {"result": '{"Entries": [{"EventId": 1}]}'}
message = refused(sfn.exceptions.ValidationException, sfn.test_state, definition=json.dumps(put), mock=wrong)
assert "EventId" in message, message
assert tried(put, {**wrong, "fieldValidationMode": "NONE"})["status"] == "SUCCEEDED"
assert "inspectionData" not in tried(task, {"result": '{"Payload": {"sum": 3}}'}, level="INFO", **given)
again = tried(task, failing("Busy"), stateConfiguration={"retrierRetryCount": 1}, **given)
assert (again["status"], again["error"], again["cause"]) == ("RETRIABLE", "Busy", "why"), again
assert again["inspectionData"]["errorDetails"] == {"retryIndex": 0, "retryBackoffIntervalSeconds": 4}, again
caught = tried(task, failing("Busy"), stateConfiguration={"retrierRetryCount": 3}, **given)
assert (caught["status"], caught["nextState"]) == ("CAUGHT_ERROR", "Mend"), caught
assert json.loads(caught["output"])["error"] == {"Error": "Busy", "Cause": "why"}, caught
assert caught["inspectionData"]["errorDetails"] == {"catchIndex": 1}, caught
http = {
    "Type": "Task", "Resource": "arn:aws:states:::http:invoke", "End": True,
    "Parameters": {"ApiEndpoint": "https://api.example/x", "Method": "GET"},
}
reply = {"StatusCode": 200, "StatusText": "OK", "Headers": {"a": ["b"]}, "ResponseBody": {"c": 1}}
traced = tried(http, {"result": json.dumps(reply)}, level="TRACE")["inspectionData"]
assert (traced["request"]["method"], traced["response"]["statusCode"]) == ("GET", "200"), traced

each = {
    "Type": "Map", "ItemsPath": "$.items", "ToleratedFailureCount": 1, "MaxConcurrency": 5, "End": True,
    "ItemSelector": {"v.$": "$$.Map.Item.Value"}, "ItemBatcher": {"MaxItemsPerBatch": 2},
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": True}},
    },
    "Catch": [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold", "Broken"], "Next": "Mend"}],
}
given = {"input": '{"items": [7, 8, 9]}'}
answer = tried(each, {"result": "[1]"}, stateConfiguration={"mapIterationFailureCount": 1}, **given)
assert answer["status"] == "SUCCEEDED" and json.loads(answer["output"]) == [1], answer
seen = answer["inspectionData"]
assert (seen["toleratedFailureCount"], seen["maxConcurrency"]) == (1, 5), seen
assert json.loads(seen["afterItemsPath"]) == [7, 8, 9], seen
assert json.loads(seen["afterItemSelector"]) == [{"v": 7}, {"v": 8}, {"v": 9}], seen
assert json.loads(seen["afterItemBatcher"]) == [{"Items": [{"v": 7}, {"v": 8}]}, {"Items": [{"v": 9}]}], seen
answer = tried(each, {"result": "[1]"}, stateConfiguration={"mapIterationFailureCount": 2}, **given)
assert (answer["status"], answer["nextState"]) == ("CAUGHT_ERROR", "Mend"), answer
assert answer["error"] == "States.ExceedToleratedFailureThreshold", answer
answer = tried(each, failing("Broken"), stateConfiguration={"errorCausedByState": "Item"}, **given)
assert (answer["status"], answer["error"]) == ("CAUGHT_ERROR", "Broken"), answer
refused(
    sfn.exceptions.ValidationException, sfn.test_state, definition=json.dumps(each), mock=failing("Broken"),
    stateConfiguration={"errorCausedByState": "Nobody"}, **given
)
refused(sfn.exceptions.ValidationException, sfn.test_state, definition=json.dumps(each), mock={"result": "{}"}, **given)
read = {key: value for key, value in each.items() if key not in ("ItemsPath", "ItemBatcher")}
read["ItemReader"] = {
    "Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON", "ItemsPointer": "/a"},
    "Parameters": {"Bucket": "b", "Key": "k"},
}
data = {"mapItemReaderData": '{"a": [1, 2]}'}
seen = tried(read, {"result": "[]"}, stateConfiguration=data)["inspectionData"]
assert json.loads(seen["afterItemsPointer"]) == [1, 2], seen
assert json.loads(seen["afterItemSelector"]) == [{"v": 1}, {"v": 2}], seen
branches = [{"StartAt": name, "States": {name: {"Type": "Pass", "End": True}}} for name in ("S", "T")]
both = {"Type": "Parallel", "Branches": branches, "End": True}
assert json.loads(tried(both, {"result": "[1, 2]"})["output"]) == [1, 2]
refused(sfn.exceptions.ValidationException, sfn.test_state, definition=json.dumps(both), mock={"result": "[1]"})
for whole in (each, both):
    message = refused(sfn.exceptions.InvalidDefinition, sfn.test_state, definition=json.dumps(whole), roleArn=ROLE, **given)
    assert "mock" in message, message

# Events, a rule, and the execution that it starts.
bus = events.create_event_bus(Name="shop")["EventBusArn"]
flow = machine("flow", {"A": {"Type": "Succeed"}})
pattern = {"source": ["shop.orders"], "detail": {"total": [{"numeric": [">=", 100]}]}}
events.put_rule(Name="large", EventBusName="shop", EventPattern=json.dumps(pattern))
transformer = {"InputPathsMap": {"id": "$.detail.id"}, "InputTemplate": '{"order": <id>}'}
put = events.put_targets(
    Rule="large", EventBusName="shop", Targets=[{"Id": "flow", "Arn": flow, "RoleArn": ROLE, "InputTransformer": transformer}]
)
assert put["FailedEntryCount"] == 0, put
targets = events.list_targets_by_rule(Rule="large", EventBusName="shop")["Targets"]
assert targets[0]["InputTransformer"] == transformer, targets
assert events.list_rule_names_by_target(TargetArn=flow, EventBusName="shop")["RuleNames"] == ["large"]


def order(number, total):
    detail = json.dumps({"id": number, "total": total})
    return {"Source": "shop.orders", "DetailType": "OrderPlaced", "Detail": detail, "EventBusName": "shop"}


sent = events.put_events(Entries=[order(1, 50), order(2, 500), {"Source": "shop.orders", "DetailType": "x", "Detail": "{"}])
assert (sent["FailedEntryCount"], sent["Entries"][2]["ErrorCode"]) == (1, "MalformedDetail"), sent
assert sent["Entries"][0]["EventId"] != sent["Entries"][1]["EventId"]
runs = until("the rule has started an execution", lambda: sfn.list_executions(stateMachineArn=flow)["executions"])
assert len(runs) == 1 and json.loads(ended(runs[0]["executionArn"])["input"]) == {"order": 2}, runs
event = {"id": "1", "source": "shop.orders", "detail-type": "t", "account": "1", "region": "r", "time": "2026-01-01T00:00:00Z",
         "detail": {"total": 100}}
assert events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))["Result"] is True
refused(events.exceptions.InvalidEventPatternException, events.test_event_pattern, EventPattern="[]", Event=json.dumps(event))
refused(events.exceptions.ResourceNotFoundException, events.describe_rule, Name="none")
events.disable_rule(Name="large", EventBusName="shop")
assert events.describe_rule(Name="large", EventBusName="shop")["State"] == "DISABLED"

# An archive and its replay.
archive = events.create_archive(ArchiveName="orders", EventSourceArn=bus, EventPattern=json.dumps({"source": ["shop.orders"]}))
events.enable_rule(Name="large", EventBusName="shop")
begin = time.time() - 60
events.put_events(Entries=[order(3, 300)])
until("the archive has the event", lambda: events.describe_archive(ArchiveName="orders")["EventCount"] == 1)
until("the rule has started another one", lambda: len(sfn.list_executions(stateMachineArn=flow)["executions"]) == 2)
events.start_replay(
    ReplayName="again", EventSourceArn=archive["ArchiveArn"], EventStartTime=begin, EventEndTime=time.time() + 60,
    Destination={"Arn": bus},
)
until("the replay is over", lambda: events.describe_replay(ReplayName="again")["State"] == "COMPLETED")

# Schedules and their groups.
tick = machine("tick", {"A": {"Type": "Succeed"}})
off, target = {"Mode": "OFF"}, {"Arn": tick, "RoleArn": ROLE, "Input": '{"n": 1}'}
soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
scheduler.create_schedule(
    Name="once", ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})", FlexibleTimeWindow=off, Target=target,
    ActionAfterCompletion="DELETE",
)
runs = until("the schedule has started an execution", lambda: sfn.list_executions(stateMachineArn=tick)["executions"])
assert json.loads(ended(runs[0]["executionArn"])["input"]) == {"n": 1}, runs
until("the schedule has deleted itself", lambda: not scheduler.list_schedules()["Schedules"])


# Universal targets: what this node does itself. The table `counters` was applied to it before.
def universal(name, task, **request):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    scheduler.create_schedule(
        Name=name, ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})", FlexibleTimeWindow=off, ActionAfterCompletion="DELETE",
        Target={"Arn": f"arn:aws:scheduler:::aws-sdk:{task}", "RoleArn": ROLE, "Input": json.dumps(request)},
    )


def inputs_of(arn):
    return [json.loads(ended(row["executionArn"])["input"]) for row in sfn.list_executions(stateMachineArn=arn)["executions"]]


digits = "12345678901234567890123456789012345678"
universal("start", "sfn:startExecution", StateMachineArn=tick, Input='{"n": 2}')
entry = {"Source": "shop.orders", "DetailType": "OrderPlaced", "Detail": '{"id": 9, "total": 900}', "EventBusName": "shop"}
universal("put", "eventbridge:putEvents", Entries=[entry])
universal(
    "count", "dynamodb:updateItem", TableName="counters", Key={"id": {"S": "a"}}, UpdateExpression="ADD n :n",
    ExpressionAttributeValues={":n": {"N": digits}},
)
refused(scheduler.exceptions.ValidationException, universal, name="queue", task="sqs:sendMessage", QueueUrl="q")
until("the call has started an execution", lambda: {"n": 2} in inputs_of(tick))
until("the call has put an event, and the rule seen it", lambda: {"order": 9} in inputs_of(flow))
item = {"TableName": "counters", "Key": {"id": {"S": "a"}}}
read = machine(
    "read", {"A": {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:getItem", "Parameters": item, "End": True}},
    kind="EXPRESS",
)


def counted():
    output = json.loads(sfn.start_sync_execution(stateMachineArn=read, input="{}")["output"])
    return output.get("Item", {}).get("n") == {"N": digits}


until("the call has changed a document, and no digit is lost", counted)
until("all of them have deleted themselves", lambda: not scheduler.list_schedules()["Schedules"])
sfn.delete_state_machine(stateMachineArn=read)
group = scheduler.create_schedule_group(Name="nightly", Tags=[{"Key": "team", "Value": "genomics"}])["ScheduleGroupArn"]
assert scheduler.list_tags_for_resource(ResourceArn=group)["Tags"] == [{"Key": "team", "Value": "genomics"}]
scheduler.tag_resource(ResourceArn=group, Tags=[{"Key": "env", "Value": "test"}])
scheduler.untag_resource(ResourceArn=group, TagKeys=["team"])
assert scheduler.list_tags_for_resource(ResourceArn=group)["Tags"] == [{"Key": "env", "Value": "test"}]
members = dict(
    Name="report", GroupName="nightly", ScheduleExpression="cron(0 2 * * ? *)", ScheduleExpressionTimezone="Europe/Zurich",
    FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}, State="DISABLED",
    StartDate=datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc),
    Target={
        "Arn": bus, "RoleArn": ROLE, "EventBridgeParameters": {"DetailType": "Night", "Source": "shop.clock"},
        "Input": "{}", "RetryPolicy": {"MaximumRetryAttempts": 3},
    },
)
report = scheduler.create_schedule(**members)["ScheduleArn"]
assert report.endswith(":schedule/nightly/report"), report
got = scheduler.get_schedule(Name="report", GroupName="nightly")
assert {member: got[member] for member in members} == members, got
refused(scheduler.exceptions.ConflictException, scheduler.create_schedule, **members)
refused(scheduler.exceptions.ResourceNotFoundException, scheduler.get_schedule, Name="report")
message = refused(
    scheduler.exceptions.ValidationException, scheduler.create_schedule, Name="bad", ScheduleExpression="rate(5 minuten)",
    FlexibleTimeWindow=off, Target=target,
)
assert "Invalid Schedule Expression rate(5 minuten)." in message, message
scheduler.update_schedule(
    Name="report", GroupName="nightly", ScheduleExpression="rate(2 days)", FlexibleTimeWindow=off, Target=target
)
got = scheduler.get_schedule(Name="report", GroupName="nightly")
assert (got["State"], got["ScheduleExpression"], got["ScheduleExpressionTimezone"]) == ("ENABLED", "rate(2 days)", "UTC"), got
for number in range(3):
    scheduler.create_schedule(
        Name=f"more-{number}", GroupName="nightly", ScheduleExpression="rate(2 days)", FlexibleTimeWindow=off, Target=target
    )
pages = scheduler.get_paginator("list_schedules").paginate(GroupName="nightly", PaginationConfig={"PageSize": 2})
names = [row["Name"] for page in pages for row in page["Schedules"]]
assert names == ["more-0", "more-1", "more-2", "report"], names
scheduler.delete_schedule(Name="report", GroupName="nightly")
assert scheduler.get_schedule_group(Name="nightly")["State"] == "ACTIVE"
assert [row["Name"] for row in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default", "nightly"]
scheduler.delete_schedule_group(Name="nightly")
refused(scheduler.exceptions.ResourceNotFoundException, scheduler.get_schedule_group, Name="nightly")
assert not scheduler.list_schedules()["Schedules"]
sfn.delete_state_machine(stateMachineArn=tick)

# A pipe behind a rule that writes to a stream.
run = machine("run", {"A": {"Type": "Succeed"}})
samples = "arn:aws:kinesis:eu-west-1:123456789012:stream/samples"
events.put_rule(Name="samples", EventPattern=json.dumps({"source": ["lab"]}))
events.put_targets(Rule="samples", Targets=[{"Id": "s", "Arn": samples, "InputPath": "$.detail"}])
position = {"StartingPosition": "TRIM_HORIZON"}
members = dict(
    Name="complete", RoleArn=ROLE, Source=samples, Target=run, Description="complete samples",
    SourceParameters={
        "KinesisStreamParameters": position,
        "FilterCriteria": {"Filters": [{"Pattern": json.dumps({"data": {"state": ["COMPLETE"]}})}]},
    },
    TargetParameters={
        "InputTemplate": '{"sample": <$.data.id>, "by": "<aws.pipes.pipe-name>"}',
        "StepFunctionStateMachineParameters": {"InvocationType": "FIRE_AND_FORGET"},
    },
)
created = pipes.create_pipe(**members, Tags={"team": "genomics"})
assert created["Arn"].endswith(":pipe/complete") and created["DesiredState"] == "RUNNING", created
refused(pipes.exceptions.ConflictException, pipes.create_pipe, **members)
refused(
    pipes.exceptions.ValidationException, pipes.create_pipe, Name="queue", RoleArn=ROLE, Target=run,
    Source="arn:aws:sqs:eu-west-1:123456789012:q",
)
described = pipes.describe_pipe(Name="complete")
assert {member: described[member] for member in members} == members, described
assert described["Tags"] == {"team": "genomics"}, described


def sample(number, state):
    return {"Source": "lab", "DetailType": "Sample", "Detail": json.dumps({"id": number, "state": state})}


def runs(count):
    def started():
        found = sfn.list_executions(stateMachineArn=run)["executions"]
        return found if len(found) >= count else None

    found = until(f"the pipe has started {count}", started)
    inputs = [json.loads(ended(row["executionArn"])["input"]) for row in found]
    return sorted(inputs, key=lambda given: given[0]["sample"])


until("the pipe runs", lambda: pipes.describe_pipe(Name="complete")["CurrentState"] == "RUNNING")
events.put_events(Entries=[sample(1, "OPEN"), sample(2, "COMPLETE")])
assert runs(1) == [[{"sample": 2, "by": "complete"}]]
assert pipes.stop_pipe(Name="complete")["DesiredState"] == "STOPPED"
events.put_events(Entries=[sample(3, "COMPLETE")])
assert pipes.describe_pipe(Name="complete")["CurrentState"] == "STOPPED"
assert [row["Name"] for row in pipes.list_pipes(DesiredState="STOPPED", SourcePrefix=samples)["Pipes"]] == ["complete"]
assert not pipes.list_pipes(DesiredState="RUNNING")["Pipes"]
pipes.update_pipe(Name="complete", RoleArn=ROLE, TargetParameters={"InputTemplate": '{"sample": <$.data.id>}'})
updated = pipes.describe_pipe(Name="complete")
assert updated["SourceParameters"] == members["SourceParameters"], updated
pipes.start_pipe(Name="complete")
assert runs(2) == [[{"sample": 2, "by": "complete"}], [{"sample": 3}]]
pipes.stop_pipe(Name="complete")
events.put_events(Entries=[sample(4, "COMPLETE"), sample(5, "COMPLETE")])
batch = {"BatchSize": 2, "MaximumBatchingWindowInSeconds": 300}
pipes.update_pipe(Name="complete", RoleArn=ROLE, SourceParameters={"KinesisStreamParameters": batch})
pipes.start_pipe(Name="complete")
assert [sorted(row["sample"] for row in given) for given in runs(3)] == [[2], [3], [4, 5]]
pipes.tag_resource(resourceArn=created["Arn"], tags={"env": "test"})
pipes.untag_resource(resourceArn=created["Arn"], tagKeys=["team"])
assert pipes.list_tags_for_resource(resourceArn=created["Arn"])["tags"] == {"env": "test"}
assert pipes.delete_pipe(Name="complete")["CurrentState"] == "DELETING"
refused(pipes.exceptions.NotFoundException, pipes.describe_pipe, Name="complete")
events.remove_targets(Rule="samples", Ids=["s"])
events.delete_rule(Name="samples")
sfn.delete_state_machine(stateMachineArn=run)

# A connection, whose password never comes back.
parameters = {"BasicAuthParameters": {"Username": "u", "Password": "hunter2"}}
connection = events.create_connection(Name="crm", AuthorizationType="BASIC", AuthParameters=parameters)
assert "hunter2" not in json.dumps(events.describe_connection(Name="crm"), default=str)
destination = events.create_api_destination(
    Name="tickets", ConnectionArn=connection["ConnectionArn"], InvocationEndpoint="https://crm.example.com/tickets",
    HttpMethod="POST", InvocationRateLimitPerSecond=10,
)
events.put_targets(Rule="large", EventBusName="shop", Targets=[{"Id": "web", "Arn": destination["ApiDestinationArn"]}])

# And away with all of it.
events.remove_targets(Rule="large", EventBusName="shop", Ids=["flow", "web"])
events.delete_rule(Name="large", EventBusName="shop")
events.delete_api_destination(Name="tickets")
events.delete_connection(Name="crm")
events.delete_archive(ArchiveName="orders")
events.delete_event_bus(Name="shop")
for name in ["price", "waiting", "asking", "quick", "flow", "other-0", "other-1", "other-2"]:
    sfn.delete_state_machine(stateMachineArn=price.replace("price", name))
sfn.delete_activity(activityArn=activity)
until("no state machine is left", lambda: not sfn.list_state_machines()["stateMachines"])
