//! Tasks that are called outside any execution.

use headwater_kernel::port::workflows::{CallTask, ExecutionQuery, ExecutionState, Workflows};
use serde_json::{Value, json};

use super::pass;
use super::rig::{Rig, input};

fn call(task: &str, parameters: &Value) -> CallTask {
    let resource = format!("arn:aws:states:::aws-sdk:{task}");
    CallTask { resource, parameters: input(parameters), key: "schedule.s.0.1".to_owned(), cause: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_starts_one_execution_however_often_it_is_made() {
    let rig = Rig::new().await;
    rig.workflow("hello", &pass(json!({"a": 1}))).await;
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:hello";
    let start = call("sfn:startExecution", &json!({"StateMachineArn": machine, "Input": "{\"x\":1}"}));
    let started = rig.engine().call_task(start.clone()).await.unwrap();
    let started: Value = serde_json::from_slice(&started).unwrap();
    let name = started["ExecutionArn"].as_str().unwrap().rsplit(':').next().unwrap();
    let view = rig.end(&format!("hello/{name}")).await;
    assert_eq!((view.state, view.input.as_deref()), (ExecutionState::Succeeded, Some(&br#"{"x":1}"#[..])));
    rig.engine().call_task(start).await.unwrap();
    let (all, _) = rig.engine().list(&ExecutionQuery { count: 10, ..ExecutionQuery::default() }).unwrap();
    assert_eq!(all.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_put_and_what_may_pass_is_told_from_what_does_not() {
    let rig = Rig::new().await;
    rig.stream("bus.shop").await;
    let put = |bus: &str| {
        let entry = json!({"Source": "clock", "DetailType": "Tick", "Detail": "{}", "EventBusName": bus});
        call("eventbridge:putEvents", &json!({"Entries": [entry]}))
    };
    rig.engine().call_task(put("shop")).await.unwrap();
    assert_eq!(rig.records("bus.shop"), 1);
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:none";
    for (call, code, words) in [
        (put("none"), "HW-WORK-062", "there is no stream `bus.none`"),
        (call("sfn:startExecution", &json!({"StateMachineArn": machine})), "HW-WORK-062", "none"),
        (call("sfn:startExecution", &json!({})), "HW-WORK-061", "`StateMachineArn` is missing"),
        (call("sqs:sendMessage", &json!({})), "HW-WORK-061", "there is no task `aws-sdk:sqs:sendMessage`"),
    ] {
        let problem = rig.engine().call_task(call).await.unwrap_err();
        assert_eq!(problem.code, code, "{problem}");
        assert!(problem.title.contains(words), "{problem}");
    }
}
