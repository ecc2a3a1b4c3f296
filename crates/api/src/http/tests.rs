//! The listener over a real socket: what clients send, what they get.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::{Limits, ManualClock, Micros, Problem};
use headwater_kernel::port::{Bus, Enrich, Features, Json, Reconcile};
use headwater_kernel::{Kernel, Registry, Setup};
use headwater_log::EmbeddedLog;
use headwater_log::groups::Groups;
use serde_json::Value;
use tokio::sync::watch;

use super::{Api, Parts, serve};
use crate::address::listen;
use crate::testing::{exchange, parts};

mod deletions;
mod disk;
mod documents;
mod drafts;
mod groups;
mod iceberg;
mod ingest;
mod limits;
mod live;
mod texts;

/// Features and enrichment of no pipeline but one.
struct Fixed;

impl Features for Fixed {
    fn read(&self, entity: &str, key: &str) -> Option<Json> {
        if key == "slow" {
            // A thread that serves requests may not wait: tokio panics.
            tokio::runtime::Handle::current().block_on(async {});
        }
        (entity == "user" && key == "u1").then(|| Bytes::from_static(b"{\"events_1m\":3}"))
    }

    fn entities(&self) -> Vec<String> {
        vec!["user".to_owned()]
    }
}

impl Bus for Fixed {
    fn put<'a>(
        &'a self,
        _: &'a headwater_base::Name,
        events: Vec<headwater_kernel::port::bus::BusEvent>,
    ) -> BoxFuture<'a, Result<Vec<Result<String, Problem>>, Problem>> {
        let answer = |event: headwater_kernel::port::bus::BusEvent| match event.source.as_str() {
            "" => Err(Problem::new("HW-BUS-031", "the event has no `source`")),
            source => Ok(format!("{source}/{}/{}", event.kind, String::from_utf8_lossy(&event.detail))),
        };
        Box::pin(async move { Ok(events.into_iter().map(answer).collect()) })
    }

    fn replay(&self, _: headwater_kernel::port::bus::ReplayRequest) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(async { Ok(()) })
    }

    fn run_now(&self, unit: &str, name: &str) -> Result<Micros, Problem> {
        if name == "nightly" {
            return Ok(Micros(0));
        }
        Err(Problem::new("HW-BUS-062", format!("there is no {unit} `{name}` that runs")))
    }

    fn replays(&self) -> Vec<serde_json::Map<String, Value>> {
        Vec::new()
    }

    fn find_replay(&self, name: &str) -> Option<serde_json::Map<String, Value>> {
        (name == "under-way").then(|| [("name".to_owned(), Value::from(name))].into_iter().collect())
    }

    fn cancel_replay<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move { Err(Problem::new("HW-BUS-044", format!("no replay `{name}` is under way"))) })
    }
}

impl Enrich for Fixed {
    fn enrich<'a>(&'a self, pipeline: &'a str, event: Json) -> BoxFuture<'a, Result<Json, Problem>> {
        Box::pin(async move {
            assert_ne!(pipeline, "bug", "as it is asked for");
            if pipeline == "echo" {
                Ok(event)
            } else {
                Err(Problem::new("HW-FLOW-046", format!("no pipeline `{pipeline}`")))
            }
        })
    }
}

impl Reconcile for Fixed {
    fn reconcile<'a>(&'a self, _: &'a str, _: Micros, _: Micros, _: bool) -> BoxFuture<'a, Result<Value, Problem>> {
        Box::pin(async { Ok(Value::Null) })
    }
}

struct House {
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<()>,
    kernel: Arc<Kernel>,
    groups: Arc<Groups>,
    folder: tempfile::TempDir,
}

async fn house_in(folder: tempfile::TempDir, limits: Limits) -> House {
    let limits = Arc::new(limits);
    let clock = Arc::new(ManualClock::at(Micros(1_700_000_000_000_000)));
    let log = EmbeddedLog::open(folder.path(), limits.clone(), clock.clone()).unwrap();
    house_over(log, clock, folder, limits).await
}

