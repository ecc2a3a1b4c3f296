//! The listener of AWS clients: Step Functions (`AWSStepFunctions.*`, AWS JSON 1.0), EventBridge (`AWSEvents.*`, AWS
//! JSON 1.1), EventBridge Scheduler and Pipes (REST JSON), so that aws-cli, boto3 and the SDKs work on this node
//! unchanged.
//!
//! What it is NOT: a second home of anything. State machines are Workflows, buses Streams `bus.NAME`, rules Rules,
//! archives Archives, API destinations Destinations, connections Secrets, schedules Schedules, pipes Pipes; what those
//! cannot hold is kept in one of their annotations ([`native`]). Names are derived, never stored ([`arn`]). Credentials say region and account and
//! nothing else, and the listener answers this machine alone, as all do.
//!
//! A request is one row of a table ([`SERVICES`], [`rest::SERVICES`]): members it may have ([`shape`]), and a function.
//!
//! Specification: AWS JSON protocol (Smithy `aws.protocols#awsJson1_0`, `awsJson1_1`, `restJson1`); the services' API
//! references.

pub mod arn;
pub mod call;
mod events;
mod native;
mod page;
mod pipes;
pub mod refusal;
pub mod rest;
mod scheduler;
pub mod shape;
mod states;
mod tags;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use headwater_base::Limits;
use headwater_kernel::Kernel;
use headwater_kernel::port::{Bus, Workflows};
use hyper::header::HeaderValue;
use hyper::http::request;
use hyper::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::metrics::{Figures, Sample};
use crate::http::{answer, body, guard, server};
use call::{Answer, Call, Operation};
use refusal::Refusal;

/// A service: its name in `X-Amz-Target`, the media type of its protocol, its operations.
struct Service {
    name: &'static str,
    media_type: &'static str,
    operations: &'static [&'static [Operation]],
}

/// Everything that is served under `POST /`.
static SERVICES: [Service; 2] = [
    Service { name: "AWSStepFunctions", media_type: "application/x-amz-json-1.0", operations: states::OPERATIONS },
    Service { name: "AWSEvents", media_type: "application/x-amz-json-1.1", operations: events::OPERATIONS },
];

/// What the node hands to the listener.
pub struct Parts {
    /// Resources, the clock and the bounds.
    pub kernel: Arc<Kernel>,
    /// Executions.
    pub workflows: Arc<dyn Workflows>,
    /// Events and replays.
    pub bus: Arc<dyn Bus>,
    /// Turns true when the node stops.
    pub stop: watch::Receiver<bool>,
}

/// What the operations share.
pub struct Aws {
    parts: Parts,
    limits: Arc<Limits>,
    bodies: body::Bodies,
    requests: AtomicU64,
    seed: u64,
    counts: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// Held by operations that read a resource and write it changed, so that two of them do not undo each other.
    pub turn: tokio::sync::Mutex<()>,
}

impl std::ops::Deref for Aws {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Aws {
    /// A listener's state over the node's parts.
    pub fn new(parts: Parts) -> Arc<Self> {
        let limits = parts.kernel.limits().clone();
        Arc::new(Self {
            bodies: body::Bodies::new(&limits),
            limits,
            requests: AtomicU64::new(0),
            seed: parts.kernel.clock().now().0.unsigned_abs(),
            counts: Mutex::default(),
            turn: tokio::sync::Mutex::new(()),
            parts,
        })
    }

