//! History of an execution that runs for long: carried forward, so that what ended since goes.

use bytes::Bytes;
use headwater_kernel::port::workflows::{ExecutionState, TaskEnd, Workflows};
use headwater_testkit::FaultyDisk;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::rig::{Rig, input};
use crate::engine::journal::{Copied, STREAM};
use crate::engine::queue::Command;
use crate::engine::rows::{self, Key};

/// Asks a worker until one says that it is over.
fn machine() -> Value {
    json!({"StartAt": "A", "States": {
        "A": {"Type": "Task", "Resource": "arn:aws:states:us-east-1:000000000000:activity:work", "Next": "C"},
        "C": {"Type": "Choice", "Choices": [{"Variable": "$", "StringEquals": "over", "Next": "D"}], "Default": "A"},
        "D": {"Type": "Succeed"}}})
}

async fn begin(rig: &Rig) -> Key {
    rig.workflow("long", &machine()).await;
    rig.start("long", Some("n"), json!("begin")).await.unwrap();
    for answer in ["one", "two"] {
        go(rig, answer).await;
    }
    rows::key_of("long", "n")
}

async fn go(rig: &Rig, answer: &str) {
    let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
    rig.engine().end_task(&task.token, TaskEnd::Success(input(&json!(answer)))).await.unwrap();
}

/// All events, none of which may be missing.
fn history(rig: &Rig) -> Vec<Value> {
    let events = rig.engine().history("long/n", 0, 10_000, false).unwrap();
    for (number, event) in (1_u64..).zip(&events) {
        assert_eq!(event["id"], number);
    }
    events
}

/// Runs the execution to its end, which has to know everything.
async fn end(rig: &Rig, before: &[Value]) {
    assert_eq!(history(rig).get(..before.len()), Some(before));
    go(rig, "over").await;
    let view = rig.end("long/n").await;
    assert_eq!((view.state, view.output), (ExecutionState::Succeeded, Some(input(&json!("over")))));
    let events = history(rig);
    assert_eq!(
        (events.get(..before.len()), &events[events.len() - 1]["type"]),
        (Some(before), &json!("ExecutionSucceeded"))
    );
    assert_eq!(rig.engine().describe("long/n").unwrap().input, Some(input(&json!("begin"))));
}

fn carry(rig: &Rig, key: &Key, pieces_max: usize) -> bool {
    tokio::task::block_in_place(|| rig.engine().0.carry(key, pieces_max)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_goes_although_an_older_execution_runs() {
    let mut rig = Rig::new().await;
    begin(&rig).await;
    rig.workflow("hello", &super::pass(json!(1))).await;
    for round in 0..2 {
        for number in 0..300 {
            rig.start("hello", Some(&format!("n{number}")), json!({})).await.unwrap();
        }
        rig.until(|| rig.ended() == 300).await;
        rig.advance(31 * 86_400);
        rig.until(|| rig.ended() == 0).await;
        let before = history(&rig);
        rig.engine().collect().await.unwrap();
        go(&rig, "more").await;
        rig.engine().collect().await.unwrap();
        let kept = rig.records_kept(STREAM);
        assert!(kept < 30, "round {round}: {kept} pieces");
        assert_eq!(history(&rig).get(..before.len()), Some(&before[..]));
        rig.restart().await;
    }
    let before = history(&rig);
    end(&rig, &before).await;
    // What is left goes with it.
    rig.advance(31 * 86_400);
    rig.until(|| rig.engine().describe("long/n").is_err()).await;
    rig.engine().collect().await.unwrap();
    assert_eq!((rig.records_kept(STREAM), rig.rows()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_head_names_the_copies_changes_nothing() {
    let mut rig = Rig::new().await;
    let key = begin(&rig).await;
    let before = history(&rig);
    let shard = rows::shard_of(&key);
    let (reply, answer) = oneshot::channel();
    let copies = vec![Copied { time_ms: 0, value: Bytes::from_static(b"[]") }];
    rig.engine().0.push(shard, Command::Copy { id: "long/n".to_owned(), previous: -1, copies, reply });
    let (first, last) = answer.await.unwrap().unwrap();
    assert_eq!(first, last);
    go(&rig, "more").await;
    rig.restart().await;
    assert_eq!(history(&rig).get(..before.len()), Some(&before[..]));
    assert!(carry(&rig, &key, 2));
    rig.restart().await;
    // Once more, now from copies.
    assert!(carry(&rig, &key, 1));
    end(&rig, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_takes_copies_of_all_pieces_alone() {
    let rig = Rig::new().await;
    let key = begin(&rig).await;
    let before = history(&rig);
    let (reply, answer) = oneshot::channel();
    let shard = rows::shard_of(&key);
    rig.engine().0.push(shard, Command::Carried { key, from: (0, 0), to: (7, 9), reply });
    assert!(!answer.await.unwrap().unwrap());
    end(&rig, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_goes_on_while_it_is_carried() {
    let rig = Rig::new().await;
    let key = begin(&rig).await;
    let before = history(&rig);
    let engine = rig.engine().clone();
    let carrying = tokio::task::spawn_blocking(move || {
        for _ in 0..20 {
            // It may have gone on faster.
            engine.0.carry(&key, 1).unwrap();
        }
    });
    for _ in 0..30 {
        go(&rig, "on").await;
    }
    carrying.await.unwrap();
    assert!(carry(&rig, &key, 100));
    end(&rig, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_has_ended_is_carried_too() {
    let mut rig = Rig::new().await;
    let key = begin(&rig).await;
    go(&rig, "over").await;
    rig.end("long/n").await;
    let before = history(&rig);
    assert!(carry(&rig, &key, 3));
    rig.restart().await;
    assert_eq!(history(&rig), before);
    assert_eq!(rig.engine().describe("long/n").unwrap().output, Some(input(&json!("over"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_while_history_is_carried_loses_none_of_it() {
    for seed in 0..24 {
        let disk = FaultyDisk::default();
        let mut rig = Rig::over(&disk).await;
        let key = begin(&rig).await;
        let before = history(&rig);
        disk.cut_after(seed % 12 + 1);
        // Whether it comes through is not known; what there was has to be there.
        let _ = tokio::task::block_in_place(|| rig.engine().0.carry(&key, 1));
        rig.power_cut(&disk, seed).await;
        assert_eq!(history(&rig), before, "seed {seed}");
        end(&rig, &before).await;
    }
}