async fn house_over(
    log: Arc<EmbeddedLog>,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    limits: Arc<Limits>,
) -> House {
    let groups = Groups::open(log.clone(), clock.clone(), limits.clone());
    let setup = Setup { log, folder: folder.path().to_owned(), clock, limits, registry: Registry::new(&[]), seed: 7 };
    let kernel = Kernel::open(setup).await.unwrap();
    kernel.start(Vec::new());
    let (stop, stopped) = watch::channel(false);
    let api = Api::new(Parts {
        kernel: kernel.clone(),
        groups: groups.clone(),
        features: Arc::new(Fixed),
        enrich: Arc::new(Fixed),
        bus: Arc::new(Fixed),
        reconcile: Arc::new(Fixed),
        sql: None,
        charts: None,
        workflows: None,
        catalog: Some(Arc::new(iceberg::Shop)),
        solutions: None,
        figures: Vec::new(),
        readiness: Arc::new(|| vec![("log", None)]),
        stop: stopped.clone(),
    });
    let listener = listen("127.0.0.1:0".parse().unwrap(), "HTTP").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(serve(listener, api, stopped));
    House { address, stop, served, kernel, groups, folder }
}

async fn house() -> House {
    let house = house_in(tempfile::tempdir().unwrap(), small()).await;
    let orders = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: orders, labels: {team: a}}\nspec: {partitions: 1}\n";
    let strict = "---\napiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: strict}\nspec:\n  partitions: 1\n  schema: {json: {type: object, required: [n]}}\n";
    assert_eq!(house.send("POST", "/v1/apply", "application/yaml", &format!("{orders}{strict}")).await.0, 200);
    house.kernel.settled(&["Stream/orders".into(), "Stream/strict".into()], std::time::Duration::from_secs(5)).await;
    house
}

fn small() -> Limits {
    Limits { http_body_bytes: 4_096, http_body_ms: 200, http_head_ms: 200, dedupe_ids: 3, ..Limits::default() }
}

impl House {
    /// Sends text and reads until the other side closes.
    async fn raw(&self, text: &str) -> (u16, String) {
        let answer = exchange(self.address, text).await;
        let (status, _, body) = parts(&answer);
        (status, body.to_owned())
    }

    async fn with(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        ))
        .await
    }

    async fn send(&self, method: &str, path: &str, media_type: &str, body: &str) -> (u16, String) {
        self.with(method, path, &format!("content-type: {media_type}\r\n"), body).await
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.with("GET", path, "", "").await
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.send_replace(true);
        self.served.await.unwrap();
        self.kernel.stop().await;
        self.folder
    }
}

fn code(answer: &(u16, String)) -> String {
    let body: Value = serde_json::from_str(&answer.1).unwrap_or_default();
    format!("{} {}", answer.0, body["code"].as_str().unwrap_or("-"))
}

