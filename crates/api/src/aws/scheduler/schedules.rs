//! Schedules, which are Schedules here.
//!
//! A schedule's name is unique in its group there and on its node here: one of another group than `default` is the
//! resource `GROUP.NAME`, whose dead letters go to the group's stream; by that the group is known. A Schedule that
//! somebody applied is one of the default group under its own name.

use std::sync::Arc;

use headwater_base::{Micros, Problem, Span};
use headwater_kernel::Resource;
use serde_json::{Map, Value, json};

use super::super::Aws;
use super::super::call::{Answer, Call, Operation, seconds};
use super::super::events::put_some;
use super::super::native::{self, held, held_text};
use super::super::refusal::Refusal;
use super::super::rest::Row;
use super::super::shape::{Member, Shape, may, must, text};
use super::{
    CLIENT_TOKEN, DEFAULT, GROUP, MAX_RESULTS, NAME, NAME_PREFIX, NEXT_TOKEN, conflict, groups, listed, not_found,
    target,
};

/// The kind here.
pub const SCHEDULE: &str = "Schedule";

const STATE: Member = may("State", Shape::Choice(&["ENABLED", "DISABLED"]));
const WINDOW: Shape = Shape::Structure(&[
    must("Mode", Shape::Choice(&["OFF", "FLEXIBLE"])),
    may("MaximumWindowInMinutes", Shape::Integer(1, 1_440)),
]);

/// The members of creating one and of changing one.
const WRITTEN: &[Member] = &[
    NAME,
    GROUP,
    CLIENT_TOKEN,
    STATE,
    must("ScheduleExpression", text(1, 256)),
    may("ScheduleExpressionTimezone", text(1, 50)),
    must("FlexibleTimeWindow", WINDOW),
    must("Target", target::TARGET),
    may("StartDate", Shape::Time),
    may("EndDate", Shape::Time),
    may("Description", text(0, 512)),
    may("ActionAfterCompletion", Shape::Choice(&["NONE", "DELETE"])),
    may("KmsKeyArn", text(1, 2_048)),
];

/// The query of operations on one.
const QUERY: [(&str, &str); 2] = [("groupName", "GroupName"), ("clientToken", "ClientToken")];

/// The operations.
pub const ROWS: &[Row] = &[
    Row {
        method: "POST",
        path: "/schedules/{Name}",
        query: &[],
        operation: Operation { name: "CreateSchedule", input: WRITTEN, run: |call| Box::pin(create(call)) },
    },
    Row {
        method: "PUT",
        path: "/schedules/{Name}",
        query: &[],
        operation: Operation { name: "UpdateSchedule", input: WRITTEN, run: |call| Box::pin(update(call)) },
    },
    Row {
        method: "GET",
        path: "/schedules/{Name}",
        query: &QUERY,
        operation: Operation {
            name: "GetSchedule",
            input: &[NAME, GROUP],
            run: |call| Box::pin(async move { get(call) }),
        },
    },
    Row {
        method: "DELETE",
        path: "/schedules/{Name}",
        query: &QUERY,
        operation: Operation {
            name: "DeleteSchedule",
            input: &[NAME, GROUP, CLIENT_TOKEN],
            run: |call| Box::pin(delete(call)),
        },
    },
    Row {
        method: "GET",
        path: "/schedules",
        query: &[
            ("ScheduleGroup", "GroupName"),
            ("State", "State"),
            ("NamePrefix", "NamePrefix"),
            ("MaxResults", "MaxResults"),
            ("NextToken", "NextToken"),
        ],
        operation: Operation {
            name: "ListSchedules",
            input: &[GROUP, STATE, NAME_PREFIX, MAX_RESULTS, NEXT_TOKEN],
            run: |call| Box::pin(async move { list(call) }),
        },
    },
];

/// The resource's name of a schedule of a group.
fn key(group: &str, name: &str) -> String {
    if group == DEFAULT { name.to_owned() } else { format!("{group}.{name}") }
}

/// The group and the name of a schedule.
fn place(resource: &Resource) -> (&str, &str) {
    let name = resource.metadata.name.as_str();
    let group = native::text(resource, "/deadLetter").and_then(groups::of_stream).unwrap_or(DEFAULT);
    match name.strip_prefix(group).and_then(|rest| rest.strip_prefix('.')).filter(|_| group != DEFAULT) {
        Some(inside) => (group, inside),
        None => (DEFAULT, name),
    }
}

