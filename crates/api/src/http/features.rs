//! `GET /v1/features/{entity}/{key}` and its batch form: what pipelines keep about an entity, for reading at high rate.
//!
//! Answers are durable values; what it is NOT: a query language.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use headwater_base::{Problem, closest};
use headwater_kernel::port::Features;
use hyper::StatusCode;
use serde::Deserialize;

use crate::http::aside::aside;
use crate::http::body::media_type;
use crate::http::fault::Fault;
use crate::http::query::Query;
use crate::http::{Api, answer};

/// Keys of one batch, at most.
const KEYS_MAX: usize = 1_000;

/// Keys that are read where the request is served. Each takes some microseconds for each pipeline that keeps its entity,
/// and other requests wait for as long.
const KEYS_HERE: usize = 32;

/// The body of a batch read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: Vec<String>,
}

/// The features of one key.
pub async fn read(
    State(api): State<Arc<Api>>,
    Path((entity, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    match api.features.read(&entity, &key) {
        Some(features) => Ok(answer::bytes(StatusCode::OK, "application/json", features)),
        None => Err(absent(&api, &entity, &key)),
    }
}

/// The features of many keys, in one object; null where there are none.
pub async fn read_batch(
    State(api): State<Arc<Api>>,
    Path(entity): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    Query::parse(head.uri.query(), &[])?;
    expect_json(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let keys: Keys = serde_json::from_slice(&body.bytes).map_err(|error| {
        Problem::new("HW-API-008", format!("the body does not name keys: {error}"))
            .help("send `{\"keys\": [\"a\", \"b\"]}`")
    })?;
    if keys.keys.len() > KEYS_MAX {
        let fact = format!("the body names {} keys; the limit is {KEYS_MAX}", keys.keys.len());
        return Err(Problem::new("HW-API-006", fact).help("read them in several requests").into());
    }
    if !api.features.entities().contains(&entity) {
        return Err(absent(&api, &entity, keys.keys.first().map_or("", String::as_str)));
    }
    let features = if keys.keys.len() > KEYS_HERE {
        aside(move || together(&*api.features, &entity, &keys.keys)).await?
    } else {
        together(&*api.features, &entity, &keys.keys)
    };
    Ok(answer::bytes(StatusCode::OK, "application/json", features))
}

/// The features of keys, in one object.
fn together(features: &dyn Features, entity: &str, keys: &[String]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(b"{\"features\":{");
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        out.put_slice(serde_json::Value::from(key.as_str()).to_string().as_bytes());
        out.put_u8(b':');
        out.put_slice(&features.read(entity, key).unwrap_or_else(|| "null".into()));
    }
    out.put_slice(b"}}");
    out.freeze()
}

fn absent(api: &Api, entity: &str, key: &str) -> Fault {
    let entities = api.features.entities();
    if entities.iter().any(|known| known == entity) {
        return Problem::new(
            "HW-API-018",
            format!("no features of `{}` `{}`", entity.escape_debug(), key.escape_debug()),
        )
        .into();
    }
    let problem = Problem::new("HW-API-018", format!("no entity `{}`", entity.escape_debug()));
    match closest(entity, entities.iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None if entities.is_empty() => problem.help("no running pipeline has an `aggregate` step with `entity`"),
        None => problem.help(format!("entities are `{}`", entities.join("`, `"))),
    }
    .into()
}

/// `HW-API-007` unless a body is JSON.
pub fn expect_json(media_type: &str) -> Result<(), Problem> {
    if media_type == "application/json" || media_type.ends_with("+json") {
        return Ok(());
    }
    Err(Problem::new("HW-API-007", format!("the body is `{}`", media_type.escape_debug()))
        .help("send `content-type: application/json`"))
}
