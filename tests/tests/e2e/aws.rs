//! AWS's own clients, unchanged, against a real node.

use std::path::Path;
use std::process::Command;

use e2e::{Node, client, output, root, until};
use serde_json::Value;

use super::HEADWATER;

#[test]
fn boto3_runs_state_machines_rules_archives_and_connections() {
    let Some(python) = client("boto3", "venv/bin/python") else { return };
    let node = Node::start(HEADWATER).unwrap();
    let table = "apiVersion: headwater.dev/v1\nkind: Table\nmetadata: {name: counters}\nspec: {}\n";
    node.headwater(&["apply", "-f", "-"], table).unwrap();
    let script = root().join("tests/clients/aws_boto3.py");
    output(Command::new(python).arg(script).arg(node.aws()), "").unwrap();
}

#[test]
fn the_javascript_sdk_runs_state_machines_rules_archives_and_connections() {
    let Some(modules) = client("the AWS SDK for JavaScript", "node_modules") else { return };
    let node = Node::start(HEADWATER).unwrap();
    let script = root().join("tests/clients/aws_sdk.js");
    output(Command::new("node").arg(script).arg(node.aws()).env("NODE_PATH", modules), "").unwrap();
}

/// What the command line `aws` says.
fn run(aws: &Path, endpoint: &str, words: &[&str]) -> Value {
    let mut command = Command::new(aws);
    command.args(["--endpoint-url", endpoint, "--region", "eu-west-1", "--output", "json"]).args(words);
    command.envs([
        ("AWS_ACCESS_KEY_ID", "any"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    let text = output(&mut command, "").unwrap();
    if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

#[test]
fn the_command_line_runs_a_state_machine_through_a_kill_of_the_node() {
    let Some(aws) = client("aws-cli", "venv/bin/aws") else { return };
    let mut node = Node::start(HEADWATER).unwrap();
    let endpoint = node.aws();
    let run = |words: &[&str]| run(&aws, &endpoint, words);
    let definition =
        r#"{"StartAt":"A","States":{"A":{"Type":"Wait","Seconds":2,"Next":"B"},"B":{"Type":"Pass","End":true}}}"#;
    let role = "arn:aws:iam::000000000000:role/any";
    let created = run(&[
        "stepfunctions",
        "create-state-machine",
        "--name",
        "slow",
        "--definition",
        definition,
        "--role-arn",
        role,
    ]);
    let machine = created["stateMachineArn"].as_str().unwrap();
    let started = run(&["stepfunctions", "start-execution", "--state-machine-arn", machine, "--input", "{\"a\": 1}"]);
    let execution = started["executionArn"].as_str().unwrap();
    node.kill_and_restart().unwrap();
    until("the execution has ended", || {
        let shown = run(&["stepfunctions", "describe-execution", "--execution-arn", execution]);
        let output = shown["output"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        shown["status"] == "SUCCEEDED" && output == Some(serde_json::json!({ "a": 1 }))
    })
    .unwrap();
    run(&["events", "put-rule", "--name", "nightly", "--schedule-expression", "cron(0 18 ? * MON-FRI *)"]);
    let rules = run(&["events", "list-rules"]);
    assert_eq!(rules["Rules"][0]["ScheduleExpression"], "cron(0 18 ? * MON-FRI *)");
}

#[test]
fn the_command_line_makes_a_pipe_of_a_tables_changes_and_a_schedule() {
    let Some(aws) = client("aws-cli", "venv/bin/aws") else { return };
    let node = Node::start(HEADWATER).unwrap();
    let endpoint = node.aws();
    let run = |words: &[&str]| run(&aws, &endpoint, words);
    let table = "apiVersion: headwater.dev/v1\nkind: Table\nmetadata: {name: runs}\nspec: {changes: {images: \
                 newAndOldImages}}\n";
    node.headwater(&["apply", "-f", "-"], table).unwrap();
    let role = "arn:aws:iam::000000000000:role/any";
    let definition = r#"{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}"#;
    let words = ["stepfunctions", "create-state-machine", "--name", "price", "--definition", definition];
    let created = run(&[&words[..], &["--role-arn", role]].concat());
    let machine = created["stateMachineArn"].as_str().unwrap();
    let pattern = r#"{"dynamodb":{"NewImage":{"status":{"S":["COMPLETE"]}}}}"#;
    let source = serde_json::json!({
        "DynamoDBStreamParameters": { "StartingPosition": "TRIM_HORIZON" },
        "FilterCriteria": { "Filters": [{ "Pattern": pattern }] },
    })
    .to_string();
    let template = r#"{"InputTemplate":"{\"run\": <$.dynamodb.NewImage.id.S>}"}"#;
    let stream = "arn:aws:dynamodb:eu-west-1:000000000000:table/runs/stream/any";
    let words = ["pipes", "create-pipe", "--name", "complete", "--source", stream, "--target", machine];
    let more = ["--role-arn", role, "--source-parameters", source.as_str(), "--target-parameters", template];
    run(&[&words[..], &more].concat());
    for (key, status) in [("a", "RUNNING"), ("b", "COMPLETE")] {
        let document = serde_json::json!({ "id": key, "status": status }).to_string();
        node.headwater(&["table", "put", "runs", key, &document], "").unwrap();
    }
    let mut started = Value::Null;
    until("the pipe has started an execution", || {
        started = run(&["stepfunctions", "list-executions", "--state-machine-arn", machine]);
        started["executions"].as_array().is_some_and(|executions| !executions.is_empty())
    })
    .unwrap();
    assert_eq!(started["executions"].as_array().unwrap().len(), 1, "{started}");
    let execution = started["executions"][0]["executionArn"].as_str().unwrap();
    let shown = run(&["stepfunctions", "describe-execution", "--execution-arn", execution]);
    let input: Value = serde_json::from_str(shown["input"].as_str().unwrap()).unwrap();
    assert_eq!(input, serde_json::json!([{ "run": "b" }]));
    let described = run(&["pipes", "describe-pipe", "--name", "complete"]);
    assert_eq!(described["CurrentState"], "RUNNING");
    assert_eq!(described["Source"], stream);

    let target = serde_json::json!({ "Arn": machine, "RoleArn": role }).to_string();
    let words = ["scheduler", "create-schedule", "--name", "nightly", "--schedule-expression", "cron(0 2 * * ? *)"];
    run(&[&words[..], &["--flexible-time-window", "Mode=OFF", "--target", &target]].concat());
    let schedules = run(&["scheduler", "list-schedules"]);
    assert_eq!(schedules["Schedules"][0]["Target"]["Arn"], machine);
}
