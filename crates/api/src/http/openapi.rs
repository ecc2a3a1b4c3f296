//! `GET /openapi.json`: OpenAPI 3.1, made of the rows of [`routes`] and the kinds.
//!
//! # Source
//! OpenAPI Specification 3.1.0; its schemas are JSON Schema 2020-12, as the kinds give them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use headwater_kernel::kind::rebased;
use headwater_wire::cloudevents;
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::http::routes::{self, Body, Route};
use crate::http::{Api, answer};

/// Headers of a CloudEvent in the binary mode (HTTP protocol binding, section 3.1), and what they mean.
const BINARY: &[(&str, &str)] = &[
    ("ce-specversion", "`1.0`; with it the body is the data of one event, in the type that `content-type` says."),
    ("ce-id", "The event's id, in the binary mode."),
    ("ce-source", "The event's source, in the binary mode."),
    ("ce-type", "The event's type, in the binary mode; each further attribute has a header of its own."),
];

/// Gives the document.
pub async fn document(State(api): State<Arc<Api>>) -> Response {
    let registry = api.kernel.registry();
    let kinds: Vec<(&'static str, Value)> =
        registry.kinds().iter().map(|kind| (kind.name, registry.resource_schema(kind))).collect();
    answer::json(StatusCode::OK, &describe(&kinds))
}

/// The whole document; `kinds` are pairs of a kind's name and the schema of its resources.
pub fn describe(kinds: &[(&'static str, Value)]) -> Value {
    let mut paths = Map::new();
    for route in routes::all() {
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(route.method.to_owned(), operation(route));
        }
    }
    let mut schemas = Map::new();
    schemas.insert("Problem".to_owned(), problem_schema());
    for (name, schema) in kinds {
        schemas.insert((*name).to_owned(), rebased(schema.clone(), &format!("#/components/schemas/{name}")));
    }
    let one_of: Vec<Value> =
        kinds.iter().map(|(name, _)| json!({ "$ref": format!("#/components/schemas/{name}") })).collect();
    schemas.insert(
        "Resource".to_owned(),
        if one_of.is_empty() { json!({ "type": "object" }) } else { json!({ "oneOf": one_of }) },
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Headwater",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every refusal is an RFC 9457 problem with a stable `code`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        // The node that gave this document out, whatever its port.
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|step| step.strip_prefix('{')?.trim_start_matches('*').strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    for (name, meaning) in route.query {
        parameters.push(json!({ "name": name, "in": "query", "required": false, "description": meaning, "schema": { "type": "string" } }));
    }
    if route.body == Body::Events {
        for (name, meaning) in BINARY {
            parameters.push(json!({ "name": name, "in": "header", "required": false, "description": meaning, "schema": { "type": "string" } }));
        }
    }
    let mut operation = json!({
        "operationId": route.operation,
        "tags": [route.tag],
        "summary": route.summary,
        "parameters": parameters,
    });
    let Some(members) = operation.as_object_mut() else { return operation };
    if let Some(content) = content_of(route.body) {
        members.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let done = match route.answer {
        "" => json!({ "204": { "description": "Done." } }),
        media_type => json!({ "200": { "description": "Done.", "content": { media_type: {} } } }),
    };
    members.insert("responses".to_owned(), done);
    if let Some(responses) = members.get_mut("responses").and_then(Value::as_object_mut) {
        if routes::CREATE.contains(&route.operation) {
            responses.insert(
                "201".to_owned(),
                json!({ "description": "Made: there was none.", "content": { route.answer: {} } }),
            );
        }
        let problem = json!({ "$ref": "#/components/schemas/Problem" });
        responses.insert(
            "default".to_owned(),
            json!({ "description": "Refused or failed.", "content": { "application/problem+json": { "schema": problem } } }),
        );
    }
    operation
}

fn content_of(body: Body) -> Option<Value> {
    let object = json!({ "schema": { "type": "object" } });
    let resource = json!({ "schema": { "$ref": "#/components/schemas/Resource" } });
    Some(match body {
        Body::None => return None,
        Body::Object => json!({ "application/json": object }),
        Body::Events => json!({
            "application/json": { "schema": { "type": ["object", "array"] } },
            "application/x-ndjson": { "schema": { "type": "string" } },
            cloudevents::STRUCTURED: object,
            cloudevents::BATCH: { "schema": { "type": "array", "items": { "type": "object" } } },
            // The data of one event in the binary mode, of whatever type.
            "*/*": {},
        }),
        Body::Keys => json!({ "application/json": { "schema": {
            "type": "object",
            "required": ["keys"],
            "properties": { "keys": { "type": "array", "maxItems": 1000, "items": { "type": "string" } } },
        } } }),
        Body::Resources => {
            json!({ "application/yaml": { "schema": { "type": "string" } }, "application/json": resource })
        }
        Body::Resource => {
            json!({ "application/json": resource, "application/yaml": { "schema": { "type": "string" } } })
        }
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457, with a stable code.",
        "required": ["type", "status", "code", "title"],
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "status": { "type": "integer" },
            "code": { "type": "string", "pattern": "^HW-[A-Z]+-[0-9]{3}$" },
            "title": { "type": "string" },
            "place": { "type": "object", "properties": { "path": { "type": "string" }, "line": { "type": "integer" }, "column": { "type": "integer" } } },
            "causes": { "type": "array", "items": { "type": "string" } },
            "help": { "type": "string" },
        },
    })
}
