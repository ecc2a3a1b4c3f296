//! A refused request: a name that clients make an exception class of, and a message.
//!
//! What it is NOT: a [`Problem`] of the platform; one that comes from below is put into these words, its code with it.

use axum::response::Response;
use bytes::Bytes;
use headwater_base::Problem;
use hyper::StatusCode;
use serde_json::json;

use crate::http::answer;
use crate::http::fault::Fault;

/// A request that was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status; 400 for all that a client can do something about.
    pub status: StatusCode,
    /// The exception's name.
    pub kind: &'static str,
    /// The message.
    pub message: String,
}

impl Refusal {
    /// An exception by its name.
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind, message: message.into() }
    }

    /// `ValidationException`.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// What the node cannot do just now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "ServiceUnavailableException", message: message.into() }
    }

    /// As a client reads it.
    pub fn answer(&self, media_type: &'static str) -> Response {
        let body = json!({ "__type": self.kind, "message": self.message });
        answer::bytes(self.status, media_type, Bytes::from(body.to_string()))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Fault::from(problem).into()
    }
}

/// Several problems of one apply; the first is the one that is told.
impl From<Vec<Problem>> for Refusal {
    fn from(problems: Vec<Problem>) -> Self {
        match problems.into_iter().next() {
            Some(problem) => problem.into(),
            None => Self::unavailable("refused without a reason"),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let problem = &fault.problem;
        let kind = match (fault.status, problem.code.as_str()) {
            (_, "HW-KERNEL-011") => "ConcurrentModificationException",
            (_, "HW-KERNEL-015") => "LimitExceededException",
            (StatusCode::FORBIDDEN, _) => "AccessDeniedException",
            (StatusCode::PAYLOAD_TOO_LARGE, _) => "RequestEntityTooLargeException",
            (StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT, _) => "ServiceUnavailableException",
            (status, _) if status.is_server_error() => "InternalException",
            _ => "ValidationException",
        };
        let status = match kind {
            "ConcurrentModificationException" | "LimitExceededException" | "ValidationException" => {
                StatusCode::BAD_REQUEST
            }
            _ => fault.status,
        };
        let causes: String = problem.causes.iter().map(|cause| format!(": {cause}")).collect();
        let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        Self { status, kind, message: format!("{}{causes}{help} [{}]", problem.title, problem.code) }
    }
}
