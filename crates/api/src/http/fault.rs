//! A refused request: a [`Problem`] with an HTTP status, written as RFC 9457 asks (`application/problem+json`).
//!
//! Invariant: every status from 400 on leaves through here, those of the router included; only Iceberg's catalog gives
//! its refusals another shape.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use headwater_base::Problem;
use headwater_log::LogError;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// Where the page of a code lives; the `type` of a problem is this and the code.
pub const ERRORS_URL: &str = "https://headwater.dev/docs/errors/";

/// A request that was refused or failed.
#[derive(Debug)]
pub struct Fault {
    /// The HTTP status.
    pub status: StatusCode,
    /// What is wrong; boxed because most requests have none.
    pub problem: Box<Problem>,
    /// Headers that belong to the status, such as `allow` and `retry-after`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Further members of the problem object.
    pub members: Vec<(&'static str, Value)>,
}

impl Fault {
    /// A problem under a status chosen by the caller.
    pub fn new(status: StatusCode, problem: Problem) -> Self {
        Self { status, problem: Box::new(problem), headers: Vec::new(), members: Vec::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The problem object of RFC 9457, section 3.
    pub fn body(&self) -> Value {
        let problem = &self.problem;
        let mut body = json!({
            "type": format!("{ERRORS_URL}{}", problem.code),
            "status": self.status.as_u16(),
            "code": problem.code,
            "title": problem.title,
        });
        if let Some(members) = body.as_object_mut() {
            if let Some(place) = &problem.place {
                members.insert("place".to_owned(), json!(place));
            }
            if !problem.causes.is_empty() {
                members.insert("causes".to_owned(), json!(problem.causes));
            }
            if let Some(help) = &problem.help {
                members.insert("help".to_owned(), json!(help));
            }
            for (name, value) in &self.members {
                members.insert((*name).to_owned(), value.clone());
            }
        }
        body
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::new(status_of(&problem.code), problem)
    }
}

/// The status of codes that come from below; this crate's own are given one where they are made.
fn status_of(code: &str) -> StatusCode {
    match code {
        "HW-API-002" | "HW-API-003" => StatusCode::FORBIDDEN,
        "HW-API-004" | "HW-API-011" | "HW-API-012" | "HW-API-018" | "HW-API-019" => StatusCode::NOT_FOUND,
        "HW-API-005" => StatusCode::METHOD_NOT_ALLOWED,
        "HW-API-006" | "HW-API-014" => StatusCode::PAYLOAD_TOO_LARGE,
        "HW-API-007" | "HW-API-110" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "HW-API-008" | "HW-API-009" | "HW-API-013" | "HW-API-020" | "HW-API-101" | "HW-API-102" | "HW-API-103"
        | "HW-API-104" | "HW-API-105" | "HW-API-106" => StatusCode::BAD_REQUEST,
        "HW-API-010" => StatusCode::REQUEST_TIMEOUT,
        "HW-API-015" => StatusCode::UNPROCESSABLE_ENTITY,
        "HW-API-016" => StatusCode::SERVICE_UNAVAILABLE,
        "HW-API-021" => StatusCode::PRECONDITION_FAILED,
        "HW-API-023" | "HW-KERNEL-012" | "HW-KERNEL-019" | "HW-KERNEL-039" | "HW-FLOW-046" | "HW-BUS-030"
        | "HW-BUS-041" | "HW-BUS-044" | "HW-BUS-062" | "HW-LAKE-030" | "HW-LAKE-032" | "HW-LAKE-091" => {
            StatusCode::NOT_FOUND
        }
        "HW-KERNEL-002" | "HW-KERNEL-040" => StatusCode::PAYLOAD_TOO_LARGE,
        "HW-WORK-020" | "HW-WORK-030" | "HW-WORK-032" | "HW-WORK-036" | "HW-WORK-039" => StatusCode::NOT_FOUND,
        "HW-WORK-004" | "HW-WORK-006" | "HW-WORK-007" | "HW-WORK-021" | "HW-WORK-031" | "HW-WORK-063" => {
            StatusCode::CONFLICT
        }
        "HW-WORK-033" => StatusCode::BAD_REQUEST,
        "HW-WORK-034" => StatusCode::SERVICE_UNAVAILABLE,
        "HW-KERNEL-011" | "HW-KERNEL-020" | "HW-KERNEL-034" => StatusCode::PRECONDITION_FAILED,
        "HW-KERNEL-013" | "HW-KERNEL-027" | "HW-KERNEL-038" | "HW-BUS-040" => StatusCode::CONFLICT,
        "HW-KERNEL-015" | "HW-KERNEL-016" | "HW-KERNEL-022" | "HW-KERNEL-037" | "HW-KERNEL-041" | "HW-BUS-032"
        | "HW-BUS-043" => StatusCode::SERVICE_UNAVAILABLE,
        "HW-KERNEL-024" | "HW-CLI-206" => StatusCode::INTERNAL_SERVER_ERROR,
        "HW-LAKE-040" | "HW-LAKE-041" | "HW-LAKE-042" | "HW-LAKE-071" | "HW-LAKE-102" => StatusCode::BAD_REQUEST,
        "HW-LAKE-045" | "HW-LAKE-073" => StatusCode::NOT_FOUND,
        "HW-LAKE-072" => StatusCode::CONFLICT,
        "HW-LAKE-046" | "HW-LAKE-047" | "HW-LAKE-049" | "HW-LAKE-069" | "HW-LAKE-095" => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        "HW-KERNEL-031" | "HW-LAKE-048" => StatusCode::GATEWAY_TIMEOUT,
        "HW-KERNEL-001" | "HW-KERNEL-003" | "HW-KERNEL-004" | "HW-KERNEL-005" | "HW-KERNEL-006" | "HW-KERNEL-007"
        | "HW-KERNEL-008" | "HW-KERNEL-009" | "HW-KERNEL-010" | "HW-KERNEL-028" | "HW-KERNEL-032" | "HW-KERNEL-036"
        | "HW-KERNEL-042" => StatusCode::BAD_REQUEST,
        _ if code.starts_with("HW-BASE-") => StatusCode::BAD_REQUEST,
        _ if code.starts_with("HW-API-") || code.starts_with("HW-STORE-") => StatusCode::INTERNAL_SERVER_ERROR,
        // What a resource, a pipeline or a document says that it cannot say.
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        match error {
            LogError::UnknownStream(name) => no_stream(&name, None),
            LogError::UnknownPartition(..) => Problem::new("HW-API-012", error.to_string())
                .help("`GET /v1/streams/{name}/partitions` lists the partitions")
                .into(),
            LogError::OffsetOutOfRange { .. } => Problem::new("HW-API-020", error.to_string())
                .help("`from=earliest` starts at the first record that is still kept")
                .into(),
            LogError::BatchTooLarge { .. } => Problem::new("HW-API-014", error.to_string())
                .help("send a smaller event, or raise `maxBatch` of the stream")
                .into(),
            LogError::InvalidRecord(_) | LogError::Config(_) => Problem::new("HW-API-013", error.to_string()).into(),
            LogError::Full(_) | LogError::Limit(_) => busy(error.to_string()),
            LogError::Closed => stopping(),
            LogError::StreamExists(_)
            | LogError::CorruptBatch(_)
            | LogError::OutOfOrderSequence { .. }
            | LogError::ProducerFenced(..)
            | LogError::Fenced(..)
            | LogError::Moved(..)
            | LogError::Repeated => refused(StatusCode::INTERNAL_SERVER_ERROR, &error),
            // It passes with the cause, such as a full disk, and nothing of the request was written.
            LogError::Disk(_) => refused(StatusCode::SERVICE_UNAVAILABLE, &error)
                .header(hyper::header::RETRY_AFTER, HeaderValue::from_static("5")),
        }
    }
}

/// `HW-API-017`: the log refused.
fn refused(status: StatusCode, error: &LogError) -> Fault {
    let problem = Problem::new("HW-API-017", format!("the event log refused: {error}"));
    Fault::new(status, problem.help("`headwater doctor` checks the data folder and the disk"))
}

/// `HW-API-011`: there is no stream of that name.
pub fn no_stream(name: &str, near: Option<&str>) -> Fault {
    let problem = Problem::new("HW-API-011", format!("no stream `{}`", name.escape_debug()));
    match near {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help("`headwater get streams` lists the streams; apply a Stream to make one"),
    }
    .into()
}

/// `HW-API-016`: a bound is reached, the same request may succeed a moment later.
pub fn busy(fact: impl Into<String>) -> Fault {
    Fault::from(Problem::new("HW-API-016", fact).help("send it again in a second"))
        .header(hyper::header::RETRY_AFTER, HeaderValue::from_static("1"))
}

/// `HW-API-016`: the node is on its way down.
pub fn stopping() -> Fault {
    busy("the node is stopping")
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = Bytes::from(self.body().to_string());
        let mut response = Response::new(axum::body::Body::from(body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests;
