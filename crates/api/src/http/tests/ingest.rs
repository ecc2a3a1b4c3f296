//! Events in: every form of a body, and what a stream's schema does to events that do not fit it.

use expect_test::{Expect, expect};
use headwater_base::{Limits, Name};
use headwater_kernel::kinds::stream::default_config;
use headwater_log::StreamConfig;

use super::{House, body, code, exchange, house, house_in, parts};

/// The records of a stream without their times.
async fn records(house: &House, stream: &str) -> String {
    let (status, text) = house.get(&format!("/v1/streams/{stream}/events")).await;
    assert_eq!(status, 200, "{text}");
    let without_time = |line: &str| {
        let (head, rest) = line.split_once("\"time\":\"").unwrap();
        format!("{head}{}\n", rest.split_once("\",").unwrap().1)
    };
    // The answer is in chunks; lines that are not records are their lengths.
    text.lines().filter(|line| line.starts_with('{')).map(without_time).collect()
}

async fn check(house: &House, stream: &str, expected: Expect) {
    expected.assert_eq(&records(house, stream).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_body_makes_the_same_records() {
    let house = house().await;
    let path = "/v1/streams/orders/events";
    let envelope = |id: u32| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/shop","type":"sold","partitionkey":"k","data":{{"n":{id}}}}}"#
        )
    };
    let structured = house.send("POST", path, "application/cloudevents+json", &envelope(1)).await;
    let batch = format!("[{},{}]", envelope(2), envelope(3));
    let batch = house.send("POST", path, "application/cloudevents-batch+json; charset=utf-8", &batch).await;
    let attributes = "content-type: application/json\r\nce-specversion: 1.0\r\nce-id: 4\r\nce-source: /shop\r\nce-type: sold\r\nce-partitionkey: k\r\n";
    let binary = house.with("POST", path, attributes, r#"{"n":4}"#).await;
    let plain = house.send("POST", &format!("{path}?key=.n&id=.n"), "application/json", r#"[{"n":5},{"n":5}]"#).await;
    let lines = house.send("POST", &format!("{path}?key=k"), "application/x-ndjson", "{\"n\":6}\n\n{\"n\":7}").await;
    let counts = [&structured, &batch, &binary, &plain, &lines].map(|answer| {
        let answer = body(answer);
        format!("{} accepted, {} twice", answer["accepted"], answer["duplicates"])
    });
    assert_eq!(
        counts,
        [
            "1 accepted, 0 twice",
            "2 accepted, 0 twice",
            "1 accepted, 0 twice",
            "1 accepted, 1 twice",
            "2 accepted, 0 twice"
        ]
    );
    check(&house, "orders", expect![[r#"
        {"partition":0,"offset":0,"key":"k","headers":{"ce_specversion":"1.0","ce_id":"1","ce_source":"/shop","ce_type":"sold","ce_partitionkey":"k"},"value":{"n":1}}
        {"partition":0,"offset":1,"key":"k","headers":{"ce_specversion":"1.0","ce_id":"2","ce_source":"/shop","ce_type":"sold","ce_partitionkey":"k"},"value":{"n":2}}
        {"partition":0,"offset":2,"key":"k","headers":{"ce_specversion":"1.0","ce_id":"3","ce_source":"/shop","ce_type":"sold","ce_partitionkey":"k"},"value":{"n":3}}
        {"partition":0,"offset":3,"key":"k","headers":{"ce_specversion":"1.0","ce_id":"4","ce_source":"/shop","ce_type":"sold","content-type":"application/json","ce_partitionkey":"k"},"value":{"n":4}}
        {"partition":0,"offset":4,"key":"5","value":{"n":5}}
        {"partition":0,"offset":5,"key":"k","value":{"n":6}}
        {"partition":0,"offset":6,"key":"k","value":{"n":7}}
    "#]]).await;
    house.stop().await;
}

/// As one may that is older than the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_promises_more_than_any_batch_may_have_takes_a_large_body() {
    let house = house_in(tempfile::tempdir().unwrap(), Limits::default()).await;
    let config = StreamConfig { partitions: 1, batch_bytes_max: u32::MAX, ..default_config(&Limits::default()) };
    house.kernel.log().create(Name::new("old").unwrap(), config, Vec::new()).await.unwrap();
    let (path, lines) = ("/v1/streams/old/events", "application/x-ndjson");
    let line = |bytes: usize| format!("{{\"text\":\"{}\"}}\n", "x".repeat(bytes));
    let taken = house.send("POST", path, lines, &line(9_000).repeat(1_000)).await;
    assert_eq!(body(&taken)["accepted"], 1_000, "{taken:?}");
    assert_eq!(code(&house.send("POST", path, lines, &line(9 << 20)).await), "422 HW-API-014");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_is_taken_as_small_ones_are() {
    let house = house_in(tempfile::tempdir().unwrap(), Limits::default()).await;
    let orders = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: orders}\nspec: {partitions: 1}\n";
    assert_eq!(house.send("POST", "/v1/apply", "application/yaml", orders).await.0, 200);
    house.kernel.settled(&["Stream/orders".into()], std::time::Duration::from_secs(5)).await;
    let line = |number: u32| format!("{{\"n\":{number},\"text\":\"{}\"}}\n", "x".repeat(100));
    let lines: String = (0..1_000).map(line).chain(["what\n".to_owned(), line(7)]).collect();
    let path = "/v1/streams/orders/events?id=.n";
    for counts in [[1_000, 1, 1], [0, 1_001, 1]] {
        let answer = body(&house.send("POST", path, "application/x-ndjson", &lines).await);
        assert_eq!(["accepted", "duplicates", "rejectedTotal"].map(|count| answer[count].clone()), counts, "{answer}");
        assert_eq!(answer["rejected"][0]["line"], 1_001);
    }
    assert_eq!(records(&house, "orders").await.lines().count(), 1_000);
    // What would be larger than any commit is no matter of waiting a moment.
    let path = format!("/v1/streams/orders/events?key={}", "k".repeat(30_000));
    let refused = house.send("POST", &path, "application/x-ndjson", &"{}\n".repeat(1_200)).await;
    assert_eq!(code(&refused), "413 HW-API-006");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_refused_whole() {
    let house = house().await;
    let path = "/v1/streams/orders/events";
    let no_source = r#"{"specversion":"1.0","id":"1","type":"t"}"#;
    assert_eq!(code(&house.send("POST", path, "application/cloudevents+json", no_source).await), "400 HW-API-102");
    let one_of_two = format!(r#"[{{"specversion":"1.0","id":"1","source":"/s","type":"t"}},{no_source}]"#);
    assert_eq!(
        code(&house.send("POST", path, "application/cloudevents-batch+json", &one_of_two).await),
        "400 HW-API-102"
    );
    assert_eq!(code(&house.send("POST", path, "application/json", r#"[{"n":1},2]"#).await), "400 HW-API-008");
    check(&house, "orders", expect![[r#""#]]).await;
    house.stop().await;
}

/// Nobody who reads the record later could tell that its payload is packed.
#[tokio::test(flavor = "multi_thread")]
async fn a_packed_body_is_refused_whatever_it_holds() {
    let house = house().await;
    let path = "/v1/streams/orders/events";
    let binary = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n";
    let json = "content-type: application/json\r\n";
    for (attributes, coding) in [(binary, "gzip"), (json, "GZIP"), (json, "br"), (json, "identity, zstd")] {
        let headers = format!("{attributes}content-encoding: {coding}\r\n");
        let answer = exchange(
            house.address,
            &format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 2\r\n{headers}\r\n{{}}", house.address),
        )
        .await;
        let (status, head, text) = parts(&answer);
        assert_eq!(code(&(status, text.to_owned())), "415 HW-API-007", "{coding}");
        assert!(text.contains(&format!("`{}`", coding.to_ascii_lowercase())), "{text}");
        assert!(head.contains("accept-encoding: identity"), "{head}");
    }
    let headers = format!("{json}content-encoding: identity\r\n");
    let plain = house.with("POST", path, &headers, r#"{"n":1}"#).await;
    assert_eq!((plain.0, body(&plain)["accepted"].clone()), (200, 1.into()), "{plain:?}");
    check(
        &house,
        "orders",
        expect![[r#"
        {"partition":0,"offset":0,"value":{"n":1}}
    "#]],
    )
    .await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_refuses_marks_or_puts_aside() {
    let house = house().await;
    let stream = |name: &str, extra: &str| {
        format!(
            "---\napiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {{name: {name}}}\nspec:\n  partitions: 1\n  schema: {{json: {{type: object, required: [n]}}{extra}}}\n"
        )
    };
    let all =
        stream("marked", ", onMismatch: mark") + &stream("aside", ", onMismatch: dead-letter, deadLetter: aside.dead");
    assert_eq!(house.send("POST", "/v1/apply", "application/yaml", &all).await.0, 200);
    let ids = ["Stream/marked".to_owned(), "Stream/aside".to_owned()];
    house.kernel.settled(&ids, std::time::Duration::from_secs(5)).await;
    for stream in ["strict", "marked", "aside"] {
        let path = format!("/v1/streams/{stream}/events");
        let answer = house.send("POST", &path, "application/x-ndjson", "{\"n\":1}\n{\"m\":2}\n").await;
        assert_eq!(answer.0, 200, "{answer:?}");
    }
    check(
        &house,
        "strict",
        expect![[r#"
        {"partition":0,"offset":0,"value":{"n":1}}
    "#]],
    )
    .await;
    check(
        &house,
        "marked",
        expect![[r#"
        {"partition":0,"offset":0,"value":{"n":1}}
        {"partition":0,"offset":1,"headers":{"headwater-mismatch":"\"n\" is a required property"},"value":{"m":2}}
    "#]],
    )
    .await;
    check(
        &house,
        "aside",
        expect![[r#"
        {"partition":0,"offset":0,"value":{"n":1}}
    "#]],
    )
    .await;
    check(&house, "aside.dead", expect![[r#"
        {"partition":2,"offset":0,"value":{"reason":"\"n\" is a required property","code":"HW-API-015","position":{"stream":"aside"},"at":"2023-11-14T22:13:20Z","data":"{\"m\":2}"}}
    "#]]).await;
    house.stop().await;
}
