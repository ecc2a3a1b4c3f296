//! `POST /v1/pipelines/{name}/reconcile`: compares what a pipeline said about a span of event time with a recomputation
//! from what its streams hold, and repairs the difference if asked to.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use headwater_base::{Micros, Problem};
use hyper::StatusCode;

use crate::http::fault::Fault;
use crate::http::query::{Query, refused};
use crate::http::{Api, answer};

/// Query parameters of this address.
pub const QUERY: &[&str] = &["from", "to", "repair"];

/// Compares, and repairs if asked to.
pub async fn reconcile(
    State(api): State<Arc<Api>>,
    Path(pipeline): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), QUERY)?;
    let (from, to) = (time(&query, "from", Micros::MIN)?, time(&query, "to", Micros::MAX)?);
    let report = api.reconcile.reconcile(&pipeline, from, to, query.flag("repair")?).await?;
    Ok(answer::json(StatusCode::OK, &report))
}

fn time(query: &Query, name: &str, default: Micros) -> Result<Micros, Problem> {
    let Some(text) = query.text(name) else { return Ok(default) };
    Micros::parse_rfc3339(text).ok_or_else(|| refused(name, text, "an RFC 3339 time such as `2026-11-23T08:00:00Z`"))
}
