//! Workflows that call the outside: by way of a Destination, at a server of functions, and not where it is closed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use e2e::{Node, json, until};
use serde_json::{Value, json};

use super::HEADWATER;

/// Answers each request with its own path, and keeps the requests, what stands before their bodies in lower case.
pub(super) fn server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let came: Arc<Mutex<Vec<String>>> = Arc::default();
    let keeps = Arc::clone(&came);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut seen, mut part) = (stream.unwrap(), Vec::new(), [0; 4096]);
            loop {
                let read = stream.read(&mut part).unwrap();
                if read == 0 {
                    break;
                }
                seen.extend_from_slice(&part[..read]);
                let text = String::from_utf8_lossy(&seen);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let request = head.to_lowercase();
                let length = request.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    let path = request.split(' ').nth(1).unwrap();
                    let answer = json!({ "path": path }).to_string();
                    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", answer.len());
                    stream.write_all(format!("{head}\r\n\r\n{answer}").as_bytes()).unwrap();
                    keeps.lock().unwrap().push(format!("{request}\r\n\r\n{body}"));
                    break;
                }
            }
        }
    });
    (url, came)
}

fn resources(url: &str, password: &str) -> String {
    format!(
        r#"
apiVersion: headwater.dev/v1
kind: Secret
metadata: {{name: shop-password}}
spec: {{from: {{file: {password}}}}}
---
apiVersion: headwater.dev/v1
kind: Destination
metadata: {{name: shop}}
spec:
  url: {url}/api
  auth: {{type: basic, username: me, password: {{secret: shop-password}}}}
---
apiVersion: headwater.dev/v1
kind: Workflow
metadata: {{name: order}}
spec:
  definition:
    StartAt: Shop
    States:
      Shop:
        Type: Task
        Resource: arn:aws:states:::http:invoke
        Parameters:
          ApiEndpoint: {url}/api/orders
          Method: POST
          RequestBody: {{n: 1}}
          Authentication: {{ConnectionArn: shop}}
        ResultSelector: {{path.$: $.ResponseBody.path}}
        ResultPath: $.shop
        Next: Price
      Price:
        Type: Task
        Resource: arn:aws:states:::lambda:invoke
        Parameters: {{FunctionName: price, Payload: {{n: 1}}}}
        ResultSelector: {{path.$: $.Payload.path}}
        ResultPath: $.price
        End: true
"#
    )
}

/// Applies the resources and waits until the destination runs: what is applied runs a moment later.
fn apply(node: &Node, resources: &str) {
    node.headwater(&["apply", "-f", "-"], resources).unwrap();
    let shown = || json(&node.headwater(&["get", "destination/shop", "-o", "json"], "").unwrap()).unwrap();
    until("the destination runs", || shown()["status"]["ready"] == "true").unwrap();
}

/// An execution once it has ended.
fn run(node: &Node, input: &Value) -> Value {
    let (status, said) = node.post("/v1/workflows/order/executions", &json!({ "input": input })).unwrap();
    assert!(status < 300, "{status} {said}");
    let id = json(&said).unwrap()["id"].as_str().unwrap().to_owned();
    let shown = || json(&node.get(&format!("/v1/executions/{id}")).unwrap().1).unwrap();
    until("the execution's end", || shown()["state"] != "RUNNING").unwrap();
    shown()
}

#[test]
fn a_workflow_calls_a_destination_and_a_server_of_functions_that_the_settings_open() {
    let (url, came) = server();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "open sesame").unwrap();
    // A secret that others can read is none.
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let resources = resources(&url, &password.display().to_string());
    let functions = url.clone();
    let node = Node::within(HEADWATER, |config| {
        config.tasks.private_addresses = true;
        config.tasks.functions_url = Some(functions);
        config.limits.payload_bytes = 400_000;
    })
    .unwrap();
    apply(&node, &resources);
    let large = "x".repeat(300_000);
    let ended = run(&node, &json!({ "large": large }));
    assert_eq!(ended["state"], "SUCCEEDED", "{}", ended["cause"]);
    assert_eq!(ended["output"]["shop"], json!({"path": "/api/orders"}));
    assert_eq!(ended["output"]["price"], json!({"path": "/2015-03-31/functions/price/invocations"}));
    assert_eq!(ended["output"]["large"], json!(large));
    let counts = json(&node.get("/v1/executions/counts").unwrap().1).unwrap();
    let mine = &counts["items"][0];
    assert_eq!((&mine["workflow"], &mine["started"]), (&json!("order"), &ended["started"]), "{counts}");
    assert_eq!((&mine["states"]["SUCCEEDED"], &mine["states"]["FAILED"]), (&json!(1), &json!(0)), "{counts}");
    let came = came.lock().unwrap();
    // "me:open sesame", in lower case.
    assert!(came[0].contains("authorization: basic bwu6b3blbibzzxnhbwu=\r\n"), "{}", came[0]);
    assert!(came[0].contains("idempotency-key: order/"), "{}", came[0]);

    // Without the settings the destination is reached all the same, and no function.
    let node = Node::within(HEADWATER, |_| {}).unwrap();
    apply(&node, &resources);
    let ended = run(&node, &json!({}));
    assert_eq!((&ended["state"], &ended["error"]), (&json!("FAILED"), &json!("Lambda.ResourceNotFoundException")));
}
