//! What every request goes through.

use serde_json::{Value, json};

use super::house;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_the_protocols_media_type_and_an_id_of_its_own() {
    let house = house().await;
    let mut ids = Vec::new();
    for (target, media_type) in [
        ("AWSStepFunctions.ListStateMachines", "application/x-amz-json-1.0"),
        ("AWSEvents.ListRules", "application/x-amz-json-1.1"),
    ] {
        let (status, head, body) = house.with(target, "", "{}").await;
        assert_eq!(status, 200, "{body}");
        assert!(head.contains(&format!("content-type: {media_type}")), "{head}");
        ids.extend(head.lines().find(|line| line.starts_with("x-amzn-requestid: ")).map(str::to_owned));
    }
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_named() {
    let house = house().await;
    assert_eq!(
        house.no("AWSEvents.CreatePartnerEventSource", json!({})).await,
        "UnknownOperationException: the operation AWSEvents.CreatePartnerEventSource is not served"
    );
    let (status, _, body) = house.with("AWSEvents.ListRules", "smithy-protocol: rpc-v2-cbor\r\n", "{}").await;
    assert_eq!(status, 404);
    assert!(body.contains("the protocol rpc-v2-cbor is not served; AWS JSON is"), "{body}");
    let (status, _, _) =
        house.raw(&format!("GET / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", house.address)).await;
    assert_eq!(status, 404);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hosts_and_other_sites_pages_are_turned_away() {
    let house = house().await;
    let post = |host: &str, more: &str| {
        format!(
            "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx-amz-target: AWSEvents.ListRules\r\n{more}\
             content-length: 2\r\n\r\n{{}}"
        )
    };
    for text in [post("states.example.com", ""), post("127.0.0.1", "origin: https://example.com\r\n")] {
        let (status, _, body) = house.raw(&text).await;
        assert_eq!(status, 403, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["__type"], "AccessDeniedException");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_read_is_refused() {
    let house = house().await;
    for body in ["{", "[]", "null", "\"x\"", "{\"a\":", "\u{0}"] {
        let (status, _, answer) = house.with("AWSEvents.PutEvents", "", body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer.contains("SerializationException"), "{body}: {answer}");
    }
    let deep = "[".repeat(100_000);
    let (status, _, _) = house.with("AWSEvents.PutEvents", "", &format!("{{\"Entries\":{deep}")).await;
    assert_eq!(status, 400);
    let (status, _, answer) = house
        .raw(&format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nx-amz-target: AWSEvents.PutEvents\r\ncontent-length: {}\r\n\r\n{{",
            house.address,
            5 << 20
        ))
        .await;
    assert_eq!(status, 413, "{answer}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_operation_and_status() {
    let house = house().await;
    house.ok("AWSEvents.ListRules", json!({})).await;
    house.no("AWSEvents.DescribeRule", json!({})).await;
    let figures = house.aws.figures()();
    let shown: Vec<String> = figures.iter().map(|sample| format!("{:?} {}", sample.labels, sample.value)).collect();
    assert_eq!(
        shown,
        [
            "[(\"operation\", \"DescribeRule\"), (\"status\", \"400\")] 1",
            "[(\"operation\", \"ListRules\"), (\"status\", \"200\")] 1"
        ]
    );
    house.stop().await;
}
