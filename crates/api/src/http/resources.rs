//! Resources over HTTP: `/v1/kinds`, `/v1/{plural}`, `/v1/{plural}/{name}` and `/v1/apply`.
//!
//! What it is NOT: deletions, which are in `deletions.rs`.
//!
//! The ETag of a resource is its version (`metadata.resourceVersion`), which every write changes. As `application/yaml`
//! it is its author's text, where that is kept.
//! `/v1/apply` takes one file as YAML or JSON, or many of them as
//! `{"files": [{"name", "text"}]}`, so that every problem names its file, line and column.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::solutions::File;
use headwater_kernel::resources::Change;
use headwater_kernel::{ApplyOptions, Draft, Kernel, Kind, Report, Resource, yaml};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, VARY};
use hyper::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::http::aside::aside;
use crate::http::body::media_type;
use crate::http::documents::{expected, must_exist, tag};
use crate::http::fault::Fault;
use crate::http::query::{Query, refused};
use crate::http::{Api, answer, principal};

/// The header that says whose text a resource's YAML is: `author`, or `generated` where none is kept.
pub const TEXT: &str = "headwater-text";

/// Query parameters of lists.
pub const LIST_QUERY: &[&str] = &["selector", "watch"];

/// Query parameters of an apply.
pub const APPLY_QUERY: &[&str] = &["dry-run", "reset-state", "file"];

/// Problems that an answer shows; more are only counted.
const PROBLEMS_SHOWN: usize = 100;

/// How long an apply waits for what it started to be ready.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// Several files of resources.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    files: Vec<File>,
}

/// The kinds of the node.
pub async fn kinds(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let row = |kind: &Kind| json!({ "name": kind.name, "plural": kind.plural, "short": kind.short, "doc": kind.doc, "example": kind.example });
    let rows: Vec<Value> = api.kernel.registry().kinds().iter().map(row).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "kinds": rows })))
}

/// All resources of a kind, `all` for every kind; with `watch` their changes from then on, without end.
pub async fn list(
    State(api): State<Arc<Api>>,
    Path(plural): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), LIST_QUERY)?;
    let kind = if plural == "all" { None } else { Some(find(&api, &plural)?.name) };
    let selector = Selector::parse(query.text("selector").unwrap_or_default())?;
    // Subscribed before listing, so that no change is missed; one may be told twice.
    let changes = api.kernel.watch();
    let resources = api.kernel.list(kind);
    let taken: Vec<&Arc<Resource>> = resources.iter().filter(|resource| selector.takes(resource)).collect();
    let shown: Vec<Value> = taken.iter().map(|resource| resource.shown()).collect();
    if !query.flag("watch")? {
        return Ok(answer::json(StatusCode::OK, &json!({ "items": shown })));
    }
    let lines = shown.into_iter().map(|item| json!({ "type": "listed", "resource": item })).collect();
    let known = taken.iter().map(|resource| resource.id()).collect();
    let watching = Watching { lines, known, changes, kind, selector, stop: api.stop.clone(), lost: false };
    let body = Body::from_stream(futures::stream::unfold(watching, |mut watching| async move {
        let line = watching.next().await?;
        Some((Ok::<_, std::io::Error>(Bytes::from(format!("{line}\n"))), watching))
    }));
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

