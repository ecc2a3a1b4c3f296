//! `/iceberg/v1`: Iceberg's REST catalog, over the [`Catalog`](headwater_kernel::port::Catalog) port.
//!
//! Refusals have the shape that the specification asks for (`{"error": {"message", "type", "code"}}`), not that of a
//! problem: its clients choose what they do by status and type.
//!
//! # Source
//! `open-api/rest-catalog-open-api.yaml` of Apache Iceberg.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::Catalog;
use headwater_kernel::port::catalog::{Identifier, TableAt, TableChange};
use hyper::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::http::fault::Fault;
use crate::http::observe::OwnShape;
use crate::http::query::{Query, refused};
use crate::http::{Api, answer};

/// What is served, as the configuration tells it to clients.
const ENDPOINTS: [&str; 23] = [
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/register",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
    "POST /v1/{prefix}/tables/rename",
    "GET /v1/{prefix}/namespaces/{namespace}/views",
    "POST /v1/{prefix}/namespaces/{namespace}/views",
    "GET /v1/{prefix}/namespaces/{namespace}/views/{view}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/views/{view}",
    "POST /v1/{prefix}/namespaces/{namespace}/views/{view}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/views/{view}",
    "POST /v1/{prefix}/views/rename",
    "POST /v1/{prefix}/transactions/commit",
];

/// A request that is refused, in Iceberg's words.
pub struct Refusal(Fault);

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem.into())
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(fault) = self;
        let problem = &fault.problem;
        let (status, kind) = match problem.code.as_str() {
            "HW-LAKE-030" => (StatusCode::NOT_FOUND, "NoSuchNamespaceException"),
            "HW-LAKE-032" => (StatusCode::NOT_FOUND, "NoSuchTableException"),
            "HW-LAKE-091" => (StatusCode::NOT_FOUND, "NoSuchViewException"),
            "HW-LAKE-031" => (StatusCode::CONFLICT, "AlreadyExistsException"),
            "HW-LAKE-033" => (StatusCode::FORBIDDEN, "ForbiddenException"),
            "HW-LAKE-034" => (StatusCode::CONFLICT, "CommitFailedException"),
            "HW-LAKE-035" => (StatusCode::BAD_REQUEST, "BadRequestException"),
            "HW-LAKE-090" => (StatusCode::UNPROCESSABLE_ENTITY, "UnprocessableEntityException"),
            "HW-LAKE-036" => (StatusCode::CONFLICT, "NamespaceNotEmptyException"),
            // The log may have taken it before its disk failed: a client that takes it for refused removes the files
            // of what is there after the next start.
            "HW-LAKE-023" => (StatusCode::INTERNAL_SERVER_ERROR, "CommitStateUnknownException"),
            _ if fault.status.is_client_error() && fault.status != StatusCode::UNPROCESSABLE_ENTITY => {
                (fault.status, "BadRequestException")
            }
            _ => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException"),
        };
        let help = problem.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        let message = format!("{}: {}{help}", problem.code, problem.title);
        let body = json!({ "error": { "message": message, "type": kind, "code": status.as_u16() } });
        let mut response = answer::json(status, &body);
        response.extensions_mut().insert(OwnShape);
        response.headers_mut().extend(fault.headers.into_iter().map(|(name, value)| (Some(name), value)));
        response
    }
}

fn catalog(api: &Api) -> Result<&Arc<dyn Catalog>, Fault> {
    api.catalog.as_ref().ok_or_else(|| {
        Problem::new("HW-API-004", "this node has no catalog").help("`/v1/openapi.json` lists what it serves").into()
    })
}

async fn body(api: &Api, request: Request) -> Result<Value, Fault> {
    let (head, body) = request.into_parts();
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let read = serde_json::from_slice(&body.bytes);
    Ok(read.map_err(|error| Problem::new("HW-API-008", format!("this is no JSON: {error}")))?)
}

fn empty() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// What clients have to know first.
pub async fn config() -> Response {
    answer::json(StatusCode::OK, &json!({ "defaults": {}, "overrides": {}, "endpoints": ENDPOINTS }))
}

/// Lists namespaces.
pub async fn namespaces(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query(), &["parent", "pageToken", "pageSize"])?;
    let names = match query.text("parent").filter(|parent| !parent.is_empty()) {
        None => catalog(&api)?.namespaces(),
        // A namespace has no others in it, if it is there.
        Some(parent) => catalog(&api)?.namespace(parent).map(|_| Vec::new())?,
    };
    let names: Vec<[String; 1]> = names.into_iter().map(|name| [name]).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "namespaces": names })))
}

