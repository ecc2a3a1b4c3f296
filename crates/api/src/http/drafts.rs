//! Drafts of dashboards: `GET`, `PUT` and `DELETE /v1/dashboards/{name}/draft`, `POST` to `…/draft/publish`, and
//! `GET /v1/drafts`.
//!
//! The ETag of a draft is its version. A draft is changed with `If-Match`; without it, only a new one is kept.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use headwater_base::{Name, Problem};
use headwater_kernel::{DraftChange, KeptDraft};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::http::body::media_type;
use crate::http::documents::{expected, tag};
use crate::http::fault::Fault;
use crate::http::query::Query;
use crate::http::resources::{expect_resources, problems, settled};
use crate::http::{Api, answer, principal};

/// What has drafts.
const KIND: &str = "Dashboard";

/// Query parameters of a draft that is kept.
const KEEP_QUERY: &[&str] = &["resourceVersion"];

/// All drafts, without their texts.
pub async fn list(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let items: Vec<Value> = api.kernel.kept_drafts().iter().map(about).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "items": items })))
}

/// One draft.
pub async fn get(State(api): State<Arc<Api>>, Path(name): Path<String>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let draft = api.kernel.kept_draft(KIND, &name)?;
    let mut response = answer::json(StatusCode::OK, &json!(draft));
    tag(&mut response, draft.version);
    Ok(response)
}

/// Keeps a draft.
pub async fn put(State(api): State<Arc<Api>>, Path(name): Path<String>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query(), KEEP_QUERY)?;
    let (who, version) = (principal::of(&head.headers)?, expected(&head.headers)?.unwrap_or(0));
    let begun = query.read("resourceVersion", "a whole number, such as `3`")?;
    expect_resources(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let text = String::from_utf8(body.bytes.to_vec())
        .map_err(|error| Problem::new("HW-API-009", "the body is no UTF-8 text").because(error))?;
    let change = DraftChange { kind: KIND, name: Name::new(&name)?, version, begun, who, text };
    let draft = api.kernel.keep_draft(change).await?;
    let status = if version == 0 { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = answer::json(status, &about(&draft));
    tag(&mut response, draft.version);
    Ok(response)
}

/// Discards a draft; with `If-Match` only that version.
pub async fn discard(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let version = expected(request.headers())?;
    api.kernel.discard_draft(KIND, &name, version).await?;
    Ok(answer::json(StatusCode::OK, &json!({ "deleted": [name] })))
}

/// Applies a draft, which is gone with that.
pub async fn publish(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let Some(version) = expected(request.headers())?.filter(|version| *version > 0) else {
        return Err(Problem::new("HW-API-009", "the header `if-match` is missing")
            .help("it takes the version of the draft that is to be published: the ETag of `GET …/draft`")
            .into());
    };
    let who = principal::of(request.headers())?;
    let report = api.kernel.publish_draft(KIND, &name, version, who).await.map_err(problems)?;
    Ok(settled(&api, &report).await)
}

/// A draft as lists show it.
fn about(draft: &KeptDraft) -> Value {
    let mut value = json!(draft);
    if let Some(members) = value.as_object_mut() {
        members.shift_remove("text");
    }
    value
}
