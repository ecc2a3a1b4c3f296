//! Tags of event buses and rules.

use std::sync::Arc;

use headwater_kernel::Resource;

use super::super::arn::Arn;
use super::super::call::{Answer, Call, Operation};
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, must, text};
use super::super::tags;
use super::{TAGS, buses, not_found, rules};

const RESOURCE_ARN: Member = must("ResourceARN", text(1, 1_600));

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "TagResource",
        input: &[RESOURCE_ARN, Member { required: true, ..TAGS }],
        run: |call| Box::pin(tags::tag(call, find, &tags::EVENTS)),
    },
    Operation {
        name: "UntagResource",
        input: &[RESOURCE_ARN, must("TagKeys", Shape::List(&text(1, 128), 0, 200))],
        run: |call| Box::pin(tags::untag(call, find, "TagKeys")),
    },
    Operation { name: "ListTagsForResource", input: &[RESOURCE_ARN], run: |call| Box::pin(async move { list(call) }) },
];

fn list(call: &Call) -> Answer {
    Ok(tags::list(&*find(call)?, &tags::EVENTS))
}

fn find(call: &Call) -> Result<Arc<Resource>, Refusal> {
    let given = call.given("ResourceARN");
    let path = Arn::read(given).filter(|arn| arn.service == "events").map(|arn| arn.path);
    let mut parts = path.unwrap_or_default().split('/');
    let found = match (parts.next(), parts.next(), parts.next()) {
        (Some("event-bus"), Some(bus), None) => buses::find(&call.aws, bus),
        (Some("rule"), Some(rule), None) => rules::find(&call.aws, "default", rule),
        (Some("rule"), Some(bus), Some(rule)) => rules::find(&call.aws, bus, rule),
        (Some("event-bus" | "rule"), ..) => None,
        _ => return Err(Refusal::validation("tags are kept for event buses and rules")),
    };
    found.ok_or_else(|| not_found(format!("Resource {given} does not exist.")))
}