/// The schedules of a group.
pub fn of_group(aws: &Aws, group: &str) -> Vec<Arc<Resource>> {
    let mut all = aws.all(SCHEDULE);
    all.retain(|schedule| place(schedule).0 == group);
    all
}

/// The group and the name that a call's members say.
fn asked(call: &Call) -> (&str, &str) {
    (call.text("GroupName").unwrap_or(DEFAULT), call.given("Name"))
}

/// The schedule that a call's members name.
fn named(call: &Call) -> Result<Arc<Resource>, Refusal> {
    let (group, name) = asked(call);
    let found = call.aws.find(SCHEDULE, &key(group, name)).filter(|found| place(found) == (group, name));
    found.ok_or_else(|| not_found(format!("Schedule {name} does not exist.")))
}

fn arn(call: &Call, group: &str, name: &str) -> String {
    call.caller.arn("scheduler", format_args!("schedule/{group}/{name}"))
}

async fn create(call: &Call) -> Answer {
    let (group, name) = asked(call);
    let _turn = call.aws.turn.lock().await;
    groups::there(call, group)?;
    if let Some(old) = call.aws.kernel.get(SCHEDULE, &key(group, name)) {
        let token = held_text(&old, "ClientToken");
        let again = token.is_some() && token.as_deref() == call.text("ClientToken");
        if again && old.metadata.deleting.is_none() {
            return Ok(json!({ "ScheduleArn": arn(call, group, name) }));
        }
        return Err(conflict(format!("Schedule {name} already exists.")));
    }
    write(call, None).await
}

async fn update(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let old = named(call)?;
    write(call, Some(&old)).await
}

/// Writes a schedule. What the members do not say is as if it were new, as there.
async fn write(call: &Call, old: Option<&Resource>) -> Answer {
    let (group, name) = asked(call);
    if call.value("KmsKeyArn").is_some() {
        return Err(Refusal::validation("KmsKeyArn is not served: keys are not the client's."));
    }
    let mut spec = old.and_then(|old| old.spec.as_object().cloned()).unwrap_or_default();
    for member in ["description", "timezone", "flexibleWindow", "start", "end", "afterwards", "enabled"] {
        spec.shift_remove(member);
    }
    let time = |member: &str| call.time(member).map(|time| time.to_string());
    let sent = call.value("Target").cloned().unwrap_or_default();
    spec.insert("expression".to_owned(), call.given("ScheduleExpression").into());
    spec.insert("targets".to_owned(), json!([target::native(&sent)?]));
    put_some(&mut spec, "description", call.text("Description"));
    put_some(&mut spec, "timezone", call.text("ScheduleExpressionTimezone"));
    put_some(&mut spec, "flexibleWindow", window(call)?);
    put_some(&mut spec, "start", time("StartDate"));
    put_some(&mut spec, "end", time("EndDate"));
    put_some(
        &mut spec,
        "afterwards",
        call.text("ActionAfterCompletion").filter(|what| *what == "DELETE").map(|_| "delete"),
    );
    put_some(&mut spec, "enabled", call.text("State").filter(|state| *state == "DISABLED").map(|_| false));
    if group != DEFAULT {
        spec.insert("deadLetter".to_owned(), groups::stream(group).into());
    }
    let mut held = old.map(held).unwrap_or_default();
    held.insert("Target".to_owned(), sent);
    held.insert("Modified".to_owned(), call.aws.kernel.clock().now().to_string().into());
    if old.is_none() {
        put_some(&mut held, "ClientToken", call.text("ClientToken"));
    }
    let draft = call.aws.draft(SCHEDULE, &key(group, name), &Value::Object(spec), &held, old).map_err(fault)?;
    call.aws.write(vec![draft]).await.map_err(fault)?;
    Ok(json!({ "ScheduleArn": arn(call, group, name) }))
}

