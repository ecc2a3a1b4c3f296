//! EventBridge Pipes, which are Pipes here.

mod made;
mod tags;
mod template;

use std::sync::Arc;

use headwater_base::Micros;
use headwater_kernel::{Ready, Resource};
use serde_json::{Map, Value};

use super::call::{Answer, Call, Operation, seconds};
use super::events::put_some;
use super::native::{self, held, held_text};
use super::page;
use super::refusal::Refusal;
use super::rest::Row;
use super::shape::{Member, Shape, may, must, name, secret, text};

/// The operations of Pipes.
pub const ROWS: &[&[Row]] = &[OPERATIONS, tags::ROWS];

/// The kind here.
const PIPE: &str = "Pipe";

const NAME: Member = must("Name", name(64));
const STATE: Member = may("DesiredState", Shape::Choice(&["RUNNING", "STOPPED"]));
const POSITION: Member = may("StartingPosition", Shape::Choice(&["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]));
const STREAM: Shape = Shape::Structure(&[
    POSITION,
    may("BatchSize", Shape::Integer(1, 10_000)),
    may("MaximumBatchingWindowInSeconds", Shape::Integer(0, 300)),
    may("MaximumRecordAgeInSeconds", Shape::Integer(-1, 604_800)),
    may("MaximumRetryAttempts", Shape::Integer(-1, 10_000)),
    may("ParallelizationFactor", Shape::Integer(1, 10)),
    may("OnPartialBatchItemFailure", Shape::Choice(&["AUTOMATIC_BISECT"])),
    may("DeadLetterConfig", Shape::Structure(&[may("Arn", text(1, 1_600))])),
]);
const KAFKA: Shape = Shape::Structure(&[
    may("TopicName", text(1, 249)),
    POSITION,
    may("BatchSize", Shape::Integer(1, 10_000)),
    may("MaximumBatchingWindowInSeconds", Shape::Integer(0, 300)),
]);
const FILTERS: Shape = Shape::List(&Shape::Structure(&[may("Pattern", text(0, 4_096))]), 0, 5);
const SOURCE_PARAMETERS: Member = may(
    "SourceParameters",
    Shape::Structure(&[
        may("FilterCriteria", Shape::Structure(&[may("Filters", FILTERS)])),
        may("DynamoDBStreamParameters", STREAM),
        may("KinesisStreamParameters", STREAM),
        may("ManagedStreamingKafkaParameters", KAFKA),
        may("SelfManagedKafkaParameters", KAFKA),
    ]),
);
const ENRICHMENT: Member = may("Enrichment", text(0, 1_600));
const ENRICHMENT_PARAMETERS: Member =
    may("EnrichmentParameters", Shape::Structure(&[may("InputTemplate", secret(0, 8_192))]));
const TARGET_PARAMETERS: Member = may(
    "TargetParameters",
    Shape::Structure(&[
        may("InputTemplate", secret(0, 8_192)),
        may(
            "StepFunctionStateMachineParameters",
            Shape::Structure(&[may("InvocationType", Shape::Choice(&["REQUEST_RESPONSE", "FIRE_AND_FORGET"]))]),
        ),
        may(
            "EventBridgeEventBusParameters",
            Shape::Structure(&[may("DetailType", text(1, 128)), may("Source", text(1, 256))]),
        ),
        may("KinesisStreamParameters", Shape::Structure(&[may("PartitionKey", text(0, 256))])),
    ]),
);
const DESCRIPTION: Member = may("Description", secret(0, 512));
const ROLE: Member = must("RoleArn", text(1, 1_600));
const LOGGING: Member =
    may("LogConfiguration", Shape::Structure(&[may("Level", Shape::Choice(&["OFF", "ERROR", "INFO", "TRACE"]))]));
const KEY: Member = may("KmsKeyIdentifier", text(0, 2_048));

/// What a pipe is made of, kept as it was sent.
const KEPT: [&str; 8] = [
    "Source",
    "SourceParameters",
    "Enrichment",
    "EnrichmentParameters",
    "Target",
    "TargetParameters",
    "RoleArn",
    "LogConfiguration",
];

const OPERATIONS: &[Row] = &[
    Row {
        method: "POST",
        path: "/v1/pipes/{Name}",
        query: &[],
        operation: Operation {
            name: "CreatePipe",
            input: &[
                NAME,
                DESCRIPTION,
                STATE,
                must("Source", text(1, 1_600)),
                SOURCE_PARAMETERS,
                ENRICHMENT,
                ENRICHMENT_PARAMETERS,
                must("Target", text(1, 1_600)),
                TARGET_PARAMETERS,
                ROLE,
                LOGGING,
                KEY,
                may("Tags", Shape::Map(&text(0, 256))),
            ],
            run: |call| Box::pin(create(call)),
        },
    },
    Row {
        method: "PUT",
        path: "/v1/pipes/{Name}",
        query: &[],
        operation: Operation {
            name: "UpdatePipe",
            input: &[
                NAME,
                DESCRIPTION,
                STATE,
                SOURCE_PARAMETERS,
                ENRICHMENT,
                ENRICHMENT_PARAMETERS,
                may("Target", text(1, 1_600)),
                TARGET_PARAMETERS,
                ROLE,
                LOGGING,
                KEY,
            ],
            run: |call| Box::pin(update(call)),
        },
    },
    Row {
        method: "GET",
        path: "/v1/pipes/{Name}",
        query: &[],
        operation: Operation {
            name: "DescribePipe",
            input: &[NAME],
            run: |call| Box::pin(async move { describe(call) }),
        },
    },
    Row {
        method: "DELETE",
        path: "/v1/pipes/{Name}",
        query: &[],
        operation: Operation { name: "DeletePipe", input: &[NAME], run: |call| Box::pin(delete(call)) },
    },
    Row {
        method: "GET",
        path: "/v1/pipes",
        query: &[
            ("NamePrefix", "NamePrefix"),
            ("DesiredState", "DesiredState"),
            ("CurrentState", "CurrentState"),
            ("SourcePrefix", "SourcePrefix"),
            ("TargetPrefix", "TargetPrefix"),
            ("NextToken", "NextToken"),
            ("Limit", "Limit"),
        ],
        operation: Operation {
            name: "ListPipes",
            input: &[
                may("NamePrefix", name(64)),
                STATE,
                may("CurrentState", text(1, 64)),
                may("SourcePrefix", text(1, 1_600)),
                may("TargetPrefix", text(1, 1_600)),
                may("NextToken", text(1, 2_048)),
                may("Limit", Shape::Integer(1, 100)),
            ],
            run: |call| Box::pin(async move { list(call) }),
        },
    },
    Row {
        method: "POST",
        path: "/v1/pipes/{Name}/start",
        query: &[],
        operation: Operation { name: "StartPipe", input: &[NAME], run: |call| Box::pin(enable(call, true)) },
    },
    Row {
        method: "POST",
        path: "/v1/pipes/{Name}/stop",
        query: &[],
        operation: Operation { name: "StopPipe", input: &[NAME], run: |call| Box::pin(enable(call, false)) },
    },
];

/// A pipe that is there.
fn find(call: &Call, name: &str) -> Result<Arc<Resource>, Refusal> {
    let absent = || Refusal::new("NotFoundException", format!("Pipe {name} does not exist."));
    call.aws.find(PIPE, name).ok_or_else(absent)
}

fn arn(call: &Call, name: &str) -> String {
    call.caller.arn("pipes", format_args!("pipe/{name}"))
}

async fn create(call: &Call) -> Answer {
    let name = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    if call.aws.kernel.get(PIPE, name).is_some() {
        return Err(Refusal::new("ConflictException", format!("Pipe {name} already exists.")));
    }
    call.value("Tags").and_then(Value::as_object).map_or(Ok(()), tags::bounded)?;
    let mut held = Map::new();
    put_some(&mut held, "tags", call.value("Tags").cloned());
    write(call, kept(call, Map::new()), held, None).await
}

async fn update(call: &Call) -> Answer {
    let _turn = call.aws.turn.lock().await;
    let old = find(call, call.given("Name"))?;
    let mut held = held(&old);
    let sent = held.shift_remove("Pipe").filter(|sent| made::is_sent(&old, sent));
    let Some(Value::Object(sent)) = sent else {
        let message = "The pipe was applied to the node as a resource and is changed by applying it again; StartPipe \
                       and StopPipe are served.";
        return Err(Refusal::new("ConflictException", message));
    };
    write(call, kept(call, sent), held, Some(&old)).await
}

/// `sent` with what a request brings. How a source is read is changed member by member, since a change has no place for
/// where reading began; all else takes the place of what was there.
fn kept(call: &Call, mut sent: Map<String, Value>) -> Map<String, Value> {
    for member in KEPT {
        let Some(given) = call.value(member) else { continue };
        match (sent.get_mut(member).and_then(Value::as_object_mut), given) {
            (Some(there), Value::Object(given)) if member == "SourceParameters" => {
                for (name, given) in given {
                    match (there.get_mut(name).and_then(Value::as_object_mut), given) {
                        (Some(there), Value::Object(given)) if name != "FilterCriteria" => there.extend(given.clone()),
                        _ => {
                            there.insert(name.clone(), given.clone());
                        }
                    }
                }
            }
            _ => {
                sent.insert(member.to_owned(), given.clone());
            }
        }
    }
    sent
}

async fn write(call: &Call, sent: Map<String, Value>, mut held: Map<String, Value>, old: Option<&Resource>) -> Answer {
    let name = call.given("Name");
    if call.text("KmsKeyIdentifier").is_some_and(|key| !key.is_empty()) {
        return Err(Refusal::validation("KmsKeyIdentifier is not served: keys are not the client's."));
    }
    let sent = Value::Object(sent);
    let mut spec = old.and_then(|old| old.spec.as_object().cloned()).unwrap_or_default();
    for member in made::MEMBERS {
        spec.shift_remove(member);
    }
    spec.extend(made::native(&sent, name)?);
    put_some(&mut spec, "description", call.text("Description"));
    put_some(&mut spec, "enabled", call.text("DesiredState").map(|state| state == "RUNNING"));
    held.insert("Pipe".to_owned(), sent);
    held.insert("Modified".to_owned(), call.aws.kernel.clock().now().to_string().into());
    let draft = call.aws.draft(PIPE, name, &Value::Object(spec), &held, old)?;
    call.aws.write(vec![draft]).await?;
    Ok(Value::Object(outline(call, &*find(call, name)?)))
}

fn enabled(pipe: &Resource) -> bool {
    native::field(pipe, "/enabled") != Some(&Value::Bool(false))
}

fn desired(pipe: &Resource) -> &'static str {
    if enabled(pipe) { "RUNNING" } else { "STOPPED" }
}

fn current(pipe: &Resource) -> &'static str {
    match (enabled(pipe), pipe.status.ready) {
        (false, _) => "STOPPED",
        (true, Ready::False) => "START_FAILED",
        (true, Ready::Unknown) => "STARTING",
        (true, Ready::True) => "RUNNING",
    }
}

/// What every answer about a pipe says.
fn outline(call: &Call, pipe: &Resource) -> Map<String, Value> {
    let name = pipe.metadata.name.as_str();
    let created = pipe.metadata.created;
    let modified = held_text(pipe, "Modified").and_then(|text| Micros::parse_rfc3339(&text)).unwrap_or(created);
    let mut shown = Map::new();
    let mut put = |member: &str, value: Value| shown.insert(member.to_owned(), value);
    put("Arn", arn(call, name).into());
    put("Name", name.into());
    put("DesiredState", desired(pipe).into());
    put("CurrentState", current(pipe).into());
    put("CreationTime", seconds(created));
    put("LastModifiedTime", seconds(modified));
    shown
}

fn reason(pipe: &Resource) -> Option<&str> {
    Some(pipe.status.message.as_str()).filter(|message| !message.is_empty() && pipe.status.ready == Ready::False)
}

fn describe(call: &Call) -> Answer {
    let found = find(call, call.given("Name"))?;
    let mut shown = outline(call, &found);
    if let Value::Object(sent) = made::shown(&call.caller, &found) {
        shown.extend(sent);
    }
    put_some(&mut shown, "Description", native::text(&found, "/description"));
    put_some(&mut shown, "StateReason", reason(&found));
    put_some(&mut shown, "Tags", held(&found).get("tags").cloned());
    Ok(Value::Object(shown))
}

async fn delete(call: &Call) -> Answer {
    let name = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    let mut shown = outline(call, &*find(call, name)?);
    call.aws.remove(PIPE, name).await?;
    shown.insert("DesiredState".to_owned(), "DELETED".into());
    shown.insert("CurrentState".to_owned(), "DELETING".into());
    Ok(Value::Object(shown))
}

async fn enable(call: &Call, enabled: bool) -> Answer {
    let name = call.given("Name");
    let _turn = call.aws.turn.lock().await;
    let found = find(call, name)?;
    let mut spec = found.spec.clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("enabled".to_owned(), enabled.into());
    }
    let draft = call.aws.draft(PIPE, name, &spec, &held(&found), Some(&found))?;
    call.aws.write(vec![draft]).await?;
    Ok(Value::Object(outline(call, &*find(call, name)?)))
}

fn list(call: &Call) -> Answer {
    let begins = |value: &Value, member: &str| {
        call.text(member).is_none_or(|prefix| value.as_str().is_some_and(|text| text.starts_with(prefix)))
    };
    let is = |value: &str, member: &str| call.text(member).is_none_or(|wanted| wanted == value);
    let mut items = Vec::new();
    for pipe in call.aws.all(PIPE) {
        let name = pipe.metadata.name.as_str();
        let sent = made::shown(&call.caller, &pipe);
        let wanted = begins(&name.into(), "NamePrefix")
            && begins(&sent["Source"], "SourcePrefix")
            && begins(&sent["Target"], "TargetPrefix")
            && is(desired(&pipe), "DesiredState")
            && is(current(&pipe), "CurrentState");
        if wanted {
            let mut shown = outline(call, &pipe);
            for member in ["Source", "Target", "Enrichment"] {
                put_some(&mut shown, member, sent.get(member).cloned());
            }
            put_some(&mut shown, "StateReason", reason(&pipe));
            items.push((name.to_owned(), Value::Object(shown)));
        }
    }
    page::listed(call, "Pipes", "Limit", items)
}
