//! Archives, which are Archives here.

use std::sync::Arc;

use headwater_base::{Name, Span};
use headwater_kernel::{Ready, Resource};
use serde_json::{Map, Value, json};

use super::super::arn::{Arn, Caller};
use super::super::call::{Answer, Call, Operation, seconds};
use super::super::native::{self, held};
use super::super::refusal::Refusal;
use super::super::shape::{Member, Shape, may, must, name, text};
use super::{
    ARCHIVE, DESCRIPTION, KEY, LIMIT, NEXT_TOKEN, bus_of, buses, exists, keyless, listed, no_bus, not_found, pattern,
    put_some, rules,
};

const NAME: Member = must("ArchiveName", name(48));
const PATTERN: Member = may("EventPattern", text(0, 4_096));
const RETENTION: Member = may("RetentionDays", Shape::Integer(0, 36_500));

/// Archives are called this in the states of all services.
const STATES: &[&str] = &["ENABLED", "DISABLED", "CREATING", "UPDATING", "CREATE_FAILED", "UPDATE_FAILED"];

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateArchive",
        input: &[NAME, must("EventSourceArn", text(1, 1_600)), DESCRIPTION, PATTERN, RETENTION, KEY],
        run: |call| Box::pin(create(call)),
    },
    Operation {
        name: "UpdateArchive",
        input: &[NAME, DESCRIPTION, PATTERN, RETENTION, KEY],
        run: |call| Box::pin(update(call)),
    },
    Operation { name: "DescribeArchive", input: &[NAME], run: |call| Box::pin(async move { describe(call) }) },
    Operation {
        name: "ListArchives",
        input: &[
            may("NamePrefix", name(48)),
            may("EventSourceArn", text(1, 1_600)),
            may("State", Shape::Choice(STATES)),
            LIMIT,
            NEXT_TOKEN,
        ],
        run: |call| Box::pin(async move { list(call) }),
    },
    Operation { name: "DeleteArchive", input: &[NAME], run: |call| Box::pin(delete(call)) },
];

/// An archive's name in full.
pub fn arn(caller: &Caller, archive: &str) -> String {
    caller.arn("events", format_args!("archive/{archive}"))
}

/// The archive that a name in full stands for.
pub fn named(given: &str) -> Option<&str> {
    Arn::read(given).filter(|arn| arn.service == "events")?.path.strip_prefix("archive/")
}

/// An archive that is there.
pub fn find(call: &Call, archive: &str) -> Result<Arc<Resource>, Refusal> {
    let found = call.aws.find(ARCHIVE, archive);
    found.ok_or_else(|| not_found(format!("Archive {archive} does not exist.")))
}

/// The bus that an archive keeps the events of.
pub fn bus(archive: &Resource) -> &str {
    native::text(archive, "/source").and_then(buses::of_stream).unwrap_or_default()
}

async fn create(call: &Call) -> Answer {
    keyless(call)?;
    let archive = call.given("ArchiveName");
    let bus = bus_of(call.given("EventSourceArn"));
    let pattern = pattern(call)?;
    let _turn = call.aws.turn.lock().await;
    if call.aws.kernel.get(ARCHIVE, archive).is_some() {
        return Err(exists(format!("Archive {archive} already exists.")));
    }
    if buses::find(&call.aws, bus).is_none() {
        return Err(no_bus(bus));
    }
    let mut spec = Map::new();
    spec.insert("source".to_owned(), buses::stream(bus).into());
    let held = change(call, &mut spec, Map::new(), pattern);
    let draft = call.aws.draft(ARCHIVE, archive, &Value::Object(spec), &held, None)?;
    call.aws.write(vec![draft]).await?;
    outcome(call, &*find(call, archive)?)
}

async fn update(call: &Call) -> Answer {
    keyless(call)?;
    let archive = call.given("ArchiveName");
    let pattern = pattern(call)?;
    let _turn = call.aws.turn.lock().await;
    let old = find(call, archive)?;
    let mut spec = old.spec.as_object().cloned().unwrap_or_default();
    let held = change(call, &mut spec, held(&old), pattern);
    let draft = call.aws.draft(ARCHIVE, archive, &Value::Object(spec), &held, Some(&old))?;
    call.aws.write(vec![draft]).await?;
    outcome(call, &*find(call, archive)?)
}

