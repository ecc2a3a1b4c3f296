//! Map Runs: what is written of them, and how they are taken up again.

use bytes::Bytes;
use headwater_base::{Clock as _, Name};
use headwater_kernel::port::workflows::{ExecutionQuery, ExecutionState, TaskEnd, Workflows};
use headwater_log::{Append, Commit, Log};
use headwater_testkit::FaultyDisk;
use headwater_wire::batch::{Builder, Compression};
use serde_json::{Value, json};

use super::rig::{Rig, input};
use crate::engine::rows::{self, Tag};
use crate::execution::record::codec::Writer;

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
    rig.engine().redrive("files/n", None).await.unwrap();
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
    rig.engine().redrive("own/n", None).await.unwrap();
    let view = rig.end("own/n").await;
    assert_eq!(view.output.as_deref(), Some(&br#"["a","b","c"]"#[..]), "{view:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_run_taken_up_several_times_each_child_is_in_one_file_as_it_ended_last() {
    let rig = Rig::new().await;
    put(&rig, &["a"]).await;
    rig.workflow("files", &reads(&json!({"MaxConcurrency": 1, "ResultWriter": writer()["ResultWriter"]}))).await;
    rig.start("files", Some("n"), json!(["a", "b", "c", "d"])).await.unwrap();
    assert_eq!(rig.end("files/n").await.state, ExecutionState::Failed);
    let run = rig.engine().map_runs("files/n").unwrap().remove(0);
    let name = run["mapRunArn"].as_str().unwrap().rsplit(':').next().unwrap();
    let all = |status: &str| -> Vec<(String, String)> {
        let manifest = file(&rig, &format!("out/{name}/manifest.json"));
        let files = manifest["ResultFiles"][status].as_array().unwrap().iter();
        let results = files.flat_map(|one| match file(&rig, one["Key"].as_str().unwrap()) {
            Value::Array(results) => results,
            other => panic!("{other}"),
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut shown: Vec<_> = results.map(|one| (text(&one["Input"]), text(&one["Error"]))).collect();
        shown.sort_unstable();
        shown
    };
    let names = |items: &[&str]| -> Vec<(String, String)> {
        items.iter().map(|item| (format!("\"{item}\""), String::new())).collect()
    };
    let missing = |item: &str| vec![(format!("\"{item}\""), "S3.NoSuchKeyException".to_owned())];
    // The second one fails each time, and those behind it never begin.
    for _ in 0..3 {
        assert_eq!(
            (all("SUCCEEDED"), all("FAILED"), all("PENDING")),
            (names(&["a"]), missing("b"), names(&["c", "d"]))
        );
        rig.engine().redrive("files/n", None).await.unwrap();
        assert_eq!(rig.end("files/n").await.state, ExecutionState::Failed);
    }
    put(&rig, &["b", "d"]).await;
    rig.engine().redrive("files/n", None).await.unwrap();
    assert_eq!(rig.end("files/n").await.state, ExecutionState::Failed);
    assert_eq!((all("SUCCEEDED"), all("FAILED"), all("PENDING")), (names(&["a", "b"]), missing("c"), names(&["d"])));
    put(&rig, &["c"]).await;
    rig.engine().redrive("files/n", None).await.unwrap();
    assert_eq!(rig.end("files/n").await.state, ExecutionState::Succeeded);
    assert_eq!((all("SUCCEEDED"), all("FAILED"), all("PENDING")), (names(&["a", "b", "c", "d"]), vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_many_children_are_packed_and_read_back() {
    const CHILDREN: usize = 5_000;
    let rig = Rig::new().await;
    rig.workflow(
        "many",
        &json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true,
            "ResultWriter": writer()["ResultWriter"], "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}}}}),
    )
    .await;
    let items: Vec<usize> = (0..CHILDREN).collect();
    rig.start("many", Some("n"), json!(items)).await.unwrap();
    let view = rig.end("many/n").await;
    assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
    assert_eq!(rig.records(crate::engine::map_run::STREAM), 5_000);
    let bytes = rig.batch_bytes(crate::engine::map_run::STREAM);
    assert!(bytes < CHILDREN * 80, "{bytes} bytes, where each record alone has more than 200");
    let run = rig.engine().map_runs("many/n").unwrap().remove(0);
    let name = run["mapRunArn"].as_str().unwrap().rsplit(':').next().unwrap();
    let written = file(&rig, &format!("out/{name}/SUCCEEDED_0.json"));
    let outputs: Vec<&str> = written.as_array().unwrap().iter().map(|one| one["Output"].as_str().unwrap()).collect();
    assert_eq!(outputs, items.iter().map(usize::to_string).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_never_began_are_pending() {
    let rig = Rig::new().await;
    rig.workflow("files", &reads(&writer())).await;
    let items: Vec<String> = (0..2_100).map(|number| format!("none{number}")).collect();
    rig.start("files", Some("n"), json!(items)).await.unwrap();
    assert_eq!(rig.end("files/n").await.state, ExecutionState::Failed);
    let run = rig.engine().map_runs("files/n").unwrap().remove(0);
    // As many as run at once had begun when the first of them failed.
    assert_eq!((&run["itemCounts"]["failed"], &run["itemCounts"]["pending"]), (&json!(1_000), &json!(1_100)));
    let folder = format!("out/{}", run["mapRunArn"].as_str().unwrap().rsplit(':').next().unwrap());
    let pending = file(&rig, &format!("{folder}/PENDING_0.json"));
    assert_eq!((pending.as_array().unwrap().len(), &pending[1_099]["Input"]), (1_100, &json!("\"none2099\"")));
    assert_eq!((&pending[0]["Status"], pending[0].get("StartDate")), (&json!("PENDING"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_beyond_what_is_tolerated_lets_no_further_child_begin() {
    let rig = Rig::new().await;
    put(&rig, &["b", "c"]).await;
    rig.workflow("files", &reads(&json!({"MaxConcurrency": 1}))).await;
    rig.start("files", Some("n"), json!(["a", "b", "c"])).await.unwrap();
    assert_eq!(rig.end("files/n").await.error.as_deref(), Some("States.ExceedToleratedFailureThreshold"));
    let run = rig.engine().map_runs("files/n").unwrap().remove(0);
    let counts = &run["itemCounts"];
    assert_eq!((&counts["failed"], &counts["succeeded"], &counts["pending"]), (&json!(1), &json!(0), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_is_read_and_batched_may_stand_in_the_input() {
    let rig = Rig::new().await;
    let file = "[1,2,3,4,5]";
    put(&rig, &[file]).await;
    let map = |more: Value, config: Value, batcher: Value| {
        let place = if more == json!({}) { "Parameters" } else { "Arguments" };
        let mut map = json!({"Type": "Map", "End": true, "ItemBatcher": batcher,
            "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": config,
                place: {"Bucket": "things", "Key": file}},
            "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
                "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}});
        map.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"StartAt": "M", "States": {"M": map}})
    };
    let paths = json!({"MaxItemsPerBatchPath": "$.each", "BatchInput": {"of.$": "$.of"}});
    rig.workflow("paths", &map(json!({}), json!({"MaxItemsPath": "$.most"}), paths)).await;
    let queries =
        json!({"MaxItemsPerBatch": "{% $states.input.each %}", "BatchInput": {"of": "{% $states.input.of %}"}});
    let most = json!({"MaxItems": "{% $states.input.most %}"});
    rig.workflow("queries", &map(json!({"QueryLanguage": "JSONata"}), most, queries)).await;
    for name in ["paths", "queries"] {
        rig.start(name, Some("n"), json!({"most": 3, "each": 2, "of": "x"})).await.unwrap();
        let view = rig.end(&format!("{name}/n")).await;
        assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
        let output: Value = serde_json::from_slice(&view.output.unwrap()).unwrap();
        let batch = |items: Value| json!({"BatchInput": {"of": "x"}, "Items": items});
        assert_eq!(output, json!([batch(json!([1, 2])), batch(json!([3]))]), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fields_of_an_object_are_items() {
    let rig = Rig::new().await;
    let map = json!({"Type": "Map", "QueryLanguage": "JSONata", "Items": "{% $states.input %}", "End": true,
        "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
            "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}});
    rig.workflow("fields", &json!({"StartAt": "M", "States": {"M": map}})).await;
    rig.start("fields", Some("n"), json!({"a": 1, "b": [2]})).await.unwrap();
    let view = rig.end("fields/n").await;
    let items: &[u8] = br#"[{"Key":"a","Value":1},{"Key":"b","Value":[2]}]"#;
    assert_eq!(view.output.as_deref(), Some(items), "{view:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_counts_as_all_of_its_items() {
    let rig = Rig::new().await;
    // A batch of two fails where its first item is 3.
    let machine = |tolerated: u32| {
        json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ToleratedFailureCount": tolerated,
            "ItemBatcher": {"MaxItemsPerBatch": 2}, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
            "StartAt": "C", "States": {
                "C": {"Type": "Choice", "Default": "P",
                    "Choices": [{"Variable": "$.Items[0]", "NumericEquals": 3, "Next": "F"}]},
                "F": {"Type": "Fail", "Error": "Mine"}, "P": {"Type": "Pass", "End": true}}}}}})
    };
    rig.workflow("strict", &machine(1)).await;
    rig.workflow("lenient", &machine(2)).await;
    for (name, state) in [("strict", ExecutionState::Failed), ("lenient", ExecutionState::Succeeded)] {
        let id = format!("{name}/n");
        rig.start(name, Some("n"), json!([1, 2, 3, 4, 5])).await.unwrap();
        assert_eq!(rig.end(&id).await.state, state, "{name}");
        let run = rig.engine().map_runs(&id).unwrap().remove(0);
        let counts = |of: &str| ["succeeded", "failed", "total"].map(|what| run[of][what].as_u64().unwrap());
        assert_eq!((counts("itemCounts"), counts("executionCounts")), ([3, 2, 5], [2, 1, 3]), "{name}");
    }
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
    // Its Map Run does that, and nobody else.
    let run = rig.engine().map_runs("slow/n").unwrap().remove(0);
    let name = run["mapRunArn"].as_str().unwrap().rsplit(':').next().unwrap();
    let child = rig.engine().list(&ExecutionQuery {
        count: 10,
        map_run: run["mapRunArn"].as_str().map(str::to_owned),
        ..ExecutionQuery::default()
    });
    let failed = child.unwrap().0.into_iter().find(|child| child.state == ExecutionState::Failed).unwrap();
    assert!(failed.name.starts_with(name), "{failed:?}");
    assert_eq!(rig.engine().redrive(&failed.id, None).await.unwrap_err().code, "HW-WORK-007");
    rig.engine().redrive("slow/n", None).await.unwrap();
    let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
    assert_eq!(&task.input[..], b"2");
    rig.engine().end_task(&task.token, TaskEnd::Success(input(&json!("two")))).await.unwrap();
    let view = rig.end("slow/n").await;
    assert_eq!(view.output.as_deref(), Some(&br#"["one","two"]"#[..]), "{view:?}");
}

/// A distributed Map whose children wait for a worker, one at a time.
fn one_by_one() -> Value {
    let mut machine = json!({"StartAt": "M", "TimeoutSeconds": 600, "States": {"M": {
        "Type": "Map", "End": true, "MaxConcurrency": 1, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "A", "States": {"A": {"Type": "Task", "End": true,
                "Resource": "arn:aws:states:us-east-1:000000000000:activity:work"}}}}}});
    machine["States"]["M"].as_object_mut().unwrap().extend(writer().as_object().unwrap().clone());
    machine
}

async fn answer(rig: &Rig, item: u32) {
    let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
    assert_eq!(task.input[..], *item.to_string().as_bytes());
    rig.engine().end_task(&task.token, TaskEnd::Success(input(&json!(item * 10)))).await.unwrap();
}

/// Of four children the first is done and the second begun.
async fn begin(rig: &Rig) {
    rig.workflow("slow", &one_by_one()).await;
    rig.start("slow", Some("n"), json!([1, 2, 3, 4])).await.unwrap();
    answer(rig, 1).await;
    let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
    assert_eq!(&task.input[..], b"2");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_items_of_a_batch_run_together() {
    let rig = Rig::new().await;
    let mut machine = one_by_one();
    machine["States"]["M"]["ItemBatcher"] = json!({"MaxItemsPerBatch": 2});
    rig.workflow("slow", &machine).await;
    rig.start("slow", Some("n"), json!([1, 2, 3])).await.unwrap();
    rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
    let run = rig.engine().map_runs("slow/n").unwrap().remove(0);
    let counts = |of: &str| ["running", "pending"].map(|what| run[of][what].as_u64().unwrap());
    // How many children there will be is not known yet.
    assert_eq!((counts("itemCounts"), counts("executionCounts")), ([2, 1], [1, 0]));
}

/// The files of the Map Run that `begin` began, once it is over.
async fn check_stopped(rig: &Rig) {
    rig.until(|| rig.rows_of(Tag::MapRun).is_empty()).await;
    let run = rig.engine().map_runs("slow/n").unwrap().remove(0);
    let counts = &run["itemCounts"];
    assert_eq!(
        (&run["status"], &counts["succeeded"], &counts["aborted"], &counts["pending"], &counts["running"]),
        (&json!("ABORTED"), &json!(1), &json!(1), &json!(2), &json!(0))
    );
    let name = run["mapRunArn"].as_str().unwrap().rsplit(':').next().unwrap();
    let manifest = file(rig, &format!("out/{name}/manifest.json"));
    for (kind, status, inputs) in [
        ("SUCCEEDED", "SUCCEEDED", vec!["1"]),
        ("FAILED", "ABORTED", vec!["2"]),
        ("PENDING", "PENDING", vec!["3", "4"]),
    ] {
        let files = manifest["ResultFiles"][kind].as_array().unwrap();
        assert_eq!(files.len(), 1, "{kind}");
        let results = file(rig, files[0]["Key"].as_str().unwrap());
        let shown: Vec<(&str, &str)> = results
            .as_array()
            .unwrap()
            .iter()
            .map(|result| (result["Status"].as_str().unwrap(), result["Input"].as_str().unwrap()))
            .collect();
        assert_eq!(shown, inputs.iter().map(|input| (status, *input)).collect::<Vec<_>>());
    }
    let child = rig.engine().describe(&format!("slow/{name}-1")).unwrap();
    assert_eq!(child.state, ExecutionState::Aborted);
    assert_eq!(rig.engine().describe(&format!("slow/{name}-2")).unwrap_err().code, "HW-WORK-030");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_writes_files_and_is_taken_up_again() {
    let rig = Rig::new().await;
    begin(&rig).await;
    rig.engine().stop("slow/n", None, None).await.unwrap();
    check_stopped(&rig).await;
    rig.engine().redrive("slow/n", None).await.unwrap();
    for item in 2..=4 {
        answer(&rig, item).await;
    }
    let view = rig.end("slow/n").await;
    assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
    let output: Value = serde_json::from_slice(&view.output.unwrap()).unwrap();
    let manifest = file(&rig, output["ResultWriterDetails"]["Key"].as_str().unwrap());
    assert_eq!((&manifest["ResultFiles"]["FAILED"], &manifest["ResultFiles"]["PENDING"]), (&json!([]), &json!([])));
    let results = file(&rig, manifest["ResultFiles"]["SUCCEEDED"][0]["Key"].as_str().unwrap());
    assert_eq!(results.as_array().unwrap().len(), 4);
    assert!(rig.rows_of(Tag::MapRun).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_there_as_soon_as_it_begins_and_keeps_bounds_that_were_changed() {
    let mut rig = Rig::new().await;
    begin(&rig).await;
    let run = rig.engine().map_runs("slow/n").unwrap().remove(0);
    assert_eq!(run["status"], "RUNNING");
    // The result of the first is durable only with others'.
    for counts in ["itemCounts", "executionCounts"] {
        assert_eq!((&run[counts]["running"], &run[counts]["pending"]), (&json!(1), &json!(3)), "{counts}");
    }
    let arn = run["mapRunArn"].as_str().unwrap().to_owned();
    let change = |field: &str| json!({field: 3}).as_object().unwrap().clone();
    rig.engine().update_map_run(&arn, change("toleratedFailureCount")).await.unwrap();
    rig.engine().update_map_run(&arn, change("toleratedFailurePercentage")).await.unwrap();
    rig.restart().await;
    let run = rig.engine().map_run(&arn).unwrap();
    assert_eq!((&run["toleratedFailureCount"], &run["toleratedFailurePercentage"]), (&json!(3), &json!(3.0)));
    rig.engine().stop("slow/n", None, None).await.unwrap();
    check_stopped(&rig).await;
    let late = rig.engine().update_map_run(&arn, change("maxConcurrency")).await.unwrap_err();
    assert_eq!(late.code, "HW-WORK-063");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_found_by_its_name_until_its_execution_goes() {
    let mut rig = Rig::new().await;
    begin(&rig).await;
    let arn = rig.engine().map_runs("slow/n").unwrap().remove(0)["mapRunArn"].as_str().unwrap().to_owned();
    rig.engine().stop("slow/n", None, None).await.unwrap();
    check_stopped(&rig).await;
    rig.restart().await;
    rig.engine().redrive("slow/n", None).await.unwrap();
    for item in 2..=4 {
        answer(&rig, item).await;
    }
    rig.end("slow/n").await;
    let run = rig.engine().map_run(&arn).unwrap();
    assert_eq!((&run["status"], &run["redriveCount"]), (&json!("SUCCEEDED"), &json!(1)));
    rig.restart().await;
    assert_eq!(rig.engine().map_run(&arn).unwrap(), run);
    let other = rig.engine().map_run(&format!("{arn}0")).unwrap_err();
    assert_eq!(other.code, "HW-WORK-039");
    rig.advance(31 * 86_400);
    rig.until(|| rig.engine().map_run(&arn).is_err_and(|problem| problem.code == "HW-WORK-039")).await;
    rig.until(|| rig.engine().0.index.lock().owner(&arn).is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_that_are_changed_at_once_are_all_kept() {
    let rig = Rig::new().await;
    begin(&rig).await;
    let arn = rig.engine().map_runs("slow/n").unwrap().remove(0)["mapRunArn"].as_str().unwrap().to_owned();
    for round in 1..=30 {
        let change = |field: &str| json!({field: round}).as_object().unwrap().clone();
        let engine = rig.engine();
        let (width, count, share) = tokio::join!(
            engine.update_map_run(&arn, change("maxConcurrency")),
            engine.update_map_run(&arn, change("toleratedFailureCount")),
            engine.update_map_run(&arn, change("toleratedFailurePercentage")),
        );
        width.and(count).and(share).unwrap();
        let run = engine.map_run(&arn).unwrap();
        assert_eq!(
            (&run["maxConcurrency"], &run["toleratedFailureCount"], &run["toleratedFailurePercentage"]),
            (&json!(round), &json!(round), &json!(f64::from(round)))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_bounds_of_a_run_hold_at_once() {
    let rig = Rig::new().await;
    begin(&rig).await;
    let arn = rig.engine().map_runs("slow/n").unwrap().remove(0)["mapRunArn"].as_str().unwrap().to_owned();
    let wider = json!({"maxConcurrency": 3}).as_object().unwrap().clone();
    rig.engine().update_map_run(&arn, wider).await.unwrap();
    // The second child runs on meanwhile.
    let mut inputs = Vec::new();
    for _ in 3..=4 {
        let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
        inputs.push(String::from_utf8(task.input.to_vec()).unwrap());
    }
    inputs.sort_unstable();
    assert_eq!(inputs, ["3", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_meets_a_bug_stops_its_children_and_writes_files() {
    let rig = Rig::new().await;
    begin(&rig).await;
    let arn = rig.engine().map_runs("slow/n").unwrap().remove(0)["mapRunArn"].as_str().unwrap().to_owned();
    // Bounds that the API takes from nobody.
    let mut writer = Writer::default();
    writer.byte(1);
    for _ in 0..2 {
        writer.option(None::<&u64>, |writer, count| writer.number(*count));
    }
    writer.option(Some(&200_f64), |writer, share| writer.raw(&share.to_le_bytes()));
    let (shard, row, _) = rig.rows_of(Tag::MapRun).remove(0);
    let (key, _, attempt) = rows::split(&row).unwrap();
    rig.put_row(shard, rows::row(&key, Tag::Bounds, attempt), writer.bytes.into()).await;
    let change = json!({"maxConcurrency": 1}).as_object().unwrap().clone();
    rig.engine().update_map_run(&arn, change).await.unwrap();
    let view = rig.end("slow/n").await;
    assert_eq!((view.state, view.error.as_deref()), (ExecutionState::Failed, Some("States.Runtime")), "{view:?}");
    assert!(view.cause.unwrap().contains("a Map Run is to tolerate"));
    check_stopped(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_record_is_damaged_fails_its_state() {
    let mut rig = Rig::new().await;
    begin(&rig).await;
    rig.engine().close().await;
    let (shard, row, _) = rig.rows_of(Tag::MapRun).remove(0);
    rig.put_row(shard, row, Bytes::from_static(b"?")).await;
    rig.restart().await;
    let view = rig.end("slow/n").await;
    assert_eq!((view.state, view.error.as_deref()), (ExecutionState::Failed, Some("States.Runtime")), "{view:?}");
    assert_eq!(view.cause.as_deref(), Some("the record of the Map Run cannot be read"));
    rig.until(|| rig.rows_of(Tag::MapRun).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_execution_times_out_writes_files() {
    let rig = Rig::new().await;
    begin(&rig).await;
    rig.advance(601);
    assert_eq!(rig.end("slow/n").await.state, ExecutionState::TimedOut);
    check_stopped(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_execution_times_out_while_the_node_is_down_writes_files() {
    let mut rig = Rig::new().await;
    begin(&rig).await;
    rig.engine().close().await;
    rig.advance(601);
    rig.restart().await;
    rig.until(|| rig.engine().describe("slow/n").is_ok_and(|view| view.stopped.is_some())).await;
    check_stopped(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_right_behind_the_stop_loses_neither_files_nor_the_end_of_children() {
    let mut rig = Rig::new().await;
    begin(&rig).await;
    rig.engine().close().await;
    // Its last byte says whether it was stopped; the commit that stops it writes that and sets nothing going yet.
    let (shard, row, value) = rig.rows_of(Tag::MapRun).remove(0);
    let mut value = value.to_vec();
    *value.last_mut().unwrap() = 1;
    rig.put_row(shard, row, value.into()).await;
    rig.restart().await;
    check_stopped(&rig).await;
    // Another start finds nothing to do.
    let before = rig.records(crate::engine::map_run::STREAM);
    rig.restart().await;
    assert_eq!(rig.records(crate::engine::map_run::STREAM), before);
    assert_eq!(before, 2, "a result is written once");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_written_when_a_run_is_stopped_are_written_by_the_next_start() {
    let mut rig = Rig::new().await;
    begin(&rig).await;
    // A blob begins as a draft, so that none can be written until the next start makes the folder again.
    std::fs::remove_dir_all(rig.folder().join("blobs").join("drafts")).unwrap();
    rig.engine().stop("slow/n", None, None).await.unwrap();
    rig.until(|| rig.records(crate::engine::map_run::STREAM) == 2).await;
    assert_eq!(rig.rows_of(Tag::MapRun).len(), 1);
    rig.restart().await;
    check_stopped(&rig).await;
    assert_eq!(rig.records(crate::engine::map_run::STREAM), 2, "a result is written once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_results_are_gone_fails_rather_than_leave_them_out() {
    let rig = Rig::new().await;
    put(&rig, &["a"]).await;
    rig.workflow("files", &reads(&writer())).await;
    rig.start("files", Some("n"), json!(["a", "b"])).await.unwrap();
    assert_eq!(rig.end("files/n").await.state, ExecutionState::Failed);
    put(&rig, &["b"]).await;
    forget_results(&rig).await;
    rig.engine().redrive("files/n", None).await.unwrap();
    let view = rig.end("files/n").await;
    assert_eq!((view.state, view.error.as_deref()), (ExecutionState::Failed, Some("States.Runtime")), "{view:?}");
}

/// Writes to the stream of results as a client may, in the name of the run of `slow/n`.
async fn forge(rig: &Rig, value: &str) {
    let run = rig.engine().map_runs("slow/n").unwrap().remove(0);
    let arn = run["mapRunArn"].as_str().unwrap();
    let stream = Name::new(crate::engine::map_run::STREAM).unwrap();
    for partition in 0..rig.log.stream(stream.as_str()).unwrap().config.partitions {
        let mut builder = Builder::new(Compression::None);
        builder.push(rig.clock.now().millis(), Some(arn.as_bytes()), Some(value.as_bytes()), &[]);
        let append = Append { stream: stream.clone(), partition, batches: builder.finish() };
        let ticket = rig.log.append(&mut Commit { appends: vec![append], ..Commit::default() }).unwrap();
        rig.log.durable(ticket.sequence).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_writes_to_the_stream_of_results_is_no_result() {
    let rig = Rig::new().await;
    rig.workflow("slow", &one_by_one()).await;
    rig.start("slow", Some("n"), json!([1, 2])).await.unwrap();
    answer(&rig, 1).await;
    for forged in ["?", r#"{"Index":2,"Status":"SUCCEEDED","Output":666,"Input":666}"#] {
        forge(&rig, forged).await;
    }
    answer(&rig, 2).await;
    let view = rig.end("slow/n").await;
    assert_eq!(view.state, ExecutionState::Succeeded, "{view:?}");
    let run = rig.engine().map_runs("slow/n").unwrap().remove(0);
    let name = run["mapRunArn"].as_str().unwrap().rsplit(':').next().unwrap();
    let manifest = file(&rig, &format!("out/{name}/manifest.json"));
    let results = file(&rig, manifest["ResultFiles"]["SUCCEEDED"][0]["Key"].as_str().unwrap());
    let shown: Vec<&str> = results.as_array().unwrap().iter().map(|one| one["Input"].as_str().unwrap()).collect();
    assert_eq!(shown, ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_one_of_whose_results_is_there_twice_fails_rather_than_choose() {
    let rig = Rig::new().await;
    rig.workflow("slow", &one_by_one()).await;
    rig.start("slow", Some("n"), json!([1])).await.unwrap();
    let task = rig.engine().poll_activity("work", None, super::LONG).await.unwrap().unwrap();
    forge(&rig, r#"{"Index":0,"Status":"SUCCEEDED","Output":666,"Input":1}"#).await;
    rig.engine().end_task(&task.token, TaskEnd::Success(input(&json!(10)))).await.unwrap();
    let view = rig.end("slow/n").await;
    assert_eq!((view.state, view.error.as_deref()), (ExecutionState::Failed, Some("States.Runtime")), "{view:?}");
    assert!(view.cause.unwrap().contains("2 are there of 1"));
}

/// Lets go of every result so far, as the stream's retention does.
async fn forget_results(rig: &Rig) {
    let stream = Name::new(crate::engine::map_run::STREAM).unwrap();
    for partition in 0..rig.log.stream(stream.as_str()).unwrap().config.partitions {
        let end = rig.log.ends(&stream, partition).unwrap().durable;
        rig.log.trim(&stream, partition, end).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_run_whose_results_are_gone_is_over_with_the_next_start() {
    let mut rig = Rig::new().await;
    begin(&rig).await;
    // As in the test of files that cannot be written: its results are durable, its files are not there.
    std::fs::remove_dir_all(rig.folder().join("blobs").join("drafts")).unwrap();
    rig.engine().stop("slow/n", None, None).await.unwrap();
    rig.until(|| rig.records(crate::engine::map_run::STREAM) == 2).await;
    forget_results(&rig).await;
    rig.restart().await;
    rig.until(|| rig.rows_of(Tag::MapRun).is_empty()).await;
    let run = rig.engine().map_runs("slow/n").unwrap().remove(0);
    assert_eq!((&run["status"], &run["itemCounts"]["pending"]), (&json!("ABORTED"), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_express_children_that_is_stopped_writes_files() {
    let rig = Rig::new().await;
    rig.workflow(
        "naps",
        &json!({"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "MaxConcurrency": 3,
            "ResultWriter": writer()["ResultWriter"], "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
            "StartAt": "C", "States": {
                "C": {"Type": "Choice", "Default": "P",
                    "Choices": [{"Variable": "$", "NumericGreaterThan": 1, "Next": "W"}]},
                "W": {"Type": "Wait", "Seconds": 60, "End": true}, "P": {"Type": "Pass", "End": true}}}}}}),
    )
    .await;
    rig.start("naps", Some("n"), json!([1, 2, 3, 4, 5])).await.unwrap();
    rig.engine().stop("naps/n", None, None).await.unwrap();
    rig.until(|| rig.rows_of(Tag::MapRun).is_empty()).await;
    let run = rig.engine().map_runs("naps/n").unwrap().remove(0);
    let name = run["mapRunArn"].as_str().unwrap().rsplit(':').next().unwrap();
    let manifest = file(&rig, &format!("out/{name}/manifest.json"));
    let listed = |kind: &str| {
        let files = manifest["ResultFiles"][kind].as_array().unwrap().iter();
        files.map(|one| file(&rig, one["Key"].as_str().unwrap()).as_array().unwrap().len()).sum::<usize>()
    };
    // How far it came before it was stopped nobody knows; each child is in one file.
    assert_eq!(listed("SUCCEEDED") + listed("FAILED") + listed("PENDING"), 5);
    assert!(listed("PENDING") >= 1 && listed("SUCCEEDED") <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_while_a_run_is_stopped_leaves_its_files_and_each_result_once() {
    for seed in 0..16 {
        let disk = FaultyDisk::default();
        let mut rig = Rig::over(&disk).await;
        begin(&rig).await;
        disk.cut_after(seed + 1);
        let stopped = rig.engine().stop("slow/n", None, None).await;
        rig.until(|| disk.is_off() || stopped.is_err() || rig.rows_of(Tag::MapRun).is_empty()).await;
        rig.power_cut(&disk, seed).await;
        let view = rig.engine().describe("slow/n").unwrap();
        assert!(stopped.is_err() || view.state == ExecutionState::Aborted, "seed {seed}: {view:?}");
        if view.stopped.is_none() {
            rig.engine().stop("slow/n", None, None).await.unwrap();
        }
        check_stopped(&rig).await;
        assert_eq!(rig.records(crate::engine::map_run::STREAM), 2, "seed {seed}");
    }
}
