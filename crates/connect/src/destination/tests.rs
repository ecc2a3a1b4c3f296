#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::outlet::{Asked, NotTaken, Outgoing};
use headwater_kernel::port::{Context, Secrets};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::signature::Key;
use super::{KIND, build};

struct Known;

impl Secrets for Known {
    fn read(&self, name: &str) -> Result<Bytes, Problem> {
        match name {
            "key" => Ok(Bytes::from_static(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
            "password" => Ok(Bytes::from_static(b"open sesame")),
            _ => Err(Problem::new("HW-KERNEL-012", format!("there is no secret `{name}`"))),
        }
    }
}

fn context() -> Context {
    Context { folder: ".".into(), secrets: Arc::new(Known), tables: None, log: None }
}

/// A server that answers with what it is given, one answer for each request, and keeps the requests.
async fn server(answers: &[&str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut answers: VecDeque<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let came: Arc<Mutex<Vec<String>>> = Arc::default();
    let keeps = Arc::clone(&came);
    tokio::spawn(async move {
        while let Some(answer) = answers.pop_front() {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            loop {
                let mut buffer = [0; 4096];
                let read = socket.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) || read == 0 {
                    break;
                }
            }
            keeps.lock().await.push(String::from_utf8(request).unwrap());
            let _ = socket.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    (url, came)
}

async fn send(spec: Value) -> Result<(Option<u16>, Option<Bytes>), NotTaken> {
    let outlet = build(&spec, &context()).unwrap();
    let body = Bytes::from_static(b"{\"n\": 1}");
    let outgoing = Outgoing { key: "rule.send.0.in-0-7", body: &body, now: Micros(1_767_225_600_000_000), asked: None };
    outlet.send(outgoing).await.map(|answer| (answer.status, answer.body))
}

#[tokio::test]
async fn a_request_shows_who_it_comes_from() {
    let (url, came) = server(&["200 OK\r\ncontent-length: 2\r\n\r\n{}"]).await;
    let spec = json!({
        "url": format!("{url}/hook"),
        "headers": {"x-team": "checkout", "x-key": {"secret": "password"}},
        "auth": {"type": "basic", "username": "headwater", "password": {"secret": "password"}},
        "signature": {"secret": "key"},
    });
    assert_eq!(send(spec).await.unwrap(), (Some(200), Some(Bytes::from_static(b"{}"))));
    let request = came.lock().await.remove(0);
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    for line in [
        "content-type: application/json",
        "x-team: checkout",
        "x-key: open sesame",
        "authorization: Basic aGVhZHdhdGVyOm9wZW4gc2VzYW1l",
        "idempotency-key: rule.send.0.in-0-7",
        "webhook-id: rule.send.0.in-0-7",
        "webhook-timestamp: 1767225600",
    ] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} is missing in {request}");
    }
    let key = Key::read(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signature = key.sign("rule.send.0.in-0-7", 1_767_225_600, b"{\"n\": 1}");
    assert!(request.contains(&format!("\r\nwebhook-signature: {signature}\r\n")), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"n\": 1}"));
}

#[tokio::test]
async fn a_key_goes_in_the_header_that_takes_it_and_a_caller_cannot_say_it() {
    let fine = "200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let (url, came) = server(&[fine, fine]).await;
    let auth = json!({"type": "apiKey", "header": "X-Api-Key", "key": {"secret": "password"}});
    let spec = json!({"url": url, "auth": auth, "rate": 2.5});
    assert_eq!(send(spec.clone()).await.unwrap().0, Some(200));
    let outlet = build(&spec, &context()).unwrap();
    assert_eq!(outlet.rate(), Some(2.5));
    let headers = vec![("x-api-key".to_owned(), "theirs".to_owned())];
    let asked = Asked { method: "POST".to_owned(), url: format!("{url}/x"), headers };
    let body = Bytes::from_static(b"{}");
    outlet.send(Outgoing { key: "k", body: &body, now: Micros(0), asked: Some(&asked) }).await.unwrap();
    for request in &*came.lock().await {
        assert!(request.contains("\r\nx-api-key: open sesame\r\n") && !request.contains("theirs"), "{request}");
    }
}

#[tokio::test]
async fn an_answer_is_read_whole_or_not_at_all() {
    const LIMIT: usize = 256 * 1024;
    for (bytes, read) in [(LIMIT, true), (LIMIT + 1, false)] {
        let said = "x".repeat(bytes);
        let (url, _) = server(&[&format!("200 OK\r\ncontent-length: {bytes}\r\n\r\n{said}")]).await;
        let taken = send(json!({ "url": url })).await.unwrap();
        assert_eq!(taken, (Some(200), read.then(|| Bytes::from(said))), "{bytes} bytes");
    }
}

#[test]
fn signatures_are_those_of_the_specification() {
    // The example of the Standard Webhooks specification.
    let key = Key::read(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    assert_eq!(
        key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[tokio::test]
async fn the_status_says_whether_another_try_helps() {
    let cases = [
        ("503 Busy\r\nretry-after: 7\r\n\r\n", true, Some(Duration::from_secs(7))),
        (
            "429 Slow\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:07 GMT\r\n\r\n",
            true,
            Some(Duration::from_secs(30)),
        ),
        ("408 Late\r\n\r\n", true, None),
        ("400 Bad\r\nretry-after: 7\r\n\r\n", false, None),
        ("302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n", false, None),
    ];
    for (answer, again, after) in cases {
        let (url, _) = server(&[answer]).await;
        let refused = send(json!({ "url": url })).await.unwrap_err();
        assert_eq!((refused.again, refused.after), (again, after), "{answer}");
        assert_eq!(refused.status.unwrap().to_string(), answer[..3]);
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = send(json!({"url": format!("http://{closed}/secret-path")})).await.unwrap_err();
    assert_eq!((refused.again, refused.status, refused.reason.as_str()), (true, None, "no connection"));
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_when_it_is_taken_back() {
    let token = "200 OK\r\ncontent-length: 42\r\n\r\n{\"access_token\": \"one\", \"expires_in\": 600}";
    let other = "200 OK\r\ncontent-length: 42\r\n\r\n{\"access_token\": \"two\", \"expires_in\": 600}";
    let (tokens, asked) = server(&[token, other]).await;
    let fine = "200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let (url, came) = server(&[fine, fine, "401 Who\r\n\r\n", fine]).await;
    let spec = json!({"url": url, "auth": {
        "type": "oauth", "tokenUrl": format!("{tokens}/token"), "clientId": "a b", "clientSecret": {"secret": "password"}, "scope": "x y",
    }});
    let outlet = build(&spec, &context()).unwrap();
    let body = Bytes::from_static(b"{}");
    for _ in 0..3 {
        let outgoing = Outgoing { key: "k", body: &body, now: Micros(0), asked: None };
        outlet.send(outgoing).await.unwrap();
    }
    let asked = asked.lock().await.clone();
    assert_eq!(asked.len(), 2);
    assert!(asked[0].contains("authorization: Basic YSUyMGI6b3BlbiUyMHNlc2FtZQ=="), "{}", asked[0]);
    assert!(asked[0].ends_with("grant_type=client_credentials&scope=x%20y"));
    let bearers: Vec<bool> =
        came.lock().await.iter().map(|request| request.contains("authorization: Bearer two")).collect();
    assert_eq!(bearers, [false, false, false, true]);
}

#[tokio::test]
async fn a_token_that_lives_shortly_is_used_while_it_lives() {
    let token = "200 OK\r\ncontent-length: 41\r\n\r\n{\"access_token\": \"one\", \"expires_in\": 20}";
    let (tokens, asked) = server(&[token, "401 Who\r\n\r\n", token]).await;
    let fine = "200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let (url, _) = server(&[fine, fine, fine]).await;
    let outlet = build(&oauth(&url, &tokens), &context()).unwrap();
    let body = Bytes::from_static(b"{}");
    let at = |seconds: i64| Outgoing { key: "k", body: &body, now: Micros(seconds * 1_000_000), asked: None };
    outlet.send(at(0)).await.unwrap();
    outlet.send(at(9)).await.unwrap();
    assert_eq!(asked.lock().await.len(), 1);
    // Who is not known to the authorization server is told so once.
    assert_eq!(outlet.send(at(10)).await.unwrap_err().status, Some(401));
    assert_eq!(asked.lock().await.len(), 2);
}

fn oauth(url: &str, tokens: &str) -> Value {
    json!({"url": url, "auth": {
        "type": "oauth", "tokenUrl": format!("{tokens}/token"), "clientId": "a", "clientSecret": {"secret": "password"},
    }})
}

#[tokio::test]
async fn what_a_request_says_of_this_node_a_caller_cannot_say() {
    let token = "200 OK\r\ncontent-length: 42\r\n\r\n{\"access_token\": \"one\", \"expires_in\": 600}";
    let (tokens, _) = server(&[token]).await;
    let (url, came) = server(&["200 OK\r\ncontent-length: 2\r\n\r\n{}"]).await;
    let mut spec = oauth(&url, &tokens);
    spec["signature"] = json!({"secret": "key"});
    let outlet = build(&spec, &context()).unwrap();
    let names = ["authorization", "webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers = names.map(|name| (name.to_owned(), "theirs".to_owned())).to_vec();
    let asked = Asked { method: "POST".to_owned(), url: format!("{url}/x"), headers };
    let body = Bytes::from_static(b"{}");
    outlet.send(Outgoing { key: "k", body: &body, now: Micros(0), asked: Some(&asked) }).await.unwrap();
    let seen = came.lock().await[0].to_lowercase();
    assert!(!seen.contains("theirs"), "{seen}");
    for name in names {
        assert_eq!(seen.matches(&format!("\r\n{name}: ")).count(), 1, "{name} in {seen}");
    }
}

#[tokio::test]
async fn a_token_is_refused_once_for_all_who_hold_it_and_takes_the_place_of_a_callers_own() {
    let token = |name: &str| {
        let body = json!({"access_token": name, "expires_in": "600"}).to_string();
        format!("200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let no = "401 Who\r\nconnection: close\r\n\r\n";
    let (tokens, fetched) = server(&[&token("one"), &token("two"), no]).await;
    let fine = "200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let (url, came) = server(&[fine, no, no, fine, fine]).await;
    let outlet = build(&oauth(&url, &tokens), &context()).unwrap();
    let body = Bytes::new();
    let headers = [("authorization", "theirs"), ("idempotency-key", "their-key")];
    let asked = Asked {
        method: "GET".to_owned(),
        url: url.clone(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
    };
    let outgoing = Outgoing { key: "k", body: &body, now: Micros(0), asked: Some(&asked) };
    outlet.send(outgoing).await.unwrap();
    let first = came.lock().await[0].to_lowercase();
    assert!(first.contains("authorization: bearer one\r\n") && !first.contains("theirs"), "{first}");
    assert!(first.contains("idempotency-key: their-key\r\n") && !first.contains("idempotency-key: k\r\n"), "{first}");
    // Two hold it when it is taken back: one fetches anew, and the other finds that.
    let (a, b) = tokio::join!(outlet.send(outgoing), outlet.send(outgoing));
    a.and(b).unwrap();
    assert_eq!(fetched.lock().await.len(), 2);
    // What the authorization server refuses is not asked for twice.
    let late = Outgoing { now: Micros(3_600_000_000), ..outgoing };
    let refused = outlet.send(late).await.unwrap_err();
    assert!(refused.reason.contains("authorization server"), "{}", refused.reason);
    assert_eq!(fetched.lock().await.len(), 3);
}

#[test]
fn the_example_is_in_order() {
    let registry = headwater_kernel::Registry::new(&[KIND]);
    let drafts = registry.read("e.yaml", KIND.example.as_bytes(), &headwater_base::Limits::default()).unwrap();
    let refs: Vec<String> = (KIND.refs)(&drafts[0].spec).into_iter().map(|reference| reference.name).collect();
    assert_eq!(refs, ["shop_password", "shop_webhook_key"]);
}

#[tokio::test]
async fn a_caller_may_ask_for_more_but_never_for_another_place() {
    let (url, came) =
        server(&["201 Made\r\nx-a: 1\r\ncontent-length: 2\r\n\r\n{}", "404 No\r\ncontent-length: 4\r\n\r\ngone"]).await;
    let spec = json!({"url": format!("{url}/api"), "headers": {"x-own": "ours"}, "auth":
        {"type": "basic", "username": "me", "password": {"secret": "password"}}});
    let outlet = build(&spec, &context()).unwrap();
    let ask = |place: &str| Asked {
        method: "PATCH".to_owned(),
        url: format!("{url}{place}"),
        headers: [("X-Own", "theirs"), ("Authorization", "theirs"), ("Content-Type", "text/plain"), ("X-Its", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    };
    let (body, asked) = (Bytes::from_static(b"text"), ask("/api/items?q=1"));
    let outgoing = Outgoing { key: "k", body: &body, now: Micros(0), asked: Some(&asked) };
    let answer = outlet.send(outgoing).await.unwrap();
    assert_eq!((answer.status, &answer.headers[0]), (Some(201), &("x-a".to_owned(), "1".to_owned())));
    let seen = came.lock().await[0].to_lowercase();
    for part in
        ["patch /api/items?q=1 ", "x-own: ours\r\n", "authorization: basic ", "content-type: text/plain", "x-its: 1"]
    {
        assert!(seen.contains(part), "{part} is not in {seen}");
    }
    assert!(!seen.contains("theirs"), "{seen}");
    let refused = outlet.send(outgoing).await.unwrap_err();
    assert_eq!((refused.status, &refused.said[..]), (Some(404), &b"gone"[..]));
    for place in ["/apis", "/", "/api/../other", "/other"] {
        let asked = ask(place);
        let refused = outlet.send(Outgoing { asked: Some(&asked), ..outgoing }).await.unwrap_err();
        assert_eq!((refused.status, refused.again), (None, false), "{place}");
    }
    let elsewhere = Asked { url: "https://example.com/api".to_owned(), ..ask("") };
    assert!(outlet.send(Outgoing { asked: Some(&elsewhere), ..outgoing }).await.is_err());
}
