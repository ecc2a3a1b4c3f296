//! EventBridge Scheduler: each file holds operations on one noun, as rows and functions.

mod groups;
mod schedules;
mod tags;
mod target;

use serde_json::Value;

use super::call::{Answer, Call};
use super::page;
use super::refusal::Refusal;
use super::rest::Row;
use super::shape::{Member, Shape, may, must, name, text};

/// The operations of Scheduler.
pub const ROWS: &[&[Row]] = &[schedules::ROWS, groups::ROWS, tags::ROWS];

const NAME: Member = must("Name", name(64));
const NAME_PREFIX: Member = may("NamePrefix", name(64));
const GROUP: Member = may("GroupName", name(64));
const CLIENT_TOKEN: Member = may("ClientToken", text(1, 64));
const MAX_RESULTS: Member = may("MaxResults", Shape::Integer(1, 100));
const NEXT_TOKEN: Member = may("NextToken", text(1, 2_048));
const TAGS: Member =
    may("Tags", Shape::List(&Shape::Structure(&[must("Key", text(1, 128)), must("Value", text(1, 256))]), 0, 200));

/// The query of every list.
const PAGES: [(&str, &str); 3] =
    [("NamePrefix", "NamePrefix"), ("MaxResults", "MaxResults"), ("NextToken", "NextToken")];

/// The group that is always there.
const DEFAULT: &str = "default";

fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::new("ResourceNotFoundException", message)
}

fn conflict(message: impl Into<String>) -> Refusal {
    Refusal::new("ConflictException", message)
}

/// A list's answer: the page its members ask for.
fn listed(call: &Call, member: &str, items: Vec<(String, Value)>) -> Answer {
    page::listed(call, member, "MaxResults", items)
}
