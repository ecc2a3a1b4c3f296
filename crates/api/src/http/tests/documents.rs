//! Documents under conditions, updates, transactions and queries.

use super::*;

async fn with_runs() -> House {
    let house = house().await;
    let text = "apiVersion: headwater.dev/v1\nkind: Table\nmetadata: {name: runs}\nspec: {indexes: [{name: by_state, fields: [state, n]}]}\n";
    assert_eq!(house.send("POST", "/v1/apply", "application/yaml", text).await.0, 200);
    house.kernel.settled(&["Table/runs".into()], std::time::Duration::from_secs(5)).await;
    house
}

impl House {
    async fn json(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.send(method, path, "application/json", body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn keys(&self, query: &str) -> String {
        let (status, page) = self.json("GET", &format!("/v1/tables/runs/documents?{query}"), "").await;
        assert_eq!(status, 200, "{page}");
        let documents = page["documents"].as_array().unwrap();
        documents.iter().map(|document| document["key"].as_str().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_changed_under_conditions() {
    let house = with_runs().await;
    let a = "/v1/tables/runs/documents/a";
    let made = house
        .json(
            "PATCH",
            a,
            r##"{"update":"SET #s = :s ADD n :n","names":{"#s":"state"},"values":{":s":"READY",":n":0.1}}"##,
        )
        .await;
    assert_eq!(made, (201, serde_json::json!({"state": "READY", "n": 0.1})));
    let again = house.json("PATCH", a, r#"{"update":"ADD n 0.2","condition":"state = 'READY'"}"#).await;
    assert_eq!(again, (200, serde_json::json!({"state": "READY", "n": 0.3})));
    let (status, problem) = house.json("PATCH", a, r#"{"update":"ADD n 1","condition":"n > 5"}"#).await;
    assert_eq!((status, &problem["code"]), (412, &Value::from("HW-KERNEL-034")));
    let (status, problem) = house.json("PATCH", a, r#"{"update":"ADD n"}"#).await;
    assert_eq!((status, &problem["code"], &problem["place"]["column"]), (400, &"HW-KERNEL-032".into(), &6.into()));
    let (status, problem) = house.json("PATCH", a, r#"{"update":"ADD n 1","values":[1]}"#).await;
    assert_eq!((status, &problem["code"]), (400, &Value::from("HW-API-008")));
    let (status, _) = house.json("PUT", &format!("{a}?condition=attribute_not_exists(n)"), "{}").await;
    assert_eq!(status, 412);
    let (status, _) = house.json("DELETE", &format!("{a}?condition=n+%3D+:n&values=%7B%22:n%22:0.3%7D"), "").await;
    assert_eq!(status, 204);
    assert_eq!(house.json("GET", a, "").await.0, 404);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_to_be_there_is_not_made() {
    let house = with_runs().await;
    let a = "/v1/tables/runs/documents/a";
    let headers = "content-type: application/json\r\nif-match: *\r\n";
    for (method, text) in [("PUT", "{}"), ("PATCH", r#"{"update":"ADD n 1"}"#)] {
        assert_eq!(code(&house.with(method, a, headers, text).await), "412 HW-API-021", "{method}");
        assert_eq!(house.json("GET", a, "").await.0, 404, "{method}");
    }
    assert_eq!(house.json("PUT", a, "{}").await.0, 201);
    for (method, text) in [("PUT", "{}"), ("PATCH", r#"{"update":"ADD n 1"}"#)] {
        assert_eq!(house.with(method, a, headers, text).await.0, 200, "{method}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_digit_of_a_number_is_lost_on_its_way_in_and_out() {
    let house = with_runs().await;
    let (n, next) = ("12345678901234567890123456789012345677", "12345678901234567890123456789012345678");
    for (key, digits) in [("a", n), ("b", next)] {
        let set = format!(r#"{{"update":"SET state = :s, n = :n","values":{{":s":"READY",":n":{digits}}}}}"#);
        let path = format!("/v1/tables/runs/documents/{key}");
        assert_eq!(house.send("PATCH", &path, "application/json", &set).await.0, 201);
        let (_, text) = house.send("GET", &path, "application/json", "").await;
        assert!(text.contains(&format!("\"n\":{digits}")), "{text}");
    }
    assert_eq!(house.keys(&format!("filter=n+%3D+:n&values=%7B%22:n%22:{n}%7D")).await, "a");
    assert_eq!(house.keys(&format!("index=by_state&equals=READY&from={next}")).await, "b");
    let add = format!(
        r#"{{"writes":[{{"table":"runs","key":"a","update":"ADD n :one","condition":"n = :n","values":{{":one":1,":n":{n}}}}}]}}"#
    );
    assert_eq!(house.send("POST", "/v1/transactions", "application/json", &add).await.0, 200);
    assert_eq!(house.keys(&format!("filter=n+%3D+:n&values=%7B%22:n%22:{next}%7D")).await, "ab");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_found_by_index_and_filter_in_pages() {
    let house = with_runs().await;
    for (key, state, n) in [("a", "READY", 3), ("b", "DONE", 1), ("c", "READY", 1), ("d", "READY", 2)] {
        let body = format!(r#"{{"state":"{state}","n":{n}}}"#);
        assert_eq!(house.json("PUT", &format!("/v1/tables/runs/documents/{key}"), &body).await.0, 201);
    }
    assert_eq!(house.keys("").await, "abcd");
    assert_eq!(house.keys("from=b&to=c&descending").await, "cb");
    assert_eq!(house.keys("filter=n+%3E+1").await, "ad");
    assert_eq!(house.keys("index=by_state&equals=READY").await, "cda");
    assert_eq!(house.keys("index=by_state&equals=READY&from=2&descending").await, "ad");
    let (_, page) = house.json("GET", "/v1/tables/runs/documents?index=by_state&equals=READY&max=2", "").await;
    let next = page["next"].as_str().unwrap();
    assert_eq!(house.keys(&format!("index=by_state&equals=READY&after={next}")).await, "a");
    let (status, problem) = house.json("GET", "/v1/tables/runs/documents?index=by_age", "").await;
    assert_eq!((status, &problem["code"]), (400, &Value::from("HW-KERNEL-036")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_all_or_nothing() {
    let house = with_runs().await;
    let body = r#"{"writes":[{"table":"runs","key":"x","put":{"n":1}},{"table":"runs","key":"y","update":"ADD n 1","condition":"attribute_not_exists(n)"}]}"#;
    let (status, done) = house.json("POST", "/v1/transactions", body).await;
    assert_eq!((status, done["written"].as_array().unwrap().len()), (200, 2));
    let (status, problem) = house.json("POST", "/v1/transactions", &body.replace("{\"n\":1}", "{\"n\":2}")).await;
    assert_eq!((status, &problem["code"]), (412, &Value::from("HW-KERNEL-034")));
    assert_eq!(house.json("GET", "/v1/tables/runs/documents/x", "").await.1["n"], 1);
    let (status, problem) = house.json("POST", "/v1/transactions", r#"{"writes":[{"table":"runs","key":"x"}]}"#).await;
    assert_eq!((status, &problem["code"]), (400, &Value::from("HW-API-008")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_change_is_in_the_audit_stream() {
    let house = with_runs().await;
    let asha = "headwater-principal: asha\r\n";
    let typed = |media_type: &str| format!("content-type: {media_type}\r\n{asha}");
    let (yaml, json) = (typed("application/yaml"), typed("application/json"));
    let more = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: more}\nspec: {partitions: 1}\n";
    let a = "/v1/tables/runs/documents/a";
    assert_eq!(house.with("POST", "/v1/apply", &yaml, more).await.0, 200);
    assert_eq!(house.with("PUT", a, &json, "{}").await.0, 201);
    assert_eq!(house.with("PATCH", a, &json, r#"{"update":"ADD n 1"}"#).await.0, 200);
    let both = r#"{"writes":[{"table":"runs","key":"b","put":{}}]}"#;
    assert_eq!(house.with("POST", "/v1/transactions", &json, both).await.0, 200);
    assert_eq!(house.with("DELETE", a, asha, "").await.0, 204);
    assert_eq!(house.with("DELETE", "/v1/streams/more", asha, "").await.0, 200);
    // Who names nobody is whoever runs the node, and two names are none.
    assert_eq!(house.json("PUT", a, "{}").await.0, 201);
    assert_eq!(code(&house.with("PUT", a, &format!("{json}{asha}"), "{}").await), "400 HW-BASE-002");
    let (_, events) = house.get("/v1/streams/headwater.audit/events?from=0&max=500").await;
    let told: Vec<String> = events
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|event| serde_json::from_str::<Value>(event).unwrap()["value"].take())
        .map(|entry| ["who", "verb", "name", "outcome"].map(|field| entry[field].as_str().unwrap_or("-")).join(" "))
        .filter(|entry| !entry.contains("orders") && !entry.contains("strict"))
        .collect();
    let wanted = [
        "local apply runs created",
        "asha apply more created",
        "asha put runs written",
        "asha update runs written",
        "asha put runs written",
        "asha remove runs written",
        "asha delete more deleting",
        "local delete more deleted",
        "local put runs written",
    ];
    assert_eq!(told, wanted);
    house.stop().await;
}