/// One resource.
pub async fn get(
    State(api): State<Arc<Api>>,
    Path((plural, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let kind = find(&api, &plural)?;
    let Some(resource) = api.kernel.get(kind.name, &name) else { return Err(absent(&api, kind, &name)) };
    let (version, as_yaml) = (resource.metadata.version, takes_yaml(request.headers()));
    let mut response =
        if as_yaml { written(&api, resource).await? } else { answer::json(StatusCode::OK, &resource.shown()) };
    tag(&mut response, version);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// A resource as YAML to edit: its author's text, or one made of its value. The header [`TEXT`] says which.
async fn written(api: &Arc<Api>, resource: Arc<Resource>) -> Result<Response, Fault> {
    let (kernel, of) = (Arc::clone(&api.kernel), Arc::clone(&resource));
    // A long text is read again.
    let (text, whose) = match aside(move || kernel.text(&of)).await? {
        Some(text) => (text, "author"),
        None => (yaml::write(&resource.written()), "generated"),
    };
    let mut response = answer::bytes(StatusCode::OK, "application/yaml", Bytes::from(text));
    response.headers_mut().insert(TEXT, HeaderValue::from_static(whose));
    Ok(response)
}

/// Whether YAML is wanted, and JSON not more (RFC 9110, section 12.5.1).
fn takes_yaml(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut yaml, mut json) = (0.0, 0.0);
    for one in accepted.flat_map(|value| value.split(',')) {
        let mut parts = one.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('='));
        let quality = quality.map_or(1.0, |text| text.parse::<f32>().unwrap_or(0.0));
        if name.eq_ignore_ascii_case("application/yaml") {
            yaml = quality;
        } else if name.eq_ignore_ascii_case("application/json") {
            json = quality;
        }
    }
    yaml > 0.0 && yaml >= json
}

/// Creates or changes the one resource of the address.
pub async fn put(
    State(api): State<Arc<Api>>,
    Path((plural, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query(), APPLY_QUERY)?;
    let (kind, expect) = (find(&api, &plural)?.name, expected(&head.headers)?);
    let there = match expect {
        Some(0) => Some(false),
        _ => must_exist(&head.headers).then_some(true),
    };
    let options = ApplyOptions { there, ..options(&query, &head.headers)? };
    expect_resources(&media_type(&head.headers))?;
    let body = api.bodies.read(&head.headers, body, api.limits.resource_bytes, &api.limits).await?;
    let (kernel, bytes, file) = (Arc::clone(&api.kernel), body.bytes.clone(), file_of(&query));
    let read = aside(move || kernel.registry().read(&file, &bytes, kernel.limits()));
    let mut drafts = read.await?.map_err(problems)?;
    let (Some(mut draft), true) = (drafts.pop(), drafts.is_empty()) else {
        return Err(Problem::new("HW-API-009", "the body is not exactly one resource")
            .help("`POST /v1/apply` takes many")
            .into());
    };
    if draft.kind != kind || draft.name.as_str() != name {
        let fact = format!("the body is `{}`, the address is `{kind}/{}`", draft.id(), name.escape_debug());
        return Err(Problem::new("HW-API-009", fact).into());
    }
    // 0 asks for none, whatever version the body names.
    draft.version = match expect {
        Some(0) => None,
        Some(version) => Some(version),
        None => draft.version,
    };
    let unmet = |mut all: Vec<Problem>| {
        for problem in all.iter_mut().filter(|problem| there.is_some() && problem.code == "HW-KERNEL-011") {
            "HW-API-021".clone_into(&mut problem.code);
        }
        problems(all)
    };
    let report = api.kernel.apply(vec![draft], &options).await.map_err(unmet)?;
    let created = report.resources.iter().any(|applied| applied.before.is_none());
    let mut response = report_answer(if created { StatusCode::CREATED } else { StatusCode::OK }, &report);
    // A dry run leaves no version behind.
    if let (Some(applied), false) = (report.resources.first(), options.dry_run) {
        tag(&mut response, applied.version);
    }
    Ok(response)
}

/// Creates and changes many resources, all or none.
pub async fn apply(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let query = Query::parse(head.uri.query(), APPLY_QUERY)?;
    let options = options(&query, &head.headers)?;
    let media_type = media_type(&head.headers);
    expect_resources(&media_type)?;
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let (kernel, bytes, file) = (Arc::clone(&api.kernel), body.bytes.clone(), file_of(&query));
    let read = aside(move || match serde_json::from_slice::<Files>(&bytes) {
        Ok(files) => read_all(&kernel, &files.files),
        Err(_) => kernel.registry().read(&file, &bytes, kernel.limits()),
    });
    applied(&api, read.await?.map_err(problems)?, &options).await
}

/// The name that problems give as their place.
fn file_of(query: &Query) -> String {
    query.text("file").unwrap_or("body").to_owned()
}

/// Applies resources and answers with the report.
///
/// # Errors
/// What the kernel says.
pub async fn applied(api: &Api, drafts: Vec<Draft>, options: &ApplyOptions) -> Result<Response, Fault> {
    let report = api.kernel.apply(drafts, options).await.map_err(problems)?;
    if options.dry_run {
        return Ok(report_answer(StatusCode::OK, &report));
    }
    Ok(settled(api, &report).await)
}

/// Answers with the report of an apply once what it began is ready, so that the client's next request finds it; what
/// takes longer is told by its status.
pub async fn settled(api: &Api, report: &Report) -> Response {
    let ids: Vec<String> =
        report.resources.iter().map(|applied| format!("{}/{}", applied.kind, applied.name)).collect();
    api.kernel.settled(&ids, SETTLE_MAX).await;
    report_answer(StatusCode::OK, report)
}

/// The resources of all files.
///
/// # Errors
/// The problems of all files.
pub fn read_all(kernel: &Kernel, files: &[File]) -> Result<Vec<Draft>, Vec<Problem>> {
    let (mut drafts, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        match kernel.registry().read(&file.name, file.text.as_bytes(), kernel.limits()) {
            Ok(more) => drafts.extend(more),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(drafts) } else { Err(faults) }
}

/// How an apply is asked for.
///
/// # Errors
/// `HW-API-009` for a flag that is none, `HW-BASE-002` for a header that names nobody.
pub fn options(query: &Query, headers: &HeaderMap) -> Result<ApplyOptions, Problem> {
    let (dry_run, reset_state) = (query.flag("dry-run")?, query.flag("reset-state")?);
    Ok(ApplyOptions { dry_run, reset_state, there: None, who: principal::of(headers)? })
}

fn report_answer(status: StatusCode, report: &Report) -> Response {
    answer::json(status, &json!(report))
}

/// All problems of an apply: the first one is the answer's, the member `problems` has every one.
pub fn problems(all: Vec<Problem>) -> Fault {
    let total = all.len();
    let mut all = all.into_iter();
    let Some(first) = all.next() else {
        return Fault::new(StatusCode::INTERNAL_SERVER_ERROR, Problem::new("HW-API-017", "refused without a reason"));
    };
    let shown: Vec<Value> =
        std::iter::once(first.clone()).chain(all).take(PROBLEMS_SHOWN).map(|problem| json!(problem)).collect();
    let mut fault = Fault::from(first);
    fault.members = vec![("problems", json!(shown)), ("problemsTotal", json!(total))];
    fault
}

/// Refuses what is neither YAML nor JSON.
///
/// # Errors
/// `HW-API-007`.
pub fn expect_resources(media_type: &str) -> Result<(), Problem> {
    match media_type {
        "application/json" | "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Ok(()),
        other => Err(Problem::new("HW-API-007", format!("resources cannot be sent as `{}`", other.escape_debug()))
            .help("send `content-type: application/yaml` or `application/json`")),
    }
}

/// A kind by the plural of an address.
///
/// # Errors
/// `HW-KERNEL-006`.
pub fn find<'a>(api: &'a Api, plural: &str) -> Result<&'a Kind, Fault> {
    let kind = api.kernel.registry().kinds().iter().find(|kind| kind.plural == plural);
    match (kind, api.kernel.registry().find(plural)) {
        (Some(kind), _) => Ok(kind),
        (None, Ok(kind)) => Err(Fault::new(
            StatusCode::NOT_FOUND,
            Problem::new("HW-KERNEL-006", format!("there is no kind `{}`", plural.escape_debug()))
                .help(format!("use `/v1/{}`", kind.plural)),
        )),
        (None, Err(problem)) => Err(Fault::new(StatusCode::NOT_FOUND, problem)),
    }
}

fn absent(api: &Api, kind: &Kind, name: &str) -> Fault {
    let list = api.kernel.list(Some(kind.name));
    let near = headwater_base::closest(name, list.iter().map(|resource| resource.metadata.name.as_str()));
    let shown: String = name.chars().take(60).collect();
    let problem = Problem::new("HW-KERNEL-012", format!("there is no `{}/{}`", kind.name, shown.escape_debug()));
    match near {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("`headwater get {}` lists what there is", kind.plural)),
    }
    .into()
}

