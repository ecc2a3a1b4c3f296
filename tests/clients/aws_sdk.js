// ENDPOINT: Step Functions and EventBridge through the AWS SDK for JavaScript, against a node. Silent if all is well.
const assert = require("node:assert");
const sfn = require("@aws-sdk/client-sfn");
const eb = require("@aws-sdk/client-eventbridge");

// StartSyncExecution puts `sync-` before the host, which a local address cannot have.
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

(async () => {
  const definition = JSON.stringify({ StartAt: "A", States: { A: { Type: "Pass", End: true } } });
  const { stateMachineArn } = await states.send(
    new sfn.CreateStateMachineCommand({ name: "js", definition, roleArn }));
  await assert.rejects(
    states.send(new sfn.CreateStateMachineCommand({ name: "js", definition, roleArn, type: "EXPRESS" })),
    sfn.StateMachineAlreadyExists);

  await events.send(new eb.PutRuleCommand({ Name: "js", EventPattern: JSON.stringify({ source: ["js"] }) }));
  await events.send(new eb.PutTargetsCommand({ Rule: "js", Targets: [{ Id: "1", Arn: stateMachineArn, InputPath: "$.detail" }] }));
  const Entries = [{ Source: "js", DetailType: "t", Detail: JSON.stringify({ n: 7 }), Time: new Date(1700000000123) }];
  assert.strictEqual((await events.send(new eb.PutEventsCommand({ Entries }))).FailedEntryCount, 0);
  const ended = await until("the rule has run the state machine", async () => {
    const { executions } = await states.send(new sfn.ListExecutionsCommand({ stateMachineArn, statusFilter: "SUCCEEDED" }));
    return executions[0];
  });
  const { output, startDate } = await states.send(new sfn.DescribeExecutionCommand({ executionArn: ended.executionArn }));
  assert.deepStrictEqual(JSON.parse(output), { n: 7 });
  assert.ok(Math.abs(startDate - Date.now()) < 600_000, String(startDate));

  const quick = await states.send(new sfn.CreateStateMachineCommand({ name: "quick", definition, roleArn, type: "EXPRESS" }));
  const answer = await states.send(
    new sfn.StartSyncExecutionCommand({ stateMachineArn: quick.stateMachineArn, input: '{"a":1}' }));
  assert.deepStrictEqual([answer.status, answer.output], ["SUCCEEDED", '{"a":1}']);

  await assert.rejects(states.send(new sfn.DescribeExecutionCommand({ executionArn: `${ended.executionArn}x` })),
    sfn.ExecutionDoesNotExist);
  await assert.rejects(events.send(new eb.DescribeRuleCommand({ Name: "none" })), eb.ResourceNotFoundException);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
