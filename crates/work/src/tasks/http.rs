//! `http:invoke`: a request to an HTTP API, with the credentials of a Destination or without.
//!
//! An answer of status 2xx is the task's; any other fails it as `States.Http.StatusCode.<status>` with the body as its
//! cause. Each try of one effect carries the same `Idempotency-Key`.

use bytes::Bytes;
use headwater_kernel::port::outlet::{ANSWER_BYTES_MAX, Asked, Outgoing};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::client::{self, Request, Response, Unanswered};
use super::parameters::Parameters;
use super::{Call, Plan, Services, failure};
use crate::definition::resource::Service;
use crate::execution::Failure;

mod encoding;

/// Headers that say how a message is carried; the client alone writes them.
const CARRIER: [&str; 11] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "expect",
];

const FIELDS: &[&str] = &[
    "ApiEndpoint",
    "Method",
    "Authentication",
    "InvocationConfig",
    "Headers",
    "QueryParameters",
    "RequestBody",
    "Transform",
];

pub(super) fn plan(services: &Services, _: &Service, call: &Call<'_>) -> Result<Plan, Failure> {
    let parameters = Parameters::new(call.parameters, FIELDS)?;
    let mut url = client::address(parameters.text("ApiEndpoint")?)?;
    if let Some(query) = parameters.optional_object("QueryParameters")? {
        let mut pairs = url.query_pairs_mut();
        for (name, value) in query {
            for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
                pairs.append_pair(name, &text(value));
            }
        }
    }
    let method = parameters.text("Method")?.to_ascii_uppercase();
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return Err(failure::parameters(format!("`{method}` is no HTTP method")));
    };
    let mut headers = headers(parameters)?;
    let body = body(parameters, &mut headers)?;
    let timeout = client::timeout(call.now, call.deadline);
    let destination = destination(parameters)?;
    let key = call.key.to_owned();
    let named =
        |headers: &[(String, String)], name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let Some(destination) = destination else {
        if !named(&headers, "idempotency-key") {
            headers.push(("Idempotency-Key".to_owned(), key));
        }
        let client = services.http.clone();
        let request = Request { method, url, headers, body, timeout };
        return Ok(Plan::External(Box::pin(async move { answer(client.send(request).await.map_err(unanswered)?) })));
    };
    let outlets = services.outlets.clone().ok_or_else(|| failure::unwired("destinations"))?;
    let asked = Asked { method: method.to_string(), url: url.to_string(), headers };
    let (body, now) = (body.unwrap_or_default(), call.now);
    Ok(Plan::External(Box::pin(async move {
        let missing = || socket(&format!("the destination `{}` does not run", destination.escape_debug()));
        let outlet = outlets.outlet(&destination).ok_or_else(missing)?;
        let outgoing = Outgoing { key: &key, body: &body, now, asked: Some(&asked) };
        let sent = tokio::time::timeout(timeout, outlet.send(outgoing)).await;
        let response = match sent.map_err(|_| socket("the call timed out"))? {
            Ok(taken) => {
                let body = taken.body.ok_or_else(|| unanswered(Unanswered::TooLarge(ANSWER_BYTES_MAX)))?;
                Response { status: taken.status.unwrap_or(200), headers: taken.headers, body }
            }
            Err(refused) => match refused.status {
                Some(status) => Response { status, headers: Vec::new(), body: refused.said },
                None => return Err(socket(&refused.reason)),
            },
        };
        answer(response)
    })))
}

/// The Destination whose credentials go with the request: its name, or a connection's ARN that ends in it.
fn destination(parameters: Parameters<'_>) -> Result<Option<String>, Failure> {
    for field in ["Authentication", "InvocationConfig"] {
        let Some(given) = parameters.optional_object(field)? else { continue };
        let Some(name) = given.get("ConnectionArn").and_then(Value::as_str) else {
            return Err(failure::parameters(format!("`{field}` is `{{\"ConnectionArn\": …}}`")));
        };
        // arn:aws:events:REGION:ACCOUNT:connection/NAME/ID
        let name = name.split_once(":connection/").map_or(name, |(_, rest)| rest.split('/').next().unwrap_or(rest));
        return Ok(Some(name.to_owned()));
    }
    Ok(None)
}

fn headers(parameters: Parameters<'_>) -> Result<Vec<(String, String)>, Failure> {
    let mut headers = Vec::new();
    for (name, value) in parameters.optional_object("Headers")?.into_iter().flatten() {
        if CARRIER.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(failure::parameters(format!("the header `{}` cannot be set", name.escape_debug())));
        }
        for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            headers.push((name.clone(), text(value)));
        }
    }
    Ok(headers)
}

/// The body, and the type it is of where nobody says.
fn body(parameters: Parameters<'_>, headers: &mut Vec<(String, String)>) -> Result<Option<Bytes>, Failure> {
    let Some(given) = parameters.get("RequestBody") else { return Ok(None) };
    let transform = parameters.optional_object("Transform")?;
    let option = |field: &str| transform.and_then(|transform| transform.get(field));
    let (body, kind) = match option("RequestBodyEncoding").and_then(Value::as_str) {
        Some("URL_ENCODED") => {
            let options = option("RequestEncodingOptions").and_then(|options| options.get("ArrayFormat"));
            let format = options.and_then(Value::as_str).unwrap_or("INDICES");
            (encoding::form(given, format)?, "application/x-www-form-urlencoded")
        }
        None | Some("NONE") => match given {
            Value::String(text) => (text.clone(), "text/plain; charset=utf-8"),
            other => (other.to_string(), "application/json"),
        },
        Some(other) => return Err(failure::parameters(format!("there is no `RequestBodyEncoding` `{other}`"))),
    };
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("Content-Type".to_owned(), kind.to_owned()));
    }
    Ok(Some(Bytes::from(body)))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The task's answer, or its failure for a status that is none of 2xx.
fn answer(response: Response) -> Result<Value, Failure> {
    let body = String::from_utf8_lossy(&response.body);
    if !(200..300).contains(&response.status) {
        return Err(Failure::new(format!("States.Http.StatusCode.{}", response.status), body));
    }
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in response.headers {
        if let Value::Array(values) = headers.entry(name).or_insert_with(|| json!([])) {
            values.push(json!(value));
        }
    }
    let parsed = serde_json::from_str(&body).unwrap_or_else(|_| json!(body));
    let status = StatusCode::from_u16(response.status).ok().and_then(|status| status.canonical_reason());
    let status = status.unwrap_or_default();
    Ok(json!({ "Headers": headers, "ResponseBody": parsed, "StatusCode": response.status, "StatusText": status }))
}

fn unanswered(why: Unanswered) -> Failure {
    match why {
        Unanswered::Closed(words) | Unanswered::Broken(words) => socket(&words),
        Unanswered::TooLarge(limit) => {
            Failure::new("States.DataLimitExceeded", format!("the answer has more than {limit} bytes"))
        }
    }
}

fn socket(words: &str) -> Failure {
    Failure::new("States.Http.Socket", words)
}

#[cfg(test)]
mod tests;
