//! A disk that is full: executions wait for it, and go on.

use std::sync::Arc;

use bytes::Bytes;
use headwater_kernel::port::workflows::ExecutionState;
use headwater_log::{Commit, Delta, Log, LogError};
use headwater_testkit::FaultyDisk;
use serde_json::json;

use super::rig::Rig;

/// Writes to the log until the disk refuses, in the end in small pieces.
async fn fill(rig: &Rig) {
    for bytes in [1 << 20, 100] {
        let mut number = 0_u64;
        loop {
            let value = Some(Bytes::from(vec![7; bytes]));
            let delta = Delta { key: Bytes::copy_from_slice(&number.to_le_bytes()), value };
            let commit = Commit { deltas: vec![(Arc::from("filler"), vec![delta])], ..Commit::default() };
            match rig.log.append(&commit) {
                Ok(ticket) => rig.log.durable(ticket.sequence).await.unwrap(),
                Err(LogError::Full(_)) => tokio::task::yield_now().await,
                Err(LogError::Disk(_)) => break,
                Err(error) => panic!("{error}"),
            }
            number += 1;
            assert!(number < 100_000, "the disk is full");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_wait_for_a_full_disk_and_go_on() {
    let disk = FaultyDisk::default();
    let rig = Rig::on(&disk).await;
    rig.workflow("w", &json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}})).await;
    disk.set_full(true);
    fill(&rig).await;
    let freed = async {
        // The shard has what it was asked for, and the log takes nothing of it.
        rig.until(|| rig.engine().0.queues.iter().all(|queue| queue.len() == 0)).await;
        assert!(rig.log.fault().is_some());
        disk.set_full(false);
    };
    let (started, ()) = tokio::join!(rig.start("w", Some("n"), json!({})), freed);
    started.unwrap();
    assert_eq!(rig.end("w/n").await.state, ExecutionState::Succeeded);
    rig.start("w", Some("m"), json!({})).await.unwrap();
    assert_eq!(rig.end("w/m").await.state, ExecutionState::Succeeded);
}