/// How long behind its time it may be.
fn window(call: &Call) -> Result<Option<String>, Refusal> {
    let window = call.value("FlexibleTimeWindow").cloned().unwrap_or_default();
    match (window["Mode"].as_str(), window["MaximumWindowInMinutes"].as_u64()) {
        (Some("FLEXIBLE"), Some(minutes)) => Ok(Some(format!("{minutes}m"))),
        (Some("FLEXIBLE"), None) => Err(Refusal::validation(
            "MaximumWindowInMinutes must be given for a flexible time window of mode FLEXIBLE.",
        )),
        (_, Some(_)) => {
            Err(Refusal::validation("MaximumWindowInMinutes cannot be given for a flexible time window of mode OFF."))
        }
        (_, None) => Ok(None),
    }
}

/// What the kind says about a time is worded as the service words it.
fn fault(problems: Vec<Problem>) -> Refusal {
    match problems.into_iter().next() {
        Some(problem) if problem.code.starts_with("HW-BUS-00") => Refusal::validation(problem.title),
        Some(problem) => problem.into(),
        None => Refusal::unavailable("refused without a reason"),
    }
}

fn outline(call: &Call, schedule: &Resource) -> Map<String, Value> {
    let (group, name) = place(schedule);
    let created = schedule.metadata.created;
    let modified = held_text(schedule, "Modified").and_then(|text| Micros::parse_rfc3339(&text)).unwrap_or(created);
    let enabled = native::field(schedule, "/enabled") != Some(&Value::Bool(false));
    let mut shown = Map::new();
    let mut put = |member: &str, value: Value| shown.insert(member.to_owned(), value);
    put("Arn", arn(call, group, name).into());
    put("Name", name.into());
    put("GroupName", group.into());
    put("State", if enabled { "ENABLED" } else { "DISABLED" }.into());
    put("CreationDate", seconds(created));
    put("LastModificationDate", seconds(modified));
    shown
}

fn get(call: &Call) -> Answer {
    let found = named(call)?;
    let mut shown = outline(call, &found);
    let text = |pointer: &str| native::text(&found, pointer);
    let time = |pointer: &str| text(pointer).and_then(Micros::parse_rfc3339).map(seconds);
    put_some(&mut shown, "ScheduleExpression", text("/expression"));
    put_some(&mut shown, "ScheduleExpressionTimezone", Some(text("/timezone").unwrap_or("UTC")));
    put_some(&mut shown, "Description", text("/description"));
    put_some(&mut shown, "StartDate", time("/start"));
    put_some(&mut shown, "EndDate", time("/end"));
    let after = if text("/afterwards") == Some("delete") { "DELETE" } else { "NONE" };
    put_some(&mut shown, "ActionAfterCompletion", Some(after));
    let window = text("/flexibleWindow").and_then(|text| Span::try_from(text.to_owned()).ok());
    let window = match window.map(|window| window.millis().div_ceil(60_000)).filter(|minutes| *minutes > 0) {
        Some(minutes) => json!({ "Mode": "FLEXIBLE", "MaximumWindowInMinutes": minutes }),
        None => json!({ "Mode": "OFF" }),
    };
    put_some(&mut shown, "FlexibleTimeWindow", Some(window));
    put_some(&mut shown, "Target", Some(target::shown(&call.caller, &found)));
    Ok(Value::Object(shown))
}

async fn delete(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let found = named(call)?;
    call.aws.remove(SCHEDULE, found.metadata.name.as_str()).await?;
    Ok(json!({}))
}

fn list(call: &Call) -> Answer {
    let wanted = call.text("GroupName");
    if let Some(group) = wanted {
        groups::there(call, group)?;
    }
    let (prefix, state) = (call.text("NamePrefix").unwrap_or_default(), call.text("State"));
    let mut items = Vec::new();
    for schedule in call.aws.all(SCHEDULE) {
        let (group, name) = place(&schedule);
        let mut shown = outline(call, &schedule);
        let kept = wanted.is_none_or(|wanted| wanted == group)
            && name.starts_with(prefix)
            && state.is_none_or(|state| shown.get("State").and_then(Value::as_str) == Some(state));
        if kept {
            let target = target::shown(&call.caller, &schedule);
            shown.insert("Target".to_owned(), json!({ "Arn": target["Arn"] }));
            items.push((format!("{group}/{name}"), Value::Object(shown)));
        }
    }
    listed(call, "Schedules", items)
}
