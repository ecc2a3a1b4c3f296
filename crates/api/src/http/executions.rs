//! Executions of workflows: starting, following, stopping them, and ending their tasks from outside.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_base::{Micros, Problem};
use headwater_kernel::port::Workflows;
use headwater_kernel::port::workflows::{
    ExecutionCounts, ExecutionQuery, ExecutionState, ExecutionView, StartExecution, TaskEnd,
};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::http::aside::aside;
use crate::http::fault::Fault;
use crate::http::query::{Query, refused};
use crate::http::{Api, answer};

/// Executions and events of one page, unless asked for otherwise.
const PAGE: usize = 100;
/// The same, at most.
const PAGE_MAX: usize = 1_000;
/// The longest a request waits.
const WAIT_MAX_S: u64 = 600;

/// The body of a start; all of it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    name: Option<String>,
    input: Option<Box<RawValue>>,
    version: Option<u64>,
    alias: Option<String>,
}

/// How a task or an execution ends badly.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    error: Option<String>,
    cause: Option<String>,
}

/// Who asks for a task.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Poll {
    worker: Option<String>,
}

/// Starts an execution, and waits for its end if asked to.
pub async fn start(
    State(api): State<Arc<Api>>,
    Path(workflow): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), &["wait", "sync"])?;
    let (wait, sync) = (seconds(&query, "wait")?, query.flag("sync")?);
    let body: Start = body(&api, request).await?;
    if body.version.is_some() && body.alias.is_some() {
        let problem = Problem::new("HW-API-008", "the body names both `version` and `alias`");
        return Err(problem.help("an alias draws a version; send one of them").into());
    }
    let request = StartExecution {
        workflow,
        version: body.version,
        alias: body.alias,
        name: body.name,
        input: body.input.map(|input| Bytes::from(input.get().to_owned())),
        cause: None,
    };
    let workflows = workflows(&api)?;
    let view = if sync { workflows.run(request).await? } else { workflows.start(request).await? };
    let view = match wait {
        Some(wait) if !sync => workflows.wait(&view.id, wait).await?,
        _ => view,
    };
    Ok(answer::json(StatusCode::OK, &shown(&view)))
}

/// Lists executions, newest first.
pub async fn list(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), &["workflow", "state", "map-run", "after", "max"])?;
    let state = match query.text("state") {
        None => None,
        Some(text) => Some(state_named(text).ok_or_else(|| {
            refused("state", text, "`RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `ABORTED` or `PENDING_REDRIVE`")
        })?),
    };
    let asked = ExecutionQuery {
        workflow: query.text("workflow").map(str::to_owned),
        version: None,
        alias: None,
        state,
        redriven: None,
        map_run: query.text("map-run").map(str::to_owned),
        after: query.text("after").map(str::to_owned),
        count: count(&query)?,
    };
    let engine = Arc::clone(workflows(&api)?);
    // It looks at every execution that is kept.
    let (items, next) = aside(move || engine.list(&asked)).await??;
    let items: Vec<Value> = items.iter().map(shown).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "items": items, "next": next })))
}

/// How many executions of each workflow are in each state, and when the newest began.
pub async fn counts(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let engine = Arc::clone(workflows(&api)?);
    let counts = aside(move || engine.counts()).await?;
    let row = |(workflow, counts): (String, ExecutionCounts)| {
        let states = ExecutionState::ALL.into_iter().zip(counts.states);
        let states: Map<String, Value> = states.map(|(state, count)| (state.name().to_owned(), json!(count))).collect();
        json!({ "workflow": workflow, "states": states, "started": counts.started.to_string() })
    };
    // What is left of workflows that were deleted is listed and not counted: there may be any number of them.
    let there = counts.into_iter().filter(|(workflow, _)| api.kernel.get("Workflow", workflow).is_some());
    let items: Vec<Value> = there.map(row).collect();
    Ok(answer::json(StatusCode::OK, &json!({ "items": items })))
}

/// One execution, with input and output.
pub async fn get(
    State(api): State<Arc<Api>>,
    Path((workflow, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), &["wait"])?;
    let id = format!("{workflow}/{name}");
    let workflows = workflows(&api)?;
    let view = match seconds(&query, "wait")? {
        Some(wait) => workflows.wait(&id, wait).await?,
        None => workflows.describe(&id)?,
    };
    let mut shown = shown(&view);
    let runs = workflows.map_runs(&id)?;
    if let (Some(members), false) = (shown.as_object_mut(), runs.is_empty()) {
        members.insert("mapRuns".to_owned(), Value::from(runs));
    }
    Ok(answer::json(StatusCode::OK, &shown))
}

/// Events of an execution.
pub async fn history(
    State(api): State<Arc<Api>>,
    Path((workflow, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), &["after", "max", "reverse"])?;
    let after = query.read("after", "the number of an event")?.unwrap_or(0);
    let id = format!("{workflow}/{name}");
    let (count, reverse) = (count(&query)?, query.flag("reverse")?);
    let engine = Arc::clone(workflows(&api)?);
    // Events are read from the log, piece by piece.
    let events = aside(move || engine.history(&id, after, count, reverse)).await??;
    Ok(answer::json(StatusCode::OK, &json!({ "events": events })))
}

