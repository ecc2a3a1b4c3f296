use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Limits, ManualClock, Micros, Name};
use headwater_kernel::port::tables::{Change, Document, Expression, Page, Query, Tell, Transacted, Written};
use headwater_kernel::port::workflows::{ExecutionState, ExecutionView};
use headwater_kernel::port::{Json, Secrets, Tables};
use headwater_log::{Cleanup, Commit, EmbeddedLog, Log, StreamConfig, embedded};
use headwater_store::disk::MemoryDisk;
use headwater_wire::batch;
use headwater_wire::exact::Exact;
use serde_json::json;

use super::*;

struct NoSecrets;

impl Secrets for NoSecrets {
    fn read(&self, name: &str) -> Result<Bytes, Problem> {
        Err(Problem::new("HW-KERNEL-012", name))
    }
}

/// One table `runs` with the key field `id` and one document.
struct Runs;

fn document() -> Document {
    Document {
        key: "r1".to_owned(),
        version: 4,
        updated: Micros(0),
        value: Json::from_static(b"{\"id\":\"r1\",\"n\":1.50,\"m\":{\"a\":[true]}}"),
    }
}

/// A document with numbers that a machine's cannot hold.
fn digits() -> Document {
    let value = Json::from_static(b"{\"id\":\"digits\",\"n\":[1.50,12345678901234567890.10,12345678901234567]}");
    Document { key: "digits".to_owned(), value, ..document() }
}

impl Tables for Runs {
    fn get(&self, table: &str, key: &str) -> Result<Option<Document>, Problem> {
        match table {
            "runs" => Ok(match key {
                "r1" => Some(document()),
                "digits" => Some(digits()),
                "disk" => {
                    // A thread that serves others meanwhile may not wait: tokio panics.
                    tokio::runtime::Handle::current().block_on(async {});
                    None
                }
                _ => None,
            }),
            _ => Err(Problem::new("HW-KERNEL-019", format!("there is no table `{table}`"))),
        }
    }

    fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<Document>, Problem> {
        Ok(vec![document()])
    }

    fn put<'a>(
        &'a self,
        _: &'a Name,
        _: &'a str,
        _: Option<Json>,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<u64, Problem>> {
        Box::pin(std::future::ready(Ok(0)))
    }

    fn generation(&self, _: &str) -> u64 {
        0
    }

    fn key_field(&self, _: &str) -> Result<Option<String>, Problem> {
        Ok(Some("id".to_owned()))
    }

    fn transact_telling(&self, _: &[Write], _: &mut Commit, _: &mut Tell<'_>) -> Result<Transacted, TransactError> {
        Err(TransactError::Full)
    }

    fn write<'a>(&'a self, _: &'a [Write]) -> BoxFuture<'a, Result<Vec<Written>, TransactError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn query(&self, _: &str, query: &Query) -> Result<Page, Problem> {
        // What was asked comes back as the place of the next page.
        let filter = query.filter.as_ref().map(|filter| &filter.text);
        let next = Some(format!("{:?} {:?} {filter:?} {:?}", query.equals, query.from, query.scan_max));
        Ok(Page { documents: vec![document()], next, scanned: 1 })
    }
}

/// Services over a log in memory with the streams `out` and `bus.default`.
pub(super) fn services() -> Services {
    let clock = Arc::new(ManualClock::at(Micros(0)));
    let disk = Arc::new(MemoryDisk::default());
    let log = EmbeddedLog::open_with(
        disk,
        PathBuf::from("/log"),
        Arc::new(Limits::default()),
        clock,
        embedded::Options::small(),
    );
    let log: Arc<dyn Log> = log.unwrap();
    for name in ["out", "bus.default"] {
        let config = StreamConfig {
            partitions: 2,
            retention_ms: None,
            retention_bytes: None,
            cleanup: Cleanup::Delete,
            batch_bytes_max: 10_000,
            segment_bytes: 1 << 20,
            segment_ms: 1 << 30,
            delete_retention_ms: 0,
            append_time: false,
        };
        let create = log.create(Name::new(name).unwrap(), config, Vec::new());
        // Not on the thread of a runtime that a test may have.
        std::thread::scope(|scope| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            scope.spawn(move || runtime.block_on(create)).join().unwrap().unwrap();
        });
    }
    let tables: Arc<dyn Tables> = Arc::new(Runs);
    let context =
        Context { folder: PathBuf::from("/"), secrets: Arc::new(NoSecrets), tables: Some(tables), log: Some(log) };
    let functions = vec![FunctionKind { name: "double", call: double }];
    let blobs = Blobs::open(Arc::new(MemoryDisk::default()), PathBuf::from("/blobs")).unwrap();
    Services {
        context,
        lookups: &[],
        functions,
        enrich: None,
        reconcile: None,
        outlets: None,
        http: HttpClient::new(Settings::default()).unwrap(),
        built: Lookups::default(),
        blobs: Some(Arc::new(blobs)),
        columnar: None,
    }
}

