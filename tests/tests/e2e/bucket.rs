//! Datasets whose files are in a bucket of a server that speaks S3 and checks signatures.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use e2e::{Node, client, json, output, root, until};
use serde_json::{Value, json};

use super::{HEADWATER, noise};

/// The Python with pyiceberg and DuckDB.
const PYTHON: &str = "lake/bin/python";
/// The server (SeaweedFS); its objects outlive it.
const S3: &str = "lake/bin/weed";
/// The only key that it knows.
const ID: &str = "id-of-the-lake";
const KEY: &str = "key-of-the-lake";

const RESOURCES: &str = "\
apiVersion: headwater.dev/v1
kind: Secret
metadata: {name: lake_id}
spec: {from: {file: lake.id}}
---
apiVersion: headwater.dev/v1
kind: Secret
metadata: {name: lake_key}
spec: {from: {file: lake.key}}
---
apiVersion: headwater.dev/v1
kind: Bucket
metadata: {name: lake}
spec:
  endpoint: ENDPOINT
  bucket: acme-lake
  prefix: house/one
  accessKeyId: {secret: lake_id}
  secretAccessKey: {secret: lake_key}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: orders}
spec:
  stream: orders
  bucket: lake
  snapshotInterval: 200ms
  snapshots: 3
  columns:
    - {name: id, type: long, required: true}
    - {name: note, type: string}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: near}
spec:
  stream: orders
  snapshotInterval: 200ms
  columns:
    - {name: id, type: long, required: true}
";

/// A server with its objects in a folder.
struct Server {
    program: PathBuf,
    folder: tempfile::TempDir,
    ports: [u16; 7],
    process: Child,
}

