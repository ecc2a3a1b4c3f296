//! Resources as their authors wrote them.

use super::*;

const WRITTEN: &str = "# who reads it: the shop\napiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: carts}\nspec:\n  partitions: 1 # one\n";

impl House {
    /// Whose text a resource's YAML is, its ETag, and the text.
    async fn yaml(&self, path: &str) -> (String, String, String) {
        let accept = "accept: text/plain, Application/YAML;q=0.5\r\n";
        let address = self.address;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{accept}\r\n");
        let answer = exchange(address, &request).await;
        let (status, head, body) = parts(&answer);
        assert_eq!(status, 200, "{answer}");
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
            line.unwrap_or_default().to_owned()
        };
        assert_eq!(header("content-type"), "application/yaml");
        (header("headwater-text"), header("etag"), body.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn yaml_is_the_text_of_the_author_or_says_that_it_is_not() {
    let house = house().await;
    assert_eq!(house.send("PUT", "/v1/streams/carts", "application/yaml", WRITTEN).await.0, 201);
    // Each write is another version, a change of comments alone as well.
    let authors = |version: &str, text: &str| ("author".to_owned(), format!("\"{version}\""), text.to_owned());
    assert_eq!(house.yaml("/v1/streams/carts").await, authors("1700000000000000", WRITTEN));
    // JSON stays what it is for everybody who does not ask for YAML, or not first.
    assert_eq!(body(&house.get("/v1/streams/carts").await)["spec"]["partitions"], 1);
    for accept in ["application/yaml;q=0", "application/yaml; q=0.4, application/json;q=0.5"] {
        let answer = house.with("GET", "/v1/streams/carts", &format!("accept: {accept}\r\n"), "").await;
        assert_eq!(body(&answer)["spec"]["partitions"], 1, "{accept}");
    }

    let rewritten = WRITTEN.replace("# one", "# just one");
    let files = serde_json::json!({ "files": [{ "name": "carts.yaml", "text": rewritten }] }).to_string();
    let report = body(&house.send("POST", "/v1/apply", "application/json", &files).await);
    assert_eq!(report["resources"][0]["outcome"], "unchanged");
    assert_eq!(house.yaml("/v1/streams/carts").await, authors("1700000000000001", &rewritten));

    let json = serde_json::json!({ "apiVersion": "headwater.dev/v1", "kind": "Stream", "metadata": { "name": "carts" }, "spec": { "partitions": 2 } });
    assert_eq!(house.send("PUT", "/v1/streams/carts", "application/json", &json.to_string()).await.0, 200);
    let made = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata:\n  name: carts\nspec:\n  partitions: 2\n";
    let last = ("generated".to_owned(), "\"1700000000000002\"".to_owned(), made.to_owned());
    assert_eq!(house.yaml("/v1/streams/carts").await, last);
    house.stop().await;
}
