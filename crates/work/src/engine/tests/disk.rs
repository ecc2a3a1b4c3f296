//! A disk that is full: starts are refused, and executions wait for it and go on.

use std::sync::Arc;

use bytes::Bytes;
use headwater_kernel::port::workflows::{ExecutionQuery, ExecutionState, Workflows};
use headwater_log::{Commit, Delta, Log, LogError};
use headwater_testkit::FaultyDisk;
use serde_json::json;

use super::rig::Rig;
use crate::engine::rows;

/// Writes to the log until the disk refuses, in the end in small pieces.
async fn fill(rig: &Rig) {
    for bytes in [1 << 20, 100] {
        let mut number = 0_u64;
        loop {
            let value = Some(Bytes::from(vec![7; bytes]));
            let delta = Delta { key: Bytes::copy_from_slice(&number.to_le_bytes()), value };
            let mut commit = Commit { deltas: vec![(Arc::from("filler"), vec![delta])], ..Commit::default() };
            match rig.log.append(&mut commit) {
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
async fn a_full_disk_refuses_starts_and_executions_wait_for_it() {
    let disk = FaultyDisk::default();
    let rig = Rig::on(&disk).await;
    rig.workflow("w", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}})).await;
    rig.start("w", Some("n"), json!({})).await.unwrap();
    disk.set_full(true);
    fill(&rig).await;
    let refused = rig.start("w", Some("alone"), json!({})).await.unwrap_err();
    assert_eq!(refused.code, "HW-WORK-034");
    assert!(refused.title.contains("disk"), "{refused}");
    // Now the shard has more to write than what is refused: the next start is in one batch with that, the last one comes
    // while the shard waits.
    rig.advance(61);
    let shard = |name: &str| rows::shard_of(&rows::key_of("w", name));
    for name in (0_u32..).map(|number| format!("m{number}")).filter(|name| shard(name) == shard("n")).take(2) {
        assert_eq!(rig.start("w", Some(&name), json!({})).await.unwrap_err().code, "HW-WORK-034");
    }
    assert!(rig.log.fault().is_some());
    disk.set_full(false);
    assert_eq!(rig.end("w/n").await.state, ExecutionState::Succeeded);
    // What was refused has not happened.
    let query = ExecutionQuery { count: 10, ..ExecutionQuery::default() };
    assert_eq!(rig.engine().list(&query).unwrap().0.len(), 1);
    rig.start("w", Some("alone"), json!({})).await.unwrap();
}
