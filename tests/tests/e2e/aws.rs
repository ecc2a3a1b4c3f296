//! AWS's own clients, unchanged, against a real node.

use std::process::Command;

use e2e::{Node, client, output, root, until};
use serde_json::Value;

use super::HEADWATER;

#[test]
fn boto3_runs_state_machines_rules_archives_and_connections() {
    let Some(python) = client("boto3", "venv/bin/python") else { return };
    let node = Node::start(HEADWATER).unwrap();
    let script = root().join("tests/clients/aws_boto3.py");
    output(Command::new(python).arg(script).arg(node.aws()), "").unwrap();
}

#[test]
fn the_javascript_sdk_runs_state_machines_and_rules() {
    let Some(modules) = client("the AWS SDK for JavaScript", "node_modules") else { return };
    let node = Node::start(HEADWATER).unwrap();
    let script = root().join("tests/clients/aws_sdk.js");
    output(Command::new("node").arg(script).arg(node.aws()).env("NODE_PATH", modules), "").unwrap();
}

#[test]
fn the_command_line_runs_a_state_machine_through_a_kill_of_the_node() {
    let Some(aws) = client("aws-cli", "venv/bin/aws") else { return };
    let mut node = Node::start(HEADWATER).unwrap();
    let endpoint = node.aws();
    let run = |words: &[&str]| -> Value {
        let mut command = Command::new(&aws);
        command.args(["--endpoint-url", &endpoint, "--region", "eu-west-1", "--output", "json"]).args(words);
        command.envs([
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        let text = output(&mut command, "").unwrap();
        if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    };
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