fn body(answer: &(u16, String)) -> Value {
    serde_json::from_str(&answer.1).unwrap_or_else(|_| panic!("no JSON: {answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_problem_with_its_code() {
    let house = house().await;
    assert_eq!(code(&house.get("/v1/nothing/at/all").await), "404 HW-API-004");
    let refused = house.with("PATCH", "/v1/kinds", "", "").await;
    assert_eq!(code(&refused), "405 HW-API-005");
    assert_eq!(body(&refused)["help"], "it takes `GET`");
    assert_eq!(code(&house.get("/v1/streams/order/events").await), "404 HW-API-011");
    assert_eq!(code(&house.get("/v1/streams/orders/events?form=1").await), "400 HW-API-009");
    assert_eq!(code(&house.get("/v1/streams/orders/events?partition=9").await), "404 HW-API-012");
    assert_eq!(code(&house.get("/v1/streams/orders/events?partition=4294967295").await), "404 HW-API-012");
    assert_eq!(code(&house.send("POST", "/v1/streams/orders/events", "text/html", "x").await), "415 HW-API-007");
    assert_eq!(code(&house.send("POST", "/v1/streams/orders/events", "application/json", "{").await), "400 HW-API-008");
    assert_eq!(
        code(&house.send("POST", "/v1/streams/orders/events", "application/json", &" ".repeat(5_000)).await),
        "413 HW-API-006"
    );
    assert_eq!(
        code(&house.send("POST", "/v1/streams/strict/events", "application/json", "{}").await),
        "422 HW-API-015"
    );
    assert_eq!(code(&house.get("/v1/features/usr/u1").await), "404 HW-API-018");
    assert_eq!(code(&house.get("/v1/tables/none/documents/x").await), "404 HW-KERNEL-019");
    assert_eq!(code(&house.get("/v1/streams/none").await), "404 HW-KERNEL-012");
    assert_eq!(code(&house.get("/v1/dashboards").await), "404 HW-KERNEL-006");
    assert_eq!(code(&house.get("/v1/groups/none").await), "404 HW-API-023");
    assert_eq!(code(&house.send("POST", "/v1/enrich/none", "application/json", "{}").await), "404 HW-FLOW-046");
    assert_eq!(code(&house.get("/v1/pipelines/none/figures").await), "404 HW-FLOW-046");
    assert_eq!(code(&house.send("POST", "/v1/enrich/bug", "application/json", "{}").await), "500 HW-API-109");
    let other = "GET /healthz HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n".to_owned();
    assert_eq!(code(&house.raw(&other).await), "403 HW-API-002");
    assert_eq!(code(&house.with("GET", "/healthz", "origin: http://evil.example\r\n", "").await), "403 HW-API-003");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off() {
    let house = house().await;
    let head = format!(
        "POST /v1/streams/orders/events HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{{",
        house.address
    );
    assert_eq!(code(&house.raw(&head).await), "408 HW-API-010");
    // A head that never ends is closed without an answer.
    assert_eq!(house.raw("GET /healthz HTTP/1.1\r\nhost: loc").await.0 / 100 % 4, 0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_sent_twice_is_stored_once_also_after_a_restart() {
    let house = house().await;
    let event =
        |id: u32| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t","data":{{"n":{id}}}}}"#);
    let ce = "application/cloudevents+json";
    let path = "/v1/streams/orders/events";
    let first = body(&house.send("POST", path, ce, &event(1)).await);
    assert_eq!((&first["accepted"], &first["placed"][0]["first"]), (&Value::from(1), &Value::from(0)));
    let batch = format!("[{},{},{}]", event(1), event(2), event(2));
    let second = body(&house.send("POST", path, "application/cloudevents-batch+json", &batch).await);
    assert_eq!((&second["accepted"], &second["duplicates"]), (&Value::from(1), &Value::from(2)));
    let folder = house.stop().await;

    let house = house_in(folder, small()).await;
    let third = body(&house.send("POST", path, ce, &event(2)).await);
    assert_eq!(third["duplicates"], 1, "{third}");
    for id in 3..5 {
        house.send("POST", path, ce, &event(id)).await;
    }
    // The window holds three ids; the first one has left it.
    assert_eq!(body(&house.send("POST", path, ce, &event(1)).await)["accepted"], 1);
    let records = house.get("/v1/streams/orders/events").await.1;
    assert_eq!(records.matches("\"value\":").count(), 5, "{records}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_refused_events_push_no_others_out() {
    let house = house().await;
    let latest = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: latest}\nspec: {partitions: 1, cleanup: compact}\n";
    assert_eq!(house.send("POST", "/v1/apply", "application/yaml", latest).await.0, 200);
    house.kernel.settled(&["Stream/latest".into()], std::time::Duration::from_secs(5)).await;
    let event = |id: u32| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t","data":{{}}}}"#);
    let (ce, path) = ("application/cloudevents+json", "/v1/streams/latest/events");
    let keyed = format!("{path}?key=k");
    assert_eq!(body(&house.send("POST", &keyed, ce, &event(1)).await)["accepted"], 1);
    // As many as the window holds; a compacted stream takes none without a key.
    for id in 2..5 {
        let refused = house.send("POST", path, ce, &event(id)).await;
        assert_eq!(refused.0 / 100, 4, "{refused:?}");
    }
    assert_eq!(body(&house.send("POST", &keyed, ce, &event(1)).await)["duplicates"], 1);
    assert_eq!(body(&house.send("POST", &keyed, ce, &event(4)).await)["accepted"], 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_judged_one_by_one_and_read_back() {
    let house = house().await;
    let lines = "{\"n\":1,\"k\":\"a\"}\nnope\n{\"k\":\"b\"}\n{\"n\":2}\n";
    let answer = body(&house.send("POST", "/v1/streams/strict/events", "application/x-ndjson", lines).await);
    assert_eq!((&answer["accepted"], &answer["rejectedTotal"]), (&Value::from(2), &Value::from(2)));
    let rejected: Vec<String> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| format!("{} {}", r["line"], r["problem"]["code"]))
        .collect();
    assert_eq!(rejected, ["2 \"HW-API-008\"", "3 \"HW-API-015\""]);
    let read = house.get("/v1/streams/strict/events?from=-1").await.1;
    assert!(read.contains("\"offset\":1") && read.contains("\"value\":{\"n\":2}"), "{read}");
    assert_eq!(
        code(&house.send("POST", "/v1/streams/strict/events", "application/x-ndjson", "no\n").await),
        "422 HW-API-008"
    );
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resources_come_and_go_with_their_version() {
    let house = house().await;
    // The time of the clock, which stands still; each further write is one more.
    let (first, second) = ("if-match: \"1700000000000000\"\r\n", "if-match: \"1700000000000001\"\r\n");
    let yaml = "content-type: application/yaml\r\n";
    let wider = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: orders}\nspec: {partitions: 2}\n";
    let put =
        house.with("PUT", "/v1/streams/orders", "content-type: application/yaml\r\nif-match: \"7\"\r\n", wider).await;
    assert_eq!(code(&put), "412 HW-KERNEL-011");
    let put = house.with("PUT", "/v1/streams/orders", &format!("{yaml}{first}"), wider).await;
    assert_eq!((put.0, &body(&put)["resources"][0]["outcome"]), (200, &Value::from("configured")));
    let other = wider.replace("orders", "other");
    let must_exist = house.with("PUT", "/v1/streams/other", &format!("{yaml}if-match: *\r\n"), &other).await;
    assert_eq!(code(&must_exist), "412 HW-API-021");
    let must_be_new = house.with("PUT", "/v1/streams/orders", &format!("{yaml}if-none-match: *\r\n"), wider).await;
    assert_eq!(code(&must_be_new), "412 HW-API-021");
    assert_eq!(code(&house.get("/v1/streams/other").await), "404 HW-KERNEL-012");
    let stale = house.with("DELETE", "/v1/streams/orders", first, "").await;
    assert_eq!(code(&stale), "412 HW-KERNEL-011");
    let list = body(&house.get("/v1/streams?selector=team%3Da").await);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(0));
    let wrong = house
        .send("POST", "/v1/apply?file=x.yaml", "application/yaml", &wider.replace("partitions", "partitons"))
        .await;
    assert_eq!(
        (code(&wrong).as_str(), &body(&wrong)["place"]["line"]),
        ("400 HW-KERNEL-007", &Value::from(4)),
        "{wrong:?}"
    );
    let current = house.with("DELETE", "/v1/streams/orders", second, "").await;
    assert_eq!(body(&current)["deleted"][0], "Stream/orders");
    assert_eq!(code(&house.get("/v1/streams/orders").await), "404 HW-KERNEL-012");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_labels_alone_is_not_overwritten_unseen() {
    let house = house().await;
    let version = async || body(&house.get("/v1/streams/orders").await)["metadata"]["resourceVersion"].clone();
    let seen = version().await;
    let labelled = |team: &str| {
        format!(
            "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {{name: orders, labels: {{team: {team}}}}}\nspec: {{partitions: 1}}\n"
        )
    };
    let put = async |version: &Value, team: &str| {
        let headers = format!("content-type: application/yaml\r\nif-match: \"{version}\"\r\n");
        house.with("PUT", "/v1/streams/orders", &headers, &labelled(team)).await
    };
    let theirs = put(&seen, "b").await;
    assert_eq!((theirs.0, &body(&theirs)["resources"][0]["generation"]), (200, &Value::from(1)));
    assert_eq!(code(&put(&seen, "c").await), "412 HW-KERNEL-011");
    // In a file as well.
    let file = labelled("c").replace("{name: orders,", &format!("{{name: orders, resourceVersion: {seen},"));
    assert_eq!(code(&house.send("POST", "/v1/apply", "application/yaml", &file).await), "412 HW-KERNEL-011");
    let now = version().await;
    assert_ne!(now, seen);
    assert_eq!(
        body(&house.send("POST", "/v1/apply?dry-run", "application/yaml", &labelled("d")).await)["resources"][0]["outcome"],
        "configured"
    );
    assert_eq!(version().await, now, "a dry run writes nothing");
    let deletion = house.send("DELETE", "/v1/streams/orders?dry-run", "application/json", "").await;
    assert_eq!(body(&deletion)["deleted"][0], "Stream/orders");
    assert_eq!(put(&now, "c").await.0, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_describes_itself() {
    let house = house().await;
    assert_eq!(house.get("/healthz").await.0, 200);
    assert_eq!(house.get("/readyz").await.0, 200);
    for path in ["/v1/streams/orders/events", "/v1/nothing"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", house.address);
        let answer = exchange(house.address, &request).await;
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
    assert!(house.get("/metrics").await.1.contains("hw_process_resident_bytes"));
    let openapi = body(&house.get("/openapi.json").await);
    assert_eq!(openapi["openapi"], "3.1.0");
    let publish = &openapi["paths"]["/v1/streams/{name}/events"]["post"];
    assert!(publish["requestBody"]["content"]["*/*"].is_object());
    assert!(
        publish["parameters"].as_array().unwrap().iter().any(|one| one["name"] == "ce-type" && one["in"] == "header")
    );
    let paths = openapi["paths"].as_object().unwrap();
    let operations = paths.values().flat_map(|path| path.as_object().unwrap().values());
    let made = operations.filter(|operation| operation["responses"]["201"].is_object());
    let mut made: Vec<&str> = made.map(|operation| operation["operationId"].as_str().unwrap()).collect();
    made.sort_unstable();
    assert_eq!(made, super::routes::CREATE);
    assert_eq!(house.get("/v1/features/user/u1").await.1, "{\"events_1m\":3}");
    let many = house.send("POST", "/v1/features/user", "application/json", r#"{"keys":["u1","u2"]}"#).await.1;
    assert_eq!(many, r#"{"features":{"u1":{"events_1m":3},"u2":null}}"#);
    let keys: Vec<String> = (1..=100).map(|number| format!("u{number}")).chain(["slow".to_owned()]).collect();
    let keys = serde_json::json!({ "keys": keys }).to_string();
    let many = body(&house.send("POST", "/v1/features/user", "application/json", &keys).await);
    assert_eq!(many["features"].as_object().unwrap().len(), 101, "read beside the threads that serve requests");
    assert_eq!(many["features"]["u1"]["events_1m"], 3);
    assert_eq!(house.send("POST", "/v1/enrich/echo", "application/json", "{\"a\":1}").await.1, "{\"a\":1}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_for_rules_come_as_envelopes_or_cloud_events() {
    let house = house().await;
    let envelope = r#"{"source": "shop", "detail-type": "Order", "detail": {"n": 1.50}}"#;
    let cloud = r#"{"specversion": "1.0", "id": "7", "source": "till", "type": "Paid", "data": {"n": 2}}"#;
    let answer = house
        .send("POST", "/v1/buses/default/events", "application/json", &format!("[{envelope}, {cloud}, {{}}]"))
        .await;
    assert_eq!(answer.0, 200, "{answer:?}");
    let told = body(&answer);
    assert_eq!((&told["accepted"], &told["rejected"]), (&Value::from(2), &Value::from(1)));
    assert_eq!(told["entries"][0]["id"], "shop/Order/{\"n\": 1.50}");
    assert_eq!(told["entries"][1]["id"], "till/Paid/{\"n\": 2}");
    assert_eq!(told["entries"][2]["problem"]["code"], "HW-BUS-031");
    let alone = house.send("POST", "/v1/buses/default/events", "application/json", "{}").await;
    assert_eq!(code(&alone), "422 HW-BUS-031");
    let now = house.send("POST", "/v1/schedules/nightly/runs", "application/json", "").await;
    assert_eq!((now.0, &body(&now)["due"]), (202, &Value::from("1970-01-01T00:00:00Z")));
    let unknown = house.send("POST", "/v1/reports/none/runs", "application/json", "").await;
    assert_eq!(code(&unknown), "404 HW-BUS-062");
    let text = house.send("POST", "/v1/buses/default/events", "application/json", "nothing").await;
    assert_eq!(code(&text), "400 HW-API-008");
    let gone = house.send("DELETE", "/v1/replays/again", "application/json", "").await;
    assert_eq!(code(&gone), "404 HW-BUS-044");
    assert_eq!(body(&house.get("/v1/replays/under-way").await)["name"], "under-way");
    assert_eq!(code(&house.get("/v1/replays/none").await), "404 HW-BUS-044");
    house.stop().await;
}