    /// Requests by operation and status.
    pub fn figures(self: &Arc<Self>) -> Figures {
        let aws = self.clone();
        Arc::new(move || {
            let counts = aws.counts.lock();
            let sample = |(key, count): (&(&'static str, u16), &u64)| {
                Sample::count("hw_api_aws_requests_total", *count)
                    .label("operation", key.0)
                    .label("status", key.1.to_string())
            };
            counts.iter().map(sample).collect()
        })
    }

    /// Unique on this node, and between two lives of it.
    fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        uuid::Uuid::from_u64_pair(self.seed, number).to_string()
    }
}

/// Answers requests until the node stops.
pub async fn serve(listener: TcpListener, aws: Arc<Aws>) {
    let (limits, stop) = (aws.limits.clone(), aws.stop.clone());
    let router = Router::new().fallback(respond).with_state(aws);
    server::serve_router(listener, router, limits, stop).await;
}

async fn respond(State(aws): State<Arc<Aws>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let target = target(&head.headers);
    let path = if head.headers.contains_key("x-amz-target") { None } else { at_path(&head) };
    let rest = path.is_some();
    let media_type = match target {
        Some((service, _)) => service.media_type,
        None if rest => rest::MEDIA_TYPE,
        None => SERVICES[0].media_type,
    };
    let (operation, members) = match (target, path) {
        (Some((_, operation)), _) => (Some(operation), Map::new()),
        (None, Some(found)) => (Some(found.operation), found.members),
        (None, None) => (None, Map::new()),
    };
    let answer = answer_to(&aws, &head, body, operation, Place { rest, members }).await;
    let mut response = match answer {
        Ok(Value::Null) => answer::bytes(StatusCode::OK, media_type, Bytes::new()),
        Ok(value) => answer::bytes(StatusCode::OK, media_type, Bytes::from(value.to_string())),
        Err(refusal) if rest => rest::refused(&refusal),
        Err(refusal) => refusal.answer(media_type),
    };
    let operation = operation.map_or("unknown", |operation| operation.name);
    *aws.counts.lock().entry((operation, response.status().as_u16())).or_default() += 1;
    if let Ok(id) = HeaderValue::from_str(&aws.request_id()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

/// Where an operation was asked for.
struct Place {
    /// By its path.
    rest: bool,
    /// What path and query say.
    members: Map<String, Value>,
}

/// The operation that is asked for by its path.
fn at_path(head: &request::Parts) -> Option<rest::Found> {
    rest::find(call::scope(&head.headers), head.method.as_str(), head.uri.path(), head.uri.query())
}

async fn answer_to(
    aws: &Arc<Aws>,
    head: &request::Parts,
    body: axum::body::Body,
    operation: Option<&'static Operation>,
    place: Place,
) -> Answer {
    guard::check(head)?;
    if !place.rest && (head.method != Method::POST || head.uri.path() != "/") {
        return Err(unknown("requests are sent as `POST /`".to_owned()));
    }
    if let Some(protocol) = head.headers.get("smithy-protocol") {
        let shown = String::from_utf8_lossy(protocol.as_bytes()).chars().take(40).collect::<String>();
        return Err(unknown(format!("the protocol {shown} is not served; AWS JSON is")));
    }
    let Some(operation) = operation else {
        let named = head.headers.get("x-amz-target").map(|value| String::from_utf8_lossy(value.as_bytes()));
        let shown: String = named.unwrap_or_default().chars().take(80).collect();
        return Err(unknown(format!("the operation {shown} is not served")));
    };
    let bytes = aws.bodies.read(&head.headers, body, aws.limits.http_body_bytes, &aws.limits).await?;
    let mut body = members(&bytes.bytes)?;
    body.extend(place.members);
    shape::check(operation.input, &body)?;
    let call = Call { aws: aws.clone(), caller: call::caller(&head.headers), body };
    (operation.run)(&call).await
}

fn members(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(bytes).map_err(|error| Refusal::new("SerializationException", error.to_string()))
}

fn target(headers: &HeaderMap) -> Option<(&'static Service, &'static Operation)> {
    let (service, name) = headers.get("x-amz-target")?.to_str().ok()?.split_once('.')?;
    let service = SERVICES.iter().find(|known| known.name == service)?;
    let operation = service.operations.iter().copied().flatten().find(|operation| operation.name == name)?;
    Some((service, operation))
}

fn unknown(message: String) -> Refusal {
    Refusal { status: StatusCode::NOT_FOUND, kind: "UnknownOperationException", message }
}

#[cfg(test)]
mod tests;
