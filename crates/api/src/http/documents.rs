//! `/v1/tables/{name}/documents`: keyed documents with optimistic versions.
//!
//! A document is its JSON text; its version is the ETag, so that `If-Match` writes only over what was read and
//! `If-None-Match: *` only where nothing is (RFC 9110, section 13.1). Conditions, filters and updates are expressions in
//! the language of DynamoDB.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use headwater_base::{Name, Problem};
use headwater_kernel::port::tables::{self, TransactError, Write, Written};
use headwater_kernel::port::{Document, Tables};
use headwater_wire::exact::Exact;
use hyper::header::{ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use hyper::{HeaderMap, StatusCode};
use serde_json::json;
use serde_json::value::RawValue;

use crate::http::aside::aside;
use crate::http::body::media_type;
use crate::http::fault::Fault;
use crate::http::features::expect_json;
use crate::http::query::Query;
use crate::http::{Api, answer, principal, transactions};

/// Query parameters of the list.
const QUERY: &[&str] = &["after", "max", "filter", "names", "values", "index", "equals", "from", "to", "descending"];

/// Query parameters of a write.
const CONDITION: &[&str] = &["condition", "names", "values"];

/// Documents of one page where `max` says nothing, and at most.
const PAGE: (usize, usize) = (100, 10_000);

/// One document.
pub async fn get(
    State(api): State<Arc<Api>>,
    Path((table, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let Some(document) = find(&api, &table, &key).await? else { return Err(absent(&table, &key)) };
    let mut response = answer::bytes(StatusCode::OK, "application/json", document.value);
    tag(&mut response, document.version);
    if let Ok(time) = HeaderValue::from_str(&document.updated.to_string()) {
        response.headers_mut().insert("headwater-updated", time);
    }
    Ok(response)
}

/// A document from memory or, aside, from the disk.
async fn find(api: &Api, table: &str, key: &str) -> Result<Option<Document>, Fault> {
    if let Some(known) = api.tables.held(table, key)? {
        return Ok(known);
    }
    let (tables, table, key) = (Arc::clone(&api.tables), table.to_owned(), key.to_owned());
    Ok(aside(move || tables.get(&table, &key)).await??)
}

/// Documents in key order.
pub async fn list(State(api): State<Arc<Api>>, Path(table): Path<String>, request: Request) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), QUERY)?;
    // Keys are texts, whatever they look like.
    let read: fn(&str) -> Exact =
        if query.text("index").is_some() { value } else { |text| Exact::String(text.to_owned()) };
    let bound = |name: &str| query.text(name).map(read);
    let asked = tables::Query {
        index: query.text("index").map(str::to_owned),
        equals: match query.text("equals").map(value) {
            None => Vec::new(),
            Some(Exact::List(values)) => values,
            Some(value) => vec![value],
        },
        from: bound("from"),
        to: bound("to"),
        filter: transactions::expression(&query, "filter")?,
        descending: query.flag("descending")?,
        after: query.text("after").map(str::to_owned),
        count: query.read::<usize>("max", "a number of documents")?.unwrap_or(PAGE.0).min(PAGE.1),
        ..tables::Query::default()
    };
    // Thousands of documents may be read from the disk, and held against the filter.
    let page = aside(move || page(&*api.tables, &table, &asked)).await??;
    Ok(answer::bytes(StatusCode::OK, "application/json", page))
}

/// A page of documents as the list gives it.
fn page(tables: &dyn Tables, table: &str, asked: &tables::Query) -> Result<Bytes, Problem> {
    let page = tables.query(table, asked)?;
    let mut out = BytesMut::new();
    out.put_slice(b"{\"documents\":[");
    for (index, document) in page.documents.iter().enumerate() {
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
    out.put_slice(format!("],\"next\":{},\"scanned\":{}}}", json!(page.next), page.scanned).as_bytes());
    Ok(out.freeze())
}

/// Writes a document.
pub async fn put(
    State(api): State<Arc<Api>>,
    Path((table, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query(), CONDITION)?;
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
    let (present, condition) = (must_exist(&head.headers), transactions::expression(&query, "condition")?);
    let who = Some(principal::of(&head.headers)?);
    let write = Write { expect, present, condition, who, ..Write::unconditional(&table, &key, Some(value)) };
    let Written { old, new } = write_one(&api, write).await?;
    let version = new.map_or(0, |document| document.version);
    let status = if old.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = answer::json(status, &json!({ "key": key, "version": version }));
    tag(&mut response, version);
    Ok(response)
}

/// Changes a document by an update expression and gives the new one.
pub async fn patch(
    State(api): State<Arc<Api>>,
    Path((table, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    Query::parse(head.uri.query(), &[])?;
    let (table, expect) = (Name::new(&table)?, expected(&head.headers)?);
    expect_json(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let write = transactions::patch(&table, &key, expect, &body.bytes)?;
    let write = Write { present: must_exist(&head.headers), who: Some(principal::of(&head.headers)?), ..write };
    let Written { old, new } = write_one(&api, write).await?;
    let Some(new) = new else { return Err(absent(table.as_str(), &key)) };
    let status = if old.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = answer::bytes(status, "application/json", new.value);
    tag(&mut response, new.version);
    Ok(response)
}

async fn write_one(api: &Api, write: Write) -> Result<Written, Problem> {
    let writes = [write];
    let written = api.tables.write(&writes).await.map_err(|error| refused(error, &writes))?;
    Ok(written.into_iter().next().unwrap_or(Written { old: None, new: None }))
}

/// What a person is told of a write that was refused: `HW-API-021` for a document that [`must_exist`] and does not.
fn refused(error: TransactError, writes: &[Write]) -> Problem {
    if let (TransactError::Condition { document: None, .. }, [Write { table, key, present: true, .. }]) =
        (&error, writes)
    {
        let fact = format!("`{table}` has no document `{}`, and `if-match` asks that it does", key.escape_debug());
        return Problem::new("HW-API-021", fact);
    }
    error.problem(writes)
}

/// A value in a query: JSON, or else the text itself.
fn value(text: &str) -> Exact {
    Exact::read(text.as_bytes()).unwrap_or_else(|_| Exact::String(text.to_owned()))
}

/// Deletes a document.
pub async fn delete(
    State(api): State<Arc<Api>>,
    Path((table, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), CONDITION)?;
    let (table, expect) = (Name::new(&table)?, expected(request.headers())?);
    if find(&api, table.as_str(), &key).await?.is_none() {
        return Err(absent(table.as_str(), &key));
    }
    let (present, condition) = (must_exist(request.headers()), transactions::expression(&query, "condition")?);
    let who = Some(principal::of(request.headers())?);
    write_one(&api, Write { expect, present, condition, who, ..Write::unconditional(&table, &key, None) }).await?;
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

/// Whether a request asks that there be something, whatever its version: `If-Match: *`.
pub fn must_exist(headers: &HeaderMap) -> bool {
    headers.get(IF_MATCH).is_some_and(|value| value.as_bytes().trim_ascii() == b"*")
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
