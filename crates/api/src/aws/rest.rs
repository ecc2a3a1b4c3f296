//! Operations behind paths (REST JSON): Scheduler and Pipes.
//!
//! What it is NOT: another way to write an operation. A row binds a method, a path and the parameters of a query to the
//! members of an operation; from there on it is a [`super::call::Call`] as any other.
//!
//! The services' paths differ but for `/tags/`, where the credentials' scope says which is meant.
//!
//! Specification: Smithy `aws.protocols#restJson1`.

use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::call::Operation;
use super::pipes;
use super::refusal::Refusal;
use super::scheduler;
use super::shape::Shape;
use crate::http::answer;

/// The media type of the protocol.
pub const MEDIA_TYPE: &str = "application/json";

/// Parameters of one query that are read.
const PARAMETERS_MAX: usize = 256;

/// A service behind paths.
pub struct Service {
    /// As the documentation calls it.
    pub name: &'static str,
    /// As the credentials' scope calls it.
    scope: &'static str,
    /// Its operations.
    pub rows: &'static [&'static [Row]],
}

/// An operation and where it is.
pub struct Row {
    /// The method.
    pub method: &'static str,
    /// The path; `{Member}` stands for one part of it.
    pub path: &'static str,
    /// Parameters of the query and the members they are.
    pub query: &'static [(&'static str, &'static str)],
    /// What is there.
    pub operation: Operation,
}

/// Everything that is served.
pub static SERVICES: [Service; 2] = [
    Service { name: "Scheduler", scope: "scheduler", rows: scheduler::ROWS },
    Service { name: "Pipes", scope: "pipes", rows: pipes::ROWS },
];

/// A request that a row answers.
pub struct Found {
    /// The operation.
    pub operation: &'static Operation,
    /// What path and query say.
    pub members: Map<String, Value>,
}

/// The row for a request, of the scope's service before others.
pub fn find(scope: Option<&str>, method: &str, path: &str, query: Option<&str>) -> Option<Found> {
    let of_scope = SERVICES.iter().filter(|service| Some(service.scope) == scope);
    let others = SERVICES.iter().filter(|service| Some(service.scope) != scope);
    let rows = of_scope.chain(others).flat_map(|service| service.rows.iter().copied().flatten());
    let (row, mut members) = rows.filter(|row| row.method == method).find_map(|row| Some((row, parts(row, path)?)))?;
    read_query(row, query.unwrap_or_default(), &mut members);
    Some(Found { operation: &row.operation, members })
}

/// The members that a path holds; None for another path.
fn parts(row: &Row, path: &str) -> Option<Map<String, Value>> {
    let mut members = Map::new();
    let mut given = path.split('/');
    for part in row.path.split('/') {
        let given = given.next()?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(member) => {
                let text = decode(given).filter(|text| !text.is_empty())?;
                members.insert(member.to_owned(), text.into());
            }
            None if part == given => {}
            None => return None,
        }
    }
    given.next().is_none().then_some(members)
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Adds what a query says. What no row names, and what cannot be read, is passed over as an unknown member is.
fn read_query(row: &Row, query: &str, members: &mut Map<String, Value>) {
    for pair in query.split('&').filter(|pair| !pair.is_empty()).take(PARAMETERS_MAX) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decode(name), decode(&value.replace('+', " "))) else { continue };
        let Some((_, member)) = row.query.iter().find(|(known, _)| *known == name) else { continue };
        let shape = row.operation.input.iter().find(|known| known.name == *member).map(|known| known.shape);
        match shape {
            Some(Shape::List(..)) => {
                let list = members.entry(*member).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(value.into());
                }
            }
            Some(Shape::Integer(..)) => {
                let number = value.parse::<i64>().map_or_else(|_| Value::from(value), Value::from);
                members.insert((*member).to_owned(), number);
            }
            _ => {
                members.insert((*member).to_owned(), value.into());
            }
        }
    }
}

/// A refusal as clients of the protocol read it.
pub fn refused(refusal: &Refusal) -> Response {
    // The words of these services for what the others call differently.
    let kind = match refusal.kind {
        "ConcurrentModificationException" => "ConflictException",
        "LimitExceededException" => "ServiceQuotaExceededException",
        "SerializationException" => "ValidationException",
        other => other,
    };
    let status = match kind {
        "ConflictException" => StatusCode::CONFLICT,
        "ServiceQuotaExceededException" => StatusCode::PAYMENT_REQUIRED,
        "ResourceNotFoundException" | "NotFoundException" => StatusCode::NOT_FOUND,
        _ => refusal.status,
    };
    // Scheduler names the member with a capital, Pipes without.
    let body = json!({ "message": refusal.message, "Message": refusal.message });
    let mut response = answer::bytes(status, MEDIA_TYPE, Bytes::from(body.to_string()));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests;