fn double(event: &Value) -> Result<Value, Problem> {
    match event.as_i64() {
        Some(number) => Ok(json!(number * 2)),
        None => Err(Problem::new("HW-TEST-001", "no number")),
    }
}

pub(super) fn resource(text: &str) -> Resource {
    Resource::parse(text).unwrap_or_else(|| panic!("{text} is no resource"))
}

pub(super) fn call<'a>(resource: &'a Resource, parameters: &'a Value) -> Call<'a> {
    Call {
        resource,
        parameters,
        key: "w/e/1/0",
        machine_arn: "arn:aws:states:eu-west-1:000000000000:stateMachine:w",
        token: None,
        now: Micros(1_000_000),
        deadline: None,
        cause: None,
    }
}

fn internal(name: &str, parameters: Value) -> Internal {
    let resource = resource(name);
    match plan(&services(), &call(&resource, &parameters)).unwrap() {
        Plan::Internal(internal) => internal,
        Plan::External(_) => panic!("{name} is external"),
    }
}

fn known(internal: Internal) -> Value {
    internal.answer.of(&Done::default()).unwrap()
}

/// How a task fails before it begins.
pub(super) fn failed(services: &Services, name: &str, parameters: &Value) -> Failure {
    plan(services, &call(&resource(name), parameters)).unwrap_err()
}

fn records(append: &Append) -> Vec<(Option<String>, String, Vec<(String, String)>)> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = Vec::new();
    let bytes = Bytes::from(append.batches.to_vec());
    for part in batch::split(&bytes) {
        let (_, range) = part.unwrap();
        for record in batch::records(&bytes.slice(range), 1 << 20).unwrap() {
            let record = record.unwrap();
            let header =
                |(name, value): &(Bytes, Option<Bytes>)| (text(name), value.as_ref().map(text).unwrap_or_default());
            let headers = record.headers.iter().map(header);
            found.push((record.key.as_ref().map(text), text(&record.value.unwrap()), headers.collect()));
        }
    }
    found
}

#[test]
fn a_table_is_written_in_the_words_of_both() {
    let native = internal(
        "arn:headwater:work:::table:update",
        json!({"Table": "runs", "Key": "r1", "UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": 2}}),
    );
    let values = [(":n".to_owned(), Exact::Number("2".into()))].into();
    let change = Change::Update(Expression { text: "SET n = :n".to_owned(), values, ..Expression::default() });
    assert_eq!((&native.writes[0].change, native.writes[0].key.as_str()), (&change, "r1"));
    assert_eq!(known(native), json!({"Key": "r1"}));
    let same = internal(
        "arn:aws:states:::dynamodb:updateItem",
        json!({"TableName": "runs", "Key": {"id": {"S": "r1"}}, "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": {":n": {"N": "2"}}}),
    );
    assert_eq!(same.writes[0].change, change);
    assert_eq!(known(same), json!({}));
    let put = internal(
        "arn:aws:states:::aws-sdk:dynamodb:putItem",
        json!({"TableName": "runs", "Item": {"id": {"S": "r2"}, "n": {"N": "1.5"}}, "ConditionExpression": "attribute_not_exists(id)"}),
    );
    assert_eq!((put.writes[0].key.as_str(), put.writes[0].condition.is_some()), ("r2", true));
    assert_eq!(put.writes[0].change, Change::Put(Json::from_static(b"{\"id\":\"r2\",\"n\":1.5}")));
    // A machine's number would lose the last of these digits.
    let digits = "12345678901234567890123456789012345678";
    let long = internal(
        "arn:aws:states:::dynamodb:putItem",
        json!({"TableName": "runs", "Item": {"id": {"S": "r3"}, "n": {"N": digits}},
            "ConditionExpression": "n < :n", "ExpressionAttributeValues": {":n": {"N": digits}}}),
    );
    assert_eq!(long.writes[0].change, Change::Put(Json::from(format!("{{\"id\":\"r3\",\"n\":{digits}}}"))));
    assert_eq!(long.writes[0].condition.as_ref().unwrap().values[":n"], Exact::Number(digits.into()));
}

