//! Deletions of many in one request: what goes, what stays and why.

use super::*;

/// Ids of what stays, with the codes.
fn refused(answer: &Value) -> Vec<String> {
    let rows = answer["refused"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {}", row["id"].as_str().unwrap(), row["problem"]["code"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_go_of_a_list_goes() {
    let house = house().await;
    let seen = body(&house.get("/v1/streams/orders").await)["metadata"]["resourceVersion"].clone();
    let list = format!(
        r#"{{"resources":[{{"kind":"Stream","name":"none"}},{{"kind":"streams","name":"orders","resourceVersion":{seen}}},{{"kind":"Stream","name":"strict","resourceVersion":3}}]}}"#
    );
    let kept = ["Stream/strict HW-KERNEL-011", "Stream/none HW-KERNEL-012"];
    for path in ["/v1/delete?dry-run&made", "/v1/delete?made"] {
        assert_eq!(house.get("/v1/streams/orders").await.0, 200, "{path}");
        let headers = "content-type: application/json\r\nheadwater-principal: asha\r\n";
        let answer = house.with("POST", path, headers, &list).await;
        assert_eq!((answer.0, &body(&answer)["deleted"]), (200, &serde_json::json!(["Stream/orders"])), "{path}");
        assert_eq!(refused(&body(&answer)), kept, "{path}");
    }
    assert_eq!(code(&house.get("/v1/streams/orders").await), "404 HW-KERNEL-012");
    assert_eq!(house.get("/v1/streams/strict").await.0, 200);
    let audit = house.get("/v1/streams/headwater.audit/events").await.1;
    assert!(audit.lines().any(|line| line.contains("\"asha\"") && line.contains("\"deleting\"")), "{audit}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_list_deletes_nothing() {
    let house = house().await;
    let send = async |path: &str, list: &str| code(&house.send("POST", path, "application/json", list).await);
    let orders = r#"{"resources":[{"kind":"Stream","name":"orders"}]}"#;
    let unknown = r#"{"resources":[{"kind":"Stream","name":"orders"},{"kind":"River","name":"a"}]}"#;
    for list in ["", "[]", "{}", r#"{"resources":[{"name":"orders"}]}"#, r#"{"resources":[],"gone":[]}"#] {
        assert_eq!(send("/v1/delete", list).await, "400 HW-API-008", "{list}");
    }
    assert_eq!(send("/v1/delete", unknown).await, "400 HW-KERNEL-006");
    assert_eq!(send("/v1/delete?dryrun", orders).await, "400 HW-API-009");
    assert_eq!(send("/v1/delete?cascade=some", orders).await, "400 HW-API-009");
    assert_eq!(send("/v1/delete", &" ".repeat(5_000)).await, "413 HW-API-006");
    assert_eq!(code(&house.send("POST", "/v1/delete", "text/plain", orders).await), "415 HW-API-007");
    assert_eq!(code(&house.get("/v1/delete").await), "405 HW-API-005");
    assert_eq!(house.get("/v1/streams/orders").await.0, 200);
    let nothing = house.send("POST", "/v1/delete", "application/json", r#"{"resources":[]}"#).await;
    assert_eq!((nothing.0, body(&nothing)), (200, serde_json::json!({"deleted": [], "refused": []})));
    house.stop().await;
}