/// Which labels a resource must have: `team=checkout,env!=test,solution`.
#[derive(Debug)]
struct Selector(Vec<Term>);

#[derive(Debug)]
enum Term {
    Is(String, String),
    IsNot(String, String),
    Has(String),
    HasNot(String),
}

impl Selector {
    fn parse(text: &str) -> Result<Self, Problem> {
        let mut terms = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let pair =
                |(name, value): (&str, &str)| (name.trim().to_owned(), value.trim_start_matches('=').trim().to_owned());
            let term = if let Some(found) = part.split_once("!=") {
                let (name, value) = pair(found);
                Term::IsNot(name, value)
            } else if let Some(found) = part.split_once('=') {
                let (name, value) = pair(found);
                Term::Is(name, value)
            } else if let Some(name) = part.strip_prefix('!') {
                Term::HasNot(name.to_owned())
            } else {
                Term::Has(part.to_owned())
            };
            let (Term::Is(name, _) | Term::IsNot(name, _) | Term::Has(name) | Term::HasNot(name)) = &term;
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(refused("selector", text, "labels such as `team=checkout,env!=test,solution,!old`"));
            }
            terms.push(term);
        }
        Ok(Self(terms))
    }

    fn takes(&self, resource: &Resource) -> bool {
        let labels: &BTreeMap<String, String> = &resource.metadata.labels;
        self.0.iter().all(|term| match term {
            Term::Is(name, value) => labels.get(name) == Some(value),
            Term::IsNot(name, value) => labels.get(name) != Some(value),
            Term::Has(name) => labels.contains_key(name),
            Term::HasNot(name) => !labels.contains_key(name),
        })
    }
}