/// Puts what the request says into a spec, and answers what the annotation holds.
fn change(
    call: &Call,
    spec: &mut Map<String, Value>,
    mut held: Map<String, Value>,
    pattern: Option<&str>,
) -> Map<String, Value> {
    put_some(spec, "description", call.text("Description"));
    if let Some(pattern) = pattern {
        put_some(spec, "pattern", serde_json::from_str::<Value>(pattern).ok());
        held.insert("EventPattern".to_owned(), pattern.into());
    }
    match call.integer("RetentionDays") {
        Some(0) => drop(spec.shift_remove("retention")),
        Some(days) => drop(spec.insert("retention".to_owned(), format!("{days}d").into())),
        None => {}
    }
    held
}

fn outcome(call: &Call, archive: &Resource) -> Answer {
    let (state, reason) = state(archive);
    let mut answer = Map::new();
    answer.insert("ArchiveArn".to_owned(), arn(&call.caller, archive.metadata.name.as_str()).into());
    answer.insert("State".to_owned(), state.into());
    put_some(&mut answer, "StateReason", reason);
    answer.insert("CreationTime".to_owned(), seconds(archive.metadata.created));
    Ok(Value::Object(answer))
}

fn state(archive: &Resource) -> (&'static str, Option<&str>) {
    match archive.status.ready {
        Ready::True => ("ENABLED", None),
        Ready::Unknown => ("CREATING", None),
        Ready::False => ("CREATE_FAILED", Some(archive.status.message.as_str())),
    }
}

fn describe(call: &Call) -> Answer {
    let archive = find(call, call.given("ArchiveName"))?;
    let mut answer = shown(call, &archive);
    answer.insert("ArchiveArn".to_owned(), arn(&call.caller, archive.metadata.name.as_str()).into());
    put_some(&mut answer, "Description", native::text(&archive, "/description"));
    put_some(&mut answer, "EventPattern", rules::shown_pattern(&archive, &held(&archive)));
    Ok(Value::Object(answer))
}

fn shown(call: &Call, archive: &Resource) -> Map<String, Value> {
    let name = archive.metadata.name.as_str();
    let (state, reason) = state(archive);
    let mut shown = Map::new();
    shown.insert("ArchiveName".to_owned(), name.into());
    shown.insert("EventSourceArn".to_owned(), call.caller.bus(bus(archive)).into());
    shown.insert("State".to_owned(), state.into());
    put_some(&mut shown, "StateReason", reason);
    let days = native::text(archive, "/retention").and_then(|text| Span::try_from(text.to_owned()).ok());
    shown.insert("RetentionDays".to_owned(), days.map_or(0, |span| span.millis().div_ceil(86_400_000)).into());
    shown.insert("EventCount".to_owned(), events_in(call, name).into());
    shown.insert("CreationTime".to_owned(), seconds(archive.metadata.created));
    shown
}

/// Events in an archive: records of the stream `archive.NAME`, which has one partition.
fn events_in(call: &Call, archive: &str) -> i64 {
    let stream = Name::new(&format!("archive.{archive}")).ok();
    let ends = stream.and_then(|stream| call.aws.kernel.log().ends(&stream, 0).ok());
    ends.map_or(0, |ends| ends.durable - ends.start)
}

fn list(call: &Call) -> Answer {
    let prefix = call.text("NamePrefix").unwrap_or_default();
    let of_bus = call.text("EventSourceArn").map(bus_of);
    let wanted = call.text("State");
    let all = call.aws.all(ARCHIVE);
    let kept = all.iter().filter(|archive| {
        archive.metadata.name.as_str().starts_with(prefix)
            && of_bus.is_none_or(|of_bus| bus(archive) == of_bus)
            && wanted.is_none_or(|wanted| state(archive).0 == wanted)
    });
    let items = kept.map(|archive| (archive.metadata.name.to_string(), Value::Object(shown(call, archive))));
    listed(call, "Archives", items.collect())
}

async fn delete(call: &Call) -> Answer {
    let archive = call.given("ArchiveName");
    let _turn = call.aws.turn.lock().await;
    find(call, archive)?;
    call.aws.remove(ARCHIVE, archive).await?;
    Ok(json!({}))
}
