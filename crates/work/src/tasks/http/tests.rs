use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_kernel::port::outlet::{Answer as OutletAnswer, NotTaken, Outgoing};
use headwater_kernel::port::{Outlet, Outlets};
use serde_json::{Value, json};

use crate::execution::Failure;
use crate::tasks::tests::{call, failed, resource, services};
use crate::tasks::{HttpClient, Plan, Services, Settings};

/// Answers one request with `answer`, and gives the request back.
fn server(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut seen, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let read = stream.read(&mut part).unwrap();
            seen.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&seen).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                stream.write_all(answer.as_bytes()).unwrap();
                return text;
            }
        }
    });
    (address, thread)
}

fn open() -> Services {
    let settings = Settings { private_addresses: true, answer_bytes_max: 1_000, ..Settings::default() };
    Services { http: HttpClient::new(settings).unwrap(), ..services() }
}

async fn invoke(services: &Services, name: &str, parameters: Value) -> Result<Value, Failure> {
    let resource = resource(name);
    match crate::tasks::plan(services, &call(&resource, &parameters))? {
        Plan::External(answer) => answer.await,
        Plan::Internal(_) => panic!("a call to the outside is external"),
    }
}

const HTTP: &str = "arn:aws:states:::http:invoke";

#[tokio::test]
async fn a_request_carries_what_was_asked_and_its_effects_identity() {
    let (address, server) = server("HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 9\r\n\r\n{\"ok\": 1}");
    let parameters = json!({
        "ApiEndpoint": format!("{address}/p?q=0"), "Method": "post", "Headers": {"X-Own": "v"},
        "QueryParameters": {"a b": ["1", "2"]}, "RequestBody": {"n": 1},
    });
    let answer = invoke(&open(), HTTP, parameters).await.unwrap();
    assert_eq!(answer["ResponseBody"], json!({"ok": 1}));
    assert_eq!((&answer["StatusCode"], &answer["Headers"]["x-a"]), (&json!(200), &json!(["1", "2"])));
    let seen = server.join().unwrap().to_lowercase();
    for part in [
        "post /p?q=0&a+b=1&a+b=2 ",
        "x-own: v\r\n",
        "content-type: application/json\r\n",
        "idempotency-key: w/e/1/0\r\n",
        "{\"n\":1}",
    ] {
        assert!(seen.contains(part), "{part} is not in {seen}");
    }
}

