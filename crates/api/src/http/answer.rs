//! Bodies of answers.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

/// A JSON document.
pub fn json(status: StatusCode, body: &Value) -> Response {
    bytes(status, "application/json", Bytes::from(body.to_string()))
}

/// Bytes of a media type.
pub fn bytes(status: StatusCode, media_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