/// The definition an execution is pinned to.
pub async fn definition(
    State(api): State<Arc<Api>>,
    Path((workflow, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let text = workflows(&api)?.definition(&format!("{workflow}/{name}"))?;
    Ok(answer::bytes(StatusCode::OK, "application/json", text))
}

/// Ends an execution as aborted.
pub async fn stop(
    State(api): State<Arc<Api>>,
    Path((workflow, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let Failure { error, cause } = body(&api, request).await?;
    let at = workflows(&api)?.stop(&format!("{workflow}/{name}"), error, cause).await?;
    Ok(answer::json(StatusCode::OK, &json!({ "stopped": at.to_string() })))
}

/// Takes up a failed execution where it failed.
pub async fn redrive(
    State(api): State<Arc<Api>>,
    Path((workflow, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let at = workflows(&api)?.redrive(&format!("{workflow}/{name}"), None).await?;
    Ok(answer::json(StatusCode::OK, &json!({ "redriven": at.to_string() })))
}

/// Ends a task by its token, with the body as its output.
pub async fn succeed(
    State(api): State<Arc<Api>>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let (head, body) = request.into_parts();
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let output = if body.bytes.is_empty() { Bytes::from_static(b"null") } else { body.bytes.clone() };
    workflows(&api)?.end_task(&token, TaskEnd::Success(output)).await?;
    Ok(answer::json(StatusCode::OK, &json!({})))
}

/// Ends a task by its token as failed.
pub async fn fail(State(api): State<Arc<Api>>, Path(token): Path<String>, request: Request) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    let Failure { error, cause } = body(&api, request).await?;
    workflows(&api)?.end_task(&token, TaskEnd::Failure { error, cause }).await?;
    Ok(answer::json(StatusCode::OK, &json!({})))
}

/// Says that a task is being worked on.
pub async fn heartbeat(
    State(api): State<Arc<Api>>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    Query::parse(request.uri().query(), &[])?;
    workflows(&api)?.heartbeat(&token).await?;
    Ok(answer::json(StatusCode::OK, &json!({})))
}

/// Waits for a task of an activity.
pub async fn poll(
    State(api): State<Arc<Api>>,
    Path(activity): Path<String>,
    request: Request,
) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), &["wait"])?;
    let patience = seconds(&query, "wait")?.unwrap_or(Duration::from_secs(60));
    let Poll { worker } = body(&api, request).await?;
    let task = workflows(&api)?.poll_activity(&activity, worker, patience).await?;
    let task = task.map_or_else(
        || json!({}),
        |task| json!({ "token": task.token, "input": serde_json::from_slice::<Value>(&task.input).unwrap_or_default() }),
    );
    Ok(answer::json(StatusCode::OK, &task))
}

/// What is wrong with a definition.
pub async fn validate(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let query = Query::parse(request.uri().query(), &["type"])?;
    let express = query.text("type") == Some("express");
    let (head, body) = request.into_parts();
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let text = String::from_utf8_lossy(&body.bytes).into_owned();
    let found = workflows(&api)?.validate(&text, express, true, PAGE);
    Ok(answer::json(StatusCode::OK, &Value::Object(found)))
}

fn workflows(api: &Api) -> Result<&Arc<dyn Workflows>, Problem> {
    api.workflows.as_ref().ok_or_else(|| {
        Problem::new("HW-API-004", "workflows are not served here").help("ask a node that `headwater up` started")
    })
}

/// A body of JSON; an empty one stands for the default.
async fn body<T: serde::de::DeserializeOwned + Default>(api: &Api, request: Request) -> Result<T, Fault> {
    let (head, body) = request.into_parts();
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    if body.bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body.bytes)
        .map_err(|error| Problem::new("HW-API-008", format!("the body cannot be read: {error}")).into())
}

fn count(query: &Query) -> Result<usize, Problem> {
    Ok(query.read("max", "a number from 1 to 1000")?.unwrap_or(PAGE).clamp(1, PAGE_MAX))
}

fn seconds(query: &Query, name: &str) -> Result<Option<Duration>, Problem> {
    let seconds: Option<u64> = query.read(name, "a number of seconds up to 600")?;
    Ok(seconds.map(|seconds| Duration::from_secs(seconds.min(WAIT_MAX_S))))
}

/// The state of that name, in letters of either case.
fn state_named(text: &str) -> Option<ExecutionState> {
    ExecutionState::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(text))
}

/// An execution as JSON; what is not known is left out.
fn shown(view: &ExecutionView) -> Value {
    let mut members = Map::new();
    let time = |at: Micros| json!(at.to_string());
    let payload = |json: &Bytes| serde_json::from_slice(json).unwrap_or_default();
    let optional: [(&str, Option<Value>); 12] = [
        ("version", view.version.map(Value::from)),
        ("alias", view.alias.clone().map(Value::from)),
        ("stopped", view.stopped.map(time)),
        ("input", view.input.as_ref().map(payload)),
        ("output", view.output.as_ref().map(payload)),
        ("error", view.error.clone().map(Value::from)),
        ("cause", view.cause.clone().map(Value::from)),
        ("redrives", (view.redrives > 0).then(|| json!(view.redrives))),
        ("redriven", view.redriven.map(time)),
        ("mapRun", view.map_run.clone().map(Value::from)),
        ("kind", Some(json!("Execution"))),
        ("workflow", Some(json!(view.workflow))),
    ];
    members.insert("id".to_owned(), json!(view.id));
    members.insert("name".to_owned(), json!(view.id));
    members.insert("state".to_owned(), json!(view.state.name()));
    members.insert("started".to_owned(), time(view.started));
    members.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Value::Object(members)
}
