//! `POST /v1/sql`: a statement, answered row by row; `GET /v1/sql/relations`: what can be asked; and `/v1/queries`: what
//! runs now.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use futures::StreamExt as _;
use headwater_base::Problem;
use headwater_kernel::port::Sql;
use headwater_kernel::port::sql::{Column, Format, Question, Relation, RunningQuery, Via};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::body::media_type;
use crate::http::fault::Fault;
use crate::http::features::expect_json;
use crate::http::query::Query;
use crate::http::{Api, answer, principal};

/// A statement's length.
const STATEMENT_BYTES_MAX: usize = 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    query: String,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    max_rows: Option<usize>,
}

/// Answers a statement.
pub async fn ask(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    Query::parse(head.uri.query(), &[])?;
    expect_json(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, STATEMENT_BYTES_MAX, &api.limits).await?;
    let asked: Asked = serde_json::from_slice(&body.bytes).map_err(|error| {
        Problem::new("HW-API-008", "the body is no question").because(error).help(
            "send `{\"query\": \"SELECT 1\"}`, with `format` (`json`, `ndjson`, `csv` or `arrow`) and `maxRows` if wanted",
        )
    })?;
    let (format, media) = match asked.format.as_deref() {
        None | Some("json") => (Format::Json, "application/json"),
        Some("ndjson") => (Format::Ndjson, "application/x-ndjson"),
        Some("csv") => (Format::Csv, "text/csv"),
        Some("arrow") => (Format::Arrow, "application/vnd.apache.arrow.stream"),
        Some(other) => {
            let shown: String = other.chars().take(60).collect();
            let fact = format!("`{}` is no form of an answer", shown.escape_debug());
            return Err(Problem::new("HW-API-009", fact).help("use `json`, `ndjson`, `csv` or `arrow`").into());
        }
    };
    let principal = principal::of(&head.headers)?;
    let question = Question { text: asked.query, format, rows_max: asked.max_rows, principal, via: Via::Http };
    let answer = sql(&api)?.ask(question).await?;
    // What goes wrong behind the first rows cuts the answer off: a reader that sees its end has all of it.
    let body = answer.body.map(|chunk| chunk.map_err(|problem| std::io::Error::other(problem.to_string())));
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    Ok(response)
}

fn sql(api: &Api) -> Result<&Arc<dyn Sql>, Problem> {
    api.sql.as_ref().ok_or_else(|| {
        Problem::new("HW-API-004", "SQL is not answered here").help("ask a node that `headwater up` started")
    })
}

/// Lists what can be asked.
pub async fn relations(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let column = |column: &Column| json!({"name": column.name, "type": column.kind});
    let relation = |relation: &Relation| {
        let columns: Vec<Value> = relation.columns.iter().map(column).collect();
        json!({"schema": relation.schema, "name": relation.name, "columns": columns})
    };
    let principal = principal::of(request.headers())?;
    let items: Vec<Value> = sql(&api)?.relations(principal).await?.iter().map(relation).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "items": items })))
}

/// Lists the statements that run now: a principal's own, all for whoever runs the node.
pub async fn queries(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let principal = principal::of(request.headers())?;
    let items: Vec<Value> = sql(&api)?.queries(&principal).iter().map(shown).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "items": items })))
}

/// Ends a statement.
pub async fn cancel(State(api): State<Arc<Api>>, Path(id): Path<String>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let principal = principal::of(request.headers())?;
    let number = id.parse::<u64>().map_err(|_| {
        let shown: String = id.chars().take(60).collect();
        Problem::new("HW-LAKE-073", format!("`{}` is no number of a query", shown.escape_debug()))
            .help("`GET /v1/queries` lists those that run")
    })?;
    sql(&api)?.cancel(number, &principal)?;
    Ok(answer::json(StatusCode::OK, &json!({ "id": number })))
}

fn shown(query: &RunningQuery) -> Value {
    json!({
        "id": query.id,
        "principal": query.principal.as_str(),
        "via": query.via.word(),
        "query": query.text,
        "started": query.started.to_string(),
        "rows": query.rows,
        "memoryBytes": query.memory_bytes,
    })
}
