//! External tasks that were under way when the node went down, of which nobody knows whether they were done: done again,
//! ended by a person, or failed.

use std::sync::atomic::Ordering;

use headwater_kernel::port::workflows::{ExecutionState, TaskEnd, Workflows};
use serde_json::{Value, json};

use super::rig::{Rig, input};
use crate::engine::Unknown;

/// A rig whose second life finds the task of `w/n` in doubt; from then on the outside answers.
async fn in_doubt(unknown: Unknown) -> Rig {
    let mut rig = Rig::new().await;
    let task = json!({"Type": "Task", "Resource": "arn:headwater:work:::pipeline:enrich", "End": true,
        "Parameters": {"Pipeline": "p", "Event": {"n": 1}}});
    rig.version("w", 1, &json!({"StartAt": "T", "States": {"T": task}}), unknown).await;
    rig.pipelines.stuck.store(true, Ordering::SeqCst);
    rig.start("w", Some("n"), json!({})).await.unwrap();
    rig.until(|| calls(&rig) == 1).await;
    rig.pipelines.stuck.store(false, Ordering::SeqCst);
    rig.restart().await;
    rig
}

/// How often the outside was called.
fn calls(rig: &Rig) -> usize {
    rig.pipelines.calls.load(Ordering::SeqCst)
}

/// What people are asked on the bus.
fn questions(rig: &Rig) -> Vec<Value> {
    rig.news("w/n").into_iter().filter(|news| news["token"].is_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_in_doubt_is_done_again() {
    let rig = in_doubt(Unknown::Retry).await;
    let view = rig.end("w/n").await;
    assert_eq!((view.state, view.output.as_deref()), (ExecutionState::Succeeded, Some(&br#"{"Event":{"n":1}}"#[..])));
    assert_eq!((calls(&rig), questions(&rig).len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_in_doubt_fails_by_a_name_of_its_own() {
    let rig = in_doubt(Unknown::Fail).await;
    let view = rig.end("w/n").await;
    assert_eq!((view.state, view.error.as_deref()), (ExecutionState::Failed, Some("States.TaskUnknown")));
    assert_eq!((calls(&rig), questions(&rig).len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked_once_about_a_task_in_doubt_and_ends_it() {
    let mut rig = in_doubt(Unknown::Ask).await;
    rig.until(|| !questions(&rig).is_empty()).await;
    let question = questions(&rig).remove(0);
    assert_eq!((&question["execution"], &question["state"]), (&json!("w/n"), &json!("T")));
    // The next life asks nobody again, and the token is worth something all the same.
    rig.restart().await;
    assert_eq!(rig.engine().describe("w/n").unwrap().state, ExecutionState::Running);
    let token = question["token"].as_str().unwrap();
    rig.engine().end_task(token, TaskEnd::Success(input(&json!({"done": true})))).await.unwrap();
    let view = rig.end("w/n").await;
    assert_eq!((view.state, view.output.as_deref()), (ExecutionState::Succeeded, Some(&br#"{"done":true}"#[..])));
    assert_eq!((calls(&rig), questions(&rig).len()), (1, 1));
}
