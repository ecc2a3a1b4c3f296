//! Event buses, which are the streams `bus.NAME` here. The bus `default` is always there.

use std::sync::Arc;

use headwater_kernel::Resource;
use serde_json::{Map, Value};

use super::super::Aws;
use super::super::call::{Answer, Call, Operation, seconds};
use super::super::native::{self, held};
use super::super::refusal::Refusal;
use super::super::shape::{Shape, may, must, name, text};
use super::super::tags;
use super::{DESCRIPTION, LIMIT, NEXT_TOKEN, STREAM, TAGS, bus, exists, listed, no_bus, put_some, rules};

const DEAD_LETTERS: Shape = Shape::Structure(&[may("Arn", text(1, 1_600))]);
const LOGGING: Shape = Shape::Structure(&[
    may("IncludeDetail", Shape::Choice(&["NONE", "FULL"])),
    may("Level", Shape::Choice(&["OFF", "ERROR", "INFO", "TRACE"])),
]);

/// What an annotation keeps as it was sent.
const KEPT: [&str; 3] = ["DeadLetterConfig", "KmsKeyIdentifier", "LogConfig"];

/// The longest name: the stream's is four characters longer.
const NAME_MAX: usize = headwater_base::name::NAME_BYTES_MAX - PREFIX.len();

const PREFIX: &str = "bus.";

/// The operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "CreateEventBus",
        input: &[
            must("Name", text(1, NAME_MAX)),
            may("EventSourceName", text(1, 256)),
            DESCRIPTION,
            may("DeadLetterConfig", DEAD_LETTERS),
            may("KmsKeyIdentifier", text(0, 2_048)),
            may("LogConfig", LOGGING),
            TAGS,
        ],
        run: |call| Box::pin(create(call)),
    },
    Operation {
        name: "UpdateEventBus",
        input: &[
            may("Name", name(NAME_MAX)),
            DESCRIPTION,
            may("DeadLetterConfig", DEAD_LETTERS),
            may("KmsKeyIdentifier", text(0, 2_048)),
            may("LogConfig", LOGGING),
        ],
        run: |call| Box::pin(update(call)),
    },
    Operation {
        name: "DescribeEventBus",
        input: &[may("Name", text(1, 1_600))],
        run: |call| Box::pin(async move { describe(call) }),
    },
    Operation {
        name: "ListEventBuses",
        input: &[may("NamePrefix", text(1, 256)), LIMIT, NEXT_TOKEN],
        run: |call| Box::pin(async move { list(call) }),
    },
    Operation { name: "DeleteEventBus", input: &[must("Name", text(1, NAME_MAX))], run: |call| Box::pin(delete(call)) },
];

/// The stream of a bus.
pub fn stream(bus: &str) -> String {
    format!("{PREFIX}{bus}")
}

/// The bus of a stream.
pub fn of_stream(stream: &str) -> Option<&str> {
    stream.strip_prefix(PREFIX)
}

/// A bus that is there.
pub fn find(aws: &Aws, bus: &str) -> Option<Arc<Resource>> {
    aws.find(STREAM, &stream(bus))
}

async fn create(call: &Call) -> Answer {
    let name = call.given("Name");
    if call.value("EventSourceName").is_some() {
        return Err(Refusal::validation("partner event sources are not served"));
    }
    if name.contains('/') {
        return Err(Refusal::validation("Event bus name must not contain '/'."));
    }
    let _turn = call.aws.turn.lock().await;
    if find(&call.aws, name).is_some() {
        return Err(exists(format!("Event bus {name} already exists.")));
    }
    let mut spec = Map::new();
    put_some(&mut spec, "description", call.text("Description"));
    let mut held = kept(call, Map::new());
    tags::put(&mut held, call.list("Tags"), &tags::EVENTS)?;
    let draft = call.aws.draft(STREAM, &stream(name), &Value::Object(spec), &held, None)?;
    call.aws.write(vec![draft]).await?;
    let mut answer = kept(call, Map::new());
    answer.insert("EventBusArn".to_owned(), call.caller.bus(name).into());
    put_some(&mut answer, "Description", call.text("Description"));
    Ok(Value::Object(answer))
}

async fn update(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let name = bus(call, "Name");
    let old = find(&call.aws, name).ok_or_else(|| no_bus(name))?;
    let mut spec = old.spec.clone();
    if let (Some(description), Some(spec)) = (call.text("Description"), spec.as_object_mut()) {
        spec.insert("description".to_owned(), description.into());
    }
    let held = kept(call, held(&old));
    let draft = call.aws.draft(STREAM, &stream(name), &spec, &held, Some(&old))?;
    call.aws.write(vec![draft]).await?;
    let mut answer = kept(call, Map::new());
    answer.insert("Name".to_owned(), name.into());
    answer.insert("Arn".to_owned(), call.caller.bus(name).into());
    put_some(&mut answer, "Description", call.text("Description"));
    Ok(Value::Object(answer))
}

fn describe(call: &Call) -> Answer {
    let name = bus(call, "Name");
    let found = find(&call.aws, name).ok_or_else(|| no_bus(name))?;
    let mut answer = shown(call, &found, name);
    let held = held(&found);
    for member in KEPT {
        put_some(&mut answer, member, held.get(member).cloned());
    }
    Ok(Value::Object(answer))
}

fn shown(call: &Call, resource: &Resource, name: &str) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("Name".to_owned(), name.into());
    shown.insert("Arn".to_owned(), call.caller.bus(name).into());
    put_some(&mut shown, "Description", native::text(resource, "/description"));
    shown.insert("CreationTime".to_owned(), seconds(resource.metadata.created));
    shown.insert("LastModifiedTime".to_owned(), seconds(resource.metadata.created));
    shown
}

fn list(call: &Call) -> Answer {
    let prefix = call.text("NamePrefix").unwrap_or_default();
    let all = call.aws.all(STREAM);
    let items = all.iter().filter_map(|resource| {
        let name = of_stream(resource.metadata.name.as_str()).filter(|name| name.starts_with(prefix))?;
        Some((name.to_owned(), Value::Object(shown(call, resource, name))))
    });
    listed(call, "EventBuses", items.collect())
}

async fn delete(call: &Call) -> Answer {
    let name = bus(call, "Name");
    if name == "default" {
        return Err(Refusal::validation("Cannot delete event bus default."));
    }
    let _turn = call.aws.turn.lock().await;
    if find(&call.aws, name).is_none() {
        return Ok(Value::Null);
    }
    if !rules::of_bus(&call.aws, name).is_empty() {
        return Err(Refusal::validation("Event bus can't be deleted since it has rules."));
    }
    call.aws.remove(STREAM, &stream(name)).await?;
    Ok(Value::Null)
}

fn kept(call: &Call, mut held: Map<String, Value>) -> Map<String, Value> {
    for member in KEPT {
        put_some(&mut held, member, call.value(member).cloned());
    }
    held
}
