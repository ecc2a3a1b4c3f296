//! `GET /v1/solutions`: what is on the node's shelf; `POST /v1/solutions/{name}/apply`: takes one from there.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use headwater_base::Problem;
use headwater_kernel::port::Solutions;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use crate::http::aside::aside;
use crate::http::body::media_type;
use crate::http::fault::Fault;
use crate::http::features::expect_json;
use crate::http::query::Query;
use crate::http::resources::{applied, options, problems, read_all};
use crate::http::{Api, answer};

/// Values of a solution's parameters, at most.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Query parameters of an apply.
const APPLY_QUERY: &[&str] = &["dry-run", "reset-state"];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    values: BTreeMap<String, String>,
}

/// Lists the solutions.
pub async fn list(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    Ok(answer::json(StatusCode::OK, &json!({ "solutions": shelf(&api)?.list() })))
}

/// Applies the resources of one, with the values of its parameters that the body has.
pub async fn apply(State(api): State<Arc<Api>>, Path(name): Path<String>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let options = options(&Query::parse(head.uri.query(), APPLY_QUERY)?, &head.headers)?;
    expect_json(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, BODY_BYTES_MAX, &api.limits).await?;
    let asked: Asked = serde_json::from_slice(&body.bytes).map_err(|error| {
        Problem::new("HW-API-008", "the body does not say values of parameters")
            .because(error)
            .help("send `{\"values\": {\"name\": \"value\"}}`, or `{}` for the values that `GET /v1/solutions` shows")
    })?;
    let shelf = shelf(&api)?;
    let is_there = shelf.list().iter().any(|solution| solution.name == name);
    let files = shelf.files(&name, asked.values).map_err(|problem| match is_there {
        true => Fault::from(problem),
        false => Fault::new(StatusCode::NOT_FOUND, problem),
    })?;
    let kernel = Arc::clone(&api.kernel);
    let drafts = aside(move || read_all(&kernel, &files)).await?.map_err(problems)?;
    applied(&api, drafts, &options).await
}

fn shelf(api: &Api) -> Result<&Arc<dyn Solutions>, Problem> {
    api.solutions.as_ref().ok_or_else(|| {
        Problem::new("HW-API-004", "solutions are not offered here").help("ask a node that `headwater up` started")
    })
}
