//! What clients hand over while no execution takes it up: so many bytes wait, and more are refused.

use std::sync::{Arc, Barrier};

use futures::FutureExt as _;
use headwater_base::{Limits, Problem};
use headwater_kernel::port::tables::TransactError;
use headwater_kernel::port::workflows::{ExecutionState, TaskEnd, Workflows};
use serde_json::json;

use super::rig::{Rig, input};
use super::tables;
use crate::engine::rows;

#[track_caller]
fn is_full(refused: &Problem) {
    assert_eq!(refused.code, "HW-WORK-034");
    assert!(refused.title.contains("300000 bytes"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_hand_over_waits_within_bounds() {
    let mut rig = Rig::within(Limits { execution_requests_bytes: 300_000, ..Limits::default() }).await;
    let (gate, held) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (met, passed) = (Arc::clone(&gate), Arc::clone(&held));
    rig.tables = Some(tables::made_by(move |_, _, _| {
        // The shard stands still in between.
        met.wait();
        passed.wait();
        Err(TransactError::Condition { index: 0, document: None })
    }));
    rig.restart().await;
    rig.workflow("u", &super::update()).await;
    rig.workflow("a", &super::activity(json!([]))).await;
    let shard = |workflow: &str, name: &str| rows::shard_of(&rows::key_of(workflow, name));
    let names: Vec<String> = (0_u32..)
        .map(|number| format!("m{number}"))
        .filter(|name| shard("a", name) == shard("u", "n"))
        .take(5)
        .collect();
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
