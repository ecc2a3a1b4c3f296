//! Offsets of consumer groups: told, set, and refused while members would go on from theirs.

use headwater_log::groups::{Committed, GroupError, Identity, Join, Leaver, OffsetEntry, Protocol};

use super::*;

/// The stream `orders` holds five records, and the group `readers` has read two of them.
async fn ready() -> House {
    let house = house().await;
    for n in 0..5 {
        let event = format!("{{\"n\":{n}}}");
        let sent = house.send("POST", "/v1/streams/orders/events", "application/json", &event).await;
        assert_eq!(body(&sent)["accepted"], 1, "{sent:?}");
    }
    let committed = Committed { offset: 2, leader_epoch: -1, metadata: String::new(), at: Micros(1) };
    let entry = OffsetEntry { topic: "orders".into(), partition: 0, committed };
    house.groups.commit("readers", &Identity::default(), -1, &[entry]).await.unwrap();
    house
}

async fn set(house: &House, query: &str) -> (u16, String) {
    house.with("POST", &format!("/v1/groups/readers/offsets?{query}"), "", "").await
}

async fn offset(house: &House) -> Value {
    body(&house.get("/v1/groups/readers").await)["partitions"][0]["offset"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_a_group_are_set_within_what_can_be_read() {
    let house = ready().await;
    let would = body(&set(&house, "to=latest&dry-run").await);
    let row = serde_json::json!(
        {"stream": "orders", "partition": 0, "before": 2, "after": 5, "start": 0, "end": 5, "lag": 0}
    );
    assert_eq!((&would["dryRun"], &would["partitions"][0]), (&Value::from(true), &row));
    assert_eq!(offset(&house).await, 2, "nothing was set");
    let mut before = Value::from(2);
    for (query, after) in [
        ("to=earliest", 0),
        ("to=latest", 5),
        ("by=-2", 3),
        ("by=-100", 0),
        ("by=4", 4),
        ("by=9223372036854775807", 5),
        ("stream=orders&partition=0&to=1", 1),
        ("to=900", 5),
        ("to=-2", 3),
        ("to=2023-11-14T22:13:20Z", 0),
        ("to=2100-01-01T00:00:00Z", 5),
    ] {
        let answer = body(&set(&house, query).await);
        let row = &answer["partitions"][0];
        assert_eq!((&row["before"], &row["after"]), (&before, &Value::from(after)), "{query}: {answer}");
        before = offset(&house).await;
        assert_eq!(before, after, "{query}");
    }
    // A stream that the group has not read gets its offsets by its name.
    let new = body(&set(&house, "stream=strict&to=earliest").await);
    assert_eq!((&new["partitions"][0]["before"], &new["partitions"][0]["after"]), (&Value::Null, &Value::from(0)));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_deleted_with_its_offsets() {
    let house = ready().await;
    let delete = async |query: &str| house.with("DELETE", &format!("/v1/groups/readers{query}"), "", "").await;
    let gone = serde_json::json!({"deleted": ["group/readers"]});
    assert_eq!(body(&delete("?dry-run").await), gone);
    assert_eq!(offset(&house).await, 2, "a dry run deletes nothing");
    assert_eq!(body(&delete("").await), gone);
    assert_eq!(body(&house.get("/v1/groups").await)["groups"], serde_json::json!([]));
    assert_eq!(code(&delete("").await), "404 HW-API-023");
    assert_eq!(code(&delete("?force").await), "400 HW-API-009");
    assert!(house.groups.all_committed("readers").is_empty());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_deleted_beside_resources() {
    let house = ready().await;
    let list = r#"{"resources":[{"kind":"groups","name":"none"},{"kind":"groups","name":"readers"},{"kind":"groups","name":"readers"},{"kind":"Stream","name":"strict"}]}"#;
    let delete = async |query: &str| {
        let answer = house.send("POST", &format!("/v1/delete{query}"), "application/json", list).await;
        let answer = body(&answer);
        (answer["deleted"].clone(), answer["refused"][0]["id"].clone(), answer["refused"][0]["problem"]["code"].clone())
    };
    let all =
        (serde_json::json!(["Stream/strict", "group/readers"]), Value::from("group/none"), Value::from("HW-API-023"));
    assert_eq!(delete("?dry-run").await, all);
    assert_eq!(offset(&house).await, 2, "a dry run deletes nothing");
    assert_eq!(delete("").await, all);
    assert_eq!(body(&house.get("/v1/groups").await)["groups"], serde_json::json!([]));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_with_their_positions_where_these_are_asked_for() {
    let house = ready().await;
    let short = serde_json::json!({"name": "readers", "state": "Empty", "members": 0, "lag": 3});
    assert_eq!(body(&house.get("/v1/groups").await)["groups"], serde_json::json!([short]));
    let listed = body(&house.get("/v1/groups?positions").await)["groups"][0].clone();
    let place = serde_json::json!({"stream": "orders", "partition": 0, "offset": 2, "end": 5, "lag": 3});
    assert_eq!((&listed["lag"], &listed["partitions"]), (&Value::from(3), &serde_json::json!([place])));
    assert_eq!(body(&house.get("/v1/groups/readers").await)["partitions"], listed["partitions"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_not_set_under_a_member() {
    let house = ready().await;
    let mut join = Join {
        group: "readers".into(),
        identity: Identity::default(),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x06orders\0\0\0\0"),
        }],
        two_steps: true,
        may_skip_assignment: true,
    };
    let Err(GroupError::MemberIdRequired(id)) = house.groups.join(join.clone()).await else { panic!("no id") };
    join.identity.member_id.clone_from(&id);
    house.groups.join(join).await.unwrap();
    for query in ["to=latest", "to=latest&dry-run"] {
        let refused = set(&house, query).await;
        assert_eq!(code(&refused), "409 HW-API-116");
        assert!(refused.1.contains("has 1 member,"), "{refused:?}");
    }
    let kept = house.with("DELETE", "/v1/groups/readers", "", "").await;
    assert_eq!(code(&kept), "409 HW-API-116");
    assert!(kept.1.contains("has 1 member, so that it cannot be deleted"), "{kept:?}");
    assert_eq!(offset(&house).await, 2);
    let leaver = Leaver { identity: Identity { member_id: id, instance: None } };
    house.groups.leave("readers", &[leaver]).await.unwrap();
    assert_eq!(set(&house, "to=latest").await.0, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_cannot_be_set_say_why() {
    let house = ready().await;
    let unknown = house.with("POST", "/v1/groups/reader/offsets?to=latest", "", "").await;
    assert_eq!(code(&unknown), "404 HW-API-023");
    assert!(unknown.1.contains("did you mean `readers`?"), "{unknown:?}");
    for (query, wanted) in [
        ("", "400 HW-API-009"),
        ("to=latest&by=1", "400 HW-API-009"),
        ("to=soon", "400 HW-API-009"),
        ("by=some", "400 HW-API-009"),
        ("to=latest&partition=0", "400 HW-API-009"),
        ("to=latest&stream=order", "404 HW-API-011"),
        ("to=latest&stream=orders&partition=4294967295", "404 HW-API-012"),
        ("by=1&stream=strict", "422 HW-API-117"),
    ] {
        assert_eq!(code(&set(&house, query).await), wanted, "{query}");
    }
    assert_eq!(offset(&house).await, 2);
    house.stop().await;
}
