// ENDPOINT: Step Functions and EventBridge through the AWS SDK for JavaScript, against a node. Silent if all is well.
const assert = require("node:assert");
const sfn = require("@aws-sdk/client-sfn");
const eb = require("@aws-sdk/client-eventbridge");

// StartSyncExecution and TestState put `sync-` before the host, which a local address cannot have.
const settings = {
  endpoint: process.argv[2], region: "eu-west-1", credentials: { accessKeyId: "any", secretAccessKey: "any" },
  disableHostPrefix: true, maxAttempts: 1,
};
const states = new sfn.SFNClient(settings);
const events = new eb.EventBridgeClient(settings);
const roleArn = "arn:aws:iam::000000000000:role/any";

async function until(what, condition) {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    const found = await condition();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited until ${what}`);
}

/** A state machine of one state. */
async function machine(name, state, type = "STANDARD") {
  const definition = JSON.stringify({ StartAt: "A", States: { A: { ...state, End: true } } });
  return (await states.send(new sfn.CreateStateMachineCommand({ name, definition, roleArn, type }))).stateMachineArn;
}

async function started(stateMachineArn, input) {
  const request = new sfn.StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input) });
  return (await states.send(request)).executionArn;
}

function ended(executionArn) {
  return until(`${executionArn} has ended`, async () => {
    const found = await states.send(new sfn.DescribeExecutionCommand({ executionArn }));
    return found.status === "RUNNING" ? null : found;
  });
}

/** The executions of a state machine that have succeeded, once there are so many. */
function succeeded(stateMachineArn, count) {
  return until(`${count} executions have succeeded`, async () => {
    const request = new sfn.ListExecutionsCommand({ stateMachineArn, statusFilter: "SUCCEEDED" });
    const { executions } = await states.send(request);
    return executions.length >= count ? executions : null;
  });
}

async function rulesAndExecutions() {
  const definition = JSON.stringify({ StartAt: "A", States: { A: { Type: "Pass", End: true } } });
  const stateMachineArn = await machine("js", { Type: "Pass" });
  await assert.rejects(
    states.send(new sfn.CreateStateMachineCommand({ name: "js", definition, roleArn, type: "EXPRESS" })),
    sfn.StateMachineAlreadyExists);

  await events.send(new eb.PutRuleCommand({ Name: "js", EventPattern: JSON.stringify({ source: ["js"] }) }));
  const Targets = [{ Id: "1", Arn: stateMachineArn, InputPath: "$.detail" }];
  await events.send(new eb.PutTargetsCommand({ Rule: "js", Targets }));
  const Entries = [{ Source: "js", DetailType: "t", Detail: JSON.stringify({ n: 7 }), Time: new Date(1700000000123) }];
  assert.strictEqual((await events.send(new eb.PutEventsCommand({ Entries }))).FailedEntryCount, 0);
  const [{ executionArn }] = await succeeded(stateMachineArn, 1);
  const { output, startDate } = await states.send(new sfn.DescribeExecutionCommand({ executionArn }));
  assert.deepStrictEqual(JSON.parse(output), { n: 7 });
  assert.ok(Math.abs(startDate - Date.now()) < 600_000, String(startDate));

  const quick = await machine("quick", { Type: "Pass" }, "EXPRESS");
  const answer = await states.send(new sfn.StartSyncExecutionCommand({ stateMachineArn: quick, input: '{"a":1}' }));
  assert.deepStrictEqual([answer.status, answer.output], ["SUCCEEDED", '{"a":1}']);

  await assert.rejects(states.send(new sfn.DescribeExecutionCommand({ executionArn: `${executionArn}x` })),
    sfn.ExecutionDoesNotExist);
  await assert.rejects(events.send(new eb.DescribeRuleCommand({ Name: "none" })), eb.ResourceNotFoundException);
}

async function trials() {
  const broken = new sfn.ValidateStateMachineDefinitionCommand({ definition: '{"StartAt":"A","States":{}}' });
  const { result, diagnostics } = await states.send(broken);
  assert.strictEqual(result, "FAIL");
  const whole = ({ severity, code, message }) => severity && code && message;
  assert.ok(diagnostics.length > 0 && diagnostics.every(whole), JSON.stringify(diagnostics));
  const definition = JSON.stringify({ Type: "Pass", Result: { priced: true }, ResultPath: "$.more", Next: "B" });
  const tried = await states.send(
    new sfn.TestStateCommand({ definition, roleArn, input: '{"n":1}', inspectionLevel: "DEBUG" }));
  assert.deepStrictEqual([tried.status, tried.nextState], ["SUCCEEDED", "B"]);
  assert.deepStrictEqual(JSON.parse(tried.output), { n: 1, more: { priced: true } });
  assert.deepStrictEqual(JSON.parse(tried.inspectionData.input), { n: 1 });
}

/** A worker fails a task, its execution goes on from there, and the worker does it. */
async function workers() {
  const { activityArn } = await states.send(new sfn.CreateActivityCommand({ name: "check" }));
  const asking = await machine("asking", { Type: "Task", Resource: activityArn });
  const executionArn = await started(asking, { sample: "s1" });
  const given = async () => {
    const task = await states.send(new sfn.GetActivityTaskCommand({ activityArn, workerName: "js" }));
    assert.deepStrictEqual(JSON.parse(task.input), { sample: "s1" });
    return task.taskToken;
  };
  await states.send(new sfn.SendTaskFailureCommand({ taskToken: await given(), error: "Busy", cause: "not now" }));
  const failed = await ended(executionArn);
  assert.deepStrictEqual([failed.status, failed.error, failed.cause], ["FAILED", "Busy", "not now"]);
  const { redriveDate } = await states.send(new sfn.RedriveExecutionCommand({ executionArn }));
  assert.ok(Math.abs(redriveDate - Date.now()) < 600_000, String(redriveDate));
  const taskToken = await given();
  await states.send(new sfn.SendTaskHeartbeatCommand({ taskToken }));
  await states.send(new sfn.SendTaskSuccessCommand({ taskToken, output: '{"fine":true}' }));
  const { status, redriveCount, output } = await ended(executionArn);
  assert.deepStrictEqual([status, redriveCount, JSON.parse(output)], ["SUCCEEDED", 1, { fine: true }]);
  const late = (taskToken) => states.send(new sfn.SendTaskSuccessCommand({ taskToken, output: "{}" }));
  await assert.rejects(late(taskToken), sfn.TaskTimedOut);
  await assert.rejects(late("no token"), sfn.InvalidToken);
}

async function mapRuns() {
  const ItemProcessor = {
    ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" },
    StartAt: "Item", States: { Item: { Type: "Pass", End: true } },
  };
  const each = await machine("each", { Type: "Map", MaxConcurrency: 2, ItemProcessor });
  const executionArn = await started(each, [1, 2, 3]);
  assert.deepStrictEqual(JSON.parse((await ended(executionArn)).output), [1, 2, 3]);
  const { mapRuns } = await states.send(new sfn.ListMapRunsCommand({ executionArn }));
  assert.deepStrictEqual(mapRuns.map((run) => run.executionArn), [executionArn]);
  const run = await states.send(new sfn.DescribeMapRunCommand({ mapRunArn: mapRuns[0].mapRunArn }));
  assert.deepStrictEqual([run.status, run.executionArn, run.maxConcurrency], ["SUCCEEDED", executionArn, 2]);
  assert.deepStrictEqual([run.itemCounts.total, run.itemCounts.succeeded, run.executionCounts.succeeded], [3, 3, 3]);
  assert.ok(run.stopDate >= run.startDate, `${run.startDate} to ${run.stopDate}`);
  const none = new sfn.DescribeMapRunCommand({ mapRunArn: `${run.mapRunArn}x` });
  await assert.rejects(states.send(none), sfn.ResourceNotFound);
}

async function archives() {
  const pattern = JSON.stringify({ source: ["shop"], detail: { total: [{ numeric: [">=", 100] }] } });
  const { EventBusArn } = await events.send(new eb.CreateEventBusCommand({ Name: "shop" }));
  const { ArchiveArn } = await events.send(
    new eb.CreateArchiveCommand({ ArchiveName: "orders", EventSourceArn: EventBusArn, EventPattern: pattern }));
  const flow = await machine("flow", { Type: "Pass", Comment: "an order" });
  const Rule = "large", EventBusName = "shop";
  await events.send(new eb.PutRuleCommand({ Name: Rule, EventBusName, EventPattern: pattern }));
  const Targets = [{ Id: "1", Arn: flow, InputPath: "$.detail" }];
  await events.send(new eb.PutTargetsCommand({ Rule, EventBusName, Targets }));
  const begun = Date.now();
  const Entries = [50, 500].map((total) => (
    { Source: "shop", DetailType: "OrderPlaced", Detail: JSON.stringify({ total }), EventBusName }));
  assert.strictEqual((await events.send(new eb.PutEventsCommand({ Entries }))).FailedEntryCount, 0);
  await until("the archive has the event", async () => {
    const archive = await events.send(new eb.DescribeArchiveCommand({ ArchiveName: "orders" }));
    return archive.EventCount === 1;
  });
  await succeeded(flow, 1);
  await events.send(new eb.StartReplayCommand({
    ReplayName: "again", EventSourceArn: ArchiveArn, Destination: { Arn: EventBusArn },
    EventStartTime: new Date(begun - 60_000), EventEndTime: new Date(Date.now() + 60_000),
  }));
  await until("the replay is over", async () => {
    const replay = await events.send(new eb.DescribeReplayCommand({ ReplayName: "again" }));
    return replay.State === "COMPLETED";
  });
  for (const { executionArn } of await succeeded(flow, 2)) {
    assert.deepStrictEqual(JSON.parse((await ended(executionArn)).input), { total: 500 });
  }

  const event = {
    id: "1", source: "shop", "detail-type": "OrderPlaced", account: "1", region: "r", time: "2026-01-01T00:00:00Z",
    detail: { total: 7 },
  };
  const matches = async (EventPattern) =>
    (await events.send(new eb.TestEventPatternCommand({ EventPattern, Event: JSON.stringify(event) }))).Result;
  assert.deepStrictEqual([await matches('{"source":["shop"]}'), await matches(pattern)], [true, false]);
  await assert.rejects(matches("[]"), eb.InvalidEventPatternException);
}

async function connections() {
  const AuthParameters = { BasicAuthParameters: { Username: "u", Password: "hunter2" } };
  const { ConnectionArn } = await events.send(
    new eb.CreateConnectionCommand({ Name: "crm", AuthorizationType: "BASIC", AuthParameters }));
  const connection = await events.send(new eb.DescribeConnectionCommand({ Name: "crm" }));
  assert.strictEqual(connection.AuthParameters.BasicAuthParameters.Username, "u");
  assert.ok(!JSON.stringify(connection).includes("hunter2"));
  const asked = {
    Name: "tickets", ConnectionArn, InvocationEndpoint: "https://crm.example.com/tickets", HttpMethod: "POST",
    InvocationRateLimitPerSecond: 10,
  };
  await events.send(new eb.CreateApiDestinationCommand(asked));
  const { $metadata, ...shown } = await events.send(new eb.DescribeApiDestinationCommand({ Name: "tickets" }));
  assert.deepStrictEqual({ ...shown, ...asked }, shown);
  await assert.rejects(events.send(new eb.DescribeConnectionCommand({ Name: "none" })), eb.ResourceNotFoundException);
}

(async () => {
  for (const part of [rulesAndExecutions, trials, workers, mapRuns, archives, connections]) {
    await part();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
