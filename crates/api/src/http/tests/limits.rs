//! What happens at the bounds: a refusal with a code and, where waiting helps, when to come back.

use headwater_base::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{House, house_in, small};
use crate::testing::exchange;

async fn limited(limits: Limits) -> House {
    let house = house_in(tempfile::tempdir().unwrap(), limits).await;
    let orders = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: orders}\nspec: {partitions: 1}\n";
    assert_eq!(house.send("POST", "/v1/apply", "application/yaml", orders).await.0, 200);
    house.kernel.settled(&["Stream/orders".into()], std::time::Duration::from_secs(5)).await;
    house
}

/// The whole answer to some text, head included.
async fn whole(house: &House, text: &str) -> String {
    exchange(house.address, text).await.to_lowercase()
}

/// A connection that has the one place there is, as an answer shows; it is kept open.
async fn placed(house: &House) -> TcpStream {
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", house.address);
    loop {
        let mut first = TcpStream::connect(house.address).await.unwrap();
        first.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        if first.read_exact(&mut start).await.is_ok() && start.ends_with(b"200") {
            return first;
        }
        // The connection that made the stream may still be closing.
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_reads_the_answer_does_not_keep_a_place() {
    let limits = Limits { http_connections: 1, http_head_ms: 30_000, http_answer_ms: 200, ..small() };
    let house = limited(limits).await;
    let mut silent = placed(&house).await;
    // Far more than the buffers of both sockets take.
    let requests = format!("GET /openapi.json HTTP/1.1\r\nhost: {}\r\n\r\n", house.address).repeat(2_000);
    let (_unread, mut writing) = silent.split();
    let asked = writing.write_all(requests.as_bytes());
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let next = async {
        let next = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", house.address);
        while !whole(&house, &next).await.starts_with("http/1.1 200") {
            assert!(tokio::time::Instant::now() < until, "the place is still taken");
        }
    };
    let _ = tokio::join!(asked, next);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_is_told_when_to_come_back() {
    let house = limited(Limits { http_connections: 1, ..small() }).await;
    let first = placed(&house).await;
    let refused = whole(&house, "").await;
    assert!(refused.starts_with("http/1.1 503"), "{refused}");
    assert!(refused.contains("retry-after: 1") && refused.contains("hw-api-016"), "{refused}");
    drop(first);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_beyond_the_room_for_all_of_them_are_told_when_to_come_back() {
    let house = limited(Limits { http_bodies_bytes: 4_096, http_body_ms: 30_000, ..small() }).await;
    let head = |bytes: usize| {
        format!(
            "POST /v1/streams/orders/events HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n",
            house.address
        )
    };
    // One body that has begun and does not end holds all the room there is.
    let begin = async || {
        let mut slow = TcpStream::connect(house.address).await.unwrap();
        slow.write_all(format!("{}{{", head(8)).as_bytes()).await.unwrap();
        slow
    };
    let mut slow = begin().await;
    let event = format!("{}{{\"n\":1}}", head(7));
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let refused = loop {
        let answer = whole(&house, &event).await;
        if !answer.starts_with("http/1.1 200") || tokio::time::Instant::now() > until {
            break answer;
        }
        // Where the other one had the room first, this was the one that was refused.
        if slow.try_read(&mut [0]).is_ok() {
            slow = begin().await;
        }
    };
    assert!(refused.starts_with("http/1.1 503"), "{refused}");
    assert!(refused.contains("retry-after: 1") && refused.contains("hw-api-016"), "{refused}");
    // The room is given back with the body.
    slow.write_all(b"\"n\":22}").await.unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(whole(&house, &event).await.starts_with("http/1.1 200"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_a_size_and_a_count() {
    let house = limited(small()).await;
    let long = format!("GET /healthz?x={} HTTP/1.1\r\nhost: {}\r\n\r\n", "a".repeat(64 * 1024), house.address);
    let answer = whole(&house, &long).await;
    assert!(["http/1.1 414", "http/1.1 431"].iter().any(|status| answer.starts_with(status)), "{answer}");
    let many = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n{}\r\n", house.address, "a: b\r\n".repeat(200));
    assert!(whole(&house, &many).await.starts_with("http/1.1 431"));
    house.stop().await;
}