#[tokio::test]
async fn a_status_that_is_no_success_fails_under_its_number() {
    let (address, _server) = server("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
    let failure = invoke(&open(), HTTP, json!({"ApiEndpoint": address, "Method": "GET"})).await.unwrap_err();
    assert_eq!(failure, Failure::new("States.Http.StatusCode.404", "gone"));
}

#[tokio::test]
async fn an_answer_over_the_limit_and_a_redirect_are_not_followed() {
    let (address, _server) = server("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
    let failure = invoke(&open(), HTTP, json!({"ApiEndpoint": address, "Method": "GET"})).await.unwrap_err();
    assert_eq!(failure.error.as_deref(), Some("States.DataLimitExceeded"));
    let (address, _server) = server_of_redirect();
    let failure = invoke(&open(), HTTP, json!({"ApiEndpoint": address, "Method": "GET"})).await.unwrap_err();
    assert_eq!(failure.error.as_deref(), Some("States.Http.StatusCode.302"));
}

fn server_of_redirect() -> (String, std::thread::JoinHandle<String>) {
    server("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn this_machine_is_closed_unless_a_setting_opens_it() {
    let parameters = json!({"ApiEndpoint": "http://localhost:9/", "Method": "GET"});
    let failure = invoke(&services(), HTTP, parameters).await.unwrap_err();
    assert_eq!(failure.error.as_deref(), Some("States.Http.Socket"));
    assert!(failure.cause.unwrap().contains("closed to tasks"));
}

#[test]
fn requests_that_cannot_be_are_refused_before_they_are_sent() {
    for (field, value) in [
        ("ApiEndpoint", json!("file:///etc/passwd")),
        ("Method", json!("G E T")),
        ("Headers", json!({"Host": "other"})),
        ("Authentication", json!({"Name": "x"})),
        ("Transform", json!({"RequestBodyEncoding": "XML"})),
    ] {
        let mut parameters = json!({"ApiEndpoint": "https://a.example/", "Method": "GET", "RequestBody": "x"});
        parameters[field] = value;
        assert_eq!(failed(&services(), HTTP, &parameters).error.as_deref(), Some("States.TaskFailed"), "{field}");
    }
}

#[tokio::test]
async fn a_function_is_called_over_the_invoke_api_and_its_error_keeps_its_name() {
    let ok = "HTTP/1.1 200 OK\r\nX-Amz-Executed-Version: 3\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
    let with = |address: String| {
        let settings = Settings { private_addresses: true, functions_url: Some(address), ..Settings::default() };
        Services { http: HttpClient::new(settings).unwrap(), ..services() }
    };
    let (address, seen) = server(ok);
    let parameters = json!({"FunctionName": "arn:aws:lambda:us-east-1:1:function:f:live", "Payload": {"x": 1}});
    let answer = invoke(&with(address), "arn:aws:states:::lambda:invoke", parameters.clone()).await.unwrap();
    assert_eq!(answer, json!({"ExecutedVersion": "3", "Payload": {"a": 1}, "StatusCode": 200}));
    assert!(seen.join().unwrap().starts_with("POST /2015-03-31/functions/f/invocations?Qualifier=live "));
    let error = "HTTP/1.1 200 OK\r\nX-Amz-Function-Error: Unhandled\r\nContent-Length: 44\r\n\r\n{\"errorMessage\":\"bad\",\"errorType\":\"MyError\"}";
    let (address, _server) = server(error);
    let failure = invoke(&with(address), "arn:aws:states:::lambda:invoke", parameters.clone()).await.unwrap_err();
    assert_eq!(failure, Failure::new("MyError", "{\"errorMessage\":\"bad\",\"errorType\":\"MyError\"}"));
    let failure = failed(&services(), "arn:aws:states:::lambda:invoke", &parameters);
    assert_eq!(failure.error.as_deref(), Some("Lambda.ResourceNotFoundException"));
}

/// A destination that answers what it was asked, unless that is for `missing`, or more than is read for `large`.
struct Shop;

impl Outlets for Shop {
    fn outlet(&self, destination: &str) -> Option<Arc<dyn Outlet>> {
        (destination == "shop").then(|| Arc::new(Self) as Arc<dyn Outlet>)
    }
}

impl Outlet for Shop {
    fn send<'a>(&'a self, outgoing: Outgoing<'a>) -> BoxFuture<'a, Result<OutletAnswer, NotTaken>> {
        let asked = outgoing.asked.unwrap();
        let body = json!({"asked": format!("{} {}", asked.method, asked.url), "key": outgoing.key,
            "body": String::from_utf8_lossy(outgoing.body)});
        let taken = if asked.url.ends_with("missing") {
            Err(NotTaken { reason: "no".to_owned(), status: Some(404), said: "gone".into(), ..NotTaken::default() })
        } else {
            let headers = vec![("x-a".to_owned(), "1".to_owned())];
            let body = (!asked.url.ends_with("large")).then(|| body.to_string().into());
            Ok(OutletAnswer { status: Some(201), headers, body })
        };
        Box::pin(async move { taken })
    }
}

#[tokio::test]
async fn a_request_goes_by_way_of_a_destination() {
    let services = Services { outlets: Some(Arc::new(Shop)), ..open() };
    let request = |connection: &str, url: &str| json!({"ApiEndpoint": url, "Method": "POST", "RequestBody": {"n": 1}, "Authentication": {"ConnectionArn": connection}});
    let arn = "arn:aws:events:us-east-1:000000000000:connection/shop/1234";
    let answer = invoke(&services, HTTP, request(arn, "https://example.com/a")).await.unwrap();
    let body = json!({"asked": "POST https://example.com/a", "key": "w/e/1/0", "body": "{\"n\":1}"});
    assert_eq!(
        answer,
        json!({"Headers": {"x-a": ["1"]}, "ResponseBody": body, "StatusCode": 201, "StatusText": "Created"})
    );
    let failure = invoke(&services, HTTP, request("shop", "https://example.com/missing")).await.unwrap_err();
    assert_eq!(failure, Failure::new("States.Http.StatusCode.404", "gone"));
    let failure = invoke(&services, HTTP, request("shop", "https://example.com/large")).await.unwrap_err();
    assert_eq!(failure, Failure::new("States.DataLimitExceeded", "the answer has more than 262144 bytes"));
    let failure = invoke(&services, HTTP, request("other", "https://example.com/a")).await.unwrap_err();
    assert_eq!(failure, Failure::new("States.Http.Socket", "the destination `other` does not run"));
}
