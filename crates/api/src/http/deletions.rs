//! Deletions over HTTP: `DELETE /v1/{plural}/{name}` of one resource, `POST /v1/delete` of many, which are looked at
//! together and go in an order in which none stands in another's way.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use headwater_base::Problem;
use headwater_base::suggest::SUGGESTED_MAX;
use headwater_kernel::resources::RESOURCES_MAX;
use headwater_kernel::{DeleteOptions, DeleteReport, Deletion, Refusal};
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::http::aside::aside;
use crate::http::body::{Whole, media_type};
use crate::http::documents::expected;
use crate::http::fault::Fault;
use crate::http::features::expect_json;
use crate::http::query::Query;
use crate::http::resources::find;
use crate::http::{Api, answer, groups, principal};

/// Query parameters of a deletion.
pub const QUERY: &[&str] = &["dry-run", "cascade", "force", "made"];

/// What is to be deleted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    resources: Vec<Item>,
}

/// One of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Item {
    /// As a file says it, or the plural of it; `groups` for a consumer group.
    kind: String,
    name: String,
    /// None for whatever is there.
    #[serde(default)]
    resource_version: Option<u64>,
}

/// Deletes a resource with what it owns.
pub async fn delete(
    State(api): State<Arc<Api>>,
    Path((plural, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    let options = options(&Query::parse(request.uri().query(), QUERY)?, request.headers())?;
    let kind = find(&api, &plural)?;
    let deletion = Deletion { kind: kind.name.to_owned(), name, version: expected(request.headers())? };
    let deleted = api.kernel.delete_all(vec![deletion], &options).await?.of_one()?;
    Ok(answer::json(StatusCode::OK, &json!({ "deleted": deleted })))
}

/// Deletes many resources with what they own, and consumer groups. What is refused keeps nothing else from going.
pub async fn delete_all(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let options = options(&Query::parse(head.uri.query(), QUERY)?, &head.headers)?;
    expect_json(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let resources = aside(move || read(&body)).await??;
    let (mut deletions, mut readers) = (Vec::new(), BTreeSet::new());
    for Item { kind, name, resource_version } in resources {
        if kind == groups::PLURAL {
            readers.insert(name);
            continue;
        }
        let kind = api.kernel.registry().find(&kind)?.name.to_owned();
        deletions.push(Deletion { kind, name, version: resource_version });
    }
    let mut report =
        if deletions.is_empty() { DeleteReport::default() } else { api.kernel.delete_all(deletions, &options).await? };
    let are_few = readers.len() <= SUGGESTED_MAX;
    for name in readers {
        let id = groups::id(&name);
        let found = if are_few { groups::find(&api.groups, &name).map(drop) } else { Ok(()) };
        let ended = match found {
            Ok(()) => groups::end(&api, &name, options.dry_run).await,
            Err(problem) => Err(problem.into()),
        };
        match ended {
            Ok(()) => report.deleted.push(id),
            Err(fault) => report.refused.push(Refusal { id, problem: *fault.problem }),
        }
    }
    Ok(answer::json(StatusCode::OK, &json!(report)))
}

/// What a body lists.
///
/// # Errors
/// `HW-API-008` where it is no list, `HW-API-006` for more than a node can have.
fn read(body: &Whole) -> Result<Vec<Item>, Problem> {
    let List { resources } = serde_json::from_slice(&body.bytes).map_err(|error| {
        Problem::new("HW-API-008", format!("the list of a deletion cannot be read: {error}"))
            .help("send `{\"resources\": [{\"kind\": \"Stream\", \"name\": \"orders\"}]}`")
    })?;
    if resources.len() > RESOURCES_MAX {
        let fact = format!("the list has {} resources; the limit is {RESOURCES_MAX}", resources.len());
        return Err(Problem::new("HW-API-006", fact).help("send it in several requests"));
    }
    Ok(resources)
}

/// How a deletion is asked for.
///
/// # Errors
/// `HW-API-009` for a flag that is none, `HW-BASE-002` for a header that names nobody.
fn options(query: &Query, headers: &HeaderMap) -> Result<DeleteOptions, Problem> {
    Ok(DeleteOptions {
        dry_run: query.flag("dry-run")?,
        cascade: query.flag("cascade")?,
        force: query.flag("force")?,
        made: query.flag("made")?,
        who: principal::of(headers)?,
    })
}
