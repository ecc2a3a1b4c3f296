//! `POST /v1/enrich/{pipeline}`: what a running pipeline would make of one event, at once. Nothing is stored.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use hyper::StatusCode;

use crate::http::body::media_type;
use crate::http::fault::Fault;
use crate::http::features::expect_json;
use crate::http::query::Query;
use crate::http::{Api, answer};

/// Enriches one event.
pub async fn enrich(
    State(api): State<Arc<Api>>,
    Path(pipeline): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    Query::parse(head.uri.query(), &[])?;
    expect_json(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, api.limits.batch_bytes, &api.limits).await?;
    let enriched = api.enrich.enrich(&pipeline, body.bytes.clone()).await?;
    Ok(answer::bytes(StatusCode::OK, "application/json", enriched))
}
