//! Bugs that executions meet: each is the failure of one execution, and whoever waits for it is told.

use headwater_kernel::port::workflows::{ExecutionQuery, ExecutionState, Workflows};
use serde_json::{Value, json};

use super::rig::Rig;
use crate::engine::rows::Tag;

/// A task that meets a bug where its input asks for one.
fn call() -> Value {
    json!({"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:bug", "End": true})
}

fn at_once() -> Value {
    json!({"StartAt": "B", "States": {"B": call()}})
}

/// The same after five seconds.
fn later() -> Value {
    json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "Next": "B"}, "B": call()}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_meets_a_bug_at_once_does_not_begin() {
    let mut rig = Rig::new().await;
    rig.workflow("child", &at_once()).await;
    let refused = rig.start("child", Some("n"), json!({"bug": true})).await.unwrap_err();
    assert_eq!(refused.code, "HW-WORK-064");
    assert!(refused.title.contains("a bug, made by a test"), "{refused}");
    // Its name is free, and its shard goes on.
    rig.start("child", Some("n"), json!({"bug": false})).await.unwrap();
    assert_eq!(rig.end("child/n").await.state, ExecutionState::Succeeded);

    let start = json!({"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync",
        "Parameters": {"StateMachineArn": "child", "Input": {"bug": true}, "Name": "kid"}, "End": true}}});
    rig.workflow("parent", &start).await;
    rig.start("parent", Some("n"), json!({})).await.unwrap();
    let view = rig.end("parent/n").await;
    assert_eq!((view.state, view.error.as_deref()), (ExecutionState::Failed, Some("States.TaskFailed")), "{view:?}");
    assert!(rig.rows_of(Tag::Message).is_empty(), "the next life would meet the bug again");
    rig.restart().await;
    assert_eq!(rig.engine().describe("child/kid").unwrap_err().code, "HW-WORK-030");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_meets_a_bug_later_is_parked_and_others_go_on() {
    let mut rig = Rig::new().await;
    rig.workflow("w", &later()).await;
    for (name, bug) in [("bad", true), ("good", false)] {
        rig.start("w", Some(name), json!({"bug": bug})).await.unwrap();
    }
    rig.advance(6);
    assert_eq!(rig.end("w/good").await.state, ExecutionState::Succeeded);
    let cause = |rig: &Rig| rig.engine().describe("w/bad").unwrap().cause;
    rig.until(|| cause(&rig).is_some()).await;
    rig.restart().await;
    rig.advance(1);
    assert!(cause(&rig).unwrap().contains("a bug, made by a test"));
    assert_eq!(rig.engine().stop("w/bad", None, None).await.unwrap_err().code, "HW-WORK-031");
    // Nobody is told that it runs, who would wait for its end.
    assert_eq!(rig.start("w", Some("bad"), json!({"bug": true})).await.unwrap_err().code, "HW-WORK-031");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_more_becomes_of_an_execution_that_is_parked() {
    let rig = Rig::new().await;
    let wait = |next: &str| json!({"Type": "Wait", "Seconds": 5, "Next": next});
    let bad = json!({"StartAt": "V", "States": {"V": wait("B"), "B": call()}});
    let good = json!({"StartAt": "W", "States": {"W": wait("P"), "P": {"Type": "Pass", "End": true}}});
    let both = json!({"Type": "Parallel", "Branches": [bad, good], "End": true});
    rig.workflow("w", &json!({"StartAt": "A", "States": {"A": both}})).await;
    rig.start("w", Some("n"), json!({"bug": true})).await.unwrap();
    let before = rig.records(crate::engine::journal::STREAM);
    // Both branches are due in one round.
    rig.advance(6);
    rig.until(|| rig.engine().describe("w/n").unwrap().cause.is_some()).await;
    assert_eq!(rig.engine().stop("w/n", None, None).await.unwrap_err().code, "HW-WORK-031");
    assert_eq!(rig.records(crate::engine::journal::STREAM), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_an_execution_that_is_parked_waits_no_more() {
    let rig = Rig::new().await;
    rig.workflow("child", &later()).await;
    let start = json!({"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync",
        "Parameters": {"StateMachineArn": "child", "Input": {"bug": true}, "Name": "kid"}, "End": true}}});
    rig.workflow("parent", &start).await;
    rig.start("parent", Some("n"), json!({})).await.unwrap();
    rig.until(|| rig.engine().describe("child/kid").is_ok()).await;
    let mut machine = later();
    machine["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
    let map = json!({"Type": "Map", "End": true, "ItemProcessor": machine});
    rig.workflow("map", &json!({"StartAt": "M", "States": {"M": map}})).await;
    rig.start("map", Some("n"), json!([{"bug": true}])).await.unwrap();
    rig.until(|| rig.engine().map_runs("map/n").is_ok_and(|runs| !runs.is_empty())).await;
    let arn = rig.engine().map_runs("map/n").unwrap()[0]["mapRunArn"].as_str().unwrap().to_owned();
    let children = ExecutionQuery { map_run: Some(arn), count: 10, ..ExecutionQuery::default() };
    rig.until(|| rig.engine().list(&children).is_ok_and(|(found, _)| found.len() == 1)).await;
    rig.advance(6);
    let view = rig.end("parent/n").await;
    assert_eq!((view.state, view.error.as_deref()), (ExecutionState::Failed, Some("States.TaskFailed")), "{view:?}");
    assert!(view.cause.unwrap().contains("a bug, made by a test"));
    let view = rig.end("map/n").await;
    assert_eq!(
        (view.state, view.error.as_deref()),
        (ExecutionState::Failed, Some("States.ExceedToleratedFailureThreshold")),
        "{view:?}"
    );
    rig.until(|| rig.rows_of(Tag::Message).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_meets_a_bug_fails() {
    let rig = Rig::new().await;
    for kind in ["STANDARD", "EXPRESS"] {
        let map = json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind},
            "StartAt": "B", "States": {"B": call()}}}}});
        let name = kind.to_lowercase();
        rig.workflow(&name, &map).await;
        rig.start(&name, Some("n"), json!([{"bug": false}, {"bug": true}])).await.unwrap();
        let view = rig.end(&format!("{name}/n")).await;
        assert_eq!(
            (view.state, view.error.as_deref()),
            (ExecutionState::Failed, Some("States.ExceedToleratedFailureThreshold")),
            "{view:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_express_execution_that_meets_a_bug_says_so_and_is_not_tried_again() {
    let mut rig = Rig::new().await;
    rig.stream("out").await;
    let publish = json!({"Type": "Task", "Resource": "arn:headwater:work:::stream:publish", "Next": "B",
        "Parameters": {"Stream": "out", "Value.$": "$"}, "ResultPath": null});
    rig.express("quick", &json!({"StartAt": "A", "States": {"A": publish, "B": call()}})).await;
    rig.start("quick", Some("n"), json!({"bug": true})).await.unwrap();
    let cause = |rig: &Rig| rig.engine().describe("quick/n").ok().and_then(|view| view.cause);
    rig.until(|| cause(&rig).is_some()).await;
    assert!(cause(&rig).unwrap().contains("a bug, made by a test"));
    rig.restart().await;
    rig.start("quick", Some("other"), json!({"bug": false})).await.unwrap();
    let view = rig.end("quick/other").await;
    assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
    assert_eq!(rig.records("out"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_not_told_of_executions_that_are_parked() {
    let rig = Rig::new().await;
    let work = json!({"Type": "Task", "Resource": "arn:aws:states:us-east-1:000000000000:activity:work", "End": true});
    let branches = json!([{"StartAt": "A", "States": {"A": work}}, later()]);
    rig.workflow(
        "w",
        &json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": branches, "End": true}}}),
    )
    .await;
    rig.start("w", Some("bad"), json!({"bug": true})).await.unwrap();
    rig.advance(6);
    rig.until(|| rig.engine().describe("w/bad").unwrap().cause.is_some()).await;
    rig.start("w", Some("good"), json!({"bug": false})).await.unwrap();
    let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
    assert_eq!(&task.input[..], br#"{"bug":false}"#);
}