#[test]
fn what_a_write_gives_back_is_what_was_asked_for() {
    let updated = |returned: &str, text: &str| {
        let update = internal(
            "arn:aws:states:::dynamodb:updateItem",
            json!({"TableName": "runs", "Key": {"id": {"S": "r1"}}, "UpdateExpression": text, "ReturnValues": returned,
                "ExpressionAttributeValues": {":n": {"N": "2"}}}),
        );
        let new = Document { version: 5, value: Json::from_static(b"{\"id\":\"r1\",\"n\":2}"), ..document() };
        let written = Written { old: Some(document()), new: Some(new) };
        update.answer.of(&Done { written: vec![written], ..Done::default() }).unwrap()
    };
    let answer = |returned: &str| updated(returned, "SET n = :n");
    assert_eq!(answer("UPDATED_NEW"), json!({"Attributes": {"n": {"N": "2"}}}));
    assert_eq!(answer("ALL_NEW"), json!({"Attributes": {"id": {"S": "r1"}, "n": {"N": "2"}}}));
    assert_eq!(answer("UPDATED_OLD")["Attributes"]["n"], json!({"N": "1.50"}), "digit by digit");
    assert_eq!(answer("NONE"), json!({}));
    // The part that is named, not the whole field; and no attributes where there are none.
    let part = updated("UPDATED_OLD", "SET m.b = :n, m.a[0] = :n");
    assert_eq!(part, json!({"Attributes": {"m": {"M": {"a": {"L": [{"BOOL": true}]}}}}}));
    assert_eq!(updated("UPDATED_OLD", "SET x = :n"), json!({}));
}

async fn read(name: &str, parameters: Value) -> Result<Value, Failure> {
    match plan(&services(), &call(&resource(name), &parameters))? {
        Plan::External(answer) => answer.await,
        Plan::Internal(_) => panic!("{name} is internal"),
    }
}

#[tokio::test]
async fn documents_are_read_in_the_words_of_both() {
    let native = read("arn:headwater:work:::table:get", json!({"Table": "runs", "Key": "r1"})).await.unwrap();
    assert_eq!(native, json!({"Key": "r1", "Version": 4, "Document": {"id": "r1", "n": 1.5, "m": {"a": [true]}}}));
    let long = read("arn:headwater:work:::table:get", json!({"Table": "runs", "Key": "digits"})).await.unwrap();
    assert_eq!(long["Document"]["n"], json!([1.5, "12345678901234567890.10", 12_345_678_901_234_567_i64]));
    let none = read("arn:headwater:work:::table:get", json!({"Table": "runs", "Key": "r2"})).await.unwrap();
    assert_eq!(none, json!({"Key": "r2", "Version": 0, "Document": null}));
    let waits = read("arn:headwater:work:::table:get", json!({"Table": "runs", "Key": "disk"})).await.unwrap();
    assert_eq!(waits["Version"], 0);
    let item = json!({"TableName": "runs", "Key": {"id": {"S": "r1"}}, "ProjectionExpression": "m.#a",
        "ExpressionAttributeNames": {"#a": "a"}});
    let item = read("arn:aws:states:::dynamodb:getItem", item).await.unwrap();
    assert_eq!(item, json!({"Item": {"m": {"M": {"a": {"L": [{"BOOL": true}]}}}}}));
    let missing = json!({"TableName": "none", "Key": {"id": {"S": "r1"}}});
    let failure = read("arn:aws:states:::dynamodb:getItem", missing).await.unwrap_err();
    assert_eq!(failure.error.as_deref(), Some("DynamoDB.ResourceNotFoundException"));
    let query = json!({"TableName": "runs", "KeyConditionExpression": "id = :id", "FilterExpression": "n > :n",
        "ExpressionAttributeValues": {":id": {"S": "r1"}, ":n": {"N": "1"}}, "Select": "COUNT", "Limit": 7});
    let page = read("arn:aws:states:::aws-sdk:dynamodb:query", query).await.unwrap();
    let place = page["LastEvaluatedKey"]["headwaterPlace"]["S"].as_str().unwrap();
    assert_eq!(place, "[] Some(String(\"r1\")) Some(\"n > :n\") Some(7)");
    assert_eq!((&page["Count"], page.get("Items")), (&json!(1), None));
}

