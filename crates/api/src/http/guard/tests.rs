use hyper::Request;

use super::check;

fn verdict(host: Option<&str>, origin: Option<&str>) -> String {
    let mut request = Request::builder().uri("/v1/kinds");
    if let Some(host) = host {
        request = request.header("host", host);
    }
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    check(&head).map_or_else(|fault| fault.problem.code.clone(), |()| "ok".to_owned())
}

#[test]
fn loopback_names_pass() {
    for host in [
        "localhost",
        "LOCALHOST:8080",
        "localhost.:80",
        "127.0.0.1:8080",
        "127.8.9.1",
        "[::1]:8080",
        "[::1]",
        "node.localhost:1",
    ] {
        assert_eq!(verdict(Some(host), None), "ok", "{host}");
    }
}

#[test]
fn other_names_do_not() {
    for host in [
        "evil.example",
        "10.0.0.1:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[::2]:8080",
        "",
        "localhost:80:80",
        "[::1",
        "localhost:x",
        "127.1",
    ] {
        assert_eq!(verdict(Some(host), None), "HW-API-002", "{host}");
    }
    assert_eq!(verdict(None, None), "HW-API-002");
}

#[test]
fn only_the_same_origin_passes() {
    assert_eq!(verdict(Some("localhost:8080"), Some("http://localhost:8080")), "ok");
    for origin in
        ["http://evil.example", "null", "http://localhost:3000", "http://localhost:8080.evil.example", "file://", ""]
    {
        assert_eq!(verdict(Some("localhost:8080"), Some(origin)), "HW-API-003", "{origin}");
    }
}
