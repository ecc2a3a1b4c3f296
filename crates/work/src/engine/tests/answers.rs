//! The answer of a table write when the node goes down between the write's commit and the next.

use std::sync::atomic::{AtomicBool, Ordering};

use headwater_base::Micros;
use headwater_kernel::port::tables::{TransactError, Transacted, Written};
use headwater_kernel::port::workflows::{ExecutionState, Workflows};
use headwater_kernel::port::{Document, Json};
use headwater_log::{Log, LogError};
use serde_json::json;

use super::rig::Rig;
use super::tables;

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_a_write_survives_a_crash_behind_its_commit() {
    let mut rig = Rig::new().await;
    let (log, down) = (rig.log.clone(), AtomicBool::new(false));
    // Documents have their third version; the first transaction is the last thing that the node does.
    rig.tables = Some(tables::made_by(move |writes, also, tell| {
        let document = |version: u64| Document {
            key: "k".to_owned(),
            version,
            updated: Micros(1),
            value: Json::from(json!({"n": version}).to_string()),
        };
        let written: Vec<Written> =
            writes.iter().map(|_| Written { old: Some(document(2)), new: Some(document(3)) }).collect();
        tell(&written, also);
        let ticket = log.append(also)?;
        if down.swap(true, Ordering::SeqCst) {
            return Ok(Transacted { ticket, written });
        }
        // It has its place, and nobody is left to hear of it.
        Err(TransactError::Log(LogError::Closed))
    }));
    rig.restart().await;
    rig.workflow("w", &super::update()).await;
    assert_eq!(rig.start("w", Some("n"), json!({})).await.unwrap_err().code, "HW-WORK-034");
    rig.restart().await;
    let view = rig.end("w/n").await;
    assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
    assert_eq!(view.output.as_deref(), Some(&br#"{"Attributes":{"n":{"N":"3"}}}"#[..]));
    rig.start("w", Some("m"), json!({})).await.unwrap();
    assert_eq!(rig.end("w/m").await.output, rig.engine().describe("w/n").unwrap().output);
}
