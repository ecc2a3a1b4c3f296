//! `/console/`: the web console, whose built files (`console/dist`) are part of the binary.
//!
//! Files below `assets/` have their content's hash in their name and may be kept for ever; the one page is asked for
//! each time. Any other path below `/console/` is a place inside the page. Without built files a plain page says how to
//! build them, so that building the node needs no Node.js.
//!
//! What it is NOT: a server of files; only what was built in is given.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_base::Problem;
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::http::fault::Fault;
use crate::http::query::Query;
use crate::http::{Api, answer};

#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Dist;

/// Where the console lives.
pub const BASE: &str = "/console/";

/// Scripts, styles, pictures and data of this node alone; nothing inline, no frames around it (CSP level 3).
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const PLAIN: &str = "<!doctype html><html lang=\"en\"><title>Headwater</title><h1>Headwater runs; its console was not built</h1>
<p>In the source tree, with Node.js 20.19 or newer: <code>npm ci --prefix console && npm run build --prefix console</code>, then build the node again; or <code>cargo xtask demo</code>, which does both.
<p>All of it is to be had without: <code>headwater get all</code>, <a href=\"/openapi.json\">/openapi.json</a>, <a href=\"/metrics\">/metrics</a>.
";

/// Leads to the console.
pub async fn root(State(_): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let mut response = answer::bytes(StatusCode::TEMPORARY_REDIRECT, "text/plain", Bytes::new());
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(BASE));
    Ok(response)
}

/// Gives a file, or the page. Its query belongs to the page.
pub async fn file(State(_): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    give(request.uri().path(), request.headers(), Dist::get)
}

/// Answers from some built files.
fn give(path: &str, headers: &HeaderMap, find: impl Fn(&str) -> Option<EmbeddedFile>) -> Result<Response, Fault> {
    let name = path.strip_prefix(BASE).unwrap_or_default();
    let hashed = name.starts_with("assets/");
    let name = if hashed { name } else { "index.html" };
    let Some(plain) = find(name) else {
        return if hashed { Err(absent(path)) } else { Ok(with_policy(page(Bytes::from_static(PLAIN.as_bytes())))) };
    };
    // The same for both forms of a file: what it says does not depend on how it is packed.
    let tag = tag(&plain);
    let keep = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        let mut unchanged = Response::new(axum::body::Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        let packed = takes_gzip(headers).then(|| find(&format!("{name}.gz"))).flatten();
        let is_packed = packed.is_some();
        let mut response = answer::bytes(StatusCode::OK, media_type(name), bytes(packed.unwrap_or(plain)));
        if is_packed {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    };
    let head = response.headers_mut();
    head.insert(VARY, HeaderValue::from_static("accept-encoding"));
    head.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        head.insert(ETAG, tag);
    }
    Ok(with_policy(response))
}

fn page(html: Bytes) -> Response {
    answer::bytes(StatusCode::OK, "text/html; charset=utf-8", html)
}

fn with_policy(mut response: Response) -> Response {
    let fixed: [(HeaderName, &'static str); 3] =
        [(CONTENT_SECURITY_POLICY, POLICY), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (REFERRER_POLICY, "no-referrer")];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn absent(path: &str) -> Fault {
    let shown: String = path.chars().take(100).collect();
    Problem::new("HW-API-004", format!("the console has no file `{}`", shown.escape_debug()))
        .help("reload the page: the node has a newer console")
        .into()
}

fn bytes(file: EmbeddedFile) -> Bytes {
    match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    }
}

/// Weak, because the packed form has other bytes (RFC 9110, section 8.8.1).
fn tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{hex}\"")
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
