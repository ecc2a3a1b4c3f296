//! Bugs that executions meet: each is the failure of one execution, and whoever waits for it is told.

use headwater_kernel::port::workflows::{ExecutionState, Workflows};
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
    let later = json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "Next": "B"}, "B": call()}});
    rig.workflow("w", &later).await;
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
async fn an_express_execution_that_meets_a_bug_says_so() {
    let rig = Rig::new().await;
    rig.express("quick", &at_once()).await;
    rig.start("quick", Some("n"), json!({"bug": true})).await.unwrap();
    let cause = || rig.engine().describe("quick/n").ok().and_then(|view| view.cause);
    rig.until(|| cause().is_some()).await;
    assert!(cause().unwrap().contains("a bug, made by a test"));
}