/// A change as clients are told it.
pub fn told(change: &Change) -> Value {
    match &change.resource {
        Some(resource) => json!({ "type": "changed", "resource": resource.shown() }),
        None => json!({ "type": "deleted", "kind": change.kind, "name": change.name }),
    }
}

/// A client that watches.
struct Watching {
    lines: VecDeque<Value>,
    /// Ids of what the client was told of.
    known: HashSet<String>,
    changes: broadcast::Receiver<Change>,
    kind: Option<&'static str>,
    selector: Selector,
    stop: watch::Receiver<bool>,
    /// Whether changes were missed, which ends it.
    lost: bool,
}

impl Watching {
    /// The next line; None when the node stops, or the client has been told that changes are lost because it took them too
    /// slowly.
    async fn next(&mut self) -> Option<Value> {
        if self.lost {
            return None;
        }
        if let Some(line) = self.lines.pop_front() {
            return Some(line);
        }
        loop {
            let change = tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(change) => change,
                    Err(RecvError::Lagged(_)) => {
                        self.lost = true;
                        return Some(json!({ "type": "lost" }));
                    }
                    Err(RecvError::Closed) => return None,
                },
                _ = self.stop.changed() => return None,
            };
            if self.kind.is_some_and(|kind| kind != change.kind) {
                continue;
            }
            let id = format!("{}/{}", change.kind, change.name);
            if change.resource.as_ref().is_some_and(|resource| self.selector.takes(resource)) {
                self.known.insert(id);
                return Some(told(&change));
            }
            // What has lost the labels is gone for whoever asked for them.
            if self.known.remove(&id) {
                return Some(told(&Change { resource: None, ..change }));
            }
        }
    }
}

#[cfg(test)]
mod tests;
