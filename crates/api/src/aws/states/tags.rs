//! Tags of state machines and activities.

use std::sync::Arc;

use headwater_kernel::Resource;

use super::super::arn;
use super::super::call::{Answer, Call, Operation};
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, must, text};
use super::super::tags;
use super::activities::ACTIVITY;
use super::{TAGS, WORKFLOW};

const RESOURCE_ARN: Member = must("resourceArn", text(1, 256));

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "TagResource",
        input: &[RESOURCE_ARN, Member { required: true, ..TAGS }],
        run: |call| Box::pin(tags::tag(call, find, &tags::STATES)),
    },
    Operation {
        name: "UntagResource",
        input: &[RESOURCE_ARN, must("tagKeys", Shape::List(&text(1, 128), 0, 200))],
        run: |call| Box::pin(tags::untag(call, find, "tagKeys")),
    },
    Operation { name: "ListTagsForResource", input: &[RESOURCE_ARN], run: |call| Box::pin(async move { list(call) }) },
];

fn list(call: &Call) -> Answer {
    Ok(tags::list(&*find(call)?, &tags::STATES))
}

fn find(call: &Call) -> Result<Arc<Resource>, Refusal> {
    let given = call.given("resourceArn");
    let arn = arn::states(given, &["stateMachine", "activity"])?;
    let found = match (arn.behind("stateMachine"), arn.behind("activity")) {
        (Some(name), _) => call.aws.find(WORKFLOW, name),
        (_, Some(name)) => call.aws.find(ACTIVITY, name),
        _ => None,
    };
    found.ok_or_else(|| Refusal::new("ResourceNotFound", format!("Resource not found: '{given}'")))
}
