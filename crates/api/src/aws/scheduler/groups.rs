//! Groups of schedules. A group is the stream `schedules.GROUP`, which takes the dead letters of its schedules; the
//! group `default` is always there, and its schedules have a stream each.

use std::sync::Arc;

use headwater_base::Micros;
use headwater_kernel::Resource;
use serde_json::{Map, Value, json};

use super::super::arn::Arn;
use super::super::call::{Answer, Call, Operation, seconds};
use super::super::events::{buses, put_some};
use super::super::native::held_text;
use super::super::refusal::Refusal;
use super::super::rest::Row;
use super::super::tags;
use super::{
    CLIENT_TOKEN, DEFAULT, MAX_RESULTS, NAME, NAME_PREFIX, NEXT_TOKEN, PAGES, TAGS, conflict, listed, not_found,
    schedules,
};

/// The kind here.
const STREAM: &str = "Stream";

const PREFIX: &str = "schedules.";

/// The operations.
pub const ROWS: &[Row] = &[
    Row {
        method: "POST",
        path: "/schedule-groups/{Name}",
        query: &[],
        operation: Operation {
            name: "CreateScheduleGroup",
            input: &[NAME, CLIENT_TOKEN, TAGS],
            run: |call| Box::pin(create(call)),
        },
    },
    Row {
        method: "GET",
        path: "/schedule-groups/{Name}",
        query: &[],
        operation: Operation {
            name: "GetScheduleGroup",
            input: &[NAME],
            run: |call| Box::pin(async move { get(call) }),
        },
    },
    Row {
        method: "DELETE",
        path: "/schedule-groups/{Name}",
        query: &[("clientToken", "ClientToken")],
        operation: Operation {
            name: "DeleteScheduleGroup",
            input: &[NAME, CLIENT_TOKEN],
            run: |call| Box::pin(delete(call)),
        },
    },
    Row {
        method: "GET",
        path: "/schedule-groups",
        query: &PAGES,
        operation: Operation {
            name: "ListScheduleGroups",
            input: &[NAME_PREFIX, MAX_RESULTS, NEXT_TOKEN],
            run: |call| Box::pin(async move { list(call) }),
        },
    },
];

/// The stream of a group.
pub fn stream(group: &str) -> String {
    format!("{PREFIX}{group}")
}

/// The group of a stream.
pub fn of_stream(stream: &str) -> Option<&str> {
    stream.strip_prefix(PREFIX).filter(|group| *group != DEFAULT)
}

/// A group that is there; None for the default one, which needs none.
///
/// # Errors
/// `ResourceNotFoundException`.
pub fn there(call: &Call, group: &str) -> Result<Option<Arc<Resource>>, Refusal> {
    if group == DEFAULT {
        return Ok(None);
    }
    let found = call.aws.find(STREAM, &stream(group));
    found.map(Some).ok_or_else(|| not_found(format!("Schedule group {group} does not exist.")))
}

/// The group that an ARN names.
///
/// # Errors
/// `ResourceNotFoundException`.
pub fn of_arn(call: &Call, given: &str) -> Result<Option<Arc<Resource>>, Refusal> {
    let arn = Arn::read(given).filter(|arn| arn.service == "scheduler");
    match arn.and_then(|arn| arn.path.strip_prefix("schedule-group/")) {
        Some(group) => there(call, group),
        None => Err(Refusal::validation(format!("Invalid resource arn: {given}"))),
    }
}

fn arn(call: &Call, group: &str) -> String {
    call.caller.arn("scheduler", format_args!("schedule-group/{group}"))
}

async fn create(call: &Call) -> Answer {
    let group = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    let name = stream(group);
    let old = if group == DEFAULT { None } else { call.aws.kernel.get(STREAM, &name) };
    if let Some(old) = &old {
        let token = held_text(old, "ClientToken");
        let again = token.is_some() && token.as_deref() == call.text("ClientToken");
        if again && old.metadata.deleting.is_none() {
            return Ok(json!({ "ScheduleGroupArn": arn(call, group) }));
        }
    }
    if group == DEFAULT || old.is_some() {
        return Err(conflict(format!("Schedule group {group} already exists.")));
    }
    let mut held = Map::new();
    put_some(&mut held, "ClientToken", call.text("ClientToken"));
    tags::put(&mut held, call.list("Tags"), &tags::EVENTS)?;
    let draft = call.aws.draft(STREAM, &name, &json!({ "partitions": 1 }), &held, None)?;
    call.aws.write(vec![draft]).await?;
    Ok(json!({ "ScheduleGroupArn": arn(call, group) }))
}

fn shown(call: &Call, group: &str, created: Option<Micros>) -> Value {
    let mut shown = Map::new();
    shown.insert("Arn".to_owned(), arn(call, group).into());
    shown.insert("Name".to_owned(), group.into());
    shown.insert("State".to_owned(), "ACTIVE".into());
    put_some(&mut shown, "CreationDate", created.map(seconds));
    put_some(&mut shown, "LastModificationDate", created.map(seconds));
    Value::Object(shown)
}

/// When a group was made; the default one with the default bus.
fn created(call: &Call, group: Option<&Resource>) -> Option<Micros> {
    match group {
        Some(group) => Some(group.metadata.created),
        None => buses::find(&call.aws, DEFAULT).map(|bus| bus.metadata.created),
    }
}

fn get(call: &Call) -> Answer {
    let group = call.given("Name");
    let found = there(call, group)?;
    Ok(shown(call, group, created(call, found.as_deref())))
}

fn list(call: &Call) -> Answer {
    let prefix = call.text("NamePrefix").unwrap_or_default();
    let mut items = Vec::new();
    if DEFAULT.starts_with(prefix) {
        items.push((DEFAULT.to_owned(), shown(call, DEFAULT, created(call, None))));
    }
    for resource in call.aws.all(STREAM) {
        let name = resource.metadata.name.as_str();
        if let Some(group) = of_stream(name).filter(|group| group.starts_with(prefix)) {
            items.push((group.to_owned(), shown(call, group, Some(resource.metadata.created))));
        }
    }
    listed(call, "ScheduleGroups", items)
}

/// A group goes with its schedules.
async fn delete(call: &Call) -> Answer {
    let group = call.given("Name");
    if group == DEFAULT {
        return Err(Refusal::validation("The default schedule group cannot be deleted."));
    }
    let _turn = call.aws.turn.lock().await;
    there(call, group)?;
    for schedule in schedules::of_group(&call.aws, group) {
        call.aws.remove(schedules::SCHEDULE, schedule.metadata.name.as_str()).await?;
    }
    call.aws.remove(STREAM, &stream(group)).await?;
    Ok(json!({}))
}

/// Tags of a group; none of the default one.
pub fn tags_of(group: Option<&Resource>) -> Value {
    group.map_or_else(|| json!({ "Tags": [] }), |group| tags::list(group, &tags::EVENTS))
}
