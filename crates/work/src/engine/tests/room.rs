//! What waits while no execution takes it up: so many bytes of what clients hand over, and more are refused; and of each
//! shard the ends of no more than may run.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};

use futures::FutureExt as _;
use headwater_base::{Limits, Problem};
use headwater_kernel::port::Tables;
use headwater_kernel::port::tables::TransactError;
use headwater_kernel::port::workflows::{ExecutionState, TaskEnd, Workflows};
use serde_json::json;

use super::rig::{Rig, TASKS_AT_ONCE, input};
use super::tables;
use crate::engine::rows;

#[track_caller]
fn is_full(refused: &Problem) {
    assert_eq!(refused.code, "HW-WORK-034");
    assert!(refused.title.contains("300000 bytes"), "{refused}");
}

/// Tables at which a shard stands still, from the first of these to the second.
fn still() -> (Arc<Barrier>, Arc<Barrier>, Arc<dyn Tables>) {
    let (gate, held) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (met, passed) = (Arc::clone(&gate), Arc::clone(&held));
    let tables = tables::made_by(move |_, _, _| {
        met.wait();
        passed.wait();
        Err(TransactError::Condition { index: 0, document: None })
    });
    (gate, held, tables)
}

/// Names of executions of a workflow in the shard of `u/n`, or in others.
fn named(workflow: &str, beside: bool, count: usize) -> Vec<String> {
    let shard = |workflow: &str, name: &str| rows::shard_of(&rows::key_of(workflow, name));
    let names = (0_u32..).map(|number| format!("m{number}"));
    names.filter(|name| (shard(workflow, name) == shard("u", "n")) == beside).take(count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_hand_over_waits_within_bounds() {
    let mut rig = Rig::within(Limits { execution_requests_bytes: 300_000, ..Limits::default() }).await;
    let (gate, held, tables) = still();
    rig.tables = Some(tables);
    rig.restart().await;
    rig.workflow("u", &super::update()).await;
    rig.workflow("a", &super::activity(json!([]))).await;
    let names = named("a", true, 5);
    let large = json!("x".repeat(100_000));
    rig.start("a", Some(&names[0]), json!({})).await.unwrap();
    let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();

    assert!(rig.start("u", Some("n"), json!({})).now_or_never().is_none());
    gate.wait();
    // Of these the clients do not even wait for an answer.
    for name in &names[1..3] {
        assert!(rig.start("a", Some(name), large.clone()).now_or_never().is_none());
    }
    is_full(&rig.start("a", Some(&names[3]), large.clone()).await.unwrap_err());
    let running = format!("a/{}", names[0]);
    is_full(&rig.engine().stop(&running, None, Some("x".repeat(100_000))).await.unwrap_err());
    is_full(&rig.engine().end_task(&task.token, TaskEnd::Success(input(&large))).await.unwrap_err());
    // There is room for what is small.
    assert!(rig.start("a", Some(&names[4]), json!({})).now_or_never().is_none());
    held.wait();

    for name in [&names[1], &names[2], &names[4]] {
        rig.until(|| rig.engine().describe(&format!("a/{name}")).is_ok()).await;
    }
    assert_eq!(rig.engine().describe(&format!("a/{}", names[3])).unwrap_err().code, "HW-WORK-030");
    // It is given back with what is taken up.
    rig.start("a", Some(&names[3]), large.clone()).await.unwrap();
    rig.engine().end_task(&task.token, TaskEnd::Success(input(&large))).await.unwrap();
    assert_eq!(rig.end(&running).await.state, ExecutionState::Succeeded);
}

/// Runs more than may run at once, and lets it end while its shard stands still.
async fn no_more_ends_wait_than_may_run(express: bool, at_once: usize) {
    let mut rig = Rig::new().await;
    let (gate, held, tables) = still();
    rig.tables = Some(tables);
    rig.bounds.express_at_once_max = at_once;
    rig.restart().await;
    rig.workflow("u", &super::update()).await;
    let task = json!({"Type": "Task", "Resource": "arn:headwater:work:::pipeline:enrich", "End": true,
        "Parameters": {"Pipeline": "p", "Event": {"n": 1}}});
    let machine = json!({"StartAt": "T", "States": {"T": task}});
    if express {
        rig.express("e", &machine).await;
    } else {
        rig.workflow("e", &machine).await;
    }
    rig.pipelines.stuck.store(true, Ordering::SeqCst);
    let names = named("e", true, at_once + 5);
    for name in &names {
        rig.start("e", Some(name), json!({})).await.unwrap();
    }
    let calls = || rig.pipelines.calls.load(Ordering::SeqCst);
    rig.until(|| calls() == at_once).await;

    assert!(rig.start("u", Some("n"), json!({})).now_or_never().is_none());
    gate.wait();
    rig.pipelines.free();
    rig.until(|| rig.figure("queued") == at_once as f64).await;
    assert_eq!(calls(), at_once);
    // The other shards go on.
    let others = named("e", false, at_once + 5);
    for name in &others {
        rig.start("e", Some(name), json!({})).await.unwrap();
    }
    for name in &others {
        assert_eq!(rig.end(&format!("e/{name}")).await.state, ExecutionState::Succeeded);
    }
    assert_eq!(calls(), at_once + others.len());
    held.wait();

    for name in &names {
        assert_eq!(rig.end(&format!("e/{name}")).await.state, ExecutionState::Succeeded);
    }
    assert_eq!(calls(), names.len() + others.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_its_place_until_its_answer_is_taken_up() {
    no_more_ends_wait_than_may_run(false, TASKS_AT_ONCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_express_execution_has_its_place_until_its_end_is_taken_up() {
    no_more_ends_wait_than_may_run(true, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_those_that_are_turned_away_together_is_told() {
    let mut rig = Rig::new().await;
    let (gate, held, tables) = still();
    rig.tables = Some(tables);
    rig.restart().await;
    rig.workflow("u", &super::update()).await;
    rig.workflow("child", &super::pass(json!(7))).await;
    let task = json!({"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync", "End": true,
        "Parameters": {"StateMachineArn": "child", "Name": named("child", true, 1)[0]}});
    rig.workflow("parent", &json!({"StartAt": "S", "States": {"S": task}})).await;

    assert!(rig.start("u", Some("n"), json!({})).now_or_never().is_none());
    gate.wait();
    let parents = named("parent", false, 3);
    for name in &parents {
        rig.start("parent", Some(name), json!({})).await.unwrap();
    }
    // One of them gets the execution that all ask for; the others are refused in the same commit.
    rig.until(|| rig.figure("queued") == parents.len() as f64).await;
    held.wait();
    let mut succeeded = 0;
    for name in &parents {
        succeeded += usize::from(rig.end(&format!("parent/{name}")).await.state == ExecutionState::Succeeded);
    }
    assert_eq!(succeeded, 1);
}
