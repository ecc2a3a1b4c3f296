//! Map Runs: what is written of them, and how they are taken up again.

use headwater_kernel::port::workflows::{ExecutionState, TaskEnd, Workflows};
use serde_json::{Value, json};

use super::rig::{Rig, input};

/// A distributed Map over its input, whose items are names of objects to read.
fn reads(writer: &Value) -> Value {
    let mut map = json!({"Type": "Map", "Label": "Reads", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        "StartAt": "R", "States": {"R": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:getObject",
            "Parameters": {"Bucket": "things", "Key.$": "$"}, "OutputPath": "$.Body", "End": true}}}});
    map.as_object_mut().unwrap().extend(writer.as_object().unwrap().clone());
    json!({"StartAt": "M", "States": {"M": map}})
}

fn writer() -> Value {
    json!({"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "results", "Prefix": "out"}}})
}

async fn put(rig: &Rig, keys: &[&str]) {
    rig.workflow(
        "put",
        &json!({"StartAt": "P", "States": {"P": {"Type": "Task", "End": true,
        "Resource": "arn:aws:states:::aws-sdk:s3:putObject",
        "Parameters": {"Bucket": "things", "Key.$": "$", "Body.$": "$"}}}}),
    )
    .await;
    for key in keys {
        let view = rig.start("put", None, json!(key)).await.unwrap();
        assert_eq!(rig.end(&view.id).await.state, ExecutionState::Succeeded);
    }
}

/// An object of the bucket of results, as JSON.
fn file(rig: &Rig, key: &str) -> Value {
    let blobs = headwater_store::blobs::Blobs::open(
        std::sync::Arc::new(headwater_store::disk::RealDisk),
        rig.folder().join("blobs"),
    )
    .unwrap();
    let bucket = headwater_base::Name::new("results").unwrap();
    let named = blobs.find(&bucket, key).unwrap().unwrap_or_else(|| panic!("there is no {key}"));
    serde_json::from_reader(blobs.read(named.blob.parse().unwrap()).unwrap().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn results_go_to_files_and_a_redrive_runs_what_failed_alone() {
    let mut rig = Rig::new().await;
    put(&rig, &["a", "b", "d"]).await;
    rig.workflow("files", &reads(&writer())).await;
    rig.start("files", Some("n"), json!(["a", "b", "c", "d"])).await.unwrap();
    let view = rig.end("files/n").await;
    assert_eq!(
        (view.state, view.error.as_deref()),
        (ExecutionState::Failed, Some("States.ExceedToleratedFailureThreshold"))
    );
    let run = rig.engine().map_runs("files/n").unwrap().remove(0);
    let arn = run["mapRunArn"].as_str().unwrap().to_owned();
    assert_eq!(
        (&run["status"], &run["redriveCount"], &run["itemCounts"]["failed"]),
        (&json!("FAILED"), &json!(0), &json!(1))
    );
    let folder = format!("out/{}", arn.rsplit(':').next().unwrap());
    let failed = file(&rig, &format!("{folder}/FAILED_0.json"));
    assert_eq!(
        (&failed[0]["Input"], &failed[0]["Status"], &failed[0]["Error"]),
        (&json!("\"c\""), &json!("FAILED"), &json!("S3.NoSuchKeyException"))
    );

    put(&rig, &["c"]).await;
    rig.restart().await;
    let before = rig.records(crate::engine::map_run::STREAM);
    rig.engine().redrive("files/n").await.unwrap();
    let view = rig.end("files/n").await;
    assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
    assert_eq!(rig.records(crate::engine::map_run::STREAM) - before, 1, "only what failed is run");
    let output: Value = serde_json::from_slice(&view.output.unwrap()).unwrap();
    let details = json!({"Bucket": "results", "Key": format!("{folder}/manifest.json")});
    assert_eq!(output, json!({"MapRunArn": arn, "ResultWriterDetails": details}));
    let manifest = file(&rig, &format!("{folder}/manifest.json"));
    assert_eq!((&manifest["ResultFiles"]["FAILED"], &manifest["ResultFiles"]["PENDING"]), (&json!([]), &json!([])));
    let mut outputs: Vec<Value> = file(&rig, &format!("{folder}/SUCCEEDED_0.json"))
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["Output"].clone())
        .collect();
    outputs.sort_by_key(Value::to_string);
    assert_eq!(outputs, [json!("\"a\""), json!("\"b\""), json!("\"c\""), json!("\"d\"")]);

    let runs = rig.engine().map_runs("files/n").unwrap();
    let run = &runs[0];
    assert_eq!(
        (runs.len(), &run["mapRunArn"], &run["status"], &run["redriveCount"]),
        (1, &json!(arn), &json!("SUCCEEDED"), &json!(1))
    );
    assert_eq!((&run["itemCounts"]["succeeded"], &run["itemCounts"]["failed"]), (&json!(4), &json!(0)));
    let history = rig.engine().history("files/n", 0, 100, false).unwrap();
    let redriven = history.iter().find(|event| event["type"] == "MapRunRedriven").unwrap();
    assert_eq!(redriven["mapRunRedrivenEventDetails"]["mapRunArn"], json!(arn));
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_a_run_that_was_taken_up_again_are_in_their_items_order() {
    let rig = Rig::new().await;
    put(&rig, &["a", "c"]).await;
    rig.workflow("own", &reads(&json!({}))).await;
    rig.start("own", Some("n"), json!(["a", "b", "c"])).await.unwrap();
    assert_eq!(rig.end("own/n").await.state, ExecutionState::Failed);
    put(&rig, &["b"]).await;
    rig.engine().redrive("own/n").await.unwrap();
    let view = rig.end("own/n").await;
    assert_eq!(view.output.as_deref(), Some(&br#"["a","b","c"]"#[..]), "{view:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_never_began_are_pending() {
    let rig = Rig::new().await;
    rig.workflow("files", &reads(&writer())).await;
    let items: Vec<String> = (0..2_100).map(|number| format!("none{number}")).collect();
    rig.start("files", Some("n"), json!(items)).await.unwrap();
    assert_eq!(rig.end("files/n").await.state, ExecutionState::Failed);
    let run = rig.engine().map_runs("files/n").unwrap().remove(0);
    assert_eq!((&run["itemCounts"]["failed"], &run["itemCounts"]["pending"]), (&json!(2_000), &json!(100)));
    let folder = format!("out/{}", run["mapRunArn"].as_str().unwrap().rsplit(':').next().unwrap());
    let pending = file(&rig, &format!("{folder}/PENDING_0.json"));
    assert_eq!((pending.as_array().unwrap().len(), &pending[99]["Input"]), (100, &json!("\"none2099\"")));
    assert_eq!((&pending[0]["Status"], pending[0].get("StartDate")), (&json!("PENDING"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_child_is_taken_up_where_it_failed() {
    let rig = Rig::new().await;
    rig.workflow(
        "slow",
        &json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "A", "States": {"A": {"Type": "Task", "End": true,
            "Resource": "arn:aws:states:us-east-1:000000000000:activity:work"}}}}}}),
    )
    .await;
    rig.start("slow", Some("n"), json!([1, 2])).await.unwrap();
    for _ in 0..2 {
        let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
        let end = match &task.input[..] {
            b"1" => TaskEnd::Success(input(&json!("one"))),
            _ => TaskEnd::Failure { error: Some("Mine".to_owned()), cause: None },
        };
        rig.engine().end_task(&task.token, end).await.unwrap();
    }
    assert_eq!(rig.end("slow/n").await.state, ExecutionState::Failed);
    rig.engine().redrive("slow/n").await.unwrap();
    let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
    assert_eq!(&task.input[..], b"2");
    rig.engine().end_task(&task.token, TaskEnd::Success(input(&json!("two")))).await.unwrap();
    let view = rig.end("slow/n").await;
    assert_eq!(view.output.as_deref(), Some(&br#"["one","two"]"#[..]), "{view:?}");
}
