//! What a client that follows live is told: figures once in full, then what changed, and changes of resources.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::*;

/// The next event of a name, with its data.
async fn next(lines: &mut BufReader<TcpStream>, name: &str) -> Value {
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).await.unwrap() > 0, "the node ended it");
        if line.trim_end() == format!("event: {name}") {
            line.clear();
            lines.read_line(&mut line).await.unwrap();
            return serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
        }
    }
}

async fn follow(house: &House) -> BufReader<TcpStream> {
    let mut socket = TcpStream::connect(house.address).await.unwrap();
    let text = format!("GET /v1/live HTTP/1.1\r\nhost: {}\r\n\r\n", house.address);
    socket.write_all(text.as_bytes()).await.unwrap();
    BufReader::new(socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_come_whole_and_then_as_they_change() {
    let house = house().await;
    let mut lines = follow(&house).await;
    let first = next(&mut lines, "figures").await;
    assert_eq!(first["whole"], true);
    assert_eq!(first["at"], 1_700_000_000_000_i64);
    let samples = first["samples"].as_array().unwrap();
    let named =
        |name: &str| samples.iter().any(|sample| sample[0] == name && sample[1].is_object() && sample[2].is_number());
    assert!(named("hw_log_streams") && named("hw_process_threads"), "{first}");
    assert!(!samples.iter().any(|sample| sample[0].as_str().unwrap().starts_with("hw_api_request_seconds")));
    // The clock stands still, and with it the figures: nothing of them is told twice.
    let second = next(&mut lines, "figures").await;
    assert_eq!((second["whole"].clone(), second["samples"].clone()), (false.into(), serde_json::json!([])));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_resources_are_told_until_the_node_stops() {
    let house = house().await;
    let mut lines = follow(&house).await;
    next(&mut lines, "figures").await;
    let more = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: more}\nspec: {partitions: 1}\n";
    assert_eq!(house.send("POST", "/v1/apply", "application/yaml", more).await.0, 200);
    let change = next(&mut lines, "resource").await;
    assert_eq!((&change["type"], &change["resource"]["metadata"]["name"]), (&"changed".into(), &"more".into()));
    assert_eq!(house.with("DELETE", "/v1/streams/more", "", "").await.0, 200);
    while next(&mut lines, "resource").await
        != serde_json::json!({ "type": "deleted", "kind": "Stream", "name": "more" })
    {}
    house.stop().await;
    let mut rest = String::new();
    lines.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "ended in order: {rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_neither_follow_nor_see_the_console() {
    let house = house().await;
    for path in ["/v1/live", "/console/", "/"] {
        let refused = house.with("GET", path, "origin: http://evil.example\r\n", "").await;
        assert_eq!(code(&refused), "403 HW-API-003", "{path}");
    }
    assert_eq!(house.get("/").await.0, 307);
    assert_eq!(house.get("/console/streams/orders?tab=schema").await.0, 200);
    assert_eq!(code(&house.get("/console/assets/none.js").await), "404 HW-API-004");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_labels_is_told_what_loses_them_and_nothing_of_others() {
    let house = house().await;
    let mut socket = TcpStream::connect(house.address).await.unwrap();
    let path = "/v1/streams?watch&selector=team%3Da";
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", house.address).as_bytes()).await.unwrap();
    let mut lines = BufReader::new(socket);
    let mut told = async || loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).await.unwrap() > 0, "the node ended it");
        match serde_json::from_str::<Value>(&line) {
            Ok(change @ Value::Object(_)) if change["type"] != "changed" => return change,
            _ => {}
        }
    };
    assert_eq!(told().await["resource"]["metadata"]["name"], "orders");
    // Nobody who watches this label has heard of it.
    assert_eq!(house.with("DELETE", "/v1/streams/strict", "", "").await.0, 200);
    let bare = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: orders}\nspec: {partitions: 1}\n";
    assert_eq!(house.send("PUT", "/v1/streams/orders", "application/yaml", bare).await.0, 200);
    let change = told().await;
    assert_eq!((&change["type"], &change["name"]), (&Value::from("deleted"), &Value::from("orders")));
    house.stop().await;
}