/// Makes a namespace.
pub async fn create_namespace(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Refusal> {
    let body = body(&api, request).await?;
    let levels = body["namespace"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [Value::String(name)] = levels else {
        return Err(Problem::new("HW-LAKE-035", "a namespace has one level").into());
    };
    let properties = body["properties"].clone();
    catalog(&api)?.create_namespace(name, properties.clone()).await?;
    let properties = if properties.is_null() { json!({}) } else { properties };
    Ok(answer::json(StatusCode::OK, &json!({ "namespace": [name], "properties": properties })))
}

/// Gives a namespace, or says that it is there.
pub async fn namespace(
    State(api): State<Arc<Api>>,
    method: Method,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let properties = catalog(&api)?.namespace(&name)?;
    if method == Method::HEAD {
        return Ok(empty());
    }
    Ok(answer::json(StatusCode::OK, &json!({ "namespace": [name], "properties": properties })))
}

/// Changes properties of a namespace.
pub async fn update_namespace(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body(&api, request).await?;
    Ok(answer::json(StatusCode::OK, &catalog(&api)?.update_namespace(&name, body).await?))
}

/// Removes a namespace.
pub async fn drop_namespace(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Response, Refusal> {
    catalog(&api)?.drop_namespace(&name).await?;
    Ok(empty())
}

/// Lists the tables of a namespace.
pub async fn tables(State(api): State<Arc<Api>>, Path(namespace): Path<String>) -> Result<Response, Refusal> {
    let names = catalog(&api)?.tables(&namespace)?;
    Ok(listed(&namespace, names))
}

/// Lists the views of a namespace.
pub async fn views(State(api): State<Arc<Api>>, Path(namespace): Path<String>) -> Result<Response, Refusal> {
    let names = catalog(&api)?.views(&namespace)?;
    Ok(listed(&namespace, names))
}

/// All of them at once: there are no pages, and no word of a next one, which would say that there could be.
fn listed(namespace: &str, names: Vec<String>) -> Response {
    let identifiers: Vec<Value> =
        names.into_iter().map(|name| json!({ "namespace": [namespace], "name": name })).collect();
    answer::json(StatusCode::OK, &json!({ "identifiers": identifiers }))
}

/// Makes a table.
pub async fn create_table(
    State(api): State<Arc<Api>>,
    Path(namespace): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body(&api, request).await?;
    let table = catalog(&api)?.create(&namespace, body).await?;
    Ok(tagged(&table)?)
}

/// Gives a table that is there already a name.
pub async fn register(
    State(api): State<Arc<Api>>,
    Path(namespace): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body(&api, request).await?;
    let table = catalog(&api)?.register(&namespace, body).await?;
    Ok(tagged(&table)?)
}

/// Gives a table, or says that it is there, or that it is as the client knows it.
pub async fn table(
    State(api): State<Arc<Api>>,
    Path((namespace, table)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let (head, _) = request.into_parts();
    let query = Query::parse(head.uri.query(), &["snapshots", "referenced-by"])?;
    let referenced = match query.text("snapshots") {
        None | Some("" | "all") => false,
        Some("refs") => true,
        Some(other) => return Err(refused("snapshots", other, "`all` or `refs`").into()),
    };
    let mut table = catalog(&api)?.load(&namespace, &table).await?;
    if head.method == Method::HEAD {
        return Ok(empty());
    }
    let tag = tag(&table, referenced);
    if let Some(tag) = tag.as_ref().filter(|tag| is_known(&head.headers, tag)) {
        let mut unchanged = empty();
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged.headers_mut().insert(ETAG, tag.clone());
        return Ok(unchanged);
    }
    if referenced {
        table.metadata = with_referenced(&table.metadata)?;
    }
    let mut response = loaded(&table)?;
    response.headers_mut().extend(tag.map(|tag| (ETAG, tag)));
    Ok(response)
}

/// Changes a table.
pub async fn commit(
    State(api): State<Arc<Api>>,
    Path((namespace, table)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let request = body(&api, request).await?;
    let changed = catalog(&api)?.commit(vec![TableChange { namespace, table, request }]).await?;
    Ok(changed.first().map_or_else(|| Ok(empty()), tagged)?)
}

/// Changes several tables, all or none.
pub async fn transaction(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Refusal> {
    let mut body = body(&api, request).await?;
    let list = body.get_mut("table-changes").and_then(Value::as_array_mut).map(std::mem::take);
    let list = list.ok_or_else(|| Problem::new("HW-LAKE-035", "`table-changes` is no list"))?;
    let mut changes = Vec::with_capacity(list.len());
    for request in list {
        let Identifier { namespace, name: table } = identifier(&request, "identifier")?;
        changes.push(TableChange { namespace, table, request });
    }
    catalog(&api)?.commit(changes).await?;
    Ok(empty())
}

/// What a member of a request names.
fn identifier(request: &Value, member: &str) -> Result<Identifier, Problem> {
    let of = &request[member];
    let levels = of["namespace"].as_array().map(Vec::as_slice).unwrap_or_default();
    match (levels, &of["name"]) {
        ([Value::String(namespace)], Value::String(name)) => {
            Ok(Identifier { namespace: namespace.clone(), name: name.clone() })
        }
        _ => Err(Problem::new("HW-LAKE-035", format!("`{member}` is no name in a namespace of one level"))),
    }
}

/// Gives a table another name.
pub async fn rename_table(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Refusal> {
    let body = body(&api, request).await?;
    catalog(&api)?.rename_table(identifier(&body, "source")?, identifier(&body, "destination")?).await?;
    Ok(empty())
}

/// Removes a table.
pub async fn drop_table(
    State(api): State<Arc<Api>>,
    Path((namespace, table)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let query = Query::parse(request.uri().query(), &["purgeRequested"])?;
    let purge = match query.text("purgeRequested") {
        None | Some("") => false,
        Some(word) if word.eq_ignore_ascii_case("true") => true,
        Some(word) if word.eq_ignore_ascii_case("false") => false,
        Some(other) => return Err(refused("purgeRequested", other, "`true` or `false`").into()),
    };
    catalog(&api)?.drop_table(&namespace, &table, purge).await?;
    Ok(empty())
}

/// Makes a view.
pub async fn create_view(
    State(api): State<Arc<Api>>,
    Path(namespace): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body(&api, request).await?;
    let view = catalog(&api)?.create_view(&namespace, body).await?;
    Ok(loaded(&view)?)
}

/// Gives a view, or says that it is there.
pub async fn view(
    State(api): State<Arc<Api>>,
    method: Method,
    Path((namespace, view)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let view = catalog(&api)?.load_view(&namespace, &view)?;
    if method == Method::HEAD { Ok(empty()) } else { Ok(loaded(&view)?) }
}

/// Changes a view.
pub async fn commit_view(
    State(api): State<Arc<Api>>,
    Path((namespace, view)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let body = body(&api, request).await?;
    let view = catalog(&api)?.commit_view(&namespace, &view, body).await?;
    Ok(loaded(&view)?)
}

/// Gives a view another name.
pub async fn rename_view(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Refusal> {
    let body = body(&api, request).await?;
    catalog(&api)?.rename_view(identifier(&body, "source")?, identifier(&body, "destination")?).await?;
    Ok(empty())
}

/// Removes a view.
pub async fn drop_view(
    State(api): State<Arc<Api>>,
    Path((namespace, view)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    catalog(&api)?.drop_view(&namespace, &view).await?;
    Ok(empty())
}

/// Takes what a client measured, and keeps nothing of it.
pub async fn metrics(State(_): State<Arc<Api>>, Path(_): Path<(String, String)>) -> Response {
    empty()
}

/// What is known of a dataset's table.
pub async fn dataset(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Response, Fault> {
    let described = catalog(&api)?.describe(&name).await?;
    Ok(answer::json(StatusCode::OK, &described))
}

/// What tells a version of a table, as it is given, from every other one; none of one that is still to be made.
fn tag(table: &TableAt, referenced: bool) -> Option<HeaderValue> {
    let location = table.metadata_location.as_ref()?;
    let mut hasher = DefaultHasher::new();
    (location, &table.config, referenced).hash(&mut hasher);
    HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish())).ok()
}

/// Whether the client has what is tagged so.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
    let mut known = known.flat_map(|known| known.split(',')).map(str::trim);
    known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes())
}

/// Metadata with those of its snapshots alone that a branch or a tag leads to.
fn with_referenced(metadata: &Bytes) -> Result<Bytes, Problem> {
    let mut read: Value = serde_json::from_slice(metadata).map_err(broken)?;
    let ends = read["refs"].as_object().into_iter().flatten();
    let ends: HashSet<i64> = ends.filter_map(|(_, end)| end["snapshot-id"].as_i64()).collect();
    if let Some(snapshots) = read.get_mut("snapshots").and_then(Value::as_array_mut) {
        snapshots.retain(|snapshot| snapshot["snapshot-id"].as_i64().is_some_and(|id| ends.contains(&id)));
    }
    Ok(Bytes::from(read.to_string()))
}

fn broken(error: serde_json::Error) -> Problem {
    Problem::new("HW-LAKE-021", "the table's metadata cannot be read").because(error)
}

/// A table with all of its snapshots, and its tag.
fn tagged(table: &TableAt) -> Result<Response, Fault> {
    let mut response = loaded(table)?;
    response.headers_mut().extend(tag(table, false).map(|tag| (ETAG, tag)));
    Ok(response)
}

/// A `LoadTableResult`, the metadata as it is.
fn loaded(table: &TableAt) -> Result<Response, Fault> {
    let metadata: &RawValue = serde_json::from_slice(&table.metadata).map_err(broken)?;
    #[derive(serde::Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Loaded<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata_location: Option<&'a str>,
        metadata: &'a RawValue,
        config: &'a BTreeMap<String, String>,
    }
    let answer = Loaded { metadata_location: table.metadata_location.as_deref(), metadata, config: &table.config };
    let text = serde_json::to_vec(&answer).map_err(broken)?;
    Ok(answer::bytes(StatusCode::OK, "application/json", Bytes::from(text)))
}
