//! Tags of pipes, which are an object here, where the other services send a list.

use std::sync::Arc;

use headwater_kernel::Resource;
use serde_json::{Map, Value, json};

use super::super::arn::Arn;
use super::super::call::{Answer, Call, Operation};
use super::super::native::held;
use super::super::refusal::Refusal;
use super::super::rest::Row;
use super::super::shape::{Member, Shape, must, text};
use super::super::tags::{self, TAGS_MAX};

const RESOURCE_ARN: Member = must("resourceArn", text(1, 1_600));

/// The operations.
pub const ROWS: &[Row] = &[
    Row {
        method: "POST",
        path: "/tags/{resourceArn}",
        query: &[],
        operation: Operation {
            name: "TagResource",
            input: &[RESOURCE_ARN, must("tags", Shape::Map(&text(0, 256)))],
            run: |call| Box::pin(tag(call)),
        },
    },
    Row {
        method: "DELETE",
        path: "/tags/{resourceArn}",
        query: &[("tagKeys", "tagKeys")],
        operation: Operation {
            name: "UntagResource",
            input: &[RESOURCE_ARN, must("tagKeys", Shape::List(&text(1, 128), 0, 50))],
            run: |call| Box::pin(tags::untag(call, find, "tagKeys")),
        },
    },
    Row {
        method: "GET",
        path: "/tags/{resourceArn}",
        query: &[],
        operation: Operation {
            name: "ListTagsForResource",
            input: &[RESOURCE_ARN],
            run: |call| Box::pin(async move { list(call) }),
        },
    },
];

fn find(call: &Call) -> Result<Arc<Resource>, Refusal> {
    let given = call.given("resourceArn");
    let arn = Arn::read(given).filter(|arn| arn.service == "pipes");
    match arn.and_then(|arn| arn.path.strip_prefix("pipe/")) {
        Some(name) => super::find(call, name),
        None => Err(Refusal::validation(format!("Provided Arn {given} is not valid."))),
    }
}

fn of(pipe: &Resource) -> Map<String, Value> {
    held(pipe).get("tags").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Refuses more tags than a pipe may have.
pub(super) fn bounded(tags: &Map<String, Value>) -> Result<(), Refusal> {
    if tags.len() <= TAGS_MAX {
        return Ok(());
    }
    Err(Refusal::validation(format!("a pipe has {TAGS_MAX} tags at most")))
}

async fn tag(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let pipe = find(call)?;
    let mut tags = of(&pipe);
    tags.extend(call.value("tags").and_then(Value::as_object).cloned().unwrap_or_default());
    bounded(&tags)?;
    let mut held = held(&pipe);
    held.insert("tags".to_owned(), Value::Object(tags));
    call.aws.hold(&pipe, &held).await?;
    Ok(json!({}))
}

fn list(call: &Call) -> Answer {
    Ok(json!({ "tags": of(&*find(call)?) }))
}
