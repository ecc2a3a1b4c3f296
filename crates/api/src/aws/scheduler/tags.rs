//! Tags of groups; schedules have none there.

use std::sync::Arc;

use headwater_kernel::Resource;

use super::super::call::{Answer, Call, Operation};
use super::super::refusal::Refusal;
use super::super::rest::Row;
use super::super::shape::{Member, Shape, must, text};
use super::super::tags;
use super::{TAGS, groups};

const RESOURCE_ARN: Member = must("ResourceArn", text(1, 1_011));

/// The operations.
pub const ROWS: &[Row] = &[
    Row {
        method: "POST",
        path: "/tags/{ResourceArn}",
        query: &[],
        operation: Operation {
            name: "TagResource",
            input: &[RESOURCE_ARN, Member { required: true, ..TAGS }],
            run: |call| Box::pin(tags::tag(call, find, &tags::EVENTS)),
        },
    },
    Row {
        method: "DELETE",
        path: "/tags/{ResourceArn}",
        query: &[("TagKeys", "TagKeys")],
        operation: Operation {
            name: "UntagResource",
            input: &[RESOURCE_ARN, must("TagKeys", Shape::List(&text(1, 128), 0, 200))],
            run: |call| Box::pin(tags::untag(call, find, "TagKeys")),
        },
    },
    Row {
        method: "GET",
        path: "/tags/{ResourceArn}",
        query: &[],
        operation: Operation {
            name: "ListTagsForResource",
            input: &[RESOURCE_ARN],
            run: |call| Box::pin(async move { list(call) }),
        },
    },
];

fn find(call: &Call) -> Result<Arc<Resource>, Refusal> {
    let found = groups::of_arn(call, call.given("ResourceArn"))?;
    found.ok_or_else(|| Refusal::validation("The default schedule group takes no tags."))
}

fn list(call: &Call) -> Answer {
    let found = groups::of_arn(call, call.given("ResourceArn"))?;
    Ok(groups::tags_of(found.as_deref()))
}
