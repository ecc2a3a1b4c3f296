//! The answer of a table write when the node goes down between the write's commit and the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use headwater_base::{Micros, Name, Problem};
use headwater_kernel::port::tables::{Page, Query, Tell, TransactError, Transacted, Write, Written};
use headwater_kernel::port::workflows::{ExecutionState, Workflows};
use headwater_kernel::port::{Document, Json, Tables};
use headwater_log::{Commit, EmbeddedLog, Log, LogError};
use serde_json::json;

use super::rig::Rig;

/// A table whose documents have their third version; the first transaction is the last thing that the node does.
struct Last {
    log: Arc<EmbeddedLog>,
    down: AtomicBool,
}

impl Tables for Last {
    fn get(&self, _: &str, _: &str) -> Result<Option<Document>, Problem> {
        Ok(None)
    }

    fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<Document>, Problem> {
        Ok(Vec::new())
    }

    fn put<'a>(
        &'a self,
        _: &'a Name,
        _: &'a str,
        _: Option<Json>,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<u64, Problem>> {
        Box::pin(async { Ok(1) })
    }

    fn generation(&self, _: &str) -> u64 {
        0
    }

    fn key_field(&self, _: &str) -> Result<Option<String>, Problem> {
        Ok(None)
    }

    fn transact_telling(
        &self,
        writes: &[Write],
        also: &mut Commit,
        tell: &mut Tell<'_>,
    ) -> Result<Transacted, TransactError> {
        let document = |version: u64| Document {
            key: "k".to_owned(),
            version,
            updated: Micros(1),
            value: Json::from(json!({"n": version}).to_string()),
        };
        let written: Vec<Written> =
            writes.iter().map(|_| Written { old: Some(document(2)), new: Some(document(3)) }).collect();
        tell(&written, also);
        let ticket = self.log.append(also)?;
        if self.down.swap(true, Ordering::SeqCst) {
            return Ok(Transacted { ticket, written });
        }
        // It has its place, and nobody is left to hear of it.
        Err(TransactError::Log(LogError::Closed))
    }

    fn write<'a>(&'a self, _: &'a [Write]) -> BoxFuture<'a, Result<Vec<Written>, TransactError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn query(&self, _: &str, _: &Query) -> Result<Page, Problem> {
        Ok(Page { documents: Vec::new(), next: None, scanned: 0 })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_a_write_survives_a_crash_behind_its_commit() {
    let mut rig = Rig::new().await;
    rig.tables = Some(Arc::new(Last { log: rig.log.clone(), down: AtomicBool::new(false) }));
    rig.restart().await;
    rig.workflow("w", &json!({"StartAt": "U", "States": {"U": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:::dynamodb:updateItem", "Parameters": {"TableName": "t", "Key": {"id": {"S": "k"}},
            "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}, "ReturnValues": "ALL_NEW"}}}}))
        .await;
    assert_eq!(rig.start("w", Some("n"), json!({})).await.unwrap_err().code, "HW-WORK-034");
    rig.restart().await;
    let view = rig.end("w/n").await;
    assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
    assert_eq!(view.output.as_deref(), Some(&br#"{"Attributes":{"n":{"N":"3"}}}"#[..]));
    rig.start("w", Some("m"), json!({})).await.unwrap();
    assert_eq!(rig.end("w/m").await.output, rig.engine().describe("w/n").unwrap().output);
}
