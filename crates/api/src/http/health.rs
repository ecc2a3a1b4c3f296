//! `/healthz` (is the process alive) and `/readyz` (should it be sent work, and if not, why).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use hyper::StatusCode;
use serde_json::json;

use crate::http::fault::{Fault, busy};
use crate::http::{Api, answer};

/// One part of the node: its name and, if it is not ready, why.
pub type Part = (&'static str, Option<String>);

/// Asks the parts of the node.
pub type Readiness = Arc<dyn Fn() -> Vec<Part> + Send + Sync>;

/// Answers as long as the process does.
pub async fn alive() -> Response {
    answer::json(StatusCode::OK, &json!({ "alive": true }))
}

/// 200 when every part is ready, 503 with the reasons otherwise.
pub async fn ready(State(api): State<Arc<Api>>) -> Result<Response, Fault> {
    let mut parts = (api.readiness)();
    if *api.stop.borrow() {
        parts.push(("node", Some("is stopping".to_owned())));
    }
    let reasons: Vec<String> =
        parts.iter().filter_map(|(part, reason)| reason.as_ref().map(|reason| format!("{part}: {reason}"))).collect();
    if reasons.is_empty() {
        let names: Vec<&str> = parts.iter().map(|(part, _)| *part).collect();
        return Ok(answer::json(StatusCode::OK, &json!({ "ready": true, "parts": names })));
    }
    let mut fault = busy("the node is not ready");
    fault.problem.causes = reasons;
    Err(fault)
}
