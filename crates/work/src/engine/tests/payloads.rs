//! Large payloads: kept as blobs, shown in full, and gone with the executions that point to them.

use std::collections::BTreeSet;

use headwater_base::Micros;
use headwater_kernel::port::workflows::{ExecutionState, StartExecution, TaskEnd, Workflows};
use serde_json::{Value, json};

use super::rig::{Rig, input};
use crate::engine::message::Message;
use crate::engine::rows::{self, Tag};

const LARGE: usize = 100_000;

fn large() -> Value {
    json!({ "text": "\u{e9}\"".repeat(LARGE / 4), "number": 1.5 })
}

/// Keeps its input in a variable, waits for a person, and answers with both.
fn machine() -> Value {
    json!({"StartAt": "P", "States": {
        "P": {"Type": "Pass", "Assign": {"kept.$": "$"}, "Next": "A"},
        "A": {"Type": "Task", "Resource": "arn:aws:states:us-east-1:000000000000:activity:work", "End": true}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payload_is_a_blob_that_history_and_description_show_in_full() {
    let mut rig = Rig::new().await;
    rig.workflow("big", &machine()).await;
    rig.start("big", Some("n"), large()).await.unwrap();
    rig.restart().await;
    let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&task.input).unwrap(), large());
    assert!(rig.bytes() < 20_000, "rows of {} bytes", rig.bytes());
    rig.engine().end_task(&task.token, TaskEnd::Success(input(&json!([large()])))).await.unwrap();
    let view = rig.end("big/n").await;
    assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
    rig.restart().await;
    let view = rig.engine().describe("big/n").unwrap();
    assert_eq!(view.input, Some(input(&large())));
    assert_eq!(view.output, Some(input(&json!([large()]))));
    let history = rig.engine().history("big/n", 0, 100, false).unwrap();
    for (event, pointer, payload) in [
        (0, "/executionStartedEventDetails/input", large()),
        (1, "/stateEnteredEventDetails/input", large()),
        (2, "/stateExitedEventDetails/assignedVariables/kept", large()),
        (4, "/activityScheduledEventDetails/input", large()),
        (6, "/activitySucceededEventDetails/output", json!([large()])),
    ] {
        let shown = history[event].pointer(pointer).and_then(Value::as_str);
        assert_eq!(shown, Some(payload.to_string().as_str()), "{event} {pointer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_nobody_points_to_are_collected() {
    let rig = Rig::new().await;
    rig.workflow("big", &machine()).await;
    for name in ["one", "other"] {
        rig.start("big", Some(name), large()).await.unwrap();
    }
    rig.engine().stop("big/one", None, None).await.unwrap();
    let kept = rig.blobs();
    for _ in 0..3 {
        assert_eq!(rig.engine().collect().await.unwrap(), 0);
    }
    rig.advance(31 * 86_400);
    rig.until(|| rig.engine().describe("big/one").is_err()).await;
    assert_eq!(rig.engine().collect().await.unwrap(), 0, "the other one points to the same");
    assert_eq!(rig.engine().describe("big/other").unwrap().input, Some(input(&large())));
    rig.engine().stop("big/other", None, None).await.unwrap();
    rig.advance(31 * 86_400);
    rig.until(|| rig.engine().describe("big/other").is_err()).await;
    assert_eq!(rig.engine().collect().await.unwrap(), kept as u64);
    assert_eq!((rig.blobs(), rig.rows()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_beyond_the_limit_is_refused_as_the_language_says() {
    let rig = Rig::new().await;
    rig.workflow(
        "grow",
        &json!({"StartAt": "G", "QueryLanguage": "JSONata", "States": {
        "G": {"Type": "Pass", "Output": "{% [$states.input, $states.input, $states.input] %}", "End": true}}}),
    )
    .await;
    let refused = rig.start("grow", Some("n"), json!("x".repeat(300_000))).await.unwrap_err();
    assert_eq!(refused.code, "HW-WORK-005");
    rig.start("grow", Some("m"), large()).await.unwrap();
    assert_eq!(rig.end("grow/m").await.error.as_deref(), Some("States.DataLimitExceeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_has_written_is_kept_for_a_while() {
    let rig = Rig::new().await;
    rig.workflow(
        "write",
        &json!({"StartAt": "W", "States": {"W": {"Type": "Task", "End": true,
        "Resource": "arn:headwater:work:::blob:write", "Parameters": {"Content": "hello"}}}}),
    )
    .await;
    rig.start("write", Some("n"), json!({})).await.unwrap();
    rig.end("write/n").await;
    for days in [0, 1, 80] {
        rig.advance(days * 86_400);
        assert_eq!(rig.engine().collect().await.unwrap(), 0);
    }
    rig.advance(10 * 86_400);
    assert_eq!(rig.engine().collect().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_a_crash_leaves_finds_its_payload_in_a_blob() {
    let mut rig = Rig::new().await;
    rig.workflow("big", &machine()).await;
    let request = StartExecution {
        workflow: "big".to_owned(),
        name: Some("n".to_owned()),
        input: Some(input(&large())),
        ..StartExecution::default()
    };
    let (head, payload) = rig.engine().0.head_of(&request, Micros(0)).unwrap();
    let (message, beside) = Message::Start { head: Box::new(head), input: payload }.encode(1_000);
    assert!(message.len() < 1_000, "{} bytes", message.len());
    rig.engine().0.keep(&beside, &BTreeSet::new()).unwrap();
    rig.engine().close().await;
    let sender = rows::key_of("other", "gone");
    rig.put_row(rows::shard_of(&sender), rows::row(&sender, Tag::Message, b"end"), message).await;
    for _ in 0..3 {
        rig.advance(700);
        assert_eq!(rig.engine().collect().await.unwrap(), 0, "the row points to it");
    }
    rig.restart().await;
    rig.until(|| rig.engine().describe("big/n").is_ok()).await;
    assert_eq!(rig.engine().describe("big/n").unwrap().input, Some(input(&large())));
    rig.until(|| rig.rows_of(Tag::Message).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_payloads_go_to_another_execution_and_come_back() {
    let rig = Rig::new().await;
    rig.workflow("echo", &json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}})).await;
    rig.workflow(
        "asks",
        &json!({"StartAt": "S", "States": {"S": {"Type": "Task", "End": true, "OutputPath": "$.Output",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": "echo", "Input.$": "$.payload"}}}}),
    )
    .await;
    rig.start("asks", Some("n"), json!({ "payload": large() })).await.unwrap();
    let view = rig.end("asks/n").await;
    assert_eq!(view.output, Some(input(&large())), "{view:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_items_are_a_blob_together() {
    let mut rig = Rig::new().await;
    for (name, mode) in
        [("spread", json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"})), ("near", json!({"Mode": "INLINE"}))]
    {
        rig.workflow(
            name,
            &json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "MaxConcurrency": 1,
            "ItemProcessor": {"ProcessorConfig": mode, "StartAt": "A", "States": {"A": {"Type": "Task", "End": true,
                "Resource": format!("arn:aws:states:us-east-1:000000000000:activity:{name}")}}}}}}),
        )
        .await;
        let items: Vec<String> = (0..4_000).map(|number| format!("item number {number}")).collect();
        rig.start(name, Some("n"), json!(items)).await.unwrap();
        for restart in [false, true] {
            let task = rig.engine().poll_activity(name, None, super::LONG).await.unwrap().unwrap();
            let expected = u32::from(restart);
            assert_eq!(task.input[..], *json!(format!("item number {expected}")).to_string().as_bytes());
            rig.engine().end_task(&task.token, TaskEnd::Success(input(&json!(1)))).await.unwrap();
            if !restart {
                assert!(rig.bytes() < 20_000, "{name}: rows of {} bytes", rig.bytes());
                rig.restart().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_that_are_not_kept_in_memory_go_on_from_their_rows() {
    const COUNT: u64 = 12;
    let limits = headwater_base::Limits { execution_cache_bytes: 0, ..headwater_base::Limits::default() };
    let rig = Rig::within(limits).await;
    let ask = |path: &str| {
        json!({"Type": "Task", "ResultPath": path,
            "Resource": "arn:aws:states:us-east-1:000000000000:activity:work"})
    };
    let (mut first, mut second) = (ask("$.first"), ask("$.second"));
    first["Next"] = json!("B");
    second["End"] = json!(true);
    rig.workflow("asks", &json!({"StartAt": "A", "States": {"A": first, "B": second}})).await;
    let items: Vec<u64> = (0..20_000).collect();
    for number in 0..COUNT {
        rig.start("asks", Some(&format!("n{number}")), json!({"number": number, "items": items})).await.unwrap();
    }
    // Each is asked about twice, with all others in between.
    for _ in 0..COUNT * 2 {
        let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
        let asked: Value = serde_json::from_slice(&task.input).unwrap();
        let answer = json!([asked["number"], asked["first"].is_null()]);
        rig.engine().end_task(&task.token, TaskEnd::Success(input(&answer))).await.unwrap();
    }
    for number in 0..COUNT {
        let output: Value = serde_json::from_slice(&rig.end(&format!("asks/n{number}")).await.output.unwrap()).unwrap();
        let wanted = json!({"number": number, "items": items, "first": [number, true], "second": [number, false]});
        assert!(output == wanted, "{number}");
    }
}