impl Server {
    fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = json!({"identities": [{"name": "lake", "actions": ["Admin", "Read", "Write", "List"],
            "credentials": [{"accessKey": ID, "secretKey": KEY}]}]});
        std::fs::write(folder.path().join("keys.json"), keys.to_string()).unwrap();
        let held: [TcpListener; 7] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = held.each_ref().map(|held| held.local_addr().unwrap().port());
        drop(held);
        let process = Self::spawn(program, folder.path(), ports);
        Self { program: program.to_owned(), folder, ports, process }
    }

    fn spawn(program: &Path, folder: &Path, ports: [u16; 7]) -> Child {
        let [s3, rest @ ..] = ports;
        let mut command = Command::new(program);
        command.args(["server", "-s3", "-s3.config=keys.json", "-s3.iam=false", "-master.telemetry=false", "-dir=."]);
        command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.electionTimeout=1s", "-s3.port.iceberg=0"]);
        command
            .args(["-s3.port.lance=0", "-volume.max=32", "-master.volumeSizeLimitMB=64"])
            .arg(format!("-s3.port={s3}"));
        let others =
            ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"];
        command.args(others.iter().zip(rest).map(|(name, port)| format!("-{name}={port}")));
        let process = command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the server listens", || TcpStream::connect(("127.0.0.1", s3)).is_ok()).unwrap();
        process
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = Self::spawn(&self.program, self.folder.path(), self.ports);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn keep(node: &Node, name: &str, value: &str) {
    let file = node.data().join(name);
    std::fs::write(&file, value).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn apply(node: &Node, yaml: &str) {
    let file = node.data().join("../bucket.yaml");
    std::fs::write(&file, yaml).unwrap();
    node.headwater(&["apply", "-f", file.to_str().unwrap()], "").unwrap();
}

/// Publishes orders; the answer says that they are durable.
fn publish(node: &Node, ids: std::ops::Range<i64>, length: usize) {
    let events: Vec<Value> = ids.map(|id| json!({"id": id, "note": noise(id, length)})).collect();
    let (status, body) = node.post("/v1/streams/orders/events", &Value::from(events)).unwrap();
    assert_eq!(status, 200, "{body}");
}

fn described(node: &Node) -> Value {
    let (status, body) = node.get("/v1/datasets/orders/table").unwrap();
    if status == 200 { json(&body).unwrap() } else { Value::Null }
}

fn status(node: &Node, resource: &str) -> String {
    node.headwater(&["describe", resource], "").unwrap()
}

fn script(python: &Path, words: &[&str]) -> Value {
    let mut command = Command::new(python);
    command.arg(root().join("tests/clients/bucket.py")).args(words);
    command.env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", KEY);
    json(&output(&mut command, "").unwrap()).unwrap()
}

/// Waits until the table has the orders `0..count`, and has every reader say so.
fn every_reader_sees(node: &Node, python: &Path, count: i64) -> Value {
    until(&format!("{count} rows"), || described(node)["rows"] == count).unwrap();
    let seen = script(python, &["read", &node.http(), "datasets.orders", "id"]);
    for reader in ["pyiceberg", "duckdb", "scan", "node"] {
        assert_eq!(seen[reader], json!({"count": count, "sum": (0..count).sum::<i64>()}), "{reader}: {seen}");
    }
    seen
}

#[test]
fn a_table_in_a_bucket_has_each_event_once_whatever_ends_in_between() {
    let Some(python) = client("datasets in buckets", PYTHON) else { return };
    let Some(program) = client("datasets in buckets", S3) else { return };
    let mut server = Server::start(&program);
    let mut node = Node::start(HEADWATER).unwrap();
    keep(&node, "lake.id", ID);
    keep(&node, "lake.key", "not the key");
    apply(&node, &RESOURCES.replace("ENDPOINT", &server.endpoint()));
    // Signed with another key: the bucket refuses it, nothing tells the keys, and the right one goes without a restart.
    until("the refusal", || status(&node, "dataset/orders").contains("it refuses the keys")).unwrap();
    let told = status(&node, "dataset/orders");
    assert!(!told.contains(ID) && !told.contains(KEY), "{told}");
    keep(&node, "lake.key", KEY);
    publish(&node, 0..100, 3);
    let seen = every_reader_sees(&node, &python, 100);
    assert!(seen["location"].as_str().unwrap().starts_with("s3://acme-lake/house/one/orders/"), "{seen}");
    assert_eq!(seen["config"]["s3.endpoint"], server.endpoint());

    // A statement over the bucket and the disk.
    until("the dataset beside it", || {
        let both = "SELECT count(*) FROM (SELECT id FROM orders UNION ALL SELECT id FROM near) AS both_of_them";
        node.headwater(&["sql", "-o", "csv", both], "").is_ok_and(|told| told.ends_with("\n200\n"))
    })
    .unwrap();

    // So many snapshots that small files are merged and old ones go.
    for at in 0..20 {
        publish(&node, 100 + at * 10..110 + at * 10, 3);
        until("the snapshot", || described(&node)["rows"] == 110 + at * 10).unwrap();
    }
    until("small files are merged", || described(&node)["files"].as_u64().is_some_and(|files| files < 17)).unwrap();
    assert!(described(&node)["snapshots"].as_u64().unwrap() <= 3);
    every_reader_sees(&node, &python, 300);

    // The server ends; events are acknowledged as before, and wait. So many that they go in parts afterwards.
    server.kill();
    for at in 0..30 {
        publish(&node, 300 + at * 20..320 + at * 20, 30_000);
    }
    until("it is told", || status(&node, "dataset/orders").contains("the bucket with the files of `orders`")).unwrap();
    node.kill_and_restart().unwrap();
    publish(&node, 900..950, 3);
    server.start_again();
    every_reader_sees(&node, &python, 950);
    assert!(described(&node)["bytes"].as_u64().is_some_and(|bytes| bytes > 8 << 20), "{}", described(&node));

    // The node ends while it writes.
    for at in 0..5 {
        publish(&node, 950 + at * 10..960 + at * 10, 3);
        node.kill_and_restart().unwrap();
    }
    every_reader_sees(&node, &python, 1_000);
    let objects = || script(&python, &["objects", &server.endpoint(), "acme-lake/house/one"]);
    assert!(objects().as_u64().is_some_and(|count| count > 3));

    let deleted = node.headwater(&["delete", "dataset/orders"], "").unwrap();
    assert!(deleted.contains("dataset/orders deleted"), "{deleted}");
    until("the objects are gone", || objects() == 0).unwrap();
}
