//! What the engine keeps: every row that it writes is read back as it is, and rows that cannot be stop at what they are of.

use std::sync::Arc;

use bytes::Bytes;
use headwater_base::Name;
use headwater_kernel::port::workflows::Workflows;
use headwater_log::{Append, Commit, Delta, Log};
use headwater_wire::batch::{Builder, Compression};
use serde_json::json;

use super::rig::Rig;
use super::{activity, pass};
use crate::engine::rows::{DEFINITIONS, Head, Tag};
use crate::engine::{journal, rewrite};
use crate::execution::record::codec::nowhere;

/// Rows that are there while an execution of each waits.
async fn waiting(rig: &Rig) {
    let wait = json!({"Type": "Wait", "Seconds": 60, "End": true});
    let machine = |name: &str, state: &serde_json::Value| json!({"StartAt": name, "States": {name: state}});
    let both = json!({"Type": "Parallel", "Branches": [machine("A", &wait), machine("B", &wait)], "End": true});
    rig.workflow("both", &machine("S", &both)).await;
    rig.workflow("work", &activity(json!([]))).await;
    let mut inner = machine("A", &wait);
    inner["ProcessorConfig"] = json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"});
    rig.workflow("map", &machine("S", &json!({"Type": "Map", "End": true, "ItemProcessor": inner}))).await;
    for workflow in ["both", "work"] {
        rig.start(workflow, Some("n"), json!({"a": [1.5, null, "x"]})).await.unwrap();
    }
    rig.start("map", Some("n"), json!([1, {"b": 2}])).await.unwrap();
    // The children are there with the first commit of the run's own.
    rig.until(|| rig.rows_of(Tag::Head).len() == 5 && rig.rows_of(Tag::Message).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_read_back_as_it_is() {
    let rig = Rig::new().await;
    waiting(&rig).await;
    for tag in [Tag::Head, Tag::Header, Tag::Thread, Tag::Data, Tag::Task, Tag::Timer, Tag::MapRun, Tag::Progress] {
        let rows = rig.rows_of(tag);
        assert!(!rows.is_empty(), "no row of tag {}", tag as u8);
        for (_, row, value) in rows {
            let again = rewrite::row(&row, &value, &nowhere, usize::MAX).unwrap();
            assert_eq!((again.value, again.large), (value, Vec::new()), "tag {}", tag as u8);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_names_threads_without_records_stops_its_execution_alone() {
    let mut rig = Rig::new().await;
    waiting(&rig).await;
    let heads = rig.rows_of(Tag::Head);
    let both = heads.iter().find(|(.., value)| Head::decode(value).unwrap().workflow == "both");
    let (shard, row, value) = both.unwrap().clone();
    let head = Head { threads: vec![(0, u32::MAX)], ..Head::decode(&value).unwrap() };
    rig.put_row(shard, row, head.encode()).await;
    rig.restart().await;
    assert_eq!(rig.engine().stop("both/n", None, None).await.unwrap_err().code, "HW-WORK-002");
    rig.engine().stop("work/n", None, None).await.unwrap();
    let cause = || rig.engine().describe("both/n").unwrap().cause;
    rig.until(|| cause().is_some_and(|cause| cause.contains("has no record"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_goes_round_is_called_unreadable() {
    let rig = Rig::new().await;
    rig.workflow("w", &pass(json!(1))).await;
    rig.start("w", Some("n"), json!({})).await.unwrap();
    rig.end("w/n").await;
    let (shard, row, value) = rig.rows_of(Tag::Head).remove(0);
    let (stream, partition) = (Name::new(journal::STREAM).unwrap(), u32::try_from(shard).unwrap());
    let at = rig.log.ends(&stream, partition).unwrap().durable;
    let mut builder = Builder::new(Compression::None);
    // The piece before it is itself.
    let before = at.to_be_bytes();
    builder.push(0, Some(b"w/n".as_slice()), Some(b"[{\"id\":9}]".as_slice()), &[("p", &before)]);
    let append = Append { stream, partition, batches: builder.finish() };
    let ticket = rig.log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
    rig.log.durable(ticket.sequence).await.unwrap();
    let head = Head::decode(&value).unwrap();
    for last in [at, i64::MAX] {
        rig.put_row(shard, row.clone(), Head { last, ..head.clone() }.encode()).await;
        for reverse in [false, true] {
            let problem = rig.engine().history("w/n", 0, 10, reverse).unwrap_err();
            assert_eq!(problem.code, "HW-WORK-036", "{problem:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_is_gone_is_said_to_be() {
    let rig = Rig::new().await;
    rig.workflow("hello", &pass(json!({"a": 1}))).await;
    rig.start("hello", Some("one"), json!({})).await.unwrap();
    rig.end("hello/one").await;
    let mut gone = Vec::new();
    rig.log.for_each(DEFINITIONS, &mut |key, _| gone.push(Delta { key: Bytes::copy_from_slice(key), value: None }));
    assert!(!gone.is_empty());
    let mut commit = Commit { deltas: vec![(Arc::from(DEFINITIONS), gone)], ..Commit::default() };
    let ticket = rig.log.append(&mut commit).unwrap();
    rig.log.durable(ticket.sequence).await.unwrap();
    let problem = rig.engine().definition("hello/one").unwrap_err();
    assert_eq!(problem.code, "HW-WORK-037", "{problem:?}");
}