#[tokio::test]
async fn blobs_are_kept_by_content_and_by_name() {
    let services = services();
    let run = async |name: &str, parameters: Value| {
        let resource = resource(name);
        match plan(&services, &call(&resource, &parameters))? {
            Plan::External(answer) => answer.await,
            Plan::Internal(_) => panic!("{name} is internal"),
        }
    };
    let written = run("arn:headwater:work:::blob:write", json!({"Content": {"a": [1]}})).await.unwrap();
    let read = run("arn:headwater:work:::blob:read", json!({"Blob": written["Blob"]})).await.unwrap();
    assert_eq!(read, json!({"Content": {"a": [1]}, "Bytes": 9}));
    let place = json!({"Bucket": "b", "Key": "x/../y"});
    let missing = run("arn:aws:states:::aws-sdk:s3:getObject", place.clone()).await.unwrap_err();
    assert_eq!(missing.error.as_deref(), Some("S3.NoSuchKeyException"));
    let put = json!({"Bucket": "b", "Key": "x/../y", "Body": "text"});
    let put = run("arn:aws:states:::aws-sdk:s3:putObject", put).await.unwrap();
    let got = run("arn:aws:states:::aws-sdk:s3:getObject", place).await.unwrap();
    assert_eq!((&got["Body"], &got["ETag"]), (&json!("text"), &put["ETag"]));
    let large = run("arn:headwater:work:::blob:write", json!({"Content": "x".repeat(262_145)})).await.unwrap();
    let failure = run("arn:headwater:work:::blob:read", json!({"Blob": large["Blob"]})).await.unwrap_err();
    assert_eq!(failure.error.as_deref(), Some("States.DataLimitExceeded"));
}

#[tokio::test]
async fn a_trial_calls_what_is_outside_and_writes_nothing_inside() {
    let tried = async |state: Value| {
        let request = json!({"definition": state.to_string(), "input": "{}"});
        let request = request.as_object().unwrap();
        trial::run(&services(), &crate::Limits::default(), request, Micros(0), [1; 32]).await.unwrap()
    };
    let get = json!({"Type": "Task", "Resource": "arn:headwater:work:::table:get", "End": true,
        "Parameters": {"Table": "runs", "Key": "r1"}, "OutputPath": "$.Version"});
    assert_eq!(Value::Object(tried(get).await), json!({"output": "4", "status": "SUCCEEDED"}));
    let delete = json!({"Type": "Task", "Resource": "arn:headwater:work:::table:delete", "End": true,
        "Parameters": {"Table": "runs", "Key": "r1"}});
    assert_eq!(tried(delete).await["status"], "FAILED");
}

#[test]
fn a_condition_that_does_not_hold_fails_under_the_names_of_each() {
    let error = TransactError::Condition { index: 0, document: None };
    for (name, expected) in [
        ("arn:headwater:work:::table:delete", "Table.ConditionFailed"),
        ("arn:aws:states:::dynamodb:deleteItem", "DynamoDB.ConditionalCheckFailedException"),
        ("arn:aws:states:::aws-sdk:dynamodb:deleteItem", "DynamoDb.ConditionalCheckFailedException"),
    ] {
        let Resource::Service(service) = resource(name) else { panic!("{name}") };
        let native = name.contains("headwater");
        let parameters = if native {
            json!({"Table": "runs", "Key": "r1"})
        } else {
            json!({"TableName": "runs", "Key": {"id": {"S": "r1"}}})
        };
        let refused = internal(name, parameters).refused;
        assert_eq!(refused(&service, Refusal::Write(&error)).error.as_deref(), Some(expected));
    }
}

