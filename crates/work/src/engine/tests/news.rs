//! What is told of executions on the bus where their payloads are large.

use headwater_kernel::port::workflows::{ExecutionState, Workflows};
use serde_json::{Value, json};

use super::pass;
use super::rig::Rig;

/// Whether input and output are in an event, which holds them whole if so.
fn included(news: &Value, input: &Value, output: Option<&Value>) -> (Value, Value) {
    for (field, payload) in [("input", Some(input)), ("output", output)] {
        let included = &news[format!("{field}Details")]["included"];
        let wanted = payload.filter(|_| included == &json!(true)).map(Value::to_string);
        assert_eq!(news[field].as_str(), wanted.as_deref(), "{field}");
    }
    (news["inputDetails"]["included"].clone(), news["outputDetails"]["included"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_that_are_too_large_together_are_left_out_and_said_to_be() {
    let rig = Rig::new().await;
    let (small, half, large) = (json!("x"), json!("x".repeat(130_000)), json!("x".repeat(255_000)));
    // In a string of their own these are twice as long.
    let quotes = json!(vec![""; 70_000]);
    let cases = [
        ("small", &small, &small, true, true, true),
        ("half", &half, &half, true, false, true),
        ("output", &small, &large, true, false, false),
        ("input", &large, &small, false, false, true),
        ("quotes", &quotes, &small, false, false, true),
    ];
    for (name, input, output, begins_with, ends_with, with_output) in cases {
        rig.workflow(name, &pass(output.clone())).await;
        let id = format!("{name}/n");
        rig.start(name, Some("n"), input.clone()).await.unwrap();
        let view = rig.end(&id).await;
        assert_eq!(view.state, ExecutionState::Succeeded, "{name}: {:?}", view.cause);
        let news = rig.news(&id);
        assert_eq!(rig.told(&id), ["RUNNING", "SUCCEEDED"], "{name}");
        assert_eq!(included(&news[0], input, None), (json!(begins_with), json!(null)), "{name}");
        assert_eq!(included(&news[1], input, Some(output)), (json!(ends_with), json!(with_output)), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_that_fits_into_no_batch_is_told_of_by_its_beginning() {
    let rig = Rig::new().await;
    rig.workflow("wait", &json!({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": true}}})).await;
    rig.start("wait", Some("n"), json!({})).await.unwrap();
    let (error, cause) = ("\u{e9}".repeat(1_000), "\u{e9}".repeat(1 << 20));
    rig.engine().stop("wait/n", Some(error), Some(cause)).await.unwrap();
    let view = rig.end("wait/n").await;
    assert_eq!(view.state, ExecutionState::Aborted);
    assert_eq!(rig.told("wait/n"), ["RUNNING", "ABORTED"]);
    let news = rig.news("wait/n").remove(1);
    let chars = |field: &str| news[field].as_str().unwrap().chars().count();
    assert_eq!((chars("error"), chars("cause")), (256, 32_768));
}
