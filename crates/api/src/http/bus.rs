//! `POST /v1/buses/{bus}/events`: events for rules; `/v1/replays`: archived events given out again.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_base::{Micros, Name, Problem};
use headwater_kernel::port::bus::{BusEvent, ReplayRequest};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::http::fault::Fault;
use crate::http::{Api, answer};

/// An event as it is written: an envelope, or a CloudEvent.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default, rename = "detail-type")]
    detail_type: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Puts one event or an array of them on a bus; answers for each its id or why it was refused.
pub async fn put(State(api): State<Arc<Api>>, Path(bus): Path<String>, request: Request) -> Result<Response, Fault> {
    let bus = Name::new(&bus)?;
    let (head, body) = request.into_parts();
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let events = read(&body.bytes)?;
    let answers = api.bus.put(&bus, events).await?;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    let accepted = answers.len() - refused;
    let entries: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Ok(id) => json!({ "id": id }),
            Err(problem) => json!({ "problem": Fault::from(problem.clone()).body() }),
        })
        .collect();
    if accepted == 0
        && let Some(Err(problem)) = answers.into_iter().next()
    {
        let mut fault = Fault::from(problem);
        fault.members = vec![("entries", json!(entries))];
        return Err(fault);
    }
    Ok(answer::json(StatusCode::OK, &json!({ "accepted": accepted, "rejected": refused, "entries": entries })))
}

fn read(body: &Bytes) -> Result<Vec<BusEvent>, Problem> {
    let not_json = |error: serde_json::Error| {
        Problem::new("HW-API-008", format!("this is no event and no array of events: {error}"))
            .help("write `{\"source\": \"shop\", \"detail-type\": \"OrderPlaced\", \"detail\": {}}`")
    };
    let entries: Vec<Entry<'_>> = match body.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(body).map_err(not_json)?,
        _ => vec![serde_json::from_slice(body).map_err(not_json)?],
    };
    entries.into_iter().map(event).collect()
}

fn event(entry: Entry<'_>) -> Result<BusEvent, Problem> {
    let time = match &entry.time {
        None => None,
        Some(text) => Some(Micros::parse_rfc3339(text).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            Problem::new("HW-API-008", format!("`time` is no time: `{}`", shown.escape_debug()))
                .help("write it as in `2026-11-23T08:00:00Z`")
        })?),
    };
    let detail = entry.detail.or(entry.data).map_or(Cow::Borrowed("{}"), |raw| Cow::Borrowed(raw.get()));
    let resources = if entry.resources.is_empty() { entry.subject.into_iter().collect() } else { entry.resources };
    Ok(BusEvent {
        id: entry.id.unwrap_or_default(),
        source: entry.source.unwrap_or_default(),
        kind: entry.detail_type.or(entry.kind).unwrap_or_default(),
        time,
        resources,
        detail: Bytes::copy_from_slice(detail.as_bytes()),
        cause: None,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewReplay {
    name: String,
    archive: String,
    from: String,
    to: String,
    #[serde(default)]
    rules: Vec<String>,
}

/// Begins a replay.
pub async fn begin_replay(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let body = api.bodies.read(&head.headers, body, api.limits.http_body_bytes, &api.limits).await?;
    let new: NewReplay = serde_json::from_slice(&body.bytes).map_err(|error| {
        Problem::new("HW-API-008", format!("this is no replay: {error}"))
            .help("write `{\"name\": ..., \"archive\": ..., \"from\": ..., \"to\": ...}` with RFC 3339 times")
    })?;
    let time = |name: &str, text: &str| {
        Micros::parse_rfc3339(text).ok_or_else(|| {
            Problem::new("HW-API-008", format!("`{name}` is no time")).help("write it as in `2026-11-23T08:00:00Z`")
        })
    };
    let (from, to) = (time("from", &new.from)?, time("to", &new.to)?);
    let NewReplay { name, archive, rules, .. } = new;
    api.bus.replay(ReplayRequest { name: name.clone(), description: None, archive, from, to, rules }).await?;
    Ok(answer::json(StatusCode::ACCEPTED, &json!({ "name": name })))
}

/// Lists replays.
pub async fn replays(State(api): State<Arc<Api>>) -> Response {
    answer::json(StatusCode::OK, &json!({ "items": api.bus.replays() }))
}

/// Shows one.
pub async fn replay(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Response, Fault> {
    let found = api.bus.find_replay(&name).ok_or_else(|| {
        Problem::new("HW-BUS-044", format!("there is no replay `{}`", name.escape_debug()))
            .help("`headwater get replays` lists them")
    })?;
    Ok(answer::json(StatusCode::OK, &Value::Object(found)))
}

/// Ends a replay early.
pub async fn cancel_replay(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Response, Fault> {
    api.bus.cancel_replay(&name).await?;
    Ok(answer::json(StatusCode::OK, &json!({ "name": name })))
}

/// Makes a schedule due now.
pub async fn run_schedule(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Response, Fault> {
    run(&api, "schedule", &name)
}

/// Makes a report due now.
pub async fn run_report(State(api): State<Arc<Api>>, Path(name): Path<String>) -> Result<Response, Fault> {
    run(&api, "report", &name)
}

fn run(api: &Api, unit: &str, name: &str) -> Result<Response, Fault> {
    let due = api.bus.run_now(unit, name)?;
    Ok(answer::json(StatusCode::ACCEPTED, &json!({ "name": name, "due": due.to_string() })))
}