#[test]
fn mistakes_in_parameters_are_named() {
    let cause = |name: &str, parameters: Value| failed(&services(), name, &parameters).cause.unwrap();
    let typo = cause("arn:headwater:work:::table:delete", json!({"Tabel": "runs", "Key": "r1"}));
    assert!(typo.contains("`Tabel` is not supported") && typo.ends_with("did you mean `Table`?"), "{typo}");
    let two = json!({"TableName": "runs", "Key": {"a": {"S": "x"}, "b": {"S": "y"}}});
    assert!(cause("arn:aws:states:::dynamodb:deleteItem", two).contains("2 attributes"));
    assert!(cause("arn:headwater:work:::table:put", json!({"Table": "runs", "Document": {"n": 1}})).contains("`id`"));
    assert!(cause("arn:headwater:work:::nothing:here", json!({})).contains("no task `nothing:here`"));
    assert!(cause("arn:headwater:work:::table:get.waitForTaskToken", json!({})).contains("table:get.waitForTaskToken"));
}

#[test]
fn records_go_to_the_partition_of_their_key_and_events_say_what_they_came_of() {
    let published = internal(
        "arn:headwater:work:::stream:publish",
        json!({"Stream": "out", "Records": [{"Key": "a", "Value": {"n": 1}}, {"Key": "a", "Value": 2, "Headers": {"h": "v"}}]}),
    );
    assert_eq!(published.appends.len(), 1);
    let seen = records(&published.appends[0]);
    assert_eq!(seen[0], (Some("a".to_owned()), "{\"n\":1}".to_owned(), Vec::new()));
    assert_eq!(seen[1].2, [("h".to_owned(), "v".to_owned())]);
    let (resource, cause) = (resource("arn:aws:states:::events:putEvents"), Cause { id: "e0".to_owned(), hops: 3 });
    let parameters =
        json!({"Entries": [{"Source": "s", "DetailType": "t", "Detail": {"a": 1}, "Time": "1970-01-01T00:00:09Z"}]});
    let call = Call { cause: Some(&cause), ..call(&resource, &parameters) };
    let Ok(Plan::Internal(put)) = plan(&services(), &call) else { panic!("putEvents is internal") };
    let (_, value, headers) = records(&put.appends[0]).remove(0);
    let header = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    assert_eq!(value, "{\"a\":1}");
    assert_eq!(
        (header("ce_source"), header("ce_type"), header("ce_time")),
        (Some("s"), Some("t"), Some("1970-01-01T00:00:09Z"))
    );
    assert_eq!((header("ce_causationid"), header("ce_hops")), (Some("e0"), Some("3")));
    assert_eq!(known(put)["FailedEntryCount"], 0);
    let (own, parameters) =
        (self::resource("arn:headwater:work:::stream:publish"), json!({"Stream": "out", "Value": 1}));
    let call = Call { cause: Some(&cause), resource: &own, parameters: &parameters, ..call };
    let Ok(Plan::Internal(published)) = plan(&services(), &call) else { panic!("publishing is internal") };
    let (_, _, headers) = records(&published.appends[0]).remove(0);
    assert_eq!(headers, [("ce_causationid", "e0"), ("ce_hops", "3")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    let (own, parameters) = (self::resource("arn:headwater:work:::table:delete"), json!({"Table": "runs", "Key": "r"}));
    let call = Call { cause: Some(&cause), resource: &own, parameters: &parameters, ..call };
    let Ok(Plan::Internal(written)) = plan(&services(), &call) else { panic!("writing is internal") };
    assert_eq!(written.writes[0].cause.as_ref(), Some(&cause), "and so do the changes of tables");
    let none = failed(&services(), "arn:headwater:work:::stream:publish", &json!({"Stream": "none", "Value": 1}));
    assert_eq!(none.error.as_deref(), Some("Stream.NotFound"));
}

#[test]
fn a_function_that_is_built_in_answers_in_the_step() {
    let invoked = internal("arn:aws:states:::lambda:invoke", json!({"FunctionName": "double", "Payload": 21}));
    assert_eq!(known(invoked), json!({"ExecutedVersion": "$LATEST", "Payload": 42, "StatusCode": 200}));
    let parameters = json!(21);
    let function = resource("arn:aws:lambda:eu-west-1:1:function:double");
    let Ok(Plan::Internal(named)) = plan(&services(), &call(&function, &parameters)) else { panic!("it is built in") };
    assert_eq!(known(named), json!(42));
    let failure =
        failed(&services(), "arn:aws:states:::lambda:invoke", &json!({"FunctionName": "double", "Payload": "x"}));
    assert_eq!(failure.error.as_deref(), Some("HW-TEST-001"));
    assert_eq!(failure.cause.as_deref(), Some("{\"errorMessage\":\"no number\",\"errorType\":\"HW-TEST-001\"}"));
}

fn view(state: ExecutionState) -> ExecutionView {
    ExecutionView {
        id: "child/c1".to_owned(),
        workflow: "child".to_owned(),
        version: None,
        alias: None,
        name: "c1".to_owned(),
        state,
        started: Micros(1_000_000),
        stopped: Some(Micros(2_000_000)),
        input: Some(Json::from_static(b"{\"a\":1}")),
        output: Some(Json::from_static(b"[2]")),
        error: None,
        cause: None,
        redrives: 0,
        redriven: None,
        map_run: None,
    }
}

#[test]
fn an_execution_is_started_once_and_its_end_is_shown_in_each_pattern() {
    let name = "arn:aws:states:::states:startExecution.sync:2";
    let parameters = json!({"StateMachineArn": "arn:aws:states:x:1:stateMachine:child:3", "Input": {"a": 1}});
    let started = internal(name, parameters.clone());
    let start = started.starts[0].clone();
    assert_eq!(
        (start.workflow.as_str(), start.version, start.input.as_deref()),
        ("child", Some(3), Some(&b"{\"a\":1}"[..]))
    );
    assert_eq!(internal(name, parameters).starts[0].name, start.name, "the same try starts the same execution");
    let by_alias = json!({"StateMachineArn": "arn:aws:states:x:1:stateMachine:child:live"});
    let by_alias = internal(name, by_alias).starts[0].clone();
    assert_eq!((by_alias.version, by_alias.alias.as_deref()), (None, Some("live")));
    let done = Done { started: vec![view(ExecutionState::Running)], ..Done::default() };
    let arn = "arn:aws:states:eu-west-1:000000000000:execution:child:c1";
    assert_eq!(started.answer.of(&done).unwrap(), json!({"ExecutionArn": arn, "StartDate": 1_000}));
    let Resource::Service(service) = resource(name) else { panic!("{name}") };
    let machine = "arn:aws:states:eu-west-1:000000000000:stateMachine:w";
    let ended = start::ended(&service, machine, &view(ExecutionState::Succeeded)).unwrap();
    assert_eq!(
        (&ended["Output"], &ended["Status"], &ended["ExecutionArn"]),
        (&json!([2]), &json!("SUCCEEDED"), &json!(arn))
    );
    let failure = start::ended(&service, machine, &view(ExecutionState::Aborted)).unwrap_err();
    assert_eq!(failure.error.as_deref(), Some("States.TaskFailed"));
    let problem = Problem::new(NO_WORKFLOW, "none");
    let refused = internal(name, json!({"StateMachineArn": "none"})).refused;
    let failure = refused(&service, Refusal::Start(&problem));
    assert_eq!(failure.error.as_deref(), Some("StepFunctions.StateMachineDoesNotExistException"));
}

#[test]
fn an_approval_is_an_event_and_a_document_with_the_token() {
    let resource = resource("arn:headwater:work:::approval:request.waitForTaskToken");
    let parameters = json!({"Question": "isolate?", "Choices": ["yes", "no"], "Table": "approvals"});
    let call = Call { token: Some("secret-token"), ..call(&resource, &parameters) };
    let Ok(Plan::Internal(asked)) = plan(&services(), &call) else { panic!("asking is internal") };
    let (_, event, _) = records(&asked.appends[0]).remove(0);
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!((&event["question"], &event["token"]), (&json!("isolate?"), &json!("secret-token")));
    assert_eq!(asked.writes[0].key, "w/e/1/0");
    assert!(!exists(&self::resource("arn:headwater:work:::approval:request")));
}

#[test]
fn blobs_want_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("blobs"), "no folder").unwrap();
    let refused = Services::new(Context::without_node(folder.path()), Settings::default()).err().unwrap();
    assert_eq!(refused.code, "HW-WORK-051", "{refused:?}");
}
