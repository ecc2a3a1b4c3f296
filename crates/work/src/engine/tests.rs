//! The engine over a log in memory, with a clock that stands still.

mod answers;
mod bugs;
mod calls;
mod carry;
mod disk;
mod kept;
mod lists;
mod maps;
mod news;
mod payloads;
mod rig;
mod room;
mod tables;
mod unknown;

use std::time::Duration;

use expect_test::expect;
use futures::FutureExt;
use headwater_base::Name;
use headwater_kernel::port::workflows::{
    ExecutionCounts, ExecutionQuery, ExecutionState, StartExecution, TaskEnd, Workflows,
};
use headwater_log::Log;
use serde_json::{Value, json};

use super::Unknown;
use rig::{Rig, input};

/// For what does not come, not for how fast a busy machine is.
const LONG: Duration = Duration::from_secs(60);

fn pass(output: Value) -> Value {
    json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": output, "End": true}}})
}

fn activity(retry: Value) -> Value {
    json!({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "arn:aws:states:us-east-1:000000000000:activity:work",
        "HeartbeatSeconds": 40, "Retry": retry, "End": true}}})
}

/// Counts in a document, and gives it back.
fn update() -> Value {
    json!({"StartAt": "U", "States": {"U": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:::dynamodb:updateItem", "Parameters": {"TableName": "t", "Key": {"id": {"S": "k"}},
            "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}}, "ReturnValues": "ALL_NEW"}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_runs_to_its_end_and_is_told_of() {
    let rig = Rig::new().await;
    rig.workflow("hello", &pass(json!({"a": 1}))).await;
    let view = rig.start("hello", Some("one"), json!({"x": 1})).await.unwrap();
    assert_eq!(view.id, "hello/one");
    let view = rig.end("hello/one").await;
    assert_eq!(view.state, ExecutionState::Succeeded);
    assert_eq!(view.output.as_deref(), Some(&br#"{"a":1}"#[..]));
    assert_eq!(view.input.as_deref(), Some(&br#"{"x":1}"#[..]));
    let kinds: Vec<String> = rig.kinds("hello/one");
    expect![[r#"
        [
            "ExecutionStarted",
            "PassStateEntered",
            "PassStateExited",
            "ExecutionSucceeded",
        ]
    "#]]
    .assert_debug_eq(&kinds);
    assert_eq!(rig.told("hello/one"), ["RUNNING", "SUCCEEDED"]);
    let newest = rig.engine().history("hello/one", 0, 1, true).unwrap();
    assert_eq!(newest[0]["type"], "ExecutionSucceeded");
    let (list, next) = rig.engine().list(&ExecutionQuery { count: 10, ..ExecutionQuery::default() }).unwrap();
    assert_eq!((list.len(), next), (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_counted_by_workflow_and_state() {
    let rig = Rig::new().await;
    assert!(rig.engine().counts().is_empty());
    rig.workflow("wait", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}})).await;
    rig.workflow("hello", &pass(json!(1))).await;
    for name in ["a", "b"] {
        rig.start("hello", Some(name), json!({})).await.unwrap();
        rig.end(&format!("hello/{name}")).await;
    }
    rig.start("wait", Some("stopped"), json!({})).await.unwrap();
    rig.engine().stop("wait/stopped", None, None).await.unwrap();
    rig.end("wait/stopped").await;
    rig.advance(1);
    let newest = rig.start("wait", Some("n"), json!({})).await.unwrap();
    let counts = rig.engine().counts();
    let of = |workflow: &str| -> Vec<u64> {
        let all = counts[workflow].states.into_iter().zip(ExecutionState::ALL);
        all.filter(|(_, state)| {
            [ExecutionState::Running, ExecutionState::Succeeded, ExecutionState::Aborted].contains(state)
        })
        .map(|(count, _)| count)
        .collect()
    };
    assert_eq!((of("hello"), of("wait")), (vec![0, 2, 0], vec![1, 0, 1]));
    let ExecutionCounts { states, started } = counts["wait"];
    assert_eq!((states.iter().sum::<u64>(), started), (2, newest.started));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_an_idempotency_key() {
    let rig = Rig::new().await;
    rig.workflow("wait", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}})).await;
    let first = rig.start("wait", Some("n"), json!({})).await.unwrap();
    assert_eq!(rig.start("wait", Some("n"), json!({})).await.unwrap().started, first.started);
    assert_eq!(rig.start("wait", Some("n"), json!({"other": 1})).await.unwrap_err().code, "HW-WORK-021");
    rig.advance(61);
    assert_eq!(rig.end("wait/n").await.state, ExecutionState::Succeeded);
    assert_eq!(rig.start("wait", Some("n"), json!({})).await.unwrap_err().code, "HW-WORK-021");
    assert_eq!(rig.start("none", None, json!({})).await.unwrap_err().code, "HW-WORK-020");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrives_token_is_an_idempotency_key() {
    let mut rig = Rig::new().await;
    rig.workflow("w", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 86_400, "End": true}}}))
        .await;
    rig.start("w", Some("n"), json!({})).await.unwrap();
    rig.engine().stop("w/n", None, None).await.unwrap();
    let redrive = async |rig: &Rig, token: &str| rig.engine().redrive("w/n", Some(token.to_owned())).await;
    let first = redrive(&rig, "a").await.unwrap();
    rig.advance(60);
    assert_eq!(redrive(&rig, "a").await.unwrap(), first);
    assert_eq!(redrive(&rig, "b").await.unwrap_err().code, "HW-WORK-007");
    rig.restart().await;
    assert_eq!(redrive(&rig, "a").await.unwrap(), first);
    assert_eq!(rig.engine().describe("w/n").unwrap().redrives, 1);
    // A later redrive does not make the earlier one's token a new one, and nothing is taken up by it.
    rig.engine().stop("w/n", None, None).await.unwrap();
    let second = redrive(&rig, "b").await.unwrap();
    rig.engine().stop("w/n", None, None).await.unwrap();
    assert_eq!((redrive(&rig, "a").await.unwrap(), redrive(&rig, "b").await.unwrap()), (first, second));
    let view = rig.engine().describe("w/n").unwrap();
    assert_eq!((view.redrives, view.state), (2, ExecutionState::Aborted));
    // It counts for a quarter of an hour.
    rig.advance(15 * 60);
    let third = redrive(&rig, "a").await.unwrap();
    assert!(third > second);
    assert_eq!(rig.engine().describe("w/n").unwrap().redrives, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_that_something_is_done_which_the_log_refuses() {
    let rig = Rig::new().await;
    rig.workflow("w", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}})).await;
    rig.start("w", Some("n"), json!({})).await.unwrap();
    rig.start("w", Some("ended"), json!({})).await.unwrap();
    rig.engine().stop("w/ended", None, None).await.unwrap();
    // No history can be written from now on.
    rig.log.delete(&Name::new(super::journal::STREAM).unwrap()).await.unwrap();
    assert_eq!(rig.start("w", Some("late"), json!({})).await.unwrap_err().code, "HW-WORK-064");
    assert_eq!(rig.engine().describe("w/late").unwrap_err().code, "HW-WORK-030");
    assert_eq!(rig.engine().stop("w/n", None, None).await.unwrap_err().code, "HW-WORK-031");
    // What had ended stays as it ended, and does not count as running.
    let running = || rig.engine().figures().iter().find(|(name, _)| *name == "executions_running").unwrap().1;
    let before = running();
    assert_eq!(rig.engine().redrive("w/ended", None).await.unwrap_err().code, "HW-WORK-007");
    let view = rig.engine().describe("w/ended").unwrap();
    assert_eq!((view.state, view.stopped.is_some()), (ExecutionState::Aborted, true));
    assert!(running() <= before);
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_survive_a_restart_and_fire_when_overdue() {
    let mut rig = Rig::new().await;
    rig.workflow("wait", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": true}}}))
        .await;
    rig.start("wait", Some("n"), json!({"kept": true})).await.unwrap();
    rig.restart().await;
    rig.advance(3_599);
    assert_eq!(rig.engine().describe("wait/n").unwrap().state, ExecutionState::Running);
    rig.restart().await;
    rig.advance(2);
    let view = rig.end("wait/n").await;
    assert_eq!(view.output.as_deref(), Some(&br#"{"kept":true}"#[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activitys_token_ends_its_task_once_also_after_a_restart() {
    let mut rig = Rig::new().await;
    rig.workflow("act", &activity(json!([]))).await;
    rig.start("act", Some("n"), json!({"amount": 5})).await.unwrap();
    rig.restart().await;
    let task = rig.engine().poll_activity("work", Some("me".to_owned()), LONG).await.unwrap().unwrap();
    assert_eq!(&task.input[..], br#"{"amount":5}"#);
    rig.restart().await;
    for _ in 0..3 {
        rig.advance(30);
        rig.engine().heartbeat(&task.token).await.unwrap();
    }
    rig.engine().end_task(&task.token, TaskEnd::Success(input(&json!("yes")))).await.unwrap();
    assert_eq!(rig.end("act/n").await.output.as_deref(), Some(&br#""yes""#[..]));
    let again = rig.engine().end_task(&task.token, TaskEnd::Success(input(&json!("no")))).await.unwrap_err();
    assert_eq!(again.code, "HW-WORK-004");
    assert_eq!(rig.engine().heartbeat("nonsense").await.unwrap_err().code, "HW-WORK-032");
    let none = rig.engine().poll_activity("work", None, Duration::from_millis(5)).await.unwrap();
    assert_eq!(none, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_signs_of_life_is_tried_again_with_another_token() {
    let rig = Rig::new().await;
    rig.workflow("act", &activity(json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}])))
        .await;
    rig.start("act", Some("n"), json!({})).await.unwrap();
    let first = rig.engine().poll_activity("work", None, LONG).await.unwrap().unwrap();
    rig.advance(41);
    rig.until(|| rig.kinds("act/n").contains(&"ActivityTimedOut".to_owned())).await;
    rig.advance(2);
    let second = rig.engine().poll_activity("work", None, LONG).await.unwrap().unwrap();
    assert_ne!(first.token, second.token);
    let late = rig.engine().end_task(&first.token, TaskEnd::Success(input(&json!(1)))).await.unwrap_err();
    assert_eq!(late.code, "HW-WORK-004");
    let failed = TaskEnd::Failure { error: Some("Mine".to_owned()), cause: None };
    rig.engine().end_task(&second.token, failed).await.unwrap();
    assert_eq!(rig.end("act/n").await.error.as_deref(), Some("Mine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_can_be_stopped() {
    let rig = Rig::new().await;
    rig.workflow("act", &activity(json!([]))).await;
    rig.start("act", Some("n"), json!({})).await.unwrap();
    rig.engine().stop("act/n", Some("Enough".to_owned()), None).await.unwrap();
    let view = rig.end("act/n").await;
    assert_eq!((view.state, view.error.as_deref()), (ExecutionState::Aborted, Some("Enough")));
    assert_eq!(rig.engine().stop("act/n", None, None).await.unwrap_err().code, "HW-WORK-006");
    assert_eq!(rig.engine().describe("act/none").unwrap_err().code, "HW-WORK-030");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_those_who_waited_and_who_stays_is_told() {
    let rig = Rig::new().await;
    rig.workflow("hello", &pass(json!(1))).await;
    rig.workflow("act", &activity(json!([]))).await;
    rig.start("hello", Some("n"), json!({})).await.unwrap();
    rig.start("act", Some("n"), json!({})).await.unwrap();
    // It has ended, there is none, it takes too long, nobody listens any more.
    rig.end("hello/n").await;
    rig.end("hello/n").await;
    assert_eq!(rig.engine().wait("hello/none", LONG).await.unwrap_err().code, "HW-WORK-030");
    assert_eq!(rig.engine().0.waiters.len(), 0);
    let mut stays = rig.engine().wait("act/n", LONG);
    assert!((&mut stays).now_or_never().is_none());
    let view = rig.engine().wait("act/n", Duration::from_millis(1)).await.unwrap();
    assert_eq!(view.state, ExecutionState::Running);
    assert!(rig.engine().wait("act/n", LONG).now_or_never().is_none());
    assert_eq!(rig.engine().0.waiters.len(), 1);
    rig.engine().stop("act/n", None, None).await.unwrap();
    assert_eq!(stays.await.unwrap().state, ExecutionState::Aborted);
    assert_eq!(rig.engine().0.waiters.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_tasks_are_in_one_commit_with_their_steps() {
    let rig = Rig::new().await;
    rig.stream("out").await;
    let publish = |next: Value| {
        let mut state = json!({"Type": "Task", "Resource": "arn:headwater:work:::stream:publish",
            "Parameters": {"Stream": "out", "Value.$": "$"}, "ResultPath": null});
        state.as_object_mut().unwrap().extend(next.as_object().unwrap().clone());
        state
    };
    rig.workflow(
        "pub",
        &json!({"StartAt": "A", "States": {"A": publish(json!({"Next": "B"})), "B": publish(json!({"End": true}))}}),
    )
    .await;
    let before = rig.figure("commits_total");
    rig.start("pub", Some("n"), json!({"v": 1})).await.unwrap();
    assert_eq!(rig.end("pub/n").await.state, ExecutionState::Succeeded);
    assert_eq!(rig.figure("commits_total") - before, 1.0);
    assert_eq!(rig.records("out"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_execution_is_started_and_waited_for() {
    let mut rig = Rig::new().await;
    rig.workflow(
        "child",
        &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "Next": "P"},
        "P": {"Type": "Pass", "Result": 7, "End": true}}}),
    )
    .await;
    let start = json!({"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": "child", "Input": {"a": 1}, "Name": "kid"}, "OutputPath": "$.Output", "End": true}}});
    rig.workflow("parent", &start).await;
    rig.start("parent", Some("n"), json!({})).await.unwrap();
    rig.until(|| rig.engine().describe("child/kid").is_ok()).await;
    rig.restart().await;
    rig.advance(6);
    let view = rig.end("parent/n").await;
    assert_eq!(view.output.as_deref(), Some(&b"7"[..]), "{view:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_would_wait_for_an_execution_of_somebody_else_is_refused() {
    let rig = Rig::new().await;
    rig.workflow("child", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}}))
        .await;
    let start = json!({"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync",
        "Parameters": {"StateMachineArn": "child", "Input": {"a": 1}, "Name": "kid"}, "End": true}}});
    rig.workflow("parent", &start).await;
    rig.start("parent", Some("first"), json!({})).await.unwrap();
    rig.until(|| rig.engine().describe("child/kid").is_ok()).await;
    rig.start("parent", Some("second"), json!({})).await.unwrap();
    let view = rig.end("parent/second").await;
    assert_eq!(view.error.as_deref(), Some("StepFunctions.ExecutionAlreadyExistsException"), "{view:?}");
    rig.advance(61);
    assert_eq!(rig.end("parent/first").await.state, ExecutionState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_stopped_with_the_task_that_waits_for_it() {
    let rig = Rig::new().await;
    rig.workflow("child", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}}))
        .await;
    let start = json!({"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync",
        "Parameters": {"StateMachineArn": "child", "Name": "kid"}, "End": true}}});
    rig.workflow("parent", &start).await;
    rig.start("parent", Some("n"), json!({})).await.unwrap();
    rig.until(|| rig.engine().describe("child/kid").is_ok()).await;
    rig.engine().stop("parent/n", None, None).await.unwrap();
    assert_eq!(rig.end("child/kid").await.state, ExecutionState::Aborted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_times_out_before_a_worker_comes_is_forgotten() {
    let rig = Rig::new().await;
    let resource = "arn:aws:states:us-east-1:000000000000:activity:work";
    let machine = json!({"StartAt": "A", "States": {"A": {
        "Type": "Task", "Resource": resource, "TimeoutSeconds": 5, "End": true}}});
    rig.workflow("act", &machine).await;
    rig.start("act", Some("n"), json!({})).await.unwrap();
    rig.until(|| rig.engine().0.activities.len() == 1).await;
    rig.advance(6);
    assert_eq!(rig.end("act/n").await.error.as_deref(), Some("States.Timeout"));
    rig.until(|| rig.engine().0.activities.len() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_map_run_keeps_a_cursor_and_each_result() {
    let rig = Rig::new().await;
    let items: Vec<u32> = (0..2_500).collect();
    let run = |mode: &str| {
        json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": mode},
        "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}}}})
    };
    rig.workflow("fast", &run("EXPRESS")).await;
    rig.start("fast", Some("n"), json!(items)).await.unwrap();
    let view = rig.end("fast/n").await;
    assert_eq!(view.output.map(|output| serde_json::from_slice::<Value>(&output).unwrap()), Some(json!(items)));
    assert_eq!(rig.records(super::map_run::STREAM), 2_500);
    let runs = rig.engine().map_runs("fast/n").unwrap();
    assert_eq!(
        (runs.len(), &runs[0]["status"], &runs[0]["itemCounts"]["succeeded"]),
        (1, &json!("SUCCEEDED"), &json!(2_500))
    );

    rig.workflow("slow", &run("STANDARD")).await;
    rig.start("slow", Some("n"), json!([1, 2, 3])).await.unwrap();
    assert_eq!(rig.end("slow/n").await.output.as_deref(), Some(&b"[1,2,3]"[..]));
    let arn = rig.engine().map_runs("slow/n").unwrap()[0]["mapRunArn"].as_str().unwrap().to_owned();
    let query = ExecutionQuery { map_run: Some(arn), count: 10, ..ExecutionQuery::default() };
    assert_eq!(rig.engine().list(&query).unwrap().0.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_ends_by_a_bug_refuses_what_it_is_asked_for() {
    let mut rig = Rig::new().await;
    rig.tables = Some(tables::made_by(|_, _, _| panic!("a bug, made by a test")));
    rig.restart().await;
    rig.workflow("w", &update()).await;
    // The first meets the bug; the second belongs to the same shard, and nobody is there any more.
    for input in [1, 2] {
        let refused = tokio::time::timeout(LONG, rig.start("w", Some("n"), json!(input))).await.unwrap();
        assert_eq!(refused.unwrap_err().code, "HW-WORK-034");
    }
    let queued = |(name, value): &(&str, f64)| *name == "queued" && *value > 0.0;
    assert!(!rig.engine().figures().iter().any(queued));
    // The node ends with it.
    let broken = tokio::time::timeout(LONG, rig.engine().broken()).await.unwrap();
    assert!(broken.title.contains("a bug, made by a test"), "{broken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_express_workflow_runs_in_memory() {
    let rig = Rig::new().await;
    rig.express("quick", &pass(json!(3))).await;
    let request = StartExecution { workflow: "quick".to_owned(), ..StartExecution::default() };
    let view = rig.engine().run(request.clone()).await.unwrap();
    assert_eq!((view.state, view.output.as_deref()), (ExecutionState::Succeeded, Some(&b"3"[..])));
    let view = rig.engine().start(StartExecution { name: Some("n".to_owned()), ..request }).await.unwrap();
    assert_eq!(view.state, ExecutionState::Running);
    assert_eq!(rig.end("quick/n").await.output.as_deref(), Some(&b"3"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_execution_goes_after_its_retention_time() {
    let rig = Rig::new().await;
    rig.workflow("hello", &pass(json!(1))).await;
    rig.start("hello", Some("n"), json!({})).await.unwrap();
    rig.end("hello/n").await;
    rig.advance(31 * 86_400);
    rig.until(|| rig.engine().describe("hello/n").is_err()).await;
    assert_eq!(rig.rows(), 0);
    // Its name is free again.
    rig.start("hello", Some("n"), json!({"other": 1})).await.unwrap();
    rig.end("hello/n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_whose_task_is_damaged_says_so() {
    let mut rig = Rig::new().await;
    rig.workflow("w", &activity(json!([]))).await;
    for name in ["bad", "good"] {
        rig.start("w", Some(name), json!({"name": name})).await.unwrap();
    }
    rig.engine().close().await;
    let of_bad = |row: &[u8]| row.starts_with(&super::rows::key_of("w", "bad"));
    let (shard, row, _) = rig.rows_of(super::rows::Tag::Task).into_iter().find(|(_, row, _)| of_bad(row)).unwrap();
    rig.put_row(shard, row, b"?".to_vec().into()).await;
    rig.restart().await;
    rig.until(|| rig.engine().describe("w/bad").unwrap().cause.is_some()).await;
    let cause = rig.engine().describe("w/bad").unwrap().cause.unwrap();
    assert!(cause.contains("a task under way"), "{cause}");
    let task = rig.engine().poll_activity("work", None, LONG).await.unwrap().unwrap();
    assert_eq!(&task.input[..], br#"{"name":"good"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn express_executions_beyond_a_number_wait_for_their_turn() {
    let mut rig = Rig::new().await;
    rig.bounds.express_at_once_max = 2;
    rig.restart().await;
    rig.stream("out").await;
    let publish = json!({"Type": "Task", "Resource": "arn:headwater:work:::stream:publish", "Next": "W",
        "Parameters": {"Stream": "out", "Value.$": "$"}, "ResultPath": null});
    let wait = json!({"Type": "Wait", "Seconds": 5, "End": true});
    rig.express("quick", &json!({"StartAt": "A", "States": {"A": publish, "W": wait}})).await;
    for number in 0..5 {
        rig.start("quick", Some(&format!("n{number}")), json!({})).await.unwrap();
    }
    rig.until(|| rig.records("out") == 2).await;
    rig.workflow("hello", &pass(json!(1))).await;
    rig.start("hello", Some("n"), json!({})).await.unwrap();
    rig.end("hello/n").await;
    assert_eq!(rig.records("out"), 2);
    for number in 0..5 {
        let id = format!("quick/n{number}");
        while rig.engine().wait(&id, Duration::from_millis(100)).await.unwrap().stopped.is_none() {
            rig.advance(5);
        }
        assert_eq!(rig.end(&id).await.state, ExecutionState::Succeeded);
    }
    assert_eq!(rig.records("out"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_a_number_of_ended_executions_the_oldest_go_and_history_with_them() {
    let limits = headwater_base::Limits { executions_kept: 40, ..headwater_base::Limits::default() };
    let mut rig = Rig::within(limits).await;
    rig.workflow("hello", &pass(json!(1))).await;
    let id = |number: u32| format!("hello/n{number}");
    for number in 0..200 {
        rig.start("hello", Some(&format!("n{number}")), json!({})).await.unwrap();
        rig.advance(1);
    }
    rig.until(|| rig.ended() <= 40).await;
    rig.restart().await;
    assert!((30..=40).contains(&rig.ended()), "{}", rig.ended());
    assert_eq!(rig.engine().describe(&id(0)).unwrap_err().code, "HW-WORK-030");
    rig.end(&id(199)).await;
    let before = rig.records_kept(super::journal::STREAM);
    rig.engine().collect().await.unwrap();
    let after = rig.records_kept(super::journal::STREAM);
    assert!(before == 200 && after < 80, "{before} pieces before, {after} after");
    for number in 0..200 {
        let Ok(view) = rig.engine().describe(&id(number)) else { continue };
        assert_eq!(view.output.as_deref(), Some(&b"1"[..]));
        assert_eq!(rig.kinds(&id(number)).len(), 4);
    }
    let before = rig.ended();
    rig.start("hello", Some("n0"), json!({"again": true})).await.unwrap();
    rig.end(&id(0)).await;
    rig.until(|| rig.ended() <= 40).await;
    assert!(before <= 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_stays_pinned_when_its_workflow_changes() {
    let mut rig = Rig::new().await;
    let definition = |output: u32| {
        json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "Next": "P"},
        "P": {"Type": "Pass", "Result": output, "End": true}}})
    };
    rig.workflow("w", &definition(1)).await;
    rig.start("w", Some("old"), json!({})).await.unwrap();
    rig.version("w", 2, &definition(2), Unknown::Retry).await;
    rig.start("w", Some("new"), json!({})).await.unwrap();
    let request = StartExecution {
        workflow: "w".to_owned(),
        version: Some(1),
        name: Some("v1".to_owned()),
        ..StartExecution::default()
    };
    rig.engine().start(request).await.unwrap();
    rig.restart().await;
    rig.advance(6);
    for (id, output) in [("w/old", &b"1"[..]), ("w/new", b"2"), ("w/v1", b"1")] {
        assert_eq!(rig.end(id).await.output.as_deref(), Some(output), "{id}");
    }
    for version in [1, 2] {
        let kept = rig.engine().version_definition("w", u64::from(version)).unwrap();
        assert_eq!(kept, definition(version).to_string().as_bytes());
    }
    let refused = rig.engine().version_definition("w", 3).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.title.as_str()), ("HW-WORK-020", "workflow `w` has no version 3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_starts_the_versions_it_routes_to_and_says_so_after_a_restart() {
    let mut rig = Rig::new().await;
    let definition = |output: u32| {
        json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 5, "Next": "P"},
        "P": {"Type": "Pass", "Result": output, "End": true}}})
    };
    rig.workflow("w", &definition(1)).await;
    rig.version("w", 2, &definition(2), Unknown::Retry).await;
    let route = |version, weight| crate::alias::Route { version, weight };
    let aliases = crate::alias::Aliases::from([
        ("old".to_owned(), crate::alias::Alias { description: None, routes: vec![route(1, 100)] }),
        ("both".to_owned(), crate::alias::Alias { description: None, routes: vec![route(1, 50), route(2, 50)] }),
        ("gone".to_owned(), crate::alias::Alias { description: None, routes: vec![route(9, 100)] }),
    ]);
    rig.aliased("w", 3, &definition(3), aliases).await;
    let request = |alias: &str, name: &str| StartExecution {
        workflow: "w".to_owned(),
        alias: Some(alias.to_owned()),
        name: Some(name.to_owned()),
        ..StartExecution::default()
    };
    let started = rig.engine().start(request("old", "o")).await.unwrap();
    assert_eq!((started.version, started.alias.as_deref()), (Some(1), Some("old")));
    let mut drawn = std::collections::BTreeSet::new();
    for number in 0..64 {
        let started = rig.engine().start(request("both", &format!("b{number}"))).await.unwrap();
        drawn.extend(started.version);
    }
    assert_eq!(drawn, std::collections::BTreeSet::from([1, 2]));
    let refused = rig.engine().start(request("gone", "g")).await.unwrap_err();
    assert_eq!(refused.title, "workflow `w` has no version 9");
    let refused = rig.engine().start(request("bold", "g")).await.unwrap_err();
    assert_eq!((refused.title.as_str(), refused.code.as_str()), ("workflow `w` has no alias `bold`", "HW-WORK-020"));
    rig.restart().await;
    rig.advance(6);
    let ended = rig.end("w/o").await;
    assert_eq!(
        (ended.output.as_deref(), ended.version, ended.alias.as_deref()),
        (Some(&b"1"[..]), Some(1), Some("old"))
    );
    let started = rig.engine().start(request("old", "again")).await.unwrap();
    assert_eq!(started.version, Some(1));
}
