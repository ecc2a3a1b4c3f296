//! `/v1/tables/{name}/documents`: keyed documents with optimistic versions.
//!
//! A document is its JSON text; its version is the ETag, so that `If-Match` writes only over what was read and
//! `If-None-Match: *` only where nothing is (RFC 9110, section 13.1).

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use headwater_base::{Name, Problem};
use hyper::header::{ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use hyper::{HeaderMap, StatusCode};
use serde_json::json;
use serde_json::value::RawValue;

use crate::http::body::media_type;
use crate::http::fault::Fault;
use crate::http::features::expect_json;
use crate::http::query::Query;
use crate::http::{Api, answer};

/// Query parameters of the list.
pub const QUERY: &[&str] = &["after", "max"];

/// Documents of one page where `max` says nothing, and at most.
const PAGE: (usize, usize) = (100, 10_000);

/// One document.
pub async fn get(
    State(api): State<Arc<Api>>,
    Path((table, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let Some(document) = api.tables.get(&table, &key)? else { return Err(absent(&table, &key)) };
    let mut response = answer::bytes(StatusCode::OK, "application/json", document.value);
    tag(&mut response, document.version);
    if let Ok(time) = HeaderValue::from_str(&document.updated.to_string()) {
        response.headers_mut().insert("headwater-updated", time);
    }
    Ok(response)
}

/// Documents in key order.
pub async fn list(State(api): State<Arc<Api>>, Path(table): Path<String>, request: Request) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), QUERY)?;
    let count = query.read::<usize>("max", "a number of documents")?.unwrap_or(PAGE.0).min(PAGE.1);
    let documents = api.tables.list(&table, query.text("after"), count)?;
    let mut out = BytesMut::new();
    out.put_slice(b"{\"documents\":[");
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        let head = json!({ "key": document.key, "version": document.version, "updated": document.updated.to_string() })
            .to_string();
        out.put_slice(head.trim_end_matches('}').as_bytes());
        out.put_slice(b",\"value\":");
        out.put_slice(&document.value);
        out.put_u8(b'}');
    }
    let next = documents.last().filter(|_| documents.len() == count).map(|document| document.key.as_str());
    out.put_slice(format!("],\"next\":{}}}", json!(next)).as_bytes());
    Ok(answer::bytes(StatusCode::OK, "application/json", out.freeze()))
}

/// Writes a document.
pub async fn put(
    State(api): State<Arc<Api>>,
    Path((table, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    Query::parse(head.uri.query(), &[])?;
    let (table, expect) = (Name::new(&table)?, expected(&head.headers)?);
    expect_json(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let raw: &RawValue = serde_json::from_slice(&body.bytes).map_err(|error| {
        Problem::new("HW-API-008", format!("this is not JSON: {error}")).help("a document is a JSON object")
    })?;
    if !raw.get().starts_with('{') {
        return Err(Problem::new("HW-API-008", "a document must be a JSON object")
            .help("wrap it, as in `{\"value\": 1}`")
            .into());
    }
    let value = Bytes::copy_from_slice(raw.get().as_bytes());
    let version = api.tables.put(&table, &key, Some(value), expect).await?;
    let status = if version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = answer::json(status, &json!({ "key": key, "version": version }));
    tag(&mut response, version);
    Ok(response)
}

/// Deletes a document.
pub async fn delete(
    State(api): State<Arc<Api>>,
    Path((table, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let (table, expect) = (Name::new(&table)?, expected(request.headers())?);
    if api.tables.get(table.as_str(), &key)?.is_none() {
        return Err(absent(table.as_str(), &key));
    }
    api.tables.put(&table, &key, None, expect).await?;
    Ok(answer::bytes(StatusCode::NO_CONTENT, "application/json", Bytes::new()))
}

/// The version that a write expects: `If-Match: "3"`, or 0 for `If-None-Match: *`.
pub fn expected(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    match (text(IF_MATCH), text(IF_NONE_MATCH)) {
        (None | Some("*"), None) => Ok(None),
        (None, Some("*")) => Ok(Some(0)),
        (Some(tag), None) => match tag.trim_matches('"').parse() {
            Ok(version) => Ok(Some(version)),
            Err(_) => Err(Problem::new("HW-API-009", format!("the header `if-match` is `{}`", tag.escape_debug()))
                .help("it takes the ETag of an earlier answer, such as `\"3\"`")),
        },
        _ => Err(Problem::new("HW-API-009", "`if-none-match` can only be `*`, and not stand beside `if-match`")),
    }
}

/// Writes a version as the answer's ETag.
pub fn tag(response: &mut Response, version: u64) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
}

fn absent(table: &str, key: &str) -> Fault {
    Problem::new("HW-API-019", format!("table `{}` has no document `{}`", table.escape_debug(), key.escape_debug()))
        .into()
}
